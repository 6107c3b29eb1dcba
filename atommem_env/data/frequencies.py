"""How many of a dataset's documents have each word: what makes a word rare, counted once at conversion."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from atommem_env.text import distinct_tokens

WORDS: Final = "words.u4"
"""The file of counts in a converted dataset: the number of documents, the words' keys ascending, their counts."""

_MANY_WORDS: Final = 1 << 12
"""So many words are counted at once."""

_MOST_KNOWN: Final = 1 << 14
"""So many words, and those of one more look-up, are remembered with their shares."""


class WordCounter:
    """Counts, for each word, the documents that have it; memory grows by about 150 bytes a distinct word."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._words: list[str] = []
        self._documents = 0

    def add(self, text: str) -> None:
        """Count a document: a titled paragraph, a chat's session, or one fact of a list."""
        self._words += distinct_tokens(text)
        self._documents += 1
        if len(self._words) >= _MANY_WORDS:
            self._count()

    def _count(self) -> None:
        self._counts.update(self._words)
        self._words.clear()

    def write(self, folder: Path) -> int:
        """Write the counts into ``folder`` and return the file's size in bytes."""
        self._count()
        keys = np.fromiter(map(_key, self._counts), np.uint32, len(self._counts))
        counts = np.fromiter(self._counts.values(), np.uint32, len(self._counts))
        keys, places = np.unique(keys, return_inverse=True)
        summed = np.zeros(len(keys), np.uint32)
        np.add.at(summed, places, counts)
        data = np.concatenate([np.array([self._documents], np.uint32), keys, summed]).astype("<u4")
        (folder / WORDS).write_bytes(data.tobytes())
        return data.nbytes


class WordFrequencies:
    """The share of a dataset's documents that have a word: a mapped file, looked up by the words asked for alone.

    Words are found by 32 bits of their content, so that two of a million may share a count.
    """

    def __init__(self, folder: Path) -> None:
        data: npt.NDArray[np.uint32] = np.asarray(np.memmap(folder / WORDS, "<u4", mode="r"))
        middle = 1 + (len(data) - 1) // 2
        self._keys, self._counts = data[1:middle], data[middle:]
        self._documents = int(data[0])
        self._known: dict[str, float] = {}

    def shares(self, words: Iterable[str]) -> dict[str, float]:
        """Return, for each of ``words`` (search tokens), the share of documents that have it, in (0, 1).

        One document is thought to be added that has none of them: in a dataset of a single document, a word of it
        has the share one half. A word that no document has counts as if one had.
        """
        known = self._known
        shares = {word: known.get(word, -1.0) for word in words}
        new = [word for word, share in shares.items() if share < 0]
        if new:
            found = self._look_up(new)
            shares.update(found)
            if len(known) > _MOST_KNOWN:
                known.clear()
            known.update(found)
        return shares

    def _look_up(self, words: list[str]) -> dict[str, float]:
        documents = self._documents + 1
        if not len(self._keys):
            return dict.fromkeys(words, 1 / documents)
        keys = np.fromiter(map(_key, words), np.uint32, len(words))
        places = self._keys.searchsorted(keys)
        here = self._keys.take(places, mode="clip") == keys
        counts = self._counts.take(places, mode="clip").tolist()
        return {
            word: (count if known else 1) / documents
            for word, count, known in zip(words, counts, here.tolist(), strict=True)
        }


def _key(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))
