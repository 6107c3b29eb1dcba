"""The paper's tasks: questions in groups, their documents and sampled ones, shuffled, cut into chunks."""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from atommem_env.core.checks import at_least
from atommem_env.data.records import Document, Question
from atommem_env.tasks.chunking import TokenStarts, cut_chunks
from atommem_env.tasks.documents import escape, escape_offset, header, join_documents
from atommem_env.tasks.grouping import group_sizes
from atommem_env.tasks.permutation import Permutation
from atommem_env.tasks.streams import Shown, in_stream, put_replacements_last
from atommem_env.tasks.task import Position, Task, Unit, check_num_questions
from atommem_env.text import PieceTokenizer, Tokenizer, digest

if TYPE_CHECKING:
    from atommem_env.data.dataset import QADataset


_HEADER_ROOM: Final = len("Document 100000000:\n")
"""A document is known to be whole when the header of the next one has been shown."""


def _end(span: tuple[int, int]) -> int:
    return span[1]


class PooledTasks:
    """The composer of the paper's tasks: an endless sequence of them over a dataset.

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
        stream: whether questions are asked between chunks, each some time after its evidence. Of a question whose
            evidence is superseded, what replaces it stands last among its evidence, and where a chunk's end lies
            between, the question is asked there, too, with the answer that holds then.

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
        stream: bool = False,
    ) -> None:
        low, high = check_num_questions(num_questions)
        if dataset.num_histories:
            raise ValueError(
                f"{dataset.source} has histories, which are never pooled; compose HistoryTasks of it"
            )
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
        self.stream = stream
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
        if self.stream:
            put_replacements_last(rows, questions)
        documents = self.dataset.documents(rows)
        text, doc_starts = join_documents(documents)
        starts = (
            _StoredStarts(self.dataset, rows, documents, doc_starts)
            if self._tokenizer is None
            else self._tokenizer.starts(text)
        )
        chunks, sizes = cut_chunks(starts, len(text), self.chunk_tokens, self.chunk_overlap)
        grouping = f"q{self._low}" if self._low == self._high else f"q{self._low}-{self._high}"
        positions: tuple[Position, ...] = ()
        if self.stream:
            grouping += "-stream"
            ends = [*doc_starts[1:], len(text)]
            whole = [bisect.bisect_left(chunks, min(end + _HEADER_ROOM, len(text)), key=_end) for end in ends]
            first = [bisect.bisect_right(chunks, start, key=_end) for start in doc_starts]
            shown = {row: Shown(*spans) for row, *spans in zip(rows, first, whole, strict=True)}
            questions, positions = in_stream(questions, shown, len(chunks), digest(key, "stream"))
        return Task(
            id=f"{self.dataset.name}/{self.dataset.split}/{self.dataset.hash[:8]}/{grouping}/d{self.num_docs}/{index}",
            index=index,
            questions=questions,
            documents=tuple(documents),
            content=text,
            chunks=chunks,
            chunk_sizes=sizes,
            units=_units(questions, rows, documents, doc_starts),
            stream=positions,
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
        replaced = {unit.document: None for question in questions for unit in question.evidence}
        replaced = {row: None for row in replaced if row not in gold}
        others = [row for row in own if row not in gold and row not in replaced]
        if others:
            order = Permutation(len(others), digest(key, "distractors")).take(np.arange(len(others)))
            others = [others[position] for position in order]
        rows = [*gold, *replaced, *others][: self.num_docs]
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
    ends = np.cumsum(group_sizes(digest("sizes", data_hash, low, high), most, low, high))
    return np.concatenate([[0], ends[: np.searchsorted(ends, num_questions, side="right")]])


class _StoredStarts(TokenStarts):
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
        counts = zip(_header_counts(len(rows)), *zip(*dataset.token_counts(rows), strict=True), strict=True)
        self._ends: list[int] = list(itertools.accumulate(itertools.chain.from_iterable(counts)))

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
                start += len(escape(self._documents[document].title)) + 1
        return start + int(starts[token - (self._ends[place - 1] if place else 0)])


@functools.lru_cache(maxsize=8)
def _header_counts(documents: int) -> tuple[int, ...]:
    """Return the numbers of tokens of the headers of so many documents."""
    return tuple(len(_header_starts(number)) for number in range(1, documents + 1))


@functools.lru_cache(maxsize=4096)
def _header_starts(number: int) -> npt.NDArray[np.int32]:
    return PieceTokenizer().starts(header(number))


def _units(
    questions: Sequence[Question],
    rows: Sequence[int],
    documents: Sequence[Document],
    doc_starts: Sequence[int],
) -> tuple[Unit, ...]:
    position = {row: place for place, row in enumerate(rows)}
    units = []
    for number, question in enumerate(questions):
        for row, start, end, role in question.evidence:
            if row not in position:  # superseded, and there was no room for its paragraph
                continue
            place = position[row]
            title, text = documents[place]
            base = doc_starts[place] + len(header(place + 1)) + len(escape(title)) + 1
            first, last = escape_offset(text, start), escape_offset(text, end - 1)
            units.append(Unit(number, place, base + first, base + last + 1, role))
    return tuple(units)
