"""What a form is, and what several of them share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

Row = Mapping[str, Any]

_HEADER: Final = re.compile(r"^[ \t]*(?:Document|Passage) (\d{1,9}):[ \t]*", re.MULTILINE)


@dataclass(frozen=True)
class Form:
    """The form of a foreign file.

    Attributes:
        title: what it is called in messages.
        fits: whether a row has it.
        rows: turns the file's rows into rows of ours; gets the file's path too. ``None`` where nothing can.
        kind: what the rows become: ``"records"`` or ``"histories"``.
        note: what a user should know of the result, or why there can be none.
        env: the environment that reads such files as they are; ``""``: none.
    """

    title: str
    fits: Callable[[Row], bool]
    rows: Callable[[Iterable[Row], Path], Iterator[dict[str, Any]]] | None = None
    kind: str = "records"
    note: str = ""
    env: str = ""


def split_text(text: str) -> tuple[str, list[str]]:
    """Return what stands before the first ``Document i:`` or ``Passage i:``, and the documents that follow.

    Only headers that count up from 1 begin a document; any other line of that form is part of one.
    """
    starts: list[re.Match[str]] = []
    for match in _HEADER.finditer(text):
        if int(match[1]) == len(starts) + 1:
            starts.append(match)
    if not starts:
        return text, []
    ends = [*(match.start() for match in starts[1:]), len(text)]
    documents = [text[match.end() : end].strip() for match, end in zip(starts, ends, strict=True)]
    return text[: starts[0].start()], [document for document in documents if document]


def history(id: object, text: str, questions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a history of the documents of ``text``, or of the text as one where it has no headers."""
    before, documents = split_text(text)
    return {
        "id": str(id),
        "sessions": [{"turns": [{"text": document}]} for document in documents or [before.strip()]],
        "questions": questions,
    }


def answers(value: object) -> list[str]:
    """Return gold answers, given as one or as a list, as texts."""
    listed = value if isinstance(value, list | tuple) else [value]
    return [str(answer) for answer in listed if answer is not None and str(answer).strip()]


def with_sentences(
    documents: list[tuple[str, list[str]]], facts: Iterable[tuple[str, int]]
) -> dict[str, Any]:
    """Return the ``documents`` and ``supporting`` of a record.

    Args:
        documents: each a title and its sentences.
        facts: each the title of a document and the number of a sentence in it; one that is not there is left out,
            so that gold is never invented.
    """
    whole = [{"title": title, "text": join(sentences)} for title, sentences in documents]
    positions = {title: position for position, (title, _) in reversed(list(enumerate(documents)))}
    supporting = []
    for title, number in facts:
        position = positions.get(title)
        if position is not None and 0 <= number < len(documents[position][1]):
            sentence = documents[position][1][number].strip()
            if sentence:
                supporting.append({"document": position, "sentence": sentence})
    return {"documents": whole, "supporting": supporting}


def join(sentences: Iterable[str]) -> str:
    """Return sentences as one text, with a space where neither side of a join has white space."""
    text = ""
    for sentence in sentences:
        glued = text and sentence and not text[-1].isspace() and not sentence[0].isspace()
        text += (" " if glued else "") + sentence
    return text.strip()
