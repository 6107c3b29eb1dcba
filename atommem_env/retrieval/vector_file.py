"""A file of vectors that several processes share: what a cache keeps when its process ends."""

from __future__ import annotations

import contextlib
import os
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from atommem_env.text import digest

if TYPE_CHECKING:
    import sqlite3

Vectors: TypeAlias = npt.NDArray[np.float32]

_WAIT: Final = 30.0  # seconds for which a process waits until another has written
_BATCH: Final = 500  # keys asked for at once; SQLite admits 999 variables everywhere
_TABLE: Final = "CREATE TABLE IF NOT EXISTS vectors (place INTEGER PRIMARY KEY, key BLOB UNIQUE, vector BLOB)"


class VectorFile:
    """Vectors on disk by (encoder, kind, text), at most ``size`` of them; the oldest written go first.

    It is an SQLite file, opened for each call and closed after it, so that any number of processes, forked
    ones too, may read and write it at once, and none keeps it open. A file that fails while it is in use is
    left alone from then on, with a warning: a cache must not end a run. Vectors carry a checksum; one that
    does not fit is not returned.

    Args:
        path: the file; it and its folder are made when they are absent.
        size: the largest number of vectors. A vector of 384 numbers takes about 1.7 kB.

    Raises:
        ValueError: when ``size`` is below 1, or the file cannot be opened or is not such a file.
    """

    def __init__(self, path: str | os.PathLike[str], size: int = 1_000_000) -> None:
        if size < 1:
            raise ValueError(f"VectorFile(size={size!r}): expected at least 1")
        self.path = Path(path).expanduser()
        self.size = size
        self._failed = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as connection:
                connection.execute(_TABLE)
                connection.execute("SELECT place, key, vector FROM vectors LIMIT 1").fetchall()
        except _failures() as error:
            raise ValueError(
                f"{self.path}: this is not a file of vectors that can be written ({error}): expected the path of "
                "one made before, or of a file that does not exist yet. Delete a damaged one, or choose another path."
            ) from error

    def __repr__(self) -> str:
        return f"VectorFile({str(self.path)!r}, size={self.size})"

    def __deepcopy__(self, memo: dict[int, object]) -> VectorFile:
        return self

    def __reduce__(self) -> tuple[type[VectorFile], tuple[str, int]]:
        return VectorFile, (str(self.path), self.size)

    def __len__(self) -> int:
        with self._open() as connection:
            count: int = connection.execute("SELECT COUNT(*) FROM vectors").fetchone()[0]
        return count

    def get(self, identity: str, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Vectors]:
        """Return the vectors that the file has, each of shape (width,).

        Args:
            identity: names the encoder.
            keys: pairs (kind, text).
        """
        if self._failed:
            return {}
        wanted = {digest(identity, *key): key for key in keys}
        found: dict[tuple[str, str], Vectors] = {}
        hashes = list(wanted)
        try:
            with self._open() as connection:
                for start in range(0, len(hashes), _BATCH):
                    some = hashes[start : start + _BATCH]
                    query = f"SELECT key, vector FROM vectors WHERE key IN ({','.join('?' * len(some))})"
                    for key, packed in connection.execute(query, some):
                        vector = _unpack(packed)
                        if vector is not None and key in wanted:
                            found[wanted[key]] = vector
        except _failures() as error:
            self._leave(error)
        return found

    def put(self, identity: str, vectors: Mapping[tuple[str, str], Vectors]) -> None:
        """Add vectors, and drop the oldest beyond ``size``.

        Args:
            identity: names the encoder.
            vectors: by (kind, text).
        """
        if self._failed:
            return
        rows = [(digest(identity, *key), _pack(vector)) for key, vector in vectors.items()]
        try:
            with self._open() as connection:
                connection.execute("BEGIN IMMEDIATE")
                # A row that is there already keeps its place; its vector may have been damaged.
                connection.executemany(
                    "INSERT INTO vectors (key, vector) VALUES (?, ?) "
                    "ON CONFLICT (key) DO UPDATE SET vector = excluded.vector",
                    rows,
                )
                # Places count up by one and rows leave at the low end only, so they say how many there are.
                connection.execute(
                    "DELETE FROM vectors WHERE place <= (SELECT MAX(place) FROM vectors) - ?", (self.size,)
                )
        except _failures() as error:
            self._leave(error)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        import sqlite3

        connection = sqlite3.connect(self.path, timeout=_WAIT)
        try:
            # No wait for the disk: what a power cut may damage here can be encoded again.
            connection.execute("PRAGMA synchronous = OFF")
            with connection:
                yield connection
        finally:
            connection.close()

    def _leave(self, error: Exception) -> None:
        """Use the file no more, with a warning."""
        self._failed = True
        warnings.warn(
            f"{self.path}: the file of vectors failed ({error}) and is not used any more by this process. Delete it "
            "if it is damaged, or choose another path.",
            RuntimeWarning,
            stacklevel=2,
        )


def _failures() -> tuple[type[Exception], ...]:
    """Return what SQLite raises over a file that is damaged, or is none of its own; its words need not be text."""
    import sqlite3  # not every Python has it, and only this module needs it

    return OSError, sqlite3.Error, UnicodeError


def _pack(vector: Vectors) -> bytes:
    data = np.ascontiguousarray(vector, dtype="<f4").tobytes()
    return zlib.crc32(data).to_bytes(4, "little") + data


def _unpack(packed: object) -> Vectors | None:
    """Return the vector, ``None`` when it is damaged."""
    if not isinstance(packed, bytes):  # a column of SQLite holds what its bytes say
        return None
    check, data = packed[:4], packed[4:]
    if not data or len(data) % 4 or zlib.crc32(data).to_bytes(4, "little") != check:
        return None
    return np.frombuffer(data, dtype="<f4").astype(np.float32)
