"""One process at a time in a run folder."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import warnings
from pathlib import Path

from atommem_env.runs.errors import RunError

_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


class FolderLock:
    """A lock on a folder, which the operating system gives back however its holder ends.

    A lock file that a killed process left behind is therefore never in the way. Its content, the holder's
    process id, is for people.

    Args:
        folder: the folder, which exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / ".lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            RunError: when another process holds it; names that process.
        """
        while self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                self._lock(descriptor)
                if self._is_current(descriptor):
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()}\n".encode())
                    self._descriptor = descriptor
            finally:
                if self._descriptor is None:
                    os.close(descriptor)

    def release(self) -> None:
        """Give the lock back and remove its file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if sys.platform != "win32":  # removed while held, so that nobody's new lock is removed
            self._path.unlink(missing_ok=True)
        os.close(descriptor)
        if sys.platform == "win32":  # an open file cannot be removed there
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _lock(self, descriptor: int) -> None:
        try:
            _lock_file(descriptor)
        except OSError as error:
            if error.errno in _TAKEN:
                raise RunError(
                    f"{self._folder} is in use by {self._holder()}: wait until it ends or stop it, or choose "
                    "another folder with --out"
                ) from None
            warnings.warn(
                f"{self._folder} is on a file system without locks ({error.strerror}): see to it that no "
                "other process writes to it",
                stacklevel=4,
            )

    def _is_current(self, descriptor: int) -> bool:
        """Return whether the locked file is still the one in the folder: its last holder removes it."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _holder(self) -> str:
        try:
            number = self._path.read_text().strip()
        except OSError:
            number = ""
        return f"process {number}" if number.isdecimal() else "another process"


def _lock_file(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # beyond the text, which stays readable
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
