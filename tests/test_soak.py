"""Many episodes in a row: the same bytes however they are run, and nothing that grows or is left behind.

pytest tests/test_soak.py -m heavy -n 0    # 20,000 short episodes and 200 of 800 documents, each three ways
"""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import msgspec
import numpy as np
import pytest
from gymnasium.vector.utils import iterate

from atommem_env import Trace, rollout
from atommem_env.baselines import make_policy
from atommem_env.policies import plain_action
from atommem_env.vector.vector_env import MemoryVectorEnv

ENV = "AtomMem-World-v0"
SHORT = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 500, "world_size": 60}
LONG = {"num_docs": 800, "world_size": 500}
MEBIBYTE = 2**20


# --- three ways to run the same episodes ------------------------------------------------------------


def digest_of(trace: Trace) -> bytes:
    """Return a digest of everything that an episode showed, did and earned."""
    record = (trace.task_id, trace.actions, trace.observations, trace.rewards, trace.metrics, trace.truncated)
    return hashlib.blake2b(msgspec.json.encode(record, order="deterministic"), digest_size=16).digest()


def one_by_one(policy: str, arguments: dict[str, Any], indices: Sequence[int]) -> Iterator[bytes]:
    """Yield the digests of episodes that run in this process, one after the other."""
    env = gym.make(ENV, disable_env_checker=True, **arguments)
    agent = make_policy(policy)
    for index in indices:
        yield digest_of(rollout(env, agent, options={"task_index": index}))
    env.close()


def slice_of(work: tuple[str, dict[str, Any], Sequence[int]]) -> list[bytes]:
    """Return the digests of a worker's share."""
    return list(one_by_one(*work))


def in_processes(count: int, policy: str, arguments: dict[str, Any], indices: Sequence[int]) -> list[bytes]:
    """Return the digests of episodes that ``count`` new processes share."""
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        shares = pool.map(slice_of, [(policy, arguments, indices[part::count]) for part in range(count)])
        pool.close()
        pool.join()
    found = [b""] * len(indices)
    for part, share in enumerate(shares):
        found[part::count] = share
    return found


def in_lockstep(
    num_envs: int, policy: str, arguments: dict[str, Any], indices: Sequence[int]
) -> Iterator[tuple[int, bytes]]:
    """Yield (index, digest) of episodes of a vector environment, each place going on with the next task."""
    env = MemoryVectorEnv(num_envs, autoreset_mode="disabled", env=ENV, **arguments)
    agents = [make_policy(policy) for _ in range(num_envs)]
    todo = iter(indices)
    tasks: list[int | None] = [next(todo, None) for _ in range(num_envs)]
    traces: list[Trace] = [Trace("", 0, "")] * num_envs
    observations, infos = env.reset(options={"task_index": tasks})
    fresh = [place for place, task in enumerate(tasks) if task is not None]
    while True:
        shown = [plain(one) for one in iterate(env.observation_space, observations)]
        for place in fresh:
            # The engine goes by the source, the size of entries by the rules.
            told = ("task_id", "source", "rules")
            info = {"task_index": tasks[place], **{key: infos[key][place] for key in told}}
            agents[place].reset(shown[place], info)
            traces[place] = Trace.begin(shown[place], info)
        actions = [agent.act(one, {}) for agent, one in zip(agents, shown, strict=True)]
        observations, rewards, terminated, truncated, _ = env.step(actions)
        for place, one in enumerate(iterate(env.observation_space, observations)):
            traces[place].add(
                plain_action(actions[place]),
                plain(one),
                float(rewards[place]),
                bool(terminated[place]),
                bool(truncated[place]),
                {},
            )
        done = terminated | truncated
        fresh = []
        if not done.any():
            continue
        for place in np.flatnonzero(done):
            trace = traces[place]
            trace.metrics = env.envs[place].get_wrapper_attr("metrics")()
            if tasks[place] is not None:
                yield trace.task_index, digest_of(trace)
            tasks[place] = next(todo, None)
        if all(task is None for task in tasks):
            break
        # A place without a task goes on with one that nobody counts, as long as others work.
        observations, infos = env.reset(options={"reset_mask": done, "task_index": tasks})
        fresh = [int(place) for place in np.flatnonzero(done)]
    env.close()


def plain(observation: Any) -> Any:
    """Return a place's observation with plain Python numbers, as the single environment shows it."""
    return {
        key: value.item() if isinstance(value, (np.generic, np.ndarray)) else value
        for key, value in observation.items()
    }


# --- what must not grow -----------------------------------------------------------------------------


def resident() -> int:
    """Return the resident memory of this process in bytes; 0 where /proc does not tell."""
    gc.collect()
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def descriptors() -> int:
    """Return the number of open file descriptors; 0 where /proc does not tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


@contextmanager
def nothing_left() -> Iterator[None]:
    """Check that the block leaves no file descriptor, thread or child process behind."""
    before = descriptors(), threading.active_count()
    yield
    gc.collect()
    for _ in range(100):  # what has been told to stop may take a moment
        if (descriptors(), threading.active_count()) <= before and not multiprocessing.active_children():
            break
        time.sleep(0.05)
    assert multiprocessing.active_children() == []
    assert threading.active_count() <= before[1]
    assert descriptors() <= before[0]


class Watch:
    """Looks at the resident memory at a quarter of the way and after each further quarter."""

    def __init__(self, total: int) -> None:
        self._quarter = max(1, total // 4)
        self._seen = 0
        self.sizes: list[int] = []

    def note(self) -> None:
        self._seen += 1
        if self._seen % self._quarter == 0:
            self.sizes.append(resident())

    @property
    def growth(self) -> int:
        """Bytes by which the memory grew after the first quarter, the warm-up."""
        return self.sizes[-1] - self.sizes[0]


def soak(
    policy: str, arguments: dict[str, Any], episodes: int, num_envs: int, processes: int, allowed: int
) -> None:
    """Run the same episodes three ways and compare; ``allowed`` bytes of growth count as flat."""
    indices = range(episodes)
    list(one_by_one(policy, arguments, range(2)))  # what is loaded once
    with nothing_left():
        watch, single = Watch(episodes), []
        for found in one_by_one(policy, arguments, indices):
            single.append(found)
            watch.note()
        assert watch.growth <= allowed, watch.sizes
    assert len(set(single)) > episodes // 2
    with nothing_left():
        watch, together = Watch(episodes), {}
        for index, found in in_lockstep(num_envs, policy, arguments, indices):
            together[index] = found
            watch.note()
        assert watch.growth <= allowed, watch.sizes
    assert [together[index] for index in indices] == single
    # The pool's own helper (the resource tracker) outlives it by design, with one descriptor.
    in_processes(1, policy, arguments, range(1))
    with nothing_left():
        assert in_processes(processes, policy, arguments, indices) == single


@pytest.mark.heavy
def test_short_episodes_are_the_same_in_every_way_and_leave_nothing() -> None:
    soak("random", SHORT, episodes=240, num_envs=16, processes=2, allowed=16 * MEBIBYTE)


@pytest.mark.heavy
def test_twenty_thousand_short_episodes() -> None:
    soak("random", SHORT, episodes=20_000, num_envs=64, processes=4, allowed=8 * MEBIBYTE)


@pytest.mark.heavy
def test_two_hundred_episodes_of_800_documents() -> None:
    soak("rag", LONG, episodes=200, num_envs=16, processes=4, allowed=24 * MEBIBYTE)
