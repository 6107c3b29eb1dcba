"""The mix of operations that every store is measured on, the same for each of them."""

from __future__ import annotations

import functools
import random
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

STEPS: Final = 28
CREATES: Final = 3
READS: Final = 0.7
UPDATES: Final = 0.5
DELETES: Final = 0.3
ENTRY_WORDS: Final = (40, 80)
QUERY_WORDS: Final = (6, 14)
TOP_K: Final = 6
VOCABULARY: Final = 8_000
ZIPF_SHIFT: Final = 2.7
WIDTH: Final = 384

DESCRIPTION: Final = (
    f"A rollout is {STEPS} steps. A step is {CREATES} Creates; with probability {UPDATES} an Update and with "
    f"probability {DELETES} a Delete of an entry drawn evenly from those there; and with probability {READS}, as its "
    f"last operation, a Read of the best {TOP_K}. An entry has {ENTRY_WORDS[0]} to {ENTRY_WORDS[1]} words (60 on "
    f"average), a query {QUERY_WORDS[0]} to {QUERY_WORDS[1]} (10 on average), drawn from a vocabulary of "
    f"{VOCABULARY:,} with probability in proportion to 1 / (rank + {ZIPF_SHIFT}). No text comes twice, in a run or "
    f"between runs, so that no cache of texts helps. Embeddings are given: random unit vectors of {WIDTH} float32, "
    "one per text, which atommem_env takes through its encoder and the cache in front of it, at a cost that counts. "
    "Each of these is one operation; making texts, embeddings and empty stores is not timed."
)
"""The mix, in full."""

Vector = npt.NDArray[np.float32]


class Item(NamedTuple):
    """A text and its embedding, a unit vector of shape (384,)."""

    text: str
    vector: Vector


class Op(NamedTuple):
    """One operation of a script.

    Attributes:
        kind: ``"create"``, ``"read"``, ``"update"`` or ``"delete"``.
        id: the entry, counted from 1 in the order of the Creates; 0 for a Read.
        item: what is written or looked for; ``None`` for a Delete.
    """

    kind: str
    id: int
    item: Item | None


Script = list[list[Op]]
"""The operations of one rollout, step by step."""


@functools.lru_cache(maxsize=1)
def _vocabulary() -> tuple[list[str], npt.NDArray[np.float64]]:
    """Return distinct words of four to nine letters, the same every time, and their cumulative shares."""
    generator = random.Random(20)
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        words["".join(generator.choices("etaoinshrdlucmfwypvbgkqjxz", k=generator.randint(4, 9)))] = None
    weights = 1 / (np.arange(1, VOCABULARY + 1) + ZIPF_SHIFT)
    return list(words), np.cumsum(weights[:-1]) / weights.sum()


class Source:
    """Endless texts and embeddings, drawn by the seed alone.

    Args:
        seed: another seed gives other texts.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._numpy = np.random.default_rng(seed)

    def entries(self, count: int) -> list[Item]:
        """Return ``count`` items to store."""
        return self._items(count, ENTRY_WORDS)

    def queries(self, count: int) -> list[Item]:
        """Return ``count`` items to look for."""
        return self._items(count, QUERY_WORDS)

    def texts(self, count: int, words: tuple[int, int] = ENTRY_WORDS) -> list[str]:
        """Return ``count`` texts of so many words, the bounds included."""
        vocabulary, shares = _vocabulary()
        ends = np.cumsum(self._numpy.integers(words[0], words[1] + 1, count)).tolist()
        drawn = np.searchsorted(shares, self._numpy.random(ends[-1] if ends else 0)).tolist()
        return [
            " ".join([vocabulary[word] for word in drawn[start:end]])
            for start, end in zip([0, *ends], ends, strict=False)
        ]

    def _items(self, count: int, words: tuple[int, int]) -> list[Item]:
        vectors = self._numpy.standard_normal((count, WIDTH), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return [Item(text, vector) for text, vector in zip(self.texts(count, words), vectors, strict=True)]

    def script(self, steps: int = STEPS) -> Script:
        """Return the operations of one rollout."""
        draw = self._random
        live: list[int] = []
        made = 0
        script: Script = []
        for _ in range(steps):
            step = []
            for item in self.entries(CREATES):
                made += 1
                live.append(made)
                step.append(Op("create", made, item))
            if draw.random() < UPDATES:
                step.append(Op("update", draw.choice(live), self.entries(1)[0]))
            if draw.random() < DELETES:
                step.append(Op("delete", live.pop(draw.randrange(len(live))), None))
            if draw.random() < READS:
                step.append(Op("read", 0, self.queries(1)[0]))
            script.append(step)
        return script
