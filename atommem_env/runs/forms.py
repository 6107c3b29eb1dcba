"""The form of each file of a run's folder, and the readers of them.

What a file holds is checked against its form before anything else sees it, so that a damaged or foreign file ends in
a message with the file, the line and the mend. What can be done without (times, verdicts that a table shows) is left
out with a warning in place of that.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any, Final, TypedDict, TypeVar

import msgspec

from atommem_env.core.types import Metrics
from atommem_env.runs.errors import RunError, RunWarning
from atommem_env.runs.files import lines_of, read_file

MOST_EPISODES: Final = 10_000_000
"""The largest number of episodes of a run."""

JUDGEMENTS_FILE: Final = "judgements.jsonl"

T = TypeVar("T")

Count = int


class WrapperForm(msgspec.Struct):
    """A wrapper of an environment."""

    name: str
    entry_point: str
    arguments: dict[str, Any]


class EnvForm(msgspec.Struct):
    """An environment of a run."""

    id: str
    name: str | None = None
    arguments: dict[str, Any] = {}
    wrappers: list[WrapperForm] = []
    policies: list[str] | None = None
    episodes: int | None = None
    source: str | None = None
    data_hash: str | None = None
    num_tasks: int | None = None


class PolicyForm(msgspec.Struct):
    """A policy of a run."""

    name: str
    policy: str | dict[str, Any] = ""
    arguments: dict[str, Any] = {}


class RunForm(msgspec.Struct):
    """``run.json``."""

    format: int
    atommem_env: str
    envs: list[EnvForm]
    policies: list[PolicyForm]
    engine: str | dict[str, Any]
    episodes: int
    seed: int
    recipe: str | None = None


class _EpisodeRecord(TypedDict):
    env: str
    policy: str
    engine: str | None
    task_id: str
    task_index: int
    source: str | None
    metrics: Metrics


class TooLong(TypedDict):
    """How many tokens a text has, and how many the context of its policy holds."""

    tokens: int
    budget_tokens: int


class EpisodeRecord(_EpisodeRecord, total=False):
    """A line of ``episodes.jsonl``.

    ``history`` is the unit of resampling of a task about a history; ``unreadable`` what could not be read of a language
    model's replies (:mod:`atommem_env.runs.engines`); ``not_applicable`` why the episode says nothing of its policy:
    its text did not fit the context.
    """

    history: str
    unreadable: dict[str, Annotated[list[int], msgspec.Meta(min_length=2, max_length=2)]]
    not_applicable: TooLong


class _TimingRecord(TypedDict):
    env: str
    policy: str
    task_index: int
    seconds: float


class TimingRecord(_TimingRecord, total=False):
    """A line of ``timing.jsonl``."""

    reads: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cached: int


Record = TypeVar("Record", EpisodeRecord, TimingRecord)


class _VerdictRecord(TypedDict):
    env: str
    policy: str
    task_index: int
    question: int
    prediction: str | None
    em: float
    correct: bool
    reason: str
    read: bool | None


class VerdictRecord(_VerdictRecord, total=False):
    """A line of ``judgements.jsonl``."""

    score: Annotated[float, msgspec.Meta(ge=0, le=1)] | None
    criterion: str
    calls: int
    marks: list[float | None]


class LeniencyForm(msgspec.Struct):
    """How lenient a judge is, in ``judge.json``."""

    vague_answers: int
    vague_passed: float | None
    reworded_answers: int
    reworded_failed: float | None


class JudgeForm(msgspec.Struct):
    """What ``judge.json`` says besides who judged."""

    leniency: LeniencyForm | None = None
    variant: str | None = None
    criteria: dict[str, list[str]] | None = None


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def _decoder(form: type[Any]) -> msgspec.json.Decoder[Any]:
    found = _decoders.get(form)
    if found is None:
        found = _decoders[form] = msgspec.json.Decoder(form)
    return found


def decode(content: bytes, form: type[Any]) -> Any:
    """Return what JSON text holds, as plain dicts and lists, checked against a form.

    Raises:
        ValueError: when it is not JSON, or has another form; says where.
    """
    try:
        value = msgspec.json.decode(content)
        _decoder(form).decode(content)  # a value by its form would lack what the form does not name
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    return value


def read_json(path: Path, form: type[Any], mend: str) -> Any:
    """Return what a JSON file holds.

    Raises:
        FileNotFoundError: when there is none.
        RunError: when it cannot be read or has another form.
    """
    try:
        return decode(read_file(path), form)
    except ValueError as error:
        raise error if isinstance(error, RunError) else RunError(f"{path}: {error}: {mend}") from error


def read_lines(path: Path, form: type[T], what: str, mend: str | None) -> list[tuple[int, T]]:
    """Return the whole lines of a JSON Lines file with their numbers, from 1; an absent file has none.

    Args:
        path: the file.
        form: of a line, a typed dict.
        what: what a line is, for messages.
        mend: what mends a line of another form; ``None``: such a line is left out, with a warning.

    Raises:
        RunError: when a line has another form and ``mend`` is given, or the file cannot be read.
    """
    found: list[tuple[int, T]] = []
    wrong: list[str] = []
    for number, line in enumerate(lines_of(path), 1):
        try:
            found.append((number, decode(line, form)))
        except ValueError as error:  # noqa: PERF203  (each line has its own)
            if mend is not None:
                raise RunError(f"{path}, line {number} is not a {what} ({error}): {mend}") from error
            wrong.append(f"line {number} is not a {what} ({error})")
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        warnings.warn(f"{path}: {wrong[0]}{more}: left out", RunWarning, stacklevel=3)
    return found
