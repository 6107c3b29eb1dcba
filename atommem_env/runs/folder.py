"""A run's folder: ``run.json``, ``episodes.jsonl``, ``traces.jsonl.gz`` and ``timing.jsonl``.

``run.json`` holds all that is needed to repeat the run. ``episodes.jsonl`` holds one JSON object per
episode, each appended by one write of a whole line, just after the episode's trace was appended to
``traces.jsonl.gz``: an episode is there when its line is. Once all are there both files are rewritten in the
order of the settings (environment, policy, task index), so that the same command gives the same bytes. What
differs from one machine or hour to the next, times and costs, is in ``timing.jsonl`` alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from atommem_env.runs.errors import RunError
from atommem_env.runs.files import Appender, drop_torn_line, json_line, remove_temporaries, write_whole
from atommem_env.runs.keys import Key, episode_key, in_order, planned_keys
from atommem_env.runs.lock import FolderLock
from atommem_env.runs.trace_file import TRACES_FILE, TraceFile
from atommem_env.text import clean

FORMAT: Final = 2
"""The version of the folder's format, in ``run.json`` under ``format``.

In version 1 an environment had no ``name`` besides its id, and there were no traces; it can still be read.
"""

RUN_FILE: Final = "run.json"
EPISODES_FILE: Final = "episodes.jsonl"
TIMING_FILE: Final = "timing.jsonl"

_MOST_DIFFERENCES = 8
_FIELDS = ("env", "policy", "engine", "task_id", "task_index", "source", "metrics")


class Notebook:
    """The episodes of a run, kept in memory only.

    Args:
        settings: what ``run.json`` would hold.

    Attributes:
        episodes: the records of the episodes that ended.
        timings: their times and costs.
        keeps_traces: whether it wants the episodes' traces.
    """

    keeps_traces = False

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.episodes: list[dict[str, Any]] = []
        self.timings: list[dict[str, Any]] = []
        self._settings = dict(settings)

    @property
    def missing(self) -> list[Key]:
        """The keys of the episodes that are not there yet."""
        there = {episode_key(episode) for episode in self.episodes}
        return [key for key in planned_keys(self._settings) if key not in there]

    def append(self, episode: dict[str, Any], timing: dict[str, Any], trace: bytes | None = None) -> None:
        """Add an episode: its record, its times and costs, and its stored trace."""
        self.episodes.append(episode)
        self.timings.append(timing)

    def finish(self) -> None:
        """Put the episodes in their order."""
        self.episodes = in_order(self._settings, self.episodes)


class RunFolder(Notebook):
    """A run's folder, held for writing.

    Used as a context manager: entering locks the folder, writes or compares ``run.json``, and reads the
    episodes that are there; what a killed process left torn is dropped.

    Args:
        path: the folder; it need not exist.
        settings: what ``run.json`` holds.
        traces: whether to keep the episodes' traces.
    """

    def __init__(
        self, path: str | os.PathLike[str], settings: Mapping[str, Any], traces: bool = True
    ) -> None:
        super().__init__(settings)
        self.path = Path(path)
        self.keeps_traces = traces
        self._lock = FolderLock(self.path)
        self._lines = {name: Appender(self.path / name) for name in (EPISODES_FILE, TIMING_FILE)}
        self._traces: TraceFile | None = None

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

    def append(self, episode: dict[str, Any], timing: dict[str, Any], trace: bytes | None = None) -> None:
        """Add an episode: its trace first, then its record, with which it counts, then its times and costs."""
        line = json_line(episode)
        if self._traces is not None and trace is not None:
            self._traces.append(episode_key(episode), trace)
        self._lines[EPISODES_FILE].append(line)
        super().append(episode, timing)
        self._lines[TIMING_FILE].append(json_line(timing))

    def finish(self) -> None:
        """Rewrite episodes and traces in their order, when all of them are there; nothing else changes."""
        if self.missing:
            return
        super().finish()
        self._close_files()
        if self._traces is not None:
            self._traces.finish(map(episode_key, self.episodes))
        path = self.path / EPISODES_FILE
        content = b"".join(json_line(episode) for episode in self.episodes)
        if path.read_bytes() != content:
            write_whole(path, [content])

    def _open(self) -> None:
        for name in (RUN_FILE, EPISODES_FILE, TRACES_FILE):
            remove_temporaries(self.path / name)
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
            write_whole(path, [f"{clean(text)}\n".encode()])
        for name in (EPISODES_FILE, TIMING_FILE):
            drop_torn_line(self.path / name)
        self.episodes = read_episodes(self.path)
        self.timings = read_timings(self.path)
        traces = TraceFile(self.path / TRACES_FILE, {episode_key(episode) for episode in self.episodes})
        self._traces = traces if self.keeps_traces else None

    def _close_files(self) -> None:
        for appender in self._lines.values():
            appender.close()
        if self._traces is not None:
            self._traces.close()

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
    if version not in range(1, FORMAT + 1):
        raise RunError(f"{path}: format {version!r}; this version of atommem_env reads formats 1 to {FORMAT}")
    for env in settings["envs"]:
        env.setdefault("name", env["id"])
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


def read_timings(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the times and costs of a folder's episodes, as far as they are there, in the order of the file."""
    path = Path(folder) / TIMING_FILE
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def _differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """Yield where two records differ, a line each."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and _are_records(old + new):
        for number, (left, right) in enumerate(zip(old, new, strict=True)):
            label = left.get("name", number)
            yield from _differences(left, right, f"{name}[{label}]")
    elif old != new:
        yield f"{name}: {_short(old)} there, {_short(new)} now"


def _are_records(items: Sequence[object]) -> bool:
    return all(isinstance(item, Mapping) for item in items)


def _short(value: Any) -> str:
    if isinstance(value, list) and value and _are_records(value):
        value = [item.get("name") for item in value]
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
