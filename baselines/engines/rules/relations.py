"""Relations that a question names and a passage states: *the director of X*, "directed by ...".

The forms are those of English encyclopedias in general. A relation leads from what a passage is about to a
name in its text, and so, with :func:`atommem_env.baselines.engines.rules.passages.lookup`, to another passage.
"""

from __future__ import annotations

import itertools
import re
from typing import Final, NamedTuple

from atommem_env.baselines.engines.rules.facts import SENTENCE_END
from atommem_env.baselines.engines.rules.passages import Passage
from atommem_env.baselines.engines.rules.places import ADJECTIVES
from atommem_env.baselines.engines.rules.spans import first_name, names
from atommem_env.text import tokens

_NAME_REACH = 60
_TRIES = 40


class Relation(NamedTuple):
    """A relation from what a passage is about to a name in it.

    Attributes:
        asked: how a question names it.
        cues: what stands before the name in a passage, best first.
        verb: what stands after the name, as in *Ada Holm directed*; ``None`` when there is no such form.
    """

    asked: re.Pattern[str]
    cues: tuple[re.Pattern[str], ...]
    verb: re.Pattern[str] | None


def _relation(asked: str, *cues: str, verb: str = "") -> Relation:
    return Relation(
        re.compile(rf"\b(?:{asked})\b", re.IGNORECASE),
        tuple(re.compile(cue, re.IGNORECASE) for cue in cues),
        re.compile(rf"\b(?:{verb})\b(?! by\b)") if verb else None,
    )


_CHILD = r"\b(?:son|daughter|child)(?:\s\w+){0,2} (?:of|to)\b"
RELATIONS: Final[tuple[Relation, ...]] = (
    _relation(
        "directors?|directed",
        r"\bdirect(?:ed|ion)(?:[^.;]{0,40}?) by\b",
        r"\bdirectors?\b",
        r"\b(?:film|drama|comedy) by\b",
        verb="directed",
    ),
    _relation(
        "composers?|composed",
        r"\b(?:compos(?:ed|ition)|music|score|scored|soundtrack)\b[^.;]{0,50}? by\b",
        r"\bcomposer\b",
        r"\bwritten by\b",
        r"\bby\b",
        verb="composed|scored|wrote the (?:music|score)",
    ),
    _relation(
        "performers?|performed|singer of|sang",
        r"\b(?:performed|recorded|sung|released)\b[^.;]{0,30}? by\b",
        r"\b(?:song|single|album|track|record|ep|studio album)\b[^.;]{0,30}? (?:by|from)\b",
        r"\bby\b",
        verb="performed|recorded|sang|released",
    ),
    _relation(
        "author|writer|wrote|written by",
        r"\b(?:written|novel|book|play|poem|story)\b[^.;]{0,30}? by\b",
        r"\bauthor\b",
        verb="wrote|is the author of",
    ),
    _relation("screenwriter", r"\bwritten\b[^.;]{0,40}? by\b", r"\bscreenplay by\b"),
    _relation(
        "founders?|founded by|created|creator",
        r"\b(?:founded|created|established|started)\b[^.;]{0,30}? by\b",
        r"\bfounder\b",
        verb="founded|created|established|set up",
    ),
    _relation(
        "mother",
        _CHILD + r"[^.;]{0,80}?(?<!between) and(?: his| her)?(?: \w+){0,3}?(?= [A-Z])",
        r"\bmother\b",
        r"\bborn to\b",
    ),
    _relation("father", _CHILD, r"\bfather\b", r"\bborn to\b"),
    _relation("grandfather", r"\bgrand(?:son|daughter|child) of\b", r"\bgrandfather\b"),
    _relation(
        "spouse|wife|husband|married to|widow",
        r"\b(?:wife|husband|spouse|widow|consort|wives) of\b",
        r"\bmarried(?: to)?\b",
        r"\b(?:his|her) (?:\w+ )?(?:wife|husband)\b",
    ),
    _relation(
        "siblings?|brother|sister", r"\b(?:brother|sister|sibling)s? of\b", r"\b(?:brother|sister)s?\b"
    ),
    _relation("child|son|daughter", r"\b(?:father|mother|parent) of\b", r"\b(?:sons?|daughters?|children)\b"),
)
_PATERNAL = re.compile(r"\b(paternal|maternal) (grandfather|grandmother)\b", re.IGNORECASE)
_IN_LAW = re.compile(r"\b(father|mother|brother|sister)[- ]in[- ]law\b", re.IGNORECASE)


class Asked(NamedTuple):
    """A relation as a question asks for it, and where."""

    start: int
    relation: Relation


def relation(word: str) -> Relation:
    """Return the relation that ``word`` asks for."""
    return next(found for found in RELATIONS if found.asked.fullmatch(word))


def relations_asked(question: str) -> list[Asked]:
    """Return the relations a question names, in the order of the question, those of one word as they are followed.

    *Paternal grandfather* is the father's father, *father-in-law* the spouse's father.
    """
    compound = _PATERNAL.search(question)
    if compound:
        near = "father" if compound.group(1).lower() == "paternal" else "mother"
        far = "father" if compound.group(2).lower() == "grandfather" else "mother"
        return [Asked(compound.start(), relation(near)), Asked(compound.start(), relation(far))]
    compound = _IN_LAW.search(question)
    if compound:
        return [
            Asked(compound.start(), relation("spouse")),
            Asked(compound.start(), relation(compound.group(1).lower())),
        ]
    found = [
        Asked(match.start(), asked)
        for asked in RELATIONS
        for match in list(asked.asked.finditer(question))[:1]
    ]
    return sorted(found, key=lambda asked: asked.start)


def related_names(passage: Passage, wanted: Relation) -> list[str]:
    """Return the names that ``passage`` gives after the words of relation ``wanted``, most likely first."""
    own = set(passage.name_words)
    found: dict[str, None] = {}
    for cue in wanted.cues:
        for match in itertools.islice(cue.finditer(passage.text), _TRIES):
            for name in _names_after(passage.text, match.end()):
                if not set(tokens(name)) <= own:
                    found.setdefault(name)
    for name in _names_before(passage.text, wanted.verb):
        if not set(tokens(name)) <= own:
            found.setdefault(name)
    return list(found)


def _names_before(text: str, verb: re.Pattern[str] | None) -> list[str]:
    """Return the names that stand right before ``verb``, as its subject."""
    if verb is None:
        return []
    found = []
    for match in itertools.islice(verb.finditer(text), _TRIES):
        start = max(0, match.start() - _NAME_REACH)
        subjects = names(text[start : match.start()])
        if subjects and start + subjects[-1].end == match.start() - 1:
            found.append(subjects[-1].text)
    return found


def _names_after(text: str, start: int) -> list[str]:
    """Return up to two names of the sentence that goes on at ``start``, nationalities left out."""
    found: list[str] = []
    span = first_name(text, start, _NAME_REACH)
    while span is not None and len(found) < 2 and not SENTENCE_END.search(text[start : span.start]):
        if span.text not in ADJECTIVES:
            found.append(span.text)
        span = first_name(text, span.end, _NAME_REACH)
    return found
