"""Conversion: from a stream of records to the tables of a dataset, once, in the user's cache folder."""

from __future__ import annotations

import functools
import hashlib
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from atommem_env.data import cache
from atommem_env.data.frequencies import WORDS, WordCounter
from atommem_env.data.histories import History
from atommem_env.data.records import SUPPORTING, Document, Question, Record, Session
from atommem_env.data.table import (
    SESSION_SHIFT,
    SHIFT,
    HistoryRow,
    Meta,
    TableWriter,
    checksums,
    verified_meta,
    write_meta,
)
from atommem_env.tasks.documents import escape
from atommem_env.tasks.turns import turn_spans, write_turns
from atommem_env.text import PieceTokenizer, digest

FORMAT: Final = 2
"""The version of the converted form; part of every cache key."""

_CODE: Final = (
    "atommem_env.text",
    "atommem_env.data.rows",
    "atommem_env.data.dates",
    "atommem_env.data.histories",
    "atommem_env.data.frequencies",
    "atommem_env.data.table",
    "atommem_env.tasks.documents",
    "atommem_env.tasks.turns",
    __name__,
)


def cache_key(name: str, modules: Iterable[str], *identity: object) -> str:
    """Return the name of the cache folder of a converted dataset.

    It changes with what the dataset is made from (``identity``: file paths, sizes and times, or settings) and
    with the code that makes it, so that an upgrade never reads what an older version wrote.

    Args:
        name: the benchmark's name.
        modules: modules, besides the conversion's own, whose code decides what a row becomes.
        identity: parts that :func:`~atommem_env.text.digest` takes.
    """
    code = [_code_digest(module) for module in (*_CODE, *modules)]
    key = digest(FORMAT, name, PieceTokenizer.name, unicodedata.unidata_version, *code, *identity)
    return f"{re.sub('[^A-Za-z0-9]+', '-', name)}-{key.hex()}"


@functools.cache  # what a process has imported stays as it is
def _code_digest(module: str) -> bytes:
    file = getattr(sys.modules.get(module), "__file__", None)
    try:
        return digest(Path(file).read_bytes()) if file else digest(module)
    except OSError:
        return digest(module)


def convert(
    name: str,
    key: str,
    records: Callable[[], Iterable[Record | History]],
    documents: Callable[[], Iterable[Document]] = tuple,
    histories: bool = False,
) -> tuple[Path, Meta]:
    """Return the folder of the converted dataset ``key``, converting it when it is not in the cache.

    Two processes may convert the same dataset at once: each writes a temporary folder, the first to finish
    gives it its name, and the other takes that one.

    Args:
        name: the benchmark's name.
        key: the cache folder's name, from :func:`cache_key`.
        records: called to get the records, or the histories, when they are needed.
        documents: called to get paragraphs that belong to no question.
        histories: whether ``records`` are histories.

    Raises:
        ValueError: when there is no record, or reading one raises it.
    """
    found = cache.find(key, verified_meta)
    if found is not None:
        return found
    shift = SESSION_SHIFT if histories else SHIFT
    return cache.publish(
        key, lambda folder: _write(folder, name, records(), documents(), shift), verified_meta
    )


def _write(
    folder: Path, name: str, records: Iterable[Record | History], documents: Iterable[Document], shift: int
) -> None:
    with TableWriter(folder, shift) as tables:
        conversion = _Conversion(tables)
        for number, record in enumerate(records):
            if isinstance(record, History) is not (shift == SESSION_SHIFT):
                raise ValueError(
                    f"{name}: row {number} is of another kind than the first: histories (with 'sessions') and "
                    "questions with their own documents do not go into one dataset"
                )
            if isinstance(record, History):
                conversion.add_history(record)
            else:
                conversion.add(record)
        if not tables.num_questions:
            raise ValueError(f"{name}: there is no question in the data; expected at least one row")
        for document in documents:
            conversion.rows_of((document,))
        sizes = {**tables.finish(), WORDS: conversion.words.write(folder)}
    meta = Meta(
        name=name,
        hash=conversion.hash(),
        num_questions=tables.num_questions,
        num_paragraphs=tables.num_paragraphs,
        dropped_facts=conversion.dropped_facts,
        questions_without_gold=conversion.questions_without_gold,
        sizes=sizes,
        num_histories=tables.num_histories,
        num_unanswerable=conversion.unanswerable,
        shift=shift,
        sums=checksums(folder, sizes),
    )
    write_meta(folder, meta)


class _Conversion:
    """Turns records into rows of the tables: paragraphs without repeats, and questions that point to them."""

    def __init__(self, tables: TableWriter) -> None:
        self._tables = tables
        self._rows: dict[bytes, int] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._starts = PieceTokenizer().starts_of_each
        self._paragraph_hash = hashlib.blake2b(digest_size=16)
        self._history_hash = hashlib.blake2b(digest_size=16)
        self._question_hash = hashlib.blake2b(digest_size=16)
        self.words = WordCounter()
        self.dropped_facts = 0
        self.questions_without_gold = 0
        self.unanswerable = 0

    def rows_of(self, documents: Iterable[Document]) -> list[int]:
        """Return the row of each of ``documents``, writing those that are new."""
        keys: list[bytes] = []
        new: dict[bytes, Document] = {}
        for title, text in documents:
            if "\n" in title:  # a title is one line of a task's text
                title = " ".join(title.splitlines())
            key = digest(title, text)
            keys.append(key)
            if key not in self._rows:
                new[key] = Document(title, text)
        starts = iter(self._starts([escape(part) for document in new.values() for part in document]))
        for key, document in new.items():
            self._rows[key] = self._tables.add_paragraph(document, next(starts), next(starts))
            self._paragraph_hash.update(key)
            self.words.add(f"{document.title}\n{document.text}")
        return [self._rows[key] for key in keys]

    def add(self, record: Record) -> None:
        """Write a record."""
        row = self._tables.num_questions
        rows = self.rows_of(record.documents)
        question = Question(
            row=row,
            id=record.id or str(row),
            type=record.type,
            question=record.question,
            answers=record.answers,
            documents=tuple(dict.fromkeys(rows)),
            gold=tuple(dict.fromkeys(rows[position] for position in record.gold)),
            evidence=tuple(unit._replace(document=rows[unit.document]) for unit in record.evidence),
            former=record.former,
        )
        self._add_question(question)
        self.dropped_facts += record.dropped

    def _add_question(self, question: Question) -> None:
        self._tables.add_question(question)
        self._question_hash.update(digest(*_content(question)))
        self.unanswerable += not question.answerable
        self.questions_without_gold += not (question.evidence or question.turns)

    def add_history(self, history: History) -> None:
        """Write a history: its sessions in the order of time, and its questions."""
        history = history.in_time()
        number, first = self._tables.num_histories, self._tables.num_questions
        rows = [self._session(session) for session in history.sessions]
        row = HistoryRow(
            id=history.id or str(number),
            first_question=first,
            num_questions=len(history.questions),
            rows=rows,
            dates=[session.date for session in history.sessions],
            nows=[session.now for session in history.sessions],
            chars=[self._sizes[row][0] for row in rows],
            tokens=[self._sizes[row][1] for row in rows],
            shared=history.shared,
        )
        self._tables.add_history(row)
        self._history_hash.update(digest(row.id, msgspec.json.encode((row.rows, row.dates, row.nows))))
        for place, asked in enumerate(history.questions):
            question = Question(
                row=first + place,
                id=asked.id or f"{row.id}/{place}",
                type=asked.type,
                question=asked.question,
                answers=asked.answers,
                turns=asked.evidence,
                history=number,
                date=asked.date,
                now=asked.now,
                answerable=asked.answerable,
                rubric=asked.rubric,
            )
            self._add_question(question)
        self.dropped_facts += history.malformed

    def _session(self, session: Session) -> int:
        """Return the row of a session, writing it when it is new: one that occurs in many histories is written once."""
        text = write_turns(session.turns)
        ids = [turn.id for turn in session.turns]
        key = digest("session", text, *ids)
        row = self._rows.get(key)
        if row is None:
            (starts,) = self._starts((text,))
            ends = np.array([end for _, end in turn_spans(session.turns)], np.int32)
            row = self._tables.add_paragraph(Document("", text), starts[:0], starts, ends, ids)
            self._rows[key] = row
            self._sizes[row] = len(text), len(starts)
            self._paragraph_hash.update(key)
            if len(session.turns) > 1 and not any(turn.speaker for turn in session.turns):
                for turn in session.turns:  # the facts of a list, the paragraphs of a text
                    self.words.add(turn.text)
            else:
                self.words.add(text)
        return row

    def hash(self) -> str:
        """Return the hash of everything written, in 32 hexadecimal digits."""
        parts = [self._question_hash.digest(), self._paragraph_hash.digest()]
        if self._tables.num_histories:
            parts.append(self._history_hash.digest())
        return digest(*parts).hex()


def _content(question: Question) -> tuple[object, ...]:
    """Return the parts of ``question`` that the dataset's hash depends on."""
    evidence = [tuple(unit) if unit.role != SUPPORTING else unit[:3] for unit in question.evidence]
    numbers: tuple[object, ...] = (question.documents, question.gold, *evidence)
    if question.history >= 0:
        turns = [tuple(unit) if unit.whole else unit[:3] for unit in question.turns]
        numbers = (question.history, question.date, question.now, question.answerable, *turns)
        if question.rubric:
            numbers = (*numbers, question.rubric)
    if question.former:
        numbers = (*numbers, question.former)
    return (question.id, question.type, question.question, *question.answers, msgspec.json.encode(numbers))
