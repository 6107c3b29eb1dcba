"""The plain types that data is made of: documents, questions, and the records that row parsers yield."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from atommem_env.tasks.turns import Turn, turn_line

SUPPORTING: Final = "supporting"
SUPERSEDED: Final = "superseded"
ROLES: Final = (SUPPORTING, SUPERSEDED)
"""What a unit of evidence is for its question: it supports the answer, or a later fact has replaced it."""


class Document(NamedTuple):
    """A titled paragraph. Two documents are the same when title and text are."""

    title: str
    text: str


class Session(NamedTuple):
    """A document of a history: a chat's session, a list of facts, a text; made of turns.

    Attributes:
        title: what it is called where it is shown, ``Session 3``; ``""`` in a record.
        turns: what was said, in its order.
        date: when, in the benchmark's own words; ``""`` where the data has no date.
        now: the same in ISO 8601, to the minute or the day.
    """

    title: str
    turns: tuple[Turn, ...]
    date: str = ""
    now: str = ""

    @property
    def text(self) -> str:
        """The turns, one line each: ``{speaker}: {text}``."""
        return "\n".join(map(turn_line, self.turns))


class Evidence(NamedTuple):
    """One unit of evidence: the characters ``start`` to ``end`` of a document's text (usually a sentence).

    ``document`` is a position in :attr:`Record.documents`, or a row of a dataset's paragraph table.
    """

    document: int
    start: int
    end: int
    role: str = SUPPORTING


class TurnEvidence(NamedTuple):
    """One unit of evidence in a history: turn ``turn`` of session ``session``, both counted from 0.

    ``whole``: the benchmark names the message and not what of it matters; any telling sentence stands for it.
    """

    session: int
    turn: int
    role: str = SUPPORTING
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A benchmark row in the common form.

    Attributes:
        id: the row's id in the benchmark.
        type: the question's type in the benchmark, for example ``bridge``; ``""`` when there is none.
        question: the question.
        answers: the gold answer, then its aliases; at least one.
        documents: the row's own paragraphs, supporting and distractor, in the row's order.
        gold: positions in ``documents`` of the supporting paragraphs.
        evidence: the units of evidence, empty when the gold is not (all) in the data; one that is superseded stands
            before the one that replaces it.
        dropped: how many supporting facts named a sentence that does not exist, and were left out.
        missing: whether some supporting paragraph is absent from ``documents``.
        former: the answers that were right while its superseded evidence held; empty where that is not known.
    """

    id: str
    type: str
    question: str
    answers: tuple[str, ...]
    documents: tuple[Document, ...]
    gold: tuple[int, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    dropped: int = 0
    missing: bool = False
    former: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a dataset: a record whose documents are rows of the dataset's paragraph table.

    Attributes:
        row: the question's position in the dataset.
        id: the row's id in the benchmark.
        type: the question's type in the benchmark.
        question: the question.
        answers: the gold answer, then its aliases.
        documents: rows of the paragraph table: the question's own paragraphs, without repeats.
        gold: those of them that support the answer.
        evidence: the units of evidence; empty when the gold is absent from the data, and in a history.
        turns: the units of evidence of a history's question: its sessions are counted within the history.
        history: the number of the history that it is about; -1 where there are none.
        date: when it is asked, in the benchmark's own words; ``""`` where the data has no date.
        now: the same in ISO 8601, to the minute or the day.
        answerable: whether the documents answer it; where not, abstaining is right, and ``answers`` may be empty.
        rubric: what an answer has to say, item by item, where a judge scores it so.
        former: the answers that were right while its superseded evidence held; empty where that is not known.
    """

    row: int
    id: str
    type: str
    question: str
    answers: tuple[str, ...]
    documents: tuple[int, ...] = ()
    gold: tuple[int, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    turns: tuple[TurnEvidence, ...] = ()
    history: int = -1
    date: str = ""
    now: str = ""
    answerable: bool = True
    rubric: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
