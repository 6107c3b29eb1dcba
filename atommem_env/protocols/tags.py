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
- Text inside ``<think>...</think>`` is ignored. A text whose first such mark is ``</think>`` was written by a
  model whose prompt ended in ``<think>``: all before the mark is ignored. An unclosed ``<think>`` ignores
  nothing, and within a known tag the mark is content like any other.
- The time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from atommem_env.protocols.base import Malformed, excerpt

THINK: Final = "think"
_THINK_MARK = re.compile(r"<(/?)think\s*>", re.IGNORECASE | re.ASCII)
_NAME = re.compile(r"[^\s<>/=\"'`]+")


class Tag(NamedTuple):
    """A closed tag: its name in lower case, what follows the name, its content, and the whole of it."""

    name: str
    attributes: str
    content: str
    text: str


def reasoning_end(text: str) -> int:
    """Return where the reasoning ends that a text begins with, when its opening mark stood in the prompt."""
    first = _THINK_MARK.search(text)
    return first.end() if first is not None and first.group(1) else 0


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
        alternatives = "|".join(map(re.escape, (*lowered, THINK)))
        self._pattern = re.compile(
            rf"<(?:/(?P<close>{alternatives})\s*|(?P<open>{alternatives})(?P<attributes>\s[^<>]*?)?(?P<empty>/?))>",
            re.IGNORECASE | re.ASCII,
        )

    def scan(self, text: str) -> Iterator[Tag | Malformed]:
        """Yield the closed tags and the malformed ones of ``text``, in order."""
        marks = list(self._pattern.finditer(text, reasoning_end(text)))
        closings: dict[str, deque[int]] = {}
        for index, mark in enumerate(marks):
            if mark["close"]:
                closings.setdefault(fold(mark["close"]), deque()).append(index)
        index = 0
        while index < len(marks):
            mark = marks[index]
            closing = None if mark["close"] else _closing(mark, index, closings)
            if closing is None:
                problem = _problem(mark)
                if problem is not None:
                    yield problem
            elif fold(mark["open"]) != THINK:
                yield _tag(text, mark, marks[closing])
            index = 1 + (index if closing is None else closing)


def fold(name: str) -> str:
    """Return ``name`` with its ASCII letters in lower case, which is how names are compared."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def _closing(mark: re.Match[str], index: int, closings: dict[str, deque[int]]) -> int | None:
    """Return the index of the mark that closes ``mark``: its own when it is empty."""
    if mark["empty"]:
        return index
    later = closings.get(fold(mark["open"]), deque())
    while later and later[0] < index:
        later.popleft()
    return later[0] if later else None


def _problem(mark: re.Match[str]) -> Malformed | None:
    name = fold(mark["close"] or mark["open"])
    if name == THINK:
        return None
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
