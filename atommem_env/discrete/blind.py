"""What a text says while no question is known, as arrays: what a policy can see that has to keep it for later.

It is compared with all that was read (are its words new, is it said often, what came up again since) and with the
texts at hand (is one of them like it, does a newer one say something else of the same). Of a text fingerprints of its
words are noted, never the text, as in :mod:`atommem_env.discrete.notes`.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from atommem_env.core.words import STOP_WORDS, stem, word_set
from atommem_env.discrete.features import TextComparison, rank_among, title_links
from atommem_env.discrete.notes import NO_TITLE, Array, Note, Notes, log_length
from atommem_env.tasks.turns import Turn, without_number
from atommem_env.text import sentences

BLIND_FEATURES: Final = (
    "told",  # how much its fullest sentence says: the rarity of its words, over that of eight that nothing else has
    "rarity",  # how rare its words are, on average
    "own_words",  # the share of its words that no other text has
    "unread_words",  # the share of its words that had not been read before it
    "familiar",  # the share of its pairs of words in a row that another text has, too
    "least_familiar",  # the same of its least familiar sentence
    "names",  # how many words of names it has, over 6
    "own_names",  # the share of them that no other text has
    "numbers",  # how many words with a digit it has, over 3
    "first_person",  # whether it says I, my, we or our
    "asks",  # the share of its sentences that are questions
    "assistant",  # whether an assistant says it
    "change",  # whether it has a word that says that something is new, or over
    "length",  # its length, on a logarithmic scale
    "before",  # how many texts had its rarest known word when it was read, over 10
    "lately",  # how lately that word had come up: 1 in the text before, a half ten texts before
    "since",  # how many texts had a word since that was rare when it was read, over 5
    "contradicts",  # an older text compared says something else of the same
    "contradicted",  # a newer text, read by now, does
    "same_title",  # how many other texts compared have its title, over 2
    "newer_same_title",  # whether one of them was read later
    "mentions",  # how many titles of texts compared it mentions, over 5
    "mentioned",  # how many texts compared mention its title, over 5
    "rank_held",  # falls with its place among the entries held now, by the first of these
    "like_held",  # how like it the entry is, of those held now, that is most like it
    "like_newer",  # the same among those that were read later
)
"""What is said of a text; all in [0, 1]."""

_WORD: Final = re.compile(r"\w+")
_DIGIT: Final = re.compile(r"\d")
_FIRST_PERSON: Final = word_set("i my me mine we our us myself")
_CHANGE: Final = word_set(
    "new now anymore longer instead changed moved became former current currently since"
)
_FULL: Final = 8.0
_KNOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence, as fingerprints in its order.

    Attributes:
        plain: its words without stop words, names and numbers, by their stems.
        values: its names and numbers.
        pairs: its words in a row, two by two.
    """

    plain: tuple[int, ...]
    values: tuple[int, ...]
    pairs: tuple[int, ...]


@dataclass(slots=True, eq=False)
class BlindNote(Note):
    """The numbers noted of one text while no question is known.

    Attributes:
        statements: its sentences.
        words: the fingerprints of its content words, each once.
        own: the features that no later text changes: those from ``names`` to ``length`` but ``own_names``, then
            ``unread_words``, ``before`` and ``lately``.
        known: the words that were rare when it was read, each with how many texts had it then.
        contradicted: how much a newer text says something else of the same, as far as was seen.
    """

    statements: tuple[Statement, ...]
    words: tuple[int, ...]
    own: dict[str, float]
    known: tuple[tuple[int, int], ...]
    contradicted: float = 0.0


class BlindNotes(Notes):
    """Makes the notes of one episode's texts while no question is known, and counts over all of them."""

    def __init__(self) -> None:
        super().__init__(("",))
        self._times: Counter[int] = Counter()
        self._pairs: Counter[int] = Counter()
        self._last: dict[int, int] = {}

    def take(self, title: str, text: str, turn: Turn | None = None) -> BlindNote:
        """Take a text into the counts and return its note."""
        note = super().take(title, text)
        said = f"{title}. {text}" if turn is None and title else text if turn is None else turn.text
        lines = [said] if turn is None or turn.speaker else [*map(without_number, said.split("\n"))]
        said = "\n".join(lines)
        parts = [part for line in lines for part in sentences(line)]
        statements = tuple([_statement(part) for part in parts])
        words = tuple(dict.fromkeys(word for one in statements for word in (*one.plain, *one.values)))
        before = [(self._times[word], word) for word in words if self._times[word]]
        rarest = min(before, key=lambda item: item[0], default=None)
        raw = {word.casefold() for word in _WORD.findall(said)}
        digits = sum(_DIGIT.search(word) is not None for word in _WORD.findall(said))
        own = {
            "names": (sum(len(one.values) for one in statements) - digits) / 6,
            "numbers": digits / 3,
            "first_person": float(not raw.isdisjoint(_FIRST_PERSON)),
            "asks": sum(part.rstrip().endswith("?") for part in parts) / max(len(parts), 1),
            "assistant": float(turn is not None and turn.speaker.casefold() == "assistant"),
            "change": float(not raw.isdisjoint(_CHANGE)),
            "length": log_length(note.length),
            "unread_words": 1 - len(before) / max(len(words), 1),
            "before": rarest[0] / 10 if rarest else 0.0,
            "lately": 10 / (9 + note.order - self._last[rarest[1]]) if rarest else 0.0,
        }
        self._times.update(words)
        self._pairs.update({pair for one in statements for pair in one.pairs})
        self._last.update(dict.fromkeys(words, note.order))
        known = tuple([(word, self._times[word]) for word in words if self._times[word] <= _KNOWN])
        fields = {name: getattr(note, name) for name in Note.__slots__}
        return BlindNote(**fields, statements=statements, words=words, own=own, known=known)

    def rarity(self, word: int) -> float:
        """Return how rare a word is among all texts read: 1 where one alone has it."""
        return math.log((self._texts + 1) / max(self._times[word], 1)) / math.log(self._texts + 1)

    def row(self, note: BlindNote) -> dict[str, float]:
        """Return what all that was read by now says of a text."""
        rare = {word: self.rarity(word) for word in note.words}
        names = [word for one in note.statements for word in one.values]
        pairs = [[self._pairs[pair] > 1 for pair in one.pairs] for one in note.statements]
        familiar = [sum(seen) / len(seen) for seen in pairs if seen]
        every = list(itertools.chain.from_iterable(pairs))
        told = [sum(rare[word] for word in {**dict.fromkeys(one.plain), **dict.fromkeys(one.values)})
                for one in note.statements]  # fmt: skip
        return {
            **note.own,
            "told": max(told, default=0.0) / _FULL,
            "rarity": sum(rare.values()) / max(len(rare), 1),
            "own_words": sum(self._times[word] == 1 for word in note.words) / max(len(note.words), 1),
            "familiar": sum(every) / max(len(every), 1),
            "least_familiar": min(familiar, default=1.0),
            "own_names": sum(self._times[word] == 1 for word in names) / max(len(names), 1),
            "since": max((self._times[word] - times for word, times in note.known), default=0) / 5,
        }


class BlindComparison:
    """Texts next to one another while no question is known.

    Args:
        notes: where the texts were taken.
        texts: the texts' notes: the entries', then those at hand.
    """

    def __init__(self, notes: BlindNotes, texts: Sequence[BlindNote]) -> None:
        count = len(texts)
        self._features = np.zeros((count, len(BLIND_FEATURES) - 3), np.float32)
        order = np.array([note.order for note in texts])
        self._newer = order[None] > order[:, None]
        self._like, other = _pairs(notes, texts)
        mentions, same = title_links(texts)
        titled = np.array([note.title != NO_TITLE for note in texts])
        same = same * titled[:, None]
        mentions = mentions * titled
        newer = (other * self._newer).max(1, initial=0)
        for note, value in zip(texts, newer.tolist(), strict=True):
            note.contradicted = max(note.contradicted, value)
        columns = {
            "contradicts": (other * self._newer.T).max(1, initial=0),
            "contradicted": [note.contradicted for note in texts],
            "same_title": same.sum(1) / 2,
            "newer_same_title": (same * self._newer).max(1, initial=0),
            "mentions": mentions.sum(1) / 5,
            "mentioned": mentions.sum(0) / 5,
        }
        rows = [notes.row(note) for note in texts]
        for place, name in enumerate(BLIND_FEATURES[:-3]):
            self._features[:, place] = columns[name] if name in columns else [row[name] for row in rows]
        np.clip(self._features, 0, 1, out=self._features)

    def beside(self, rows: Sequence[int], held: Sequence[int]) -> Array:
        """Return the features of some texts next to the entries held, of shape (rows, 1, features)."""
        texts, entries = self._features[list(rows), None], self._features[list(held), None]
        table = np.ix_(np.asarray(rows, np.intp), np.asarray(held, np.intp))
        like = self._like[table]
        newer = like * self._newer[table]
        last = np.stack([like.max(1, initial=0), newer.max(1, initial=0)], axis=1)
        ranked = np.concatenate([texts, rank_among(texts, entries)], axis=2)
        return np.concatenate([ranked, last[:, None]], axis=2)


def compare(notes: Notes, texts: Sequence[Note]) -> TextComparison | BlindComparison:
    """Compare texts with the questions, or without them where ``notes`` know none, and with one another."""
    if isinstance(notes, BlindNotes):
        return BlindComparison(notes, [note for note in texts if isinstance(note, BlindNote)])
    return TextComparison(notes, texts)


def _statement(sentence: str) -> Statement:
    words = _WORD.findall(sentence)
    capital = [word[0].isupper() and word != "I" for word in words]
    plain: list[int] = []
    values: list[int] = []
    for place, word in enumerate(words):
        following = place + 1 < len(words) and capital[place + 1]
        small = word.casefold()
        if _DIGIT.search(word) or (capital[place] and (place or following) and small not in STOP_WORDS):
            values.append(hash(small))
        elif small not in STOP_WORDS:
            plain.append(hash(stem(small)))
    small_words = [word.casefold() for word in words]
    return Statement(tuple(plain), tuple(values), tuple(map(hash, itertools.pairwise(small_words))))


def _pairs(notes: BlindNotes, texts: Sequence[BlindNote]) -> tuple[Array, Array]:
    """Return how like each other texts are, and how much they say different things of the same, without selves.

    Sentences are compared by their words, each weighted by how rare it is: they are alike by the share that both
    have. They speak of the same when they share what is rare, and one's plain words are the other's; and they say
    something else of it when their names and numbers differ.
    """
    statements = [one for note in texts for one in note.statements or (Statement((), (), ()),)]
    first = np.cumsum([0, *(max(len(note.statements), 1) for note in texts)])[:-1]
    plain, both = (
        _incidence([one.plain for one in statements]),
        _incidence([(*one.plain, *one.values) for one in statements]),
    )
    values = _incidence([one.values for one in statements])
    shared = _shared(notes, *both)
    shared_plain, shared_values = _shared(notes, *plain), _shared(notes, *values)
    total, plain_total, value_total = (np.diagonal(part) for part in (shared, shared_plain, shared_values))
    like = shared / np.maximum(np.maximum.outer(total, total), 1e-6)
    within = shared_plain / np.maximum(np.minimum.outer(plain_total, plain_total), 1e-6)
    same = shared_values / np.maximum(np.maximum.outer(value_total, value_total), 1e-6)
    valued = np.minimum.outer(value_total, value_total) > 0
    other = np.minimum(shared, 1) * within * (1 - same) * valued
    found = []
    for part in (like, other):
        by_text = np.maximum.reduceat(np.maximum.reduceat(part, first, 0), first, 1) if texts else part
        np.fill_diagonal(by_text, 0)
        found.append(np.asarray(by_text, np.float32))
    return found[0], found[1]


def _incidence(sentences_words: Sequence[tuple[int, ...]]) -> tuple[Array, list[int]]:
    """Return which sentence has which word, (sentences, words), and the words."""
    places: dict[int, int] = {}
    for words in sentences_words:
        for word in words:
            places.setdefault(word, len(places))
    table = np.zeros((len(sentences_words), len(places)), np.float32)
    for row, words in enumerate(sentences_words):
        table[row, [places[word] for word in words]] = 1
    return table, list(places)


def _shared(notes: BlindNotes, table: Array, words: Sequence[int]) -> Array:
    weight = np.array([notes.rarity(word) for word in words], np.float32)
    return np.asarray((table * weight) @ table.T, np.float32)
