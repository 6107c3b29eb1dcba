"""Words as numbers, the same ones in every index of a process, and what BM25 needs to know of a search."""

from __future__ import annotations

import functools
import itertools
from array import array
from collections import defaultdict
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from atommem_env.text import tokens

# The cache of texts holds at most so many, each of at most so many characters: some 40 MB when all are long.
_TEXTS: Final = 4096
_LONG_TEXT: Final = 4096
# A vocabulary that has more words is given to no further index.
_MANY_WORDS: Final = 1 << 18


class Vocabulary:
    """Numbers for words, in the order in which they turn up, and a cache of the texts that were split lately.

    :meth:`current` is shared by all indices that a process creates, so that a text which several of them hold
    is split once, and a word is kept once. Scores and orders do not depend on the numbers.
    """

    def __init__(self) -> None:
        # A new word is numbered within one call that holds the interpreter's lock: one number, whichever threads ask.
        self._numbers = defaultdict[str, int](itertools.count().__next__)
        self._encode_short = functools.lru_cache(maxsize=_TEXTS)(self._encode)

    def __len__(self) -> int:
        return len(self._numbers)

    @staticmethod
    def current() -> Vocabulary:
        """Return the vocabulary for a new index."""
        global _current
        if len(_current) > _MANY_WORDS:
            _current = Vocabulary()
        return _current

    def encode(self, text: str) -> array[int]:
        """Return the numbers of the tokens of ``text`` (int32), in their order; not to be written."""
        return self._encode_short(text) if len(text) <= _LONG_TEXT else self._encode(text)

    def _encode(self, text: str) -> array[int]:
        return array("i", list(map(self._numbers.__getitem__, tokens(text))))


_current = Vocabulary()


class Search(NamedTuple):
    """What a search asks of an index's tables.

    An entry gains, for every token of the query, weight * times / (times + flat + slope * length), where times is
    how often the entry holds the token and length its number of tokens.

    Attributes:
        weights: what each token of the query weighs; 0 when no entry holds it.
        k: how many hits are wanted; at least 1.
        flat, slope: as above; both above 0.
    """

    weights: list[float]
    k: int
    flat: float
    slope: float


Gains: TypeAlias = Callable[[Search], dict[int, float]]
"""Tells what the entries gain that may be among the best hits, by id."""
