"""Scores against rows worked by hand with the official normalisation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env import scoring


@pytest.mark.parametrize(
    ("prediction", "answers", "em", "f1", "cover"),
    [
        ("The Beatles", ["Beatles"], 1.0, 1.0, 1.0),
        ("new york", ["New York"], 1.0, 1.0, 1.0),
        ("newyork", ["New York"], 0.0, 0.0, 0.0),
        ("Paris, France", ["Paris"], 0.0, 2 / 3, 1.0),
        ("Paris", ["Paris, France"], 0.0, 2 / 3, 0.0),
        ("in the year 1912", ["1912"], 0.0, 0.5, 1.0),
        ("U.S.A.", ["USA"], 1.0, 1.0, 1.0),
        ("usa", ["United States", "USA", "America"], 1.0, 1.0, 1.0),
        ("4,000", ["4000"], 1.0, 1.0, 1.0),
        ("4 000", ["4000"], 0.0, 0.0, 0.0),
        ("Élodie", ["élodie"], 1.0, 1.0, 1.0),
        ("Elodie", ["Élodie"], 0.0, 0.0, 0.0),
        ("yes", ["yes"], 1.0, 1.0, 1.0),
        ("Yes.", ["yes"], 1.0, 1.0, 1.0),
        ("yes it is", ["yes"], 0.0, 0.0, 1.0),
        ("no", ["yes"], 0.0, 0.0, 0.0),
        ("no one", ["no"], 0.0, 0.0, 1.0),
        ("an apple a day", ["apple day"], 1.0, 1.0, 1.0),
        ("theatre", ["the atre"], 0.0, 0.0, 0.0),
        ("a b b", ["b b c"], 0.0, 0.8, 0.0),
        ("café noir", ["noir cafe"], 0.0, 0.5, 0.0),
        ("13 March 1960", ["March 13, 1960"], 0.0, 1.0, 0.0),
        ("   two\twords\n", ["two words"], 1.0, 1.0, 1.0),
        ("東京", ["東京"], 1.0, 1.0, 1.0),
        ("art", ["artist"], 0.0, 0.0, 0.0),
    ],
)
def test_hand_worked_rows(prediction: str, answers: list[str], em: float, f1: float, cover: float) -> None:
    assert scoring.exact_match(prediction, answers) == em
    assert scoring.f1(prediction, answers) == pytest.approx(f1)
    assert scoring.cover_em(prediction, answers) == cover


def test_f1_is_the_best_over_the_aliases() -> None:
    assert scoring.f1("king of spain", ["queen", "king of france", "spain"]) == pytest.approx(2 / 3)


@given(st.text(max_size=30), st.lists(st.text(max_size=30), min_size=1, max_size=3))
def test_scores_are_floats_in_the_unit_interval_and_ordered(prediction: str, answers: list[str]) -> None:
    em, f1, cover = (score(prediction, answers) for score in scoring.SCORES.values())
    assert all(type(score) is float and 0.0 <= score <= 1.0 for score in (em, f1, cover))
    assert cover >= em
    assert scoring.exact_match(answers[0], answers) == 1.0


@pytest.mark.parametrize("answers", ["Paris", [], ()])
def test_answers_must_be_a_list_of_at_least_one(answers: object) -> None:
    with pytest.raises(ValueError, match="list of at least one gold answer"):
        scoring.exact_match("Paris", answers)  # type: ignore[arg-type]


def test_a_reward_is_a_name_a_reference_or_a_function() -> None:
    assert scoring.make_reward("f1") is scoring.f1
    assert scoring.make_reward("atommem_env.scoring:cover_em")("a paris", ["Paris"]) == 1.0
    assert scoring.make_reward(lambda prediction, answers: 0.25)("x", ["y"]) == 0.25
    with pytest.raises(ValueError, match="bleu"):
        scoring.make_reward("bleu")
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        scoring.make_reward(lambda prediction, answers: 2.0)("x", ["y"])
