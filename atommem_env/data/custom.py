"""A user's own questions: the form of a record, and how it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atommem_env.data.benchmark import Benchmark
from atommem_env.data.histories import History, is_history, parse_history
from atommem_env.data.records import Document, Evidence, Record
from atommem_env.data.rows import (
    DocumentList,
    as_index,
    as_label,
    as_list,
    as_mapping,
    as_text,
    check_fields,
    distinct,
    optional_text,
    read_answers,
    read_each,
    shorten,
    text_field,
    wrong,
)

_FIELDS = ("question", "answer", "answers", "documents", "supporting", "id", "type")


def parse_record(row: Mapping[str, Any]) -> Record:
    """Turn a user's mapping into a record.

    Fields: ``question`` (str); ``answer`` (str) or ``answers`` (gold, then aliases); ``documents``, each
    ``{"title": ..., "text": ...}`` or ``(title, text)``; optionally ``supporting``, a list whose items are a
    document's title, its position, or ``{"document": title or position, "sentence": exact substring}``;
    optionally ``id`` and ``type``. A supporting document without a sentence counts as one unit of evidence;
    without ``supporting`` the question has none.

    Raises:
        ValueError: when a field is missing, unknown or of the wrong form.
    """
    check_fields(row, _FIELDS)
    documents = DocumentList()
    positions = [
        documents.add(*read_document(value, f"documents[{index}]"))
        for index, value in enumerate(as_list(row.get("documents", ()), "documents"))
    ]
    supporting = row.get("supporting")
    merged = documents.documents()
    units = [
        _unit(item, f"supporting[{index}]", merged, positions)
        for index, item in enumerate(as_list(() if supporting is None else supporting, "supporting"))
    ]
    return Record(
        id="" if row.get("id") is None else as_label(row["id"], "id"),
        type=optional_text(row, "type"),
        question=text_field(row, "question"),
        answers=read_answers(row),
        documents=merged,
        gold=distinct(unit.document for unit in units),
        evidence=distinct(unit for unit in units if unit.end > unit.start),
    )


def read_document(value: object, field: str) -> Document:
    """Return a document given as ``{"title": ..., "text": ...}`` or ``(title, text)``, its text stripped."""
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in ("title", "text")]
        if unknown:
            raise ValueError(
                f"field '{field}' has an unknown field {shorten(unknown[0])}; expected title and text"
            )
        title, text = optional_text(value, "title"), text_field(value, "text")
    elif isinstance(value, list | tuple) and len(value) == 2:
        title, text = as_text(value[0], f"{field} title"), as_text(value[1], f"{field} text")
    else:
        raise wrong(field, value, 'a document {"title": ..., "text": ...} or (title, text)')
    if not text.strip():
        raise wrong(f"{field} text", text, "a text that is not blank")
    return Document(title, text.strip())


def _unit(item: object, field: str, documents: Sequence[Document], positions: Sequence[int]) -> Evidence:
    if not isinstance(item, Mapping):
        position = _position(item, field, documents, positions)
        return Evidence(position, 0, len(documents[position].text))
    where = as_mapping(item, field)
    if "document" not in where or not set(where) <= {"document", "sentence"}:
        raise wrong(field, dict(where), '{"document": position or title, "sentence": exact substring}')
    position = _position(where["document"], f"{field}.document", documents, positions)
    text = documents[position].text
    sentence = optional_text(where, "sentence").strip()
    if not sentence:
        return Evidence(position, 0, len(text))
    start = text.find(sentence)
    if start < 0:
        raise wrong(f"{field}.sentence", sentence, f"an exact part of document {documents[position].title!r}")
    return Evidence(position, start, start + len(sentence))


def _position(value: object, field: str, documents: Sequence[Document], positions: Sequence[int]) -> int:
    """Return the position of the document that ``value``, a title or a position as given, names."""
    if hasattr(value, "__index__") and not isinstance(value, bool):
        number = as_index(value, field)
        if not 0 <= number < len(positions):
            raise wrong(field, number, f"a position from 0 to {len(positions) - 1}, or a title")
        return positions[number]
    title = as_text(value, field) if isinstance(value, str) else None
    if title is None:
        raise wrong(field, value, "a document's title (str) or position (int)")
    found = [position for position, document in enumerate(documents) if document.title == title]
    if len(found) != 1:
        problem = (
            "the title of a document of this record"
            if not found
            else "a position, as the title is not unique"
        )
        raise wrong(field, value, problem)
    return found[0]


def read_records(records: Iterable[Mapping[str, Any] | Record]) -> list[Record]:
    """Read a user's records.

    Raises:
        ValueError: when one is bad; names its number, from 0.
    """
    fields = "'question', 'answer' and 'documents'"
    result = read_each(records, Record, parse_record, ("record", "records"), fields)
    if not result:
        raise ValueError("records is empty; expected at least one question")
    return result


def read_documents(documents: Iterable[object]) -> list[Document]:
    """Read a user's further paragraphs, each in one of the forms that :func:`read_document` takes.

    Raises:
        ValueError: when one is bad; names its number, from 0.
    """
    return [read_document(value, f"documents[{number}]") for number, value in enumerate(documents)]


def parse_row(row: Mapping[str, Any]) -> Record | History:
    """Turn a row of a user's file into a record, or, where it has ``sessions``, into a history.

    Raises:
        ValueError: when a field is missing, unknown or of the wrong form.
    """
    return parse_history(row) if is_history(row) else parse_record(row)


CUSTOM = Benchmark(
    name="custom",
    title="Your own questions",
    licence="yours",
    homepage="",
    citation="",
    parse=parse_row,
    generated=False,
    abstain="No information available",
)
