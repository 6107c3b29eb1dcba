"""``traces.jsonl.gz`` of a run's folder: what the policies did, from which each episode can be made again.

An environment is deterministic, so that a trace is stored as its actions. The file holds one JSON object per
episode, each a gzip member of its own, so that one can be appended by one write, a torn one is recognised, and
the whole is a gzipped JSON Lines file for every other program.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from atommem_env.runs.errors import RunError
from atommem_env.runs.files import Appender, open_regular, write_whole
from atommem_env.runs.keys import Key
from atommem_env.text import clean

TRACES_FILE: Final = "traces.jsonl.gz"

_GZIP = 31
"""What zlib calls a gzip header; its time is 0, so that the same trace gives the same bytes."""

_BLOCK = 1 << 18

LONGEST_TRACE: Final = 256_000_000
"""The size in bytes of the longest trace of an episode."""


@dataclass(frozen=True)
class StoredTrace:
    """What is stored of an episode.

    Attributes:
        env: the name of its environment within the run.
        policy: the policy's name.
        task_index: the task.
        actions: each step's operations as plain dicts (a malformed one by its kind alone), or its text.
        rewards: each step's reward.
        state_digest: what the episode's final state is recognised by.
        uses_buffer: whether the policy keeps text outside memory, so that its funnel says nothing.
        said: what a language model said for each step, as it came (:attr:`atommem_env.policies.Trace.said`); not
            stored where none said anything.
    """

    env: str
    policy: str
    task_index: int
    actions: list[list[dict[str, Any]] | str]
    rewards: list[float]
    state_digest: str
    uses_buffer: bool = False
    said: list[list[dict[str, Any]]] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """What its episode is known by."""
        return self.env, self.policy, self.task_index

    def encode(self) -> bytes:
        """Return the gzip member that stores it."""
        content = asdict(self)
        if not any(self.said):
            del content["said"]
        text = clean(json.dumps(content, ensure_ascii=False, allow_nan=False))
        press = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        return press.compress(f"{text}\n".encode()) + press.flush()

    @classmethod
    def decode(cls, line: bytes) -> StoredTrace:
        """Return the trace that a line of the file says.

        Raises:
            ValueError: when it has another form; says where.
        """
        try:
            return msgspec.json.decode(line, type=cls)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error


class Member(NamedTuple):
    """One gzip member of a file.

    Attributes:
        start: its offset in bytes.
        size: its compressed length in bytes.
        line: what it holds.
    """

    start: int
    size: int
    line: bytes


def members(path: Path) -> Iterator[Member]:
    """Yield the members of a file in their order; a torn last one is left out, an absent file has none.

    Raises:
        RunError: when the file is damaged, or a trace is longer than :data:`LONGEST_TRACE`; names it and the place.
    """
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return
    start, rest = 0, b""
    with open(descriptor, "rb") as file:
        while True:
            inflate, size, parts, length = zlib.decompressobj(_GZIP), 0, list[bytes](), 0
            while not inflate.eof:
                block = rest or file.read(_BLOCK)
                if not block:
                    return
                try:
                    parts.append(inflate.decompress(block, LONGEST_TRACE + 1 - length))
                except zlib.error as error:
                    raise _damaged(path, start, str(error)) from error
                length += len(parts[-1])
                if length > LONGEST_TRACE:
                    raise _damaged(path, start, f"a trace is longer than {LONGEST_TRACE:,} bytes")
                rest = inflate.unused_data
                size += len(block) - len(rest)
            yield Member(start, size, b"".join(parts))
            start += size


def stored_traces(path: Path) -> Iterator[tuple[Member, StoredTrace]]:
    """Yield the traces of a file, each with its member.

    Raises:
        RunError: when the file is damaged; names it and the place.
    """
    for member in members(path):
        try:
            stored = StoredTrace.decode(member.line)
        except ValueError as error:
            raise _damaged(path, member.start, f"this is not a trace: {error}") from error
        yield member, stored


def _damaged(path: Path, place: int, why: str) -> RunError:
    return RunError(
        f"{path} is damaged at byte {place} ({why}): remove the file; the episodes' records stay, and the traces in it "
        "are lost"
    )


class TraceFile:
    """The file of traces of a run that is being written.

    Opening it drops what a killed process left: a torn last trace, and traces whose episode was not recorded.

    Args:
        path: the file; it need not exist.
        recorded: the keys of the episodes that are recorded.

    Raises:
        RunError: when the file is damaged.
    """

    def __init__(self, path: Path, recorded: Collection[Key]) -> None:
        self._path = path
        self._file = Appender(path)
        self._places: dict[Key, tuple[int, int]] = {}
        self._end = 0
        for member, stored in stored_traces(path):
            key = stored.key
            if key in recorded and key not in self._places:
                self._places[key] = member.start, member.size
        if path.exists() and path.stat().st_size != sum(size for _, size in self._places.values()):
            self._rewrite(list(self._places))
        self._end = sum(size for _, size in self._places.values())

    def append(self, key: Key, member: bytes) -> None:
        """Add the trace of an episode, which is recorded next."""
        self._file.append(member)
        self._places[key] = self._end, len(member)
        self._end += len(member)

    def finish(self, order: Iterable[Key]) -> None:
        """Put the traces in ``order``; nothing is written when they are."""
        wanted = [key for key in order if key in self._places]
        self.close()
        if wanted != list(self._places):
            self._rewrite(wanted)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rewrite(self, keys: list[Key]) -> None:
        with open(open_regular(self._path), "rb") as file:

            def slices() -> Iterator[bytes]:
                for key in keys:
                    start, size = self._places[key]
                    file.seek(start)
                    yield file.read(size)

            write_whole(self._path, slices())
        starts = 0
        moved: dict[Key, tuple[int, int]] = {}
        for key in keys:
            size = self._places[key][1]
            moved[key] = starts, size
            starts += size
        self._places = moved
