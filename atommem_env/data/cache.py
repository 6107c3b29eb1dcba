"""The user's cache folder: finding a finished folder in it, and adding one atomically."""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import os
import secrets
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import filelock

T = TypeVar("T")

_TEMPORARY: Final = ".tmp-"
_LOCK: Final = ".lock"
_NO_PLACE: Final = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG),
    *(getattr(errno, name) for name in ("EDQUOT", "ENOTEMPTY", "ELOOP", "EIO") if hasattr(errno, name)),
)
"""What is wrong with a place that cannot be written."""


def cache_folder() -> Path:
    """Return the folder of converted data: ``$ATOMMEM_CACHE``, else ``atommem_env`` in the user's cache."""
    chosen = os.environ.get("ATOMMEM_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "atommem_env"


@functools.cache
def _process_folder() -> Path:
    """Return a folder that lives as long as this process, for when the cache cannot be written."""
    folder = Path(tempfile.mkdtemp(prefix="atommem_env-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def find(key: str, read: Callable[[Path], T | None]) -> tuple[Path, T] | None:
    """Return the finished folder ``key`` and what ``read`` makes of it, or ``None``.

    Args:
        key: the folder's name.
        read: returns ``None`` when the folder is absent or damaged.
    """
    places = [cache_folder() / key]
    if _process_folder.cache_info().currsize:
        places.append(_process_folder() / key)
    for folder in places:
        value = read(folder)
        if value is not None:
            return folder, value
    return None


def publish(key: str, write: Callable[[Path], None], read: Callable[[Path], T | None]) -> tuple[Path, T]:
    """Have ``write`` fill a temporary folder, then give it the name ``key``; return it and what it holds.

    When another process got there first its folder is returned, and this one's is removed. When the cache is full or
    cannot be written, a folder that lives as long as the process is used, with a warning.
    """
    base = cache_folder()
    try:
        base.mkdir(parents=True, exist_ok=True)
        remove_abandoned(base)
        folder = _publish(base, key, write, read)
    except OSError as error:
        if error.errno not in _NO_PLACE:
            raise
        fallback = _process_folder()
        warnings.warn(
            f"the cache folder {base} cannot be written ({error.strerror or error}): converted data goes to "
            f"{fallback} and is lost when this process ends. Set ATOMMEM_CACHE to a folder you can write to.",
            RuntimeWarning,
            stacklevel=2,
        )
        folder = _publish(fallback, key, write, read)
    value = read(folder)
    if value is None:
        raise OSError(f"{folder}: the converted data vanished while it was being opened; try again")
    return folder, value


def _publish(base: Path, key: str, write: Callable[[Path], None], read: Callable[[Path], T | None]) -> Path:
    with _temporary_folder(base, key) as temporary:
        write(temporary)
        folder = base / key
        try:
            temporary.rename(folder)
        except OSError:
            if not os.path.lexists(folder):
                raise
            if read(folder) is None:  # damaged: make room
                _remove(folder)
                temporary.rename(folder)
        return folder


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _temporary_folder(base: Path, key: str) -> Iterator[Path]:
    """Yield a new folder, which is held by a lock next to it, so that nobody else takes it for abandoned."""
    folder = base / f"{_TEMPORARY}{key}-{os.getpid()}-{secrets.token_hex(4)}"
    lock = _lock_of(folder)
    with contextlib.suppress(
        NotImplementedError
    ):  # a file system without locks: then nobody sweeps there either
        lock.acquire()
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _let_go(lock)


def remove_abandoned(base: Path) -> None:
    """Remove what conversions that were killed have left behind: folders whose lock nobody holds, however old."""
    for folder in base.glob(f"{_TEMPORARY}*"):
        if folder.name.endswith(_LOCK):
            continue
        lock = _lock_of(folder)
        try:
            lock.acquire(blocking=False)
        except (
            OSError,
            NotImplementedError,
        ):  # a Timeout is an OSError; it is being written, or is none of ours
            continue
        _remove(folder)
        _let_go(lock)


def _lock_of(folder: Path) -> filelock.BaseFileLock:
    import filelock  # when a folder is written: it takes a twentieth of the package's import

    return filelock.FileLock(f"{folder}{_LOCK}")


def _let_go(lock: filelock.BaseFileLock) -> None:
    with contextlib.suppress(
        OSError
    ):  # removed while it is held, so that nobody's new lock is; not on Windows
        os.unlink(lock.lock_file)
    lock.release()
    with contextlib.suppress(OSError):
        os.unlink(lock.lock_file)
