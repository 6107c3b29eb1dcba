"""The expert of the language model's chain: what it keeps can be told from what it has been shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest

import atommem_env
from atommem_env.core.operations import Create, Delete, Read
from atommem_env.core.types import Observation

CHAIN = Path(__file__).resolve().parents[2] / "examples" / "language_model"

pytestmark = pytest.mark.skipif(not CHAIN.exists(), reason="the examples are not next to the tests")

QUESTION = "Where was the person who produced the album The Floating Staircase of Brass educated?"
FIRST = "The Floating Staircase of Brass was produced by Harold Puvmore."
RIGHT = "Harold Puvmore was educated at Brearalt Grammar School."
WRONG = "Godfrey Puvmore was educated at Tovurix Conservatory."
OTHER = "Irene Puvmore was educated at Bronedum College."


@pytest.fixture
def expert(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(CHAIN))
    yield __import__("expert")
    for name in ("expert", "setting"):
        sys.modules.pop(name, None)


def entry(sentence: str) -> str:
    subject = next(
        name
        for name in ("The Floating Staircase of Brass", "Harold Puvmore", "Godfrey Puvmore")
        if name in sentence
    )
    return f"{subject}\n{sentence}"


def kept(expert: ModuleType, chunk: str, *entries: str) -> list[Any]:
    """Return what the expert does at a chunk when it has these entries."""
    writer = expert.CarefulWriter()
    writer._chains = expert.chains(QUESTION)
    shown = [{"id": id, "query": 0, "content": text} for id, text in enumerate(entries, 1)]
    observation = {
        "questions": (QUESTION,),
        "chunk": chunk,
        "retrieved": tuple(shown),
        "queries": (QUESTION,) * bool(entries),
        "memory_size": len(entries),
        "capacity": 3,
    }
    return list(writer.read_chunk(cast("Observation", observation)))


def test_an_expert_keeps_what_may_be_asked_until_it_knows_better(expert: ModuleType) -> None:
    look = Read(QUESTION)
    assert kept(expert, f"A lamp stands on a table. {FIRST}") == [Create(entry(FIRST)), look]
    assert kept(expert, f"{WRONG} {RIGHT} {OTHER}") == [Create(entry(WRONG)), Create(entry(RIGHT)), look]
    assert kept(expert, f"{WRONG} {RIGHT}", entry(FIRST)) == [Create(entry(RIGHT))]
    assert kept(expert, FIRST, entry(WRONG), entry(RIGHT)) == [Create(entry(FIRST))]
    full = entry(WRONG), entry(FIRST), entry(WRONG.replace("Tovurix", "Gavalt"))
    assert kept(expert, RIGHT, *full) == [Delete(1), Create(entry(RIGHT))]
    assert kept(expert, FIRST.removesuffix(" Puvmore.")) == []  # the chunk's end has cut it


def test_an_expert_without_the_gold_is_far_better_than_a_static_workflow(expert: ModuleType) -> None:
    setting = __import__("setting")
    policies = {"expert": expert.expert, "keep-best": "keep-best[unit=sentence,second_look=bridge]"}
    run = atommem_env.evaluate(
        setting.ENV, policies, 40, engine="world", progress=False, **setting.task("validation")
    )
    scores = {name: run.select((), (name,)) for name in policies}
    em = {name: sum(each["metrics"]["em"] for each in found) / 40 for name, found in scores.items()}
    assert em["expert"] > 0.6 > 0.3 > em["keep-best"]
