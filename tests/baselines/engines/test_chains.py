"""Nested questions are followed from passage to passage, on passages written for it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.baselines.engines.rules.chains import follow_chain, reach_each
from atommem_env.baselines.engines.rules.passages import read_passages
from atommem_env.baselines.engines.rules.questions import read_question
from atommem_env.baselines.engines.rules.rules import RulesEngine

TEXTS = [
    "The Tin Orchard\nThe Tin Orchard is a 1962 drama film that Mona Reyes directed from a play by Saul Ickes. "
    "Its story is adapted from the novel A Ladder in March.",
    "A Ladder in March\nA Ladder in March is a novel. It was written by Piet Vos and published by Quill Lane Books.",
    "Quill Lane Books\nQuill Lane Books is a publishing company. It was established in 1921 by Greta Holm.",
    "Mona Reyes\nMona Reyes was a film director. Her mother, Inez Alba, taught her to draw. She was born in "
    "Saltmere and studied at Corran College. In 1950 she married Tobias Lund.",
    "Piet Vos\nPiet Vos (4 May 1890 – 2 June 1961) was a writer. He attended Corran College.",
    "Saltmere\nSaltmere is a town in Ostravia on the River Teel. Its mayor, Hanna Brandt, was elected twice.",
    "Corran College\nCorran College is a school in Wick Harbour. As of 1990 it was headed by Iris Pohl.",
    "Corran College (2011)\nIn 2011 Nils Adeyemi took over as principal of Corran College.",
    "Wick Harbour\nWick Harbour is a village in Ostravia.",
    "Iris Pohl\nIris Pohl was a chemist. She was born on 9 July 1931.",
    "Nils Adeyemi\nNils Adeyemi (born 8 March 1970) is a chemist who worked for Lant Glass Company.",
    "Rosa Alba\nRosa Alba was a singer. She was born in Wick Harbour.",
]
PASSAGES = read_passages(TEXTS)

CASES = [
    ("Who is the mother of the director of The Tin Orchard?", "Inez Alba"),
    ("Which river flows through the birthplace of Mona Reyes?", "River Teel"),
    ("Which river flows through the birthplace of the director of The Tin Orchard?", "River Teel"),
    ("Who wrote the novel on which The Tin Orchard is based?", "Piet Vos"),
    ("What is the date of death of the author of A Ladder in March?", "2 June 1961"),
    ("In what year was the publisher of the novel on which The Tin Orchard is based founded?", "1921"),
    ("Where was the person who directed The Tin Orchard educated?", "Corran College"),
    ("In which country is the birthplace of Mona Reyes?", "Ostravia"),
    ("To whom was the director of The Tin Orchard married?", "Tobias Lund"),
    ("Who is the mayor of the town that was the birthplace of Mona Reyes?", "Hanna Brandt"),
    ("What is the date of birth of the person who is now principal of Corran College?", "8 March 1970"),
    ("Which company employed the current head of the school attended by Piet Vos?", "Lant Glass Company"),
]


@pytest.mark.parametrize(("question", "expected"), CASES)
def test_a_nested_question_is_followed_to_its_end(question: str, expected: str) -> None:
    assert RulesEngine().answer(question, TEXTS) == expected
    assert RulesEngine().answer(question, TEXTS[::-1]) == expected


def test_a_chain_that_breaks_gives_nothing() -> None:
    asked = read_question("Who is the father of the director of The Tin Orchard?", PASSAGES)
    assert follow_chain(asked, PASSAGES) is None
    assert RulesEngine().answer(asked.text, TEXTS).strip()


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Did Mona Reyes and Piet Vos attend the same school?", "yes"),
        ("Were Mona Reyes and Rosa Alba born in the same town?", "no"),
        ("Are Saltmere and Wick Harbour in the same country?", "yes"),
    ],
)
def test_whether_two_share_something_is_told_by_following_both(question: str, expected: str) -> None:
    assert RulesEngine().answer(question, TEXTS) == expected


FIRMS = [
    "Lant Glass Company\nLant Glass Company is a firm founded in 1950. In 1988 it employed 900 people.",
    "Lant Glass Company (2004)\nBy 2004 Lant Glass Company had 310 employees.",
    "Orrin Kilns\nOrrin Kilns is a firm founded in 1975. It has 640 employees.",
    "Ida V. Sorel\nIda V. Sorel (1900 – 1930) was a Vassonian painter.",
    "Jon Quist\nJon Quist (1850 – 1940) was a Vassonian sculptor.",
]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Which firm now has more employees, Lant Glass Company or Orrin Kilns?", "Orrin Kilns"),
        ("Which firm now has fewer employees, Lant Glass Company or Orrin Kilns?", "Lant Glass Company"),
        ("Who had the shorter life, Jon Quist or Ida V. Sorel?", "Ida V. Sorel"),
        ("Did Ida V. Sorel and Jon Quist have the same nationality?", "yes"),
    ],
)
def test_the_latest_amount_and_an_unknown_country_are_compared(question: str, expected: str) -> None:
    assert RulesEngine().answer(question, FIRMS) == expected


def test_both_ends_are_given_or_none() -> None:
    both = read_question("Did Mona Reyes and Piet Vos attend the same school?", PASSAGES)
    assert reach_each(both, PASSAGES) == ["Corran College", "Corran College"]
    one = read_question("Did Mona Reyes and Rosa Alba attend the same school?", PASSAGES)
    assert reach_each(one, PASSAGES) == []


parts = st.sampled_from(
    "who is the mother of director born in The Tin Orchard Mona Reyes 's now mayor ( ) 1990 on which based ?".split(
        " "
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(parts, max_size=30).map(" ".join), st.lists(st.sampled_from(TEXTS), max_size=5))
def test_any_heap_of_relation_words_gets_an_answer(question: str, texts: list[str]) -> None:
    assert RulesEngine().answer(question, texts).strip()
