"""Times that are told from the day of speaking: *yesterday*, *last Friday*, *two weeks ago*, *next month*.

An answer is a day (*7 May 2023*), a month (*June 2023*), a year, or, where the words say no more, a stretch next to the
day of speaking (*the week before 9 June 2023*).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from atommem_env.baselines.engines.rules.spans import MONTHS

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SMALL: Final = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
} | {"a": 1, "an": 1, "couple": 2, "few": 3, "several": 3}
_SEASONS: Final = {"winter": 2, "spring": 5, "summer": 8, "fall": 11, "autumn": 11}
_COUNT: Final = (
    r"(?P<n>\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|an?|(?:a )?couple(?: of)?"
    r"|(?:a )?few)"
)
_DAY: Final = "|".join(f"{day}|{day[:3]}|{day[:4]}" for day in _WEEKDAYS)
_MONTH: Final = "|".join(MONTHS)
_DURATION: Final = re.compile(
    rf"\b(?:(?:over|about|around|almost|nearly|more than|at least) )?{_COUNT}(?: and a half)?"
    r"[ -](?:whole |full |long |straight )?(?:year|month|week|day|hour|minute|decade)s?\b",
    re.IGNORECASE,
)

_Reading = Callable[[re.Match[str], date], str]


def written(day: date) -> str:
    """Return a day as *7 May 2023*."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def _month(day: date, offset: int) -> str:
    place = day.year * 12 + day.month - 1 + offset
    return f"{MONTHS[place % 12]} {place // 12}"


def _count(match: re.Match[str]) -> int:
    word = match["n"].lower().replace("a couple", "couple").replace("a few", "few").split(" ")[0]
    return int(word) if word.isdigit() else _SMALL[word]


def _away(match: re.Match[str], day: date, sign: int) -> str:
    """Return what lies a number of days, weeks, months or years before (-1) or after (1) ``day``."""
    number, unit = _count(match), match["unit"].lower()
    side = "before" if sign < 0 else "after"
    if unit == "year":
        return str(day.year + sign * number)
    if unit == "month":
        return _month(day, sign * number)
    if "few" in match["n"].lower() or "couple" in match["n"].lower():
        return f"{match['n'].lower()} {unit}s {side} {written(day)}"
    if unit == "week":
        return f"{number} week{'s' * (number != 1)} {side} {written(day)}"
    return written(day + timedelta(sign * number))


def _weekday(match: re.Match[str], day: date, sign: int) -> str:
    wanted = next(n for n, name in enumerate(_WEEKDAYS) if name.startswith(match["day"].lower()))
    days = (day.weekday() - wanted) % 7 if sign < 0 else (wanted - day.weekday()) % 7
    return written(day + timedelta(sign * (days or 7)))


def _named_month(match: re.Match[str], day: date) -> str:
    if match["year"]:
        return f"{match['month']} {match['year']}"
    month = MONTHS.index(match["month"]) + 1
    ahead = match["side"] is not None and match["side"].lower() in ("next", "this")
    year = day.year + (ahead and month < day.month) - (not ahead and month > day.month)
    return f"{match['month']} {year}"


def _stretch(match: re.Match[str], day: date) -> str:
    side, unit = match["side"].lower(), match["unit"].lower()
    after = side in ("next", "this coming", "the upcoming", "upcoming")
    if unit == "month":
        return _month(day, 0 if side == "this" else 1 if after else -1)
    if unit == "year":
        return str(day.year + (0 if side == "this" else 1 if after else -1))
    if unit in _SEASONS:
        return f"{unit} {day.year + _season_offset(unit, day, side == 'this', after)}"
    if side == "this":
        return f"the {unit} of {written(day)}"
    return f"the {unit} {'after' if after else 'before'} {written(day)}"


def _season_offset(season: str, day: date, this: bool, after: bool) -> int:
    """Return how many years after that of ``day`` its last, this or next ``season`` lies."""
    over = day.month > _SEASONS[season]
    return 0 if this else int(over) if after else int(over) - 1


_FORMS: Final[list[tuple[re.Pattern[str], _Reading]]] = [
    (re.compile(form, re.IGNORECASE), reading)
    for form, reading in (
        (
            rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m>{_MONTH})\b,?(?: (?P<y>\d{{4}}))?",
            lambda match, day: f"{match['d']} {match['m']} {match['y'] or day.year}",
        ),
        (
            rf"\b(?P<m>{_MONTH}) (?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\d),?(?: (?P<y>\d{{4}}))?",
            lambda match, day: f"{match['d']} {match['m']} {match['y'] or day.year}",
        ),
        (r"\b(?:the day before yesterday)\b", lambda match, day: written(day - timedelta(2))),
        (r"\b(?:yesterday|last night|the other night)\b", lambda match, day: written(day - timedelta(1))),
        (r"\b(?:tomorrow)\b", lambda match, day: written(day + timedelta(1))),
        (r"\b(?:today|tonight|this (?:morning|afternoon|evening))\b", lambda match, day: written(day)),
        (
            rf"\b{_COUNT} (?P<unit>day|week|month|year)s? (?:ago|back|earlier)\b",
            lambda match, day: _away(match, day, -1),
        ),
        (r"\bthe other day\b", lambda match, day: f"a few days before {written(day)}"),
        (
            rf"\bin (?:about |around )?{_COUNT} (?P<unit>day|week|month|year)s?\b",
            lambda match, day: _away(match, day, 1),
        ),
        (
            rf"\b(?:next|this coming|this) (?P<day>{_DAY})\b",
            lambda match, day: _weekday(match, day, 1),
        ),
        (rf"\b(?:last|on|past|this past) (?P<day>{_DAY})\b", lambda match, day: _weekday(match, day, -1)),
        (
            r"\b(?P<side>last|next|this|past|the past|over the|this|the upcoming|upcoming|this coming|this past) "
            r"(?P<unit>week|weekend|month|year|summer|winter|spring|fall|autumn)\b",
            lambda match, day: _stretch(match, day),
        ),
        (
            r"\b(?:(?:in|since|by|of|around|until|(?P<side>last|next|this)) )(?:early |late |mid-?)?"
            rf"(?P<month>{_MONTH})\b(?: (?P<year>\d{{4}}))?",
            lambda match, day: _named_month(match, day),
        ),
        (r"\b(?:in|since|back in|by) (?P<y>(?:19|20)\d\d)\b", lambda match, day: match["y"]),
        (
            rf"\b(?:for|been) (?:about |around |over |almost |nearly )?{_COUNT} (?P<unit>year|month)s?(?: now)?\b",
            lambda match, day: _away(match, day, -1),
        ),
    )
]


def when(text: str, day: date) -> str | None:
    """Return the time that ``text``, said on ``day``, tells of; ``None`` when it tells none."""
    for form, reading in _FORMS:
        match = form.search(text)
        if match is not None:
            try:
                return reading(match, day)
            except (OverflowError, ValueError):
                continue
    return None


def duration(text: str) -> str | None:
    """Return the first length of time in ``text``: *five years*."""
    match = _DURATION.search(text)
    return match.group() if match else None
