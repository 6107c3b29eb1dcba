"""The chats of the world read backwards: what a turn says of what, and since when; and what a question asks."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from atommem_env.data.world.asked import bindings
from atommem_env.data.world.chat_templates import CHAINS, CHOICES, ORDERED, SPANS, SUMS, TOPICS, Topic
from atommem_env.data.world.statements import DATE, NAME, Reading, Statement, one_of, reading, stated
from atommem_env.data.world.templates import MONTHS
from atommem_env.text import sentences

_CLOCK: Final = re.compile(
    r"(?P<y>\d{4})[-/](?P<m>\d{2})[-/](?P<d>\d{2})(?:[ T]*(?:\([A-Za-z]{3}\))? *(?P<hm>\d{2}:\d{2}))?"
    rf"|(?P<d2>\d{{1,2}}) (?P<m2>{'|'.join(MONTHS)}),? (?P<y2>\d{{4}})"
)


class Said(NamedTuple):
    """Something that a sentence of a chat says.

    Attributes:
        topic: the name of the topic.
        key: what it is about.
        value: what is said of it; a date as ISO 8601.
        corrects: whether the words say that it replaces something.
    """

    topic: str
    key: str
    value: str
    corrects: bool = False


class Line(NamedTuple):
    """A line of a passage: what it says, and the day on which it was said where the passage tells it.

    Attributes:
        text: without the speaker.
        when: the date before it, as ``YYYY-MM-DD HH:MM``; ``""`` where none stands there.
    """

    text: str
    when: str


def lines(passage: str) -> Iterator[Line]:
    """Yield the lines of ``passage``; a date before what is said, on its line or on one above, is that of the line."""
    when = ""
    for line in passage.splitlines():
        head, colon, text = line.rpartition(": ")
        found = _CLOCK.search(head if colon else line)
        if found is not None and (colon or not _says(line)):
            when = _moment(found)
        yield Line((text if colon else line).strip(), when)


def _says(line: str) -> bool:
    return any(said(sentence.strip()) or stated(sentence.strip()) for sentence in sentences(line))


def _moment(found: re.Match[str]) -> str:
    part = found.groupdict()
    if part["y"]:
        return f"{part['y']}-{part['m']}-{part['d']} {part['hm'] or ''}".strip()
    return f"{part['y2']}-{MONTHS.index(part['m2']) + 1:02}-{int(part['d2']):02}"


class _Template(NamedTuple):
    reading: Reading
    topic: Topic
    text: str
    corrects: bool


@functools.cache
def _templates() -> tuple[_Template, ...]:
    """Return every wording of every topic as a pattern."""
    values = {
        "date": DATE,
        "amount": r"\d+",
        "choice": one_of(choice for row in CHOICES.values() for choice in row),
    }
    found: list[_Template] = []
    for topic in TOPICS:
        key, value = one_of(topic.keys) if topic.keys else NAME, values.get(topic.value, NAME)
        for corrects, wordings in ((False, topic.say), (True, topic.correct)):
            found += [_Template(reading(text, k=key, o=value), topic, text, corrects) for text in wordings]
    return tuple(found)


@functools.lru_cache(maxsize=65_536)
def said(sentence: str, when: str = "") -> tuple[Said, ...]:
    """Return what ``sentence``, said on the day ``when``, says."""
    best = 0
    found: list[Said] = []
    for template in _templates():
        pattern, anchor, words = template.reading
        if words < best or anchor not in sentence:
            continue
        match = pattern.fullmatch(sentence)
        if match is None:
            continue
        if words > best:
            best, found = words, []
        slots = match.groupdict()
        fact = _said(template, slots["k"], slots.get("o"), when)
        if fact is not None:
            found.append(fact)
    return tuple(found)


def _said(template: _Template, key: str, value: str | None, when: str) -> Said | None:
    topic = template.topic
    if topic.value != "date":
        return Said(topic.name, key, value or "", template.corrects)
    if value is not None:
        day, month, year = value.split(" ")
        return Said(topic.name, key, f"{year}-{MONTHS.index(month) + 1:02}-{int(day):02}")
    if not when:
        return None
    date = datetime.date.fromisoformat(when[:10]) - datetime.timedelta(days="yesterday" in template.text)
    return Said(topic.name, key, date.isoformat())


class ChatFacts:
    """What some passages of a chat say, each thing with its latest value.

    Of two values of one thing the later one counts, then the one whose words say that it replaces another; when that
    does not decide, nothing is known of it.

    Args:
        passages: texts, as the chat has them, each with a date before what is said where it is to count.
    """

    def __init__(self, passages: Iterable[str]) -> None:
        self._values: dict[tuple[str, str], dict[tuple[str, bool], set[str]]] = {}
        self._world: dict[tuple[str, str, str], str] = {}
        for passage in passages:
            for text, when in lines(passage):
                for sentence in map(str.strip, sentences(text)):
                    for fact in said(sentence, when):
                        values = self._values.setdefault((fact.topic, fact.key), {})
                        values.setdefault((when, fact.corrects), set()).add(fact.value)
                    for statement in stated(sentence):
                        self._note(statement)

    def _note(self, fact: Statement) -> None:
        self._world[fact.kind, fact.subject, fact.relation] = fact.value

    def value(self, topic: str, key: str) -> str | None:
        """Return what was said last of ``key``."""
        values = self._values.get((topic, key))
        if values is None:
            return None
        undated = {value for (when, _), found in values.items() for value in found if not when}
        latest = values[max(values)]
        if len(latest) != 1 or (undated - latest and not max(values)[1]):
            return None
        return next(iter(latest))

    def answer(self, question: str) -> str | None:
        """Return the answer to ``question``, or ``None`` where the chats do not say, or do not ask such things."""
        for answer in (*self._single(question), *self._chained(question), *self._several(question)):
            if answer is not None:
                return answer
        return None

    def _single(self, question: str) -> Iterator[str | None]:
        for topic in TOPICS:
            for ask in topic.ask:
                for found in bindings(ask, question):
                    value = self.value(topic.name, found["k"])
                    yield _written(value) if value is not None and topic.value == "date" else value

    def _chained(self, question: str) -> Iterator[str | None]:
        for topic, kind, relation, wordings in CHAINS:
            for wording in wordings:
                for found in bindings(wording, question):
                    value = self.value(topic, found["k"])
                    yield self._world.get((kind, value or "", relation))

    def _several(self, question: str) -> Iterator[str | None]:
        for topic, wordings, work in (
            ("price", SUMS, _total),
            ("visit", SPANS, _span),
            ("visit", ORDERED, _order),
        ):
            for wording in wordings:
                for found in bindings(wording, question):
                    values = {key: self.value(topic, key) for key in found.values()}
                    known = {key: value for key, value in values.items() if value is not None}
                    yield work(known) if len(known) == len(values) else None


def _total(prices: dict[str, str]) -> str:
    return str(sum(map(int, prices.values())))


def _span(days: dict[str, str]) -> str:
    first, second = (datetime.date.fromisoformat(day) for day in days.values())
    return str(abs((first - second).days))


def _order(days: dict[str, str]) -> str:
    return ", ".join(sorted(days, key=days.__getitem__))


def _written(iso: str) -> str:
    year, month, day = iso.split("-")
    return f"{int(day)} {MONTHS[int(month) - 1]} {year}"
