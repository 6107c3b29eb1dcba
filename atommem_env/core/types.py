"""What an environment returns, as typed dicts: plain Python values with fixed keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, cast

from atommem_env.core.operations import OperationResult, ResultDict
from atommem_env.core.rules import Rules


class RetrievedEntry(TypedDict):
    """An entry that a standing query has found; ``query`` is an index into the observation's ``queries``."""

    id: int
    content: str
    score: float
    query: int


class Observation(TypedDict):
    """What an agent sees: ``phase`` is 0 while reading, 1 while answering; ``capacity`` 0 means none."""

    phase: int
    questions: tuple[str, ...]
    chunk: str
    scratchpad: str
    queries: tuple[str, ...]
    retrieved: tuple[RetrievedEntry, ...]
    results: tuple[ResultDict, ...]
    cursor: int
    num_chunks: int
    num_questions: int
    now: str
    memory_size: int
    capacity: int
    looks_left: int


class _GoldUnit(TypedDict):
    title: str
    text: str
    sentence: str
    chunks: list[int]


class GoldUnit(_GoldUnit, total=False):
    """A unit of evidence: its document's title and text, its own text, the chunks that show it; in a history also
    the turn's ``id`` and its ``role``; elsewhere its role where it is superseded.
    """

    id: str
    role: str


class Gold(TypedDict):
    """The gold answers of a question, and its evidence."""

    answers: list[str]
    evidence: list[GoldUnit]


# The keys of the bases are what a record of an episode must have; all are there in what an environment returns.


class _StageShares(TypedDict):
    seen: float | None
    written: float | None
    kept: float | None
    read: float | None
    answered: float


class StageShares(_StageShares, total=False):
    """The share of a question's units that reached each stage, ``None`` without units; and whether it was right.

    ``read_any`` and ``read_all`` are 1.0 where of one, or of each, of the documents (in a chat, the sessions) that hold
    supporting units a unit was read. Runs of earlier versions lack these, and the stages of superseded units.
    """

    stale_kept: float | None
    stale_read: float | None
    read_any: float | None
    read_all: float | None


class _QuestionMetrics(TypedDict):
    question: str
    answers: list[str]
    prediction: str | None
    em: float
    f1: float
    cover_em: float
    num_evidence: int
    evidence: StageShares


class QuestionMetrics(_QuestionMetrics, total=False):
    """What became of one question. Runs of earlier versions lack some of the last keys."""

    id: str
    type: str
    official: float | None
    answerable: bool
    abstained: bool
    forfeited: bool
    num_superseded: int


class _Metrics(TypedDict):
    em: float
    f1: float
    cover_em: float
    questions: list[QuestionMetrics]
    operations: dict[str, int]
    refused: dict[str, int]
    memory_size: int
    memory_peak: int
    entries_shown: int
    steps: int
    looks: int
    tokens_shown: int
    tokens_written: int


class Metrics(_Metrics, total=False):
    """The metrics of an episode; its scores are means over its questions.

    Runs of earlier versions lack the last keys.
    """

    official: float | None
    source: str


def score_of(scored: Metrics | QuestionMetrics, name: str) -> float | None:
    """Return a score, of an episode or of a question, by its name; ``None`` where it is not known."""
    return cast("Mapping[str, float | None]", scored).get(name)


class MalformedText(TypedDict):
    """What was meant as an operation in a text, and why it is none."""

    text: str
    reason: str


class _Info(TypedDict):
    task_id: str
    results: tuple[OperationResult, ...]


class Info(_Info, total=False):
    """What comes with an observation: the first two keys always, the next four at reset, ``metrics`` at the end.

    At reset also ``history``, the unit of resampling, where the task is about a history. Where questions are isolated,
    always ``isolated_question``: the number of the question that is asked, -1 where none is. When it changes, the
    memory is what it was before any question, and whoever keeps a conversation goes back to where it was then. The last
    two are those of :class:`~atommem_env.wrappers.text_protocol.TextProtocol`.
    """

    task_index: int
    source: str
    rules: Rules
    gold: list[Gold]
    history: str
    isolated_question: int
    metrics: Metrics
    malformed: list[MalformedText]
    num_malformed: int
