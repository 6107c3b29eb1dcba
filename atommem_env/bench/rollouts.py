"""What a group costs with a real encoder: rollouts of one task that write the same, together or one by one."""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple

import gymnasium as gym

from atommem_env.bench.environments import ENV, make_vector
from atommem_env.core.operations import Create, Operation, Read
from atommem_env.data.dataset import QADataset
from atommem_env.retrieval.encoders import CachedEncoder, make_encoder
from atommem_env.tasks.documents import split_documents

ROLLOUTS: Final = 16
DOCS: Final = 20
CHUNK: Final = 512


class Group(NamedTuple):
    """What the rollouts of a task took.

    Attributes:
        steps: steps of single environments.
        batches: steps of all at once, or of one at a time.
        asked: distinct pairs of kind and text that the searches were about.
        calls: calls of the encoder.
        texts: texts that it was given, all calls together.
        seconds: of the steps, resets left out.
    """

    steps: int
    batches: int
    asked: int
    calls: int
    texts: int
    seconds: float


def measure_rollouts(dataset: QADataset, encoder: object) -> dict[str, Group]:
    """Return what 16 rollouts of one task take together, with a cache, and one by one without.

    Every rollout stores each document of a chunk, reads for each question, and ends with its last chunk.

    Args:
        dataset: the pool; a task has 20 documents.
        encoder: what encodes, as an environment's ``encoder`` takes it.
    """
    inner = make_encoder(encoder).encoder
    inner.encode(["what is done once"], "document")
    arguments: dict[str, Any] = {
        "source": dataset,
        "num_docs": min(DOCS, dataset.num_paragraphs),
        "chunk_tokens": CHUNK,
        "chunk_overlap": 0,
        "retriever": "dense",
    }
    together = CachedEncoder(inner)
    envs = make_vector("memory", ROLLOUTS, encoder=together, **arguments)
    observations, _ = envs.reset(options={"task_index": 0})
    asked: set[tuple[str, str]] = set()
    batches, spent = 0, 0.0
    while not any(observations["phase"]):
        plan = [
            _action(*shown) for shown in zip(observations["chunk"], observations["questions"], strict=True)
        ]
        asked.update(_texts(plan[0]))
        start = time.perf_counter()
        observations = envs.step(plan)[0]
        spent += time.perf_counter() - start
        batches += 1
    envs.close()
    found = {
        "together": Group(ROLLOUTS * batches, batches, len(asked), together.calls, together.texts, spent)
    }

    steps, spent = 0, 0.0
    alone = CachedEncoder(inner, size=1)
    env: gym.Env[Any, Any] = gym.make(ENV, encoder=alone, disable_env_checker=True, **arguments)
    for _ in range(ROLLOUTS):
        observation, _ = env.reset(options={"task_index": 0})
        while not observation["phase"]:
            action = _action(observation["chunk"], observation["questions"])
            start = time.perf_counter()
            observation = env.step(action)[0]
            spent += time.perf_counter() - start
            steps += 1
    env.close()
    found["alone"] = Group(steps, steps, len(asked), alone.calls, alone.texts, spent)
    return found


def _action(chunk: str, questions: tuple[str, ...]) -> list[Operation]:
    texts = [piece.text for piece in split_documents(chunk) if piece.text.strip()]
    return [*map(Create, texts), *map(Read, questions)]


def _texts(action: list[Operation]) -> list[tuple[str, str]]:
    """Return what the searches after ``action`` are about."""
    return [
        ("query", item.query) if isinstance(item, Read) else ("document", item.content)
        for item in action
        if isinstance(item, (Create, Read))
    ]
