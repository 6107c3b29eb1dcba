"""What the rules engine reads of a conversation: sentences, with who said them and when."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from atommem_env.baselines.entries import read_stamp, split_stamp
from atommem_env.core.words import content_stems, word_set
from atommem_env.data.dates import iso_date
from atommem_env.tasks.turns import read_turns
from atommem_env.text import sentences, tokens

_READ: Final = 40_000  # characters of a passage
_YOU, _I = word_set("you your yours"), word_set("i my me mine we our us")
_SESSION = re.compile(r"Session [1-9][0-9]{0,8}(?: \((?P<date>[^\n]*)\))?:?")


class Said(NamedTuple):
    """A sentence of a conversation.

    Attributes:
        turn: the number of the turn that it stands in.
        speaker: who said it, ``""`` where that is not shown.
        day: the day on which it was said, if that is shown.
        text: the sentence.
        stems: the stems of its words.
        tells: whether the speaker tells something of his own: it is not a question, and not about *you* alone.
    """

    turn: int
    speaker: str
    day: date | None
    text: str
    stems: frozenset[str]
    tells: bool


def read_speech(passages: Sequence[str]) -> tuple[Said, ...]:
    """Return the sentences of ``passages`` where these are of a conversation, else none.

    They are when one begins with a stamp or a session's header, or when each is a line that says who speaks.
    """
    return _read_all(tuple(passages))


@functools.lru_cache(maxsize=32)  # all questions about one reading may be asked of one text
def _read_all(passages: tuple[str, ...]) -> tuple[Said, ...]:
    first = [passage[:200].partition("\n")[0] for passage in passages]
    spoken = any(split_stamp(line)[0] or _SESSION.fullmatch(line) for line in first)
    if not spoken and not (passages and all("\n" not in text and _speaker(text)[0] for text in passages)):
        return ()
    turns = dict.fromkeys(turn for passage in passages for turn in _read(passage[:_READ]))
    return tuple(line._replace(turn=number) for number, turn in enumerate(turns) for line in turn)


@functools.lru_cache(maxsize=4096)
def _read(passage: str) -> tuple[tuple[Said, ...], ...]:
    return tuple(
        tuple(
            Said(0, speaker, day, sentence, frozenset(content_stems(sentence)), _tells(sentence))
            for sentence in sentences(text.replace("[", ". ["))
            if any(map(str.isalnum, sentence))
        )
        for speaker, day, text in _turns(passage)
    )


def _turns(passage: str) -> Iterator[tuple[str, date | None, str]]:
    """Yield who said what on which day."""
    day: date | None = None
    speaker, lines = "", list[str]()
    stamped = False
    for line in passage.splitlines():
        begin, rest = split_stamp(line)
        session = _SESSION.fullmatch(line)
        name, said = ("", "") if stamped else _speaker(line)
        if not (begin or session or name):
            lines.append(line.strip())
            continue
        if lines:
            yield speaker, day, " ".join(lines)
        stamped = bool(begin)
        if session:
            day, speaker, lines = _day(session["date"] or ""), "", []
        elif begin:
            told, speaker = read_stamp(begin)
            day, lines = _day(told), [rest]
        else:
            speaker, lines = name, [said]
    if lines:
        yield speaker, day, " ".join(lines)


def _speaker(line: str) -> tuple[str, str]:
    turn = read_turns(line)[0] if line[:1].strip() else None
    return (turn.speaker, turn.text) if turn is not None and len(turn.speaker) <= 60 else ("", "")


def _tells(sentence: str) -> bool:
    if sentence.rstrip(' "”)').endswith("?"):
        return False
    words = set(tokens(sentence))
    return not words & _YOU or bool(words & _I)


@functools.lru_cache(maxsize=1024)
def _day(text: str) -> date | None:
    iso = iso_date(text)
    return datetime.fromisoformat(iso).date() if iso else None
