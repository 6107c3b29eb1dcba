"""Full context: all chunks in a buffer, no memory operation, cut to the budget when reading has ended."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

from atommem_env.baselines import make_policy
from atommem_env.baselines.full_context import cut
from atommem_env.data.dataset import QADataset
from atommem_env.report.footnotes import data_notes
from atommem_env.report.summary import summarise
from atommem_env.runs import evaluate
from atommem_env.text import PieceTokenizer
from scripted import ScriptedEngine, make_env, play
from small_data import chats


def shown(**arguments: Any) -> tuple[Any, ScriptedEngine]:
    """Return what the engine was shown for the question of an episode, and the engine."""
    engine = ScriptedEngine()
    trace = play(make_policy("full-context", engine=engine, **arguments))
    return trace, engine


def documents() -> list[str]:
    """Return the documents of the episode, as the environment's task has them."""
    env = make_env(chunk_tokens=10_000)
    observation, _ = env.reset(options={"task_index": 0})
    pieces = env.unwrapped.split_documents(observation["chunk"])  # type: ignore[attr-defined]
    return [f"{piece.title}\n{piece.text}" for piece in pieces]


def test_it_answers_from_every_document_and_touches_no_memory() -> None:
    trace, engine = shown()
    assert [passages for _, passages in engine.calls["answer"]] == [documents()]
    assert trace.actions == [[], [], [], [{"op": "answer", "content": "so"}]]


def test_its_funnel_is_null_because_it_keeps_a_buffer() -> None:
    trace, _ = shown()
    (question,) = trace.metrics["questions"]
    assert [question["evidence"][stage] for stage in ("seen", "written", "kept", "read")] == [None] * 4


def test_over_budget_it_keeps_the_last_tokens_or_both_ends() -> None:
    whole = documents()
    _, engine = shown(budget_tokens=100)
    ((_, last),) = engine.calls["answer"]
    assert last[1:] == whole[-len(last) + 1 :]
    assert whole[-len(last)].endswith(last[0])
    _, engine = shown(budget_tokens=100, keep="ends")
    ((_, ends),) = engine.calls["answer"]
    assert ends[0] == whole[0]
    assert ends[-1] == whole[-1]
    assert len(ends) < len(whole)


@pytest.mark.parametrize(
    ("budget", "keep", "kept"),
    [
        (5, "last", ["a b c d e"]),
        (4, "last", ["b c d e"]),
        (1, "last", ["e"]),
        (4, "ends", ["a b ", "d e"]),
        (3, "ends", ["a ", "d e"]),
        (1, "ends", ["e"]),
    ],
)
def test_the_parts_that_are_kept(budget: int, keep: str, kept: list[str]) -> None:
    assert cut("a b c d e", budget, keep, PieceTokenizer()) == kept


def test_bad_arguments_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match="budget_tokens=0: expected an int of at least 1"):
        make_policy("full-context", budget_tokens=0)
    with pytest.raises(ValueError, match="keep='first': expected 'last' or 'ends'"):
        make_policy("full-context", keep="first")


def test_a_history_that_does_not_fit_is_not_applicable_and_costs_no_engine() -> None:
    env = gym.make("AtomMem-Custom-v0", source=QADataset.from_histories(chats(1), name="chats"))
    engine = ScriptedEngine()
    policies = {
        "whole": make_policy("full-context", engine=engine),
        "small": make_policy("full-context", engine=ScriptedEngine(answer=[]), budget_tokens=20),
    }
    run = evaluate(env, policies, episodes=1)
    assert len(engine.calls["answer"]) == len(chats(1)[0]["questions"])
    assert [row.policy for row in summarise([run])] == ["whole"]
    assert any("small on" in note and "n/a in 1 episodes" in note for note in data_notes([], [run]))
