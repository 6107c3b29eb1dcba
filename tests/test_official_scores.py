"""The benchmarks' own scores against rows worked by hand."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env.scoring import (
    abstained,
    answer_scores,
    f1,
    official_reward,
    official_score,
    substring_score,
)
from atommem_env.scoring.official import edit_distance, event_recall, movie_title, recommendation_recall


def score(benchmark: str, prediction: str, answers: list[str], type: str = "") -> float | None:
    official = official_score(benchmark)
    assert official is not None
    return official(prediction, answers, type)


@pytest.mark.parametrize("name", ["hotpotqa", "2wikimultihopqa"])
@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("yes it is", ["yes"], 0.0),
        ("Yes.", ["yes"], 1.0),
        ("The The", ["The The"], 0.0),
        ("Paris, France", ["Paris"], 2 / 3),
        ("USA", ["United States", "USA"], 1.0),
    ],
)
def test_hotpotqa_and_2wiki_have_the_yes_no_rule(
    name: str, prediction: str, answers: list[str], expected: float
) -> None:
    assert score(name, prediction, answers) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("yes it is", ["yes"], 0.5),
        ("no one", ["no"], 2 / 3),
        ("The The", ["The The"], 1.0),
        ("the", ["Paris"], 0.0),
        ("Paris", ["the", "Paris France"], 2 / 3),
    ],
)
def test_musique_has_no_yes_no_rule_and_two_empty_bags_are_equal(
    prediction: str, answers: list[str], expected: float
) -> None:
    assert score("musique", prediction, answers) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("category", "prediction", "answer", "expected"),
    [
        # stems, "and" and commas: "swimming" and "swim" are one word, "and" is none
        ("4", "Swimming and painting", "swim, paint", 1.0),
        ("single-hop", "He runs marathons", "running a marathon", 0.8),
        ("4", "yes it is", "yes", 0.5),
        ("4", "1,000 well-known steps", "1000 wellknown steps", 1.0),
        ("2", "7 May 2023", "May 7, 2023", 1.0),
        ("temporal", "in June", "2022", 0.0),
        # an open question's answer ends at the first semicolon
        ("3", "Likely yes", "Likely yes; she studies art", 1.0),
        ("4", "Likely yes", "Likely yes; she studies art", 4 / 7),
        # a list: for each gold part the best predicted part, then the mean
        ("1", "dancing, cooking dinner", "cooking, dancing, chess", (2 / 3 + 1 + 0) / 3),
        ("multi-hop", "chess", "chess", 1.0),
        # the adversarial category asks for one of two phrases
        ("5", "There is No Information Available on that.", "", 1.0),
        ("5", "It was not mentioned", "", 1.0),
        ("adversarial", "I don't know", "", 0.0),
        ("5", "Ostrand", "Ostrand", 0.0),
    ],
)
def test_locomo_scores_by_category(category: str, prediction: str, answer: str, expected: float) -> None:
    assert score("locomo", prediction, [answer], category) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("source", "prediction", "answers", "expected"),
    [
        ("factconsolidation_sh_6k", "The answer is Ostrand.", ["Ostrand"], 1.0),
        ("factconsolidation_mh_262k", "Kelby", ["Ostrand"], 0.0),
        ("eventqa_full", "Ostrander", ["Ostrand"], 1.0),
        ("ruler_qa1_197K", "I think so.\nAnswer: the Ostrand", ["ostrand"], 1.0),
        # the larger of the whole reply's score and its answer line's, each cut to ten tokens by itself
        ("ruler_qa1_197K", "Ostrand\nAnswer: Kelby", ["Ostrand"], 1.0),
        (
            "factconsolidation_sh_6k",
            "one two three four five six seven eight\nAnswer: Ostrand",
            ["Ostrand"],
            1.0,
        ),
        ("icl_banking77_5900shot_balance", "label: 12", ["12"], 0.0),
        ("icl_banking77_5900shot_balance", "Answer: 12", ["12"], 1.0),
        ("detective_qa", "B. The Butler", ["b butler"], 1.0),
        ("recsys_redial_full", "Alien (1979)", ["Alien (1979)"], None),
        ("longmemeval_s*", "Ostrand", ["Ostrand"], None),
        ("infbench_sum_eng_shots2", "a summary", ["a summary"], None),
    ],
)
def test_memory_agent_bench_scores_by_source(
    source: str, prediction: str, answers: list[str], expected: float | None
) -> None:
    assert score("memoryagentbench", prediction, answers, source) == expected


def test_a_long_list_of_guesses_does_not_win() -> None:
    guesses = "Kelby, Ambry, Corvane, Dunmarsh, Estrell, Ostrand"
    assert substring_score(guesses, ["Ostrand"]) == 0.0
    assert substring_score(guesses, ["Kelby"]) == 1.0
    assert substring_score(guesses, ["Ostrand"], limit=None) == 1.0


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("Ann met Bo, and then THE mill burned.", ["the mill burned"], 1.0),
        ("Ann met Bo.", ["ann met bo", "the mill burned"], 0.0),  # all parts have to be there
        ("ann met bo; the mill burned", ["Ann met Bo", "the mill burned"], 1.0),
        ("the mill, burned", ["the mill burned"], 0.0),  # as it is: punctuation stays
        ("anything", [], 0.0),
    ],
)
def test_recall_of_events_wants_every_answer_as_it_is(
    prediction: str, answers: list[str], expected: float
) -> None:
    assert event_recall(prediction, answers) == expected


TITLES = [movie_title(name) for name in (
    "<http://x/resource/The_Mill_(1999_film)>", "y/Grey_Hills", "Red_Hills", "Otto-Lenz", "Karo Bridge",
    "Velden (film)",
)]  # fmt: skip


def test_titles_are_read_from_the_names_of_entities() -> None:
    assert TITLES == ["The Mill", "Grey Hills", "Red Hills", "Otto Lenz", "Karo Bridge", "Velden"]


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ("You may like: 1. The Mill (1999)\n2. gray hills\n3. Velden", ["The Mill", "Grey Hills"], 1.0),
        ("The Mill, Karo Brige", ["Karo Bridge", "Velden"], 0.5),  # without numbers commas part the items
        (
            "1. Velden\n2. Velden\n3. Velden\n4. Velden\n5. Velden\n6. The Mill",
            ["The Mill"],
            0.0,
        ),  # the sixth
        ("1. Velden\n2. Otto Lenz", ["Red Hills"], 0.0),
        ("", ["Red Hills"], 0.0),
    ],
)
def test_recommendations_stand_for_the_nearest_title_and_five_count(
    prediction: str, gold: list[str], expected: float
) -> None:
    assert recommendation_recall(prediction, gold, TITLES) == expected


@given(st.text("abc", max_size=8), st.text("abc", max_size=8))
def test_an_edit_distance_is_one(left: str, right: str) -> None:
    distance = edit_distance(left, right)
    assert distance == edit_distance(right, left)
    assert (distance == 0) is (left == right)
    assert abs(len(left) - len(right)) <= distance <= max(len(left), len(right))


@pytest.mark.parametrize("name", ["longmemeval", "beam", "world", "towns"])
def test_where_a_judge_is_needed_or_nobody_made_a_score_there_is_none(name: str) -> None:
    assert official_score(name) is None


@pytest.mark.parametrize(
    ("prediction", "name", "expected"),
    [
        ("No information available", "locomo", True),
        ("That is NOT MENTIONED here", "locomo", True),
        ("I do not know", "locomo", False),
        ("I don\u2019t know.", "longmemeval", True),
        ("You did not mention this information.", "longmemeval", True),
        ("The conversation does not say.", "beam", True),
        ("Unknown", "", True),
        ("The unknown soldier", "", False),
        ("Paris", "beam", False),
        (None, "locomo", False),
    ],
)
def test_what_counts_as_abstaining(prediction: str | None, name: str, expected: bool) -> None:
    assert abstained(prediction, name) is expected


@given(st.text(max_size=30), st.text(min_size=1, max_size=30), st.sampled_from(["1", "2", "3", "4", "5"]))
def test_official_scores_lie_in_the_unit_interval(prediction: str, answer: str, category: str) -> None:
    for benchmark in ("hotpotqa", "2wikimultihopqa", "musique", "locomo"):
        value = score(benchmark, prediction, [answer], category)
        assert type(value) is float
        assert 0.0 <= value <= 1.0
    assert score("hotpotqa", prediction, [answer]) == f1(prediction, [answer])


def test_the_stemmer_is_imported_at_the_first_score() -> None:
    code = "import sys, atommem_env, atommem_env.scoring; sys.exit('nltk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_score_of_an_answer_at_once() -> None:
    assert answer_scores("yes it is", ["yes"], "musique") == {
        "em": 0.0, "f1": 0.0, "cover_em": 1.0, "official": 0.5, "abstained": False,
    }  # fmt: skip
    assert answer_scores("Not mentioned.", [], "locomo", "adversarial", answerable=False) == {
        "em": 1.0, "f1": 1.0, "cover_em": 1.0, "official": 1.0, "abstained": True,
    }  # fmt: skip
    assert answer_scores("Ostrand", [], "longmemeval", answerable=False) == {
        "em": 0.0, "f1": 0.0, "cover_em": 0.0, "official": None, "abstained": False,
    }  # fmt: skip
    assert answer_scores("I don't know", ["Ostrand"])["em"] == 0.0
    assert answer_scores(None, ["the"], "musique")["official"] == 0.0
    assert answer_scores(None, ["a summary"], "memoryagentbench", "infbench_sum")["official"] is None


def test_an_official_reward_that_needs_a_judge_is_refused() -> None:
    assert official_reward("musique") is official_score("musique")
    with pytest.raises(ValueError, match="'beam' has no official score without a judge"):
        official_reward("beam")
