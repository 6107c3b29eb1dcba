"""Files that a kill at any moment leaves whole, or with a torn end that is recognised."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from atommem_env.text import clean


def json_line(record: Mapping[str, Any]) -> bytes:
    """Return a record as a line of a JSON Lines file."""
    return f"{clean(json.dumps(record, ensure_ascii=False, allow_nan=False))}\n".encode()


def drop_torn_line(path: Path) -> None:
    """Cut off a last line without its end, which a kill within a write leaves; a file that is not there is fine."""
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def write_whole(path: Path, parts: Iterable[bytes]) -> None:
    """Replace a file at once by ``parts``, one after the other: a reader sees the old content or the new."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the name of a file to write; it replaces ``path`` at once when the context ends without an error."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    try:
        yield Path(name)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def remove_temporaries(path: Path) -> None:
    """Remove what a kill within :func:`write_whole` left beside ``path``."""
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink()


class Appender:
    """Adds to the end of a file, which is made by the first addition; each addition is one write.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def append(self, content: bytes) -> None:
        """Add ``content``.

        Raises:
            OSError: when it could not be written whole.
        """
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._descriptor = os.open(self._path, flags, 0o644)
        written = os.write(self._descriptor, content)
        if written != len(content):
            raise OSError(
                f"{self._path}: only {written} of {len(content)} bytes could be written; is the disk full?"
            )

    def close(self) -> None:
        """Close the file; a later addition opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
