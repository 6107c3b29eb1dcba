"""What the choices of classic RL cost, beside the environment beneath.

pytest tests/benchmarks/test_choices.py -n 0 --benchmark-enable --benchmark-columns=median,iqr,rounds

Each is one episode of 200 documents of the generated world; divide by the choices that are printed. Without
``--benchmark-enable`` each runs once, on 60 documents, as a check that it works. Nothing asserts a time.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from atommem_env import DiscreteOperations

PROTOCOL: dict[str, Any] = {"capacity": 20, "entry_tokens": 256, "scratchpad_tokens": 256}


def choose(env: DiscreteOperations, generator: np.random.Generator) -> int:
    """Play an episode: create or replace one candidate of four, skip the others; return the number of choices."""
    env.reset(options={"task_index": 0})
    over, choices = False, 0
    while not over:
        masks = env.action_masks()
        writes = np.flatnonzero(masks[1:-1]) + 1
        write = len(writes) and (masks[1] or generator.random() < 0.25)
        _, _, terminated, truncated, _ = env.step(int(writes[0] if write else np.flatnonzero(masks)[0]))
        over, choices = terminated or truncated, choices + 1
    return choices


def skip(env: gym.Env[Any, Any]) -> None:
    """Play an episode of the environment beneath, without writing anything."""
    env.reset(options={"task_index": 0})
    over = False
    while not over:
        _, _, terminated, truncated, _ = env.step([])
        over = terminated or truncated


@pytest.mark.parametrize("questions", [1, 4, 10])
@pytest.mark.benchmark(group="an episode of 200 documents, the choices")
def test_choices(benchmark: Any, questions: int) -> None:
    docs = 200 if benchmark.enabled else 60
    made = gym.make("AtomMem-World-v0", num_docs=docs, num_questions=questions, **PROTOCOL)
    env = DiscreteOperations(made, reward="evidence")
    generator = np.random.default_rng(0)
    choices = benchmark.pedantic(lambda: choose(env, generator), rounds=10 if benchmark.enabled else 1)
    print(f"{choices} choices")


@pytest.mark.benchmark(group="an episode of 200 documents, nothing written")
def test_the_environment_beneath(benchmark: Any) -> None:
    docs = 200 if benchmark.enabled else 60
    env = gym.make("AtomMem-World-v0", num_docs=docs, num_questions=4, **PROTOCOL)
    benchmark.pedantic(lambda: skip(env), rounds=10 if benchmark.enabled else 1)
