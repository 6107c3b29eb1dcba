"""What every registered id must do, all ids at once."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from atommem_env import Answer, Create, Read, Update
from atommem_env.registration import ENVS, register_envs
from small_data import HISTORY_IDS, dataset, small_histories

SMALL: dict[str, Any] = {"num_docs": 30, "num_questions": (1, 3), "chunk_tokens": 700, "chunk_overlap": 50}
IDS = list(ENVS)
PLAIN_IDS = [id for id in IDS if id not in ("AtomMem-Custom-v0", *HISTORY_IDS)]


def arguments(id: str) -> dict[str, Any]:
    """Return the arguments of a small environment of ``id``."""
    if id == "AtomMem-Custom-v0":
        return {**SMALL, "source": dataset(40)}
    if id in HISTORY_IDS:
        return small_histories()
    return SMALL if id == "AtomMem-World-v0" else {**SMALL, "source": "generated"}


def make(id: str, **kwargs: Any) -> gym.Env[Any, Any]:
    return gym.make(id, **{**arguments(id), **kwargs})


def play(env: gym.Env[Any, Any], index: int, policy_seed: int = 0) -> list[Any]:
    """Run one episode of a small scripted policy on task ``index`` and return all that came back."""
    generator = np.random.default_rng(policy_seed)
    record: list[Any] = [env.reset(options={"task_index": index})]
    while True:
        observation = record[-1][0]
        step = env.step(act(observation, generator))
        record.append(step)
        if step[2] or step[3]:
            return record


def act(observation: dict[str, Any], generator: np.random.Generator) -> list[Any]:
    """Store a few lines of the chunk, keep a note, read before answering."""
    if observation["phase"] == 0:
        lines = [line for line in observation["chunk"].split("\n") if line]
        picked = [lines[i] for i in generator.integers(len(lines), size=3)]
        return [*map(Create, picked), Update(0, picked[0]), Read(picked[1], 3)]
    if observation["looks_left"] == 3:
        return [Read(observation["questions"][0])]
    shown = [row["content"] for row in observation["retrieved"]] or ["nothing"]
    return [Answer(shown[0].split(".")[0])]


def fingerprint(record: Any) -> str:
    return hashlib.sha256(repr(record).encode()).hexdigest()


def test_importing_registers_and_registering_again_changes_nothing() -> None:
    before = dict(gym.registry)
    register_envs()
    assert gym.registry == before
    assert set(IDS) <= set(gym.registry)
    assert all(isinstance(gym.spec(id).entry_point, str) for id in IDS)


@pytest.mark.parametrize("id", IDS)
def test_gymnasiums_checker_has_nothing_to_say(id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = make(id, render_mode="ansi")
        check_env(env.unwrapped)
        check_env(make(id).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("id", IDS)
def test_the_docstring_has_the_standard_sections(id: str) -> None:
    text = type(make(id).unwrapped).__doc__ or ""
    for section in (
        "Description", "Action Space", "Observation Space", "Rewards", "Starting State", "Episode End",
        "Information", "Arguments", "References", "Version History",
    ):  # fmt: skip
        assert section in text, section


@pytest.mark.parametrize("id", IDS)
def test_a_seed_decides_tasks_and_episodes(id: str) -> None:
    env, twin = make(id), make(id)
    assert env.reset(seed=11) == twin.reset(seed=11)
    assert [env.reset()[1]["task_id"] for _ in range(3)] == [twin.reset()[1]["task_id"] for _ in range(3)]
    assert play(env, 5) == play(twin, 5)
    assert play(env, 5) != play(env, 6)


_SCRIPT = """
import sys
sys.path.insert(0, {tests!r}); sys.path.insert(0, {tests!r} + "/envs")
import test_conformance as t
print(t.fingerprint([t.play(t.make(id), index) for id in t.PLAIN_IDS for index in (0, 3)]))
"""


def test_other_processes_and_hash_seeds_give_the_same_bytes() -> None:
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    expected = fingerprint([play(make(id), index) for id in PLAIN_IDS for index in (0, 3)])
    for seed in ("0", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT.format(tests=tests)],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == expected, done.stderr


@pytest.mark.parametrize("id", IDS)
def test_interleaved_episodes_equal_solo_ones(id: str) -> None:
    solo = [play(make(id), index) for index in range(3)]
    envs = [make(id) for _ in range(3)]
    generators = [np.random.default_rng(0) for _ in range(3)]
    records: list[list[Any]] = [[env.reset(options={"task_index": i})] for i, env in enumerate(envs)]
    while any(len(record) < len(alone) for record, alone in zip(records, solo, strict=True)):
        for env, record, generator, alone in zip(envs, records, generators, solo, strict=True):
            if len(record) < len(alone):
                record.append(env.step(act(record[-1][0], generator)))
    assert records == solo


@pytest.mark.parametrize("id", IDS)
def test_an_environment_pickles_in_the_middle_of_an_episode(id: str) -> None:
    env = make(id)
    observation, _ = env.reset(options={"task_index": 2})
    env.step(act(observation, np.random.default_rng(0)))
    twin = pickle.loads(pickle.dumps(env))
    for action in ([Create("alpha beta"), Read("alpha")], [], [Answer("x")]):
        assert env.step(action) == twin.step(action)


@pytest.mark.parametrize("id", PLAIN_IDS)
def test_a_spec_goes_through_json(id: str) -> None:
    env = make(id)
    assert env.spec is not None
    text = env.spec.to_json()
    twin = gym.make(EnvSpec.from_json(text))
    assert play(twin, 1) == play(env, 1)
    assert isinstance(json.loads(text)["kwargs"]["num_questions"], list)


@pytest.mark.parametrize("id", IDS)
def test_a_spec_copies_and_pickles(id: str) -> None:
    env = make(id)
    spec = pickle.loads(pickle.dumps(copy.deepcopy(env.spec)))
    assert play(gym.make(spec), 1) == play(env, 1)


@pytest.mark.parametrize("id", IDS)
def test_time_limit_and_episode_statistics(id: str) -> None:
    env = gym.wrappers.RecordEpisodeStatistics(make(id, max_steps=None))
    last = play(env, 0)[-1]
    assert last[4]["episode"]["l"] == last[4]["metrics"]["steps"]
    limited = gym.wrappers.TimeLimit(make(id), 2)
    limited.reset()
    assert limited.step([])[3] is False
    assert limited.step([])[2:4] == (False, True)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _actions(observations: dict[str, Any], count: int) -> tuple[Any, ...]:
    """Return one action per environment from a batch of observations."""
    actions = []
    for i in range(count):
        single = {key: value[i] for key, value in observations.items()}
        actions.append(act(single, np.random.default_rng(i)) if single["questions"] else [])
    return tuple(actions)


def _vector_episode(envs: Any, steps: int) -> list[Any]:
    record = [envs.reset(seed=3)]
    for _ in range(steps):
        record.append(envs.step(_actions(record[-1][0], envs.num_envs)))
    return record


@pytest.mark.heavy
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("id", IDS)
def test_async_equals_sync(id: str, mode: AutoresetMode) -> None:
    functions: list[Callable[[], gym.Env[Any, Any]]] = [partial(make, id), partial(make, id)]
    sync = SyncVectorEnv(functions, autoreset_mode=mode)
    parallel = AsyncVectorEnv(functions, shared_memory=False, autoreset_mode=mode)
    try:
        expected, found = _vector_episode(sync, 25), _vector_episode(parallel, 25)
        assert any(step[2].any() for step in expected[1:])
        for left, right in zip(expected, found, strict=True):
            assert _same(left, right)
    finally:
        sync.close()
        parallel.close()


def test_async_equals_sync_without_autoreset() -> None:
    functions: list[Callable[[], gym.Env[Any, Any]]] = [
        partial(make, "AtomMem-World-v0", num_questions=1)
    ] * 2
    sync = SyncVectorEnv(functions, autoreset_mode=AutoresetMode.DISABLED)
    parallel = AsyncVectorEnv(functions, shared_memory=False, autoreset_mode=AutoresetMode.DISABLED)
    try:
        for envs in (sync, parallel):
            record = [envs.reset(seed=3)]
            for _ in range(30):
                record.append(envs.step(_actions(record[-1][0], 2)))
                ended = record[-1][2] | record[-1][3]
                if ended.any():
                    record.append((*envs.reset(options={"reset_mask": ended}), 0, 0, 0))
            if envs is sync:
                expected = record
        assert all(_same(left[0], right[0]) for left, right in zip(expected, record, strict=True))
    finally:
        sync.close()
        parallel.close()


def test_shared_memory_fails_loudly() -> None:
    with pytest.raises((gym.error.CustomSpaceError, ValueError), match=r"shared_memory=False|shared memory"):
        AsyncVectorEnv([partial(make, "AtomMem-World-v0")], shared_memory=True)


def test_a_batch_of_actions_is_a_tuple_of_actions() -> None:
    envs = SyncVectorEnv([partial(make, "AtomMem-World-v0")] * 2)
    envs.reset(seed=0)
    sample = envs.action_space.sample()
    assert len(sample) == 2
    assert all(action in envs.single_action_space for action in sample)
    envs.step(sample)
    envs.step(([Create("x")], []))
    envs.close()


def test_a_spawned_worker_that_imports_nothing_can_make_one() -> None:
    script = (
        "import gymnasium as gym\n"
        "env = gym.make('atommem_env:AtomMem-World-v0', num_docs=20, num_questions=1)\n"
        "print(env.reset(seed=0)[1]['task_id'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.startswith("world/"), done.stderr


def test_import_is_light() -> None:
    script = (
        "import sys, gymnasium, atommem_env\n"
        "print([name for name in ('torch', 'datasets', 'pyarrow', 'matplotlib', 'rich', 'typer', 'rank_bm25') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
