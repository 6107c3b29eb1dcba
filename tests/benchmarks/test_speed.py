"""What a reset and a step cost, beside what a user would do instead.

pytest tests/benchmarks --benchmark-enable --benchmark-columns=median,iqr,rounds --benchmark-group-by=group

Without ``--benchmark-enable`` each runs once, on small data, as a check that it works. Nothing asserts a time.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from rank_bm25 import BM25Plus

from atommem_env import Create, Delete, MemoryEnv, QADataset, Read
from atommem_env.data.sources import open_dataset
from atommem_env.data.world import WorldConfig
from atommem_env.envs.hotpotqa import HOTPOTQA
from atommem_env.memory import MemoryStore
from atommem_env.retrieval import BM25
from atommem_env.text import tokens

WORDS = [f"word{number}" for number in range(5000)]


def text(generator: random.Random, count: int) -> str:
    """Return ``count`` words; low numbers are frequent, as words are."""
    return " ".join(WORDS[int(5000 * generator.random() ** 3)] for _ in range(count))


def world(questions: int) -> QADataset:
    return open_dataset(HOTPOTQA, "generated", "train", WorldConfig(size=questions))


@pytest.fixture(scope="module")
def sample(samples: Path) -> QADataset:
    return open_dataset(HOTPOTQA, samples / "hotpot_dev_distractor_v1.sample.json.gz")


@pytest.mark.parametrize("num_docs", [200, 800])
@pytest.mark.benchmark(group="reset, the HotpotQA sample as pool")
def test_reset(benchmark: Any, sample: QADataset, num_docs: int) -> None:
    env = MemoryEnv(sample, num_docs=num_docs)
    env.reset(seed=0)
    benchmark.pedantic(env.reset, rounds=100, warmup_rounds=3)


@pytest.mark.parametrize("questions", [1_000, 50_000])
@pytest.mark.benchmark(group="reset of 200 documents, by questions in the dataset (generated world)")
def test_reset_does_not_depend_on_the_dataset(benchmark: Any, questions: int) -> None:
    env = MemoryEnv(world(questions if benchmark.enabled else 50), num_docs=200)
    env.reset(seed=0)
    benchmark.pedantic(env.reset, rounds=100, warmup_rounds=3)


@pytest.mark.benchmark(group="step of one Create and one Read, 200 entries of 60 tokens")
def test_step(benchmark: Any, sample: QADataset) -> None:
    generator = random.Random(0)
    env = MemoryEnv(sample, num_docs=800, num_questions=10, chunk_tokens=200, chunk_overlap=0)
    env.reset(seed=0, options={"task_index": 0})
    env.step([Create(text(generator, 60)) for _ in range(200)])
    actions = iter(
        [[Delete(n + 1), Create(text(generator, 60)), Read(text(generator, 8))] for n in range(300)]
    )
    benchmark.pedantic(env.step, setup=lambda: ((next(actions),), {}), rounds=250)


@pytest.mark.parametrize("entries", [50, 200, 1000])
@pytest.mark.benchmark(group="read after a write, entries of 60 tokens")
@pytest.mark.parametrize("index", ["this package", "rank_bm25 rebuilt"])
def test_read_after_write(benchmark: Any, index: str, entries: int) -> None:
    generator = random.Random(0)
    contents = [text(generator, 60) for _ in range(entries)]
    store = MemoryStore(BM25)
    for content in contents:
        store.create(content)
    corpus = [tokens(content) for content in contents]

    def ours(content: str, query: str) -> None:
        store.update(1 + generator.randrange(entries), content)
        store.search(query, 6)

    def rebuilt(content: str, query: str) -> None:
        corpus[generator.randrange(entries)] = tokens(content)
        scores = BM25Plus(corpus).get_scores(tokens(query))
        scores.argsort()[::-1][:6]

    function = ours if index == "this package" else rebuilt
    rounds = 200 if benchmark.enabled else 1
    benchmark.pedantic(function, setup=lambda: ((text(generator, 60), text(generator, 8)), {}), rounds=rounds)
