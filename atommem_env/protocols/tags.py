"""Finding tags in a text that nobody promised to be well-formed.

What counts, for every text:

- A tag is ``<name>`` up to the first ``</name>`` after it. Names are case-insensitive (in ASCII letters),
  white space and attributes may follow a name, ``<name/>`` is a tag with empty content. Only ``<`` and ``>``
  are brackets; full-width or escaped ones (``&lt;``) are prose.
- What stands between is content, verbatim: known tags within it, the same name included, mean nothing, and
  entities are not decoded. White space around it is dropped.
- An unclosed tag is malformed; its text is not used, and the search goes on right after its ``>``. So is a
  closing tag without an opening one.
- Unknown tags, of whatever script or length, are prose; an opening tag without its ``>`` is prose too.
- What a model thinks (``<think>...</think>``, ``[THINK]...[/THINK]`` and the other marks of
  :mod:`atommem_env.protocols.thinking`) is ignored. A text whose first such mark is ``</think>`` was written by a
  model whose prompt ended in ``<think>``: all before the mark is ignored. A text that begins with a ``<think>``
  that never ends is nothing but thinking, and one malformed piece; further on such a mark is prose, and within a
  known tag it is content like any other.
- The time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from atommem_env.protocols.base import Malformed, excerpt
from atommem_env.protocols.thinking import CLOSE, NEVER_ENDS, OPEN, ending_of, reasoning_end, unended_thinking

THINK: Final = "think"
_NAME = re.compile(r"[^\s<>/=\"'`]+")


class Tag(NamedTuple):
    """A closed tag: its name in lower case, what follows the name, its content, and the whole of it."""

    name: str
    attributes: str
    content: str
    text: str


def shield(text: str) -> str:
    """Return ``text`` such that a ``</think>`` in it does not end a reasoning that it does not begin with."""
    return f"<{THINK}></{THINK}>\n{text}" if reasoning_end(text) else text


def attribute(attributes: str, name: str) -> str | None:
    """Return the value of the attribute ``name``, with or without quotes, or ``None``."""
    found = re.search(
        rf"(?<![^\s\"']){name}\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"']+))", attributes, re.I | re.A
    )
    return next((value for value in found.groups() if value is not None), None) if found else None


class TagScanner:
    """Finds the closed tags of given names.

    Args:
        names: the names, different from each other in lower case.

    Raises:
        ValueError: when a name cannot be a tag's, or stands twice.
    """

    def __init__(self, names: Sequence[str]) -> None:
        lowered = [fold(name) for name in names]
        for name in names:
            if not _NAME.fullmatch(name) or fold(name) == THINK or lowered.count(fold(name)) > 1:
                raise ValueError(
                    f"{name!r} cannot be a tag's name here: names are words such as 'create_memory', all "
                    f"different in lower case, and not {THINK!r}"
                )
        alternatives = "|".join(map(re.escape, lowered))
        self._pattern = re.compile(
            rf"<(?:/(?P<close>{alternatives})\s*|(?P<open>{alternatives})(?P<attributes>\s[^<>]*?)?(?P<empty>/?))>"
            rf"|(?P<thought>{OPEN})|(?P<thought_end>{CLOSE})",
            re.IGNORECASE | re.ASCII,
        )

    def scan(self, text: str) -> Iterator[Tag | Malformed]:
        """Yield the closed tags and the malformed ones of ``text``, in order."""
        if mark_of_all := unended_thinking(text):
            yield Malformed(excerpt(text.strip()), NEVER_ENDS.format(mark_of_all))
            return
        position = reasoning_end(text)
        unended: set[str] = set()
        closings: dict[str, deque[re.Match[str]]] = {}
        marks = list(self._pattern.finditer(text, position))
        for mark in marks:
            if mark["close"]:
                closings.setdefault(fold(mark["close"]), deque()).append(mark)
        for mark in marks:
            if mark.start() < position or mark["thought_end"]:
                continue
            if mark["thought"]:
                ending = ending_of(mark.group())
                end = None if ending.pattern in unended else ending.search(text, mark.end())
                if end is None:
                    unended.add(ending.pattern)
                else:
                    position = max(end.end(), mark.end())
                continue
            closing = None if mark["close"] else _closing(mark, closings)
            if closing is None:
                yield _problem(mark)
            else:
                yield _tag(text, mark, closing)
                position = closing.end()


def fold(name: str) -> str:
    """Return ``name`` with its ASCII letters in lower case, which is how names are compared."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def _closing(mark: re.Match[str], closings: dict[str, deque[re.Match[str]]]) -> re.Match[str] | None:
    """Return the mark that closes ``mark``: its own when it is empty."""
    if mark["empty"]:
        return mark
    later = closings.get(fold(mark["open"]), deque())
    while later and later[0].start() < mark.end():
        later.popleft()
    return later[0] if later else None


def _problem(mark: re.Match[str]) -> Malformed:
    name = fold(mark["close"] or mark["open"])
    if mark["close"]:
        return Malformed(excerpt(mark.group()), f"</{name}> closes no tag")
    return Malformed(excerpt(mark.group()), f"<{name}> is not closed by </{name}>")


def _tag(text: str, opening: re.Match[str], closing: re.Match[str]) -> Tag:
    content = "" if closing is opening else text[opening.end() : closing.start()].strip()
    return Tag(
        name=fold(opening["open"]),
        attributes=opening["attributes"] or "",
        content=content,
        text=text[opening.start() : closing.end()],
    )
