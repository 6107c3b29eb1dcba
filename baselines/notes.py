"""A note of A-Mem as an entry holds it: the content, then context, keywords, tags and links, a line each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

_BETWEEN: Final = "; "
_TITLE_WORDS: Final = 12
_NOTE = re.compile(r"((?s:.*))\nContext: (.*)\nKeywords: (.*)\nTags: (.*?)(?:\nLinks: (.*))?")
_LINK = re.compile(r"(\d+) \((.*)\)")


class Link(NamedTuple):
    """A link to another note: its id, and its title, by which it can be searched for."""

    id: int
    title: str


@dataclass(frozen=True)
class Note:
    """What an entry says.

    Attributes:
        content: the document.
        context: a sentence on what it is about.
        keywords: its keywords.
        tags: its tags.
        links: the notes it is linked to.
    """

    content: str
    context: str = ""
    keywords: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()

    def render(self) -> str:
        """Return the entry. Line breaks, and semicolons within an item, do not survive outside the content."""
        lines = [
            self.content,
            f"Context: {_line(self.context)}",
            f"Keywords: {_items(self.keywords)}",
            f"Tags: {_items(self.tags)}",
        ]
        if self.links:
            lines.append(f"Links: {_items(f'{link.id} ({link.title})' for link in self.links)}")
        return "\n".join(lines)


def read_note(entry: str) -> Note:
    """Return the note that ``entry`` holds, the inverse of :meth:`Note.render`; any other text is a content."""
    found = _NOTE.fullmatch(entry)
    if found is None:
        return Note(entry)
    content, context, keywords, tags, links = found.groups(default="")
    matches = (_LINK.fullmatch(item) for item in _split(links))
    return Note(
        content,
        context,
        _split(keywords),
        _split(tags),
        tuple(Link(int(match[1]), match[2]) for match in matches if match is not None),
    )


def link_to(id: int, entry: str) -> Link:
    """Return a link to entry ``id``, called by the first words of what it says."""
    opening = entry.strip().partition("\n")[0]
    return Link(id, " ".join(opening.split()[:_TITLE_WORDS]))


def _line(text: str) -> str:
    return " ".join(text.split())


def _items(items: Iterable[str]) -> str:
    return _BETWEEN.join(_line(item).replace(";", ",") for item in items if item.strip())


def _split(line: str) -> tuple[str, ...]:
    return tuple(line.split(_BETWEEN)) if line else ()
