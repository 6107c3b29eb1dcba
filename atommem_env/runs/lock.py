"""One process at a time in a run folder."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from atommem_env.runs.errors import RunError


class FolderLock:
    """A lock on a folder, which the operating system gives back however its holder ends.

    Args:
        folder: the folder, which exists.
    """

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock

        self._folder = folder
        self._lock = FileLock(folder / ".lock")

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            RunError: when somebody else holds it, or the lock file is a link, which is never followed.
        """
        path = self._folder / ".lock"
        if path.is_symlink():
            raise RunError(f"{path} is a symbolic link, which is never followed here: remove it")
        try:
            self._lock.acquire(timeout=0)
        except TimeoutError:  # filelock's is one
            raise RunError(
                f"{self._folder} is in use by another process: wait until it ends or stop it, or choose "
                "another folder with --out"
            ) from None
        except NotImplementedError as error:
            warnings.warn(
                f"{self._folder} is on a file system without locks ({error}): see to it that no other process "
                "writes to it",
                stacklevel=3,
            )

    def release(self) -> None:
        """Give the lock back, if it is held, and remove its file."""
        if (
            self._lock.is_locked and sys.platform != "win32"
        ):  # removed while held: afterwards it may be another's
            (self._folder / ".lock").unlink(missing_ok=True)
        self._lock.release()
