"""What an encoder is, and the cache in front of one: no text is encoded twice."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from atommem_env.retrieval.vector_file import VectorFile

Kind: TypeAlias = Literal["document", "query"]
"""What a text is: an entry is a document, what is looked for is a query."""

Vectors: TypeAlias = npt.NDArray[np.float32]

Key: TypeAlias = tuple[Kind, str]

# Lengths of which float32 holds the squares; a vector beyond them is kept at length 1.
_SHORT: Final = 1e-15
_LONG: Final = 1e15


Encoded: TypeAlias = tuple[Vectors, float]
"""A vector, float32 of shape (width,) and not to be written to, and 1 / its length (0 for a vector of zeros).

A plain tuple, as the garbage collector passes over these, of which a cache holds thousands.
"""


@runtime_checkable
class Encoder(Protocol):
    """What turns texts into vectors.

    An encoder may also have ``encode_mixed(texts, kinds)``, which takes the kind of each text and serves
    documents and queries in one call; without it, a call is made for each kind. One that has ``identity``, a
    str that differs where the vectors of a text differ, can be cached on disk.
    """

    def encode(self, texts: Sequence[str], kind: Kind) -> npt.ArrayLike:
        """Return the vectors of ``texts``, float32 of shape (number of texts, width), not all zero."""
        ...


class CachedEncoder:
    """An encoder with a bounded memory of what it has encoded: least recently used, by kind and text.

    Many environments share one; it may be called from several threads. It deep-copies as itself. It pickles
    without what it remembers: made from a name, as that name, so that a process has one of it; else as its
    arguments.

    Args:
        encoder: what encodes the texts that are not in the cache.
        size: how many vectors the cache keeps at most.
        disk: a file in which vectors outlive the process and which other processes may share, or its path;
            ``None`` for none. It is asked for what is not in memory.
        identity: names the encoder in that file; ``None`` means the encoder's own ``identity``.

    Attributes:
        encoder: what encodes the texts that are not in the cache.
        size: how many vectors the cache keeps at most.
        disk: the file of vectors, or ``None``.
        calls: how often the encoder has been called.
        texts: how many texts it has been given, all calls together.
        loaded: how many vectors came from the file instead.
        width: the vectors' length, ``None`` before the first.
        origin: what the encoder was made from.
        maker: what made it from the name ``origin``, and does so where it is unpickled; ``None`` without a name.

    Raises:
        ValueError: when ``size`` is below 1, the file cannot be used, or there is a file and no identity.
    """

    def __init__(
        self,
        encoder: Encoder,
        size: int = 20_000,
        disk: VectorFile | str | os.PathLike[str] | None = None,
        identity: str | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f"CachedEncoder(size={size!r}): expected at least 1")
        self.encoder = encoder
        self.size = size
        self.disk = disk if disk is None or isinstance(disk, VectorFile) else VectorFile(disk)
        self.calls = 0
        self.texts = 0
        self.loaded = 0
        self.width: int | None = None
        self.origin: object = encoder
        self.maker: Callable[[str], CachedEncoder] | None = None
        self._identity = identity
        self._known: OrderedDict[Key, Encoded] = OrderedDict()
        self._lock = threading.Lock()
        self._batches = 0  # blocks of `batch` that are open
        if self.disk is not None and self.identity is None:
            raise ValueError(
                f"CachedEncoder({encoder!r}, disk={str(self.disk.path)!r}): nothing tells this encoder's vectors from "
                "another's on disk; pass identity=, a str that changes whenever the vectors do"
            )

    def __repr__(self) -> str:
        disk = "" if self.disk is None else f", disk={str(self.disk.path)!r}"
        return f"CachedEncoder({self.encoder!r}, size={self.size}{disk})"

    def __deepcopy__(self, memo: dict[int, object]) -> CachedEncoder:
        return self

    def __reduce__(self) -> tuple[Callable[..., CachedEncoder], tuple[object, ...]]:
        if self.maker is not None:
            return self.maker, (self.origin,)
        return CachedEncoder, (self.encoder, self.size, self.disk, self._identity)

    @property
    def identity(self) -> str | None:
        """What names the encoder on disk; ``None`` when nothing does."""
        if self._identity is not None:
            return self._identity
        own = getattr(self.encoder, "identity", None)
        return own if isinstance(own, str) else None

    def encode(self, texts: Sequence[str], kind: Kind) -> Vectors:
        """Return the vectors of ``texts``, all of one kind: see :meth:`encode_mixed`."""
        return self.encode_mixed(texts, [kind] * len(texts))

    def encode_mixed(self, texts: Sequence[str], kinds: Sequence[Kind]) -> Vectors:
        """Return the vectors of ``texts``, float32 of shape (number of texts, width).

        The distinct texts that are not in the cache go to the encoder: in one call if it has
        ``encode_mixed`` or they are of one kind, else in one call for each kind.

        Raises:
            ValueError: when the encoder returns anything but one finite vector, of the width it always had,
                for each text.
        """
        found = self.encoded(list(zip(kinds, texts, strict=True)))
        return (
            np.stack([vector for vector, _ in found]) if found else np.zeros((0, self.width or 0), np.float32)
        )

    def encoded(self, keys: Iterable[Key]) -> list[Encoded]:
        """Return what the cache keeps of each of ``keys``, pairs (kind, text): see :meth:`encode_mixed`."""
        keys = list(keys)
        with self._lock:
            known, get = self._known, self._known.get
            found = [get(key) for key in keys]
            if None not in found:
                for key in keys:
                    known.move_to_end(key)
                return found  # type: ignore[return-value]  # there is no None among them
            missing = [key for key in dict.fromkeys(keys) if key not in known]
            made = self._load(missing)
            missing = [key for key in missing if key not in made]
            if missing:
                new = dict(zip(missing, self._encode(missing), strict=True))
                if self.disk is not None:
                    self.disk.put(self.identity or "", {key: vector for key, (vector, _) in new.items()})
                made.update(new)
            for key in dict.fromkeys(keys):
                if key in known:
                    known.move_to_end(key)
            result = [made[key] if one is None else one for key, one in zip(keys, found, strict=True)]
            self._keep(made)
            return result

    @contextmanager
    def batch(self, texts: Sequence[str], kinds: Sequence[Kind]) -> Iterator[None]:
        """Encode ``texts`` now, in one call, and keep their vectors at least until the block ends.

        What is encoded inside the block is kept too, even where that is more than ``size``.
        """
        with self._lock:
            self._batches += 1
        try:
            self.encoded(zip(kinds, texts, strict=True))
            yield
        finally:
            with self._lock:
                self._batches -= 1
                self._keep({})

    def _load(self, keys: list[Key]) -> dict[Key, Encoded]:
        """Return what the file has of ``keys``, of the right width."""
        if self.disk is None:
            return {}
        read = self.disk.get(self.identity or "", keys)
        loaded: dict[Key, Vectors] = {}
        for key in keys:
            vector = read.get(key)
            if vector is not None and len(vector) == (self.width or len(vector)):
                self.width = len(vector)
                loaded[key] = vector
        self.loaded += len(loaded)
        return dict(zip(loaded, _encoded(list(loaded.values())), strict=True))

    def _encode(self, keys: list[Key]) -> list[Encoded]:
        kinds = [kind for kind, _ in keys]
        texts = [text for _, text in keys]
        self.texts += len(keys)
        if len(set(kinds)) > 1 and hasattr(self.encoder, "encode_mixed"):
            self.calls += 1
            vectors = self._checked(self.encoder.encode_mixed(texts, kinds), len(keys))
        else:
            vectors = by_kind(self._encode_kind, texts, kinds)
        return _encoded(vectors)

    def _encode_kind(self, texts: list[str], kind: Kind) -> Vectors:
        self.calls += 1
        return self._checked(self.encoder.encode(texts, kind), len(texts))

    def _checked(self, made: npt.ArrayLike, count: int) -> Vectors:
        wanted = f"expected {count} vectors, an array of shape ({count}, {self.width or 'width'})"
        try:
            vectors = np.asarray(made, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{self.encoder!r} returned {type(made).__name__}, no numbers: {wanted}"
            ) from error
        if (
            vectors.ndim != 2
            or vectors.shape[1] == 0
            or vectors.shape != (count, self.width or vectors.shape[1])
        ):
            raise ValueError(f"{self.encoder!r} returned an array of shape {vectors.shape}: {wanted}")
        if not np.isfinite(vectors).all():
            raise ValueError(f"{self.encoder!r} returned NaN or infinity: {wanted} of finite numbers")
        self.width = vectors.shape[1]
        return vectors

    def _keep(self, made: dict[Key, Encoded]) -> None:
        self._known.update(made)
        while len(self._known) > self.size and not self._batches:
            self._known.popitem(last=False)


def _row_products(rows: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    products: npt.NDArray[np.float64] = (rows * others).sum(axis=-1)
    return products


# The product of each row with a vector, or with its own, each on its own: a score must not depend on where a row
# lies, as it does in a product of matrices. NumPy has a function for it from version 2 on.
row_products: Final[Callable[..., npt.NDArray[np.float64]]] = getattr(np, "vecdot", _row_products)


def by_kind(
    encode: Callable[[list[str], Kind], npt.ArrayLike], texts: Sequence[str], kinds: Sequence[Kind]
) -> Vectors:
    """Return the vectors of ``texts``, in their order, from a call of ``encode`` for each kind."""
    places: dict[Kind, list[int]] = {}
    for place, kind in enumerate(kinds):
        places.setdefault(kind, []).append(place)
    made = [np.asarray(encode([texts[i] for i in some], kind)) for kind, some in places.items()]
    order = np.argsort([i for some in places.values() for i in some])
    vectors: Vectors = np.concatenate(made)[order]
    return vectors


def _encoded(vectors: Vectors | Sequence[Vectors]) -> list[Encoded]:
    """Return what the cache keeps of ``vectors``: each on its own, so that one does not keep the whole batch."""
    if not len(vectors):
        return []
    wide = np.asarray(vectors, np.float64)
    encoded: list[Encoded] = []
    for vector, row, length in zip(vectors, wide, np.sqrt(row_products(wide, wide)).tolist(), strict=True):
        if _SHORT < length < _LONG:
            encoded.append((vector.copy(), 1 / length))
        elif length == 0:
            encoded.append((vector.copy(), 0.0))
        else:
            encoded.append(((row / length).astype(np.float32), 1.0))
    return encoded
