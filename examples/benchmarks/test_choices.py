"""What the choices of classic RL cost, next to the environment beneath: one episode of the generated world."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from measuring import Row

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


def skip(env: gym.Env[Any, Any]) -> int:
    """Play an episode of the environment beneath, without writing anything."""
    env.reset(options={"task_index": 0})
    over = False
    while not over:
        _, _, terminated, truncated, _ = env.step([])
        over = terminated or truncated
    return 0


@pytest.mark.parametrize("what", ["its choices", "the environment beneath, nothing written"])
@pytest.mark.parametrize("questions", [1, 4, 10])
def test_choices(benchmark: Any, row: Row, what: str, questions: int) -> None:
    docs = 200 if benchmark.enabled else 60
    made = gym.make("AtomMem-World-v0", num_docs=docs, num_questions=questions, **PROTOCOL)
    generator = np.random.default_rng(0)
    env = DiscreteOperations(made, reward="evidence") if what == "its choices" else None
    choices = row(
        lambda: skip(made) if env is None else choose(env, generator),
        table="An episode of 200 documents through DiscreteOperations",
        name=what,
        column=f"{questions} questions",
        than="the environment beneath, nothing written",
    )
    if env is not None:
        benchmark.extra_info["note"] = f"{choices} choices"
