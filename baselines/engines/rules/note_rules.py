"""Notes without a model: a stand-in for A-Mem's prompts, which is not the published system.

Keywords are a note's names, tags its most frequent words, its context is its first sentence. A note is linked
to those that it names, that name it, or that share much of its vocabulary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from atommem_env.baselines.engines.engine import Evolution, NeighbourEdit, NoteDescription
from atommem_env.baselines.engines.rules.passages import Passage, mentions, read_passages
from atommem_env.baselines.engines.rules.spans import names
from atommem_env.baselines.notes import Note, read_note
from atommem_env.core.words import STOP_WORDS
from atommem_env.text import tokens

_KEYWORDS: Final = 5
_TAGS: Final = 3
_MOST_TAGS: Final = 6
_ALIKE: Final = 0.25
_SHORTEST_TAG: Final = 4
_CONTEXT_CHARACTERS: Final = 300


def describe_note(text: str) -> NoteDescription:
    """Return the first names of ``text`` as keywords, its most frequent words as tags, its first sentence."""
    words = _content_words(text)
    keywords = _names_then_words(text)
    tags = [word for word, _ in Counter(words).most_common() if len(word) >= _SHORTEST_TAG and word.isalpha()]
    return NoteDescription(
        tuple(keywords[:_KEYWORDS]),
        tuple(tags[:_TAGS]),
        _passage(text).opening[:_CONTEXT_CHARACTERS],
    )


def evolve(note: str, neighbours: Sequence[str]) -> Evolution:
    """Link ``note`` to the neighbours that belong to it, and say so in their context and both sides' tags.

    A neighbour belongs to a note when one names the title of the other, or when they share a quarter of the
    content words of both.
    """
    own = read_note(note)
    notes = [read_note(neighbour) for neighbour in neighbours]
    linked = [place for place, other in enumerate(notes) if _belong(own, other)]
    title = _passage(own.content).title
    edits = {
        place: NeighbourEdit(_tags([*notes[place].tags, *own.tags]), _with_title(notes[place].context, title))
        for place in linked
    }
    tags = _tags([*own.tags, *(tag for place in linked for tag in notes[place].tags)])
    return Evolution(tuple(linked), tags, edits)


def keyword_query(question: str) -> str:
    """Return the names of ``question``, then its other content words; the question itself if it has none."""
    return " ".join(_names_then_words(question)) or question


def _belong(left: Note, right: Note) -> bool:
    one, other = _passage(left.content), _passage(right.content)
    if mentions(one.text, [other]) or mentions(other.text, [one]):
        return True
    shared = len(one.stems & other.stems)
    return shared >= _ALIKE * len(one.stems | other.stems) > 0


def _passage(text: str) -> Passage:
    return next(iter(read_passages([text])), Passage("", "", ""))


def _content_words(text: str) -> list[str]:
    return [word for word in tokens(text) if word not in STOP_WORDS]


def _names_then_words(text: str) -> list[str]:
    """Return the names of ``text``, then the content words that are in none of them, each once."""
    found = [name.text for name in names(text)]
    named = {word for name in found for word in tokens(name)}
    return list(dict.fromkeys([*found, *(word for word in _content_words(text) if word not in named)]))


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))[:_MOST_TAGS]


def _with_title(context: str, title: str) -> str:
    """Return ``context`` with the title of a note that belongs to it, once."""
    return context if not title or title in context else f"{context} See also {title}.".strip()
