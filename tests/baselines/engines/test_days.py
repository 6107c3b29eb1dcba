"""Times are counted out from the day on which they were said."""

from __future__ import annotations

from datetime import date

import pytest

from atommem_env.baselines.engines.rules.days import duration, when

SAID = date(2022, 8, 10)
"""A Wednesday."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I met her yesterday.", "9 August 2022"),
        ("We ate late last night!", "9 August 2022"),
        ("I leave tomorrow.", "11 August 2022"),
        ("It opened this morning.", "10 August 2022"),
        ("The day before yesterday it rained.", "8 August 2022"),
        ("I saw it three days ago.", "7 August 2022"),
        ("A couple of weeks ago I moved.", "a couple of weeks before 10 August 2022"),
        ("We married two months ago.", "June 2022"),
        ("I began five years ago.", "2017"),
        ("We fly in two weeks.", "2 weeks after 10 August 2022"),
        ("He came last Friday.", "5 August 2022"),
        ("On Wednesday it broke.", "3 August 2022"),
        ("The show is next Monday.", "15 August 2022"),
        ("Last week we hiked.", "the week before 10 August 2022"),
        ("We ski next weekend.", "the weekend after 10 August 2022"),
        ("The course begins next month.", "September 2022"),
        ("I quit last year.", "2021"),
        ("Last summer we camped.", "summer 2021"),
        ("Last spring we planted.", "spring 2022"),
        ("It closed in November.", "November 2021"),
        ("We met in May 2019.", "May 2019"),
        ("It was on July 4th.", "4 July 2022"),
        ("I have had it since 2016.", "2016"),
        ("I have played for two years.", "2020"),
        ("The other day I found it.", "a few days before 10 August 2022"),
        ("I like cheese.", None),
        ("In 99 years we shall see, in 999 years too.", "2121"),
    ],
)
def test_a_time_is_counted_from_the_day_of_speaking(text: str, expected: str | None) -> None:
    assert when(text, SAID) == expected


def test_what_lies_outside_the_calendar_is_no_time() -> None:
    assert when("That was 900 days ago.", date(1, 1, 2)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I have run for about five years now.", "about five years"),
        ("A 3-day trip", "3-day"),
        ("No idea", None),
    ],
)
def test_a_length_of_time_is_found(text: str, expected: str | None) -> None:
    assert duration(text) == expected
