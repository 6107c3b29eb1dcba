"""What is noted of a text: how it relates to the questions, and fingerprints of the names in it; never the text.

Fingerprints are hashes of words in a row. They tell that two texts name the same thing, which is how a
question's second document is found, and nothing can be read out of them or answered from them. They differ from
one process to the next, and only their equality matters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from atommem_env.core.operations import Read
from atommem_env.core.words import STOP_WORDS, bare_title, stem
from atommem_env.retrieval.bm25 import DELTA, K1, B
from atommem_env.tasks.turns import Turn
from atommem_env.text import PieceTokenizer, tokens

Array = npt.NDArray[np.float32]

NO_TITLE: Final = hash(())
"""The fingerprint of the title of a text that has none."""

_WORD = re.compile(r"\w+")
_LONGEST_NAME: Final = 6
_RANKS: Final = 64
_BRIDGES: Final = 4
_BRIDGE_K: Final = 2


@dataclass(slots=True, eq=False)
class Note:
    """The numbers noted of one text, for Q questions with W different content words and S stems.

    Attributes:
        counts: how often each of the questions' words stands in it, shape (W,).
        stems: whether a word of each of the questions' stems does, shape (S,).
        length: the number of its search tokens.
        size: the number of its tokens, as the environment's built-in counter measures contents.
        title: the fingerprint of its title, without what stands in brackets at the end.
        names: the fingerprints of the names it mentions.
        asked: whether each question holds the title, shape (Q,).
        title_share: the share of the title's content words in each question, shape (Q,).
        order: when it was read: 0, 1, 2 and so on.
    """

    counts: Array
    stems: Array
    length: int
    size: int
    title: int
    names: frozenset[int]
    asked: Array
    title_share: Array
    order: int


class Notes:
    """Makes the notes of one episode's texts, and counts over all of them.

    Args:
        questions: the questions.
    """

    def __init__(self, questions: Sequence[str]) -> None:
        self.questions = tuple(questions)
        wanted = [[word for word in tokens(question) if word not in STOP_WORDS] for question in questions]
        self._word_sets = [frozenset(words) for words in wanted]
        self._words = _places(word for words in wanted for word in words)
        self._stems = _places(stem(word) for words in wanted for word in words)
        self._asks = np.zeros((len(wanted), len(self._words)), np.float32)
        self._asks_stems = np.zeros((len(wanted), len(self._stems)), np.float32)
        for number, words in enumerate(wanted):
            for word in words:
                self._asks[number, self._words[word]] += 1
                self._asks_stems[number, self._stems[stem(word)]] = 1
        self._named = [fingerprints(question, any_case=True) for question in questions]
        self._holding = np.zeros(len(self._words), np.float32)
        self._holding_stems = np.zeros(len(self._stems), np.float32)
        self._texts = 0
        self._total = 0
        self._best: list[list[float]] = [[] for _ in questions]
        self._tokenizer = PieceTokenizer()

    def take(self, title: str, text: str, turn: Turn | None = None) -> Note:
        """Take a text into the counts and return its note.

        Args:
            title: its title, ``""`` where it has none.
            text: what it says.
            turn: of a text that is one turn of a session, or a part of one: who says it, and what.
        """
        whole = f"{title}\n{text}"
        words = tokens(whole)
        distinct = set(words)
        counts = np.zeros(len(self._words), np.float32)
        for word in distinct & self._words.keys():
            counts[self._words[word]] = words.count(word)
        stems = np.zeros(len(self._stems), np.float32)
        stems[[self._stems[word] for word in {stem(word) for word in distinct} & self._stems.keys()]] = 1
        self._holding += counts > 0
        self._holding_stems += stems
        self._texts += 1
        self._total += len(words)
        name = _title_words(title)
        fingerprint = hash(name)
        content = {word for word in name if word not in STOP_WORDS}
        return Note(
            counts=counts,
            stems=stems,
            length=len(words),
            size=self.size(title, text),
            title=fingerprint,
            names=fingerprints(text),
            asked=np.array([bool(name) and fingerprint in named for named in self._named], np.float32),
            title_share=np.array(
                [len(content & words) / len(content) if content else 0.0 for words in self._word_sets],
                np.float32,
            ),
            order=self._texts - 1,
        )

    def size(self, title: str, text: str) -> int:
        """Return the number of tokens of a title and a text, as the environment's built-in counter measures them."""
        return self._tokenizer.count(f"{title}\n{text}")

    def relevance(self, notes: Sequence[Note]) -> tuple[Array, Array]:
        """Return BM25+ scores and coverage of texts for the questions, each of shape (texts, Q).

        Scores are by the document frequencies of everything taken so far (``rank_bm25``'s defaults; a word that
        a text lacks adds nothing). Coverage is the share of a question's stems in the text, in [0, 1], each
        weighted by how rare it is.
        """
        counts = np.stack([note.counts for note in notes])
        lengths = np.array([note.length for note in notes], np.float32)
        spread = K1 * (1 - B + B * lengths * self._texts / max(self._total, 1))
        gain = np.where(counts > 0, DELTA + counts * (K1 + 1) / (counts + spread[:, None]), 0)
        rarity = np.log((self._texts + 1) / np.maximum(self._holding, 1))
        stems = np.stack([note.stems for note in notes])
        weight = np.log((self._texts + 1) / np.maximum(self._holding_stems, 1)) * self._asks_stems
        coverage = stems @ weight.T / np.maximum(weight.sum(1), 1e-9)
        return ((gain * rarity) @ self._asks.T).astype(np.float32), coverage.astype(np.float32)

    def highest(self) -> Array:
        """Return the score that a text would have that holds each of a question's words very often, shape (Q,)."""
        rarity = np.log((self._texts + 1) / np.maximum(self._holding, 1))
        return np.asarray(self._asks @ rarity * (K1 + 1 + DELTA), np.float32)

    def rank(self, scores: Array) -> tuple[Array, Array]:
        """Rank scores, of shape (texts, Q), among the best that were ever ranked here.

        Returns:
            The place of each, 0 for the best, of shape (texts, Q), and the best score, of shape (Q,).
        """
        places = np.zeros(scores.shape, np.float32)
        best = np.zeros(scores.shape[1], np.float32)
        for number, column in enumerate(scores.T):
            rounded = np.round(column.astype(np.float64), 4)
            merged = sorted({*self._best[number], *rounded.tolist()}, reverse=True)[:_RANKS]
            self._best[number] = merged
            places[:, number] = np.searchsorted(-np.array(merged), -rounded)
            best[number] = merged[0]
        return places, best


def fingerprints(text: str, any_case: bool = False) -> frozenset[int]:
    """Return the fingerprints of the names in ``text``: up to 6 words in a row, from a capital or a digit on.

    With ``any_case``, from any word on.
    """
    words = _WORD.findall(text)
    plain = tuple([word.casefold() for word in words])
    return frozenset(
        [
            hash(plain[start : start + length])
            for start, word in enumerate(words)
            if any_case or word[0].isupper() or word[0].isdigit()
            for length in range(1, min(_LONGEST_NAME, len(words) - start) + 1)
        ]
    )


def title_fingerprint(title: str) -> int:
    """Return the fingerprint of a title, without what stands in brackets at its end."""
    return hash(_title_words(title))


def bridges(shown: Sequence[Mapping[str, Any]], titles: Collection[int]) -> list[Read]:
    """Return the queries of a second look: the titles of entries that those shown mention.

    Args:
        shown: ``observation["retrieved"]``.
        titles: the fingerprints of the titles of the entries that are not shown.

    Returns:
        At most 4, each for 2 entries, in the order in which they are mentioned.
    """
    found: dict[int, str] = {}
    for entry in shown if set(titles) - {NO_TITLE} else ():
        for fingerprint, name in names(entry["content"].partition("\n")[2]):
            if fingerprint in titles:
                found.setdefault(fingerprint, name)
    return [Read(name, _BRIDGE_K) for name in list(found.values())[:_BRIDGES]]


def _title_words(title: str) -> tuple[str, ...]:
    return tuple([word.casefold() for word in _WORD.findall(bare_title(title))])


def names(text: str) -> Iterator[tuple[int, str]]:
    """Yield the names in ``text`` with their fingerprints, in the order of the text, the longest first."""
    words = list(_WORD.finditer(text))
    plain = tuple([word.group().casefold() for word in words])
    for start, word in enumerate(words):
        if word.group()[0].isupper() or word.group()[0].isdigit():
            for end in range(min(start + _LONGEST_NAME, len(words)), start, -1):
                yield hash(plain[start:end]), text[word.start() : words[end - 1].end()]


def _places(words: Any) -> dict[str, int]:
    return {word: place for place, word in enumerate(dict.fromkeys(words))}


def log_length(length: int) -> float:
    """Return a length in tokens on a scale on which 1 is about a thousand."""
    return min(math.log1p(length) / 7, 1.0)
