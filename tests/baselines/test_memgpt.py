"""MemGPT: memory pressure, flushes of the queue, and archival search page by page."""

from __future__ import annotations

from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.baselines.engines.engine import CoreEdit
from atommem_env.text import PieceTokenizer
from scripted import ScriptedEngine, operations, play

COUNT = PieceTokenizer().count


def memgpt(
    manage: Any = lambda *_: CoreEdit(), answers: Any = ("so",), **arguments: Any
) -> tuple[Any, ScriptedEngine]:
    engine = ScriptedEngine(
        manage_core=manage, summarize=lambda text, words: f"{words} words", answer_or_search=answers
    )
    return make_policy("memgpt", engine=engine, **arguments), engine


def archive_all(questions: Any, core: str, recent: str, budget: int) -> CoreEdit:
    return CoreEdit(None, tuple(recent.split("\n\n")))


def queue_of(**arguments: Any) -> list[str]:
    """Return all documents, as a policy with room for them shows them to its engine."""
    policy, engine = memgpt(window_tokens=10**6, **arguments)
    play(policy)
    ((_, passages),) = engine.calls["answer"]
    return list(passages)


def test_with_room_for_everything_nothing_is_written_and_the_queue_is_in_view() -> None:
    policy, engine = memgpt(window_tokens=10**6)
    trace = play(policy)
    assert operations(trace, "create", "update", "read") == []
    ((_, passages),) = engine.calls["answer"]
    assert len(passages) == 10
    assert engine.calls["manage_core"] == engine.calls["summarize"] == []


def test_pressure_comes_over_three_quarters_of_the_window_once() -> None:
    queue = queue_of()
    sizes = [COUNT(text) for text in queue]
    window = sum(sizes) + 1  # everything fits: no flush
    policy, engine = memgpt(archive_all, window_tokens=window)
    trace = play(policy)
    seen = next(n for n in range(11) if sum(sizes[:n]) > 0.75 * window)
    ((questions, core, recent, budget),) = engine.calls["manage_core"]
    assert questions == trace.observations[0]["questions"]
    assert (core, budget) == ("", 1024)
    assert recent == "\n\n".join(queue[:seen])
    assert [item["content"] for item in operations(trace, "create")] == queue[:seen]
    assert engine.calls["summarize"] == []


def test_a_flush_summarises_the_oldest_three_quarters_but_never_the_last_three() -> None:
    queue = queue_of()
    sizes = [COUNT(text) for text in queue]
    window = sum(sizes) - 1  # the last document overflows it
    policy, engine = memgpt(window_tokens=window)
    play(policy)
    gone = min(next(n for n in range(11) if sum(sizes[:n]) >= 0.75 * sum(sizes)), 7)
    ((flushed, words),) = engine.calls["summarize"]
    assert (flushed, words) == ("\n\n".join(queue[:gone]), 100)
    ((_, passages),) = engine.calls["answer"]
    assert passages == ["100 words", *queue[gone:]]


@pytest.mark.parametrize("window", [60, 90, 130, 200])
def test_every_document_that_leaves_has_been_in_one_pressure_turn(window: int) -> None:
    queue = queue_of()
    policy, engine = memgpt(archive_all, window_tokens=window)
    trace = play(policy)
    archived = [item["content"] for item in operations(trace, "create")]
    assert archived == queue[: len(archived)]
    flushed = "\n\n".join(text for text, _ in engine.calls["summarize"])
    gone = [text for text in queue if text in flushed]
    assert gone == queue[: len(gone)]
    assert 0 < len(gone) <= min(len(archived), 7)


def test_a_later_summary_takes_the_one_before_it_in() -> None:
    policy, engine = memgpt(window_tokens=90)
    play(policy)
    assert len(engine.calls["summarize"]) > 1
    assert all(text.startswith("100 words\n\n") for text, _ in engine.calls["summarize"][1:])


def test_core_memory_is_the_scratchpad_and_the_next_turn_sees_it() -> None:
    policy, engine = memgpt([CoreEdit("one"), CoreEdit("two"), CoreEdit(" ")], window_tokens=90)
    trace = play(policy)
    cores = [core for _, core, _, _ in engine.calls["manage_core"]]
    assert cores[:3] == ["", "one", "two"]
    written = [item["content"] for item in operations(trace, "update")]
    assert written == ["one", "two"]
    assert all(item["id"] == 0 for item in operations(trace, "update"))
    assert trace.observations[-2]["scratchpad"] == "two"


def test_the_budget_of_core_memory_is_at_most_what_the_environment_allows() -> None:
    policy, engine = memgpt(lambda q, core, recent, budget: CoreEdit("word " * budget), window_tokens=90)
    trace = play(policy, scratchpad_tokens=800)
    assert {budget for *_, budget in engine.calls["manage_core"]} == {800}
    assert trace.metrics["refused"]["too_long"] == 0


def many(name: str = "town") -> list[CoreEdit]:
    return [CoreEdit(None, tuple(f"{name} {number}" for number in range(30)))]


def test_pages_of_five_are_turned_until_the_engine_answers() -> None:
    manage = [*many(), CoreEdit()]
    policy, engine = memgpt(manage, [None, "Orlen"], window_tokens=90)
    trace = play(policy)
    question = trace.observations[0]["questions"][0]
    assert trace.actions[-3:] == [
        [{"op": "read", "query": question, "k": 5}],
        [{"op": "read", "query": question, "k": 10}],
        [{"op": "answer", "content": "Orlen"}],
    ]
    pages = [
        passages[:n] for n, (_, passages, _) in zip((5, 10), engine.calls["answer_or_search"], strict=True)
    ]
    assert [len(page) for page in pages] == [5, 10]
    assert pages[1][:5] == pages[0]
    assert all(text.startswith("town ") for text in pages[1])
    assert engine.calls["answer"] == []


@pytest.mark.parametrize("looks", [1, 2, 3, 5])
def test_after_three_pages_or_the_last_look_it_answers(looks: int) -> None:
    policy, engine = memgpt([*many(), CoreEdit("core\ntext")], [None], window_tokens=90)
    trace = play(policy, max_looks=looks)
    pages = min(3, looks)
    assert [item["k"] for item in operations(trace, "read")] == [5, 10, 15][:pages]
    assert len(engine.calls["answer_or_search"]) == pages - 1
    assert trace.actions[-1] == [{"op": "answer", "content": "so"}]
    ((_, passages),) = engine.calls["answer"]
    assert passages[-1] == "core\ntext"
    assert not trace.metrics["questions"][0]["forfeited"]


def test_the_last_page_of_the_archive_is_not_turned() -> None:
    policy, _ = memgpt([CoreEdit(None, ("town",)), CoreEdit()], [None], window_tokens=90)
    assert len(operations(play(policy), "read")) == 1


@pytest.mark.parametrize("changes", [{"max_looks": 0}, {"storage": False}], ids=str)
def test_without_an_archive_it_answers_from_what_is_in_view(changes: dict[str, Any]) -> None:
    policy, engine = memgpt(many(), window_tokens=90)
    trace = play(policy, **changes)
    assert operations(trace, "read") == []
    assert engine.calls["answer_or_search"] == []


def test_what_is_in_view_fits_the_window() -> None:
    policy, engine = memgpt(many("town with a long name " * 2), [None], window_tokens=150)
    trace = play(policy)
    core = trace.observations[-2]["scratchpad"]
    ((_, passages),) = engine.calls["answer"]
    assert COUNT(core) + sum(COUNT(text) for text in passages) <= 150 + sum(
        COUNT(entry["content"]) for entry in trace.observations[-2]["retrieved"]
    )


def test_it_declares_its_queue_so_that_its_funnel_is_null() -> None:
    policy, _ = memgpt()
    assert policy.uses_buffer
    evidence = play(policy).metrics["questions"][0]["evidence"]
    assert [evidence[stage] for stage in ("seen", "written", "kept", "read")] == [None] * 4


def test_bad_arguments_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match="window_tokens=0: expected an int of at least 1"):
        memgpt(window_tokens=0)
    with pytest.raises(ValueError, match="budget_tokens=0: expected 1 or more"):
        memgpt(budget_tokens=0)
