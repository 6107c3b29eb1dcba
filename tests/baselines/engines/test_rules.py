"""The rules engine answers each type of question from passages written for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.baselines.engines.rules.rules import RulesEngine

FILM = (
    "Glass Harbour (1951 film)\n"
    "Glass Harbour is a 1951 Norwegian drama film directed by Tove Lindqvist and starring Per Aas."
)
DIRECTOR = (
    "Tove Lindqvist\nTove Lindqvist (3 May 1902 in Bergen – 9 June 1971 in Oslo) was a Norwegian film director. "
    "She was the daughter of Anders Lindqvist and Ida Moe."
)
OTHER_FILM = (
    "Red Orchard\n"
    "Red Orchard is a 1948 Canadian comedy film directed by Hugh Marlow. It was released in March 1948."
)
OTHER_DIRECTOR = "Hugh Marlow\nHugh Marlow (born 12 August 1911) was a Canadian film director from Toronto."
VILLAGE = (
    "Kvernes\nKvernes is a village in Averla Municipality, Norway. At the 2001 census its population was 412."
)
TOWN = "Pinehill\nPinehill is a town in Lark County, Ontario, Canada. The population is 9,250."
FATHER = "Anders Lindqvist\nAnders Lindqvist (born 1870) was a Norwegian painter."
BAND = "The Copper Owls\nThe Copper Owls are an English rock band formed in Leeds in 1994."
PRESS = (
    "Moonlit Press\n"
    "Moonlit Press is an independent publishing house based in Duluth, Minnesota. It was founded in 1987."
)
AUTHOR = (
    "Clara Wren\n"
    "Clara Wren (born 1960) is an American novelist. Her first novel was published by Moonlit Press in 1991."
)
NOISE = "Blue Heron\nThe blue heron is a wading bird found near lakes and rivers."
ALL = [FILM, DIRECTOR, OTHER_FILM, OTHER_DIRECTOR, VILLAGE, TOWN, FATHER, BAND, PRESS, AUTHOR, NOISE]

CASES = [
    ("When was the director of film Glass Harbour born?", "3 May 1902"),
    ("What is the date of death of the director of film Glass Harbour (1951 Film)?", "9 June 1971"),
    ("Where was the director of film Glass Harbour born?", "Bergen"),
    ("What is the place of death of Tove Lindqvist?", "Oslo"),
    ("What nationality is the director of film Red Orchard?", "Canadian"),
    ("Who is the father of the director of film Glass Harbour?", "Anders Lindqvist"),
    ("Who is the mother of Tove Lindqvist?", "Ida Moe"),
    ("Which film has the director who was born first, Red Orchard or Glass Harbour?", "Glass Harbour"),
    ("Which film has the director who was born later, Red Orchard or Glass Harbour?", "Red Orchard"),
    ("Who is younger, Tove Lindqvist or Hugh Marlow?", "Hugh Marlow"),
    ("Which film came out first, Glass Harbour or Red Orchard?", "Red Orchard"),
    ("Which place has a larger population, Kvernes or Pinehill?", "Pinehill"),
    ("Are Kvernes and Pinehill located in the same country?", "no"),
    ("Are Kvernes and Glass Harbour both from the same country?", "yes"),
    ("Are both Tove Lindqvist and Hugh Marlow film directors?", "yes"),
    ("In what year was The Copper Owls formed?", "1994"),
    ("Where is the publishing house of Clara Wren's first novel based?", "Duluth, Minnesota"),
    ("What was the population of Kvernes at the 2001 census?", "412"),
]


@pytest.fixture(scope="module")
def engine() -> RulesEngine:
    return RulesEngine()


@pytest.mark.parametrize(("question", "expected"), CASES)
def test_each_type_of_question_is_answered(engine: RulesEngine, question: str, expected: str) -> None:
    assert engine.answer(question, ALL) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Is Kvernes in Norway?", "yes"),
        ("Which is older, Kvernes or Pinehill?", "Kvernes"),
        ("Which is older, Pinehill or Kvernes?", "Pinehill"),
        ("Who painted the ceiling?", "unknown"),
        ("", "unknown"),
    ],
)
def test_without_passages_it_guesses_from_the_question(
    engine: RulesEngine, question: str, expected: str
) -> None:
    assert engine.answer(question, []) == expected


def test_it_reads_the_documents_of_a_chunk(engine: RulesEngine) -> None:
    chunk = "\n\n".join(f"Document {number}:\n{text}" for number, text in enumerate(ALL, 4))
    assert engine.answer("When was the director of film Glass Harbour born?", [chunk]) == "3 May 1902"


def test_what_it_needs_is_found_among_many_passages(engine: RulesEngine) -> None:
    crowd = [f"Place {number}\nPlace {number} is a village on river {number}." for number in range(100)]
    assert engine.answer("When was the director of film Glass Harbour born?", [*crowd, *ALL]) == "3 May 1902"


def test_a_name_that_the_question_says_is_no_answer(engine: RulesEngine) -> None:
    answer = engine.answer("Who directed Glass Harbour?", [FILM])
    assert answer in ("Tove Lindqvist", "Per Aas")


words = st.sampled_from(
    "who when is or Ada born in 1850 the ( ) of Director, father \n Document 1:\n same — “ ” é".split(" ")
)
texts = st.one_of(st.text(max_size=200), st.lists(words, max_size=40).map(" ".join))


@settings(max_examples=150, deadline=None)
@given(texts, st.lists(texts, max_size=4))
def test_any_text_gets_an_answer_that_is_not_blank(question: str, passages: list[str]) -> None:
    assert RulesEngine().answer(question, passages).strip()


@pytest.mark.heavy
def test_answers_are_the_same_in_every_process() -> None:
    program = (
        "from atommem_env.baselines.engines.rules.rules import RulesEngine\n"
        f"passages = {ALL!r}\n"
        f"questions = {[question for question, _ in CASES]!r} + ['What do Red Orchard and Pinehill share?', 'Who?']\n"
        "engine = RulesEngine()\n"
        "print([engine.answer(question, passages) for question in questions])\n"
        "print([engine.compress(questions, passages[0], '\\n\\n'.join(passages), 90)])\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "4242")
    }
    assert len(outputs) == 1
