"""Dense retrieval: exact cosine search over the vectors of a store that changes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from atommem_env.retrieval.base import best_hits
from atommem_env.retrieval.encoders import CachedEncoder, Kind, Vectors, make_encoder


class _Rows:
    """The vectors of a store, one row each and no gaps; forks share them until one of them changes a row.

    Attributes:
        matrix: unit vectors (or zeros), of which the first ``len(ids)`` rows are in use.
        ids: of every row in use, its entry.
        places: of every entry with a vector, its row.
    """

    __slots__ = ("ids", "matrix", "places")

    def __init__(self) -> None:
        self.matrix: Vectors = np.zeros((0, 0), np.float32)
        self.ids: list[int] = []
        self.places: dict[int, int] = {}

    def copy(self) -> _Rows:
        copy = _Rows()
        copy.matrix = self.matrix[: len(self.ids)].copy()
        copy.ids = self.ids.copy()
        copy.places = self.places.copy()
        return copy

    def used(self) -> Vectors:
        """Return the rows in use, of shape (entries, width)."""
        return self.matrix[: len(self.ids)]

    def put(self, id: int, vector: Vectors) -> None:
        """Let ``vector`` stand for entry ``id``."""
        place = self.places.get(id)
        if place is None:
            place = self.places[id] = len(self.ids)
            self.ids.append(id)
            if place == len(self.matrix):
                self._grow(len(vector))
        self.matrix[place] = vector

    def drop(self, id: int) -> None:
        """Forget entry ``id``; the last row moves to its place."""
        place = self.places.pop(id)
        last = self.ids.pop()
        if last != id:
            self.matrix[place] = self.matrix[len(self.ids)]
            self.ids[place] = last
            self.places[last] = place

    def _grow(self, width: int) -> None:
        grown = np.zeros((max(16, 2 * len(self.matrix)), width), np.float32)
        if len(self.matrix):
            grown[: len(self.matrix)] = self.matrix
        self.matrix = grown


class DenseRetriever:
    """Ranks all entries by the cosine between their vectors and the query's, exactly.

    A write only notes the text. The next search encodes what was noted, together with the query, in one call,
    and a text that was replaced or removed before then is never encoded. Every entry is a hit; a score is a
    cosine, from -1 to 1 (0 for a vector of zeros), equal scores go by ascending id.

    A write costs the same however many entries there are, a search one product of the matrix of entries with
    the query. The best are found in float32 and then compared in float64, so that an entry's score does not
    depend on the row it lies in. :meth:`fork` costs nothing but what is noted; the matrix is copied when
    either side changes a row.

    ``copy.deepcopy`` returns the object itself, and pickling keeps the encoder only: as an argument of an
    environment a retriever stands for its configuration. :meth:`fork` is what copies contents.

    Args:
        encoder: what encodes, as :func:`atommem_env.retrieval.encoders.make_encoder` takes it.
    """

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
        wanted = self._encode(query)
        rows = self._rows.used()
        scores = rows @ wanted
        hits = np.arange(len(scores))
        if len(scores) > k:
            # Twice the bound on the rounding of a float32 product of unit vectors, so that no hit is missed.
            margin = 2 * len(wanted) * float(np.finfo(np.float32).eps)
            hits = np.flatnonzero(scores >= np.partition(scores, -k)[-k] - margin)
        exact: npt.NDArray[np.float64] = (rows[hits].astype(np.float64) * wanted).sum(axis=1)
        ids = self._rows.ids
        return best_hits({ids[i]: score for i, score in zip(hits.tolist(), exact.tolist(), strict=True)}, k)

    def _encode(self, query: str) -> Vectors:
        """Encode what is noted and the query; return the query's unit vector."""
        kinds: list[Kind] = ["document"] * len(self._pending)
        vectors = _unit(self.encoder.encode_mixed([*self._pending.values(), query], [*kinds, "query"]))
        if self._pending:
            self._unshare()
            for id, vector in zip(self._pending, vectors[:-1], strict=True):
                self._rows.put(id, vector)
            self._pending.clear()
        last: Vectors = vectors[-1]
        return last

    def _require(self, id: int) -> None:
        if id not in self._pending and id not in self._rows.places:
            raise KeyError(f"no entry {id} is indexed; use add({id}, text) for a new one")

    def _unshare(self) -> None:
        """Have rows of our own before they are changed."""
        if self._shared:
            self._rows = self._rows.copy()
            self._shared = False


def _unit(vectors: Vectors) -> Vectors:
    """Return ``vectors`` scaled to length 1; zeros stay zeros."""
    wide = vectors.astype(np.float64)
    lengths = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    lengths[lengths == 0] = 1
    unit: Vectors = (wide / lengths).astype(np.float32)
    return unit
