"""The user's cache folder: finding a finished folder in it, and adding one atomically."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import secrets
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

_TEMPORARY: Final = ".tmp-"
_ABANDONED: Final = 24 * 3600  # seconds after which a temporary folder belongs to nobody


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

    When another process got there first its folder is returned, and this one's is removed. When the cache
    cannot be written, a folder that lives as long as the process is used, with a warning.
    """
    temporary = _temporary_folder(key)
    try:
        write(temporary)
        folder = temporary.parent / key
        _rename(temporary, folder, read)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    value = read(folder)
    if value is None:
        raise OSError(f"{folder}: the converted data vanished while it was being opened; try again")
    return folder, value


def _rename(temporary: Path, folder: Path, read: Callable[[Path], T | None]) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        if read(folder) is None:  # damaged: make room
            shutil.rmtree(folder, ignore_errors=True)
            temporary.rename(folder)


def _temporary_folder(key: str) -> Path:
    base = cache_folder()
    try:
        base.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(base)
        return _new_folder(base, key)
    except OSError as error:
        fallback = _process_folder()
        warnings.warn(
            f"the cache folder {base} cannot be written ({error.strerror or error}): converted data goes to "
            f"{fallback} and is lost when this process ends. Set ATOMMEM_CACHE to a folder you can write to.",
            RuntimeWarning,
            stacklevel=2,
        )
        return _new_folder(fallback, key)


def _new_folder(base: Path, key: str) -> Path:
    folder = base / f"{_TEMPORARY}{key}-{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir()
    return folder


def _remove_abandoned(base: Path) -> None:
    """Remove what conversions that were killed have left behind."""
    limit = time.time() - _ABANDONED
    for folder in base.glob(f"{_TEMPORARY}*"):
        with contextlib.suppress(OSError):  # another process may have removed it first
            if folder.stat().st_mtime < limit:
                shutil.rmtree(folder, ignore_errors=True)
