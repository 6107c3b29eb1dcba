"""A nested question is unrolled into steps around the name in it, the innermost first."""

from __future__ import annotations

import pytest

from atommem_env.baselines.engines.rules.steps import Step, unroll, unroll_shared


def steps(question: str, name: str) -> list[Step]:
    start = question.index(name)
    return unroll(question, start, start + len(name))


@pytest.mark.parametrize(
    ("question", "links"),
    [
        ("Who is the mother of the director of Red Orchard?", ["director", "mother"]),
        ("Which river flows through the birthplace of Red Orchard?", ["birthplace", "river"]),
        ("Who wrote the novel on which Red Orchard is based?", ["source", "author"]),
        ("Where was the author of Red Orchard educated?", ["author", "school"]),
        ("In what year was the publisher of Red Orchard founded?", ["publisher", "founder"]),
        ("Who is Red Orchard's director's wife?", ["director", "spouse"]),
        ("Who is the maternal grandfather of Red Orchard?", ["mother", "father"]),
        ("Who is Red Orchard's mother-in-law?", ["spouse", "mother"]),
        ("In which country is the town that is home to Red Orchard?", ["location", "country"]),
        (
            "Which town is home to the head office of the company that owns Red Orchard?",
            ["owner", "headquarters"],
        ),
    ],
)
def test_steps_go_from_the_name_outwards(question: str, links: list[str]) -> None:
    assert [step.link.name for step in steps(question, "Red Orchard")] == links


def test_only_the_outermost_step_asks_for_a_date() -> None:
    found = steps("When was the founder of Red Orchard born?", "Red Orchard")
    assert [step.when for step in found] == [False, True]


def test_a_step_asks_for_the_latest_state_by_its_own_words() -> None:
    found = steps("Who is the father of the current mayor of Red Orchard?", "Red Orchard")
    assert [step.now for step in found] == [True, False]


@pytest.mark.parametrize(
    "question",
    [
        "Which prize did the mother of Red Orchard refuse twice?",
        "Who is Red Orchard?",
        "Who is the mother of the father of the mother of the father of the mother of Red Orchard?",
    ],
)
def test_what_the_steps_cannot_account_for_is_not_unrolled(question: str) -> None:
    assert steps(question, "Red Orchard") == []


def test_a_question_about_two_names_gives_the_steps_for_each() -> None:
    assert [step.link.name for step in unroll_shared("Did      and      attend the same school?")] == [
        "school"
    ]
    assert unroll_shared("Did      and      ever quarrel over the same horse?") == []
