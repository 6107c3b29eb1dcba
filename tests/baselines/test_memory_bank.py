"""MemoryBank: entries are forgotten unless they are recalled, and a summary runs along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.baselines.memory_bank import survival
from atommem_env.core.operations import Create, Delete, Read, Update
from scripted import ScriptedEngine, operations, play

INFO: dict[str, Any] = {"task_id": "t"}
QUESTIONS = ("Who?", "Where?")


def engine(summarize: Any = lambda text, words: "in short") -> ScriptedEngine:
    return ScriptedEngine(summarize=summarize)


def observe(cursor: int, retrieved: Sequence[int] = (), results: Sequence[Any] = ()) -> dict[str, Any]:
    return {
        "phase": 0,
        "questions": QUESTIONS,
        "chunk": "".join(f"Document {cursor * 50 + n + 1}:\nT{n}\nText {cursor} {n}.\n\n" for n in range(50)),
        "scratchpad": "",
        "cursor": cursor,
        "num_chunks": 9,
        "retrieved": tuple({"id": id, "content": "", "score": 1.0, "query": 0} for id in retrieved),
        "results": tuple(results),
        "looks_left": 3,
    }


def carried_out(action: Sequence[Any], next_id: int) -> list[dict[str, Any]]:
    """Return the results of an action whose operations are all accepted."""
    results = []
    for operation in action:
        id = getattr(operation, "id", None)
        if operation.op == "create":
            id, next_id = next_id, next_id + 1
        results.append({"op": operation.op, "ok": True, "reason": None, "id": id, "evicted": None})
    return results


def survivors(recalled: Sequence[int], **arguments: Any) -> set[int]:
    """Return which of the entries of the first chunk live after two borders; some are recalled at both."""
    policy: Any = make_policy("memory-bank", engine=engine(), **arguments)
    policy.reset(observe(0), INFO)
    action = policy.act(observe(0), INFO)
    next_id = 1
    alive = set(range(1, 50))  # the fiftieth is unfinished
    for cursor in (1, 2):
        results = carried_out(action, next_id)
        next_id += sum(operation.op == "create" for operation in action)
        action = policy.act(observe(cursor, recalled, results), INFO)
        alive -= {operation.id for operation in action if isinstance(operation, Delete)}
    return alive & set(range(1, 50))


def test_the_probability_of_survival_at_fixed_points() -> None:
    assert survival("paper", 5, 1) == pytest.approx(0.0067, abs=5e-5)
    assert survival("paper", 5, 3) == pytest.approx(0.189, abs=5e-4)
    assert survival("code", 5, 1) == pytest.approx(0.368, abs=5e-4)
    assert survival("code", 5, 3) == pytest.approx(0.050, abs=5e-4)
    assert survival("paper", 0, 1) == survival("code", 0, 9) == 1.0


def test_a_chunk_is_stored_summarised_and_searched_with_every_question() -> None:
    policy: Any = make_policy("memory-bank", engine=engine(), k=4)
    policy.reset(observe(0), INFO)
    action = policy.act(observe(0), INFO)
    assert action[0] == Create("T0\nText 0 0.")
    assert action[49:] == [Update(0, "in short"), Read("Who?", 4), Read("Where?", 4)]


def test_what_is_recalled_survives_and_most_of_the_rest_does_not() -> None:
    alive = survivors(recalled=range(1, 11))
    assert alive >= set(range(1, 11))
    assert len(alive) < 25  # of the other 39, exp(-1 - 2) live on average


def test_the_code_forgets_more_slowly_at_first() -> None:
    assert len(survivors((), variant="code")) > len(survivors((), variant="paper"))


def test_a_recall_adds_strength_and_resets_the_clock() -> None:
    policy: Any = make_policy("memory-bank", engine=engine())
    policy.reset(observe(0), INFO)
    results = carried_out(policy.act(observe(0), INFO), 1)
    policy.act(observe(1, (1, 2), results), INFO)
    records = policy._memory.records
    assert (records[1].strength, records[1].last) == (2, 1)
    assert (records[3].strength, records[3].last) == (1, 0)


def test_who_is_forgotten_depends_on_the_seed_and_the_task_alone() -> None:
    assert survivors((), seed=1) == survivors((), seed=1) != survivors((), seed=2)
    policy = make_policy("memory-bank", seed=3)
    first = play(policy).actions
    assert play(policy).actions == first == play(make_policy("memory-bank", seed=3)).actions


def test_a_chunks_summary_is_folded_into_the_global_one() -> None:
    spy = engine(lambda text, words: f"{words} words")
    trace = play(make_policy("memory-bank", engine=spy, summary_words=10, global_words=30))
    chunks = [observation["chunk"] for observation in trace.observations[:3]]
    assert spy.calls["summarize"] == [
        (chunks[0], 10),
        (chunks[1], 10),
        ("10 words\n\n10 words", 30),
        (chunks[2], 10),
        ("30 words\n\n10 words", 30),
    ]
    assert [item["content"] for item in operations(trace, "update")] == ["10 words", "30 words", "30 words"]


def test_it_answers_from_the_entries_shown_and_the_global_summary() -> None:
    spy = engine()
    trace = play(make_policy("memory-bank", engine=spy))
    ((question, passages),) = spy.calls["answer"]
    assert trace.actions[3] == [{"op": "read", "query": question, "k": 6}]
    assert passages == [*(entry["content"] for entry in trace.observations[4]["retrieved"]), "in short"]


def test_an_empty_summary_leaves_the_scratchpad() -> None:
    trace = play(make_policy("memory-bank", engine=engine(lambda text, words: " ")))
    assert operations(trace, "update") == []


def test_it_forgets_only_what_exists() -> None:
    trace = play(make_policy("memory-bank"), capacity=12, num_docs=30)
    assert operations(trace, "delete")
    assert trace.metrics["refused"]["unknown_id"] == 0


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_with_rules_it_keeps_what_the_question_recalls(variant: str) -> None:
    trace = play(make_policy("memory-bank", variant=variant), num_docs=30)
    (question,) = trace.metrics["questions"]
    assert question["evidence"]["kept"] == 1.0
    assert trace.metrics["memory_size"] < 30


@pytest.mark.parametrize(
    "bad", [{"k": 0}, {"k": 33}, {"summary_words": 0}, {"global_words": 0}, {"variant": "x"}]
)
def test_bad_arguments_are_named(bad: dict[str, Any]) -> None:
    ((name, value),) = bad.items()
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        make_policy("memory-bank", **bad)
