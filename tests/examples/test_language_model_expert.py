"""The expert of the language model's chain: what it keeps can be told from what it has been shown."""

from __future__ import annotations

import random
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
FIRST = "Harold Puvmore produced The Floating Staircase of Brass and played on two of its tracks."
RIGHT = "A scholarship allowed Harold Puvmore to study at Brearalt Grammar School."
WRONG = "Godfrey Puvmore was educated at Tovurix Conservatory."
AGAIN = "Godfrey Puvmore attended Gavalt Conservatory, where he won a prize for botany."
OTHER = "Irene Puvmore was educated at Bronedum College."
NOTES = {
    FIRST: (
        "The Floating Staircase of Brass",
        "The Floating Staircase of Brass was produced by Harold Puvmore.",
    ),
    RIGHT: ("Harold Puvmore", "Harold Puvmore was educated at Brearalt Grammar School."),
    WRONG: ("Godfrey Puvmore", WRONG),
    AGAIN: ("Godfrey Puvmore", "Godfrey Puvmore was educated at Gavalt Conservatory."),
}
"""The entry that an expert makes of a sentence: its subject, and the fact in plain words."""


@pytest.fixture
def expert(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(CHAIN))
    yield __import__("expert")
    for name in ("expert", "setting"):
        sys.modules.pop(name, None)


def entry(sentence: str) -> str:
    subject, note = NOTES[sentence]
    return f"{subject}\n{note}"


def seen(chunk: str, entries: tuple[str, ...]) -> Observation:
    """Return what an expert with these entries is shown."""
    shown = [{"id": id, "query": 0, "content": text} for id, text in enumerate(entries, 1)]
    observation = {
        "questions": (QUESTION,),
        "chunk": chunk,
        "retrieved": tuple(shown),
        "queries": (QUESTION,) * bool(entries),
        "memory_size": len(entries),
        "capacity": 3,
    }
    return cast("Observation", observation)


def kept(expert: ModuleType, chunk: str, *entries: str) -> list[Any]:
    """Return what the expert does at a chunk when it has these entries."""
    writer = expert.CarefulWriter()
    writer.ask(QUESTION)
    return list(writer.read_chunk(seen(chunk, entries)))


def thought(expert: ModuleType, chunk: str, *entries: str) -> str:
    """Return what the expert says of the facts that it wants when it has these entries."""
    writer = expert.CarefulWriter()
    writer.ask(QUESTION)
    return str(writer.thought(seen(chunk, entries)))


def test_an_expert_says_of_each_wanted_fact_what_the_chunk_tells(expert: ModuleType) -> None:
    first = "producer of The Floating Staircase of Brass: "
    assert thought(expert, "") == thought(expert, "", entry(WRONG), entry(RIGHT)) == f"{first}not here"
    wrong, right = (
        "school of Godfrey Puvmore: Tovurix Conservatory",
        "school of Harold Puvmore: Brearalt Grammar School",
    )
    assert thought(expert, f"{WRONG} {RIGHT} {OTHER}") == f"{first}not here\n{wrong}\n{right}"
    assert thought(expert, f"{WRONG} {FIRST}") == f"{first}Harold Puvmore\nschool of Harold Puvmore: not here"
    assert thought(expert, f"{WRONG} {FIRST} {RIGHT}") == f"{first}Harold Puvmore\n{right}"
    assert thought(expert, f"{OTHER} {RIGHT}", entry(WRONG), entry(FIRST)) == right
    assert thought(expert, OTHER, entry(FIRST)) == "school of Harold Puvmore: not here"
    assert thought(expert, OTHER, entry(RIGHT), entry(FIRST)) == "nothing more"


def test_a_drill_asks_for_what_a_chunk_states_and_for_what_it_might(expert: ModuleType) -> None:
    chunks = [f"{FIRST} {WRONG}", f"{RIGHT} Godfrey Puvmore was born in Tarn."]
    told = dict(expert.drill(chunks[0], chunks, 4, random.Random(0)))
    assert told["producer of The Floating Staircase of Brass"] == "Harold Puvmore"
    assert told["school of Godfrey Puvmore"] == "Tovurix Conservatory"
    assert set(told) - {"producer of The Floating Staircase of Brass", "school of Godfrey Puvmore"} <= {
        "birthplace of Godfrey Puvmore",
        "school of Harold Puvmore",
        "birthplace of Harold Puvmore",
    }
    assert list(told.values()).count("not here") == 2
    assert expert.drill("A lamp.", ["A lamp."], 4, random.Random(0)) == []


def test_an_expert_keeps_what_may_be_asked_until_it_knows_better(expert: ModuleType) -> None:
    look = Read(QUESTION)
    assert kept(expert, "A lamp stands on a table.") == [look]
    assert kept(expert, f"A lamp stands on a table. {FIRST}") == [Create(entry(FIRST)), look]
    assert kept(expert, f"{WRONG} {RIGHT} {OTHER}") == [Create(entry(WRONG)), Create(entry(RIGHT)), look]
    assert kept(expert, f"{WRONG} {RIGHT}", entry(FIRST)) == [Create(entry(RIGHT))]
    assert kept(expert, FIRST, entry(WRONG), entry(RIGHT)) == [Create(entry(FIRST))]
    full = entry(WRONG), entry(FIRST), entry(AGAIN)
    assert kept(expert, RIGHT, *full) == [Delete(1), Create(entry(RIGHT))]
    cut = FIRST.removesuffix(" Brass and played on two of its tracks.")
    assert kept(expert, cut) == [look]


def test_an_expert_without_the_gold_is_far_better_than_a_static_workflow(expert: ModuleType) -> None:
    setting = __import__("setting")
    policies = {"expert": expert.expert, "keep-best": "keep-best[unit=sentence,second_look=bridge]"}
    run = atommem_env.evaluate(
        setting.ENV, policies, 40, engine="world", progress=False, **setting.task("validation")
    )
    scores = {name: run.select((), (name,)) for name in policies}
    em = {name: sum(each["metrics"]["em"] for each in found) / 40 for name, found in scores.items()}
    assert em["expert"] > 0.6 > 0.3 > em["keep-best"]


def test_facts_are_kept_in_any_words_and_others_are_not(expert: ModuleType) -> None:
    gold = [FIRST, RIGHT]
    assert expert.facts_kept(QUESTION, gold, [entry(FIRST), entry(RIGHT)]) == 1.0
    assert expert.facts_kept(QUESTION, gold, [FIRST, WRONG, OTHER]) == 0.5
    born = "Harold Puvmore was born in Tarn."
    assert expert.facts_kept(QUESTION, [born, RIGHT], [born]) == 0.0  # nobody asks where
