"""What a question of the generated world asks: the tables of questions, read backwards.

A question is read into every sense that the tables give it (a company and a school are both "founded"); the facts
at hand decide which of them has an answer.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from string import Formatter
from typing import TypeAlias

from atommem_env.data.world.relations import (
    BRIDGED_ASKS,
    BRIDGED_MEETINGS,
    BRIDGED_ORDERS,
    CHAIN_STARTS,
    INFERENCES,
    MEETINGS,
    NAMED,
    ORDERS,
    RELATIONS,
    ROLES,
)
from atommem_env.data.world.templates import JOBS


@dataclass(frozen=True, slots=True)
class Named:
    """An entity by its name."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Reached:
    """The object of a relation of ``start``."""

    start: Thing
    relation: str

    @property
    def kind(self) -> str:
        """The kind of what is reached."""
        return NAMED[self.start.kind, self.relation].range


Thing: TypeAlias = Named | Reached


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of two has the least (or the greatest) of something.

    Attributes:
        names: what the answer is to be, by option.
        things: whose values are compared, in the same order.
        relation: the value.
        least: whether the one with the least is asked for.
    """

    names: tuple[str, str]
    things: tuple[Thing, Thing]
    relation: str
    least: bool


@dataclass(frozen=True, slots=True)
class Met:
    """Whether two have the same object of a relation, which is ``value`` where the question names it."""

    things: tuple[Thing, Thing]
    relation: str
    value: str = ""


Sense: TypeAlias = Thing | Chosen | Met


@functools.lru_cache(maxsize=4_096)
def senses(question: str) -> tuple[Sense, ...]:
    """Return what ``question`` may ask for, in the order in which to try; none when the world asks no such thing."""
    return (*_chains(question), *_inferences(question), *_choices(question), *_meetings(question))


def bindings(template: str, text: str) -> Iterator[dict[str, str]]:
    """Yield every way in which the slots of ``template`` can be filled so that ``text`` comes out."""
    parts = [(literal, slot) for literal, slot, _, _ in Formatter().parse(template)]
    yield from _bind(parts, text)


def _bind(parts: list[tuple[str, str | None]], text: str) -> Iterator[dict[str, str]]:
    if not parts:
        if not text:
            yield {}
        return
    (literal, slot), rest = parts[0], parts[1:]
    if not text.startswith(literal):
        return
    text = text[len(literal) :]
    if slot is None:
        yield from _bind(rest, text)
        return
    following = rest[0][0] if rest else ""
    ends = [len(text)] if not rest else [at for at in range(1, len(text)) if text.startswith(following, at)]
    for end in ends:
        for found in _bind(rest, text[end:]):
            if found.setdefault(slot, text[:end]) == text[:end]:
                yield found


def _called(text: str, kind: str) -> Iterator[Named]:
    """Yield the entity of ``kind`` that a question calls ``text``."""
    for form in CHAIN_STARTS.get(kind, ("{s}",)):
        for found in bindings(form, text):
            if found["s"][:1].isupper():
                yield Named(kind, found["s"])


def _chains(question: str) -> Iterator[Reached]:
    for relation in RELATIONS:
        for ask in (*relation.asks, *relation.short_asks):
            for found in bindings(ask, question):
                for start in _things(found["x"], relation.domain):
                    yield Reached(start, relation.name)


def _things(text: str, kind: str) -> Iterator[Thing]:
    """Yield what of ``kind`` the words of a question may mean, however nested."""
    yield from _called(text, kind)
    for relation in RELATIONS:
        if relation.range == kind:
            for wording in (*relation.nouns, *relation.phrases):
                for found in bindings(wording, text):
                    for start in _things(found["x"], relation.domain):
                        yield Reached(start, relation.name)


def _inferences(question: str) -> Iterator[Reached]:
    for first, second, _, wordings in INFERENCES:
        for wording in wordings:
            for found in bindings(wording, question):
                for person in _called(found["x"], "person"):
                    yield Reached(Reached(person, first), second)


def _pairs(found: dict[str, str], kind: str) -> Iterator[tuple[Named, Named]]:
    for first in _called(found["a"], kind):
        for second in _called(found["b"], kind):
            yield first, second


def _choices(question: str) -> Iterator[Chosen]:
    for order in ORDERS:
        for least, wordings in ((True, order.least), (False, order.most)):
            for wording in wordings:
                for found in bindings(wording, question):
                    for pair in _pairs(found, order.domain):
                        yield Chosen((pair[0].name, pair[1].name), pair, order.relation, least)
    for kind, role, facts in BRIDGED_ORDERS:
        for fact in facts:
            for least, wordings in zip((True, False), BRIDGED_ASKS[fact], strict=True):
                for wording in wordings:
                    for found in bindings(wording, question):
                        if (found["kind"], found["role"]) == (kind, ROLES[role]):
                            for pair in _pairs(found, kind):
                                makers = (Reached(pair[0], role), Reached(pair[1], role))
                                yield Chosen((pair[0].name, pair[1].name), makers, fact, least)


def _meetings(question: str) -> Iterator[Met]:
    for kind, fact, wordings in MEETINGS:
        for wording in wordings:
            for found in bindings(wording, question):
                job = found.get("jobs", "").removesuffix("s")
                if fact != "job" or job in JOBS:
                    for pair in _pairs(found, kind):
                        yield Met(pair, fact, job)
    for kind, role, fact, wordings in BRIDGED_MEETINGS:
        for wording in wordings:
            for found in bindings(wording, question):
                for pair in _pairs(found, kind):
                    yield Met((Reached(pair[0], role), Reached(pair[1], role)), fact)
