"""A run's folder: ``run.json``, ``episodes.jsonl`` and ``timing.jsonl``.

``run.json`` holds all that is needed to repeat the run. ``episodes.jsonl`` holds one JSON object per
episode, each appended by one write of a whole line; once all are there it is rewritten in the order of the
settings (environment, policy, task index), so that the same command gives the same bytes. What differs from
one machine or hour to the next is in ``timing.jsonl`` alone.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from atommem_env.runs.errors import RunError
from atommem_env.runs.lock import FolderLock
from atommem_env.text import clean

FORMAT: Final = 1
"""The version of the folder's format, in ``run.json`` under ``format``."""

RUN_FILE: Final = "run.json"
EPISODES_FILE: Final = "episodes.jsonl"
TIMING_FILE: Final = "timing.jsonl"

_MOST_DIFFERENCES = 8
_FIELDS = ("env", "policy", "engine", "task_id", "task_index", "source", "metrics")

Key = tuple[str, str, int]
"""What an episode is known by: environment, policy, task index."""


def episode_key(episode: Mapping[str, Any]) -> Key:
    """Return the key of an episode's record."""
    return episode["env"], episode["policy"], episode["task_index"]


def planned_keys(settings: Mapping[str, Any]) -> Iterator[Key]:
    """Yield the keys of all episodes of a run, in the order in which a finished run lists them."""
    for env in settings["envs"]:
        for policy in settings["policies"]:
            for index in range(settings["episodes"]):
                yield env["id"], policy["name"], index


def in_order(settings: Mapping[str, Any], episodes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of ``episodes`` in the order in which a finished run lists them."""
    by_key = {episode_key(episode): episode for episode in episodes}
    return [by_key[key] for key in planned_keys(settings) if key in by_key]


class Notebook:
    """The episodes of a run, kept in memory only.

    Args:
        settings: what ``run.json`` would hold.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.episodes: list[dict[str, Any]] = []
        self._settings = dict(settings)

    @property
    def missing(self) -> list[Key]:
        """The keys of the episodes that are not there yet."""
        there = {episode_key(episode) for episode in self.episodes}
        return [key for key in planned_keys(self._settings) if key not in there]

    def append(self, episode: dict[str, Any], seconds: float) -> None:
        """Add an episode's record, and the time that it took."""
        self.episodes.append(episode)

    def finish(self) -> None:
        """Put the episodes in their order."""
        self.episodes = in_order(self._settings, self.episodes)


class RunFolder(Notebook):
    """A run's folder, held for writing.

    Used as a context manager: entering locks the folder, writes or compares ``run.json``, and reads the
    episodes that are there; a last line that a killed process left torn is dropped.

    Args:
        path: the folder; it need not exist.
        settings: what ``run.json`` holds.
    """

    def __init__(self, path: str | os.PathLike[str], settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.path = Path(path)
        self._lock = FolderLock(self.path)
        self._files: dict[str, int] = {}

    def __enter__(self) -> RunFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except OSError as error:
            raise RunError(
                f"{self.path} cannot be a run's folder ({error.strerror}): name one that can be written to "
                "with --out"
            ) from error
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def append(self, episode: dict[str, Any], seconds: float) -> None:
        """Add an episode's record, and the time that it took."""
        env, policy, index = episode_key(episode)
        self._append(EPISODES_FILE, episode)
        super().append(episode, seconds)
        self._append(
            TIMING_FILE, {"env": env, "policy": policy, "task_index": index, "seconds": round(seconds, 6)}
        )

    def finish(self) -> None:
        """Rewrite the episodes in their order, when all of them are there; nothing else changes."""
        if self.missing:
            return
        super().finish()
        path = self.path / EPISODES_FILE
        content = b"".join(_line(episode) for episode in self.episodes)
        self._close_files()
        if path.read_bytes() != content:
            _write_whole(path, content)

    def _open(self) -> None:
        path = self.path / RUN_FILE
        if path.exists():
            differences = list(_differences(read_settings(self.path), self._settings))
            if differences:
                raise RunError(_refusal(self.path, differences))
        else:
            others = sorted(item.name for item in self.path.iterdir() if item.name != ".lock")
            if others:
                raise RunError(
                    f"{self.path} holds other files ({', '.join(others[:3])}) and no {RUN_FILE}: name a new "
                    "or an empty folder with --out"
                )
            text = json.dumps(self._settings, ensure_ascii=False, allow_nan=False, indent=2)
            _write_whole(path, f"{clean(text)}\n".encode())
        for name in (EPISODES_FILE, TIMING_FILE):
            _drop_torn_line(self.path / name)
        self.episodes = read_episodes(self.path)

    def _append(self, name: str, record: Mapping[str, Any]) -> None:
        if name not in self._files:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._files[name] = os.open(self.path / name, flags, 0o644)
        line = _line(record)
        written = os.write(self._files[name], line)
        if written != len(line):
            raise OSError(
                f"{self.path / name}: only {written} of {len(line)} bytes could be written; is the disk full?"
            )

    def _close_files(self) -> None:
        while self._files:
            os.close(self._files.popitem()[1])

    def _close(self) -> None:
        self._close_files()
        self._lock.release()


def read_settings(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a folder's ``run.json`` holds.

    Raises:
        RunError: when the folder is none of a run, or of another version of the format.
    """
    path = Path(folder) / RUN_FILE
    try:
        settings = json.loads(path.read_bytes())
    except FileNotFoundError:
        what = "holds no run.json" if path.parent.is_dir() else "is no folder"
        raise RunError(
            f"{os.fspath(folder)} {what}: expected the folder of a run, as `atommem run --out` makes it"
        ) from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}): expected the run.json of `atommem run`") from error
    version = settings.get("format") if isinstance(settings, dict) else None
    if version != FORMAT:
        raise RunError(f"{path}: format {version!r}; this version of atommem_env reads format {FORMAT}")
    return dict(settings)


def read_episodes(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the records of a folder's episodes, in the order of the file; a torn last line is left out.

    Raises:
        RunError: when another line is broken; names it.
    """
    path = Path(folder) / EPISODES_FILE
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    episodes: dict[Key, dict[str, Any]] = {}
    for number, line in enumerate(lines, 1):
        try:
            episode = json.loads(line)
            complete = all(name in episode for name in _FIELDS)
        except (ValueError, TypeError):
            complete = False
        if not complete:
            raise RunError(
                f"{path}, line {number} is no record of an episode: remove the line and resume the run"
            )
        episodes.setdefault(episode_key(episode), episode)
    return list(episodes.values())


def _line(record: Mapping[str, Any]) -> bytes:
    return f"{clean(json.dumps(record, ensure_ascii=False, allow_nan=False))}\n".encode()


def _drop_torn_line(path: Path) -> None:
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def _write_whole(path: Path, content: bytes) -> None:
    """Replace a file at once: a reader sees the old content or the new."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """Yield where two records differ, a line each."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and _are_records(old + new):
        for number, (left, right) in enumerate(zip(old, new, strict=True)):
            label = left.get("id", left.get("name", number))
            yield from _differences(left, right, f"{name}[{label}]")
    elif old != new:
        yield f"{name}: {_short(old)} there, {_short(new)} now"


def _are_records(items: Sequence[object]) -> bool:
    return all(isinstance(item, Mapping) for item in items)


def _short(value: Any) -> str:
    if isinstance(value, list) and value and _are_records(value):
        value = [item.get("id", item.get("name")) for item in value]
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _refusal(path: Path, differences: Sequence[str]) -> str:
    shown = [f"  {line}" for line in differences[:_MOST_DIFFERENCES]]
    if len(differences) > len(shown):
        shown.append(f"  and {len(differences) - len(shown)} more")
    return "\n".join(
        [
            f"{path} holds a run with other settings:",
            *shown,
            "Repeat its settings to go on with it, or choose another folder with --out.",
        ]
    )
