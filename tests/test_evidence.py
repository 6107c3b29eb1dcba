"""When a text holds a unit of evidence, and how the funnel counts stages."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env.evidence import STAGES, EvidenceTracker, Matcher, content_words, holds, mean_share
from atommem_env.text import tokens

UNIT = "The bridge over the river Aune was opened by Marta Lindqvist in 1931, and rebuilt in 1958."
OTHER = "Harald Brekke painted seven portraits of the mayor before he moved to Ostrand."


def test_content_words_are_without_stop_words_but_with_names_and_numbers() -> None:
    assert content_words("It was The Who in 1969") == {"the", "who", "1969"}
    assert content_words("He was there") == {"he", "was", "there"}
    assert content_words(OTHER) == {
        "harald", "brekke", "painted", "seven", "portraits", "mayor", "moved", "ostrand",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        UNIT,
        UNIT.upper(),
        f"{OTHER} {UNIT} {OTHER}",
        "Aune bridge: opened 1931 by Marta Lindqvist, rebuilt 1958",
        "Marta Lindqvist opened the Aune bridge in 1931.",
        "bridge river aune opened marta 1958",
    ],
)
def test_verbatim_and_partly_copied_text_holds_it(text: str) -> None:
    assert holds(text, UNIT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the",
        OTHER,
        "The bridge was opened in 1958.",
        "Marta Lindqvist",
        " ".join(f"word{i}" for i in range(5000)),
    ],
)
def test_unrelated_and_thin_text_does_not(text: str) -> None:
    assert not holds(text, UNIT)


def test_thousands_of_words_with_the_units_words_strewn_in_hold_nothing() -> None:
    generator = random.Random(0)
    words = [f"word{generator.randrange(900)}" for _ in range(5000)]
    for position, word in enumerate(sorted(content_words(UNIT))):
        words[position * 450] = word
    assert not holds(" ".join(words), UNIT)


def test_the_window_is_three_times_the_unit() -> None:
    unit = "alpha beta gamma delta"
    assert holds("alpha" + " x" * 9 + " beta gamma", unit)
    assert not holds("alpha" + " x" * 10 + " beta gamma", unit)


def test_the_threshold_is_a_share_of_the_content_words() -> None:
    unit = "alpha beta gamma delta epsilon"
    assert holds("alpha beta gamma", unit, threshold=0.6)
    assert not holds("alpha beta", unit, threshold=0.6)
    assert not holds("alpha beta gamma delta", unit, threshold=1.0)
    for threshold in (0.0, 1.1, -1.0):
        with pytest.raises(ValueError, match="evidence_threshold"):
            holds("x", unit, threshold)


def _slow(text: str, unit: str, threshold: float) -> bool:
    words, wanted, width = tokens(text), content_words(unit), 3 * len(tokens(unit))
    return any(
        len(wanted & set(words[start : start + width])) >= threshold * len(wanted) - 1e-9 and wanted
        for start in range(len(words))
    )


_SMALL = st.lists(st.sampled_from("a b the x who y z".split()), max_size=25).map(" ".join)


@given(_SMALL, st.lists(_SMALL.filter(bool), min_size=1, max_size=3), st.sampled_from([0.3, 0.6, 1.0]))
def test_the_matcher_equals_its_definition(text: str, units: list[str], threshold: float) -> None:
    expected = [number for number, unit in enumerate(units) if _slow(text, unit, threshold)]
    assert Matcher(units, threshold).held(text) == expected


def _tracker() -> EvidenceTracker:
    return EvidenceTracker([UNIT, OTHER], [0, 0], [100, 200])


def test_seen_is_when_the_units_end_was_shown() -> None:
    tracker = _tracker()
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
    assert tracker.shares(0) == {"seen": 0.0, "written": 1.0, "kept": 0.5, "read": 0.0}


def test_an_update_can_lose_and_bring_back_a_unit() -> None:
    tracker = _tracker()
    tracker.write([(1, UNIT)])
    tracker.write([(1, "something else")])
    tracker.ask(0, {0, 1})
    tracker.write([(1, UNIT)])
    tracker.ask(0, {0, 1})
    assert tracker.shares(0) == {"seen": 0.0, "written": 0.5, "kept": 0.0, "read": 0.5}


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
    assert _tracker().shares(1) == {"seen": None, "written": None, "kept": None, "read": None}
    assert _tracker().count(1) == 0


@pytest.mark.parametrize(
    ("shares", "mean"), [([1.0, 0.0, 0.5], 0.5), ([1.0, None], 1.0), ([None, None], None), ([], None)]
)
def test_the_mean_share_is_that_of_the_questions_whose_evidence_is_known(
    shares: list[float | None], mean: float | None
) -> None:
    questions = [{"evidence": dict.fromkeys(STAGES, share)} for share in shares]
    assert all(mean_share({"questions": questions}, stage) == mean for stage in STAGES)
