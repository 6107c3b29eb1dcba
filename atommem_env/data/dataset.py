"""`QADataset`: random access to a converted dataset, shared by every environment of a process."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from atommem_env.data import custom
from atommem_env.data.benchmark import resolve_split
from atommem_env.data.convert import cache_key, convert
from atommem_env.data.frequencies import WordFrequencies
from atommem_env.data.histories import History, HistoryQuestion, read_histories
from atommem_env.data.records import Document, Question, Record, Session
from atommem_env.data.table import (
    HISTORIES,
    META,
    QUESTIONS,
    SESSION_SHIFT,
    SHIFT,
    HistoryRow,
    Meta,
    ParagraphTable,
    RecordTable,
    Starts,
    read_meta,
)
from atommem_env.tasks.turns import Turn, read_turns
from atommem_env.text import digest


class _Tables:
    """The mapped files of a converted dataset."""

    def __init__(self, folder: Path, meta: Meta) -> None:
        self.paragraphs = ParagraphTable(folder, meta.shift)
        self.questions = RecordTable(folder / QUESTIONS, Question, SHIFT)
        self.histories = RecordTable(folder / HISTORIES, HistoryRow, SESSION_SHIFT)
        self.words = WordFrequencies(folder)


_open: weakref.WeakValueDictionary[tuple[object, ...], _Tables] = weakref.WeakValueDictionary()


def _tables(folder: Path, meta: Meta) -> _Tables:
    """Return the tables of a folder, mapped once for all datasets that are open; a folder made again is another."""
    state = (folder / META).stat()
    key = (str(folder), meta.check, state.st_ino, state.st_mtime_ns)
    found = _open.get(key)
    if found is None:
        found = _open[key] = _Tables(folder, meta)
    return found


class QADataset:
    """Questions, and the table of paragraphs that they and their distractors come from, or of histories' sessions.

    It is read-only and memory-mapped: nothing is loaded until it is asked for. It deep-copies as itself, and
    pickles as a recipe: another process opens the same converted files, or makes them again when they are
    gone. Two datasets are equal when their hash and split are.

    Get one from :func:`~atommem_env.data.sources.open_dataset` or :meth:`from_records` or
    :meth:`from_histories`.

    Attributes:
        name: the benchmark's name.
        split: the split that was opened.
        source: where the rows came from and the start of the hash, for example
            ``file:hotpot_dev_distractor_v1.json#1f2e3d4c``; the same on every machine.
        hash: 32 hexadecimal digits that depend on the questions and paragraphs alone.
        num_questions: the number of questions.
        num_paragraphs: the number of distinct (title, text) pairs; of histories, of distinct sessions.
        num_histories: the number of histories; 0 where a question has its own documents.
        generated: whether the generated world wrote it.
        report: counts: ``questions``, ``paragraphs``, ``dropped_facts`` (supporting facts that named a
            sentence, or a turn, that does not exist) and ``questions_without_gold`` (they have no evidence);
            of histories also ``histories`` and ``unanswerable`` questions.
        title_hash: int64 of shape (num_paragraphs,): :func:`~atommem_env.data.table.text_key` of each title.
        text_hash: the same of each text.
    """

    def __init__(
        self,
        folder: Path,
        meta: Meta,
        *,
        split: str,
        origin: str,
        remake: Callable[[], QADataset] | None = None,
        generated: bool = False,
    ) -> None:
        """Open a converted dataset.

        Args:
            folder: the folder of its tables.
            meta: what the folder's ``meta.json`` says.
            split: the split that it is.
            origin: where the rows came from: ``source`` without the hash.
            remake: makes the dataset again in another process; ``None`` has a pickle carry the records.
            generated: whether the generated world wrote it.
        """
        self.name = meta.name
        self.split = split
        self.source = f"{origin}#{meta.hash[:8]}"
        self.generated = generated
        self.hash = meta.hash
        self.num_questions = meta.num_questions
        self.num_paragraphs = meta.num_paragraphs
        self.num_histories = meta.num_histories
        self.report: dict[str, int] = {
            "questions": meta.num_questions,
            "paragraphs": meta.num_paragraphs,
            "dropped_facts": meta.dropped_facts,
            "questions_without_gold": meta.questions_without_gold,
        }
        if meta.num_histories:
            self.report["histories"] = meta.num_histories
            self.report["unanswerable"] = meta.num_unanswerable
        self._folder = folder
        self._origin = origin
        self._remake = remake
        self._tables = _tables(folder, meta)
        self._paragraphs = self._tables.paragraphs
        self._questions = self._tables.questions
        self._histories = self._tables.histories
        self._words = self._tables.words
        self.title_hash: npt.NDArray[np.int64] = self._paragraphs.title_hash
        self.text_hash: npt.NDArray[np.int64] = self._paragraphs.text_hash

    @classmethod
    def from_records(
        cls,
        records: Iterable[Mapping[str, Any] | Record],
        documents: Iterable[object] = (),
        name: str = "custom",
        split: str = "validation",
    ) -> QADataset:
        """Make a dataset of a user's own questions.

        Args:
            records: mappings with ``question`` (str), ``answer`` (str) or ``answers`` (a list: gold, then
                aliases), ``documents`` (a list of ``{"title": ..., "text": ...}`` or ``(title, text)``), and
                optionally ``supporting`` (a list of titles or positions of the documents that hold the
                answer, or of ``{"document": ..., "sentence": ...}`` with an exact part of one), ``id`` and
                ``type``. Without ``supporting`` the evidence funnel is null.
            documents: further paragraphs to sample distractors from, in the same forms.
            name: what the dataset is called in task ids and results.
            split: the split that it stands for.

        Raises:
            ValueError: when a record is bad; names its number, the value and what was expected.
        """
        return _from_records(custom.read_records(records), custom.read_documents(documents), name, split)

    @classmethod
    def from_histories(
        cls,
        histories: Iterable[Mapping[str, Any] | History],
        name: str = "custom",
        split: str = "test",
    ) -> QADataset:
        """Make a dataset of a user's own conversations, or other texts in time, and questions about them.

        Args:
            histories: mappings ``{id, sessions: [{date, turns: [{speaker, text, id}]}], questions: [{question,
                answers, date, type, answerable, evidence: [turn ids], superseded: [turn ids]}]}``; see
                :func:`~atommem_env.data.histories.parse_history`.
            name: what the dataset is called in task ids and results.
            split: ``"test"``: all of them; ``"train"`` and ``"validation"``: a tenth each, by the hash of their ids.

        Raises:
            ValueError: when a history is bad; names its number, the value and what was expected.
        """
        return _from_histories(read_histories(histories), name, split)

    def part(self, rows: Iterable[int], name: str) -> QADataset:
        """Return a dataset of some of the questions, with their own paragraphs (or histories) and no others.

        Args:
            rows: the questions' positions.
            name: what the part is called; its source is this one's, then the name in brackets.

        Raises:
            IndexError: when there is no such question.
            ValueError: when there are none.
        """
        questions = [self.question(row) for row in rows]
        if not questions:
            raise ValueError(f"rows=(): expected the positions of questions of {self.source}")
        origin = f"{self._origin}[{name}]"
        if self.num_histories:
            chosen: dict[int, list[Question]] = {}
            for question in questions:
                chosen.setdefault(question.history, []).append(question)
            parts = [self._history(number, asked) for number, asked in chosen.items()]
            part = _from_histories(parts, self.name, self.split, origin)
        else:
            records = [self._record(question) for question in questions]
            part = _from_records(records, [], self.name, self.split, origin)
        part.generated = self.generated
        return part

    def question(self, index: int) -> Question:
        """Return question ``index`` (from 0).

        Raises:
            IndexError: when there is no such question.
        """
        if not 0 <= index < self.num_questions:
            raise IndexError(f"question {index}: the dataset has questions 0 to {self.num_questions - 1}")
        return self._questions[index]

    def history(self, index: int) -> HistoryRow:
        """Return history ``index`` (from 0).

        Raises:
            IndexError: when there is no such history.
        """
        if not 0 <= index < self.num_histories:
            raise IndexError(f"history {index}: the dataset has histories 0 to {self.num_histories - 1}")
        return self._histories[index]

    def turns(self, row: int) -> tuple[Turn, ...]:
        """Return the turns of a session, with their ids.

        Args:
            row: its row of the paragraph table, where its text is that of its turns in a task.

        Raises:
            IndexError: when there is no such row.
        """
        turns = read_turns(self.document(row).text) if len(self.turn_ends(row)) else ()
        ids = self._paragraphs.turn_ids(row)
        return tuple(Turn(*turn[:2], id) for turn, id in zip(turns, ids, strict=True)) if ids else turns

    def turn_ends(self, row: int) -> Starts:
        """Return where each turn of a session ends in its text; empty for a paragraph without turns.

        Raises:
            IndexError: when there is no such row.
        """
        if not 0 <= row < self.num_paragraphs:
            raise self._no_row(row)
        return self._paragraphs.turn_ends(row)

    def document(self, row: int) -> Document:
        """Return the paragraph at ``row`` of the paragraph table (from 0).

        Raises:
            IndexError: when there is no such row.
        """
        if not 0 <= row < self.num_paragraphs:
            raise self._no_row(row)
        return self._paragraphs.documents([row])[0]

    def documents(self, rows: Sequence[int] | npt.NDArray[np.integer[Any]]) -> list[Document]:
        """Return the paragraphs at ``rows``, in that order.

        Raises:
            IndexError: when there is no such row.
        """
        return self._paragraphs.documents(self._checked(rows))

    def token_starts(self, row: int) -> tuple[Starts, Starts]:
        """Return where each token of a paragraph starts in a task's text, counted by the default tokenizer.

        Args:
            row: a row of the paragraph table.

        Returns:
            Two int32 arrays, of the title and of the text, each from its own beginning: character offsets in
            what :func:`~atommem_env.tasks.documents.escape` makes of them, ascending; read-only.

        Raises:
            IndexError: when there is no such row.
        """
        if not 0 <= row < self.num_paragraphs:
            raise self._no_row(row)
        return self._paragraphs.token_starts(row)

    def token_counts(self, rows: Sequence[int] | npt.NDArray[np.integer[Any]]) -> list[tuple[int, int]]:
        """Return how many tokens title and text of each of ``rows`` have, counted by the default tokenizer.

        Raises:
            IndexError: when there is no such row.
        """
        return self._paragraphs.token_counts(self._checked(rows))

    def word_shares(self, words: Iterable[str]) -> dict[str, float]:
        """Return, for each of ``words``, the share of the dataset's documents that have it, in (0, 1).

        Args:
            words: search tokens, as :func:`~atommem_env.text.tokens` makes them.
        """
        return self._words.shares(words)

    def _checked(self, rows: Sequence[int] | npt.NDArray[np.integer[Any]]) -> Sequence[int]:
        numbers: Sequence[int] = rows.tolist() if isinstance(rows, np.ndarray) else rows
        if len(numbers):
            for row in (min(numbers), max(numbers)):
                if not 0 <= row < self.num_paragraphs:
                    raise self._no_row(row)
        return numbers

    def _no_row(self, row: int) -> IndexError:
        return IndexError(f"paragraph {row}: the dataset has paragraphs 0 to {self.num_paragraphs - 1}")

    def __len__(self) -> int:
        return self.num_questions

    def __repr__(self) -> str:
        return (
            f"QADataset({self.source!r}, split={self.split!r}, questions={self.num_questions}, "
            f"paragraphs={self.num_paragraphs})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QADataset):
            return NotImplemented
        return (self.hash, self.split) == (other.hash, other.split)

    def __hash__(self) -> int:
        return int(self.hash[:15], 16)

    def __copy__(self) -> QADataset:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> QADataset:
        return self

    def __reduce__(self) -> tuple[Callable[..., QADataset], tuple[object, ...]]:
        remake = self._remake or functools.partial(_from_payload, self._payload, self.name, self.split)
        return _reopen, (str(self._folder), self._origin, self.split, self.hash, remake, self.generated)

    @functools.cached_property
    def _payload(self) -> bytes:
        """The dataset's records and further paragraphs, or its histories, from which it can be made again."""
        if self.num_histories:
            whole = [self._history(number) for number in range(self.num_histories)]
            return msgspec.msgpack.encode(([], [], whole))
        records = [self._record(self.question(index)) for index in range(self.num_questions)]
        own = {row for index in range(self.num_questions) for row in self.question(index).documents}
        others = [self.document(row) for row in range(self.num_paragraphs) if row not in own]
        return msgspec.msgpack.encode((records, others, []))

    def _history(self, number: int, asked: Sequence[Question] | None = None) -> History:
        """Return a history as it was read, with all its questions or some of them."""
        row = self.history(number)
        if asked is None:
            asked = [self.question(row.first_question + place) for place in range(row.num_questions)]
        return History(
            id=row.id,
            sessions=tuple(
                Session("", self.turns(place), date, now)
                for place, date, now in zip(row.rows, row.dates, row.nows, strict=True)
            ),
            questions=tuple(
                HistoryQuestion(
                    question.question,
                    question.answers,
                    question.id,
                    question.type,
                    question.date,
                    question.now,
                    question.answerable,
                    question.turns,
                    question.rubric,
                )
                for question in asked
            ),
            shared=row.shared,
        )

    def _record(self, question: Question) -> Record:
        position = {row: index for index, row in enumerate(question.documents)}
        return Record(
            id=question.id,
            type=question.type,
            question=question.question,
            answers=question.answers,
            documents=tuple(self.documents(question.documents)),
            gold=tuple(position[row] for row in question.gold),
            evidence=tuple(unit._replace(document=position[unit.document]) for unit in question.evidence),
        )


def _from_records(
    records: list[Record], documents: list[Document], name: str, split: str, origin: str | None = None
) -> QADataset:
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name={name!r}: expected a name for the dataset, such as 'custom'")
    content = digest(msgspec.msgpack.encode((records, documents)))
    key = cache_key(name, (custom.__name__,), "records", content)
    folder, meta = convert(name, key, lambda: records, lambda: documents)
    return QADataset(folder, meta, split=resolve_split(split), origin=origin or f"records:{name}")


def _from_histories(made: list[History], name: str, split: str, origin: str | None = None) -> QADataset:
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name={name!r}: expected a name for the dataset, such as 'custom'")
    key = cache_key(name, (), "histories", digest(msgspec.msgpack.encode(made)))
    folder, meta = convert(name, key, lambda: made, histories=True)
    return QADataset(folder, meta, split=resolve_split(split), origin=origin or f"records:{name}")


def _from_payload(payload: bytes, name: str, split: str) -> QADataset:
    kind = tuple[list[Record], list[Document], list[History]]
    records, documents, whole = msgspec.msgpack.decode(payload, type=kind)
    if whole:
        return _from_histories(whole, name, split)
    return _from_records(records, documents, name, split)


def _reopen(
    folder: str, origin: str, split: str, hash: str, remake: Callable[[], QADataset], generated: bool
) -> QADataset:
    """Open the dataset that another process pickled."""
    meta = read_meta(Path(folder))
    if meta is not None and meta.hash == hash:
        # A partial that carries records is dropped: they are read from the files again when needed.
        keep = None if getattr(remake, "func", None) is _from_payload else remake
        return QADataset(Path(folder), meta, split=split, origin=origin, remake=keep, generated=generated)
    dataset = remake()
    if dataset.hash != hash:
        raise ValueError(
            f"{dataset.source}: the data has changed since the dataset was pickled (its hash began with "
            f"{hash[:8]}); open it again from its source"
        )
    return dataset
