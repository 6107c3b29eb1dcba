"""The rules engine answers from conversations: who speaks, when, and what nobody said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.baselines.engines.rules.rules import RulesEngine
from atommem_env.baselines.engines.rules.speech import _Search
from atommem_env.baselines.engines.rules.spoken import read_speech
from atommem_env.core.words import content_stems

TURNS = [
    "[9:15 am on 10 August, 2022] Mira: Last night I joined a pottery circle, and it was so calm!",
    "[9:15 am on 10 August, 2022] Jon: Have you made any bowls, Mira? My brother keeps bees in Ghent.",
    "[9:15 am on 10 August, 2022] Mira: I baked scones, muffins, and tarts for the circle.",
    '[6:40 pm on 2 September, 2022] Jon: I finished reading "The Salt Road" on Friday.',
    "[6:40 pm on 2 September, 2022] Jon: I have been rowing for six years. I keep my boat in Bruges.",
    "[6:40 pm on 2 September, 2022] Mira: Your boat must be lovely. I don't row, but I own three canoes.",
]

CASES = [
    ("When did Mira join a pottery circle?", "9 August 2022"),
    ("When did Jon finish reading The Salt Road?", "26 August 2022"),
    ("Which year did Mira join a pottery circle?", "2022"),
    ("In which month did Jon finish reading The Salt Road?", "August 2022"),
    ("What circle did Mira join?", "pottery circle"),
    ("Which book did Jon finish reading?", "The Salt Road"),
    ("How long has Jon been rowing?", "six years"),
    ("How many canoes does Mira own?", "three"),
    ("Where does Jon keep his boat?", "Bruges"),
    ("What pastries has Mira baked for the circle?", "scones, muffins, and tarts"),
    ("Did Jon finish reading The Salt Road?", "Yes"),
    ("Does Mira row?", "No"),
]


@pytest.mark.parametrize(("question", "answer"), CASES)
def test_what_a_speaker_told_answers_a_question_about_that_speaker(question: str, answer: str) -> None:
    assert RulesEngine().answer(question, TURNS) == answer


@pytest.mark.parametrize(
    "question",
    [
        "When did Jon join a pottery circle?",  # Mira did
        "How long has Mira been rowing?",  # Jon has, and "your boat" is not hers
        "What bowls has Jon made?",  # he only asks
        "Which opera did Jon hear in Vienna?",  # nobody speaks of it
    ],
)
def test_what_a_speaker_did_not_tell_is_unknown(question: str) -> None:
    assert RulesEngine().answer(question, TURNS) == "unknown"


def test_a_user_is_no_name_in_a_question() -> None:
    said = ["[2024-03-05] user: I moved to Turin last week.", "[2024-03-05] assistant: Turin has fine trams."]

    assert RulesEngine().answer("Where did I move to?", said) == "Turin"


SESSION = "Session 1 (10 August, 2022)\nMira: I own a canoe.\nIt is red.\nJon: I do not."


@pytest.mark.parametrize(
    "passages",
    [
        [SESSION],
        [SESSION.replace("2022)", "2022):").replace("\nIt", "\n  It")],  # as a chunk has it
        ["[10 August, 2022] Mira: I own a canoe.\nIt is red.", "[10 August, 2022] Jon: I do not."],
        ["Mira: I own a canoe. It is red.", "Jon: I do not."],
    ],
)
def test_every_form_of_what_was_said_is_read(passages: list[str]) -> None:
    said = read_speech(passages)

    assert [(line.turn, line.speaker, line.text) for line in said] == [
        (0, "Mira", "I own a canoe."),
        (0, "Mira", "It is red."),
        (1, "Jon", "I do not."),
    ]
    assert {str(line.day) for line in said} == {"None" if passages[0].startswith("Mira") else "2022-08-10"}


@pytest.mark.parametrize(
    "passages",
    [
        [],
        ["Glass Harbour\nGlass Harbour is a film."],
        ["Night Train: The Return\nIt is a film of 1988."],
        ["12. The author of Night Train: The Return is Per Aas."],
    ],
)
def test_documents_and_facts_are_no_speech(passages: list[str]) -> None:
    assert read_speech(passages) == ()


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=60),
    st.lists(
        st.text(alphabet="aI you?!.,:[]()2 \n\"'-May", max_size=80).map("[2 May 2021] A b: ".__add__),
        max_size=4,
    ),
)
def test_any_speech_gets_an_answer(question: str, passages: list[str]) -> None:
    assert RulesEngine().answer(question, passages).strip()


def test_the_words_of_a_question_weigh_in_their_order_and_not_in_that_of_a_process() -> None:
    said = read_speech(
        ["[1 May 2023] Ann: I won my first video game tournament.", "[2 May 2023] Ben: Nice game!"]
    )
    weights = _Search("When did Ann win her first video game tournament?", said)._weight
    assert list(weights) == content_stems("win first video game tournament")
