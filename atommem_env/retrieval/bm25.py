"""BM25 over the entries of a store that changes: exact at every moment, and never rebuilt."""

from __future__ import annotations

import functools
import math
import sys
from array import array
from collections import Counter
from collections.abc import Iterable
from itertools import chain

import numpy as np

from atommem_env.retrieval.base import TIE_MARGIN, best_hits
from atommem_env.text import tokens

# From this many postings on, one pass of numpy over all of them beats a loop over each.
_MANY_POSTINGS = 192
# Longer texts are counted anew each time, so that what the cache holds stays within some 60 MB.
_LONG_TEXT = 2048


def _count(text: str) -> Counter[str]:
    """Return how often ``text`` holds each of its tokens; not to be written."""
    return _count_short(text) if len(text) <= _LONG_TEXT else Counter(tokens(text))


@functools.lru_cache(maxsize=2048)
def _count_short(text: str) -> Counter[str]:
    return Counter(tokens(text))


class _Tables:
    """What an index holds. An index and its forks share one of these until one of them writes.

    Every entry has a slot; slots of removed entries are given out again, so that what is kept per slot grows
    with the largest number of entries at one time and not with all that there ever were.

    Attributes:
        postings: of every term, the slots of the entries that hold it and how often they do.
        slots: of every entry, its slot.
        ids, texts, lengths: of every slot, its entry's id, text and number of tokens.
        free: slots without an entry.
        filled: how many entries have tokens.
        total: how many tokens they have together.
    """

    __slots__ = ("filled", "free", "ids", "lengths", "postings", "slots", "texts", "total")

    def __init__(self) -> None:
        self.postings: dict[str, dict[int, int]] = {}
        self.slots: dict[int, int] = {}
        self.ids: list[int] = []
        self.texts: list[str] = []
        self.lengths = array("q")
        self.free: list[int] = []
        self.filled = 0
        self.total = 0

    def copy(self) -> _Tables:
        """Return a copy that shares the posting lists."""
        copy = _Tables()
        copy.postings = self.postings.copy()
        copy.slots = self.slots.copy()
        copy.ids = self.ids.copy()
        copy.texts = self.texts.copy()
        copy.lengths = self.lengths[:]
        copy.free = self.free.copy()
        copy.filled = self.filled
        copy.total = self.total
        return copy

    def take_slot(self, id: int) -> int:
        """Return an empty slot, now entry ``id``'s."""
        if self.free:
            slot = self.free.pop()
            self.ids[slot] = id
        else:
            slot = len(self.ids)
            self.ids.append(id)
            self.texts.append("")
            self.lengths.append(0)
        self.slots[id] = slot
        return slot


class BM25:
    """An incremental index with the scores of ``rank_bm25.BM25Plus``.

    At every moment the scores are those of ``BM25Plus(corpus, k1=k1, b=b, delta=delta)`` over the tokens
    (:func:`atommem_env.text.tokens`) of the entries that have any, to 1e-9. A repeated query token counts as
    often as it stands there. Only entries that share a token with the query are hits; scores that agree to
    1e-10 are equal, and equal scores go by ascending id.

    Adding, replacing or removing an entry costs in proportion to that entry, a search in proportion to the
    postings of the query's terms. :meth:`fork` costs nothing; the first write after it, on either side,
    copies the tables of pointers, and a posting list is copied when it is first written.

    ``copy.deepcopy`` returns the object itself, and pickling keeps the settings only: as an argument of an
    environment an index stands for its configuration. :meth:`fork` is what copies contents.

    Reference: Lv and Zhai, "Lower-Bounding Term Frequency Normalization" (CIKM 2011).

    Args:
        k1: how slowly repetitions of a term in an entry saturate; above 0.
        b: how much an entry's length counts, from 0 to 1.
        delta: what an occurrence is worth at least, however long the entry; at least 0.

    Raises:
        ValueError: when a setting is out of its range.
    """

    def __init__(self, k1: float = 1.5, b: float = 0.75, delta: float = 1.0) -> None:
        for name, value, fits, wanted in (
            ("k1", k1, 0 < k1 < math.inf, "above 0"),
            ("b", b, 0 <= b <= 1, "from 0 to 1"),
            ("delta", delta, 0 <= delta < math.inf, "of at least 0"),
        ):
            if not fits:
                raise ValueError(f"BM25({name}={value!r}): expected a finite number {wanted}")
        self.k1 = k1
        self.b = b
        self.delta = delta
        self._tables = _Tables()
        self._shared = False
        # Terms whose posting list no fork can see; None when there never was a fork.
        self._owned: set[str] | None = None

    def __repr__(self) -> str:
        return f"BM25(k1={self.k1!r}, b={self.b!r}, delta={self.delta!r})"

    def __deepcopy__(self, memo: dict[int, object]) -> BM25:
        return self

    def __reduce__(self) -> tuple[type[BM25], tuple[float, float, float]]:
        return BM25, (self.k1, self.b, self.delta)

    def fresh(self, task_id: str) -> BM25:
        """Return an empty index with the same settings."""
        return BM25(self.k1, self.b, self.delta)

    def fork(self) -> BM25:
        """Return an independent copy with the same entries."""
        copy = BM25(self.k1, self.b, self.delta)
        copy._tables = self._tables
        self._shared = copy._shared = True
        return copy

    def add(self, id: int, text: str) -> None:
        """Index a new entry.

        Raises:
            ValueError: when there is an entry ``id`` already.
        """
        if id in self._tables.slots:
            raise ValueError(f"entry {id} is indexed already; use replace({id}, text) to change it")
        self._unshare()
        self._post(self._tables.take_slot(id), text)

    def replace(self, id: int, text: str) -> None:
        """Index ``text`` in place of what entry ``id`` said.

        Raises:
            KeyError: when there is no entry ``id``.
        """
        slot = self._slot(id)
        if self._tables.texts[slot] == text:
            return
        self._unshare()
        self._unpost(slot)
        self._post(slot, text)

    def remove(self, id: int) -> None:
        """Forget entry ``id``.

        Raises:
            KeyError: when there is no entry ``id``.
        """
        slot = self._slot(id)
        self._unshare()
        self._unpost(slot)
        del self._tables.slots[id]
        self._tables.free.append(slot)

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """Return the at most ``k`` best hits as ``(id, score)``, best first, equal scores by ascending id."""
        tables = self._tables
        base = 0.0
        weights: list[float] = []
        lists: list[dict[int, int]] = []
        for term, times in _count(query).items():
            posting = tables.postings.get(term)
            if posting:
                idf = times * math.log((tables.filled + 1) / len(posting))
                base += idf * self.delta
                weights.append(idf * (self.k1 + 1))
                lists.append(posting)
        if not lists or k < 1:
            return []
        score = self._score_few if sum(map(len, lists)) < _MANY_POSTINGS else self._score_many
        return best_hits(score(base, weights, lists, k), k)

    # BM25+ gives an entry, for every token of the query that the index knows, idf * (delta + gain), where
    # gain is 0 if the entry lacks the token and (k1 + 1) * f / (f + flat + slope * length) if it holds it f
    # times. The sum of idf * delta is the same for all: the base.

    def _norms(self) -> tuple[float, float]:
        """Return flat and slope."""
        return self.k1 * (1 - self.b), self.k1 * self.b * self._tables.filled / self._tables.total

    def _score_few(
        self, base: float, weights: list[float], lists: list[dict[int, int]], k: int
    ) -> dict[int, float]:
        """Return the score of every hit, by id."""
        flat, slope = self._norms()
        lengths = self._tables.lengths
        scores: dict[int, float] = {}
        so_far = scores.get
        for weight, posting in zip(weights, lists, strict=True):
            for slot, times in posting.items():
                gain = weight * times / (times + flat + slope * lengths[slot])
                scores[slot] = so_far(slot, base) + gain
        ids = self._tables.ids
        return {ids[slot]: score for slot, score in scores.items()}

    def _score_many(
        self, base: float, weights: list[float], lists: list[dict[int, int]], k: int
    ) -> dict[int, float]:
        """Return the scores of the hits that may be among the ``k`` best, by id."""
        flat, slope = self._norms()
        counts = [len(posting) for posting in lists]
        slots = np.fromiter(chain.from_iterable(lists), np.intp, sum(counts))
        times = np.fromiter(chain.from_iterable(map(dict.values, lists)), np.float64, len(slots))
        gains = np.repeat(np.array(weights), counts)
        gains *= times
        times += flat + slope * np.frombuffer(self._tables.lengths, np.int64)[slots]
        gains /= times
        scores = np.bincount(slots, gains)
        floor = sys.float_info.min  # a hit gains more than nothing
        if len(scores) > k:
            floor = max(floor, float(np.partition(scores, -k)[-k]) - TIE_MARGIN)
        hits = np.flatnonzero(scores >= floor)
        ids = self._tables.ids
        return {
            ids[slot]: base + score for slot, score in zip(hits.tolist(), scores[hits].tolist(), strict=True)
        }

    def _slot(self, id: int) -> int:
        slot = self._tables.slots.get(id)
        if slot is None:
            raise KeyError(f"no entry {id} is indexed; use add({id}, text) for a new one")
        return slot

    def _unshare(self) -> None:
        """Have tables of our own before they are written."""
        if self._shared:
            self._tables = self._tables.copy()
            self._shared = False
            self._owned = set()

    def _own(self, terms: Iterable[str]) -> None:
        """Have posting lists of our own for ``terms`` before they are written."""
        if self._owned is None:
            return
        postings = self._tables.postings
        for term in terms:
            if term not in self._owned:
                self._owned.add(term)
                if term in postings:
                    postings[term] = postings[term].copy()

    def _post(self, slot: int, text: str) -> None:
        tables = self._tables
        counts = _count(text)
        self._own(counts)
        postings = tables.postings
        for term, times in counts.items():
            posting = postings.get(term)
            if posting is None:
                postings[term] = {slot: times}
            else:
                posting[slot] = times
        length = sum(counts.values())
        tables.texts[slot] = text
        tables.lengths[slot] = length
        tables.total += length
        tables.filled += length > 0

    def _unpost(self, slot: int) -> None:
        # The terms come from the text once more: keeping them with every entry would double the index.
        tables = self._tables
        counts = _count(tables.texts[slot])
        self._own(counts)
        postings = tables.postings
        for term in counts:
            posting = postings[term]
            del posting[slot]
            if not posting:
                del postings[term]
        length = tables.lengths[slot]
        tables.texts[slot] = ""
        tables.lengths[slot] = 0
        tables.total -= length
        tables.filled -= length > 0
