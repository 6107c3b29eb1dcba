"""Merge: a new fact replaces the one that says something else of the same subject and relation, and no other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env import MemoryEnv, QADataset, rollout
from atommem_env.baselines import make_policy
from atommem_env.baselines.merge import Beginnings
from atommem_env.tasks.history import HistoryTasks

FACTS = [
    "The capital of Tarn is Ovel.", "Brann was founded by Ada Holt.", "curling was created in the country of Tarn.",
    "Brann was founded in the city of Ovel.", "Ada Holt is a citizen of Tarn.", "Ada Holt is married to Bo Rask.",
    "Bo Rask is a citizen of Tarn.", "The capital of Tarn is Moor Hay.", "curling was created in the country of Uist.",
    "Brann was founded by Cy Lunt.", "The capital of Uist is Ovel.", "The Capital of Tarn was performed by Bo Rask.",
]  # fmt: skip


def env_of(facts: list[str], **arguments: Any) -> MemoryEnv:
    turns = [f"{number}. {fact}" for number, fact in enumerate(facts)]
    history = {
        "id": "facts",
        "sessions": [{"turns": turns}],
        "questions": [{"question": "Where?", "answer": "x"}],
    }
    return MemoryEnv(
        HistoryTasks(QADataset.from_histories([history], name="facts"), chunk_tokens=40),
        questions_shown="when_asked", isolate_questions=True, **arguments,
    )  # fmt: skip


def stored(env: MemoryEnv) -> list[str]:
    rollout(env, make_policy("merge", engine="rules"), options={"task_index": 0})
    assert env.episode is not None
    return [entry.partition(". ")[2] for entry in dict(env.episode.store.entries).values()]


def test_a_later_fact_of_the_same_subject_and_relation_stands_in_the_place_of_the_earlier() -> None:
    assert stored(env_of(FACTS)) == [
        FACTS[7], FACTS[9], FACTS[8], FACTS[3], FACTS[4], FACTS[5], FACTS[6], FACTS[10], FACTS[11],
    ]  # fmt: skip


def test_in_a_full_memory_facts_are_still_replaced_and_no_entry_is_taken_for_one_that_was_refused() -> None:
    assert stored(env_of(FACTS, capacity=2)) == [FACTS[7], FACTS[9]]
    assert stored(env_of(FACTS, capacity=2, overflow="evict_oldest")) == FACTS[10:]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Ann lives in Kew.", "Ann has moved to Ryde."),
        ("I saw the Oswin Tower yesterday.", "I saw the Oswin Bridge yesterday."),
        ("Could you tell me about silk?", "Could you tell me about kites?"),
        ("Long time no see.", "Long time no talk."),
        ("It was built of stone.", "It was built in 1901."),
    ],
)
def test_what_is_no_object_of_one_relation_is_not_merged(old: str, new: str) -> None:
    beginnings = Beginnings()
    assert not {*beginnings.read("", old)} & {*beginnings.read("", new)}


def test_the_title_says_what_a_fact_is_about() -> None:
    beginnings = Beginnings()
    first, again, other = (
        {*beginnings.read(title, "The head office of the firm is in Ovel.")}
        for title in ("Brann", "Brann", "Holt")
    )
    assert first == again
    assert not first & other


@given(st.lists(st.text(max_size=30), max_size=6), st.sampled_from(["", "Brann", "user"]))
def test_any_text_can_be_read(texts: list[str], about: str) -> None:
    beginnings = Beginnings()
    assert all(len(beginnings.read(about, text)) <= len(text.split()) + len(text) for text in texts)
