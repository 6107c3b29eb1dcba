"""The people, places, works, organisations and events of one generated question, and their paragraphs."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

from atommem_env.data.world.model import WorldParagraph
from atommem_env.data.world.names import FIRM_FORMS, Names
from atommem_env.data.world.relations import RELATIONS, Relation
from atommem_env.data.world.templates import (
    COLOUR,
    COUNTRIES,
    DATED,
    FACTS,
    JOBS,
    LEADS,
    MONTHS,
    UPDATES,
    WORDS,
)

Wording: TypeAlias = Literal["any", "dated", "update"]
"""How a fact is put: anyhow, with the date at which it held, or with the date since when it holds."""

ENTITY_KINDS: Final = ("person", "town", "film", "novel", "album", "company", "school", "structure", "event")

_PRONOUNS: Final[dict[bool, dict[str, str]]] = {
    False: {"he": "he", "He": "He", "his": "his", "His": "His", "him": "him", "man": "man"},
    True: {"he": "she", "He": "She", "his": "her", "His": "Her", "him": "her", "man": "woman"},
}
_STEM_OF: Final = {"person": "person", "town": "town", "film": "work", "novel": "work", "album": "work"}
_YEARS: Final[dict[str, tuple[int, int]]] = {
    "person": (1850, 1975),
    "town": (1150, 1800),
    "film": (1935, 2012),
    "novel": (1850, 2010),
    "album": (1955, 2012),
    "company": (1860, 1985),
    "school": (1700, 1960),
    "structure": (1840, 2003),
    "event": (1850, 2005),
}
_SURNAMES: Final = Names.stems["person"]
_TOWNS: Final = Names.stems["town"]
_LAST_DEAD: Final = 1925
_LAST_YEAR: Final = 2022
_FAMILY: Final = frozenset({"father", "mother", "spouse"})
_DEATHS: Final = frozenset({"death", "life"})


class Entity(dict[str, str]):
    """A subject of paragraphs: what is known of it, by slot, filled in when first asked for.

    Attributes:
        scene: the question it belongs to.
        kind: one of ``ENTITY_KINDS``.
        form: which names it may bear, for organisations, structures and events.
        stem: the number of the stem of its name.
        year: when it was born, founded, published, opened or held.
        female: for people.
        plain: its name without a middle initial.
        death_year: when a person died; ``None`` when not settled yet or alive.
        closed: facts that its paragraphs leave out.
    """

    __slots__ = (
        "_colour",
        "_stride",
        "closed",
        "death_year",
        "female",
        "form",
        "kind",
        "plain",
        "scene",
        "stem",
        "year",
    )

    def __init__(
        self, scene: Scene, kind: str, stem: int, year: int, form: str = "", female: bool = False
    ) -> None:
        super().__init__()
        self.scene = scene
        self.kind = kind
        self.form = form
        self.stem = stem
        self.year = year
        self.female = female
        self.death_year: int | None = None
        self.closed: frozenset[str] = frozenset()
        if kind == "person":
            self["s"], self.plain = scene.names.person(stem, female)
            self.update(_PRONOUNS[female])
        else:
            self["s"] = self.plain = scene.name(kind, stem, form)
        size = len(COLOUR[kind])
        self._colour = scene.below(size)
        self._stride = _strides(size)[scene.below(len(_strides(size)))]

    def __missing__(self, slot: str) -> str:
        value = self[slot] = _maker(slot)(self)
        return value

    @property
    def name(self) -> str:
        """The full name."""
        return self["s"]

    def alive(self) -> bool:
        """Tell whether the person is said to be alive."""
        return self.death_year is None and self.year >= _LAST_DEAD

    def settle_country(self, number: int) -> None:
        """Make the entity belong to country ``number``."""
        self["country"], self["nat"] = COUNTRIES[number]

    def colour(self) -> str:
        """Return a sentence of no consequence; each is returned once before any comes again."""
        templates = COLOUR[self.kind]
        self._colour = (self._colour + self._stride) % len(templates)
        return templates[self._colour].format_map(self)


class Scene:
    """Everything about one question while it is being made.

    Args:
        rng: where all its chance comes from.
        names: the names that the question owns.
    """

    def __init__(self, rng: random.Random, names: Names) -> None:
        self.rng = rng
        self.names = names
        self._fresh = {kind: self.below(count) for kind, count in Names.stems.items()}

    # --- chance

    def below(self, number: int) -> int:
        """Return an integer from 0 to ``number - 1``."""
        return int(self.rng.random() * number)

    def between(self, low: int, high: int) -> int:
        """Return an integer from ``low`` to ``high``."""
        return low + int(self.rng.random() * (high - low + 1))

    def pick(self, items: Sequence[str]) -> str:
        """Return one of ``items``."""
        return items[int(self.rng.random() * len(items))]

    def chance(self, share: float) -> bool:
        """Return true with probability ``share``."""
        return self.rng.random() < share

    # --- names

    def fresh_stem(self, kind: str) -> int:
        """Return a stem for an entity that should share no name part with the last few of its kind."""
        group = _STEM_OF.get(kind, "firm")
        self._fresh[group] += 1
        return self._fresh[group] % Names.stems[group]

    def name(self, kind: str, stem: int, form: str) -> str:
        """Return a new name for a thing that is not a person."""
        group = _STEM_OF.get(kind, "firm")
        if group == "town":
            return self.names.town(stem)
        if group == "work":
            return self.names.title(stem)
        return self.names.firm(form, stem)

    def any_person(self) -> str:
        """Return the name of a person of whom nothing else is said."""
        rng = self.rng
        return self.names.person(int(rng.random() * _SURNAMES), rng.random() < 0.5)[0]

    def any_object(self, relation: Relation, stem: int | None = None) -> str:
        """Return the name of some object of ``relation``."""
        kind = relation.range
        if kind == "person":
            return self.any_person()
        if stem is None:
            stem = self.below(Names.stems[_STEM_OF.get(kind, "firm")])
        return self.name(kind, stem, relation.form or _form(self, kind))

    # --- entities

    def new(self, kind: str, form: str = "") -> Entity:
        """Return a new entity whose name shares no part with those of its kind so far."""
        low, high = _YEARS[kind]
        year = self.between(low, high)
        return Entity(self, kind, self.fresh_stem(kind), year, form or _form(self, kind), self.chance(0.5))

    def target(
        self, subject: Entity, relation: Relation, *, revised: bool = False, stem: int | None = None
    ) -> Entity:
        """Return a new entity as the object of ``relation`` for ``subject``.

        Args:
            subject: the subject.
            relation: a relation between entities.
            revised: whether the fact holds since the date of a revision.
            stem: the stem of the object's name; ``None``: a fresh one, a father's being his child's.
        """
        if relation.range == "town":
            year = self.between(*_YEARS["town"])
        else:
            base = subject.year
            if relation.state and subject.kind != "person":
                base = int(subject["moved" if revised else "asof"])
            year = base + self.between(*relation.years)
        if stem is None:
            stem = subject.stem if relation.name == "father" else self.fresh_stem(relation.range)
        female = self._gender(subject, relation)
        target = Entity(
            self, relation.range, stem, year, relation.form or _form(self, relation.range), female
        )
        if relation.job:
            target["job"] = relation.job
        if relation.name in _FAMILY:
            subject.closed |= _FAMILY
            target.closed |= _FAMILY
        return target

    def namesake(self, entity: Entity, shift: int) -> Entity:
        """Return another entity of the same kind whose name shares a part, ``shift`` years apart."""
        female = entity.female if entity.closed else self.chance(0.5)
        other = Entity(self, entity.kind, entity.stem, entity.year + shift, entity.form, female)
        if entity.death_year is not None:
            other.death_year = entity.death_year + shift + self.between(-4, 4)
        other.closed = entity.closed
        if "job" in entity:
            other["job"] = entity["job"]
        return other

    def _gender(self, subject: Entity, relation: Relation) -> bool:
        if relation.name == "spouse":
            return not subject.female
        if relation.name in _FAMILY:
            return relation.name == "mother"
        return self.chance(0.5)

    # --- paragraphs

    def paragraph(
        self,
        entity: Entity,
        fact: str,
        *,
        wording: Wording = "any",
        value: str | None = None,
        title: str | None = None,
    ) -> tuple[WorldParagraph, int]:
        """Return a paragraph about ``entity`` that states ``fact`` in one sentence, and that sentence's position.

        Args:
            entity: the subject.
            fact: the name of the relation.
            wording: how the fact is put.
            value: the object, when it is not the entity's present one.
            title: the title, when it is not the entity's name.
        """
        stating, silent = _leads(entity.kind, fact, entity.kind == "person" and entity.alive())
        in_lead = bool(stating) and wording == "any" and self.chance(0.35)
        leads = stating if in_lead else silent
        states, text = leads[self.below(len(leads))]
        lead = text.format_map(entity)
        words = lead.count(" ")
        body: list[str] = []
        sentence = lead
        if not in_lead:
            sentence = self._state(entity, fact, entity[fact] if value is None else value, wording)
            body.append(sentence)
            words += sentence.count(" ")
        for extra in self._extras(entity, states, fact):
            body.append(self._state(entity, extra, entity[extra], "any"))
            words += body[-1].count(" ")
        wanted = self.between(52, 86)
        while len(body) < 2 or (words < wanted and len(body) < 6):
            body.append(entity.colour())
            words += body[-1].count(" ")
        random = self.rng.random
        body.sort(key=lambda _: random())
        sentences = (lead, *body)
        return WorldParagraph(title or entity.name, sentences), sentences.index(sentence)

    def _state(self, entity: Entity, fact: str, value: str, wording: Wording) -> str:
        entity["o"] = value
        return self.pick(_wordings(entity.kind, fact, wording)).format_map(entity)

    def _extras(self, entity: Entity, states: frozenset[str], fact: str) -> list[str]:
        """Return one or two facts that the paragraph states besides ``fact`` and what its lead states."""
        facts = _facts(entity.kind, entity.form)
        extras: list[str] = []
        start = self.below(len(facts))
        wanted = 1 if self.chance(0.6) else 2
        for step in range(len(facts)):
            name = facts[(start + step) % len(facts)]
            if name != fact and name not in states and name not in entity.closed:
                extras.append(name)
                if len(extras) == wanted:
                    break
        return extras


def _form(scene: Scene, kind: str) -> str:
    if kind == "structure":
        return scene.pick(("bridge", "tower"))
    return kind if kind in FIRM_FORMS else ""


@functools.cache
def _strides(size: int) -> tuple[int, ...]:
    """Return the steps that visit all of ``size`` places."""
    from math import gcd

    return tuple(step for step in range(1, size) if gcd(step, size) == 1)


@functools.cache
def _leads(kind: str, fact: str, alive: bool) -> tuple[tuple[tuple[frozenset[str], str], ...], ...]:
    """Return the leads that state ``fact``, and those that do not; of the living, none states a death."""
    leads = [(lead.states - _DEATHS if alive else lead.states, lead.text) for lead in LEADS[kind]]
    related = {fact, "birth", *_DEATHS} if fact in {"birth", *_DEATHS} else {fact}
    return (
        tuple(lead for lead in leads if fact in lead[0]),
        tuple(lead for lead in leads if not related & lead[0]),
    )


@functools.cache
def _wordings(kind: str, fact: str, wording: Wording) -> tuple[str, ...]:
    if wording == "update":
        return UPDATES[kind][fact]
    dated = DATED.get(kind, {}).get(fact, ())
    return dated if wording == "dated" else FACTS[kind][fact] + dated


@functools.cache
def _facts(kind: str, form: str) -> tuple[str, ...]:
    """Return the facts that a paragraph may state in passing."""
    left_out = {"nat", "job", "birth", *_DEATHS} | ({"length"} if form == "tower" else {"height"})
    return tuple(name for name in FACTS[kind] if name not in left_out)


# --- slots ------------------------------------------------------------------------------------------


def _article(phrase: str) -> str:
    return f"an {phrase}" if phrase[0] in "AEIOUaeiou" else f"a {phrase}"


def _date(entity: Entity, year: int) -> str:
    scene = entity.scene
    return f"{scene.between(1, 28)} {MONTHS[scene.below(12)]} {year}"


def _death(entity: Entity) -> str:
    if entity.death_year is None:
        entity.death_year = entity.year + entity.scene.between(50, 88)
    return _date(entity, entity.death_year)


def _dates(entity: Entity) -> str:
    return f"born {entity['birth']}" if entity.alive() else f"{entity['birth']} – {entity['death']}"


def _country(entity: Entity) -> str:
    entity.settle_country(entity.scene.below(len(COUNTRIES)))
    return entity["country"]


def _foreign(entity: Entity) -> str:
    return COUNTRIES[entity.scene.below(len(COUNTRIES))][0]


def _nationality(entity: Entity) -> str:
    _country(entity)
    return entity["nat"]


def _later(entity: Entity) -> str:
    scene = entity.scene
    if entity.kind == "person":
        year = entity.year + scene.between(20, 46)
    elif entity.kind == "town":
        year = scene.between(1850, 1990)
    else:
        year = entity.year + scene.between(1, 35)
    return str(min(year, _LAST_YEAR))


def _modern(entity: Entity) -> str:
    return str(entity.scene.between(max(1930, min(entity.year + 1, _LAST_YEAR)), _LAST_YEAR))


def _as_of(entity: Entity) -> str:
    scene = entity.scene
    if entity.kind == "person":
        return str(entity.year + scene.between(26, 36))
    return str(max(scene.between(1975, 2008), min(entity.year + 3, 2015)))


def _moved(entity: Entity) -> str:
    as_of = int(entity["asof"])
    longest = 8 if entity.kind == "person" else min(30, _LAST_YEAR - as_of)
    return str(as_of + entity.scene.between(3, longest))


def _number(low: int, high: int) -> Callable[[Entity], str]:
    """Return a maker of numbers that are spread evenly over the orders of magnitude."""
    ratio = high / low
    return lambda entity: f"{int(low * ratio ** entity.scene.rng.random()):,}"


def _relative(female: bool) -> Callable[[Entity], str]:
    return lambda entity: entity.scene.names.person(entity.stem, female)[0]


def _spouse(entity: Entity) -> str:
    scene = entity.scene
    return scene.names.person(scene.below(_SURNAMES), not entity.female)[0]


def _object(relation: Relation) -> Callable[[Entity], str]:
    return lambda entity: entity.scene.any_object(relation)


def _word(words: tuple[str, ...]) -> Callable[[Entity], str]:
    count = len(words)
    return lambda entity: words[int(entity.scene.rng.random() * count)]


def _year(entity: Entity) -> str:
    return str(entity.year)


_SLOTS: Final[dict[str, Callable[[Entity], str]]] = {
    **{name: _word(words) for name, words in WORDS.items()},
    **{relation.name: _object(relation) for relation in RELATIONS if relation.range != "literal"},
    "father": _relative(False),
    "mother": _relative(True),
    "spouse": _spouse,
    "job": _word(JOBS),
    "birth": lambda entity: _date(entity, entity.year),
    "death": _death,
    "dates": _dates,
    "life": lambda entity: f"{entity['birth']} – {entity['death']}",
    "was": lambda entity: "is" if entity.alive() else "was",
    "wedding": lambda entity: str(entity.year + entity.scene.between(21, 40)),
    "country": _country,
    "country2": _foreign,
    "country3": _foreign,
    "nat": _nationality,
    "year": _year,
    "release": _year,
    "inception": _year,
    "opening": _year,
    "held": _year,
    "later": _later,
    "modern": _modern,
    "asof": _as_of,
    "moved": _moved,
    "person": lambda entity: entity.scene.any_person(),
    "town": lambda entity: entity.scene.names.town(entity.scene.below(_TOWNS)),
    "river": lambda entity: entity.scene.names.river(),
    "population": _number(1_200, 98_000),
    "employees": _number(120, 9_800),
    "length": _number(80, 1_900),
    "height": _number(30, 310),
    "hundreds": _number(110, 990),
    "thousands": _number(1_100, 9_900),
    "n": _number(11, 60),
}


@functools.cache
def _maker(slot: str) -> Callable[[Entity], str]:
    """Return what fills ``slot``.

    A slot with a number, like ``{person2}``, is another of its kind; ``{a_job}`` is ``{job}`` with its article.
    """
    if slot.startswith("a_"):
        return lambda entity: _article(entity[slot[2:]])
    return _SLOTS.get(slot) or _SLOTS[slot.rstrip("0123456789")]
