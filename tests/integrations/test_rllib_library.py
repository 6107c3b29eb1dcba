"""RLlib on memory operations as a fixed number of actions."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from trainers import library
from trainers import pytestmark as pytestmark

library("ray.rllib", "rllib")

import ray  # noqa: E402
import torch  # noqa: E402
from ray.rllib.algorithms.ppo import PPOConfig  # noqa: E402
from ray.rllib.core.columns import Columns  # noqa: E402
from ray.rllib.core.rl_module.rl_module import RLModuleSpec  # noqa: E402
from ray.tune.registry import register_env  # noqa: E402

from atommem_env.integrations.rllib import MaskedModule, make_env  # noqa: E402

torch.set_num_threads(1)
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "trainers" / "rllib_ppo.py"
SMALL: dict[str, Any] = {
    "num_docs": 15,
    "num_questions": 2,
    "capacity": 4,
    "discrete": {"reward": "evidence", "queries": ("question", "bridge")},
}


@pytest.fixture(scope="module")
def _ray() -> Iterator[None]:
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def module(env: gym.Env[Any, Any]) -> Any:
    return MaskedModule(
        observation_space=env.observation_space,
        action_space=env.action_space,
        model_config={"hidden": 16},
    )


def test_the_environment_shows_its_masks_and_passes_gymnasiums_checker() -> None:
    env = make_env(SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_env(env, skip_render_check=True)
    observation, _ = env.reset(seed=0)
    for action in (1, 1, 0, 2):
        np.testing.assert_array_equal(observation["action_mask"], env.get_wrapper_attr("action_masks")())
        observation, *_ = env.step(action)


def test_the_module_never_draws_what_is_not_possible() -> None:
    env = make_env(SMALL)
    made = module(env)
    observation, _ = env.reset(seed=0)
    over = False
    while not over:
        batch = {
            "action_mask": torch.from_numpy(observation["action_mask"])[None],
            "observations": {
                name: torch.from_numpy(part)[None] for name, part in observation["observations"].items()
            },
        }
        scores = made.forward_exploration({Columns.OBS: batch})[Columns.ACTION_DIST_INPUTS]
        assert (torch.softmax(scores, 1)[0].detach().numpy() > 0).tolist() == (
            observation["action_mask"] > 0
        ).tolist()
        assert made.compute_values({Columns.OBS: batch}).shape == (1,)
        chosen = made.choose(observation)
        assert observation["action_mask"][chosen] == 1
        observation, _, over, _, info = env.step(chosen)
    assert sum(info["metrics"]["refused"].values()) == 0


@pytest.mark.usefixtures("_ray")
def test_ppo_trains_and_its_module_moves() -> None:
    register_env("atommem", make_env)
    algorithm = (
        PPOConfig()
        .environment("atommem", env_config=SMALL)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=2)
        .learners(num_learners=0)
        .rl_module(rl_module_spec=RLModuleSpec(module_class=MaskedModule, model_config={"hidden": 16}))
        .training(train_batch_size_per_learner=128, minibatch_size=64, num_epochs=2, gamma=1.0)
        .debugging(seed=0)
        .build_algo()
    )
    before = [part.detach().clone() for part in algorithm.get_module().actions.parameters()]
    result = algorithm.train()["env_runners"]
    after = list(algorithm.get_module().actions.parameters())
    algorithm.stop()
    assert 0 <= result["episode_return_mean"] <= 1
    assert result["num_env_steps_sampled_lifetime"] >= 128
    assert any(not torch.equal(left, right) for left, right in zip(before, after, strict=True))


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not next to the tests")
def test_the_example_runs_as_its_documentation_says(tmp_path: Path) -> None:
    command = [sys.executable, EXAMPLE, "--iterations", "1", "--batch", "256"]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "iteration 1:" in done.stdout
    assert "mean return 0." in done.stdout
