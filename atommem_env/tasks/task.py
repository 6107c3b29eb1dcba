"""A task: the questions and the text of an episode, and what puts tasks together."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from atommem_env.core.types import Gold, GoldUnit
from atommem_env.data.records import SUPPORTING, Document, Question, Session
from atommem_env.tasks.turns import Turn

if TYPE_CHECKING:
    from atommem_env.data.dataset import QADataset

READING: Final = 0
ANSWERING: Final = 1


class Unit(NamedTuple):
    """A unit of evidence in a task: characters ``start`` to ``end`` of the task's text.

    Attributes:
        question: the number of the question that it is evidence for.
        document: the position of its document in :attr:`Task.documents`.
        start: where it starts in the task's text.
        end: where it ends.
        role: ``"supporting"``, or ``"superseded"`` where a later fact replaces it.
        turn: the number of its turn in the session; -1 in a document without turns.
        whole: whether it is a whole message, of which the funnel looks for any telling sentence.
    """

    question: int
    document: int
    start: int
    end: int
    role: str = SUPPORTING
    turn: int = -1
    whole: bool = False


class Position(NamedTuple):
    """A place of the cursor: a chunk to read (``phase`` 0) or a question to answer (1), and its number."""

    phase: int
    number: int


class Text(Protocol):
    """A text that may be put together only where it is looked at: a ``str`` is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> str: ...


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Questions and the text that answers them; shared by every episode on it, never changed.

    Attributes:
        id: names the task: its data, split, grouping, number of documents and index.
        index: its index in the composer's sequence of tasks.
        questions: the questions, in the order in which they are asked.
        documents: the documents (of a history: its sessions), in the order in which they stand in the text.
        content: all documents as one text, sliced by characters.
        chunks: the character span ``(start, end)`` of each chunk.
        chunk_sizes: the number of tokens of each chunk.
        units: the units of evidence of all questions.
        dates: for each chunk, the ISO 8601 date of the last document that it shows; empty where documents have
            no dates.
        stream: the order of chunks and questions; empty where all chunks come first, then all questions.
        abstain: the phrase that counts as abstaining; ``""`` where every question has an answer.
        history: the unit of resampling: the id of the history that it is about, or the name of what several have in
            common; ``""`` in a pooled task.
    """

    id: str
    index: int
    questions: tuple[Question, ...]
    documents: Sequence[Document | Session]
    content: Text
    chunks: tuple[tuple[int, int], ...]
    chunk_sizes: tuple[int, ...]
    units: tuple[Unit, ...]
    dates: tuple[str, ...] = ()
    stream: tuple[Position, ...] = ()
    abstain: str = ""
    history: str = ""

    @property
    def text(self) -> str:
        """All documents as one text. Of a long history it is put together at each access."""
        return self.content[0 : len(self.content)]

    @property
    def positions(self) -> tuple[Position, ...]:
        """The places of the cursor in the order in which an episode walks them."""
        return self.stream or (
            *(Position(READING, number) for number in range(len(self.chunks))),
            *(Position(ANSWERING, number) for number in range(len(self.questions))),
        )

    def chunk(self, number: int) -> str:
        """Return the text of chunk ``number``."""
        start, end = self.chunks[number]
        return self.content[start:end]

    def now(self, position: Position) -> str:
        """Return the date at ``position``: of the last document shown, or of the question; ``""`` without one."""
        phase, number = position
        if phase == ANSWERING:
            return self.questions[number].now
        return self.dates[number] if self.dates else ""

    def unit_text(self, unit: Unit) -> str:
        """Return what ``unit`` says."""
        return self.content[unit.start : unit.end]

    def chunks_of(self, unit: Unit) -> list[int]:
        """Return the numbers of the chunks that show some of ``unit``, ascending."""
        first = bisect.bisect_right(self.chunks, unit.start, key=lambda span: span[1])
        last = bisect.bisect_left(self.chunks, unit.end, key=lambda span: span[0])
        return list(range(first, last))

    def gold(self) -> list[Gold]:
        """Return, per question, its ``answers`` and its ``evidence``.

        A unit of evidence has ``title``, ``text``, ``sentence`` and ``chunks``, and one that is superseded its
        ``role``; one in a turn always has its ``role``, and the turn's ``id``, and its ``text`` is the turn, not the
        whole session.
        """
        evidence: list[list[GoldUnit]] = [[] for _ in self.questions]
        for unit in self.units:
            document = self.documents[unit.document]
            told = document.turns[unit.turn] if isinstance(document, Session) else document
            known: GoldUnit = {
                "title": document.title,
                "text": told.text,
                "sentence": self.unit_text(unit),
                "chunks": self.chunks_of(unit),
            }
            if isinstance(told, Turn):
                known["id"], known["role"] = told.id, unit.role
            elif unit.role != SUPPORTING:
                known["role"] = unit.role
            evidence[unit.question].append(known)
        return [
            {"answers": list(question.answers), "evidence": units}
            for question, units in zip(self.questions, evidence, strict=True)
        ]


class Composer(Protocol):
    """Puts tasks together: what an environment takes, and all that it knows of its data."""

    @property
    def dataset(self) -> QADataset:
        """Where questions and documents come from."""
        ...

    @property
    def num_tasks(self) -> int:
        """The number of tasks of an epoch: the first ``num_tasks`` indices use a question at most once."""
        ...

    def build(self, index: int) -> Task:
        """Return task ``index``, any int from 0; the same index gives the same task."""
        ...


def check_num_questions(num_questions: object, most: int | None = 10) -> tuple[int, int]:
    """Return ``num_questions`` as ``(low, high)``.

    Args:
        num_questions: an int, or an ascending pair of ints.
        most: the largest number that is allowed; ``None`` for no limit.

    Raises:
        ValueError: when it is neither an int from 1 to ``most`` nor an ascending pair of these.
    """
    pair = num_questions if isinstance(num_questions, (tuple, list)) else (num_questions, num_questions)
    counts = [n.__index__() for n in pair if hasattr(n, "__index__") and not isinstance(n, bool)]
    in_order = len(pair) == len(counts) == 2 and 1 <= counts[0] <= counts[1]
    if in_order and (most is None or counts[1] <= most):
        return counts[0], counts[1]
    expected = "from 1" if most is None else f"from 1 to {most}"
    raise ValueError(
        f"num_questions={num_questions!r}: expected an int {expected}, or a pair (low, high) of these such as (1, 10)"
        + (", or None for all questions of a history" if most is None else "")
    )
