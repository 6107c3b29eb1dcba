"""What a sentence of the generated world states: the tables of sentences, read backwards.

There is no second list of phrases here. Each template of ``templates`` becomes a pattern in which a slot takes what
the generator can put there, and of the templates that a sentence fits the one with the most words of its own wins.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from string import Formatter
from typing import Final, NamedTuple

from atommem_env.data.world.relations import NAMED, RELATIONS
from atommem_env.data.world.templates import COUNTRIES, DATED, FACTS, JOBS, LEADS, UPDATES, WORDS


class Statement(NamedTuple):
    """A fact that a sentence states.

    Attributes:
        kind: the kind of the subject.
        subject: its name.
        relation: the name of the relation.
        value: the object's name or value; of a nationality, the country.
        year: the year as of which, or since which, the sentence says that it holds; 0 when it gives none.
    """

    kind: str
    subject: str
    relation: str
    value: str
    year: int = 0


NAME: Final = r"[A-Z][\w.' -]*?"
"""What a name looks like."""

DATE: Final = r"\d{1,2} [A-Z][a-z]+ \d{4}"
"""What a date looks like."""

_YEAR: Final = r"\d{4}"
_NUMBER: Final = r"[\d,]+"
_LIFE: Final = rf"{DATE} – {DATE}"
_COUNTRY_OF: Final = {nationality: country for country, nationality in COUNTRIES}


def one_of(words: Iterable[str]) -> str:
    """Return the pattern of any of ``words``, longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


_COUNTRY: Final = one_of(country for country, _ in COUNTRIES)
_NATIONALITY: Final = one_of(_COUNTRY_OF)
_JOB: Final = one_of({*JOBS, *(relation.job for relation in RELATIONS if relation.job)})
_SLOTS: Final[dict[str, str]] = {
    **{name: one_of(words) for name, words in WORDS.items()},
    **dict.fromkeys(("s", "person", "town", "river", *(item.name for item in RELATIONS)), NAME),
    **dict.fromkeys(("year", "later", "modern", "asof", "moved", "wedding"), _YEAR),
    **dict.fromkeys(("release", "inception", "opening", "held"), _YEAR),
    **dict.fromkeys(("population", "employees", "length", "height"), _NUMBER),
    **dict.fromkeys(("hundreds", "thousands", "n"), _NUMBER),
    **dict.fromkeys(("birth", "death"), DATE),
    "life": _LIFE,
    "dates": rf"born {DATE}|{_LIFE}",
    "country": _COUNTRY,
    "nat": _NATIONALITY,
    "job": _JOB,
    "was": "is|was",
    "he": "he|she",
    "He": "He|She",
    "his": "his|her",
    "His": "His|Her",
    "him": "him|her",
}


def slot_pattern(slot: str) -> str:
    """Return the pattern of what the generator puts into ``slot``, numbered (``{town1}``) or with an article."""
    if slot.startswith("a_"):
        return f"an? (?:{slot_pattern(slot[2:])})"
    return _SLOTS.get(slot) or _SLOTS[slot.rstrip("0123456789")]


class Reading(NamedTuple):
    """A template as a pattern.

    Attributes:
        pattern: matches the whole sentence; a group for each slot, by name.
        anchor: the longest run of words of its own, by which most sentences are ruled out.
        words: the number of characters of its own.
    """

    pattern: re.Pattern[str]
    anchor: str
    words: int


@functools.cache
def reading(template: str, **slots: str) -> Reading:
    """Return ``template`` as a pattern; ``slots`` gives the patterns of slots that are not the generator's own."""
    parts, literals, seen = [], [""], set[str]()
    for literal, slot, _, _ in Formatter().parse(template):
        literals.append(literal)
        parts.append(re.escape(literal))
        if slot is None:
            continue
        if slot in seen:
            parts.append(f"(?P={slot})")
        else:
            parts.append(f"(?P<{slot}>{slots.get(slot) or slot_pattern(slot)})")
            seen.add(slot)
    return Reading(re.compile("".join(parts)), max(literals, key=len), sum(map(len, literals)))


class _Sentence(NamedTuple):
    reading: Reading
    kind: str
    relations: tuple[str, ...]


@functools.cache
def _sentences() -> tuple[_Sentence, ...]:
    """Return every template that states a fact, and which facts."""
    found = [
        _Sentence(reading(lead.text), kind, relations)
        for kind, leads in LEADS.items()
        for lead in leads
        if (relations := tuple(name for name in sorted(lead.states - {"life"}) if (kind, name) in NAMED))
    ]
    for table in (FACTS, DATED, UPDATES):
        for kind, facts in table.items():
            for name, templates in facts.items():
                object_pattern = slot_pattern(name if NAMED[kind, name].range == "literal" else "s")
                for template in templates:
                    own = {"o": object_pattern} if "{o}" in template else {}
                    names = ("birth", "death") if name == "life" else (name,)
                    found.append(_Sentence(reading(template, **own), kind, names))
    return tuple(found)


@functools.lru_cache(maxsize=65_536)
def stated(sentence: str) -> tuple[Statement, ...]:
    """Return the facts that ``sentence`` states; none when the world does not write such a sentence for a fact."""
    best = 0
    found: list[tuple[_Sentence, dict[str, str]]] = []
    for candidate in _sentences():
        _, anchor, words = candidate.reading
        if words < best or anchor not in sentence:
            continue
        match = candidate.reading.pattern.fullmatch(sentence)
        if match is None:
            continue
        if words > best:
            best, found = words, []
        found.append((candidate, match.groupdict()))
    return tuple(fact for template, slots in found for fact in _facts(template, slots))


def _facts(template: _Sentence, slots: dict[str, str]) -> Iterator[Statement]:
    year = int(slots.get("asof") or slots.get("moved") or 0)
    for relation in template.relations:
        value = _value(relation, slots)
        if value is not None:
            yield Statement(template.kind, slots["s"], relation, value, year)


def _value(relation: str, slots: dict[str, str]) -> str | None:
    """Return the object of ``relation``; ``None`` for the death of somebody who is said to be alive."""
    if relation == "nat":
        nationality = slots.get("nat") or slots.get("a_nat", "").split(" ")[-1]
        return slots.get("country") or slots.get("o") or _COUNTRY_OF[nationality]
    if relation in ("birth", "death") and "dates" in slots:
        dates = re.findall(DATE, slots["dates"])
        return dates[0] if relation == "birth" else dates[1] if len(dates) > 1 else None
    if relation == "release" and "year" in slots:
        return slots["year"]
    if relation == "job" and "a_job" in slots:
        return slots["a_job"].split(" ", 1)[1]
    return slots.get("o") or slots.get(relation)
