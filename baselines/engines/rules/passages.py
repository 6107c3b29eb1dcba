"""What the rules engine reads: passages with a title, sentences and words, and who is named where."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from atommem_env.baselines.entries import split_stamp
from atommem_env.core.words import STOP_WORDS, bare_title, content_stems
from atommem_env.tasks.documents import split_documents
from atommem_env.text import sentence_spans, tokens

# How many characters of a passage and of one sentence are read: a bound on what a degenerate text can cost.
_READ = 20_000
_SENTENCE = 2_000


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage: its text and the stems of its content words."""

    text: str
    stems: frozenset[str]


@dataclass(frozen=True)
class Passage:
    """A titled text.

    Attributes:
        title: the title as written, ``""`` when there is none.
        name: the title without a final parenthesis, *Lola* for *Lola (1981 film)*.
        text: the text after the title.
    """

    title: str
    name: str
    text: str

    @functools.cached_property
    def name_words(self) -> tuple[str, ...]:
        """The words of the name."""
        return tuple(tokens(self.name))

    @functools.cached_property
    def title_words(self) -> tuple[str, ...]:
        """The words of the whole title."""
        return tuple(tokens(self.title))

    @functools.cached_property
    def stems(self) -> frozenset[str]:
        """The content stems of title and text."""
        return frozenset(content_stems(self.title + "\n" + self.text))

    @functools.cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        """The sentences of the text."""
        parts = (self.text[start : min(end, start + _SENTENCE)] for start, end in sentence_spans(self.text))
        return tuple(Sentence(part, frozenset(content_stems(part))) for part in parts)

    @property
    def opening(self) -> str:
        """The first sentence, which in an encyclopedia says what the title is."""
        return self.sentences[0].text if self.sentences else ""


def read_passages(texts: Iterable[str]) -> list[Passage]:
    """Turn texts into passages, without repeats.

    A text that holds numbered documents, as a chunk does, becomes one passage for each of them. Any other
    is a title, a line break and a text, or, without a line break or with a long first line, a text alone.
    """
    found: dict[Passage, None] = {}
    for text in texts:
        for passage in _read(text):
            found.setdefault(passage)
    return list(found)


@functools.lru_cache(maxsize=512)
def _read(text: str) -> tuple[Passage, ...]:
    if "Document " in text:
        pieces = split_documents(text)
        if any(piece.number is not None for piece in pieces):
            return tuple(_passage(piece.title, piece.text) for piece in pieces)
    title, line_break, rest = text.strip().partition("\n")
    if line_break and len(title) <= 120 and not split_stamp(title)[0]:
        return (_passage(title, rest),)
    return (_passage("", text),)


def _passage(title: str, text: str) -> Passage:
    title = " ".join(title.split())
    return Passage(title, bare_title(title), text.strip()[:_READ])


def find_words(needle: Sequence[str], words: Sequence[str]) -> int:
    """Return where ``needle`` stands in ``words`` as a run, or -1."""
    if not needle:
        return -1
    first, size = needle[0], len(needle)
    for start in range(len(words) - size + 1):
        if words[start] == first and tuple(words[start : start + size]) == tuple(needle):
            return start
    return -1


@dataclass(frozen=True, slots=True)
class Mention:
    """A passage whose name stands in a text: the words ``start`` to ``end`` of that text."""

    start: int
    end: int
    passage: Passage


def mentions(text: str, passages: Sequence[Passage]) -> list[Mention]:
    """Return the passages that ``text`` names, in the order of the text.

    Of names inside one another the longest counts; of two passages of one name, the one whose whole title
    the text gives, else the first. A name that is a plain lower-case word in ``text`` is not a mention.
    """
    words = tokens(text)
    found: list[Mention] = []
    for passage in passages:
        whole = find_words(passage.title_words, words)
        start = whole if whole >= 0 else find_words(passage.name_words, words)
        size = len(passage.title_words if whole >= 0 else passage.name_words)
        if start >= 0 and not _is_plain_word(passage, text):
            found.append(Mention(start, start + size, passage))
    found.sort(key=lambda mention: mention.start - mention.end)
    kept: list[Mention] = []
    for mention in found:
        if all(mention.end <= other.start or mention.start >= other.end for other in kept):
            kept.append(mention)
    return sorted(kept, key=lambda mention: mention.start)


def _is_plain_word(passage: Passage, text: str) -> bool:
    words = passage.name_words
    if len(words) > 1:
        return False
    if words[0] in STOP_WORDS:
        return True
    found = re.search(rf"\b{re.escape(words[0])}\b", text, re.IGNORECASE)
    return found is not None and found.group()[0].islower()


def lookup(name: str, passages: Sequence[Passage]) -> Passage | None:
    """Return the passage that is about ``name``: by title, by name, or by a name within a name."""
    words = tuple(tokens(name))
    if not words:
        return None
    for passage in passages:
        if passage.title_words == words:
            return passage
    bare = tuple(tokens(bare_title(name)))
    for passage in passages:
        if passage.name_words == bare:
            return passage
    return _lookup_partly(bare, passages)


def _lookup_partly(words: tuple[str, ...], passages: Sequence[Passage]) -> Passage | None:
    """Return a passage whose name shares its first and last word with ``words`` or contains them."""
    if len(words) < 2:
        return None
    for passage in passages:
        name = passage.name_words
        if find_words(words, name) >= 0 or (len(name) > 1 and find_words(name, words) >= 0):
            return passage
        if len(name) > 1 and name[-1] == words[-1] and name[0] == words[0]:
            return passage
    for passage in passages:
        if find_words(words, tokens(passage.opening)[:12]) >= 0 and passage.name_words:
            return passage
    return None
