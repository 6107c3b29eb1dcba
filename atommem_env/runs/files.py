"""Files that a kill at any moment leaves whole, or with a torn end that is recognised."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from atommem_env.runs.errors import RunError
from atommem_env.text import clean

LONGEST: Final = 64_000_000
"""The size in bytes of the longest file that is read whole, and of the longest line of one that is not."""

_GUARD: Final = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a pipe would hold its reader up
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of a regular file, never through a symbolic link.

    Raises:
        FileNotFoundError: when there is none.
        RunError: when it is a link, a folder, a pipe or the like, or may not be opened.
    """
    mend = "put a file in its place"
    if path.is_symlink():
        raise RunError(f"{path} is a symbolic link, which is never followed here: {mend}")
    try:
        descriptor = os.open(path, flags | _GUARD, 0o644)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RunError(f"{path} is a symbolic link, which is never followed here: {mend}") from error
        if error.errno in (errno.EISDIR, errno.ENXIO):
            raise RunError(f"{path} is not a regular file: {mend}") from error
        raise RunError(f"{path} cannot be opened ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RunError(f"{path} is not a regular file: {mend}")
    return descriptor


def read_file(path: Path) -> bytes:
    """Return the content of a regular file.

    Raises:
        FileNotFoundError: when there is none.
        RunError: when it is a link or no file, cannot be read, or is longer than :data:`LONGEST`.
    """
    with open(open_regular(path), "rb") as file:
        try:
            content = file.read(LONGEST + 1)
        except OSError as error:
            raise RunError(f"{path} cannot be read ({error.strerror})") from error
    if len(content) > LONGEST:
        raise RunError(f"{path} is longer than {LONGEST:,} bytes: it is not a file of a run")
    return content


def lines_of(path: Path) -> Iterator[bytes]:
    """Yield the whole lines of a file, without their ends; a torn last one is left out, an absent file has none.

    Raises:
        RunError: when it is a link or no file, cannot be read, or a line is longer than :data:`LONGEST`.
    """
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return
    with open(descriptor, "rb") as file:
        number = 0
        while line := file.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                raise RunError(f"{path}, line {number} is longer than {LONGEST:,} bytes: remove the line")
            if line.endswith(b"\n"):
                yield line[:-1]


_BLOCK: Final = 1 << 16


def json_line(record: Mapping[str, Any]) -> bytes:
    """Return a record as a line of a JSON Lines file."""
    return f"{clean(json.dumps(record, ensure_ascii=False, allow_nan=False))}\n".encode()


def drop_torn_line(path: Path) -> None:
    """Cut off a last line without its end, which a kill within a write leaves; a file that is not there is fine."""
    try:
        descriptor = open_regular(path, os.O_RDWR)
    except FileNotFoundError:
        return
    with open(descriptor, "r+b") as file:
        end = start = file.seek(0, os.SEEK_END)
        while start:
            start = max(0, start - _BLOCK)
            file.seek(start)
            newline = file.read(min(_BLOCK, end - start)).rfind(b"\n")
            if newline >= 0:
                if start + newline + 1 < end:
                    file.truncate(start + newline + 1)
                return
        file.truncate(0)


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
    """Remove what a kill within :func:`write_whole` left next to ``path``."""
    for left in path.parent.glob(f".{path.name}.*"):
        with contextlib.suppress(OSError):  # a folder of that name is none of ours
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
            self._descriptor = open_regular(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
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
