"""The environment under skyrl-gym's own registry and base class, driven in the way of SkyRL's generator."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from atommem_env.integrations import skyrl as adapter
from atommem_env.integrations.text_episode import row_episode
from scripted_policy import ScriptedPolicy
from trainers import library, pytestmark  # noqa: F401

skyrl_gym = library("skyrl_gym")
base = library("skyrl_gym.envs.base_text_env")
metrics = library("skyrl_gym.metrics")

ROOT = Path(__file__).resolve().parents[2]
SMALL: dict[str, Any] = {"num_docs": 10, "num_questions": 2, "chunk_tokens": 400, "chunk_overlap": 20}

adapter.register()


def rows(*indices: int) -> list[dict[str, Any]]:
    return list(adapter.dataset_rows("AtomMem-World-v0", indices, **SMALL))


def rollout(row: dict[str, Any], seed: int = 0) -> tuple[float, dict[str, float]]:
    """Play one rollout as SkyRL does, with resets; return the sum of its rewards, and its metrics."""
    policy = ScriptedPolicy(forget=0.4, seed=seed)
    extras = {name: value for name, value in row.items() if name not in ("prompt", "env_class")}
    extras |= {"max_turns": 200, "prompt_mode": "reset"}
    env = skyrl_gym.make(row["env_class"], env_config={}, extras=extras)
    messages, _ = env.init(row["prompt"])
    total, done = 0.0, False
    while not done:
        output = env.step(policy(messages))
        assert set(output) == set(base.BaseTextEnvStepOutput.__annotations__)
        messages, done = output["observations"], output["done"]
        total += output["reward"]
    scores = env.get_metrics()
    env.close()
    return total, scores


def direct(row: dict[str, Any], seed: int = 0) -> tuple[float, dict[str, float]]:
    trajectory = row_episode(row).play(ScriptedPolicy(forget=0.4, seed=seed), row["task_index"])
    return trajectory.episode_return, trajectory.scores()


def test_the_environment_is_registered_once_however_often_it_is_asked_for() -> None:
    adapter.register()
    adapter.register()
    (row,) = rows(9)
    with skyrl_gym.make("atommem", env_config={}, extras=row) as env:
        assert isinstance(env, base.BaseTextEnv)
        assert type(env) is adapter.AtomMemEnv
        assert (env.turns, env.tool_groups) == (0, [])
    assert pickle.loads(pickle.dumps(adapter.AtomMemEnv)) is adapter.AtomMemEnv


def test_an_episode_is_that_of_the_port() -> None:
    (row,) = rows(9)
    assert rollout(row) == direct(row)


def test_many_rollouts_at_once_in_threads_are_what_they_are_alone() -> None:
    asked = [(row, seed) for row in rows(2, 3, 9, 10) for seed in range(6)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda each: rollout(*each), asked))
    assert made == [direct(*each) for each in asked]
    groups = [{total for total, _ in made[start : start + 6]} for start in range(0, len(made), 6)]
    assert any(len(group) > 1 for group in groups)


def test_skyrl_averages_the_metrics() -> None:
    made = [rollout(row)[1] for row in rows(2, 9)]
    averaged = metrics.aggregate_for_environment("atommem", [made[0], {}, made[1]])
    assert averaged == {name: (made[0][name] + made[1][name]) / 2 for name in made[0]}


def test_nonsense_is_data() -> None:
    (row,) = rows(9)
    env = skyrl_gym.make("atommem", env_config={}, extras=row)
    env.init(row["prompt"])
    output = env.step("<delete_memory>x</delete_memory> no operation at all <create_memory>")
    assert (output["reward"], output["done"]) == (0.0, False)
    assert output["metadata"]["malformed"]
    assert [message["role"] for message in output["observations"]] == ["user"]


def test_the_example_runs(tmp_path: Path) -> None:
    script = ROOT / "examples" / "trainers" / "skyrl_rollout.py"
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "generated" in done.stdout
    assert "scripted" in done.stdout
