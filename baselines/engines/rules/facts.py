"""Facts that encyclopedia text states in set forms: dates and places of lives, nationality, causes.

Each function reads one passage and returns what it says, or ``None``. The forms are those of English
encyclopedias in general: "(born 3 May 1900 in Oslo)", "is a Norwegian poet", "was educated at ...".
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from atommem_env.baselines.engines.rules.passages import Passage
from atommem_env.baselines.engines.rules.places import COUNTRIES, adjectives_named, places_named
from atommem_env.baselines.engines.rules.spans import Date, dates, first_name

_PARENTHESIS = re.compile(r"\(([^()]*\d{3,4}[^()]*)\)")
_DASH = re.compile(r"\s*[–—]\s*|\s+-+\s*|(?<=\d)-\s*|-\s+")
_BORN = re.compile(r"\b(?:born|b\.|baptised|baptized)\s", re.IGNORECASE)
_DIED = re.compile(r"\b(?:died|death|killed|murdered|executed|assassinated|d\.)\s", re.IGNORECASE)
_PLAIN_YEAR = re.compile(r"\b\d{3,4}\b")
SENTENCE_END = re.compile(r"(?<=\w\w)[.;](?=\s|$)")
"""A full stop or semicolon after a word of two letters, which ends a clause (an initial's does not)."""
_IN = re.compile(r"\b(?:in|at|near)\s+(?=[A-Z])")
_REACH = 90
_TRIES = 40
_PARENTHESIS_WITHIN = 300


class Life(NamedTuple):
    """When and where a life began and ended, as far as a passage says."""

    born: Date | None = None
    died: Date | None = None
    birth_place: str | None = None
    death_place: str | None = None


def life(passage: Passage) -> Life:
    """Return the dates and places of the life that ``passage`` is about."""
    found = _from_parenthesis(passage.text)
    text = passage.text
    return Life(
        found.born or _date_after(_BORN, text),
        found.died or _date_after(_DIED, text),
        found.birth_place or _place_after(_BORN, text) or _native(text),
        found.death_place or _place_after(_DIED, text),
    )


def is_person(passage: Passage) -> bool:
    """Return whether the passage opens as one about a person does, with a date of birth."""
    return _from_parenthesis(passage.text).born is not None


def _from_parenthesis(text: str) -> Life:
    match = _PARENTHESIS.search(text[:_PARENTHESIS_WITHIN])
    if match is None:
        return Life()
    inside = match.group(1)
    halves = _DASH.split(inside, maxsplit=1)
    if len(halves) == 2:
        left, right = halves
        if _any_date(left) is not None or "?" in left:
            return Life(_any_date(left), _any_date(right), _place_beside(left), _place_beside(right))
    found = dates(inside)
    if len(found) == 2 and found[0].end == found[1].start:  # the dash between them was lost
        return Life(found[0], found[1])
    if _DIED.search(inside + " ") and not _BORN.search(inside + " "):
        return Life(None, _any_date(inside))
    if _BORN.search(inside + " "):
        return Life(_any_date(inside[_start(_BORN, inside) :]), None, _place_beside(inside))
    return Life()


def _start(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.search(text + " ")
    return match.start() if match else 0


def _any_date(text: str) -> Date | None:
    found = dates(text)
    if found:
        return found[0]
    year = _PLAIN_YEAR.search(text)
    return Date(year.start(), year.end(), year.group(), (int(year.group()), 0, 0)) if year else None


def _place_beside(text: str) -> str | None:
    """Return the place in "3 May 1900 in Oslo", "3 May 1900, Oslo" or "Oslo, 3 May 1900"."""
    inside = _IN.search(text)
    if inside:
        return _name_at(text, inside.end())
    when = _any_date(text)
    if when is None:
        return None
    after = re.match(r"\s*,?\s*(?=[A-Z])", text[when.end :])
    if after:
        return _name_at(text, when.end + after.end())
    before = re.match(r"\s*(?=[A-Z])[^\d]*,\s*$", text[: when.start])
    return _name_at(text, 0) if before else None


def _name_at(text: str, start: int) -> str | None:
    span = first_name(text, start, 4)
    return span.text if span else None


def _date_after(cue: re.Pattern[str], text: str) -> Date | None:
    for match in itertools.islice(cue.finditer(text), _TRIES):
        for date in dates(_clause(text, match.end())):
            return date
    return None


def _place_after(cue: re.Pattern[str], text: str) -> str | None:
    for match in itertools.islice(cue.finditer(text), _TRIES):
        clause = _clause(text, match.end() - 1)
        inside = _IN.search(clause)
        if inside and (place := _name_at(clause, inside.end())):
            return place
    return None


def _native(text: str) -> str | None:
    match = re.search(r"\b([A-Z]\w+(?: [A-Z]\w+)?)-born\b|\bnative of (?=[A-Z])", text)
    if match is None:
        return None
    return match.group(1) or _name_at(text, match.end())


def _clause(text: str, start: int) -> str:
    """Return the rest of a clause: up to a full stop after a word of two letters, or 90 characters."""
    rest = text[start : start + _REACH]
    stop = SENTENCE_END.search(rest)
    return rest[: stop.start()] if stop else rest


# --- countries --------------------------------------------------------------------------------------

_CITIZEN = re.compile(r"\b(?:citizen(?:ship)?|subject|national) of (?:the )?")
_IS = re.compile(r"\b(?:is|was|are|were)\b")


def nationality(passage: Passage) -> str | None:
    """Return the nationality of the person (or work) a passage is about, in the passage's words."""
    opening = passage.opening + " " + (passage.sentences[1].text if len(passage.sentences) > 1 else "")
    predicate = _IS.search(opening)
    after = opening[predicate.end() :] if predicate else opening
    found = adjectives_named(after[:160]) or places_named(after) or adjectives_named(passage.text[:600])
    if found:
        return found[0][0]
    citizen = _CITIZEN.search(passage.text)
    return _name_at(passage.text, citizen.end()) if citizen else None


def country(passage: Passage) -> str | None:
    """Return the country a place, an organisation or a person belongs to, by its common English name."""
    for sentence in passage.sentences[:3]:
        predicate = _IS.search(sentence.text)
        after = sentence.text[predicate.end() :] if predicate else sentence.text
        named = places_named(after)
        plain = [land for words, land in named if words == land]
        if plain:
            return plain[-1]
        if named:
            return named[-1][1]
    named = places_named(passage.title + ". " + passage.text[:800])
    return named[0][1] if named else None


def country_of(words: str) -> str:
    """Return the country that a phrase such as *Norwegian* or *Ohio* belongs to; an unknown name is its own."""
    return COUNTRIES.get(words) or next((land for _, land in places_named(words)), words)


# --- attributes -------------------------------------------------------------------------------------

Attribute = Callable[[Passage], "str | None"]
_CAUSE = re.compile(
    r"\b(?:(?:died|death|dead|killed)\b[^.;]{0,60}? (?:of|from|by)|cause of death was|succumbed to|due to"
    r"|as a result of) "
    r"(?:an? |the |complications of |complications from )?([a-z][\w-]*(?: [a-z][\w-]*){0,2})"
)
_CAUSE_END = re.compile(r" (?:in|at|on|and|while|aged|after|when|he|she|his|her|during)\b.*")
_EDUCATED = re.compile(
    r"\b(?:educated (?:at|in)|studied(?: \w+){0,3} at|graduated(?: \w+){0,2} from|attended|graduate of"
    r"|alumnus of)\b"
)


def _date_text(date: Date | None) -> str | None:
    return date.text if date else None


def cause_of_death(passage: Passage) -> str | None:
    """Return what the person died of."""
    match = _CAUSE.search(passage.text)
    return _CAUSE_END.sub("", match.group(1)) if match else None


def _name_after(cue: re.Pattern[str]) -> Attribute:
    def find(passage: Passage) -> str | None:
        match = cue.search(passage.text)
        span = first_name(passage.text, match.end(), 40) if match else None
        return span.text if span else None

    return find


ATTRIBUTES: Final[tuple[tuple[re.Pattern[str], Attribute], ...]] = tuple(
    (re.compile(asked, re.IGNORECASE), attribute)
    for asked, attribute in (
        (
            r"\bdate of birth\b|\bbirthday\b|^when (?:was|is|were) .* born\b"
            r"|\bwh(?:at|ich) (?:year|date) .* born\b|\bborn (?:when|in (?:what|which) year)\b",
            lambda passage: _date_text(life(passage).born),
        ),
        (
            r"\bdate of death\b|^when did .* (?:die|pass away)\b|\bwh(?:at|ich) year .* die\b"
            r"|\bdied (?:when|in (?:what|which) year)\b",
            lambda passage: _date_text(life(passage).died),
        ),
        (
            r"\b(?:place of birth|birthplace)\b|^where (?:was|is|were) .* born\b"
            r"|\b(?:what|which) (?:city|town|country|state|village|place) (?:was|is|were) .* born\b"
            r"|\bborn (?:in (?:what|which)|where)\b",
            lambda passage: life(passage).birth_place,
        ),
        (
            r"\bplace of death\b|^where did .* (?:die|pass away)\b"
            r"|\b(?:what|which) (?:city|town|country|place) did .* die\b",
            lambda passage: life(passage).death_place,
        ),
        (r"\bcause of death\b|^(?:how|why) did .* die\b", cause_of_death),
        (
            r"\bnationality\b|\b(?:what|which) country .*\bfrom\b|\bcountry of (?:citizenship|origin)\b"
            r"|\bcitizen\b",
            nationality,
        ),
        (r"\b(?:study|studied|educated|graduate[ds]?|alma mater)\b", _name_after(_EDUCATED)),
    )
)


def attribute_asked(question: str) -> Attribute | None:
    """Return the attribute that ``question`` asks for in one of the set forms, else ``None``."""
    return next((attribute for asked, attribute in ATTRIBUTES if asked.search(question)), None)
