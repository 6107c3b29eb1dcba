"""BM25's tables for the latest entries: rows of words, written at once and all looked at by every search."""

from __future__ import annotations

import sys
import threading
from array import array
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from atommem_env.retrieval.base import TIE_MARGIN
from atommem_env.retrieval.vocabulary import Gains, Search, Vocabulary

SMALLEST: Final = sys.float_info.min
"""A hit gains no less than this: more than nothing."""

Integers: TypeAlias = npt.NDArray[np.intp]


class _Marks(threading.local):
    """Two notes for every word of a vocabulary.

    Attributes:
        asked: whether a query holds the word: no byte is set between searches.
        places: of a word asked for, where its times begin; of all others, anything.
        arrays: the same memory as arrays of numpy.
    """

    def __init__(self) -> None:
        self._make(1 << 14)

    def reach(self, words: int) -> None:
        """Have notes for the words below ``words``."""
        if words > len(self.asked):
            self._make(2 * words)

    def _make(self, words: int) -> None:
        self.asked = bytearray(words)
        self.places = array("q", bytes(8 * words))
        self.arrays = np.frombuffer(self.asked, np.bool_), np.frombuffer(self.places, np.int64)


_marks = _Marks()


class RecentEntries:
    """Some entries and their words, one entry after the other, in one array.

    A write copies the entry's words and moves those behind it. A search passes over all words. Both take less
    time than to keep posting lists as long as the entries are few, and all lies together in memory.

    Attributes:
        vocabulary: what numbers the words.
        ids: the entries' ids, in the order of their rows.
        lengths: their numbers of tokens.
        words: the rows, joined.
        filled: how many entries have tokens.
    """

    FEW: ClassVar[int] = 160
    """Up to so many words that a query asks for, a loop over each beats numpy over all rows."""

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

    def copy(self) -> RecentEntries:
        """Return an independent copy."""
        copy = RecentEntries(self.vocabulary)
        copy.ids, copy.lengths, copy.words = self.ids[:], self.lengths[:], self.words[:]
        copy.filled = self.filled
        return copy

    def add(self, id: int, words: array[int]) -> None:
        """Take in entry ``id``, which is not there yet."""
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

    def find(self, terms: Sequence[int]) -> tuple[list[int], Gains]:
        """Return how many entries hold each of ``terms``, which differ, and what tells the gains from them."""
        size = len(self.ids)
        _marks.reach(len(self.vocabulary))
        asked, places = _marks.asked, _marks.places
        asked_array, places_array = _marks.arrays
        words = np.frombuffer(self.words, np.int32)
        try:
            for term in terms:
                asked[term] = True
            found = asked_array.take(words).nonzero()[0]
        finally:
            for term in terms:
                asked[term] = False
        words = words.take(found)
        rows = np.frombuffer(self.lengths, np.int64).cumsum().searchsorted(found, "right")
        if len(found) <= self.FEW:
            postings: dict[int, dict[int, int]] = {term: {} for term in terms}
            for term, row in zip(words.tolist(), rows.tolist(), strict=True):
                posting = postings[term]
                posting[row] = posting.get(row, 0) + 1
            return list(map(len, postings.values())), partial(self._gains_few, postings)
        place = 0
        for term in terms:
            places[term] = place
            place += size
        cells = places_array.take(words)
        cells += rows
        times: Integers = np.bincount(cells, None, place).reshape(len(terms), size)
        return np.add.reduce(times > 0, 1).tolist(), partial(self._gains_many, times)

    def _gains_few(self, postings: dict[int, dict[int, int]], search: Search) -> dict[int, float]:
        flat, slope, lengths, ids = search.flat, search.slope, self.lengths, self.ids
        gains: dict[int, float] = {}
        so_far = gains.get
        for weight, posting in zip(search.weights, postings.values(), strict=True):
            for row, times in posting.items():
                gains[row] = so_far(row, 0.0) + weight * times / (times + flat + slope * lengths[row])
        return {ids[row]: gain for row, gain in gains.items()}

    def _gains_many(self, times: Integers, search: Search) -> dict[int, float]:
        norms = search.slope * np.frombuffer(self.lengths, np.int64)
        norms += search.flat
        shares = times + norms
        np.divide(times, shares, out=shares)
        gains: npt.NDArray[np.float64] = np.array(search.weights) @ shares
        floor = SMALLEST
        start = len(gains) - search.k
        if start > 0:
            ordered = gains.copy()
            ordered.partition(start)
            floor = max(floor, ordered.item(start) - TIE_MARGIN)
        ids = self.ids
        return {ids[row]: gains.item(row) for row in (gains >= floor).nonzero()[0].tolist()}
