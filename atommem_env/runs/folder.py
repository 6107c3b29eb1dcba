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
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from atommem_env.runs.errors import RunError
from atommem_env.runs.files import (
    Appender,
    drop_torn_line,
    json_line,
    lines_of,
    remove_temporaries,
    write_whole,
)
from atommem_env.runs.forms import (
    MOST_EPISODES,
    EpisodeRecord,
    Record,
    RunForm,
    TimingRecord,
    decode,
    read_json,
    read_lines,
)
from atommem_env.runs.joining import join
from atommem_env.runs.keys import Key, episode_key, in_order, num_planned, planned_keys
from atommem_env.runs.lock import FolderLock
from atommem_env.runs.trace_file import TRACES_FILE, TraceFile
from atommem_env.text import clean

FORMAT: Final = 3
"""The version of the folder's format, in ``run.json`` under ``format``.

In version 1 an environment had no ``name`` besides its id, and there were no traces; in version 2 a record did not say
what had made the run. Both can still be read, and are not gone on with.
"""

RUN_FILE: Final = "run.json"
_MEND: Final = "expected the run.json of `atommem run`"
EPISODES_FILE: Final = "episodes.jsonl"
TIMING_FILE: Final = "timing.jsonl"
JUDGED: Final = ("judgements.jsonl", "judge.json")


class Notebook:
    """The episodes of a run, kept in memory only.

    Args:
        settings: what ``run.json`` would hold.

    Attributes:
        episodes: the records of the episodes that ended.
        timings: their times and costs.
        settings: what ``run.json`` holds.
        notes: what its user should know of what was there, a sentence each.
        keeps_traces: whether it wants the episodes' traces.
    """

    keeps_traces = False

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.episodes: list[EpisodeRecord] = []
        self.timings: list[TimingRecord] = []
        self.settings = dict(settings)
        self.notes: tuple[str, ...] = ()
        self._asked = self.settings

    @property
    def missing(self) -> list[Key]:
        """The keys of the episodes that were asked for and are not there yet."""
        there = {episode_key(episode) for episode in self.episodes}
        return [key for key in planned_keys(self._asked) if key not in there]

    def append(self, episode: EpisodeRecord, timing: TimingRecord, trace: bytes | None = None) -> None:
        """Add an episode: its record, its times and costs, and its stored trace."""
        self.episodes.append(episode)
        self.timings.append(timing)

    def finish(self) -> None:
        """Put the episodes in their order."""
        self.episodes = in_order(self.settings, self.episodes)


class RunFolder(Notebook):
    """A run's folder, held for writing.

    Used as a context manager: entering locks the folder, writes or compares ``run.json``, and reads the
    episodes that are there; what a killed process left torn is dropped.

    Args:
        path: the folder; it need not exist.
        settings: what ``run.json`` holds.
        traces: whether to keep the episodes' traces.
        fresh: whether a run that is there is done again.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: Mapping[str, Any],
        traces: bool = True,
        fresh: bool = False,
    ) -> None:
        super().__init__(settings)
        self._fresh = fresh
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

    def append(self, episode: EpisodeRecord, timing: TimingRecord, trace: bytes | None = None) -> None:
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
        lines = [json_line(episode) for episode in self.episodes]
        if [line[:-1] for line in lines] != list(lines_of(path)):
            write_whole(path, lines)

    def _open(self) -> None:
        for name in (RUN_FILE, EPISODES_FILE, TRACES_FILE):
            remove_temporaries(self.path / name)
        path = self.path / RUN_FILE
        redo: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()
        there = os.path.lexists(path)
        if there and not self._fresh:
            old = read_settings(self.path)
            joined = join(self.path, old, self.settings)
            self.settings, redo, self.notes = joined.settings, joined.redo, joined.notes
            there = self.settings == old
        else:
            self._begin(there)
            there = False
        if not there:
            text = json.dumps(self.settings, ensure_ascii=False, allow_nan=False, indent=2)
            write_whole(path, [f"{clean(text)}\n".encode()])
        for name in (EPISODES_FILE, TIMING_FILE):
            drop_torn_line(self.path / name)
        self.episodes = read_episodes(self.path)
        self.timings = read_timings(self.path)
        if any(redo):
            self._drop(*redo)
        traces = TraceFile(self.path / TRACES_FILE, {episode_key(episode) for episode in self.episodes})
        self._traces = traces if self.keeps_traces else None

    def _begin(self, there: bool) -> None:
        """Make room for a new run: an older one goes, and other files are nobody's business here."""
        if there:
            for name in (TRACES_FILE, TIMING_FILE, *JUDGED, EPISODES_FILE):
                (self.path / name).unlink(missing_ok=True)
            return
        others = sorted(item.name for item in self.path.iterdir() if item.name != ".lock")
        if others:
            raise RunError(
                f"{self.path} holds other files ({', '.join(others[:3])}) and no {RUN_FILE}: name a new "
                "or an empty folder with --out"
            )

    def _drop(self, envs: frozenset[str], policies: frozenset[str]) -> None:
        """Forget the episodes that are done again."""
        self._drop_from(EPISODES_FILE, self.episodes, envs, policies)
        self._drop_from(TIMING_FILE, self.timings, envs, policies)

    def _drop_from(
        self, name: str, records: list[Record], envs: frozenset[str], policies: frozenset[str]
    ) -> None:
        kept = [each for each in records if each["env"] not in envs and each["policy"] not in policies]
        if len(kept) < len(records):
            records[:] = kept
            write_whole(self.path / name, map(json_line, kept))

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
        content: dict[str, Any] = read_json(path, dict[str, Any], _MEND)
    except FileNotFoundError:
        what = "holds no run.json" if path.parent.is_dir() else "is not a folder"
        raise RunError(
            f"{os.fspath(folder)} {what}: expected the folder of a run, as `atommem run --out` makes it"
        ) from None
    except NotADirectoryError:
        raise RunError(f"{os.fspath(folder)} is a file: expected the folder of a run") from None
    return checked_settings(path, content)


def checked_settings(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a ``run.json`` holds, with what older formats left out.

    Args:
        path: the file, for messages.
        settings: its content, which is changed.

    Raises:
        RunError: when it has another form, or is of another version of the format.
    """
    version = settings.get("format")
    if version not in range(1, FORMAT + 1):
        raise RunError(f"{path}: format {version!r}; this version of atommem_env reads formats 1 to {FORMAT}")
    try:
        decode(json.dumps(settings).encode(), RunForm)
    except ValueError as error:
        raise RunError(f"{path}: {error}: {_MEND}") from error
    for env in settings["envs"]:
        env.setdefault("name", env["id"])
        env.setdefault("arguments", {})
        env.setdefault("source", None)
    for policy in settings["policies"]:
        policy.setdefault("policy", policy["name"])
        policy.setdefault("arguments", {})
    _check_plan(path, settings)
    return settings


def _check_plan(path: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a plan without environments or policies, with repeats, or too large to be one."""
    for what in ("envs", "policies"):
        names = [record["name"] for record in settings[what]]
        if not names or len(set(names)) < len(names):
            raise RunError(f"{path}: {what} are {names}: expected at least one, each with its own name")
    numbers = [settings["episodes"], *(env.get("episodes", 0) for env in settings["envs"])]
    if min(numbers) < 0 or num_planned(settings) > MOST_EPISODES:
        raise RunError(f"{path}: episodes={max(numbers)}: expected at most {MOST_EPISODES:,} in all")


def read_episodes(folder: str | os.PathLike[str]) -> list[EpisodeRecord]:
    """Return the records of a folder's episodes, in the order of the file; a torn last line is left out.

    Raises:
        RunError: when another line is broken; names it.
    """
    path = Path(folder) / EPISODES_FILE
    episodes: dict[Key, EpisodeRecord] = {}
    for _, episode in read_lines(
        path, EpisodeRecord, "record of an episode", "remove the line and resume the run"
    ):
        episodes.setdefault(episode_key(episode), episode)
    return list(episodes.values())


def read_timings(folder: str | os.PathLike[str]) -> list[TimingRecord]:
    """Return the times and costs of a folder's episodes, as far as they are there, in the order of the file."""
    return [
        timing for _, timing in read_lines(Path(folder) / TIMING_FILE, TimingRecord, "record of a time", None)
    ]
