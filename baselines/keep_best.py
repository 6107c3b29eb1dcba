"""Keep-best: under a capacity, the memory holds the documents that fit the questions best, of all read so far.

Reading: every document (or every sentence, under its document's title) is scored by its best BM25 score
against any one question; while the store has room it is created, and when the store is full it replaces the
worst entry, by ``Delete`` and ``Create``, if it is better. The store has room for the environment's capacity,
or for ``slots`` entries if that is less; without either, everything is created, as RAG does. Answering:
``Read(question)``, then the engine's answer from the entries shown.

Scores are those of BM25+ (Lv and Zhai, CIKM 2011; the defaults of ``rank_bm25.BM25Plus``) over the question's
content words. Document frequencies and the average length are those of everything read so far, so that what
came first is measured with what comes later: at each chunk, its documents are counted, and then all entries
and all its documents are scored again and ranked together. A word that a document lacks adds nothing to its
score, where that library adds ``delta``: a constant for one question, which would make long questions win.

It needs no model and reads everything once: the strongest simple workflow, and the one a learned policy has
to beat.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from atommem_env.baselines.common import (
    DocumentReader,
    Info,
    LookThenAnswer,
    Observation,
    Operations,
    document_text,
)
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.baselines.entries import stamped_sentences
from atommem_env.core.checks import one_of, positive_or_none
from atommem_env.core.ledger import Ledger
from atommem_env.core.operations import Create, Delete
from atommem_env.core.rules import Rules
from atommem_env.core.words import STOP_WORDS
from atommem_env.retrieval.bm25 import DELTA, K1, B
from atommem_env.text import PieceTokenizer, sentences, tokens

UNITS: Final = ("document", "sentence")


def require_questions(rules: Rules, policy: str) -> None:
    """Refuse an environment that does not show its questions while they are needed.

    Raises:
        ValueError: names the switch.
    """
    if rules.questions_shown == "when_asked":
        raise ValueError(
            f"{policy} chooses by the questions while it reads, and questions_shown='when_asked' shows none then: make "
            "the environment with questions_shown='always', or take a policy that needs none, such as rag or recency"
        )


@dataclass(frozen=True, slots=True)
class TextProfile:
    """What a score needs to know of a text: how often each of the questions' words stands in it, and its size.

    Attributes:
        counts: for each word, how often.
        length: the number of its search tokens.
        size: the number of its tokens, as the environment's built-in counter measures contents.
    """

    counts: tuple[int, ...]
    length: int
    size: int


class Relevance:
    """Scores texts against questions, by the document frequencies of all texts counted so far.

    Args:
        questions: the questions.
    """

    def __init__(self, questions: Sequence[str]) -> None:
        wanted = [[word for word in tokens(question) if word not in STOP_WORDS] for question in questions]
        self._places = {
            word: place
            for place, word in enumerate(dict.fromkeys(word for words in wanted for word in words))
        }
        self._questions = [[self._places[word] for word in words] for words in wanted]
        self._held = [0] * len(self._places)
        self._texts = 0
        self._total = 0
        self._tokenizer = PieceTokenizer()

    def count(self, text: str) -> TextProfile:
        """Take ``text`` into the frequencies, and return its profile."""
        words = tokens(text)
        counts = [0] * len(self._places)
        for word in words:
            place = self._places.get(word)
            if place is not None:
                counts[place] += 1
        self._texts += 1
        self._total += len(words)
        for place, count in enumerate(counts):
            self._held[place] += count > 0
        return TextProfile(tuple(counts), len(words), self._tokenizer.count(text))

    def score(self, profile: TextProfile) -> float:
        """Return the best BM25+ score of a text that was counted against any question; 0 without a shared word."""
        spread = K1 * (1 - B + B * profile.length * self._texts / self._total) if self._total else K1
        worth = [
            math.log((self._texts + 1) / self._held[place]) * (DELTA + count * (K1 + 1) / (count + spread))
            if count
            else 0.0
            for place, count in enumerate(profile.counts)
        ]
        return max((sum(worth[place] for place in question) for question in self._questions), default=0.0)


class KeepBest(LookThenAnswer):
    """Keeps the documents, or the sentences, that fit the questions best.

    It notes numbers about each entry, never what the entry says. A text over the environment's limit, or at
    least as long as one that was refused as too long, is not tried.

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.
        unit: what an entry is: ``"document"`` or ``"sentence"``.
        slots: the most entries to keep, from 1; ``None``: as many as the environment allows.

    Raises:
        ValueError: when ``unit`` or ``slots`` is none of these.
    """

    name = "keep-best"

    def __init__(self, engine: EngineSpec = "auto", unit: str = "document", slots: int | None = None) -> None:
        super().__init__(engine)
        self.unit = one_of("unit", unit, UNITS)
        self.slots = positive_or_none("slots", slots)
        self._begin(())

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        require_questions(self._rules, "keep-best")
        self._begin(observation["questions"])
        self._too_long = (self._rules.entry_tokens or math.inf) + 1

    def _begin(self, questions: Sequence[str]) -> None:
        self._reader = DocumentReader(self._rules.entry_tokens)
        self._relevance = Relevance(questions)
        self._entries: Ledger[TextProfile] = Ledger()
        self._too_long = math.inf

    def notice(self, observation: Observation) -> None:
        """Take in what became of the last action."""
        for profile, result in self._entries.follow(observation):
            if result["reason"] == "too_long":
                self._too_long = min(self._too_long, profile.size)

    def read_chunk(self, observation: Observation) -> Operations:
        """Keep the best of the entries and of what the chunk completes."""
        found = [(text, self._relevance.count(text)) for text in self._units(observation)]
        fresh = [(text, profile) for text, profile in found if profile.size < self._too_long]
        entries = self._entries.records
        # By position: the entries, then what is new, so that of equals the earlier stays.
        scores = [
            self._relevance.score(profile) for profile in [*entries.values(), *(new[1] for new in fresh)]
        ]
        best = sorted(range(len(scores)), key=lambda position: (-scores[position], position))
        kept = set(best[: self._room(observation)])
        gone = [id for position, id in enumerate(entries) if position not in kept]
        come = [new for position, new in enumerate(fresh, len(entries)) if position in kept]
        self._entries.expect(profile for _, profile in come)
        return [*(Delete(id) for id in gone), *(Create(text) for text, _ in come)]

    def _room(self, observation: Observation) -> int | None:
        """Return how many entries to keep at most."""
        return min((limit for limit in (observation["capacity"], self.slots) if limit), default=None)

    def _units(self, observation: Observation) -> list[str]:
        documents = self._reader.read(observation)
        if self.unit == "document":
            return [document_text(document.title, document.text) for document in documents]
        return [
            document_text(document.title, sentence)
            for document in documents
            for sentence in (stamped_sentences if document.turns else sentences)(document.text)
        ]
