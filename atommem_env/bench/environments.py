"""What environments cost: a reset, a step beside the same operations on the bare store, many at once."""

from __future__ import annotations

import functools
import json
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from atommem_env.bench.mix import QUERY_WORDS, TOP_K, WIDTH, Source
from atommem_env.bench.timing import Call, Rounds, seconds, steady
from atommem_env.core.memory import MemoryStore
from atommem_env.core.operations import Create, Operation, Read
from atommem_env.core.resolve import resolve
from atommem_env.data.dataset import QADataset
from atommem_env.retrieval import BM25

ENV: Final = "AtomMem-HotpotQA-v0"
CREATES: Final = 3
STEP_CHUNK: Final = 256

Tick = Callable[[], None]


def pool(source: str, questions: int) -> QADataset:
    """Return the data that environments are measured on.

    Args:
        source: ``"generated"``, or what an environment's ``source`` takes.
        questions: the size of a generated world; each brings ten paragraphs.
    """
    if source != "generated":
        dataset: QADataset = gym.make(ENV, source=source, num_docs=2).get_wrapper_attr("dataset")
        return dataset
    from atommem_env.data.sources import open_dataset
    from atommem_env.data.world import WorldConfig

    benchmark: Any = resolve("atommem_env.envs.hotpotqa:HOTPOTQA")
    return open_dataset(benchmark, "generated", "validation", WorldConfig(size=questions))


def actions(source: Source, count: int) -> list[list[Operation]]:
    """Return actions of three Creates and a Read, every text a new one."""
    texts = iter(source.texts(CREATES * count))
    queries = source.texts(count, QUERY_WORDS)
    return [[*(Create(next(texts)) for _ in range(CREATES)), Read(query)] for query in queries]


# --- resets and steps -------------------------------------------------------------------------------


def measure_resets(
    dataset: QADataset, sizes: Sequence[int], rounds: int, tick: Tick
) -> dict[int, tuple[list[float], list[float]]]:
    """Return the milliseconds of resets by number of documents: of tasks seen first, and once more.

    Sizes that the data cannot fill are left out.
    """
    found: dict[int, tuple[list[float], list[float]]] = {}
    envs = {
        size: gym.make(ENV, source=dataset, num_docs=size, disable_env_checker=True)
        for size in sizes
        if size <= dataset.num_paragraphs
    }
    for size, env in envs.items():
        _reset(env, 10 * rounds)  # what a process does once is no part of a reset
        first = [_reset(env, index) for index in range(rounds)]
        with steady():
            found[size] = (first, [_reset(env, index) for _ in range(3) for index in range(rounds)])
        env.close()
        tick()
    return found


def _reset(env: gym.Env[Any, Any], index: int) -> float:
    start = time.perf_counter()
    env.reset(options={"task_index": index})
    return 1e3 * (time.perf_counter() - start)


def measure_steps(
    dataset: QADataset, sizes: Sequence[int], rounds: int, seed: int, tick: Tick, steps: int = 50
) -> dict[int, Rounds]:
    """Return the milliseconds of a step and of the same operations on the bare store, by entries there."""
    num_docs = min(800, dataset.num_paragraphs)
    found: dict[int, Rounds] = {}
    for size in sizes:
        env = gym.make(
            ENV,
            source=dataset,
            num_docs=num_docs,
            chunk_tokens=STEP_CHUNK,
            chunk_overlap=0,
            disable_env_checker=True,
        )
        source, store, found[size] = Source(seed), MemoryStore(BM25), Rounds()
        observation, _ = env.reset(seed=0)
        per_round = min(steps, (observation["num_chunks"] - 1) // rounds)  # all within one episode
        texts = source.texts(size)
        env.step([Create(text) for text in texts])
        for text in texts:
            store.create(text)
        for _ in range(rounds):
            # Texts of their own for each, so that neither finds the other's in a cache.
            stepping: list[Call] = [(env.step, (action,)) for action in actions(source, per_round)]
            bare = [call for action in actions(source, per_round) for call in bare_calls(store, action)]
            with steady():
                found[size].add("environment", 1e3 * seconds(stepping) / per_round)
                found[size].add("store", 1e3 * seconds(bare) / per_round)
        env.close()
        tick()
    return found


def bare_calls(store: MemoryStore, action: Sequence[Operation]) -> list[Call]:
    """Return what an action asks of the store."""
    return [
        (store.search, (item.query, TOP_K)) if isinstance(item, Read) else (store.create, (item.content,))
        for item in action
        if isinstance(item, (Create, Read))
    ]


# --- many at once -----------------------------------------------------------------------------------

VECTOR_LABELS: Final = {
    "memory": "MemoryVectorEnv",
    "dense": "MemoryVectorEnv, dense, given embeddings",
    "workers": "MemoryVectorEnv, 2 worker processes",
    "sync": "SyncVectorEnv",
    "store": "the bare stores",
}
"""What the lines of the throughput table are called."""


def given_embeddings(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return a vector for each text that costs nothing to make: the text's checksum chooses it."""
    rows = [zlib.crc32(text.encode()) % len(_bank()) for text in texts]
    return _bank()[rows]


@functools.lru_cache(maxsize=1)
def _bank() -> npt.NDArray[np.float32]:
    """Return random unit vectors."""
    bank = np.random.default_rng(0).standard_normal((4096, WIDTH), dtype=np.float32)
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    return bank


def make_vector(kind: str, count: int, **arguments: Any) -> Any:
    """Return ``count`` environments without autoreset: ``"memory"``, ``"dense"``, ``"workers"`` or ``"sync"``."""
    if kind == "dense":
        arguments = {"retriever": "dense", "encoder": given_embeddings, **arguments}
    if kind == "sync":
        return gym.make_vec(
            ENV,
            num_envs=count,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode.DISABLED},
            **arguments,
        )
    from atommem_env.vector.vector_env import MemoryVectorEnv

    workers = 2 if kind == "workers" else 0
    return MemoryVectorEnv(count, autoreset_mode="disabled", num_workers=workers, env=ENV, **arguments)


def measure_vector(
    dataset: QADataset, count: int, kinds: Sequence[str], rounds: int, steps: int, seed: int, tick: Tick
) -> tuple[Rounds, Rounds, float]:
    """Return steps per second with resets left out and with them, and the mean length of an episode.

    Each step of each environment is three Creates and a Read; nobody answers, so an episode ends when the
    looks of its last question are used up. The kinds take turns within a round.

    Args:
        dataset: the pool; a task has 200 documents.
        count: how many environments.
        kinds: keys of :data:`VECTOR_LABELS`.
        rounds: how many rounds.
        steps: at least so many steps of single environments in a round.
        seed: of the texts.
        tick: called after each kind's round.
    """
    without, including = Rounds(), Rounds()
    envs = {
        kind: make_vector(kind, count, source=dataset, num_docs=min(200, dataset.num_paragraphs))
        for kind in kinds
        if kind != "store"
    }
    batches = max(8, -(-steps // count))
    ended = 0
    source = Source(seed)
    try:
        for env in envs.values():
            env.reset(seed=seed)
            for _ in range(4):
                env.step([[Create(text)] for text in source.texts(count)])
        for turn in range(rounds):
            for kind in kinds:
                plan = [actions(source, count) for _ in range(batches)]
                if kind == "store":
                    without.add(kind, count * batches / _bare(count, plan))
                else:
                    stepping, resetting, over = _drive(envs[kind], plan, seed + 1000 * turn)
                    without.add(kind, count * batches / stepping)
                    including.add(kind, count * batches / (stepping + resetting))
                    ended = max(ended, over)
                tick()
    finally:
        for env in envs.values():
            env.close()
    return without, including, count * batches / max(ended, 1)


def _drive(env: Any, plan: Sequence[Any], seed: int) -> tuple[float, float, int]:
    """Return the seconds of the steps, those of the resets, and how many episodes ended."""
    stepping = resetting = 0.0
    over = 0
    with steady():
        start = time.perf_counter()
        env.reset(seed=seed)
        resetting += time.perf_counter() - start
        for actions_ in plan:
            start = time.perf_counter()
            _, _, terminated, truncated, _ = env.step(actions_)
            middle = time.perf_counter()
            done = terminated | truncated
            if done.any():
                env.reset(options={"reset_mask": done})
                resetting += time.perf_counter() - middle
                over += int(done.sum())
            stepping += middle - start
    return stepping, resetting, over


def _bare(count: int, plan: Sequence[Sequence[Sequence[Operation]]], episode: int = 20) -> float:
    """Return the seconds of the operations of ``plan`` on stores alone, begun anew after ``episode`` steps."""
    spent = 0.0
    stores: list[MemoryStore] = []
    with steady():
        for number, batch in enumerate(plan):
            if number % episode == 0:
                stores = [MemoryStore(BM25) for _ in range(count)]
            spent += seconds(
                [
                    call
                    for store, action in zip(stores, batch, strict=True)
                    for call in bare_calls(store, action)
                ]
            )
    return spent


# --- resident memory --------------------------------------------------------------------------------


def measure_resident(num_docs: int, count: int) -> dict[str, float] | None:
    """Return the resident MiB per environment, measured in a new process; ``None`` where /proc is missing.

    Returns:
        ``reset``: after a reset; ``stored``: with every document stored as an entry, at the episodes' end.
    """
    code = f"from atommem_env.bench.environments import resident; resident({num_docs}, {count})"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    found: dict[str, float] | None = json.loads(answer.splitlines()[-1])
    return found


def resident(num_docs: int, count: int) -> None:
    """Print what :func:`measure_resident` returns; run in a process of its own."""
    if resident_bytes() is None:
        print("null")
        return
    dataset = pool("generated", max(500, num_docs // 5))
    arguments = {"source": dataset, "num_docs": num_docs, "num_questions": 1}
    warm = make_vector(
        "memory", 2, **arguments
    )  # the pool's pages and the caches are no part of an environment
    for _ in _store_everything(warm, 0):
        pass
    env = make_vector("memory", count, **arguments)
    marks = [float(resident_bytes() or 0) for _ in _store_everything(env, 2)]
    print(json.dumps({"reset": _mib(marks[1] - marks[0], count), "stored": _mib(marks[2] - marks[0], count)}))


def _mib(size: float, count: int) -> float:
    return size / count / 2**20


def _store_everything(env: Any, first: int) -> Iterator[None]:
    """Store each document as an entry; yields before the reset, after it, and with all of them stored."""
    yield
    observation, _ = env.reset(options={"task_index": [first + i for i in range(env.num_envs)]})
    yield
    split = env.envs[0].unwrapped.split_documents
    # A document that a border cuts is stored in two pieces: memory is what counts here, not answers.
    while not np.any(observation["phase"]):
        batch = [
            [Create(piece.text) for piece in split(chunk) if piece.text.strip()]
            for chunk in observation["chunk"]
        ]
        observation, _, _, _, _ = env.step(batch)
    yield


def resident_bytes() -> int | None:
    """Return the resident memory of this process, or ``None`` where /proc does not tell."""
    import os

    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def medians(values: Sequence[float]) -> float:
    """Return the median of ``values``."""
    return statistics.median(values)
