"""Generative Agents: importance, retrieval by recency, relevance and importance, and reflection."""

from __future__ import annotations

import re
from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.baselines.engines.engine import Insight
from atommem_env.baselines.generative_agents import (
    VARIANTS,
    combined,
    recency_by_age,
    recency_by_rank,
    scaled,
)
from scripted import ScriptedEngine, operations, play

FOCAL = ("Which river?", "Which hall?", "Which painter?")


def queries(action: Any) -> list[str]:
    return [item["query"] for item in action if item["op"] == "read"]


def engine(importance: Any = lambda _: 5, insights: Any = lambda *_: []) -> ScriptedEngine:
    return ScriptedEngine(
        rate_importance=importance,
        focal_questions=lambda texts, count: list(FOCAL),
        insights=insights,
    )


def agent(spy: ScriptedEngine, **arguments: Any) -> Any:
    return make_policy("generative-agents", engine=spy, **arguments)


# --- the formulas, at fixed points ------------------------------------------------------------------


def test_recency_in_the_paper_falls_with_the_steps_since_the_last_access() -> None:
    assert recency_by_age([10, 9, 0], now=10) == pytest.approx([1.0, 0.995, 0.951110])


def test_recency_in_the_code_is_highest_for_what_was_not_accessed_longest() -> None:
    assert recency_by_rank([7, 2, 5]) == pytest.approx([0.970299, 0.99, 0.9801])
    assert recency_by_rank([3, 3]) == pytest.approx([0.99, 0.9801])


def test_parts_are_scaled_over_the_candidates() -> None:
    assert scaled([2.0, 4.0, 3.0]) == [0.0, 1.0, 0.5]
    assert scaled([7.0, 7.0]) == [0.5, 0.5]
    assert scaled([]) == []


def test_the_variants_weigh_the_parts_differently() -> None:
    parts: Any = ([0.0, 1.0], [1.0, 0.0], [3, 3])
    assert combined(VARIANTS["paper"], *parts) == [1.5, 1.5]
    assert combined(VARIANTS["code"], *parts) == [4.0, 1.5]


# --- what it does -----------------------------------------------------------------------------------


def test_each_document_is_rated_and_created_and_nothing_is_changed() -> None:
    spy = engine()
    trace = play(agent(spy))
    created = [operation["content"] for operation in operations(trace, "create")]
    assert [text for (text,) in spy.calls["rate_importance"]] == created
    assert len(created) == 10
    assert operations(trace, "update", "delete") == []
    assert spy.calls["focal_questions"] == []


def test_enough_importance_sets_off_a_reflection_on_the_documents_just_read() -> None:
    spy = engine()
    trace = play(agent(spy, reflect_after=40))  # each document counts 5: the eighth sets it off
    ((texts, count),) = spy.calls["focal_questions"]
    (reflecting,) = [action for action in trace.actions[:3] if FOCAL[0] in queries(action)]
    assert texts == [item["content"] for item in reflecting if item["op"] == "create"]
    assert queries(reflecting) == list(FOCAL)
    assert count == 3


def test_insights_come_with_the_next_action_and_name_the_entries_they_rest_on() -> None:
    spy = engine(insights=lambda question, texts, count: [Insight(f"So: {question}", (0, 99)), Insight(" ")])
    trace = play(agent(spy, reflect_after=5))
    shown = trace.observations[1]["retrieved"]
    asked = [question for number, question in enumerate(FOCAL) if any(e["query"] == number for e in shown)]
    insights = [item["content"] for item in trace.actions[1] if item.get("content", "").startswith("So")]  # type: ignore[union-attr]
    assert asked
    assert len(insights) == len(asked)
    for insight, question in zip(insights, asked, strict=True):
        found = re.fullmatch(r"So: (.*) \(because of (\d+)\)", insight)
        assert found is not None
        assert found[1] == question
        assert int(found[2]) in {entry["id"] for entry in shown}


def test_the_counter_starts_anew_after_a_reflection() -> None:
    spy = engine(importance=lambda _: 10)
    play(agent(spy, reflect_after=30))
    assert len(spy.calls["focal_questions"]) == 3  # 10 documents in 3 chunks of 3 or 4
    spy = engine(importance=lambda _: 10)
    play(agent(spy, reflect_after=60))
    assert len(spy.calls["focal_questions"]) == 1


def test_the_insights_of_the_last_chunk_come_with_the_first_look() -> None:
    spy = engine(insights=lambda question, texts, count: [Insight("So it is.")])
    trace = play(agent(spy, reflect_after=5))
    assert [item["op"] for item in trace.actions[3]][-1] == "read"  # type: ignore[index]
    assert {"op": "create", "content": "So it is."} in trace.actions[3]
    spy = engine(insights=lambda question, texts, count: [Insight("So it is.")])
    trace = play(agent(spy, reflect_after=5), max_looks=0)
    assert [item["op"] for item in trace.actions[3]] == ["answer"]  # type: ignore[index]


def test_a_question_is_looked_up_among_many_candidates_and_answered_from_few() -> None:
    spy = engine()
    trace = play(agent(spy, top=2))
    (question,) = trace.observations[0]["questions"]
    assert trace.actions[3] == [{"op": "read", "query": question, "k": 32}]
    ((_, passages),) = spy.calls["answer"]
    assert len(passages) == 2 < len(trace.observations[4]["retrieved"])


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_importance_moves_an_entry_up(variant: str) -> None:
    plain = engine()
    play(agent(plain, top=2, variant=variant))
    ((_, (_, second)),) = plain.calls["answer"]
    spy = engine(importance=lambda text: 10 if text == second else 1)
    play(agent(spy, top=2, variant=variant))
    ((_, (first, _)),) = spy.calls["answer"]
    assert first == second


def test_what_is_retrieved_counts_as_accessed() -> None:
    spy = engine()
    policy = agent(spy, top=2)
    trace = play(policy, num_questions=2)
    touched = {id: note.last for id, note in policy._memory.records.items()}
    assert sorted(set(touched.values()))[-1] == len(trace.actions) - 1
    assert sum(last == len(trace.actions) - 1 for last in touched.values()) == 2


def test_a_full_memory_refuses_and_that_is_counted() -> None:
    trace = play(agent(engine()), capacity=4)
    assert trace.metrics["refused"]["capacity"] == 6
    assert trace.metrics["memory_size"] == 4


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_with_rules_it_reflects_and_finds_the_evidence(variant: str) -> None:
    trace = play(make_policy("generative-agents", variant=variant, reflect_after=20))
    (question,) = trace.metrics["questions"]
    assert question["evidence"]["read"] == 1.0
    insights = [item["content"] for item in operations(trace, "create") if "(because of " in item["content"]]
    assert 1 <= len(insights) <= 3 * 3 * 5


@pytest.mark.parametrize(
    "bad", [{"candidates": 0}, {"candidates": 33}, {"top": 0}, {"reflect_after": 0}, {"variant": "fast"}]
)
def test_bad_arguments_are_named(bad: dict[str, Any]) -> None:
    ((name, value),) = bad.items()
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        make_policy("generative-agents", **bad)
