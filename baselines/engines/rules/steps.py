"""A nested question as steps, the innermost first: *the birthplace of the director of X* is two steps from X.

A stand-in for parsing: it knows the words that ask for a relation, and the order in which English nests them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from atommem_env.baselines.engines.rules.links import LINKS, NOW, TYPE_NOUNS, Kind, Link
from atommem_env.core.words import content_stems

_MOST_STEPS: Final = 4
_FILLER = frozenset(content_stems("gave give name called known long first"))
_KIN = re.compile(
    r"\b(?:(?P<side>paternal|maternal) (?P<far>grandfather|grandmother)|(?P<law>father|mother)[- ]in[- ]law)\b",
    re.IGNORECASE,
)
_FAMILY = frozenset({"mother", "father", "spouse"})
_WHEN = re.compile(r"\b(?:when|year|date|birthday|birthdate)\b", re.IGNORECASE)
_AUXILIARY_OPENING = re.compile(r"\b(?:is|was|are|were|did|does|do|has|had)\b", re.IGNORECASE)
_RELATIVE = re.compile(
    r"\b(?:that|which|whom|where|who|whose)(?: the)?(?: (?:film|movie|novel|book|song|album|play|poem))?\s*$",
    re.IGNORECASE,
)
_WHO_ALSO = re.compile(r"\s*(?:who|that)(?: (?:is|was|has|had|now|once|later|also))*\s*$", re.IGNORECASE)
_SAME = re.compile(r"\b(?:same|both)\b", re.IGNORECASE)


class Step(NamedTuple):
    """One step of a question.

    Attributes:
        link: the relation to follow.
        kind: what it should lead to.
        noun: the stem of the noun that says what is meant (*river*), ``""`` when none does.
        when: whether it asks for the date of the relation.
        now: whether it asks for the latest state.
    """

    link: Link
    kind: Kind
    noun: str
    when: bool
    now: bool


class _Asked(NamedTuple):
    start: int
    end: int
    link: Link


def unroll(text: str, start: int, end: int) -> list[Step]:
    """Return the steps of question ``text`` from the name at ``start`` to ``end``, the innermost first.

    The list is empty when the question says more than the steps account for.
    """
    text, start, end = _kinship(text, start, end)
    masked = blank(text, start, end)
    found = _links_asked(masked)
    asked = _merged(found, masked, start)
    if not asked or len(asked) > _MOST_STEPS or _left_over(masked, found) > 0:
        return []
    order = _inside_out(text, asked, start, end)
    steps = [_step(masked, link, asked) for link in order]
    when = _WHEN.search(masked)
    if when:
        steps[-1] = steps[-1]._replace(when=True, noun=when.group().lower())
    return steps


def unroll_shared(text: str) -> list[Step]:
    """Return the steps that ``text``, with its names left blank, asks to be the same for all it named."""
    found = _links_asked(text)
    asked = _merged(found, text, 0)
    if not 0 < len(asked) <= _MOST_STEPS or _left_over(_SAME.sub(" ", _blank(text, found)), []) > 0:
        return []
    return [_step(text, link, asked) for link in reversed(asked)]


def _kinship(text: str, start: int, end: int) -> tuple[str, int, int]:
    """Write *maternal grandfather* as *father of the mother*, *mother-in-law* as *mother of the spouse*.

    After a name, as in *X's mother-in-law*, the nearer relative comes first. The name's place is moved along.
    """
    match = _KIN.search(text)
    if match is None or start <= match.start() < end:
        return text, start, end
    if match.group("side"):
        far = "father" if match.group("far").lower() == "grandfather" else "mother"
        near = "father" if match.group("side").lower() == "paternal" else "mother"
    else:
        far, near = match.group("law"), "spouse"
    words = f"{near}'s {far}" if match.start() >= end else f"{far} of the {near}"
    moved = len(words) - len(match.group()) if match.start() < start else 0
    return text[: match.start()] + words + text[match.end() :], start + moved, end + moved


def _links_asked(text: str) -> list[_Asked]:
    """Return the relations that ``text`` names, of overlapping ones the longest, in the order of the text."""
    found = [
        _Asked(match.start(), match.end(), link) for link in LINKS for match in link.asked.finditer(text)
    ]
    found.sort(key=lambda asked: asked.start - asked.end)
    kept: list[_Asked] = []
    for asked in found:
        if all(asked.end <= other.start or asked.start >= other.end for other in kept):
            kept.append(asked)
    return sorted(kept, key=lambda asked: asked.start)


def _merged(found: list[_Asked], text: str, name: int) -> list[_Asked]:
    """Leave out words that only lead to the relation after them: *home to the seat of*, *the poet who wed*."""
    kept: list[_Asked] = []
    for here, after in itertools.pairwise([*found, None]):
        if here is None:
            continue
        if after is not None and (here.start < name) == (after.start < name):
            between = text[here.end : after.start]
            same_place = here.link.name == "location" and after.link.where and not TYPE_NOUNS.search(between)
            also = here.link.kind == "person" and _WHO_ALSO.fullmatch(between) is not None
            twice = (
                here.link is after.link and here.link.name not in _FAMILY and not TYPE_NOUNS.search(between)
            )
            if same_place or also or twice:
                continue
        kept.append(here)
    return kept


def _left_over(text: str, asked: Sequence[_Asked]) -> int:
    """Return how many content words neither a relation nor a noun of type accounts for."""
    rest = NOW.sub(" ", TYPE_NOUNS.sub(" ", _blank(text, asked)))
    return len(set(content_stems(rest)) - _FILLER)


def _blank(text: str, asked: Sequence[_Asked]) -> str:
    """Return ``text`` with blanks for the words of relations."""
    for found in asked:
        text = blank(text, found.start, found.end)
    return text


def blank(text: str, start: int, end: int) -> str:
    """Return ``text`` with blanks from ``start`` to ``end``, so that places in it stay."""
    return text[:start] + " " * (end - start) + text[end:]


def _inside_out(text: str, asked: Sequence[_Asked], start: int, end: int) -> list[_Asked]:
    """Return the relations in the order to follow.

    Those before the name are nested leftwards. One after it belongs to the name itself in *X's wife* and *the
    book on which X is based*, and else to the whole, as in *Where was the author of X educated?*
    """
    before = [found for found in reversed(asked) if found.start < start]
    after = [found for found in asked if found.start >= end]
    if not after:
        return before
    if text[end : end + 2] in ("'s", "’s"):
        return [*after, *before]
    spanning = any(found.end > end for found in before)  # "the book on which X is based" is one relation
    if not spanning and _RELATIVE.search(text[:start]) and _AUXILIARY_OPENING.search(text[:start]):
        return [after[0], *before, *after[1:]]
    if before and before[-1].link.name in ("location", "country") and len(after) == 1:
        before.pop()  # "where is the maker of X based": the place is that of the verb at the end
    return [*before, *after]


def _step(text: str, found: _Asked, asked: Sequence[_Asked]) -> Step:
    """Return the step that ``found`` asks for, with what the words before it say about its object."""
    edge = max((other.end for other in asked if other.end <= found.start), default=0)
    after = min((other.start for other in asked if other.start >= found.end), default=len(text))
    nouns = [match.group().lower() for match in TYPE_NOUNS.finditer(text[edge : found.end])]
    own = text[found.start : found.end].lower()
    noun = "country" if "country" in own else "river" if "river" in own else nouns[-1] if nouns else ""
    now = NOW.search(text[edge : found.end]) or NOW.search(text[found.end : min(after, found.end + 12)])
    return Step(found.link, _kind(found.link.kind, noun), noun, False, now is not None)


def _kind(kind: Kind, noun: str) -> Kind:
    if kind == "maker" and noun in ("company", "firm", "business", "organisation", "organization"):
        return "organisation"
    if kind == "maker" and noun in ("person", "man", "woman", "musician", "artist", "people"):
        return "person"
    return kind
