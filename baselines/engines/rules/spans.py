"""Spans of text that can be answers: names, quoted titles, dates and numbers."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from atommem_env.core.words import STOP_WORDS, word_set

Kind: TypeAlias = Literal["name", "quote", "date", "number"]

MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_MONTH = "(?:" + "|".join(MONTHS) + ")"
_DATE = re.compile(
    rf"\b(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m1>{_MONTH}),? (?P<y1>\d{{3,4}})(?!\d)"
    rf"|(?:\b|(?<=\d))(?P<m2>{_MONTH}) (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y2>\d{{3,4}})(?!\d)"
    rf"|\b(?P<m3>{_MONTH}),? (?P<y3>\d{{3,4}})\b"
    rf"|\b(?P<y4>1\d{{3}}|20\d\d)\b(?!,\d)"
)
_NUMBER = re.compile(
    r"(?<![\w.,])\$?\d+(?:[.,]\d+)*(?: (?:hundred|thousand|million|billion|percent))?%?(?![\w])"
    r"|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen"
    r"|twenty|thirty|forty|fifty)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['’&.\-–/][^\W_]+)*")
_QUOTE = re.compile(r"[\"“]\s*([^\"“”\n]{2,80}?)\s*[\"”]")
_INNER = word_set(
    """
    of the de del della di da du des la le les van von der den ter al el bin ibn ye y do dos
    """
)
_TITLES = word_set("mr mrs ms dr st jr sr prof lt col gen capt sgt")


class Span(NamedTuple):
    """A candidate: characters ``start`` to ``end`` of a text."""

    start: int
    end: int
    text: str
    kind: Kind


class Date(NamedTuple):
    """A date found in a text. ``key`` is (year, month, day) with 0 for what is not given."""

    start: int
    end: int
    text: str
    key: tuple[int, int, int]


def dates(text: str) -> list[Date]:
    """Return the dates of ``text``: days, months, and years from 1000 to 2099 (earlier ones with a month)."""
    return [_date(match) for match in _DATE.finditer(text)]


def _date(match: re.Match[str]) -> Date:
    part = match.groupdict()
    year = part["y1"] or part["y2"] or part["y3"] or part["y4"]
    month = part["m1"] or part["m2"] or part["m3"]
    day = part["d1"] or part["d2"]
    key = (int(year), MONTHS.index(month) + 1 if month else 0, int(day) if day else 0)
    return Date(match.start(), match.end(), match.group(), key)


def numbers(text: str) -> list[Span]:
    """Return the numbers of ``text``, in digits or small number words, years included."""
    return [Span(match.start(), match.end(), match.group(), "number") for match in _NUMBER.finditer(text)]


def names(text: str) -> list[Span]:
    """Return the runs of capitalised words of ``text``, without a leading article.

    Small words such as *of* and *van* may stand inside a run. A capitalised stop word alone, as at the start
    of a sentence, is not a name; a month or a day of the week neither.
    """
    spans = []
    run: list[re.Match[str]] = []
    pending: list[re.Match[str]] = []
    for word in _WORD.finditer(text):
        joined = _joined(text, (pending or run)[-1], word) if run else True
        if run and not joined:
            spans.append(run)
            run, pending = [], []
        if _is_capital(word.group()):
            run = [*run, *pending, word]
            pending = []
        elif run and len(pending) < 2 and word.group() in _INNER:
            pending.append(word)
        elif run:
            spans.append(run)
            run, pending = [], []
    if run:
        spans.append(run)
    return [span for words in spans if (span := _name(text, words)) is not None]


def _is_capital(word: str) -> bool:
    return word[0].isupper() or (word[0].isdigit() and word[-1].isupper())


def _joined(text: str, left: re.Match[str], right: re.Match[str]) -> bool:
    gap = text[left.end() : right.start()]
    if gap == " " or gap in ("- ", " & "):
        return True
    word = left.group()
    return gap == ". " and (len(word) == 1 or word.lower() in _TITLES or word.count(".") > 0)


def _name(text: str, words: list[re.Match[str]]) -> Span | None:
    while words and _opens_no_name(text, words[0]):
        words = words[1:]
    if not words or (len(words) == 1 and words[0].group() in MONTHS):
        return None
    start, end = words[0].start(), words[-1].end()
    found = text[start:end]
    for ending in ("'s", "’s", "'", "’"):
        if found.endswith(ending):
            found = found[: -len(ending)]
            break
    if len(found) == 1 or _is_time(found):
        return None
    following = text[start + len(found) : start + len(found) + 2]
    if words[-1].group() in ("Jr", "Sr") and following.startswith("."):
        found += "."
    return Span(start, start + len(found), found, "name")


def _opens_no_name(text: str, word: re.Match[str]) -> bool:
    """Tell whether ``word`` is an article or the like; a letter before a full stop is an initial."""
    if len(word.group()) == 1 and text[word.end() : word.end() + 1] == ".":
        return False
    return word.group().lower() in STOP_WORDS or word.group() in _INNER


def _is_time(found: str) -> bool:
    return found in _DAYS or _DATE.fullmatch(found) is not None


_DAYS = word_set("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")


@functools.lru_cache(maxsize=4096)
def candidates(text: str) -> tuple[Span, ...]:
    """Return every span of ``text`` that can be an answer, in the order of the text."""
    found: list[Span] = list(_quotes(text))
    when = dates(text)
    found += (Span(date.start, date.end, date.text, "date") for date in when)
    for date in when:
        if date.key[1]:  # the year alone is an answer too
            year = date.text[-4:].strip()
            found.append(Span(date.end - len(year), date.end, year, "date"))
    found += (
        number
        for number in numbers(text)
        if not any(date.start <= number.start and number.end <= date.end for date in when)
    )
    proper = names(text)
    found += proper
    found += _places_with_region(text, proper)
    return tuple(sorted(found, key=lambda span: (span.start, -span.end)))


def _quotes(text: str) -> Iterator[Span]:
    for match in _QUOTE.finditer(text):
        yield Span(match.start(1), match.end(1), match.group(1), "quote")


def _places_with_region(text: str, proper: list[Span]) -> Iterator[Span]:
    for left, right in itertools.pairwise(proper):
        if text[left.end : right.start] == ", ":
            yield Span(left.start, right.end, text[left.start : right.end], "name")


def first_name(text: str, start: int, reach: int = 60) -> Span | None:
    """Return the first name of ``text`` from ``start`` on, at most ``reach`` characters away."""
    for span in names(text[start : start + reach + 80]):
        if span.start > reach:
            return None
        return Span(start + span.start, start + span.end, span.text, span.kind)
    return None
