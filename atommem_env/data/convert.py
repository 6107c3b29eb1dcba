"""Conversion: from a stream of records to the tables of a dataset, once, in the user's cache folder."""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from atommem_env.data import cache
from atommem_env.data.frequencies import WORDS, WordCounter
from atommem_env.data.records import SUPPORTING, Document, Question, Record
from atommem_env.data.table import Meta, TableWriter, read_meta, write_meta
from atommem_env.tasks.documents import escape
from atommem_env.text import PieceTokenizer, digest

FORMAT: Final = 2
"""The version of the converted form; part of every cache key."""

_CODE: Final = (
    "atommem_env.text",
    "atommem_env.data.rows",
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
        modules: modules, beside the conversion's own, whose code decides what a row becomes.
        identity: parts that :func:`~atommem_env.text.digest` takes.
    """
    code = [_code_digest(module) for module in (*_CODE, *modules)]
    key = digest(FORMAT, name, PieceTokenizer.name, unicodedata.unidata_version, *code, *identity)
    return f"{re.sub('[^A-Za-z0-9]+', '-', name)}-{key.hex()}"


def _code_digest(module: str) -> bytes:
    file = getattr(sys.modules.get(module), "__file__", None)
    try:
        return digest(Path(file).read_bytes()) if file else digest(module)
    except OSError:
        return digest(module)


def convert(
    name: str,
    key: str,
    records: Callable[[], Iterable[Record]],
    documents: Callable[[], Iterable[Document]] = tuple,
) -> tuple[Path, Meta]:
    """Return the folder of the converted dataset ``key``, converting it when it is not in the cache.

    Two processes may convert the same dataset at once: each writes a temporary folder, the first to finish
    gives it its name, and the other takes that one.

    Args:
        name: the benchmark's name.
        key: the cache folder's name, from :func:`cache_key`.
        records: called to get the records, when they are needed.
        documents: called to get paragraphs that belong to no question.

    Raises:
        ValueError: when there is no record, or reading one raises it.
    """
    found = cache.find(key, read_meta)
    if found is not None:
        return found
    return cache.publish(key, lambda folder: _write(folder, name, records(), documents()), read_meta)


def _write(folder: Path, name: str, records: Iterable[Record], documents: Iterable[Document]) -> None:
    with TableWriter(folder) as tables:
        conversion = _Conversion(tables)
        for record in records:
            conversion.add(record)
        if not tables.num_questions:
            raise ValueError(f"{name}: there is no question in the data; expected at least one row")
        for document in documents:
            conversion.row_of(document)
        sizes = {**tables.finish(), WORDS: conversion.words.write(folder)}
    meta = Meta(
        name=name,
        hash=conversion.hash(),
        num_questions=tables.num_questions,
        num_paragraphs=tables.num_paragraphs,
        dropped_facts=conversion.dropped_facts,
        questions_without_gold=conversion.questions_without_gold,
        sizes=sizes,
    )
    write_meta(folder, meta)


class _Conversion:
    """Turns records into rows of the tables: paragraphs without repeats, and questions that point to them."""

    def __init__(self, tables: TableWriter) -> None:
        self._tables = tables
        self._rows: dict[bytes, int] = {}
        self._starts = PieceTokenizer().starts
        self._paragraph_hash = hashlib.blake2b(digest_size=16)
        self._question_hash = hashlib.blake2b(digest_size=16)
        self.words = WordCounter()
        self.dropped_facts = 0
        self.questions_without_gold = 0

    def row_of(self, document: Document) -> int:
        """Return the row of ``document``, writing it when it is new."""
        title, text = document
        if "\n" in title:  # a title is one line of a task's text
            title = " ".join(title.splitlines())
        key = digest(title, text)
        row = self._rows.get(key)
        if row is None:
            starts = self._starts(escape(title)), self._starts(escape(text))
            row = self._tables.add_paragraph(Document(title, text), *starts)
            self._rows[key] = row
            self._paragraph_hash.update(key)
            self.words.add(f"{title}\n{text}")
        return row

    def add(self, record: Record) -> None:
        """Write a record."""
        row = self._tables.num_questions
        rows = [self.row_of(document) for document in record.documents]
        question = Question(
            row=row,
            id=record.id or str(row),
            type=record.type,
            question=record.question,
            answers=record.answers,
            documents=tuple(dict.fromkeys(rows)),
            gold=tuple(dict.fromkeys(rows[position] for position in record.gold)),
            evidence=tuple(unit._replace(document=rows[unit.document]) for unit in record.evidence),
        )
        self._tables.add_question(question)
        self._question_hash.update(digest(*_content(question)))
        self.dropped_facts += record.dropped
        self.questions_without_gold += not record.evidence

    def hash(self) -> str:
        """Return the hash of everything written, in 32 hexadecimal digits."""
        return digest(self._question_hash.digest(), self._paragraph_hash.digest()).hex()


def _content(question: Question) -> tuple[object, ...]:
    """Return the parts of ``question`` that the dataset's hash depends on."""
    evidence = [tuple(unit) if unit.role != SUPPORTING else unit[:3] for unit in question.evidence]
    numbers = (question.documents, question.gold, *evidence)
    return (question.id, question.type, question.question, *question.answers, msgspec.json.encode(numbers))
