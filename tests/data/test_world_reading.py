"""The world read backwards: what its sentences state, and what its questions ask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env.data.world import QUESTION_KINDS, WorldConfig, WorldQuestion, generate
from atommem_env.data.world.asked import Chosen, Met, Named, Reached, bindings, senses
from atommem_env.data.world.relations import NAMED
from atommem_env.data.world.statements import Statement, stated


def question(index: int, hops: int = 3, revisions: float = 0.5) -> WorldQuestion:
    config = WorldConfig(seed=5, kinds=tuple(QUESTION_KINDS), hops=(2, hops), revisions=revisions)
    return generate(config, "train", index)


questions = st.builds(
    question, st.integers(0, 10_000), st.sampled_from((2, 3, 4)), st.sampled_from((0.0, 1.0))
)


@given(questions)
def test_supporting_sentences_state_the_facts_that_the_answer_rests_on(asked: WorldQuestion) -> None:
    read = {
        (fact.subject, NAMED[fact.kind, fact.relation].label, fact.value)
        for paragraph, sentence in asked.supporting
        for fact in stated(asked.paragraphs[paragraph].sentences[sentence])
    }
    assert set(asked.evidences) <= read


@given(questions)
def test_no_sentence_states_a_fact_of_somebody_else(asked: WorldQuestion) -> None:
    for paragraph in asked.paragraphs:
        subjects = {fact.subject for sentence in paragraph.sentences for fact in stated(sentence)}
        assert subjects <= {paragraph.title.partition(" (")[0]}


@pytest.mark.parametrize(
    ("sentence", "facts"),
    [
        (
            "Ada B. Worth (3 May 1901 – 4 June 1970) was an Arvonian poet.",
            {
                Statement("person", "Ada B. Worth", "birth", "3 May 1901"),
                Statement("person", "Ada B. Worth", "death", "4 June 1970"),
                Statement("person", "Ada B. Worth", "nat", "Arvonia"),
                Statement("person", "Ada B. Worth", "job", "poet"),
            },
        ),
        (
            "Ada Worth (born 3 May 1951) is known mainly for a long association with Otto Man.",
            {Statement("person", "Ada Worth", "birth", "3 May 1951")},
        ),
        (
            "Ada Worth was born in the town of Blury, the third child of a large family.",
            {Statement("person", "Ada Worth", "birthplace", "Blury")},
        ),
        (
            "In 1990 the headquarters of Alex Bank were in Blury.",
            {("company", "Alex Bank", "headquarters", "Blury", 1990)},
        ),
        (
            "The Alex Congress was held in the summer of 1911.",
            {Statement("event", "Alex Congress", "held", "1911")},
        ),
        ("Her grave is in Blury.", set()),
        ("Duluth is a city in Minnesota.", set()),
    ],
)
def test_what_a_sentence_states(sentence: str, facts: set[Statement]) -> None:
    assert set(stated(sentence)) == facts


def test_what_a_question_asks() -> None:
    hall = Named("company", "Alex Bank")
    assert senses("Where is Alex Bank based now?") == (Reached(hall, "headquarters"),)
    assert Reached(Reached(hall, "founder"), "birth") in senses(
        "What is the date of birth of the founder of Alex Bank?"
    )
    assert senses("Which is longer, the Alex Bridge or the Ulex Bridge?") == (
        Chosen(
            ("Alex Bridge", "Ulex Bridge"),
            (Named("structure", "Alex Bridge"), Named("structure", "Ulex Bridge")),
            "length",
            False,
        ),
    )
    assert senses("Were Ada Worth and Otto Man both painters?") == (
        Met((Named("person", "Ada Worth"), Named("person", "Otto Man")), "job", "painter"),
    )
    assert senses("What is the capital of France?") == ()


@given(st.text("ab ", max_size=6), st.text("ab ", max_size=6))
def test_bindings_are_all_the_ways_to_fill_a_template(a: str, b: str) -> None:
    found = list(bindings("<{a}-{b}>", f"<{a}-{b}>"))
    assert ({"a": a, "b": b} in found) == bool(a and b)
    assert all(f"<{one['a']}-{one['b']}>" == f"<{a}-{b}>" for one in found)
