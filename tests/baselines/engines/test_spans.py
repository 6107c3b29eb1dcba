"""Spans that can be answers are found with their borders."""

from __future__ import annotations

import pytest

from atommem_env.baselines.engines.rules.spans import candidates, dates, names, numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The poet Ada van Holm met J. R. Moss in Oslo.", ["Ada van Holm", "J. R. Moss", "Oslo"]),
        ("It was Ada's house.", ["Ada"]),
        ("In May the Queen of Sheba came on Monday.", ["Queen of Sheba"]),
        ("no names here", []),
    ],
)
def test_names(text: str, expected: list[str]) -> None:
    assert [span.text for span in names(text)] == expected


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("3 May 1900", (1900, 5, 3)),
        ("May 3, 1900", (1900, 5, 3)),
        ("May 1900", (1900, 5, 0)),
        ("in 1900.", (1900, 0, 0)),
        ("3 May 930", (930, 5, 3)),
    ],
)
def test_dates(text: str, key: tuple[int, int, int]) -> None:
    assert [date.key for date in dates(text)] == [key]


def test_numbers_keep_their_signs_and_scale() -> None:
    assert [span.text for span in numbers("It cost $2.5 million for 12,300 seats and nine cats.")] == [
        "$2.5 million",
        "12,300",
        "nine",
    ]


def test_candidates_stand_where_they_say() -> None:
    text = 'On 3 May 1900 "The Long Way" opened in Duluth, Minnesota with 40 guests.'
    found = candidates(text)
    assert all(text[span.start : span.end] == span.text for span in found)
    assert {"3 May 1900", "1900", "The Long Way", "Duluth", "Duluth, Minnesota", "40"} <= {
        s.text for s in found
    }
