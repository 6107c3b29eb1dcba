r"""The text of turns: one line each, ``{speaker}: {text}``, or the text alone where nobody speaks (a numbered fact).

A line break inside a turn is followed by two spaces, so that only a header or a turn begins in the first column. A turn
without a speaker whose first line would be read as something else (a header, or a turn of somebody's) stands there with
a backslash before it. ``read_turns(write_turns(turns)) == turns`` for every text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_INDENT: Final = "  "
_FACT = re.compile(r"[0-9]{1,9}\. ")
_HEADER_LIKE = re.compile(r"(?:Document|Session) [1-9]")
_SPEAKER = re.compile(r"([^\s:\\][^:\n]*): ")


class Turn(NamedTuple):
    """What somebody said in a session: a message of a chat, a numbered fact of a list, a paragraph.

    Attributes:
        speaker: who said it; ``""`` where nobody speaks.
        text: what was said.
        id: the turn's id in the benchmark; it is not in the text of a task, so that a chunk does not show it.
    """

    speaker: str
    text: str
    id: str = ""


def speaker_problem(speaker: str) -> str | None:
    """Return what is wrong with a speaker's name that could not be told from text, or ``None``."""
    if not speaker:
        return None
    if _SPEAKER.fullmatch(f"{speaker}: ") is None or speaker != speaker.strip():
        return "a name on one line without ':', not beginning with a backslash or space"
    if _FACT.match(speaker) or _HEADER_LIKE.match(speaker):
        return "a name that does not begin like a numbered fact or a header"
    return None


def turn_line(turn: Turn) -> str:
    """Return ``{speaker}: {text}``, or the text alone without a speaker."""
    return f"{turn.speaker}: {turn.text}" if turn.speaker else turn.text


def stamp(speaker: str, date: str) -> str:
    """Return what stands before the text of a turn in an entry: when it was said, and who said it."""
    return (f"[{date}] " if date else "") + (f"{speaker}: " if speaker else "")


def without_number(line: str) -> str:
    """Return a numbered fact without its number; any other line as it is."""
    match = _FACT.match(line)
    return line[match.end() :] if match else line


def write_turn(turn: Turn) -> str:
    """Return a turn as it stands in a task's text, without the line break that ends it."""
    text = turn_line(turn)
    if not turn.speaker and not _plain_first_line(text.partition("\n")[0]):
        text = "\\" + text
    return text.replace("\n", "\n" + _INDENT)


def turn_offset(turn: Turn, offset: int) -> int:
    """Return where the character of a turn's text at ``offset`` stands in :func:`write_turn` of it."""
    prefix = (
        len(turn.speaker) + 2 if turn.speaker else len(write_turn(Turn("", turn.text.partition("\n")[0])))
    )
    if not turn.speaker:
        prefix -= len(turn.text.partition("\n")[0])
    return prefix + offset + len(_INDENT) * turn.text.count("\n", 0, offset)


def write_turns(turns: Sequence[Turn]) -> str:
    """Return a session's turns as they stand in a task's text."""
    return "\n".join(map(write_turn, turns))


def turn_spans(turns: Sequence[Turn]) -> list[tuple[int, int]]:
    """Return where each turn starts and ends in :func:`write_turns` of them, its line break left out."""
    lengths = [len(write_turn(turn)) for turn in turns]
    starts = [0, *itertools.accumulate(length + 1 for length in lengths)]
    return [(start, start + length) for start, length in zip(starts, lengths, strict=False)]


def read_turns(text: str) -> tuple[Turn, ...]:
    """Return the turns of a session's text, or of a part of it, whose first turn may have lost its beginning."""
    if not text:
        return ()
    turns: list[list[str]] = []
    for line in text.split("\n"):
        if turns and (line.startswith(_INDENT) or not line):
            turns[-1].append(line.removeprefix(_INDENT))
        else:
            turns.append([line])
    return tuple(_read_turn(first, rest) for first, *rest in turns)


def seem_turns(text: str) -> bool:
    """Tell whether a part of a text without any header is one of a session: every turn has a speaker or a number."""
    first, *lines = text.split("\n")
    begun = [line for line in lines if line and not line.startswith(_INDENT)]
    if not begun:
        return _begins_turn(first)
    return all(map(_begins_turn, begun))


def _begins_turn(line: str) -> bool:
    return bool(_FACT.match(line) or _SPEAKER.match(line))


def _plain_first_line(line: str) -> bool:
    """Tell whether the first line of a turn without a speaker is read as what it is."""
    if not line or line[0] in " \\" or _HEADER_LIKE.match(line):
        return False
    return _FACT.match(line) is not None or _SPEAKER.match(line) is None


def _read_turn(first: str, rest: Sequence[str]) -> Turn:
    if first.startswith("\\"):
        return Turn("", "\n".join([first[1:], *rest]))
    match = None if _FACT.match(first) else _SPEAKER.match(first)
    if match is None:
        return Turn("", "\n".join([first, *rest]))
    return Turn(match[1], "\n".join([first[match.end() :], *rest]))
