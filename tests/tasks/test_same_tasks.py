"""The hash of data, and the tasks made of it, stay what they always were."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from atommem_env import QADataset
from atommem_env.data.benchmark import Benchmark
from atommem_env.data.sources import open_dataset
from atommem_env.envs.hotpotqa import HOTPOTQA
from atommem_env.envs.musique import MUSIQUE
from atommem_env.envs.wiki2 import WIKI2
from atommem_env.tasks.pooled import PooledTasks


def fingerprints(data: QADataset) -> list[str]:
    """Return a digest of tasks 0, 1 and 77: their ids, questions, documents, text, chunks and evidence."""
    tasks = PooledTasks(data)
    made = []
    for index in (0, 1, 77):
        task = tasks.build(index)
        questions = [(q.id, q.type, q.question, q.answers, q.gold) for q in task.questions]
        parts = (
            task.id,
            task.text,
            task.chunks,
            task.chunk_sizes,
            [unit[:4] for unit in task.units],
            questions,
            [tuple(document) for document in task.documents],
        )
        made.append(hashlib.sha256(repr(parts).encode()).hexdigest()[:16])
    return made


@pytest.mark.parametrize(
    ("rows_of", "file", "data_hash", "tasks"),
    [
        (
            HOTPOTQA,
            "hotpot_dev_distractor_v1.sample.json.gz",
            "e47bac77c85af0aee34f475e4c9ee135",
            ["7f30d966ca67db4a", "ae0b33aff801ad18", "42a9ab27c8140df0"],
        ),
        (
            WIKI2,
            "2wikimultihopqa_dev.sample.json.gz",
            "c244193fe16f6d5569cf852feaeb5b99",
            ["41cb1614c367add3", "a2bf235847bd8e31", "9dee6f056fedf7ba"],
        ),
        (
            MUSIQUE,
            "musique_ans_v1.0_dev.sample.jsonl.gz",
            "ac97ac3ff807963b7348f2c01c426017",
            ["5fe83feee8f7b3cd", "93c1118b49b1b789", "538b38c6fee561ab"],
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Benchmark) else None,
)
def test_the_samples_tasks(
    samples: Path, rows_of: Benchmark, file: str, data_hash: str, tasks: list[str]
) -> None:
    data = open_dataset(rows_of, samples / file)
    assert data.hash == data_hash
    assert fingerprints(data) == tasks


def _world(**arguments: Any) -> QADataset:
    data: QADataset = gym.make("AtomMem-World-v0", **arguments).get_wrapper_attr("dataset")
    return data


def test_the_worlds_tasks() -> None:
    data = _world()
    assert data.hash == "8e2d11d98d3f7237b8de2a3d9fef621a"
    assert fingerprints(data) == ["c38989c961c0b301", "a63423f326f0e3e8", "744d84de49f1c8a5"]


def test_the_tasks_of_a_world_with_revisions() -> None:
    data = _world(split="train", revisions=0.3)
    assert data.hash == "84d86ad9ef3bca361e206d840e5d4938"
    assert fingerprints(data) == ["7bab24d5adc75b4a", "ce647d015420ab94", "e2e5f959a123e248"]
