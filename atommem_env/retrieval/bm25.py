"""BM25 over the entries of a store that changes: exact at every moment, and never rebuilt."""

from __future__ import annotations

import math
from operator import add
from typing import ClassVar, Final

from atommem_env.retrieval.base import best_hits
from atommem_env.retrieval.postings import Postings
from atommem_env.retrieval.recent_entries import SMALLEST, RecentEntries
from atommem_env.retrieval.vocabulary import Search, Vocabulary

K1: Final = 1.5
B: Final = 0.75
DELTA: Final = 1.0
"""The defaults of BM25+, those of ``rank_bm25.BM25Plus``."""


class BM25:
    """An incremental index with the scores of ``rank_bm25.BM25Plus``.

    At every moment the scores are those of ``BM25Plus(corpus, k1=k1, b=b, delta=delta)`` over the tokens
    (:func:`atommem_env.text.tokens`) of the entries that have any, to 1e-9. A repeated query token counts as
    often as it stands there. Only entries that share a token with the query are hits; scores that agree to
    1e-10 are equal, and equal scores go by ascending id.

    The latest entries are kept as :class:`~atommem_env.retrieval.recent_entries.RecentEntries`, which take a write
    at once and are all looked at by a search; when they have become too many for that, they are settled together in
    :class:`~atommem_env.retrieval.postings.Postings`.

    Adding, replacing or removing an entry costs in proportion to that entry (amortised: now and then entries are
    settled, or tables rewritten), a search at most in proportion to the latest entries and the postings of
    the query's terms. A text is split once for all indices of the process (bounded). :meth:`fork` costs
    nothing; the first write after it, on either side, copies the latest entries, the first change of the
    settled ones their tables of pointers, and a posting list is copied when it is first written.

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

    FEW_ENTRIES: ClassVar[int] = 384
    """An index that has never had more entries than this holds no posting lists."""
    BATCH: ClassVar[int] = 24
    """One that has posting lists enters its latest entries there once they are more than this."""
    BATCH_WORDS: ClassVar[int] = 64 * FEW_ENTRIES
    """Both happen as well once the latest entries have more words than this."""

    def __init__(self, k1: float = K1, b: float = B, delta: float = DELTA) -> None:
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
        # Each is shared with every fork since one of them was made, until one side writes to it.
        self._latest = RecentEntries(Vocabulary.current())
        self._settled: Postings | None = None
        self._latest_shared = self._settled_shared = False

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
        copy._latest, copy._settled = self._latest, self._settled
        self._latest_shared = copy._latest_shared = True
        self._settled_shared = copy._settled_shared = True
        return copy

    def add(self, id: int, text: str) -> None:
        """Index a new entry.

        Raises:
            ValueError: when there is an entry ``id`` already.
        """
        if id in self:
            raise ValueError(f"entry {id} is indexed already; use replace({id}, text) to change it")
        self._add(id, text)

    def replace(self, id: int, text: str) -> None:
        """Index ``text`` in place of what entry ``id`` said.

        Raises:
            KeyError: when there is no entry ``id``.
        """
        self.remove(id)
        self._add(id, text)

    def remove(self, id: int) -> None:
        """Forget entry ``id``.

        Raises:
            KeyError: when there is no entry ``id``.
        """
        if id in self._latest:
            self._own_latest().remove(id)
        elif self._settled is not None and id in self._settled:
            self._own_settled().remove(id)
        else:
            raise KeyError(f"no entry {id} is indexed; use add({id}, text) for a new one")

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """Return the at most ``k`` best hits as ``(id, score)``, best first, equal scores by ascending id."""
        counts: dict[int, int] = {}
        for term in self._latest.vocabulary.encode(query):
            counts[term] = counts.get(term, 0) + 1
        tables = [part for part in (self._settled, self._latest) if part is not None and part.filled]
        if k < 1 or not counts or not tables:
            return []
        # BM25+ gives an entry, for every token of the query that the index knows, idf * (delta + gain), where
        # gain is 0 if the entry lacks the token and (k1 + 1) * f / (f + flat + slope * length) if it holds it
        # f times. The sum of idf * delta is the same for all entries.
        filled = sum([part.filled for part in tables])
        terms = list(counts)
        found = [part.find(terms) for part in tables]
        held = found[0][0] if len(found) == 1 else list(map(add, found[0][0], found[1][0]))
        idfs = [
            count * math.log((filled + 1) / entries) if entries else 0.0
            for count, entries in zip(counts.values(), held, strict=True)
        ]
        # Neither is 0: an entry without tokens still divides, a removed one is known by its infinite length.
        flat = max(self.k1 * (1 - self.b), SMALLEST)
        slope = max(self.k1 * self.b * filled / sum([part.total for part in tables]), SMALLEST)
        asked = Search([idf * (self.k1 + 1) for idf in idfs], k, flat, slope)
        gains: dict[int, float] = {}
        for _, gains_of in found:
            gains.update(gains_of(asked))
        return best_hits(gains, k, self.delta * sum(idfs))

    def __contains__(self, id: object) -> bool:
        return id in self._latest or (self._settled is not None and id in self._settled)

    def _add(self, id: int, text: str) -> None:
        latest = self._own_latest()
        latest.add(id, latest.vocabulary.encode(text))
        most = self.FEW_ENTRIES if self._settled is None else self.BATCH
        if len(latest.ids) > most or len(latest.words) > self.BATCH_WORDS:
            self._own_settled().extend(latest)
            self._latest = RecentEntries(latest.vocabulary)

    def _own_latest(self) -> RecentEntries:
        """Return latest entries of our own, to be written."""
        if self._latest_shared:
            self._latest, self._latest_shared = self._latest.copy(), False
        return self._latest

    def _own_settled(self) -> Postings:
        """Return settled entries of our own, to be written."""
        if self._settled is None:
            self._settled = Postings()
        elif self._settled_shared:
            self._settled = self._settled.copy()
        self._settled_shared = False
        return self._settled
