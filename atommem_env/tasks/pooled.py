"""From a dataset to a task: grouping questions, sampling and shuffling documents, cutting chunks."""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from atommem_env.core.checks import at_least
from atommem_env.data.records import Document, Question
from atommem_env.tasks.documents import SEPARATOR, header
from atommem_env.tasks.permutation import Permutation
from atommem_env.text import PieceTokenizer, Tokenizer, digest

if TYPE_CHECKING:
    from atommem_env.data.dataset import QADataset


class Unit(NamedTuple):
    """A unit of evidence in a task: characters ``start`` to ``end`` of the task's text."""

    question: int
    document: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Questions and the text that answers them; shared by every episode on it, never changed.

    Attributes:
        id: names the task: its data, split, grouping, number of documents and index.
        index: its index in the dataset's sequence of tasks.
        questions: the questions, in the order in which they are asked.
        documents: the documents, in the order in which they stand in the text.
        text: all documents as one text.
        chunks: the character span ``(start, end)`` of each chunk.
        chunk_sizes: the number of tokens of each chunk.
        units: the units of evidence of all questions.
    """

    id: str
    index: int
    questions: tuple[Question, ...]
    documents: tuple[Document, ...]
    text: str
    chunks: tuple[tuple[int, int], ...]
    chunk_sizes: tuple[int, ...]
    units: tuple[Unit, ...]

    def chunk(self, number: int) -> str:
        """Return the text of chunk ``number``."""
        start, end = self.chunks[number]
        return self.text[start:end]

    def unit_text(self, unit: Unit) -> str:
        """Return what ``unit`` says."""
        return self.text[unit.start : unit.end]

    def chunks_of(self, unit: Unit) -> list[int]:
        """Return the numbers of the chunks that show some of ``unit``, ascending."""
        first = bisect.bisect_right(self.chunks, unit.start, key=lambda span: span[1])
        last = bisect.bisect_left(self.chunks, unit.end, key=lambda span: span[0])
        return list(range(first, last))

    def gold(self) -> list[dict[str, object]]:
        """Return, per question, its ``answers`` and its ``evidence`` (title, text, sentence, chunks)."""
        evidence: list[list[dict[str, object]]] = [[] for _ in self.questions]
        for unit in self.units:
            title, text = self.documents[unit.document]
            evidence[unit.question].append(
                {
                    "title": title,
                    "text": text,
                    "sentence": self.unit_text(unit),
                    "chunks": self.chunks_of(unit),
                }
            )
        return [
            {"answers": list(question.answers), "evidence": units}
            for question, units in zip(self.questions, evidence, strict=True)
        ]


def check_num_questions(num_questions: object) -> tuple[int, int]:
    """Return ``num_questions`` as ``(low, high)``.

    Raises:
        ValueError: when it is neither an int from 1 to 10 nor an ascending pair of these.
    """
    pair = num_questions if isinstance(num_questions, (tuple, list)) else (num_questions, num_questions)
    counts = [int(n) for n in pair if isinstance(n, (int, np.integer)) and not isinstance(n, bool)]
    if len(pair) == len(counts) == 2 and 1 <= counts[0] <= counts[1] <= 10:
        return counts[0], counts[1]
    raise ValueError(
        f"num_questions={num_questions!r}: expected an int from 1 to 10, or a pair (low, high) of these such as (1, 10)"
    )


class TaskSequence:
    """The endless sequence of tasks of a dataset.

    Epoch e is a permutation of the dataset's questions that depends on (data hash, split, e), cut into groups
    by one sequence of sizes. A task's documents are its questions' own, gold first, then paragraphs sampled
    from the rest; the first ``num_docs`` of that list are shuffled, so that 800 documents contain the 200. A
    task costs in proportion to ``num_docs``, whatever the dataset's size.

    Args:
        dataset: where questions and paragraphs come from.
        num_docs: documents in a task.
        num_questions: questions in a task: an int, or ``(low, high)``: low with probability 0.5, the others
            share 0.5 evenly (the paper's weights). A high above the dataset's size is lowered to it.
        chunk_tokens: the largest number of tokens of a chunk, overlap included.
        chunk_overlap: how many tokens of a chunk the one before showed already.
        tokenizer: what counts tokens; ``None`` for the built-in counter.

    Raises:
        ValueError: when an argument is out of range, or the dataset too small for it.
    """

    def __init__(
        self,
        dataset: QADataset,
        num_docs: int = 200,
        num_questions: int | Sequence[int] = (1, 10),
        chunk_tokens: int = 4096,
        chunk_overlap: int = 100,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        low, high = check_num_questions(num_questions)
        num_docs = at_least("num_docs", num_docs, 1)
        chunk_tokens = at_least("chunk_tokens", chunk_tokens, 1)
        chunk_overlap = at_least("chunk_overlap", chunk_overlap, 0)
        if dataset.num_questions < low:
            raise ValueError(
                f"num_questions={num_questions!r}: {dataset.source} has only {dataset.num_questions} questions"
            )
        if dataset.num_paragraphs < num_docs:
            raise ValueError(
                f"num_docs={num_docs}: {dataset.source} has only {dataset.num_paragraphs} paragraphs; "
                f"pass num_docs={dataset.num_paragraphs} or less, or a larger source"
            )
        if chunk_overlap >= chunk_tokens:
            raise ValueError(
                f"chunk_overlap={chunk_overlap}: expected less than chunk_tokens={chunk_tokens}, so that every chunk "
                "shows something new"
            )
        self.dataset = dataset
        self.num_docs = num_docs
        self.chunk_tokens = chunk_tokens
        self.chunk_overlap = chunk_overlap
        self._tokenizer = tokenizer
        self._low, self._high = low, min(high, dataset.num_questions)
        self._offsets = _group_offsets(dataset.hash, dataset.num_questions, self._low, self._high)

    @property
    def num_tasks(self) -> int:
        """The number of tasks of an epoch: the first ``num_tasks`` indices use a question at most once."""
        return len(self._offsets) - 1

    def build(self, index: int) -> Task:
        """Return task ``index`` (any int from 0).

        Raises:
            ValueError: when the gold paragraphs alone exceed ``num_docs``, or too few paragraphs differ in
                title and text; says how many there are.
        """
        if index < 0:
            raise ValueError(f"task_index={index}: expected an int from 0")
        key = digest("task", self.dataset.hash, self.dataset.split, self._low, self._high, index)
        questions = self._questions(index)
        rows = self._rows(index, questions, key)
        order = Permutation(len(rows), digest(key, "shuffle", len(rows))).take(np.arange(len(rows)))
        rows = [rows[position] for position in order]
        documents = self.dataset.documents(rows)
        text, doc_starts = join_documents(documents)
        starts = (
            _TokenStarts(self.dataset, rows, documents, doc_starts)
            if self._tokenizer is None
            else self._tokenizer.starts(text)
        )
        chunks, sizes = cut_chunks(starts, len(text), self.chunk_tokens, self.chunk_overlap)
        grouping = f"q{self._low}" if self._low == self._high else f"q{self._low}-{self._high}"
        return Task(
            id=f"{self.dataset.name}/{self.dataset.split}/{self.dataset.hash[:8]}/{grouping}/d{self.num_docs}/{index}",
            index=index,
            questions=questions,
            documents=tuple(documents),
            text=text,
            chunks=chunks,
            chunk_sizes=sizes,
            units=_units(questions, rows, documents, doc_starts),
        )

    def _questions(self, index: int) -> tuple[Question, ...]:
        epoch, group = divmod(index, self.num_tasks)
        key = digest("epoch", self.dataset.hash, self.dataset.split, epoch)
        positions = np.arange(self._offsets[group], self._offsets[group + 1])
        rows = Permutation(self.dataset.num_questions, key).take(positions)
        return tuple(self.dataset.question(int(row)) for row in rows)

    def _rows(self, index: int, questions: Sequence[Question], key: bytes) -> list[int]:
        """Return the rows of the task's documents, not yet shuffled: gold, distractors, sampled."""
        gold = dict.fromkeys(row for question in questions for row in question.gold)
        if len(gold) > self.num_docs:
            raise ValueError(
                f"num_docs={self.num_docs}: the {len(questions)} questions of task {index} have {len(gold)} gold "
                f"paragraphs; pass num_docs={len(gold)} or more, or fewer questions"
            )
        own = dict.fromkeys(row for question in questions for row in question.documents)
        others = [row for row in own if row not in gold]
        if others:
            order = Permutation(len(others), digest(key, "distractors")).take(np.arange(len(others)))
            others = [others[position] for position in order]
        rows = [*gold, *others][: self.num_docs]
        if len(rows) < self.num_docs:
            rows += self._sample(index, rows, digest(key, "sample"))
        return rows

    def _sample(self, index: int, own: list[int], key: bytes) -> list[int]:
        """Return paragraphs of the rest of the dataset, none with a title or a text that is present already."""
        wanted = self.num_docs - len(own)
        title_hash, text_hash = self.dataset.title_hash, self.dataset.text_hash
        present_rows = set(own)
        titles = set(title_hash[own].tolist())
        texts = set(text_hash[own].tolist())
        size = self.dataset.num_paragraphs
        permutation = Permutation(size, key)
        sampled: list[int] = []
        start = 0
        while start < size:
            batch = permutation.take(np.arange(start, min(size, start + wanted + 32)))
            start += len(batch)
            for row, title, text in zip(
                batch.tolist(), title_hash[batch].tolist(), text_hash[batch].tolist(), strict=True
            ):
                if row in present_rows or title in titles or text in texts:
                    continue
                titles.add(title)
                texts.add(text)
                sampled.append(row)
                if len(sampled) == wanted:
                    return sampled
        raise ValueError(
            f"num_docs={self.num_docs}: task {index} has {len(own)} paragraphs of its own, and {self.dataset.source} "
            f"only {len(sampled)} others that differ in title and text; pass num_docs={len(own) + len(sampled)} or less"
        )


@functools.lru_cache(maxsize=32)
def _group_offsets(data_hash: str, num_questions: int, low: int, high: int) -> npt.NDArray[np.int64]:
    """Return where each group of an epoch starts, and where the last whole group ends; shape (groups + 1,)."""
    most = num_questions // low
    if low == high:
        sizes = np.full(most, low, dtype=np.int64)
    else:
        draws = Permutation(2**40, digest("sizes", data_hash, low, high)).take(np.arange(most)) / 2**40
        others = low + 1 + np.floor((draws - 0.5) * 2 * (high - low)).astype(np.int64)
        sizes = np.where(draws < 0.5, low, others)
    ends = np.cumsum(sizes)
    return np.concatenate([[0], ends[: np.searchsorted(ends, num_questions, side="right")]])


class _TokenStarts:
    """Where the tokens of a task's text start, counted by the default tokenizer, put together when asked for.

    Only the borders of chunks are asked for: the rest is known by the numbers of tokens of the documents' parts.
    """

    def __init__(
        self,
        dataset: QADataset,
        rows: Sequence[int],
        documents: Sequence[Document],
        doc_starts: Sequence[int],
    ) -> None:
        self._dataset = dataset
        self._rows = rows
        self._documents = documents
        self._doc_starts = doc_starts
        # How many tokens there are up to the end of each part: header, title and text of every document.
        self._ends = list(
            itertools.accumulate(
                count
                for number, counts in enumerate(dataset.token_counts(rows), start=1)
                for count in (len(_header_starts(number)), *counts)
            )
        )

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, token: int) -> int:
        place = bisect.bisect_right(self._ends, token)
        document, part = divmod(place, 3)
        start = self._doc_starts[document]
        if part == 0:
            starts = _header_starts(document + 1)
        else:
            starts = self._dataset.token_starts(self._rows[document])[part - 1]
            start += len(header(document + 1))
            if part == 2:
                start += len(self._documents[document].title) + 1
        return start + int(starts[token - (self._ends[place - 1] if place else 0)])


@functools.lru_cache(maxsize=4096)
def _header_starts(number: int) -> npt.NDArray[np.int32]:
    return PieceTokenizer().starts(header(number))


def join_documents(documents: Sequence[Document]) -> tuple[str, list[int]]:
    """Return the documents as one text, and where each starts in it."""
    parts = [f"{header(number)}{title}\n{text}" for number, (title, text) in enumerate(documents, start=1)]
    lengths = [len(part) + len(SEPARATOR) for part in parts]
    return SEPARATOR.join(parts), [0, *itertools.accumulate(lengths[:-1])]


def cut_chunks(
    starts: npt.NDArray[np.int32] | _TokenStarts, length: int, size: int, overlap: int
) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Return the chunks' character spans and sizes in tokens: chunk j starts at token j * (size - overlap)."""
    total = len(starts)
    spans, sizes = [], []
    first = 0
    while True:
        last = min(first + size, total)
        spans.append((int(starts[first]) if first else 0, int(starts[last]) if last < total else length))
        sizes.append(last - first)
        if last == total:
            return tuple(spans), tuple(sizes)
        first += size - overlap


def _units(
    questions: Sequence[Question],
    rows: Sequence[int],
    documents: Sequence[Document],
    doc_starts: Sequence[int],
) -> tuple[Unit, ...]:
    position = {row: place for place, row in enumerate(rows)}
    units = []
    for number, question in enumerate(questions):
        for row, start, end in question.evidence:
            place = position[row]
            base = doc_starts[place] + len(header(place + 1)) + len(documents[place].title) + 1
            units.append(Unit(number, place, base + start, base + end))
    return tuple(units)
