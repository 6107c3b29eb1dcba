"""Dense retrieval: exact cosine search over the vectors of a store that changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from atommem_env.retrieval.base import DECIMALS
from atommem_env.retrieval.cached import CachedEncoder, Encoded, Key, Kind, Vectors, row_products
from atommem_env.retrieval.encoders import make_encoder

_FLOAT32_STEP: Final = float(np.finfo(np.float32).eps)
_FIRST_ROWS: Final = 16


class _Rows:
    """The vectors of a store, one row each and no gaps; forks share them until one of them changes a row.

    Attributes:
        matrix: vectors as they were encoded, of which the first ``len(ids)`` rows are in use.
        scales: of every row, what makes its length 1 (0 for zeros).
        ids: of every row in use, its entry.
        places: of every entry with a vector, its row.
    """

    __slots__ = ("ids", "matrix", "places", "scales")

    def __init__(self) -> None:
        self.matrix: Vectors = np.zeros((0, 0), np.float32)
        self.scales: npt.NDArray[np.float64] = np.zeros(0)
        self.ids: list[int] = []
        self.places: dict[int, int] = {}

    def copy(self) -> _Rows:
        copy = _Rows()
        copy.matrix = self.matrix[: len(self.ids)].copy()
        copy.scales = self.scales[: len(self.ids)].copy()
        copy.ids = self.ids.copy()
        copy.places = self.places.copy()
        return copy

    def put(self, ids: Sequence[int], encoded: Sequence[Encoded]) -> None:
        """Let vectors stand for entries ``ids``."""
        places, known = self.places, self.ids
        if len(known) + len(ids) > len(self.matrix):
            self._grow(len(known) + len(ids), len(encoded[0][0]))
        matrix, scales = self.matrix, self.scales
        for id, (vector, scale) in zip(ids, encoded, strict=True):
            place = places.get(id)
            if place is None:
                place = places[id] = len(known)
                known.append(id)
            matrix[place] = vector
            scales[place] = scale

    def drop(self, id: int) -> None:
        """Forget entry ``id``; the last row moves to its place."""
        place = self.places.pop(id)
        last = self.ids.pop()
        if last != id:
            self.matrix[place] = self.matrix[len(self.ids)]
            self.scales[place] = self.scales[len(self.ids)]
            self.ids[place] = last
            self.places[last] = place

    def _grow(self, count: int, width: int) -> None:
        """Make room for ``count`` rows and half as many, and for as many again as there were."""
        used = len(self.ids)
        count = max(_FIRST_ROWS, 2 * len(self.matrix), count + count // 2)
        matrix, scales = np.empty((count, width), np.float32), np.empty(count)
        if used:
            matrix[:used] = self.matrix[:used]
            scales[:used] = self.scales[:used]
        self.matrix, self.scales = matrix, scales


class DenseRetriever:
    """Ranks all entries by the cosine between their vectors and the query's, exactly.

    A write only notes the text. The next search encodes what was noted, together with the query, in one call,
    and a text that was replaced or removed before then is never encoded. Every entry is a hit; a score is a
    cosine, from -1 to 1 (0 for a vector of zeros), equal scores go by ascending id.

    A write costs the same however many entries there are, a search one product of the matrix of entries with
    the query. The best of many are found in float32 and then compared in float64, so that an entry's score does
    not depend on the row it lies in. :meth:`fork` costs nothing but what is noted; the matrix is copied when
    either side changes a row.

    ``copy.deepcopy`` returns the object itself, and pickling keeps the encoder only: as an argument of an
    environment a retriever stands for its configuration. :meth:`fork` is what copies contents.

    Args:
        encoder: what encodes, as :func:`atommem_env.retrieval.encoders.make_encoder` takes it.
    """

    FEW_ENTRIES: ClassVar[int] = 32
    """Up to so many, it takes less time to compare all in float64 than to find out which to compare."""

    def __init__(self, encoder: object = None) -> None:
        self.encoder: CachedEncoder = make_encoder(encoder)
        self._rows = _Rows()
        self._shared = False
        # Texts to encode at the next search, by entry; they replace what a row says of the same entry.
        self._pending: dict[int, str] = {}

    def __repr__(self) -> str:
        return f"DenseRetriever({self.encoder!r})"

    def __deepcopy__(self, memo: dict[int, object]) -> DenseRetriever:
        return self

    def __reduce__(self) -> tuple[type[DenseRetriever], tuple[CachedEncoder]]:
        return DenseRetriever, (self.encoder,)

    def fresh(self, task_id: str) -> DenseRetriever:
        """Return an empty retriever with the same encoder."""
        return DenseRetriever(self.encoder)

    def fork(self) -> DenseRetriever:
        """Return an independent copy with the same entries."""
        copy = DenseRetriever(self.encoder)
        copy._rows = self._rows
        copy._pending = self._pending.copy()
        self._shared = copy._shared = True
        return copy

    def add(self, id: int, text: str) -> None:
        """Note a new entry.

        Raises:
            ValueError: when there is an entry ``id`` already.
        """
        if id in self._pending or id in self._rows.places:
            raise ValueError(f"entry {id} is indexed already; use replace({id}, text) to change it")
        self._pending[id] = text

    def replace(self, id: int, text: str) -> None:
        """Note that entry ``id`` now says ``text``.

        Raises:
            KeyError: when there is no entry ``id``.
        """
        self._require(id)
        self._pending[id] = text

    def remove(self, id: int) -> None:
        """Forget entry ``id``.

        Raises:
            KeyError: when there is no entry ``id``.
        """
        self._require(id)
        self._pending.pop(id, None)
        if id in self._rows.places:
            self._unshare()
            self._rows.drop(id)

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """Return the at most ``k`` best entries as ``(id, cosine)``, best first, ties by ascending id.

        Raises:
            ValueError: when the encoder returns anything but one finite vector for each text.
        """
        if k < 1 or not (self._pending or self._rows.ids):
            return []
        wanted, wanted_scale = self._encode(query)
        rows = self._rows
        ids, count = rows.ids, len(rows.ids)
        matrix, scales = rows.matrix[:count], rows.scales[:count]
        if count > max(k, self.FEW_ENTRIES):
            scores = (matrix @ wanted) * scales
            ordered = scores.copy()
            ordered.partition(count - k)
            # Twice the bound on the rounding of a float32 product, so that no hit is missed.
            margin = 2 * len(wanted) * _FLOAT32_STEP / (wanted_scale or 1.0)
            places = (scores >= ordered[count - k] - margin).nonzero()[0]
            matrix, scales = matrix.take(places, axis=0), scales.take(places)
            ids = [ids[place] for place in places.tolist()]
        exact = row_products(matrix.astype(np.float64), wanted.astype(np.float64)) * scales
        exact *= wanted_scale
        # Rounded, so that entries that fit equally well are not told apart by the machine's arithmetic.
        ranked = sorted(zip((-exact).round(DECIMALS).tolist(), ids, strict=True))
        return [(id, -score) for score, id in ranked[:k]]

    def pending_texts(self, queries: Sequence[str]) -> list[tuple[CachedEncoder, Kind, str]]:
        """Return what searches for ``queries`` will have encoded: what is noted, and the queries."""
        texts: list[tuple[CachedEncoder, Kind, str]] = []
        texts += [(self.encoder, "document", text) for text in self._pending.values()]
        texts += [(self.encoder, "query", query) for query in queries]
        return texts

    def _encode(self, query: str) -> Encoded:
        """Encode what is noted and the query; return the query's vector."""
        keys: list[Key] = [("document", text) for text in self._pending.values()]
        keys.append(("query", query))
        vectors = self.encoder.encoded(keys)
        wanted = vectors.pop()
        if self._pending:
            self._unshare()
            self._rows.put(list(self._pending), vectors)
            self._pending.clear()
        return wanted

    def _require(self, id: int) -> None:
        if id not in self._pending and id not in self._rows.places:
            raise KeyError(f"no entry {id} is indexed; use add({id}, text) for a new one")

    def _unshare(self) -> None:
        """Have rows of our own before they are changed."""
        if self._shared:
            self._rows = self._rows.copy()
            self._shared = False
