"""A tokenizer, retriever or encoder of the user's that raises in a step leaves every episode as it was."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env import Answer, Create, Delete, MemoryEnv, MemoryVectorEnv, Read, Update
from atommem_env.tasks.pooled import PooledTasks
from atommem_env.tasks.task import Task
from atommem_env.text import PieceTokenizer, tokens
from small_data import dataset

DATA = dataset(12)
SMALL: dict[str, Any] = {"num_docs": 6, "num_questions": 2, "chunk_tokens": 150, "chunk_overlap": 0}


class BrokenError(Exception):
    """What the user's own code raises."""


class Fuse:
    """Lets some calls pass, and then one fail; ``None`` lets all pass."""

    def __init__(self) -> None:
        self.left: int | None = None

    def call(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise BrokenError


FUSE = Fuse()


class FragileRetriever:
    """The least that a retriever must have; it has done its work, or half of it, when it fails."""

    def __init__(self) -> None:
        FUSE.call()
        self.texts: dict[int, str] = {}

    def add(self, id: int, text: str) -> None:
        assert id not in self.texts
        self.texts[id] = text
        FUSE.call()

    def replace(self, id: int, text: str) -> None:
        assert id in self.texts
        self.texts[id] = text
        FUSE.call()

    def remove(self, id: int) -> None:
        del self.texts[id]
        FUSE.call()

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        FUSE.call()
        wanted = set(tokens(query))
        scores = {id: float(len(wanted & set(tokens(text)))) for id, text in self.texts.items()}
        return sorted(((id, s) for id, s in scores.items() if s), key=lambda pair: (-pair[1], pair[0]))[:k]


class FragileTokenizer(PieceTokenizer):
    def count(self, text: str) -> int:
        FUSE.call()
        return super().count(text)


def fragile_vectors(texts: Sequence[str]) -> Any:
    FUSE.call()
    return np.array([[len(text), text.count("a") + 1.0] for text in texts], np.float32)


FRAGILE: dict[str, dict[str, Any]] = {
    "retriever": {"retriever": FragileRetriever},
    "tokenizer": {"tokenizer": FragileTokenizer()},
    "encoder": {"retriever": "dense", "encoder": fragile_vectors},
    "hybrid": {"retriever": "hybrid", "encoder": fragile_vectors, "tokenizer": FragileTokenizer()},
}


class FragileTasks(PooledTasks):
    def build(self, index: int) -> Task:
        FUSE.call()
        return super().build(index)


def draw_action(draw: random.Random) -> list[Any]:
    note = f"a town {draw.randrange(9)}"
    made = [
        Create(note), Create(f"{note} on a river"), Read("a river town"), Read("town", draw.randint(1, 3)),
        Update(0, note), Update(draw.randint(1, 6), f"{note} again"), Delete(draw.randint(1, 6)), Answer(note),
    ]  # fmt: skip
    return draw.sample(made, draw.choice((0, 1, 2, 4)))


def state(env: MemoryEnv) -> tuple[Any, ...]:
    """Return all that can be seen of an episode."""
    assert env.episode is not None
    return env.episode.observe(), env.metrics(), env.episode.store.entries, env.episode.store.next_id


@pytest.mark.parametrize("fragile", FRAGILE)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([None, 2]))
@settings(max_examples=6)
def test_a_step_that_fails_did_not_happen(
    fragile: str, seed: int, isolated: bool, capacity: int | None
) -> None:
    draw = random.Random(seed)
    own = {
        "capacity": capacity,
        "overflow": "evict_oldest",
        "isolate_questions": isolated,
        "entry_tokens": 30,
    }
    FUSE.left = None
    env, twin = (MemoryEnv(DATA, **SMALL, **own, **FRAGILE[fragile]) for _ in range(2))
    for each in (env, twin):
        each.reset(seed=0, options={"task_index": seed % 5})
    over = False
    while not over:
        action, before = draw_action(draw), state(env)
        FUSE.left = draw.randrange(8)
        try:
            shown = env.step(action)
        except BrokenError:
            assert state(env) == before
            shown = env.step(action)
        FUSE.left = None
        assert shown == twin.step(action)
        assert state(env) == state(twin)
        over = shown[2]


@pytest.mark.parametrize("fragile", FRAGILE)
@pytest.mark.parametrize("mode", ["next_step", "same_step"])
def test_of_many_environments_none_takes_a_step_that_fails_in_one(fragile: str, mode: str) -> None:
    draw = random.Random(f"{fragile} {mode}")
    FUSE.left = None
    envs, twin = (
        gym.make_vec("AtomMem-Custom-v0", 3, source=DATA, autoreset_mode=mode, **SMALL, **FRAGILE[fragile])
        for _ in range(2)
    )
    for each in (envs, twin):
        each.reset(seed=1)
    failed = 0
    for _ in range(9):
        actions = tuple(draw_action(draw) for _ in range(3))
        before = [state(env) for env in envs.unwrapped.envs]
        FUSE.left = draw.choice((0, 0, 1, 3, 8))
        try:
            shown = envs.step(actions)
        except BrokenError:
            failed += 1
            assert [state(env) for env in envs.unwrapped.envs] == before
            shown = envs.step(actions)
        FUSE.left = None
        np.testing.assert_equal(shown, twin.step(actions))
    assert failed


@given(
    st.integers(0, 2**32),
    st.sampled_from(["next_step", "same_step"]),
    st.sampled_from([None, "atommem"]),
    st.sampled_from([{}, {"early_answer": True}, {"max_steps": 4}, {"max_episode_steps": 3}]),
)
@settings(max_examples=6)
def test_an_autoreset_that_fails_leaves_all_environments_as_they_were(
    seed: int, mode: str, protocol: str | None, own: dict[str, Any]
) -> None:
    draw = random.Random(seed)
    tasks = FragileTasks(DATA, 6, 1, 150, 0)
    FUSE.left = None
    envs, twin = (
        MemoryVectorEnv(3, mode, protocol=protocol, data=tasks, max_looks=1, **own) for _ in range(2)
    )

    def all_states() -> list[Any]:
        generators = [generator.bit_generator.state for generator in envs.np_random]
        counted = [vars(env).get("_num_malformed") for env in envs.envs]
        return [*(state(env.unwrapped) for env in envs.envs), generators, counted]  # type: ignore[arg-type]

    def draw_any() -> Any:
        texts = ("<answer>a</answer>", "<read_memory>a</read_memory>", "<update_memory>", "a")
        return draw_action(draw) if protocol is None else draw.choice(texts)

    for each in (envs, twin):
        each.reset(seed=1)
    failed = 0
    for number in range(12):
        actions, before = tuple(draw_any() for _ in range(3)), all_states()
        reset = number % 6 == 5
        FUSE.left = draw.choice((0, 0, 1, 2))
        try:
            shown = envs.reset() if reset else envs.step(actions)
        except BrokenError:
            failed += 1
            assert all_states() == before
            shown = envs.reset() if reset else envs.step(actions)
        FUSE.left = None
        np.testing.assert_equal(shown, twin.reset() if reset else twin.step(actions))
    assert failed


def test_what_is_this_packages_own_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from atommem_env.core.episode import Episode

    monkeypatch.delattr(Episode, "_snapshot")
    for own in ({}, {"retriever": "random"}):
        env = MemoryEnv(DATA, **SMALL, **own)
        env.reset(seed=0)
        env.step([Create("x"), Read("x")])
