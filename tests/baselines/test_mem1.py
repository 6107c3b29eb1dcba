"""MEM1: one state rewritten at every turn, and searches for what it lacks."""

from __future__ import annotations

from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.baselines.engines.engine import State
from scripted import ScriptedEngine, operations, play


def searching(*turns: State, reading: str = "read") -> ScriptedEngine:
    """Return an engine that reads into one state, and answers by ``turns`` (the last one for ever)."""
    left = list(turns)

    def next_state(question: str | None, *_: Any) -> State:
        if question is None:
            return State(reading)
        return left.pop(0) if len(left) > 1 else left[0]

    return ScriptedEngine(next_state=next_state)


def run(engine: ScriptedEngine, **arguments: Any) -> Any:
    policy = {name: arguments.pop(name) for name in ("k", "turns", "budget_tokens") if name in arguments}
    return play(make_policy("mem1", engine=engine, **policy), **arguments)


QUERY = State("a state", query="a town")
ANSWER = State("done", answer="River Glenmoor9")


def test_while_reading_it_stores_the_documents_and_writes_the_state() -> None:
    engine = searching(ANSWER)
    trace = run(engine)
    assert len(operations(trace, "create")) == 10
    for action in trace.actions[:3]:
        assert action[-1] == {"op": "update", "id": 0, "content": "read"}
    first = engine.calls["next_state"][0]
    questions = trace.observations[0]["questions"]
    assert first == (None, questions, "", "", [trace.observations[0]["chunk"]], False)
    assert [call[2] for call in engine.calls["next_state"][:3]] == ["", "read", "read"]


def test_a_turn_writes_the_state_and_searches_or_answers() -> None:
    engine = searching(QUERY, ANSWER)
    trace = run(engine)
    assert trace.actions[3:] == [
        [{"op": "update", "id": 0, "content": "a state"}, {"op": "read", "query": "a town", "k": 3}],
        [{"op": "update", "id": 0, "content": "done"}, {"op": "answer", "content": "River Glenmoor9"}],
    ]
    assert trace.metrics["em"] == 1.0


def test_it_is_shown_the_state_the_last_query_and_what_that_found() -> None:
    engine = searching(QUERY, ANSWER)
    trace = run(engine)
    (question,) = trace.observations[0]["questions"]
    first, second = engine.calls["next_state"][3:]
    found = [entry["content"] for entry in trace.observations[4]["retrieved"]]
    assert len(found) == 3
    assert first == (question, [question], "read", "", [], True)
    assert second == (question, [question], "a state", "a town", found, True)


@pytest.mark.parametrize(
    ("limits", "turns"),
    [({"turns": 2}, 2), ({"max_looks": 1}, 2), ({"max_looks": 0}, 1), ({"turns": 6, "max_looks": 9}, 6)],
)
def test_the_last_turn_must_answer(limits: dict[str, int], turns: int) -> None:
    engine = searching(QUERY)  # never answers
    trace = run(engine, **limits)
    asked = engine.calls["next_state"][3:]
    assert [call[5] for call in asked] == [True] * (turns - 1) + [False]
    assert len(engine.calls["answer"]) == 1
    assert not trace.metrics["questions"][0]["forfeited"]


def test_a_turn_without_query_or_answer_searches_with_the_question() -> None:
    trace = run(searching(State("no idea"), ANSWER))
    (question,) = trace.observations[0]["questions"]
    assert operations(trace, "read") == [{"op": "read", "query": question, "k": 3}]


def test_every_question_starts_without_a_query() -> None:
    engine = searching(QUERY, ANSWER, QUERY, ANSWER)
    run(engine, num_questions=2)
    reading = [call for call in engine.calls["next_state"] if call[0] is None]
    asked = engine.calls["next_state"][len(reading) :]
    assert [(call[3], len(call[4])) for call in asked] == [("", 0), ("a town", 3)] * 2


def test_an_empty_state_leaves_the_scratchpad_as_it_was() -> None:
    trace = run(searching(ANSWER, reading=" "))
    assert trace.observations[3]["scratchpad"] == ""
    assert operations(trace, "update") == [{"op": "update", "id": 0, "content": "done"}]


@pytest.mark.parametrize("limits", [{"budget_tokens": 9}, {"scratchpad_tokens": 9}])
def test_a_state_over_the_budget_or_the_environments_limit_is_cut(limits: dict[str, int]) -> None:
    trace = run(searching(ANSWER, reading="One is here. Two is here. Three is here."), **limits)
    assert trace.observations[1]["scratchpad"] == "One is here. Two is here."
    assert trace.metrics["refused"]["too_long"] == 0


@pytest.mark.parametrize("bad", [{"k": 0}, {"k": 33}, {"turns": 0}, {"budget_tokens": 0}])
def test_bad_arguments_are_named(bad: dict[str, int]) -> None:
    ((name, value),) = bad.items()
    with pytest.raises(ValueError, match=f"{name}={value}: expected"):
        make_policy("mem1", **bad)


def test_with_rules_it_finds_both_documents_that_a_question_needs() -> None:
    trace = play(make_policy("mem1"))
    (question,) = trace.metrics["questions"]
    assert question["evidence"]["read"] == 1.0
    assert len(operations(trace, "read")) == 2
