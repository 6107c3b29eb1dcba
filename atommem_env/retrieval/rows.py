"""BM25's tables for a store of few entries: rows of words, all looked at by every search."""

from __future__ import annotations

import math
import sys
import threading
from array import array
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from atommem_env.retrieval.base import TIE_MARGIN
from atommem_env.retrieval.vocabulary import Search, Vocabulary

_SMALLEST: Final = sys.float_info.min  # a hit gains more than nothing

Integers: TypeAlias = npt.NDArray[np.intp]


class _Marks(threading.local):
    """A number for every word of a vocabulary: zeros, between searches."""

    def __init__(self) -> None:
        self._numbers: Integers = np.zeros(1 << 14, np.intp)

    def of(self, words: int) -> Integers:
        """Return at least ``words`` zeros, to be left as such."""
        if len(self._numbers) < words:
            self._numbers = np.zeros(2 * words, np.intp)
        return self._numbers


_marks = _Marks()


class Rows:
    """What an index over few entries holds: their words, one entry after the other, in one array.

    A write copies the entry's words and moves those behind it. A search passes over all words. Both take less
    time than to keep posting lists as long as the entries are few, and all lies together in memory.

    Attributes:
        vocabulary: what numbers the words.
        ids: the entries' ids, in the order of their rows.
        lengths: their numbers of tokens.
        words: the rows, joined.
        filled: how many entries have tokens.
    """

    __slots__ = ("filled", "ids", "lengths", "vocabulary", "words")

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.ids: array[int] = array("q")
        self.lengths: array[int] = array("q")
        self.words: array[int] = array("i")
        self.filled = 0

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: object) -> bool:
        return id in self.ids

    @property
    def total(self) -> int:
        """How many tokens the entries have together."""
        return len(self.words)

    def copy(self) -> Rows:
        """Return an independent copy."""
        copy = Rows(self.vocabulary)
        copy.ids, copy.lengths, copy.words = self.ids[:], self.lengths[:], self.words[:]
        copy.filled = self.filled
        return copy

    def add(self, id: int, text: str) -> None:
        """Take in entry ``id``, which is not there yet."""
        words = self.vocabulary.encode(text)
        self.ids.append(id)
        self.lengths.append(len(words))
        self.words.extend(words)
        self.filled += len(words) > 0

    def remove(self, id: int) -> None:
        """Forget entry ``id``."""
        row = self.ids.index(id)
        start = sum(self.lengths[:row])
        del self.ids[row]
        length = self.lengths.pop(row)
        del self.words[start : start + length]
        self.filled -= length > 0

    def scores(self, search: Search) -> dict[int, float]:
        """Return the scores of the hits that may be among the best, by id."""
        terms, k, delta, top, flat, slope = search
        # Every word becomes the number of its cell: rows by terms of the query, column 0 for all other words.
        width = len(terms) + 1
        asked = np.fromiter(terms, np.intp, len(terms))
        marks = _marks.of(len(self.vocabulary))
        marks[asked] = np.arange(1, width)
        cells = marks[np.frombuffer(self.words, np.int32)]
        marks[asked] = 0
        size = len(self.ids)
        lengths = np.frombuffer(self.lengths, np.int64)
        cells += np.arange(0, size * width, width).repeat(lengths)
        times = np.bincount(cells, None, size * width).reshape(size, width)[:, 1:]
        base = 0.0
        weights: list[float] = []
        for held, asked_times in zip(np.add.reduce(times > 0, 0).tolist(), terms.values(), strict=True):
            idf = asked_times * math.log((self.filled + 1) / held) if held else 0.0
            base += idf * delta
            weights.append(idf * top)
        norms = slope * lengths
        norms += flat
        shares = times + norms[:, None]
        np.divide(times, shares, out=shares)
        gains: npt.NDArray[np.float64] = shares @ np.array(weights)
        floor = _SMALLEST
        if size > k:
            ordered = gains.copy()
            ordered.partition(size - k)
            floor = max(floor, ordered.item(size - k) - TIE_MARGIN)
        return {id: base + gain for id, gain in zip(self.ids, gains.tolist(), strict=True) if gain >= floor}
