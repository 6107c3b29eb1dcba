"""Reading a benchmark row: checked fields, paragraphs from sentences, documents without repeats.

Every function raises ``ValueError`` whose message names the field, what stands there and what was expected;
the caller adds the file and the row's number.
"""

from __future__ import annotations

import html
import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from atommem_env.data.records import Document, Evidence, Record
from atommem_env.text import clean

T = TypeVar("T")


def shorten(value: object, limit: int = 80) -> str:
    """Return ``value`` as it is written in an error: its repr, cut to about ``limit`` characters."""
    text = repr(value[: limit + 1] if isinstance(value, str | list | tuple) else value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def wrong(field: str, value: object, expected: str) -> ValueError:
    """Return the error for a field whose value is not what was expected."""
    return ValueError(f"field '{field}' is {shorten(value)} ({type(value).__name__}), expected {expected}")


def require(row: Mapping[str, Any], name: str) -> Any:
    """Return ``row[name]``."""
    if name not in row:
        raise ValueError(f"field '{name}' is missing; the row has {shorten(sorted(map(str, row)))}")
    return row[name]


def text_field(row: Mapping[str, Any], name: str) -> str:
    """Return the field ``name``, a text that is not blank, cleaned of lone surrogates."""
    value = as_text(require(row, name), name)
    if not value.strip():
        raise wrong(name, value, "a text that is not blank")
    return value


def label_field(row: Mapping[str, Any], name: str) -> str:
    """Return the field ``name``, a text that is not blank or an int, as text."""
    value = as_label(require(row, name), name)
    if not value.strip():
        raise wrong(name, value, "a text that is not blank")
    return value


def optional_text(row: Mapping[str, Any], name: str) -> str:
    """Return the text field ``name``, or ``""`` when it is absent or null."""
    value = row.get(name)
    return "" if value is None else as_text(value, name)


def as_label(value: object, field: str) -> str:
    """Return ``value``, a str or an int, as text: ids and answers of some files are numbers."""
    return as_text(value if isinstance(value, str) else str(as_index(value, field, "a str or an int")), field)


def as_text(value: object, field: str) -> str:
    """Return ``value``, which has to be a str, cleaned of lone surrogates."""
    if not isinstance(value, str):
        raise wrong(field, value, "a str")
    return clean(value)


def as_list(value: object, field: str) -> Sequence[Any]:
    """Return ``value``, which has to be a list, a tuple or an array."""
    value = _without_array(value)
    if not isinstance(value, list | tuple):
        raise wrong(field, value, "a list")
    return value


def _without_array(value: object) -> object:
    """Return a NumPy array as a list, and anything else as it is; rows of pandas hold arrays."""
    return value.tolist() if hasattr(value, "tolist") and hasattr(value, "shape") else value


def as_index(value: object, field: str, expected: str = "an int") -> int:
    """Return ``value``, which has to be an int, NumPy's included, and not a bool."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise wrong(field, value, expected)
    try:
        return operator.index(value)
    except TypeError:  # an array of several numbers
        raise wrong(field, value, expected) from None


def as_bool(value: object, field: str) -> bool:
    """Return ``value``, which has to be true or false, NumPy's included."""
    value = _without_array(value)
    if not isinstance(value, bool):
        raise wrong(field, value, "true or false")
    return value


def as_mapping(value: object, field: str) -> Mapping[str, Any]:
    """Return ``value``, which has to be a mapping."""
    if not isinstance(value, Mapping):
        raise wrong(field, value, "an object with named fields")
    return value


def answer_field(row: Mapping[str, Any]) -> str:
    """Return the field ``answer``, with its own error for files published without answers."""
    value = row.get("answer")
    if "question" in row and ("context" in row or "paragraphs" in row) and (value is None or value == ""):
        raise ValueError(
            "the row has no answer: test files are published without answers and cannot be used; "
            "take the train or the dev file"
        )
    return label_field(row, "answer")


def read_answers(row: Mapping[str, Any], required: bool = True) -> tuple[str, ...]:
    """Return a user's ``answer`` (str) or ``answers`` (a list, gold first), or both, without repeats.

    Args:
        row: the question's mapping.
        required: whether there has to be one.
    """
    answers = [] if row.get("answer") is None else [label_field(row, "answer")]
    listed = row.get("answers")
    for index, value in enumerate(as_list(() if listed is None else listed, "answers")):
        answer = as_label(value, f"answers[{index}]")
        if not answer.strip():
            raise wrong(f"answers[{index}]", value, "a text that is not blank")
        answers.append(answer)
    if not answers and required:
        raise ValueError("there is no answer; expected 'answer' (str) or 'answers' (a list, gold first)")
    return distinct(answers)


def structured(row: Mapping[str, Any], name: str) -> Any:
    """Return the field ``name``; a column that holds JSON text is decoded."""
    value = require(row, name)
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError as error:
            raise wrong(name, value, f"a list, or JSON text of one ({error})") from None
    return value


def pairs(value: object, field: str, first: str, second: Sequence[str]) -> list[tuple[Any, Any]]:
    """Return the pairs of a structured field, whichever form it has.

    Args:
        value: ``[[a, b], ...]`` (official files), ``{first: [a, ...], second: [b, ...]}`` (columns of the
            hub) or ``[{first: a, second: b}, ...]``.
        field: the field's name, for errors.
        first: the name of the first column.
        second: the names that the second column may have.
    """
    if isinstance(value, Mapping):
        name = _present(value, second, field)
        left = as_list(require(value, first), f"{field}.{first}")
        right = as_list(value[name], f"{field}.{name}")
        if len(left) != len(right):
            raise ValueError(
                f"field '{field}' has {len(left)} values in '{first}' but {len(right)} in '{name}', "
                "expected as many"
            )
        return list(zip(left, right, strict=True))
    result = []
    for position, item in enumerate(as_list(value, field)):
        where = f"{field}[{position}]"
        item = _without_array(item)
        if isinstance(item, Mapping):
            result.append((require(item, first), item[_present(item, second, where)]))
        elif isinstance(item, list | tuple) and len(item) == 2:
            result.append((item[0], item[1]))
        else:
            raise wrong(where, item, f"a pair [{first}, {second[0]}]")
    return result


def _present(value: Mapping[str, Any], names: Sequence[str], field: str) -> str:
    for name in names:
        if name in value:
            return name
    raise ValueError(f"field '{field}.{names[0]}' is missing; there is {shorten(sorted(map(str, value)))}")


class Paragraph(NamedTuple):
    """A paragraph put together from sentences, and where each stripped sentence stands in its text."""

    text: str
    spans: tuple[tuple[int, int], ...]


def join_sentences(sentences: Iterable[str]) -> Paragraph:
    """Join sentences into a stripped paragraph.

    One space is put where neither side of a join has white space, so that nothing is glued; blank sentences
    keep their place in ``spans`` with an empty span.
    """
    pieces: list[str] = []
    length = 0
    spans = []
    for sentence in sentences:
        if length == 0:
            sentence = sentence.lstrip()
        elif sentence and not sentence[0].isspace() and not pieces[-1][-1].isspace():
            pieces.append(" ")
            length += 1
        stripped = sentence.strip()
        start = length + (len(sentence) - len(sentence.lstrip()) if stripped else 0)
        spans.append((start, start + len(stripped)))
        if sentence:
            pieces.append(sentence)
            length += len(sentence)
    return Paragraph("".join(pieces).rstrip(), tuple(spans))


class DocumentList:
    """The documents of a row without repeats: a document is (title, text)."""

    def __init__(self) -> None:
        self._positions: dict[Document, int] = {}

    def add(self, title: str, text: str) -> int:
        """Add a document and return its position; one that is there already keeps its first position."""
        return self._positions.setdefault(Document(title, text), len(self._positions))

    def documents(self) -> tuple[Document, ...]:
        """Return the documents in the order of their positions."""
        return tuple(self._positions)


def distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return ``values`` as a tuple without repeats, in their order."""
    return tuple(dict.fromkeys(values))


def sentence_record(row: Mapping[str, Any], unescape_titles: bool = False) -> Record:
    """Read a row of the form that HotpotQA and 2WikiMultihopQA share.

    The context is ``[[title, [sentence, ...]], ...]``, the supporting facts are ``[[title, sentence
    index], ...]``, in list or in column form. A fact belongs to the first paragraph of its title that has
    the sentence. A fact whose sentence does not exist is dropped and counted, while its paragraph stays
    gold; a title that is not in the context makes the record ``missing`` and leaves it without evidence.

    Args:
        row: the row.
        unescape_titles: whether titles hold HTML entities (``&amp;``), which then become what they stand for.
    """
    answer = answer_field(row)
    read_title = (lambda title: html.unescape(title)) if unescape_titles else (lambda title: title)
    id_name = "_id" if "_id" in row else "id"
    documents = DocumentList()
    by_title: dict[str, list[tuple[int, Paragraph]]] = {}
    for index, (title, sentences) in enumerate(
        pairs(structured(row, "context"), "context", "title", ("sentences", "content"))
    ):
        title = read_title(as_text(title, f"context[{index}].title"))
        field = f"context[{index}].sentences"
        paragraph = join_sentences([as_text(sentence, field) for sentence in as_list(sentences, field)])
        position = documents.add(title, paragraph.text)
        by_title.setdefault(title, []).append((position, paragraph))
    gold: list[int] = []
    evidence: list[Evidence] = []
    dropped = 0
    missing = False
    for index, (title, number) in enumerate(
        pairs(structured(row, "supporting_facts"), "supporting_facts", "title", ("sent_id",))
    ):
        title = read_title(as_text(title, f"supporting_facts[{index}].title"))
        number = as_index(number, f"supporting_facts[{index}].sent_id")
        candidates = by_title.get(title)
        if candidates is None:
            missing = True
            continue
        unit = _fact(candidates, number)
        if unit is None:
            dropped += 1
            gold.append(candidates[0][0])
        else:
            evidence.append(unit)
            gold.append(unit.document)
    return Record(
        id=label_field(row, id_name),
        type=optional_text(row, "type"),
        question=text_field(row, "question"),
        answers=(answer,),
        documents=documents.documents(),
        gold=distinct(gold),
        evidence=() if missing else distinct(evidence),
        dropped=dropped,
        missing=missing,
    )


def _fact(candidates: Sequence[tuple[int, Paragraph]], number: int) -> Evidence | None:
    """Return the unit of sentence ``number`` in the first of ``candidates`` that has it."""
    for position, paragraph in candidates:
        if 0 <= number < len(paragraph.spans):
            start, end = paragraph.spans[number]
            if end > start:
                return Evidence(position, start, end)
    return None


def check_fields(row: Mapping[str, Any], known: Sequence[str], inside: str = "") -> None:
    """Check that a mapping has no other fields than those that are known.

    Args:
        row: the mapping.
        known: the names of its fields.
        inside: where it is, for messages: the path of its field and a full stop.

    Raises:
        ValueError: when it has another field; names it.
    """
    for name in row:
        if name not in known:
            raise ValueError(f"field {shorten(f'{inside}{name}')} is unknown; expected {', '.join(known)}")


def read_each(
    values: Iterable[Mapping[str, Any] | T],
    kind: type[T],
    parse: Callable[[Mapping[str, Any]], T],
    what: tuple[str, str],
    fields: str,
) -> list[T]:
    """Read a user's list of records, or of whatever else it is.

    Args:
        values: mappings to be parsed, or what these are parsed into.
        kind: what they are parsed into.
        parse: parses one.
        what: what one is called, and what several are.
        fields: the fields that a mapping has to have, as a message names them.

    Raises:
        ValueError: when one is bad; names its number, from 0.
    """
    one, several = what
    if isinstance(values, str | bytes | Mapping):
        raise ValueError(f"{several} is a {type(values).__name__}, expected a list of mappings with {fields}")
    result = []
    for number, value in enumerate(values):
        try:
            read = value if isinstance(value, kind) else parse(as_mapping(value, one))
        except ValueError as error:
            raise ValueError(f"{one} {number}: {error}") from error
        result.append(read)
    return result
