"""AtomMem-Chat-v0: the generated world in conversation."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

from atommem_env import rollout
from atommem_env.baselines import make_policy

SMALL: dict[str, Any] = {"histories": 3, "sessions": 8, "turns": 8, "questions": 8}


def test_the_knobs_are_arguments_and_stand_in_the_source() -> None:
    env = gym.make("AtomMem-Chat-v0", **SMALL, unanswerable=0.5, world_seed=4)
    observation, info = env.reset(seed=0)
    assert (observation["num_chunks"], observation["num_questions"]) == (8, 8)
    assert observation["questions"] == ()
    assert observation["now"].startswith("20")
    assert info["source"].startswith("generated:chat(seed=4,size=3,sessions=8,turns=8,unanswerable=0.5,")
    assert info["rules"].abstain == "Not enough information"
    assert sum(question["evidence"] == [] for question in info["gold"]) == 4
    assert env.get_wrapper_attr("num_tasks") == 3


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"turns": 3}, "turns=3: expected an even number"),
        ({"sessions": 4, "turns": 4}, "16 questions need 64 exchanges, and there are 8"),
        ({"noise": 2}, "noise=2: expected a number from 0 to 1"),
        ({"num_docs": 20}, "num_docs=20: a history is read whole"),
        ({"source": "hub"}, "source='hub': the generated world in conversation makes its data"),
    ],
)
def test_what_cannot_be_is_said(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        gym.make("AtomMem-Chat-v0", **arguments)


def test_guessing_scores_nothing_on_what_can_be_answered() -> None:
    env = gym.make("AtomMem-Chat-v0", **SMALL, unanswerable=0.25)
    outcomes = rollout(env, make_policy("closed-book"), options={"task_index": 0}).metrics["questions"]
    assert [outcome["em"] for outcome in outcomes if outcome["num_evidence"]] == [0.0] * 6
    assert [outcome["em"] for outcome in outcomes if not outcome["num_evidence"]] == [1.0] * 2


@pytest.mark.parametrize(
    "id", ["AtomMem-LoCoMo-v0", pytest.param("AtomMem-LongMemEval-v0", marks=pytest.mark.heavy)]
)
def test_the_chats_stand_in_for_benchmarks_in_their_schemas(id: str) -> None:
    env = gym.make(id, source="generated")
    observation, info = env.reset(seed=0)
    assert info["source"].startswith("generated:chat(seed=0,size=100)")
    assert observation["num_chunks"] == 20
    assert observation["chunk"].startswith("Session 1 (")


def test_a_perfect_memory_scores_100() -> None:
    env = gym.make("AtomMem-Chat-v0", **SMALL, unanswerable=0.25)
    for index in range(3):
        metrics = rollout(env, make_policy("oracle"), options={"task_index": index}).metrics
        assert metrics["em"] == 1.0
        assert all(
            question["evidence"]["kept"] == 1.0
            for question in metrics["questions"]
            if question["num_evidence"]
        )


def test_keeping_what_matters_beats_every_rule_that_does_not_look() -> None:
    env = gym.make("AtomMem-Chat-v0", histories=3, capacity=26)
    score = {
        name: sum(
            rollout(env, make_policy(name), options={"task_index": index}).metrics["em"] for index in range(3)
        )
        for name in ("oracle", "abstain", "vague", "closed-book", "recency", "reservoir", "rag")
    }
    best = score.pop("oracle")
    assert best == 3.0
    assert all(other < best - 1 for other in score.values())
