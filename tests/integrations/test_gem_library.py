"""The environments under GEM's own makers, vectors and wrappers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from atommem_env.integrations import gem as adapter
from atommem_env.integrations.text_episode import TextEpisode
from atommem_env.registration import WORLD_ENVS
from scripted_policy import ScriptedPolicy
from small_data import HISTORY_IDS
from trainers import library, pytestmark  # noqa: F401

gem = library("gem")

ROOT = Path(__file__).resolve().parents[2]
SMALL: dict[str, Any] = {"num_docs": 10, "num_questions": 2, "chunk_tokens": 400, "chunk_overlap": 20}
WORLD = "atommem:World-v0"
NEED_DATA = {f"atommem:{name}-v0" for name in ("Custom", "MemoryAgentBench", "BEAM")}
MADE_HERE = [id.replace("AtomMem-", "atommem:") for id in WORLD_ENVS]

adapter.register()


def answer(observation: str, seed: int = 0) -> str:
    """The answer of a rollout's policy; the rollouts of a group forget different documents."""
    return ScriptedPolicy(forget=0.4, seed=seed)([{"role": "user", "content": observation}])


def direct(task_index: int, seed: int = 0) -> float:
    policy = ScriptedPolicy(forget=0.4, seed=seed)
    return TextEpisode("AtomMem-World-v0", **SMALL).play(policy, task_index).episode_return


def test_every_id_is_made_however_often_it_is_registered() -> None:
    adapter.register()
    assert WORLD in adapter.IDS
    for id in set(adapter.IDS) - NEED_DATA:
        source = {} if id in MADE_HERE else {"source": "generated"}
        small = {"num_questions": 2} if id.replace("atommem:", "AtomMem-") in HISTORY_IDS else SMALL
        env = gem.make(id, task_index=0, **source, **small)
        assert isinstance(env, gem.Env)
        assert isinstance(env, adapter.AtomMemEnv)
        assert env.reset()[1]["task_index"] == 0
    with pytest.raises(ValueError, match="source"):
        gem.make("atommem:Custom-v0")


def test_an_episode_is_that_of_the_port() -> None:
    env = gem.make(WORLD, **SMALL)
    observation, _ = env.reset(task_index=9)
    total, over = 0.0, False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(answer(observation))
        total, over = total + reward, terminated or truncated
    assert total == direct(9) > 0


@pytest.mark.parametrize("async_mode", [False, True])
def test_a_vector_plays_a_group_of_one_task_and_goes_on_with_the_next_episode(async_mode: bool) -> None:
    count = 4
    envs = gem.make_vec([WORLD] * count, async_mode=async_mode, task_index=9, **SMALL)
    observations, infos = envs.reset()
    assert len(set(observations)) == 1
    first = observations[0]
    returns, finished = [0.0] * count, [False] * count
    while not all(finished):
        texts = [answer(observation, seed) for seed, observation in enumerate(observations)]
        observations, rewards, terminated, truncated, infos = envs.step(texts)
        for index in range(count):
            if not finished[index]:
                returns[index] += rewards[index]
                finished[index] = bool(terminated[index] or truncated[index])
                if finished[index]:
                    assert observations[index] == first
                    assert infos[index]["last_metrics"]["em"] == returns[index]
    assert returns == [direct(9, seed) for seed in range(count)]
    assert len(set(returns)) > 1


def test_equal_seeds_make_a_group_of_a_vector() -> None:
    envs = gem.make_vec([WORLD] * 3, **SMALL)
    _, infos = envs.reset(seed=[7, 7, 7])
    assert len({info["task_index"] for info in infos}) == 1
    _, infos = envs.reset()
    assert len({info["task_index"] for info in infos}) == 1
    _, infos = envs.reset(seed=7)
    assert len({info["task_index"] for info in infos}) > 1


def test_gems_wrappers_join_the_history_and_count() -> None:
    from gem.wrappers.wrapper_factory import get_wrapper_fns

    env = gem.make(WORLD, task_index=9, prompt_mode="append", **SMALL)
    for wrapper in get_wrapper_fns("concat_with_action,episode_tracking"):
        env = wrapper(env)
    observation, _ = env.reset()
    total, over, info = 0.0, False, {}
    while not over:
        before = observation
        observation, reward, terminated, truncated, info = env.step(answer(before))
        assert observation.startswith(before)
        total, over = total + reward, terminated or truncated
    assert info["cumulative_rewards"] == total == direct(9)
    assert info["step_counter"] == info["metrics"]["steps"]


def test_the_example_runs(tmp_path: Path) -> None:
    script = ROOT / "examples" / "trainers" / "gem_rollout.py"
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "generated" in done.stdout
    assert "scripted" in done.stdout
