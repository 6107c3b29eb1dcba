"""Keep-best: under a capacity, the memory holds what fits the questions best of all that was read."""

from __future__ import annotations

from typing import Any

import pytest
from rank_bm25 import BM25Plus

from atommem_env.baselines import make_policy
from atommem_env.baselines.keep_best import Relevance
from atommem_env.core.operations import Create, Delete
from atommem_env.text import tokens
from scripted import ScriptedEngine, operations, play

INFO: dict[str, Any] = {"task_id": "t"}
CHUNKS = (
    "Document 1:\nTea\nTea is a drink.\n\nDocument 2:\nMill\nThe mill was built of stone.\n\n",
    "Document 3:\nFalk\nJo Falk built the mill in Duluth.\n\nDocument 4:\nRain\nRain is wet.",
)


def observe(cursor: int, *results: dict[str, Any], capacity: int = 0) -> dict[str, Any]:
    return {
        "phase": 0,
        "questions": ("Who built the mill?",),
        "chunk": CHUNKS[cursor],
        "cursor": cursor,
        "num_chunks": len(CHUNKS),
        "results": results,
        "capacity": capacity,
    }


def created(id: int | None, reason: str | None = None) -> dict[str, Any]:
    return {"op": "create", "ok": reason is None, "reason": reason, "id": id, "evicted": None}


def started(**arguments: Any) -> Any:
    policy = make_policy("keep-best", engine=ScriptedEngine(), **arguments)
    policy.reset(observe(0), INFO)
    return policy


def test_with_room_everything_is_created() -> None:
    policy = started()
    assert policy.act(observe(0), INFO) == [Create("Tea\nTea is a drink.")]
    assert policy.act(observe(1, created(1)), INFO) == [
        Create("Mill\nThe mill was built of stone."),
        Create("Falk\nJo Falk built the mill in Duluth."),
        Create("Rain\nRain is wet."),
    ]


@pytest.mark.parametrize("bound", [{"slots": 1}, {"capacity": 1}])
def test_when_the_store_is_full_a_better_document_replaces_the_worst_entry(bound: dict[str, int]) -> None:
    policy = started(slots=bound.get("slots"))
    capacity = bound.get("capacity", 0)
    assert policy.act(observe(0, capacity=capacity), INFO) == [Create("Tea\nTea is a drink.")]
    action = policy.act(observe(1, created(1), capacity=capacity), INFO)
    assert action == [Delete(1), Create("Mill\nThe mill was built of stone.")]


def test_of_equals_the_earlier_stays() -> None:
    policy = started(slots=1)
    policy.reset({**observe(0), "questions": ("Zanzibar?",)}, INFO)
    policy.act(observe(0), INFO)
    assert policy.act(observe(1, created(1)), INFO) == []


def test_a_slot_that_an_entry_did_not_get_is_filled_by_the_next() -> None:
    policy = started(slots=2)
    policy.act(observe(0), INFO)
    action = policy.act(observe(1, created(None, "capacity")), INFO)
    assert [operation.op for operation in action] == ["create", "create"]


def test_what_is_as_long_as_a_refused_text_is_not_tried() -> None:
    policy = started()
    policy.act(observe(0), INFO)
    assert policy.act(observe(1, created(None, "too_long")), INFO) == [Create("Rain\nRain is wet.")]


def test_a_document_over_the_environments_limit_is_kept_in_parts() -> None:
    trace = play(make_policy("keep-best"), entry_tokens=26)
    assert trace.metrics["memory_size"] > 10
    assert trace.metrics["refused"]["too_long"] == 0


def test_a_sentence_over_the_environments_limit_is_not_tried() -> None:
    trace = play(make_policy("keep-best", unit="sentence"), entry_tokens=18)
    assert (
        0
        < trace.metrics["memory_size"]
        < play(make_policy("keep-best", unit="sentence")).metrics["memory_size"]
    )
    assert trace.metrics["refused"]["too_long"] == 0


def test_sentences_are_kept_under_their_title() -> None:
    policy = started(unit="sentence", slots=3)
    trace = play(policy)
    contents = [operation["content"] for operation in operations(trace, "create")]
    assert all(content.count("\n") == 1 for content in contents)
    assert trace.metrics["memory_peak"] == 3


def test_it_keeps_the_memory_within_the_capacity_without_a_refusal() -> None:
    trace = play(make_policy("keep-best"), capacity=3)
    assert trace.metrics["memory_peak"] == 3
    assert sum(trace.metrics["refused"].values()) == 0
    assert operations(trace, "delete")


def test_it_keeps_more_of_the_evidence_than_what_comes_first() -> None:
    kept = {
        name: play(make_policy(name), capacity=3).metrics["questions"][0]["evidence"]["kept"]
        for name in ("keep-best", "rag")
    }
    assert kept["keep-best"] > kept["rag"]


def test_scores_are_those_of_bm25_plus_less_what_absent_words_give() -> None:
    questions = ["who built the mill in Duluth", "is tea a drink"]
    texts = ["tea is a drink of tea leaves", "jo built the mill", "mill and mill again", "rain"]
    relevance = Relevance(questions)
    profiles = [relevance.count(text) for text in texts]
    reference = BM25Plus([tokens(text) for text in texts])
    for place, profile in enumerate(profiles):
        expected = [
            sum(reference.get_scores([word])[place] for word in wanted if word in tokens(texts[place]))
            for wanted in (["built", "mill", "duluth"], ["tea", "drink"])
        ]
        assert relevance.score(profile) == pytest.approx(max(expected), abs=1e-9)


def test_an_early_text_is_measured_with_what_came_later() -> None:
    relevance = Relevance(["mill tower"])
    mill, tower = relevance.count("a mill"), relevance.count("a tower")
    assert relevance.score(mill) == relevance.score(tower)
    relevance.count("one more mill")
    assert relevance.score(mill) < relevance.score(tower)


def test_bad_arguments_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match="unit='word': expected 'document' or 'sentence'"):
        make_policy("keep-best", unit="word")
    with pytest.raises(ValueError, match="slots=0: expected an int of at least 1, or None"):
        make_policy("keep-best", slots=0)
