"""When a text holds a unit of evidence, and how the funnel counts stages."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env.data.records import SUPERSEDED
from atommem_env.evidence import (
    STAGES,
    STOP_WORDS,
    EvidenceTracker,
    EvidenceUnit,
    Matcher,
    holds,
    mean_share,
    turn_spans,
)
from atommem_env.text import tokens

UNIT = "The bridge over the river Aune was opened by Marta Lindqvist in 1931, and rebuilt in 1958."
OTHER = "Harald Brekke painted seven portraits of the mayor before he moved to Ostrand."
BORN = "She was born in Ostrand in 1931 and moved to Kelby."


def rarity(words: Iterable[str]) -> dict[str, float]:
    """Names and numbers are rare, other words are in one document of ten, some in every other."""
    common = {"was", "born", "moved", "town", "film"}
    rare = {"aune", "marta", "lindqvist", "ostrand", "kelby", "vera", "holm", "1931", "1958"}
    return {word: 0.0001 if word in rare else 0.4 if word in common else 0.1 for word in words}


@pytest.mark.parametrize(
    "text",
    [
        UNIT,
        UNIT.upper(),
        f"{OTHER} {UNIT} {OTHER}",
        "Aune bridge: opened 1931 by Marta Lindqvist, rebuilt 1958",
        "Marta Lindqvist opened the Aune bridge in 1931, rebuilt 1958.",
        "bridge river Aune opened Marta Lindqvist 1931 rebuilt 1958",
    ],
)
def test_copies_notes_and_rewordings_with_names_and_numbers_hold_a_unit(text: str) -> None:
    assert holds(text, UNIT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the",
        OTHER,
        "The bridge was opened in 1958.",
        "Marta Lindqvist",
        "The bridge over the river Aune was opened by Jon Hale in 1902, and rebuilt in 1977.",
        " ".join(f"word{i}" for i in range(5000)),
    ],
)
def test_unrelated_and_thin_text_does_not(text: str) -> None:
    assert not holds(text, UNIT)


def test_thousands_of_words_with_the_units_words_strewn_in_hold_nothing() -> None:
    generator = random.Random(0)
    words = [f"word{generator.randrange(900)}" for _ in range(5000)]
    for position, word in enumerate(sorted(set(tokens(UNIT)) - STOP_WORDS)):
        words[position * 450] = word
    assert not holds(" ".join(words), UNIT)


@pytest.mark.parametrize(
    ("unit", "title", "swapped"),
    [
        ("Trolon Bridge is 231 metres long.", "Trolon Bridge", "Trolon Road Bridge is 231 metres long."),
        ("Vera Holm ran the mill in Kelby.", "Vera Holm", "Vera Lund ran the mill in Kelby."),
        ("Vera Holm ran the mill in Kelby.", "Kelby mill", "Anna Lund ran the mill in Kelby."),
        ("The Fallen Ferry (film) is from 1931.", "The Fallen Ferry (film)", "The Final Ferry is from 1931."),
        ("朱丽于1931年建造了大桥。", "朱丽", "王明于1931年建造了大桥。"),
        ("Вера Холм родилась в Келби.", "Вера Холм", "Анна Лунд родилась в Келби."),
    ],
)
def test_the_same_sentence_about_somebody_else_is_another_fact(unit: str, title: str, swapped: str) -> None:
    assert holds(unit, unit, title)
    assert not holds(swapped, unit, title)
    assert holds(f"{swapped} {unit}", unit, title)


def test_a_sentence_that_names_nobody_needs_its_title_or_a_line_of_its_own() -> None:
    other = "Anna Lund (painter). She grew up by the sea and learned to sail before she could read or write. "
    assert holds(BORN, BORN, "Vera Holm", rarity)
    assert holds(f"Facts:\n- {BORN}\n- The sea is deep.", BORN, "Vera Holm", rarity)
    assert holds(f"Vera Holm: {BORN}", BORN, "Vera Holm", rarity)
    assert holds("Vera Holm, born 1931 in Ostrand, later Kelby", BORN, "Vera Holm", rarity)
    assert not holds("born 1931 in Ostrand, later somewhere else", BORN, "Vera Holm", rarity)
    assert not holds(other + BORN, BORN, "Vera Holm", rarity)
    assert not holds("She was a writer.", "She was a painter.", "Vera Holm", rarity)


def test_a_number_before_an_item_of_a_list_is_no_part_of_the_fact() -> None:
    assert holds("Vera Holm lives in Kelby.", "17. Vera Holm lives in Kelby.")


@given(
    st.lists(st.sampled_from("a Vera Holm b the Aune x 1931 who Kelby z".split()), max_size=40).map(" ".join)
)
def test_a_matcher_of_many_units_says_of_each_what_holds_says(text: str) -> None:
    units = [
        ("Vera Holm saw Kelby in 1931.", "Vera Holm"),
        (BORN, "Vera Holm"),
        ("Kelby", ""),
        (UNIT, "Aune"),
    ]
    expected = [number for number, unit in enumerate(units) if holds(text, *unit, rarity)]
    assert Matcher([EvidenceUnit(*unit) for unit in units], rarity).held(text) == expected


@given(st.text(max_size=80), st.text(max_size=20))
def test_a_copy_under_its_title_is_held_and_nothing_holds_in_no_text(unit: str, title: str) -> None:
    if tokens(unit):
        assert holds(f"{title}\n{unit}", unit, title)
    assert not holds("", unit, title)


def test_a_superseded_fact_and_the_one_that_replaces_it_are_told_apart() -> None:
    old, new = "The goalkeeper of Ostrand plays as a keeper.", "The goalkeeper of Ostrand plays as a striker."
    units = [EvidenceUnit(old, role=SUPERSEDED), EvidenceUnit(new)]
    matcher = Matcher(units)
    assert matcher.held(old) == [0]
    assert matcher.held(new) == [1]
    assert matcher.held(f"{old} {new}") == [0, 1]


def test_a_message_is_held_when_one_of_its_parts_is() -> None:
    unit = EvidenceUnit(f"{UNIT} {OTHER}", parts=(UNIT, OTHER))
    matcher = Matcher([unit])
    assert matcher.held(UNIT) == matcher.held(OTHER) == [0]
    assert matcher.held("Something else entirely.") == []


def test_a_short_turn_is_one_unit_and_of_a_long_one_three_sentences_that_answer_count() -> None:
    assert turn_spans("I sold the blue boat.", ["a boat"]) == [(0, 21)]
    fillers = [f"On day {n} we talked about nothing in particular and went home early." for n in range(8)]
    telling = ["Then Vera sold her blue boat.", "The blue boat went to Kelby.", "A blue boat is rare."]
    text = " ".join([*fillers[:3], telling[0], *fillers[3:], *telling[1:], "My blue boat sank."])
    found = [text[start:end] for start, end in turn_spans(text, ["the blue boat of Vera", "in Kelby"])]
    assert found == telling
    assert len(tokens(text[slice(*turn_spans(text, ["nobody knows"])[0])])) == 60


def _tracker(shown: int = 200) -> EvidenceTracker:
    tracker = EvidenceTracker([EvidenceUnit(UNIT, end=100), EvidenceUnit(OTHER, end=200)])
    tracker.show(shown)
    return tracker


def stages(tracker: EvidenceTracker, question: int = 0) -> dict[str, float | None]:
    shares = tracker.shares(question)
    return {stage: shares[stage] for stage in STAGES}


def test_seen_is_when_the_units_end_was_shown() -> None:
    tracker = _tracker(0)
    tracker.show(99)
    assert tracker.shares(0)["seen"] == 0.0
    tracker.show(150)
    assert tracker.shares(0)["seen"] == 0.5
    tracker.show(200)
    assert tracker.shares(0)["seen"] == 1.0


def test_a_unit_that_was_deleted_before_its_question_is_written_but_not_kept() -> None:
    tracker = _tracker()
    tracker.write([(1, UNIT), (2, OTHER)])
    tracker.write([(1, None)])
    tracker.ask(0, {0})
    assert stages(tracker) == {"seen": 1.0, "written": 1.0, "kept": 0.5, "read": 0.0}


def test_an_update_can_lose_and_bring_back_a_unit() -> None:
    tracker = _tracker()
    tracker.write([(1, UNIT)])
    tracker.write([(1, "something else")])
    tracker.ask(0, {0, 1})
    tracker.write([(1, UNIT)])
    tracker.ask(0, {0, 1})
    assert stages(tracker) == {"seen": 1.0, "written": 0.5, "kept": 0.0, "read": 0.5}


def test_what_was_written_before_its_unit_was_seen_counts_only_when_it_is_written_again() -> None:
    tracker = _tracker(100)
    tracker.write([(1, f"{UNIT} {OTHER}")])
    tracker.show(200)
    tracker.write([(2, "something else")])
    assert stages(tracker)["written"] == 0.5
    tracker.write([(1, f"{UNIT} {OTHER}")])
    assert stages(tracker)["written"] == 1.0


def test_an_isolated_question_starts_from_what_was_held_and_keeps_what_it_reached() -> None:
    tracker = EvidenceTracker([EvidenceUnit(UNIT, question=0), EvidenceUnit(OTHER, question=1)])
    tracker.show(0)
    tracker.write([(1, UNIT)])
    before = tracker.holding()
    tracker.ask(0, {0, 1})
    tracker.write([(1, None), (2, OTHER)], question=0)
    tracker.restore(before)
    tracker.ask(1, {0, 1, 2})
    assert stages(tracker, 0) == {"seen": 1.0, "written": 1.0, "kept": 1.0, "read": 1.0}
    assert stages(tracker, 1) == {"seen": 1.0, "written": 0.0, "kept": 0.0, "read": 0.0}
    tracker.ask(0, {1})
    assert tracker.holding() == before


def test_superseded_units_have_stages_of_their_own() -> None:
    tracker = EvidenceTracker([EvidenceUnit(UNIT), EvidenceUnit(OTHER, role=SUPERSEDED)])
    tracker.show(0)
    tracker.write([(1, OTHER)])
    tracker.ask(0, {0})
    assert stages(tracker) == {"seen": 1.0, "written": 0.0, "kept": 0.0, "read": 0.0}
    assert (tracker.shares(0)["stale_kept"], tracker.shares(0)["stale_read"]) == (1.0, 0.0)
    tracker.ask(0, {1})
    assert tracker.shares(0)["stale_read"] == 1.0
    assert (tracker.count(0), tracker.count(0, SUPERSEDED)) == (1, 1)


def test_a_document_is_read_when_one_of_its_units_is() -> None:
    first, second = EvidenceUnit(UNIT, document=0), EvidenceUnit(OTHER, document=1)
    tracker = EvidenceTracker([first, first._replace(text=BORN), second, second._replace(role=SUPERSEDED)])
    tracker.show(0)
    tracker.write([(1, UNIT), (2, OTHER)])
    found = []
    for shown in (set(), {1}, {2}):
        tracker.ask(0, shown)
        shares = tracker.shares(0)
        found.append((shares["read_any"], shares["read_all"]))
    assert found == [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]


def test_documents_read_leave_out_what_cannot_be_answered() -> None:
    questions = [
        {"answerable": answerable, "evidence": {"read_any": share}}
        for answerable, share in ((True, 1.0), (False, 0.0))
    ]
    assert mean_share({"questions": questions}, "read_any") == 1.0


def test_the_scratchpad_counts_and_a_copy_is_independent() -> None:
    tracker = _tracker()
    tracker.write([(0, f"{UNIT} {OTHER}")])
    copy = tracker.copy()
    copy.write([(0, None)])
    tracker.ask(0, {0})
    copy.ask(0, {0})
    assert tracker.shares(0)["read"] == 1.0
    assert copy.shares(0)["read"] == copy.shares(0)["kept"] == 0.0


def test_a_question_without_units_has_null_stages() -> None:
    assert set(_tracker().shares(1).values()) == {None}
    assert _tracker().count(1) == 0


@pytest.mark.parametrize(
    ("shares", "mean"), [([1.0, 0.0, 0.5], 0.5), ([1.0, None], 1.0), ([None, None], None), ([], None)]
)
def test_the_mean_share_is_that_of_the_questions_whose_evidence_is_known(
    shares: list[float | None], mean: float | None
) -> None:
    questions = [{"evidence": dict.fromkeys(STAGES, share)} for share in shares]
    assert all(mean_share({"questions": questions}, stage) == mean for stage in STAGES)
