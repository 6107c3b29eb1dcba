"""What is stored of a conversation: each entry says who said it and when.

An entry of a turn is what :func:`~atommem_env.tasks.documents.turn_texts` makes of it. An entry of a session is
``Session {number} ({date})`` on a line, then a line for each turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from atommem_env.tasks.documents import (
    DocumentPiece,
    StitchedDocument,
    in_parts,
    session_header,
    split_documents,
)
from atommem_env.tasks.turns import Turn, stamp, turn_line
from atommem_env.text import sentences

_STAMP: Final = re.compile(r"\[[^\]\n\d]*\d[^\]\n]*\] (?:[^\s:\n][^:\n]{0,60}: )?")
_NUMBER: Final = re.compile(r"\A\s*\d{1,9}[.)]\s+")
_SESSION: Final = re.compile(r"Session [1-9][0-9]*(?: \([^\n]*\))?")

Fits = Callable[[str], bool]


def split_stamp(text: str) -> tuple[str, str]:
    """Return the stamp that begins ``text``, ``""`` where none does, and the rest."""
    found = _STAMP.match(text)
    return (found.group(), text[found.end() :]) if found else ("", text)


def read_stamp(begin: str) -> tuple[str, str]:
    """Return the date and the speaker that a stamp tells, each ``""`` where it does not."""
    date, _, speaker = begin.partition("] ")
    return date.removeprefix("["), speaker.removesuffix(": ")


def stamped_sentences(text: str) -> list[str]:
    """Return the sentences of an entry, each with the stamp that begins it."""
    begin, rest = split_stamp(text)
    return [begin + sentence for sentence in fact_sentences(rest)]


def fact_sentences(text: str) -> list[str]:
    """Return the sentences of a turn; the number that begins a listed fact stays with it."""
    number, fact = split_number(text)
    first, *others = sentences(fact) or [""]
    return [number + first, *others] if first else []


def split_number(text: str) -> tuple[str, str]:
    """Return the number that begins a listed fact (``12. ``), ``""`` where there is none, and the rest."""
    found = _NUMBER.match(text)
    return (found.group(), text[found.end() :]) if found else ("", text)


def session_name(title: str, date: str) -> str:
    """Return what a session is called in an entry: ``Session 3 (8 May, 2023)``."""
    return f"{title} ({date})" if date else title


def is_session_name(line: str) -> bool:
    """Tell whether a line is what :func:`session_name` returns."""
    return _SESSION.fullmatch(line) is not None


def session_texts(session: StitchedDocument, fits: Fits) -> list[str]:
    """Return the entries of a session: one, or parts of whole turns, as many to a part as fit."""
    name = session_name(session.title, session.date)
    parts: list[list[str]] = [[]]
    for turn in session.turns:
        for piece in _turn_lines(turn, name, fits):
            if parts[-1] and not fits("\n".join([name, *parts[-1], piece])):
                parts.append([])
            parts[-1].append(piece)
    return ["\n".join([name, *lines]) for lines in parts if lines]


def _turn_lines(turn: Turn, name: str, fits: Fits) -> list[str]:
    """Return the line of a turn, or, where it does not fit alone under ``name``, lines of its sentences."""
    if fits(f"{name}\n{turn_line(turn)}"):
        return [turn_line(turn)]
    begin = stamp(turn.speaker, "")
    return [begin + part for part in in_parts(turn.text, lambda part: fits(f"{name}\n{begin}{part}"))]


def titled_text(piece: DocumentPiece) -> tuple[str, str]:
    """Return the title and the text of a document; of a session each sentence is a line and says who said it."""
    if not piece.turns:
        return piece.title, piece.text
    lines = [stamp(turn.speaker, "") + sentence for turn in piece.turns for sentence in sentences(turn.text)]
    return session_name(piece.title, piece.date), "\n".join(lines)


def spoken_sentences(turns: Iterable[Turn], date: str) -> Iterator[str]:
    """Yield the sentences of turns, each with who said it and when."""
    for turn in turns:
        for sentence in fact_sentences(turn.text):
            yield stamp(turn.speaker, date) + sentence


class SessionHeaders:
    """Gives a chunk that begins inside a session the header of that session, so that it says when it was said.

    It notes the number and the date of the last header shown.
    """

    def __init__(self) -> None:
        self._last = (0, "")
        self._cursor = -1
        self._text = ""

    @property
    def date(self) -> str:
        """The date of the last header shown, in the data's own words."""
        return self._last[1]

    def read(self, chunk: str, cursor: int, now: str) -> str:
        """Return ``chunk``, the chunk number ``cursor``, with that header; any other as it is.

        Args:
            chunk: the text.
            cursor: its number; the same chunk may be read again.
            now: the date of the session where its header tells none.
        """
        if cursor != self._cursor:
            self._cursor = cursor
            self._text = self._with_header(chunk, now)
        return self._text

    def _with_header(self, chunk: str, now: str) -> str:
        number, date = self._last
        if not number and "Session " not in chunk:
            return chunk
        pieces = split_documents(chunk)
        headed = [piece for piece in pieces if piece.start_complete and piece.turns]
        if headed:
            self._last = (headed[-1].number or 0, headed[-1].date)
        if number and pieces and not pieces[0].start_complete:
            return session_header(number, date or (now if not headed else "")) + chunk
        return chunk


def speakers_questions(turns: Sequence[Turn], words: int = 64) -> list[str]:
    """Return what the user says in ``turns``, each cut to ``words``; where nobody is ``user``, what everyone says."""
    said = [turn for turn in turns if turn.speaker.lower() == "user"] or list(turns)
    return [text for turn in said if (text := " ".join(turn.text.split()[:words]))]
