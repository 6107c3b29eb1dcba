"""Merge: a new fact replaces the stored one that says something else of the same subject and relation.

Reading: every sentence (of a document under its title; of a conversation with who said it and when) is a fact. Where it
shares subject and relation with a fact that is stored, ``Update`` of that entry, else ``Create``. Answering:
``Read(question)``, then the engine's answer from the entries shown.

Two facts share subject and relation when they begin with the same words, and these say what the fact is about and
what of it: a name (as the evidence funnel tells names), or words that it begins with and that are rarer among the
facts read so far than those that follow; and besides it a word that carries meaning. What is left of each has to be
an object: a name, a number or a few words, without the small words that go on with a relation (``in``, ``by``,
``with``). So *The capital of Tang is Chang'an* is replaced by *The capital of Tang is Luoyang*, and neither *Chanel
was founded by Coco Chanel* by *Chanel was founded in the city of Paris*, nor *Ann lives in Kew* by *Ann has moved to
Ryde*: a relation in other words is not seen.

It knows no questions and needs no model. What is noted of an entry is numbers: fingerprints of how it begins.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from atommem_env.baselines.common import (
    READING,
    DocumentReader,
    Info,
    LookThenAnswer,
    Observation,
    Operations,
    document_text,
)
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.baselines.entries import split_number, split_stamp, stamped_sentences
from atommem_env.core.ledger import Ledger
from atommem_env.core.operations import Create, Operation, Update
from atommem_env.core.words import bare_title
from atommem_env.evidence import STOP_WORDS
from atommem_env.text import digest, sentences, tokens

_WORD: Final = re.compile(r"\w+(?:[.'’-]\w+)*")
_JOINS: Final = frozenset(("of", "the", "and", "de"))
"""Small words that may stand inside an object."""
_ARTICLES: Final = ("the", "a", "an")
_LONGEST: Final = 8
"""The most words of an object."""


class Merge(LookThenAnswer):
    """Stores facts, and lets a new one replace what says something else of the same.

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.
    """

    name = "merge"
    lasting = ("_reader", "_beginnings", "_entries", "_beginning")  # nothing is written for a question

    def __init__(self, engine: EngineSpec = "auto") -> None:
        super().__init__(engine)
        self._begin()

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._begin()

    def _begin(self) -> None:
        self._reader = DocumentReader(self._rules.entry_tokens)
        self._beginnings = Beginnings()
        self._entries: Ledger[frozenset[int]] = Ledger()
        self._beginning: dict[int, int] = {}
        """The entry whose fact begins so, by fingerprint."""

    def notice(self, observation: Observation) -> None:
        """Take in what became of the last action; of an isolated question's nothing is told that matters."""
        if observation["phase"] == READING or not self._rules.isolate_questions:
            self._entries.follow(observation)

    def read_chunk(self, observation: Observation) -> Operations:
        """Write each fact of the documents that the chunk completes: over the one it replaces, or anew."""
        entries, next_id = self._entries.records, self._entries.next_id
        updates: dict[int, str] = {}
        created: dict[int, str] = {}
        fresh: dict[int, frozenset[int]] = {}
        for content, about, fact in self._facts(observation):
            found = self._beginnings.read(about, fact)
            replaced = self._replaced(found, entries, fresh)
            id = next_id + len(created) if replaced is None else replaced
            if id in entries:
                updates[id], entries[id] = content, frozenset(found)
            else:
                created[id], fresh[id] = content, frozenset(found)
            self._beginning.update(dict.fromkeys(found, id))
        self._entries.expect(fresh.values())
        operations: list[Operation] = [Update(id, content) for id, content in updates.items()]
        return [*operations, *map(Create, created.values())]

    def _replaced(
        self, found: Sequence[int], entries: Mapping[int, frozenset[int]], fresh: Mapping[int, frozenset[int]]
    ) -> int | None:
        """Return the entry, stored or about to be, whose fact begins as one of ``found`` says."""
        for beginning in found:
            id = self._beginning.get(beginning, 0)
            if beginning in entries.get(id, fresh.get(id, frozenset())):
                return id
        return None

    def _facts(self, observation: Observation) -> Iterator[tuple[str, str, str]]:
        """Yield what to store of each fact, what its document says it is about, and the fact alone."""
        for document in self._reader.read(observation):
            title = document.title
            speaker = document.turns[0].speaker if document.turns else ""
            for text in (stamped_sentences if document.turns else sentences)(document.text):
                fact = split_stamp(text)[1] if document.turns else text
                yield document_text(title, text), title or speaker, split_number(fact)[1]


class Beginnings:
    """How facts begin: tells which beginnings of a fact say what it is about and what of it."""

    def __init__(self) -> None:
        self._facts = 0
        self._having: Counter[str] = Counter()
        self._names: set[str] = set()

    def read(self, about: str, fact: str) -> list[int]:
        """Count a fact, and return the fingerprints of its beginnings, the longest first.

        Args:
            about: the title of its document, or who said it; ``""`` where there is neither. Facts about different
                things never begin alike.
            fact: a sentence, without a number or a stamp before it.
        """
        raw = _WORD.findall(fact)
        plain = [" ".join(tokens(word)) for word in raw]
        key = " ".join(tokens(bare_title(about)))
        self._facts += 1
        self._having.update(set(plain))
        self._names.update(
            token for word, token in zip(raw[1:], plain[1:], strict=True) if _has_capital(word)
        )
        found = []
        subject: list[str] = []  # what it begins with, in small letters
        relation: list[str] = []
        named = opening = False
        for place, (word, token) in enumerate(zip(raw, plain, strict=True)):
            inside = place > 0 and _has_capital(word) and _has_capital(raw[place - 1])
            told = bool(subject or relation) if named else self._rarer(subject, relation)
            if told and not inside and _is_object(raw[place:]):
                found.append(_fingerprint(key, plain[:place]))
            if token in STOP_WORDS:
                opening = opening or place > 0 or word.lower() not in _ARTICLES
            elif _has_capital(word) and (place or token in self._names or _has_capital(word[1:])):
                named = opening = True  # a capital at the beginning alone may be the sentence's
            elif opening:
                relation.append(token)
            else:
                subject.append(token)
        return found[::-1]

    def _rarer(self, subject: Sequence[str], relation: Sequence[str]) -> bool:
        """Tell whether a word of ``subject`` is in no more facts than one of ``relation``."""
        most = max((self._having[word] for word in relation), default=0)
        return any(self._having[word] <= most for word in subject)


def _has_capital(word: str) -> bool:
    return any(char.isupper() or char.isdigit() for char in word)


def _is_object(words: list[str]) -> bool:
    """Tell whether words are an object alone: without a small word that goes on with a relation."""
    if words and words[0] == "the" and len(words) > 1 and words[1][0].isupper():
        words = words[1:]
    if not words or len(words) > _LONGEST or words[0] in _JOINS:
        return False
    return not any(
        word in STOP_WORDS and not (word in _JOINS and words[place - 1][0].isupper())
        for place, word in enumerate(words)
    )


def _fingerprint(about: str, words: Sequence[str]) -> int:
    return int.from_bytes(digest("merge", about, *words)[:8], "little")
