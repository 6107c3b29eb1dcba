"""What a trainer knows of an episode's texts, and a policy never sees: which of them hold the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from atommem_env.core.types import Gold, GoldUnit
from atommem_env.data.records import SUPERSEDED, SUPPORTING
from atommem_env.discrete.notes import Array, Note
from atommem_env.evidence import Matcher, WordShares, gold_units
from atommem_env.retrieval.bm25 import K1, B
from atommem_env.text import tokens


class EvidenceHeld:
    """The evidence of one episode, and which of it some of its texts hold.

    Args:
        gold: ``info["gold"]``; what is superseded in it counts for nothing.
        questions: the episode's questions.
        word_shares: the environment's, or ``None``: every word is rare.
        top_k: how many entries a look shows.
    """

    def __init__(
        self,
        gold: Sequence[Gold],
        questions: Sequence[str],
        word_shares: WordShares | None = None,
        top_k: int = 6,
    ) -> None:
        units = gold_units(
            [
                {**question, "evidence": [unit for unit in question["evidence"] if _supports(unit)]}
                for question in gold
            ]
        )
        asked = [Counter(tokens(question)) for question in questions]
        self._words = list(dict.fromkeys(word for words in asked for word in words))
        self._asks = np.array([[words[word] for word in self._words] for words in asked])
        self._top_k = top_k
        self._matcher = Matcher(units, word_shares)
        self._question_of = np.array([unit.question for unit in units], np.intp)
        each = np.bincount(self._question_of, minlength=len(questions))
        self._worth = 1 / (each[self._question_of] * max(int((each > 0).sum()), 1))
        self._units: dict[Note, list[int]] = {}
        self._counts: dict[Note, Array] = {}
        self._seen: set[int] = set()

    @property
    def num_questions(self) -> int:
        """How many questions there are."""
        return len(self._asks)

    def take(self, note: Note, text: str) -> None:
        """Note what ``text`` holds; call it with every text before it is asked about."""
        if note not in self._units:
            self._units[note] = self._matcher.held(text)
            words = tokens(text)
            self._counts[note] = np.array([words.count(word) for word in self._words], np.float32)

    def serves(self, note: Note) -> Array:
        """Return whether a text holds evidence of each question, shape (Q,)."""
        served = np.zeros(len(self._asks), np.float32)
        served[self._question_of[self._units[note]]] = 1
        return served

    def held(self, notes: Sequence[Note | None]) -> float:
        """Return the share of the evidence that texts hold: the mean over the questions that have any."""
        units = {unit for note in notes if note is not None for unit in self._units[note]}
        return float(self._worth[sorted(units)].sum())

    def see(self, question: int, notes: Sequence[Note]) -> None:
        """Note that these texts were shown when a question was asked."""
        self._seen.update(
            unit for note in notes for unit in self._units[note] if self._question_of[unit] == question
        )

    def read(self, notes: Sequence[Note | None], answered: int = 0) -> float:
        """Return the share that was seen, or that a look with each open question would show of these texts.

        The look is the built-in one: the best ``top_k`` by BM25+. The first ``answered`` questions are not open.
        """
        held = sorted([note for note in notes if note is not None], key=lambda note: note.order)
        if not any(self._units[note] for note in held):
            return float(self._worth[sorted(self._seen)].sum())
        scores = self._scores(held)
        places = np.argsort(np.argsort(-scores, axis=0, kind="stable"), axis=0)
        hits = (places < self._top_k) & (scores > 0)
        shown = {
            unit
            for note, hit in zip(held, hits, strict=True)
            for unit in self._units[note]
            if self._question_of[unit] >= answered and hit[self._question_of[unit]]
        }
        return float(self._worth[sorted(shown | self._seen)].sum())

    def _scores(self, notes: Sequence[Note]) -> Array:
        """Return the scores of texts for the questions, shape (texts, Q), were they all that the store holds.

        What BM25+ adds to every text alike is left out.
        """
        counts = np.stack([self._counts[note] for note in notes])
        lengths = np.array([note.length for note in notes])
        spread = K1 * (1 - B + B * lengths / lengths.mean())
        gain = counts * (K1 + 1) / (counts + spread[:, None])
        rarity = np.log((len(notes) + 1) / np.maximum((counts > 0).sum(0), 1))
        return np.asarray((gain * rarity) @ self._asks.T, np.float32)


def _supports(unit: GoldUnit) -> bool:
    return unit.get("role", SUPPORTING) != SUPERSEDED
