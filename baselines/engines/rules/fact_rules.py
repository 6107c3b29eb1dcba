"""Facts without a model: a stand-in for Mem0's prompts, which is not the published system.

A fact is a sentence under the title of its document. What to do about it is judged by its words: nothing when an
entry says the same of the same names and numbers, a deletion when it denies an entry, an update when an entry states
the same relation of the same thing with another value, else an addition.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from atommem_env.baselines.engines.engine import Edit
from atommem_env.baselines.engines.rules.passages import read_passages
from atommem_env.baselines.engines.rules.spans import names
from atommem_env.baselines.entries import split_number, split_stamp, spoken_sentences
from atommem_env.core.words import STOP_WORDS, word_set
from atommem_env.tasks.documents import DocumentPiece, split_documents
from atommem_env.text import sentences, tokens

SAME: Final = 0.8
"""The Jaccard similarity of two facts' words from which on they say the same."""

_NEGATION = word_set("not never nor neither no longer isn wasn aren weren doesn didn hasn hadn t")
_DENIAL = _NEGATION - {"longer", "t"}
_OPENING = re.compile(r"(?:(?:The|A|An)\s+)?")
_PRONOUN = re.compile(r"(?:He|She|It|They|His|Her|Its|Their)\b")
_NAMED = re.compile(r"(?<=\s)[^\W_a-z]\w*|\b\d\w*")
_VALUE = re.compile(r"[^\W_a-z]")
_MOST_WORDS = 6
_OPENING_CHARACTERS = 160


class _Fact(NamedTuple):
    text: str
    words: frozenset[str]
    values: frozenset[str]
    denies: bool
    relation: tuple[tuple[str, ...], tuple[str, ...]] | None


def extract_facts(chunk: str) -> list[str]:
    """Return the sentences of ``chunk``, each once, under the title of its document where that is shown.

    A sentence of a conversation has who said it and when before it.
    """
    return list(dict.fromkeys(fact for piece in split_documents(chunk) for fact in _facts(piece)))


def _facts(piece: DocumentPiece) -> list[str]:
    if piece.turns:
        return list(spoken_sentences(piece.turns, piece.date))
    return [f"{piece.title}\n{sentence}" if piece.title else sentence for sentence in sentences(piece.text)]


def decide_edits(facts: Sequence[str], entries: Sequence[str]) -> list[Edit]:
    """Return one decision for each of ``facts``, given the ``entries`` as they were before the first."""
    known = [_read(entry) for entry in entries]
    return [_decide(_read(fact), known) for fact in facts]


def _decide(fact: _Fact, entries: Sequence[_Fact]) -> Edit:
    for place, entry in enumerate(entries):
        said = fact.denies == entry.denies and fact.values <= entry.values
        if said and jaccard(fact.words, entry.words) >= SAME:
            return Edit("none", fact.text, place)
    claim = fact.words - _NEGATION
    for place, entry in enumerate(entries):
        if fact.denies and not entry.denies and jaccard(claim, entry.words - _NEGATION) >= SAME:
            return Edit("delete", fact.text, place)
    for place, entry in enumerate(entries):
        if fact.relation is not None and fact.relation == entry.relation and fact.denies == entry.denies:
            return Edit("update", fact.text, place)
    return Edit("add", fact.text)


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    """Return the share of the words of either that both have, in [0, 1]; 0 for two empty sets."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared) if shared else 0.0


@lru_cache(maxsize=4096)  # an entry is read again for every fact that it is near to
def _read(text: str) -> _Fact:
    plain = split_number(split_stamp(text)[1])[1]  # without who said it, when, and its number in a list
    words = frozenset(tokens(plain))
    values = frozenset(word.lower() for word in _NAMED.findall(plain))
    return _Fact(text, words, values, not words.isdisjoint(_DENIAL), _relation(plain))


def _relation(text: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the words of the thing that a fact opens with, and of the relation that it states.

    The thing is the name that opens the sentence, or the title when that name is a part of it, or the sentence
    opens with a pronoun. The relation is what stands between it and the first capital or digit, when it says
    something (*was born in*, not *is a*).
    """
    for passage in read_passages([text]):
        opening = passage.text[:_OPENING_CHARACTERS]
        found = _PRONOUN.match(opening)
        thing = passage.title_words
        end = found.end() if found else 0
        for name in names(opening)[:1]:
            if name.start == len(_first(opening)):
                own = tuple(tokens(name.text))
                thing = thing if set(own) <= set(thing) else own
                end = name.end
        value = _VALUE.search(opening, end)
        relation = tuple(tokens(opening[end : value.start()])) if value else ()
        if thing and end and len(relation) <= _MOST_WORDS and _says_something(relation):
            return thing, relation
    return None


def _first(opening: str) -> str:
    found = _OPENING.match(opening)
    return found.group() if found else ""


def _says_something(words: Iterable[str]) -> bool:
    return any(word not in STOP_WORDS for word in words)
