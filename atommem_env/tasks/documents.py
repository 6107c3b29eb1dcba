"""Documents as text: how they are written into a context, found in a chunk, and stitched across chunks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from atommem_env.text import sentences

SEPARATOR = "\n\n"
_HEADER = re.compile(r"(?:\A|(?<=\n\n))Document (\d+):\n")
_MIN_OVERLAP = 16


def header(number: int) -> str:
    """Return the line that opens document ``number`` (counted from 1)."""
    return f"Document {number}:\n"


class DocumentPiece(NamedTuple):
    """What one chunk shows of one document.

    Attributes:
        number: the document's number; ``None`` when the chunk lies inside a single document and shows no
            header.
        title: its title, ``""`` when the chunk starts after it.
        text: the part of its text that the chunk shows.
        start_complete: whether the chunk shows the document from its header on.
        end_complete: whether another document follows in the chunk, so that this one ends there.
    """

    number: int | None
    title: str
    text: str
    start_complete: bool
    end_complete: bool


def split_documents(chunk: str) -> list[DocumentPiece]:
    """Split a chunk into the documents, and parts of documents, that it shows.

    A chunk that starts inside a document yields that document's rest first, without a title. The last piece
    is never ``end_complete``: whether more follows is not in the text.
    """
    headers = _headers(chunk)
    if not headers:
        return [DocumentPiece(None, "", chunk, False, False)] if chunk else []
    pieces = []
    first = headers[0]
    if first.start() > 0:
        pieces.append(DocumentPiece(int(first[1]) - 1, "", _body(chunk, 0, first.start()), False, True))
    for match, following in zip(headers, [*headers[1:], None], strict=True):
        end = len(chunk) if following is None else following.start()
        title, _, text = _body(chunk, match.end(), end, cut=following is not None).partition("\n")
        pieces.append(DocumentPiece(int(match[1]), title, text, True, following is not None))
    return pieces


def _headers(chunk: str) -> list[re.Match[str]]:
    """Return the header matches of ``chunk``; a line that looks like one but is out of order is text."""
    found: list[re.Match[str]] = []
    for match in _HEADER.finditer(chunk):
        if not found or int(match[1]) == int(found[-1][1]) + 1:
            found.append(match)
    return found


def _body(chunk: str, start: int, end: int, cut: bool = True) -> str:
    return chunk[start : end - len(SEPARATOR)] if cut else chunk[start:end]


class StitchedDocument(NamedTuple):
    """A whole document, put together from one or more chunks."""

    number: int
    title: str
    text: str


class DocumentStitcher:
    """Turns an episode's chunks into whole documents, keeping at most one unfinished document.

    Feed it every chunk once, in order. Where chunks overlap, the shared text is found and counted once.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._done = 0

    def feed(self, chunk: str, final: bool) -> list[StitchedDocument]:
        """Take the next chunk and return the documents that became complete with it.

        Args:
            chunk: the chunk's text.
            final: whether it is the last chunk, so that the last document is complete too.
        """
        text = self._join(chunk)
        pieces = split_documents(text)
        headers = _headers(text)
        self._rest = "" if final else text[headers[-1].start() if headers else 0 :]
        if not final:
            pieces.pop()
        complete = []
        for piece in pieces:
            if piece.number is not None and piece.number > self._done:
                complete.append(StitchedDocument(piece.number, piece.title, piece.text))
                self._done = piece.number
        return complete

    def _join(self, chunk: str) -> str:
        """Return the unfinished document and ``chunk`` as one text, their overlap taken once."""
        rest = self._rest
        if not rest:
            return chunk
        opening = rest[: rest.find("\n") + 1]
        if opening and (chunk.startswith(opening) or SEPARATOR + opening in chunk):
            return chunk  # the overlap reaches back to the document's own header
        return rest + chunk[overlap(rest, chunk) :]


def in_parts(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Return ``text`` itself when it fits, else whole sentences of it, as many to a part as fit.

    A sentence that does not fit alone is a part of its own.
    """
    if fits(text):
        return [text]
    parts: list[str] = []
    for sentence in sentences(text):
        longer = f"{parts[-1]} {sentence}" if parts else sentence
        if parts and fits(longer):
            parts[-1] = longer
        else:
            parts.append(sentence)
    return parts


def overlap(left: str, right: str) -> int:
    """Return the length of the longest suffix of ``left`` that is a prefix of ``right``, and not all of it.

    All of it never is: a chunk always holds new text. Matches of fewer than 16 characters are taken for
    chance, and count as none.
    """
    if len(right) <= _MIN_OVERLAP:
        return 0
    probe = right[:_MIN_OVERLAP]
    start = left.find(probe, max(0, len(left) - len(right) + 1))
    while start >= 0:
        if right.startswith(left[start:]):
            return len(left) - start
        start = left.find(probe, start + 1)
    return 0
