"""BM25 over the entries of a store that changes: exact at every moment, and never rebuilt."""

from __future__ import annotations

import math
import sys
from collections import Counter
from typing import ClassVar

from atommem_env.retrieval.base import best_hits
from atommem_env.retrieval.postings import Postings
from atommem_env.retrieval.rows import Rows
from atommem_env.retrieval.vocabulary import Search, Vocabulary


class BM25:
    """An incremental index with the scores of ``rank_bm25.BM25Plus``.

    At every moment the scores are those of ``BM25Plus(corpus, k1=k1, b=b, delta=delta)`` over the tokens
    (:func:`atommem_env.text.tokens`) of the entries that have any, to 1e-9. A repeated query token counts as
    often as it stands there. Only entries that share a token with the query are hits; scores that agree to
    1e-10 are equal, and equal scores go by ascending id.

    Adding, replacing or removing an entry costs in proportion to that entry (amortised: now and then the tables
    are written anew), a search at most in proportion to the postings of the query's terms. A text is split once
    for all indices of the process (bounded). :meth:`fork` costs nothing; the first write after it, on either
    side, copies the tables of pointers, and a posting list is copied when it is first written. Few entries are
    kept as :class:`~atommem_env.retrieval.rows.Rows`, more as :class:`~atommem_env.retrieval.postings.Postings`.

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

    FEW_ENTRIES: ClassVar[int] = 192
    """An index that has never had more entries than this holds no posting lists."""

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
        # Shared with every fork since one of them was made, until one side writes.
        self._tables: Rows | Postings = Rows(Vocabulary.current())
        self._shared = False

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
        if id in self._tables:
            raise ValueError(f"entry {id} is indexed already; use replace({id}, text) to change it")
        self._write().add(id, text)
        if type(self._tables) is Rows and len(self._tables) > self.FEW_ENTRIES:
            self._tables = Postings.of(self._tables)

    def replace(self, id: int, text: str) -> None:
        """Index ``text`` in place of what entry ``id`` said.

        Raises:
            KeyError: when there is no entry ``id``.
        """
        self._check(id)
        tables = self._write()
        tables.remove(id)
        tables.add(id, text)

    def remove(self, id: int) -> None:
        """Forget entry ``id``.

        Raises:
            KeyError: when there is no entry ``id``.
        """
        self._check(id)
        self._write().remove(id)

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """Return the at most ``k`` best hits as ``(id, score)``, best first, equal scores by ascending id."""
        tables = self._tables
        terms = Counter(tables.vocabulary.encode(query))
        if k < 1 or not terms or not tables.filled:
            return []
        # Neither is 0: an entry without tokens still divides, a removed one is known by its infinite length.
        flat = max(self.k1 * (1 - self.b), sys.float_info.min)
        slope = max(self.k1 * self.b * tables.filled / tables.total, sys.float_info.min)
        return best_hits(tables.scores(Search(terms, k, self.delta, self.k1 + 1, flat, slope)), k)

    def _check(self, id: int) -> None:
        if id not in self._tables:
            raise KeyError(f"no entry {id} is indexed; use add({id}, text) for a new one")

    def _write(self) -> Rows | Postings:
        """Return tables of our own, to be written."""
        if self._shared:
            self._tables = self._tables.copy()
            self._shared = False
        return self._tables
