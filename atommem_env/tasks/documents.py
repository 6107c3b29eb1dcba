"""The text of documents: how it is built into a task's text, found in a chunk, and stitched across chunks.

A document is ``Document {number}:``, its title, and its text; a session is ``Session {number} ({date}):`` and then its
turns (:mod:`atommem_env.tasks.turns`). They are joined by blank lines. A line of a title or text that has the form of
such a header itself stands there with a backslash before it, which :func:`split_documents` takes away again.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from atommem_env.tasks.turns import Turn, read_turns, seem_turns, stamp, turn_line
from atommem_env.text import sentences

SEPARATOR: Final = "\n\n"
_NUMBER = "[1-9][0-9]{0,8}"
_FORM = rf"(?:Document {_NUMBER}|Session {_NUMBER}(?: \([^\n]*\))?):"
_HEADER = re.compile(rf"(?:\A|(?<=\n\n))(?:Document ({_NUMBER})|Session ({_NUMBER})(?: \(([^\n]*)\))?):\n")
_LIKE_HEADER = re.compile(rf"^(?=\\*{_FORM}$)", re.MULTILINE)
_ESCAPED = re.compile(rf"^\\(?=\\*{_FORM}$)", re.MULTILINE)
_MIN_OVERLAP = 16


# --- building ---------------------------------------------------------------------------------------


def header(number: int) -> str:
    """Return the line that opens document ``number`` (counted from 1)."""
    return f"Document {number}:\n"


def session_title(number: int) -> str:
    """Return what session ``number`` (counted from 1) is called."""
    return f"Session {number}"


def session_header(number: int, date: str) -> str:
    """Return the line that opens session ``number`` (counted from 1); ``date`` may be ``""``."""
    return f"{session_title(number)} ({date}):\n" if date else f"{session_title(number)}:\n"


def escape(text: str) -> str:
    """Return a title or text as it stands in a task's text: a backslash before each line like a header."""
    return _LIKE_HEADER.sub(r"\\", text) if _may_have_header(text) else text


def escape_offset(text: str, offset: int) -> int:
    """Return where the character of ``text`` at ``offset`` stands in :func:`escape` of it."""
    if not _may_have_header(text):
        return offset
    return offset + sum(match.start() <= offset for match in _LIKE_HEADER.finditer(text))


def unescape(text: str) -> str:
    """Return what :func:`escape` was given."""
    return _ESCAPED.sub("", text) if _may_have_header(text) else text


def _may_have_header(text: str) -> bool:
    return "Document " in text or "Session " in text


def join_documents(documents: Sequence[tuple[str, str]]) -> tuple[str, list[int]]:
    """Return documents (title, text) as one text, and where each starts in it."""
    parts = [
        f"Document {number}:\n{title}\n{text}" for number, (title, text) in enumerate(documents, start=1)
    ]
    whole = SEPARATOR.join(parts)
    if "Session " in whole or whole.count("Document ") > len(
        parts
    ):  # some document may have a line like a header
        parts = [
            f"{header(number)}{escape(title)}\n{escape(text)}"
            for number, (title, text) in enumerate(documents, start=1)
        ]
        whole = SEPARATOR.join(parts)
    lengths = [len(part) + len(SEPARATOR) for part in parts]
    return whole, [0, *itertools.accumulate(lengths[:-1])]


# --- parsing ----------------------------------------------------------------------------------------


class DocumentPiece(NamedTuple):
    """What one chunk shows of one document, or of one session of a history.

    Attributes:
        number: its number; ``None`` when the chunk lies inside a single document and shows no header.
        title: a document's title, ``""`` when the chunk starts after it; of a session ``Session {number}``.
        text: the part of its text that the chunk shows; of a session one line a turn, ``{speaker}: {text}``.
        start_complete: whether the chunk shows it from its header on.
        end_complete: whether it ends in the chunk: another one follows, or, of a session, a blank line does.
        date: the session's date in the data's own words, ``""`` where none is shown.
        turns: the session's turns that the chunk shows, the first and last of which may be cut; empty in a
            document.
    """

    number: int | None
    title: str
    text: str
    start_complete: bool
    end_complete: bool
    date: str = ""
    turns: tuple[Turn, ...] = ()


def split_documents(chunk: str) -> list[DocumentPiece]:
    """Split a chunk into the documents or sessions, and parts of them, that it shows.

    A chunk that starts inside a document yields that document's rest first, without a title. Whether the last
    piece of documents ends with the chunk is not in the text, so that it never is ``end_complete``.
    """
    if not chunk:
        return []
    headers = _headers(chunk)
    if not headers:
        return [_rest(None, chunk, ended=False, session=seem_turns(chunk.removesuffix(SEPARATOR)))]
    pieces = []
    first = headers[0]
    if first.start() > 0:
        rest = chunk[: first.start()]
        pieces.append(_rest(_number(first) - 1, rest, ended=True, session=first[2] is not None))
    for match, following in zip(headers, [*headers[1:], None], strict=True):
        body = chunk[match.end() : len(chunk) if following is None else following.start()]
        pieces.append(_piece(match, body, followed=following is not None))
    return pieces


def _piece(match: re.Match[str], body: str, followed: bool) -> DocumentPiece:
    """Return what stands under a header: ``body`` reaches to the next one, or to the chunk's end."""
    number = _number(match)
    if match[2] is not None:
        ended = followed or body.endswith(SEPARATOR)
        turns = read_turns(body.removesuffix(SEPARATOR) if ended else body)
        return DocumentPiece(number, session_title(number), _plain(turns), True, ended, match[3] or "", turns)
    title, _, text = (body.removesuffix(SEPARATOR) if followed else body).partition("\n")
    return DocumentPiece(number, unescape(title), unescape(text), True, followed)


def _rest(number: int | None, text: str, ended: bool, session: bool) -> DocumentPiece:
    """Return the rest of a document, or of a session, whose header the chunk does not show."""
    if session:
        ended = ended or text.endswith(SEPARATOR)
        turns = read_turns(text.removesuffix(SEPARATOR))
        title = "" if number is None else session_title(number)
        return DocumentPiece(number, title, _plain(turns), False, ended, "", turns)
    return DocumentPiece(number, "", unescape(text.removesuffix(SEPARATOR) if ended else text), False, ended)


def _plain(turns: Sequence[Turn]) -> str:
    return "\n".join(turn_line(turn) for turn in turns)


def _number(match: re.Match[str]) -> int:
    return int(match[1] or match[2])


def _headers(chunk: str) -> list[re.Match[str]]:
    """Return the header matches of ``chunk``.

    A chunk that begins in the middle of a line may seem to begin with a header: one out of order is text.
    """
    found: list[re.Match[str]] = []
    for match in _HEADER.finditer(chunk):
        if not found or _number(match) == _number(found[-1]) + 1:
            found.append(match)
    return found


class StitchedDocument(NamedTuple):
    """A whole document or session, put together from one or more chunks."""

    number: int
    title: str
    text: str
    date: str = ""
    turns: tuple[Turn, ...] = ()


def _last_turn(text: str, start: int) -> int:
    """Return where the last turn of a session begins in ``text``; its end where that turn is known to be whole.

    Args:
        text: the text, the beginning of a session that goes on.
        start: where its first turn begins.
    """
    if text.endswith("\n"):
        return len(text)
    at = len(text)
    while (at := text.rfind("\n", start, at)) >= 0:
        if not text.startswith(("  ", "\n"), at + 1):
            return at + 1
    return start


class DocumentStitcher:
    """Turns an episode's chunks into whole documents, keeping at most one unfinished document.

    Feed it every chunk once, in order. Where chunks overlap, the shared text is found and counted once.

    Args:
        turns: whether the turns of a session are handed out as soon as each is complete, as parts of the session, so
            that at most one unfinished turn is kept.
    """

    def __init__(self, turns: bool = False) -> None:
        self._turns = turns
        self._rest = ""
        self._last = ""
        self._done = 0
        self._told = 0

    def feed(self, chunk: str, final: bool) -> list[StitchedDocument]:
        """Take the next chunk and return the documents that became complete with it.

        Args:
            chunk: the chunk's text.
            final: whether it is the last chunk, so that the last document is complete too.
        """
        text = self._join(chunk)
        self._last = chunk if self._turns else ""
        pieces = split_documents(text)
        headers = _headers(text)
        part: StitchedDocument | None = None
        if final or (pieces and pieces[-1].end_complete):
            self._rest = ""
        else:
            start = headers[-1].start() if headers else 0
            self._rest = text[start:]
            if pieces:
                unfinished = pieces.pop()
                if self._turns and unfinished.turns and headers:
                    told = headers[-1].end()
                    last = _last_turn(text, told)
                    turns = read_turns(text[told:last].removesuffix("\n"))
                    if turns:
                        part = StitchedDocument(
                            unfinished.number or 0, unfinished.title, _plain(turns), unfinished.date, turns
                        )
                        self._rest = text[start:told] + text[last:]
                        self._told = unfinished.number or 0
        complete = []
        for number, title, body, _, _, date, turns in pieces:
            if number is not None and number > self._done:
                if number == self._told and not any(turn.text for turn in turns):
                    continue  # all that it says has been handed out
                complete.append(StitchedDocument(number, title, body, date, turns))
                self._done = number
        return complete if part is None else [*complete, part]

    def _join(self, chunk: str) -> str:
        """Return the unfinished document and ``chunk`` as one text, their overlap taken once."""
        rest = self._rest
        if not rest:
            return chunk
        if self._last:
            return rest + chunk[overlap(self._last, chunk) :]
        opening = rest[: rest.find("\n") + 1]
        if opening and (chunk.startswith(opening) or SEPARATOR + opening in chunk):
            return chunk  # the overlap reaches back to the document's own header
        return rest + chunk[overlap(rest, chunk) :]


def in_parts(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Return ``text`` itself when it fits, else whole sentences of it, as many to a part as fit.

    A sentence that does not fit alone is a separate part.
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


def turn_texts(turn: Turn, date: str, fits: Callable[[str], bool]) -> list[str]:
    """Return the entries of a turn, ``[{date}] {speaker}: {text}``: one, or parts of whole sentences, each stamped so.

    Args:
        turn: the turn.
        date: when it was said, in the data's own words; where it is ``""``, or nobody speaks, that part is left out.
        fits: whether a text can be an entry.
    """
    begin = stamp(turn.speaker, date)
    if not turn.text.strip():
        return []
    return [begin + part for part in in_parts(turn.text, lambda part: fits(begin + part))]


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
