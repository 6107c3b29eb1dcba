"""What a reset and a step cost, beside what a user would do instead.

pytest tests/benchmarks -n 0 --benchmark-enable --benchmark-columns=median,iqr,rounds --benchmark-group-by=group

Without ``--benchmark-enable`` each runs once, on small data, as a check that it works. Nothing asserts a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from atommem_env import Create, MemoryEnv, QADataset
from atommem_env.bench.environments import actions, bare_calls, make_vector
from atommem_env.bench.mix import Source
from atommem_env.core.memory import MemoryStore
from atommem_env.core.operations import Operation
from atommem_env.data.sources import open_dataset
from atommem_env.data.world import WorldConfig
from atommem_env.envs.hotpotqa import HOTPOTQA
from atommem_env.retrieval import BM25


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


@pytest.mark.benchmark(group="step of three Creates and a Read, 200 entries of 60 words")
@pytest.mark.parametrize("what", ["environment", "bare store"])
def test_step(benchmark: Any, what: str) -> None:
    rounds = 150 if benchmark.enabled else 2
    source = Source(0)
    env = MemoryEnv(world(100), num_docs=800, num_questions=10, chunk_tokens=500, chunk_overlap=0)
    env.reset(seed=0, options={"task_index": 0})
    store = MemoryStore(BM25)
    contents = source.texts(200)
    env.step([Create(content) for content in contents])
    for content in contents:
        store.create(content)

    def bare(action: list[Operation]) -> None:
        for function, arguments in bare_calls(store, action):
            function(*arguments)

    planned = iter(actions(source, rounds))
    step = env.step if what == "environment" else bare
    benchmark.pedantic(step, setup=lambda: ((next(planned),), {}), rounds=rounds)


@pytest.mark.benchmark(group="a step of each of 16 environments, 200 documents")
@pytest.mark.parametrize("kind", ["memory", "sync"])
def test_vector_step(benchmark: Any, kind: str) -> None:
    source = Source(0)
    env = make_vector(kind, 16, source=world(100), num_docs=200)
    rounds = 10 if benchmark.enabled else 1  # fewer than an episode's steps

    def setup() -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (actions(source, 16),), {}

    env.reset(seed=0)
    try:
        benchmark.pedantic(env.step, setup=setup, rounds=rounds)
    finally:
        env.close()
