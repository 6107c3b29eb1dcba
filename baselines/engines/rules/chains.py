"""Nested questions, answered from the inside out.

A stand-in for reasoning in several hops: each step of a question looks in the passages about the present thing
for the sentence that states the relation, and takes the name (at the last step perhaps the date) that fits it
best; the next step goes on from there.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Final

from atommem_env.baselines.engines.rules.facts import life
from atommem_env.baselines.engines.rules.links import LINKS, Link
from atommem_env.baselines.engines.rules.passages import Passage, lookup, mentions
from atommem_env.baselines.engines.rules.questions import Question
from atommem_env.baselines.engines.rules.relations import related_names, relation
from atommem_env.baselines.engines.rules.spans import Date, dates
from atommem_env.baselines.engines.rules.stated import (
    LEAST,
    MOST_CUES,
    PRONOUN,
    Found,
    names_stated,
    place_of,
)
from atommem_env.baselines.engines.rules.steps import Step, blank, unroll, unroll_shared
from atommem_env.text import tokens

_NO_CHAIN = re.compile(r"^\W*(?:why|how)\b|\bfrom\W*$|\bnationality\b|\bcause\b", re.IGNORECASE)
_ORIGIN_STATED = re.compile(r"\b(?:is|was) an? (?:\d{4} )?([A-Z]\w+(?:ian|an|ish|ese))\b")
_CHILD_OF = re.compile(r"\b(?:born to|(?:son|daughter|child) of)\b")
_MAKERS = ("director", "author", "composer", "performer", "producer", "publisher")
_BY_LINK: Final = {link.name: link for link in LINKS}


def follow_chain(question: Question, passages: Sequence[Passage]) -> str | None:
    """Return what the steps of ``question`` lead to, ``None`` when it is not nested or a step finds nothing."""
    anchor = _anchor(question.text, passages)
    if anchor is None or _NO_CHAIN.search(question.text):
        return None
    start, end, name = anchor
    steps = unroll(question.text, start, end)
    return _walk(steps, name, passages) if steps else None


def _walk(steps: Sequence[Step], name: str, passages: Sequence[Passage]) -> str | None:
    """Return where ``steps`` lead from ``name``, ``None`` when one of them finds nothing."""
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        found = _follow(step, name, passages, last) or _inferred(step, name, passages)
        if found is None:
            return None
        name = found
    return name


def reach_each(question: Question, passages: Sequence[Passage]) -> list[str]:
    """Return what a question about the same thing of two names leads to from each, nothing when in doubt.

    *Did A and B attend the same school?* leads to the school of A and the school of B.
    """
    text = question.text
    found = mentions(text, passages)
    if len(found) != 2:
        return []
    words = tokens(text)
    for mention in found:
        place = place_of(words[mention.start : mention.end], text)
        if place is None:
            return []
        text = blank(text, *place)
    steps = unroll_shared(text)
    if not steps:
        return []
    ends = [_walk(steps, mention.passage.name, passages) for mention in found]
    return [end for end in ends if end is not None] if None not in ends else []


def maker_of(question: str, passage: Passage, passages: Sequence[Passage]) -> Passage | None:
    """Return the passage about the maker of a work whom ``question`` names by that part, as in *its author*."""
    for name in _MAKERS:
        link = _BY_LINK[name]
        if link.asked.search(question):
            found = _follow(
                Step(link, link.kind, "", False, False), passage.name, [passage, *passages], False
            )
            onward = lookup(found, passages) if found is not None else None
            if onward is not None and onward is not passage:
                return onward
    return None


def country_stated(passage: Passage) -> str | None:
    """Return the country or nationality that a passage gives its subject, also when it is in no table."""
    opening = _ORIGIN_STATED.search(passage.opening)
    if opening is not None:
        return opening.group(1)
    step = Step(_BY_LINK["country"], "place", "country", False, False)
    return _follow(step, passage.name, [passage], False)


def _anchor(text: str, passages: Sequence[Passage]) -> tuple[int, int, str] | None:
    """Return where in ``text`` the one thing stands that it names, and its name."""
    found = mentions(text, passages)
    if len(found) != 1:
        return None
    mention = found[0]
    place = place_of(tokens(text)[mention.start : mention.end], text)
    return (*place, mention.passage.name) if place is not None else None


def _follow(step: Step, name: str, passages: Sequence[Passage], last: bool) -> str | None:
    """Return what ``step`` leads to from ``name``: first by the passages about it, then by those that name it."""
    about = _about(name, passages)
    if last and step.when:
        return _when(step, about)
    set_form = _life_place(step, about) or _parent(step, about)
    if set_form is not None:
        return set_form
    if step.now:
        for passage in newest_first(about):
            latest = _best(list(names_stated(step, name, [passage], passages)), now=True)
            if latest is not None:
                return latest
    found = list(names_stated(step, name, about, passages))
    if not found:
        others = [passage for passage in passages if passage not in about]
        found = list(names_stated(step, name, others, passages, named=True))
    return _best(found, step.now)


def newest_first(about: Sequence[Passage]) -> list[Passage]:
    """Return the passages whose title gives a date, as in *X (1987)*, the newest first."""
    dated = [
        (max(date.key for date in found), passage)
        for passage in about
        if (found := dates(passage.title[len(passage.name) :]))
    ]
    return [passage for _, passage in sorted(dated, key=lambda pair: pair[0], reverse=True)]


def _inferred(step: Step, name: str, passages: Sequence[Passage]) -> str | None:
    """Return a mother as the father's wife, or a father as the mother's husband."""
    other = {"mother": "father", "father": "mother"}.get(step.link.name)
    if other is None:
        return None
    near = _follow(step._replace(link=_BY_LINK[other]), name, passages, False)
    return _follow(step._replace(link=_BY_LINK["spouse"]), near, passages, False) if near else None


def _about(name: str, passages: Sequence[Passage]) -> list[Passage]:
    """Return the passages about ``name``; several when it is described at several times."""
    words = tuple(tokens(name))
    about = [passage for passage in passages if passage.name_words == words]
    if about:
        return about
    partly = lookup(name, passages)
    return [partly] if partly is not None else []


def _life_place(step: Step, about: Sequence[Passage]) -> str | None:
    """Return where the person was born or died, when a passage says so in a set form."""
    if step.link.name not in ("birthplace", "deathplace") or step.noun == "country":
        return None
    lives = (life(passage) for passage in about)
    places = (found.birth_place if step.link.name == "birthplace" else found.death_place for found in lives)
    return next((place for place in places if place), None)


def _parent(step: Step, about: Sequence[Passage]) -> str | None:
    """Return the parent that a passage names in a set form, as in *daughter of A and B*."""
    if step.link.name not in ("father", "mother"):
        return None
    for passage in about:
        if _CHILD_OF.search(passage.text):
            found = related_names(passage, relation(step.link.name))
            if found:
                return found[0]
    return None


def _best(found: Sequence[Found], now: bool) -> str | None:
    """Return the best find; of nearly equal ones the latest, when the question asks for the latest state."""
    if not found:
        return None
    best = max(found, key=lambda find: find.score)
    if best.score < LEAST:
        return None
    if now:
        close = [find for find in found if find.score > best.score - 0.8]
        best = max(close, key=lambda find: (find.year, find.score))
    return best.text


def _when(step: Step, about: Sequence[Passage]) -> str | None:
    """Return the date of the relation of ``step`` by the passages about its subject."""
    for passage in about:
        date = _date(step.link, passage)
        if date is not None:
            return date.text if step.noun != "year" else str(date.key[0])
    return None


def _date(link: Link, passage: Passage) -> Date | None:
    if link.name == "birthplace":
        born = life(passage).born
        if born is not None:
            return born
    if link.name == "deathplace":
        return life(passage).died
    own = set(passage.name_words)
    for stated in link.began or link.stated:
        found = [
            (min(abs(date.start - cue.start()) for cue in cues), date)
            for sentence in passage.sentences
            if own & set(tokens(sentence.text)) or PRONOUN.search(sentence.text)
            if (cues := list(itertools.islice(stated.finditer(sentence.text), MOST_CUES)))
            for date in dates(sentence.text)
        ]
        if found:
            return min(found, key=lambda pair: pair[0])[1]
    return None
