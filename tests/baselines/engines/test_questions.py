"""A question's type and options are told from its words."""

from __future__ import annotations

import pytest

from atommem_env.baselines.engines.rules.passages import read_passages
from atommem_env.baselines.engines.rules.questions import find_options, read_question


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Are both birds?", "yes/no"),
        ("Ada was a poet. Does Bo write too?", "yes/no"),
        ("Ada Holm and Bo Lark, are Norwegian?", "yes/no"),
        ("Who is older, Ada Holm or Bo Lark?", "option"),
        ("Who wrote it?", "person"),
        ("Which actress played her?", "person"),
        ("Where is the mill?", "place"),
        ("The mill stands in which city?", "place"),
        ("When did it burn?", "date"),
        ("In what year did it burn?", "year"),
        ("How many mills burned?", "number"),
        ("What song did she sing?", "thing"),
        ("Name the man that did it.", "thing"),
    ],
)
def test_types(text: str, expected: str) -> None:
    assert read_question(text, []).type == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Which film is longer, Red Orchard or Glass Harbour?", ("Red Orchard", "Glass Harbour")),
        ("Who was born first Ada Holm or Bo Lark?", ("Ada Holm", "Bo Lark")),
        ("Which is older, Lola (1981 Film) or Moss?", ("Lola (1981 Film)", "Moss")),
        ("Is Lark Hall or Moss Hall the largest house?", ("Lark Hall", "Moss Hall")),
        ("Which band came first, Hull, the band Ada Holm led, or The Owls?", ("Hull", "The Owls")),
        ("Who is older?", None),
    ],
)
def test_options(text: str, expected: tuple[str, str] | None) -> None:
    assert find_options(text, []) == expected


def test_titles_tell_where_an_option_begins() -> None:
    passages = read_passages(["Salt, Pepper and Moss\nA film.", "Lark\nA film."])
    assert find_options("Which came first, Salt, Pepper And Moss or Lark?", passages) == (
        "Salt, Pepper And Moss",
        "Lark",
    )
