"""The plain types that data is made of: documents, questions, and the records that row parsers yield."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Document(NamedTuple):
    """A titled paragraph. Two documents are the same when title and text are."""

    title: str
    text: str


class Evidence(NamedTuple):
    """One unit of evidence: the characters ``start`` to ``end`` of a document's text (usually a sentence).

    ``document`` is a position in :attr:`Record.documents`, or a row of a dataset's paragraph table.
    """

    document: int
    start: int
    end: int


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
        evidence: the units of evidence, empty when the gold is not (all) in the data.
        dropped: how many supporting facts named a sentence that does not exist, and were left out.
        missing: whether some supporting paragraph is absent from ``documents``.
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
        evidence: the units of evidence; empty when the gold is absent from the data.
    """

    row: int
    id: str
    type: str
    question: str
    answers: tuple[str, ...]
    documents: tuple[int, ...]
    gold: tuple[int, ...]
    evidence: tuple[Evidence, ...]
