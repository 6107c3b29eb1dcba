"""Mem0: facts are extracted, looked up with one look, decided on, and the decisions carried out in order."""

from __future__ import annotations

from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.baselines.engines.engine import Edit
from scripted import ScriptedEngine, operations, play

BUILT, BURNED, REBUILT = "The mill was built.", "The mill burned.", "The mill was built again."


def add(*facts: str) -> list[Edit]:
    return [Edit("add", fact) for fact in facts]


def mem0(facts: list[list[str]], decisions: Any, **arguments: Any) -> tuple[Any, ScriptedEngine]:
    """Return a policy that finds ``facts`` in the chunks, one list each, then none."""
    engine = ScriptedEngine(extract_facts=[*facts, []], decide_edits=decisions)
    return make_policy("mem0", engine=engine, **arguments), engine


def add_all(facts: Any, entries: Any) -> list[Edit]:
    return add(*facts)


def test_the_engine_extracts_facts_from_each_chunk_once_knowing_the_questions() -> None:
    policy, engine = mem0([[BUILT], [BURNED]], add_all)
    trace = play(policy)
    reading = [seen for seen in trace.observations if seen["phase"] == 0]
    chunks = list(dict.fromkeys(seen["chunk"] for seen in reading))
    assert engine.calls["extract_facts"] == [(reading[0]["questions"], chunk) for chunk in chunks]


@pytest.mark.parametrize(("variant", "k"), [("paper", 10), ("code", 5)])
def test_one_look_asks_for_the_entries_nearest_to_each_fact(variant: str, k: int) -> None:
    policy, _ = mem0([[BUILT], [BURNED, REBUILT]], add_all, variant=variant)
    trace = play(policy)
    assert trace.actions[0] == [{"op": "create", "content": BUILT}]  # nothing to find in an empty memory
    assert trace.actions[1] == [{"op": "read", "query": fact, "k": k} for fact in (BURNED, REBUILT)]
    assert trace.actions[2][:2] == [{"op": "create", "content": fact} for fact in (BURNED, REBUILT)]


def test_the_paper_decides_fact_by_fact_and_a_fact_meets_what_the_one_before_it_left() -> None:
    decisions = [add(BUILT), [Edit("update", "The mill was built, and burned.", 0)], []]
    policy, engine = mem0([[BUILT, BURNED], [REBUILT]], decisions, variant="paper")
    trace = play(policy)
    assert engine.calls["decide_edits"] == [
        ([BUILT], []),
        ([BURNED], [BUILT]),
        ([REBUILT], ["The mill was built, and burned."]),
    ]
    assert trace.actions[0] == [
        {"op": "create", "content": BUILT},
        {"op": "update", "id": 1, "content": "The mill was built, and burned."},
    ]
    assert trace.metrics["refused"]["unknown_id"] == 0


def test_the_code_decides_once_on_all_facts_and_all_entries_found() -> None:
    decisions = [add(BUILT, BURNED), [Edit("delete", "", 1), Edit("update", REBUILT, 0)]]
    policy, engine = mem0([[BUILT, BURNED], [REBUILT, "It has a mill."]], decisions, variant="code")
    trace = play(policy)
    (first, no_entries), (second, entries) = engine.calls["decide_edits"]
    assert (first, no_entries) == ([BUILT, BURNED], [])
    assert second == [REBUILT, "It has a mill."]
    assert sorted(entries) == sorted([BUILT, BURNED])
    by_number = {content: 1 if content == BUILT else 2 for content in entries}
    assert trace.actions[2][:-1] == [
        {"op": "delete", "id": by_number[entries[1]]},
        {"op": "update", "id": by_number[entries[0]], "content": REBUILT},
    ]
    assert trace.metrics["memory_size"] == 1


def test_the_additive_variant_adds_every_fact_and_looks_nothing_up() -> None:
    policy, engine = mem0([[BUILT, BURNED], [BUILT]], add_all, variant="additive")
    trace = play(policy)
    assert [item["content"] for item in operations(trace, "create")] == [BUILT, BURNED, BUILT]
    assert engine.calls["decide_edits"] == []
    assert len(operations(trace, "read")) == 1  # the question


def test_the_queries_of_a_look_do_not_stand_when_a_question_is_asked() -> None:
    policy, _ = mem0([[BUILT], [BURNED, REBUILT]], add_all)
    trace = play(policy)
    question = trace.observations[0]["questions"][0]
    assert trace.actions[2][-1] == {"op": "read", "query": question, "k": 1}
    assert trace.observations[3]["queries"] == (question,)


def test_a_look_that_leads_to_nothing_does_not_hold_the_cursor() -> None:
    policy, engine = mem0([[BUILT], [BURNED]], [add(BUILT), [Edit("none", BURNED)]])
    trace = play(policy)
    assert trace.actions[2] == []
    assert len(engine.calls["decide_edits"]) == 2


@pytest.mark.parametrize("variant", ["paper", "code"])
@pytest.mark.parametrize("entry", [-1, 7, None])
def test_a_decision_on_an_entry_that_was_not_shown_is_dropped(variant: str, entry: int | None) -> None:
    decisions = [[Edit("update", "x", entry), Edit("delete", "x", entry), Edit("none", "x", entry)]]
    policy, _ = mem0([[BUILT]], decisions, variant=variant)
    trace = play(policy)
    assert operations(trace, "create", "update", "delete") == []


def test_a_fact_may_change_an_entry_made_in_the_same_action_whatever_was_refused_before() -> None:
    decisions = [add("x " * 20), add(BUILT), add(BURNED), [Edit("update", REBUILT, 0)]]
    policy, engine = mem0([["Long.", BUILT], [BURNED, "The fire burned it."]], decisions, variant="paper")
    trace = play(policy, entry_tokens=10)
    assert trace.metrics["refused"]["too_long"] == 1  # and its id is spent
    assert trace.actions[2][:-1] == [
        {"op": "create", "content": BURNED},
        {"op": "update", "id": 3, "content": REBUILT},
    ]
    assert trace.metrics["refused"]["unknown_id"] == 0
    assert engine.calls["decide_edits"][-1] == (["The fire burned it."], [BURNED])


@pytest.mark.parametrize("variant", ["paper", "code", "additive"])
@pytest.mark.parametrize("changes", [{"max_looks": 0}, {"operations": ("create", "answer")}], ids=str)
def test_without_looks_or_reads_it_adds_what_it_finds(variant: str, changes: dict[str, Any]) -> None:
    policy, _ = mem0([[BUILT], [BURNED]], add_all, variant=variant)
    trace = play(policy, **changes)
    assert trace.metrics["memory_size"] == 2


def test_a_chunk_without_facts_is_passed_over_and_blank_facts_are_none() -> None:
    policy, engine = mem0([[], ["", " \n", BUILT]], add_all)
    trace = play(policy)
    assert trace.actions[:2] == [[], [{"op": "create", "content": BUILT}]]
    assert engine.calls["decide_edits"] == [([BUILT], [])]


def test_it_answers_from_the_entries_that_the_question_finds() -> None:
    fact = "On a river lies the town where Joss was born."
    policy, engine = mem0([[fact, "Something else."]], add_all)
    trace = play(policy)
    question = trace.observations[0]["questions"][0]
    assert trace.actions[-2:] == [
        [{"op": "read", "query": question, "k": None}],
        [{"op": "answer", "content": "so"}],
    ]
    assert engine.calls["answer"] == [(question, [fact])]


def test_bad_arguments_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match="variant='fast': expected 'paper' or 'code' or 'additive'"):
        mem0([], [], variant="fast")
    with pytest.raises(ValueError, match="k=33: expected an int from 0 to 32"):
        mem0([], [], k=33)
    with pytest.raises(ValueError, match="'additive' looks nothing up"):
        mem0([], [], variant="additive", k=3)
