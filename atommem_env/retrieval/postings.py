"""BM25's tables for all but the latest entries: posting lists and columns that grow, wear out, are renewed."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from atommem_env.retrieval.base import TIE_MARGIN
from atommem_env.retrieval.recent_entries import SMALLEST, RecentEntries
from atommem_env.retrieval.vocabulary import Gains, Search

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Column: TypeAlias = npt.NDArray[Any]

_SHIFT: Final = 32
_TIMES: Final = (1 << _SHIFT) - 1
_BYTE: Final = 255


class Postings:
    """What an index holds of the entries that are not its latest.

    Entries come many at a time, which costs each of them less than to come alone. Every entry has a slot, a
    number that only counts up. A term has its postings in one of two forms, both of which are only appended to:

    - a *list*: for every entry that holds the term, ``slot << 32 | times``, ascending;
    - a *column*, once ``1 / SHARE`` of the slots hold it: for every slot, how often it holds the term.

    A removed entry's slot stays behind as one of infinite length, to which no term gives anything, and its
    postings are counted as blank. Once more slots are dead than alive, everything is rewritten without
    them; that costs in proportion to what was removed since the last time.

    Copies share lists and columns; each is copied when one side first writes to it.

    Attributes:
        lists, columns: the postings of every term.
        blank: of every term, how many items of its list or column stand for no entry that holds it.
        slots: of every entry, its slot.
        ids, lengths, words: of every slot, its entry's id, number of tokens (a float) and tokens.
        owned: terms whose postings no copy can see; ``None`` when all are our own.
        filled: how many entries have tokens.
        total: how many tokens they have together.
        shortest: no entry with tokens has fewer than this.
    """

    SHARE: ClassVar[int] = 8
    """A term gets a column when one in so many slots holds it."""
    SPARE: ClassVar[int] = 1024
    """So many dead slots are always allowed: to rewrite few entries costs no less than their vocabulary."""
    FEW: ClassVar[int] = 160
    """Up to so many postings, a loop over each beats numpy over all."""
    ROWS: ClassVar[int] = 64
    """The k-th best score is bounded by way of the maxima of groups of so many slots."""

    ALL: ClassVar[int] = 2048
    """Up to so many slots, it takes less time to score all than to find out which to score."""
    CROWD: ClassVar[int] = 4
    """More than so many candidates for each of the k are thinned out between columns; at least 1."""
    GROUPS: ClassVar[int] = 16
    """... once there are so many groups for each of the k."""

    __slots__ = (
        "blank",
        "columns",
        "filled",
        "ids",
        "lengths",
        "lists",
        "next_sweep",
        "owned",
        "shortest",
        "slots",
        "total",
        "words",
    )

    def __init__(self) -> None:
        self.lists: dict[int, array[int]] = {}
        self.columns: dict[int, array[int]] = {}
        self.blank: dict[int, int] = {}
        self.slots: dict[int, int] = {}
        self.ids: array[int] = array("q")
        self.lengths: array[float] = array("d")
        self.words: list[array[int]] = []
        self.owned: set[int] | None = None
        self.filled = 0
        self.total = 0
        self.shortest = math.inf
        self.next_sweep = 0

    def __len__(self) -> int:
        return len(self.slots)

    def __contains__(self, id: object) -> bool:
        return id in self.slots

    def copy(self) -> Postings:
        """Return an independent copy that shares the posting lists and columns, and owns none."""
        copy = Postings()
        for name in ("lists", "columns", "blank", "slots", "words"):
            setattr(copy, name, getattr(self, name).copy())
        for name in ("ids", "lengths"):
            setattr(copy, name, getattr(self, name)[:])
        for name in ("filled", "total", "shortest", "next_sweep"):
            setattr(copy, name, getattr(self, name))
        copy.owned = set()
        return copy

    def extend(self, rows: RecentEntries) -> None:
        """Take in the entries of ``rows``, none of which is there yet."""
        size, first = len(rows), len(self.ids)
        self.slots.update(zip(rows.ids, range(first, first + size), strict=True))
        self.ids.extend(rows.ids)
        lengths = np.frombuffer(rows.lengths, np.int64)
        self.lengths.frombytes(lengths.astype(np.float64).tobytes())
        start = 0
        for length in rows.lengths:
            self.words.append(rows.words[start : start + length])
            start += length
        if rows.filled:
            self._post(rows, lengths, first)
            self.filled += rows.filled
            self.total += rows.total
            self.shortest = min(self.shortest, *filter(None, rows.lengths))
        if len(self.ids) > self.next_sweep:
            self._sweep()

    def _post(self, rows: RecentEntries, lengths: Ints, first: int) -> None:
        """Append the postings of ``rows``, whose slots count up from ``first``."""
        size = len(rows)
        pairs = np.frombuffer(rows.words, np.int32).astype(np.int64) << _SHIFT
        pairs |= np.arange(first, first + size).repeat(lengths)
        pairs.sort()
        starts = _starts(pairs)
        times = np.diff(starts, append=len(pairs))
        pairs = pairs[starts]
        codes = ((pairs & _TIMES) << _SHIFT) | times
        pairs >>= _SHIFT
        starts = _starts(pairs)
        terms = pairs[starts].tolist()
        if self.owned is not None:
            self._own(terms)
        data = codes.tobytes()
        bounds = [*starts.tolist(), len(codes)]
        lists = self.lists
        known = lists.get
        for term, start, end in zip(terms, bounds, bounds[1:], strict=False):
            postings = known(term)
            if postings is not None:
                postings.frombytes(data[8 * start : 8 * end])
            elif term in self.columns:
                here = np.zeros(size, np.int64)
                here[(codes[start:end] >> _SHIFT) - first] = times[start:end]
                column = self._stretch(term, first, here.max())
                column.frombytes(here.astype(_dtype(column)).tobytes())
                self.blank[term] = self.blank.get(term, 0) + size - (end - start)
            else:
                lists[term] = array("q", data[8 * start : 8 * end])

    def remove(self, id: int) -> None:
        """Forget entry ``id``."""
        slot = self.slots.pop(id)
        blank = self.blank
        so_far = blank.get
        for term in set(self.words[slot]):
            blank[term] = so_far(term, 0) + 1
        length = int(self.lengths[slot])
        self.lengths[slot] = math.inf
        self.words[slot] = array("i")
        self.total -= length
        self.filled -= length > 0
        if len(self.ids) > 2 * len(self.slots) + self.SPARE:
            self._renew()

    def _own(self, terms: Iterable[int]) -> None:
        """Have postings of our own for ``terms`` before they are written."""
        assert self.owned is not None
        for term in terms:
            if term not in self.owned:
                self.owned.add(term)
                for form in (self.lists, self.columns):
                    if term in form:
                        form[term] = form[term][:]

    def _stretch(self, term: int, size: int, times: int) -> array[int]:
        """Return the column of ``term``, filled up to ``size`` and able to take ``times``."""
        column = self.columns[term]
        if times > _BYTE and column.typecode == "B":
            self.columns[term] = column = array("q", column)
        gap = size - len(column)
        column.frombytes(bytes(gap * column.itemsize))
        self.blank[term] = self.blank.get(term, 0) + gap
        return column

    # --- renewal --------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Give terms that have become frequent a column; due whenever there are a quarter more slots."""
        size = len(self.ids)
        self.next_sweep = size + size // 4
        for term in [term for term, postings in self.lists.items() if len(postings) * self.SHARE >= size]:
            codes = np.frombuffer(self.lists.pop(term), np.int64)
            times = codes & _TIMES
            column = np.zeros(size, np.uint8 if times.max() <= _BYTE else np.int64)
            column[codes >> _SHIFT] = times
            self.columns[term] = _array(column)
            self.blank[term] = self.blank.get(term, 0) + size - len(codes)

    def _renew(self) -> None:
        """Rewrite everything without the slots of removed entries."""
        alive = np.isfinite(np.frombuffer(self.lengths))
        places = np.cumsum(alive) - 1
        lists: dict[int, array[int]] = {}
        for terms in self._batches():
            sizes = [len(self.lists[term]) for term in terms]
            codes = np.concatenate([np.frombuffer(self.lists[term], np.int64) for term in terms])
            slots = codes >> _SHIFT
            kept = alive[slots]
            ends = np.cumsum(kept)[np.cumsum(sizes) - 1].tolist()
            codes = (places[slots[kept]] << _SHIFT) | (codes[kept] & _TIMES)
            start = 0
            for term, end in zip(terms, ends, strict=True):
                if end > start:
                    lists[term] = _array(codes[start:end])
                start = end
        columns: dict[int, array[int]] = {}
        blank: dict[int, int] = {}
        for term, old in self.columns.items():
            column = _numbers(old)
            column = column[alive[: len(column)]]
            held = int(np.count_nonzero(column))
            if held and held * 2 * self.SHARE >= len(self.slots):
                columns[term] = _array(column)
                blank[term] = len(column) - held
            elif held:
                slots = np.flatnonzero(column)
                lists[term] = _array((slots << _SHIFT) | column[slots])
        self.lists, self.columns, self.blank, self.owned = lists, columns, blank, None
        self.ids = _array(np.frombuffer(self.ids, np.int64)[alive])
        self.lengths = _array(np.frombuffer(self.lengths)[alive])
        self.words = [words for words, live in zip(self.words, alive.tolist(), strict=True) if live]
        self.slots = {id: slot for slot, id in enumerate(self.ids)}
        self.shortest = min(filter(None, self.lengths), default=math.inf)
        self._sweep()

    def _batches(self, bound: int = 1 << 18) -> Iterator[list[int]]:
        """Yield all terms that have lists, in batches of not many more than ``bound`` postings together."""
        batch: list[int] = []
        size = 0
        for term, postings in self.lists.items():
            batch.append(term)
            size += len(postings)
            if size >= bound:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    # --- search ---------------------------------------------------------------------------------------

    def find(self, terms: Sequence[int]) -> tuple[list[int], Gains]:
        """Return how many entries hold each of ``terms``, which differ, and what tells the gains from them."""
        held: list[int] = []
        lists: list[tuple[int, array[int]]] = []
        columns: list[tuple[int, array[int]]] = []
        for place, term in enumerate(terms):
            form, postings = lists, self.lists.get(term)
            if postings is None:
                form, postings = columns, self.columns.get(term)
            if postings is None:
                held.append(0)
            else:
                held.append(len(postings) - self.blank.get(term, 0))
                form.append((place, postings))
        return held, partial(self._gains, lists, columns)

    def _gains(
        self, listed: list[tuple[int, array[int]]], frequent: list[tuple[int, array[int]]], search: Search
    ) -> dict[int, float]:
        weights = search.weights
        lists = [(weights[place], postings) for place, postings in listed]
        columns = [(weights[place], _numbers(column)) for place, column in frequent]
        if not columns and sum(len(postings) for _, postings in lists) <= self.FEW:
            return self._score_few(lists, search)
        lengths = np.frombuffer(self.lengths)
        gains = self._add_up(lists, lengths, search) if lists else np.zeros(len(lengths))
        score = self._score_all if len(lengths) <= self.ALL else self._score_best
        hits, gains = score(gains, lengths, columns, search)
        ids = self.ids
        return {ids[slot]: gain for slot, gain in zip(hits.tolist(), gains.tolist(), strict=True)}

    def _score_few(self, lists: list[tuple[float, array[int]]], search: Search) -> dict[int, float]:
        """Return what every hit gains, by id."""
        flat, slope = search.flat, search.slope
        lengths = self.lengths
        gains: dict[int, float] = {}
        so_far = gains.get
        for weight, postings in lists:
            for code in postings:
                slot = code >> _SHIFT
                times = code & _TIMES
                gains[slot] = so_far(slot, 0.0) + weight * times / (times + flat + slope * lengths[slot])
        ids = self.ids
        return {ids[slot]: gain for slot, gain in gains.items() if gain}

    def _score_all(
        self, gains: Floats, lengths: Floats, columns: list[tuple[float, Column]], search: Search
    ) -> tuple[Ints, Floats]:
        """Return slots and gains of all entries that may be among the ``k`` best hits.

        All columns count for all entries, in a few passes of numpy.
        """
        if columns:
            times = np.zeros((len(columns), len(gains)))
            for row, (_, counts) in zip(times, columns, strict=True):
                row[: len(counts)] = counts
            norms = search.slope * lengths
            norms += search.flat
            norms = times + norms
            times /= norms
            gains += np.array([weight for weight, _ in columns]) @ times
        hits = (gains >= max(SMALLEST, self._floor(gains, search.k) - TIE_MARGIN)).nonzero()[0]
        return hits, gains[hits]

    def _score_best(
        self, gains: Floats, lengths: Floats, columns: list[tuple[float, Column]], search: Search
    ) -> tuple[Ints, Floats]:
        """Return slots and gains of all entries that may be among the ``k`` best hits, and of few others.

        The lists have counted for every entry. The columns, frequent terms and so of little weight, count for
        every entry only until those left could not bring an entry that has gained nothing so far among the
        best; from there on only for those that they can still bring there.
        """
        size, k = len(gains), search.k
        flat, slope = search.flat, search.slope
        bounded: list[tuple[float, float, Column]] = []
        for weight, counts in columns:
            most = float(counts.max())
            # No entry gains more from this column.
            bounded.append((weight * most / (most + flat + slope * self.shortest), weight, counts))
        bounded.sort(key=lambda column: -column[0])
        left = [sum(bound for bound, _, _ in bounded[start:]) for start in range(len(bounded) + 1)]
        floor = self._floor(gains, k)
        done = 0
        norms: Floats | None = None
        while done < len(bounded) and floor <= left[done] + 2 * TIE_MARGIN:
            _, weight, counts = bounded[done]
            if norms is None:
                norms = slope * lengths
                norms += flat
            here = len(counts)
            gain = counts + norms[:here]
            np.divide(counts, gain, out=gain)
            gain *= weight
            gains[:here] += gain
            done += 1
            floor = self._floor(gains, k)
        hits = np.flatnonzero(gains >= max(SMALLEST, floor - left[done] - TIE_MARGIN))
        gains = gains[hits]
        if done < len(bounded):
            norms = slope * lengths[hits]
            norms += flat
            for place in range(done, len(bounded)):
                _, weight, counts = bounded[place]
                here = len(hits) if len(counts) == size else int(np.searchsorted(hits, len(counts)))
                times = counts[hits[:here]]
                gains[:here] += weight * times / (times + norms[:here])
                if len(hits) > self.CROWD * k:
                    floor = max(floor, float(np.partition(gains, -k)[-k]))
                    kept = np.flatnonzero(gains >= floor - left[place + 1] - TIE_MARGIN)
                    hits, gains, norms = hits[kept], gains[kept], norms[kept]
        return hits, gains

    def _add_up(self, lists: list[tuple[float, array[int]]], lengths: Floats, search: Search) -> Floats:
        """Return what every slot gains from ``lists``."""
        codes = np.frombuffer(b"".join([postings for _, postings in lists]), np.int64)
        slots = codes >> _SHIFT
        times = (codes & _TIMES).astype(np.float64)
        gains = np.array([weight for weight, _ in lists]).repeat([len(postings) for _, postings in lists])
        gains *= times
        norms = lengths[slots]
        norms *= search.slope
        norms += search.flat
        norms += times
        gains /= norms
        sums: Floats = np.bincount(slots, gains, len(lengths)).astype(np.float64, copy=False)
        return sums

    def _floor(self, gains: Floats, k: int) -> float:
        """Return a number that at least ``k`` of ``gains`` reach, close to the greatest one (0: maybe none)."""
        width = len(gains) // self.ROWS
        if width >= self.GROUPS * k:  # then the k best groups' maxima are about the k best
            gains = gains[: width * self.ROWS].reshape(self.ROWS, width).max(axis=0)
        if len(gains) < k:
            return 0.0
        gains = gains.copy()
        gains.partition(-k)
        return gains.item(-k)


def _array(numbers: npt.NDArray[Any]) -> array[Any]:
    """Return ``numbers`` (uint8, int64 or float64) as an array that grows."""
    codes = {"uint8": "B", "int64": "q", "float64": "d"}
    grown: array[Any] = array(codes[numbers.dtype.name])
    grown.frombytes(numbers.tobytes())
    return grown


def _dtype(column: array[int]) -> type[np.integer[Any]]:
    return np.uint8 if column.typecode == "B" else np.int64


def _numbers(column: array[int]) -> npt.NDArray[Any]:
    """Return a view of a column."""
    return np.frombuffer(column, _dtype(column))


def _starts(numbers: Ints) -> Ints:
    """Return where each number begins in ``numbers``, which are ascending."""
    new = np.ones(len(numbers), np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=new[1:])
    return new.nonzero()[0]
