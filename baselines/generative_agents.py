"""Generative Agents: a memory stream with importance, retrieved by recency, relevance and importance, and reflection.

Reading: each document is created, and the engine rates its importance from 1 to 10. Reflection: a counter
starts at 150 and falls by the importance of each new document; once a step finds it at 0 or less, the engine
asks 3 focal questions about the newest documents, entries are retrieved for each, and up to 5 insights for
each are created, each with the ids of the entries that it rests on; the counter restarts. Nothing is updated
or deleted. Answering: retrieve for the question, then the engine's answer from the entries kept. Source: Park et
al., "Generative Agents" (UIST 2023, arXiv 2304.03442), section 4, and the system's public code.

An entry's retrieval score is the weighted sum of recency, relevance and importance, each scaled to [0, 1] over
the candidates (0.5 where they are all the same). Paper and code differ:

- ``paper``: recency is 0.995 to the power of the hours since the entry was last retrieved or created; all
  weights are 1.
- ``code``: recency is 0.99 to the power of the entry's rank, counted from 1 at the *least* recently accessed
  one, so that what was not touched for long counts as recent; weights are 0.5 for recency, 3 for relevance and
  2 for importance.

How it fits the environment:

- The environment ranks by relevance alone. So a search asks for ``candidates`` entries (a Read's most, 32), and
  the policy re-ranks those with the recency and the importance that it has noted by id, and keeps ``top``;
  these count as accessed. Their relevance is the score shown. All candidates count as shown in the metrics.
- The clock counts hours, as the paper's does, where the text is dated, and else the environment's steps, one for each
  action.
- Reflection costs no look: the Reads for the focal questions ride with the Creates of a chunk, and the insights
  are created with the next action. So focal questions are about the documents of the latest chunk, whose text
  is at hand, and entries are retrieved from the whole memory; one that several focal questions find is shown,
  and used, under the first of them alone. The insights of the last chunk are created with the look at the
  first question, if there is one.
- What a full memory refuses is lost, as the published system has no bound and no way to make room.

With the ``rules`` engine, importance (capitalised words and digits), focal questions (about frequent names) and
insights (sentences with question overlap) are stand-ins that are not the published system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from atommem_env.baselines.common import (
    Clock,
    DocumentReader,
    Info,
    Observation,
    Operations,
    Workflow,
    document_text,
)
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.core.checks import at_least, one_of
from atommem_env.core.ledger import Ledger
from atommem_env.core.operations import MAX_K, Create, Operation, Read
from atommem_env.core.types import RetrievedEntry

FOCAL_QUESTIONS: Final = 3
INSIGHTS: Final = 5
REFLECT_AFTER: Final = 150


class Weights(NamedTuple):
    """How much each part of a retrieval score counts."""

    recency: float
    relevance: float
    importance: float


VARIANTS: Final = {"paper": Weights(1.0, 1.0, 1.0), "code": Weights(0.5, 3.0, 2.0)}
"""The variants and their weights."""


def recency_by_age(last: Sequence[float], now: float) -> list[float]:
    """Return 0.995 to the power of the hours, or steps, since each entry's last access (the paper's recency)."""
    return [0.995 ** (now - step) for step in last]


def recency_by_rank(last: Sequence[float]) -> list[float]:
    """Return 0.99 to the power of each entry's rank, 1 for the least recently accessed (the code's recency).

    Entries last accessed at the same step rank in the order given.
    """
    ranks = [0.0] * len(last)
    for rank, place in enumerate(sorted(range(len(last)), key=lambda place: last[place]), 1):
        ranks[place] = 0.99**rank
    return ranks


def scaled(values: Sequence[float]) -> list[float]:
    """Return ``values`` scaled so that the least is 0 and the greatest 1; all 0.5 when they are the same."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    return [(value - low) / (high - low) if high > low else 0.5 for value in values]


def combined(
    weights: Weights, recency: Sequence[float], relevance: Sequence[float], importance: Sequence[float]
) -> list[float]:
    """Return the retrieval score of each candidate: the weighted sum of its scaled parts."""
    parts = zip(scaled(recency), scaled(relevance), scaled(importance), strict=True)
    return [
        weights.recency * recent + weights.relevance * relevant + weights.importance * important
        for recent, relevant, important in parts
    ]


class Remembered(NamedTuple):
    """What is noted about an entry: its importance (1 to 10), and the hour or step of its last access."""

    importance: int
    last: float


class GenerativeAgents(Workflow):
    """Stores documents by importance, reflects on them, and retrieves by three measures.

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.
        variant: ``"paper"`` or ``"code"``.
        candidates: how many entries a search asks the environment for, from 1 to 32.
        top: how many of them are kept, from 1; the environments' own ``top_k`` by default.
        reflect_after: the importance that sets off a reflection, from 1.

    Raises:
        ValueError: when an argument is out of range, or the engine lacks an ability.
    """

    name = "generative-agents"
    needs = ("rate_importance", "focal_questions", "insights")

    def __init__(
        self,
        engine: EngineSpec = "auto",
        variant: str = "paper",
        candidates: int = MAX_K,
        top: int = 6,
        reflect_after: int = REFLECT_AFTER,
    ) -> None:
        super().__init__(engine)
        self.variant: str = one_of("variant", variant, tuple(VARIANTS))
        self.candidates = at_least("candidates", candidates, 1)
        if candidates > MAX_K:
            raise ValueError(f"candidates={candidates}: a Read shows at most {MAX_K} entries")
        self.top = at_least("top", top, 1)
        self.reflect_after = at_least("reflect_after", reflect_after, 1)
        self._begin()

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._begin()

    def _begin(self) -> None:
        self._reader = DocumentReader(self._rules.entry_tokens)
        self._memory: Ledger[Remembered] = Ledger()
        self._clock = Clock()
        self._left = self.reflect_after
        self._focal: list[str] = []
        self._looked = -1

    def notice(self, observation: Observation) -> None:
        """Take in the time, and what became of the last action."""
        self._clock.follow(observation)
        self._memory.follow(observation)

    # --- reading ------------------------------------------------------------------------------------

    def read_chunk(self, observation: Observation) -> Operations:
        """Create the insights that are due and the documents, and search for what is to be reflected on."""
        insights = self._insights(observation)
        documents = [
            document_text(document.title, document.text) for document in self._reader.read(observation)
        ]
        ratings = [self.engine.rate_importance(document) for document in documents]
        action = self._create([*insights, *zip(documents, ratings, strict=True)])
        self._left -= sum(ratings)
        if documents and self._left <= 0:
            self._left = self.reflect_after
            self._focal = self._ask(documents)
        return [*action, *(Read(question, self.candidates) for question in self._focal)]

    def _ask(self, documents: Sequence[str]) -> list[str]:
        """Return the focal questions about ``documents``, each once."""
        asked = self.engine.focal_questions(documents, FOCAL_QUESTIONS)
        return list(dict.fromkeys(question for question in asked if question.strip()))[:FOCAL_QUESTIONS]

    def _insights(self, observation: Observation) -> list[tuple[str, int]]:
        """Return the insights that the last action's search gives rise to, each with its importance."""
        found: list[tuple[str, int]] = []
        for number, question in enumerate(self._focal):
            hits = [entry for entry in observation["retrieved"] if entry["query"] == number]
            kept = self._retrieve(hits)
            texts = [entry["content"] for entry in kept]
            for insight in self.engine.insights(question, texts, INSIGHTS)[:INSIGHTS] if texts else ():
                ids = [kept[place]["id"] for place in insight.evidence if 0 <= place < len(kept)]
                if insight.text.strip():
                    found.append(
                        (_with_evidence(insight.text, ids), self.engine.rate_importance(insight.text))
                    )
        self._focal = []
        return found

    def _create(self, rated: Sequence[tuple[str, int]]) -> list[Operation]:
        """Return the Creates of texts with their importance, and expect them."""
        self._memory.expect(Remembered(importance, self._clock.hours) for _, importance in rated)
        return [Create(text) for text, _ in rated]

    # --- answering ----------------------------------------------------------------------------------

    def answer_question(self, observation: Observation) -> Operations:
        """Look with the question, then answer from the entries kept."""
        if self._looked != observation["cursor"] and observation["looks_left"] > 0:
            self._looked = observation["cursor"]
            insights = self._create(self._insights(observation))
            return [*insights, Read(observation["questions"][0], self.candidates)]
        kept = self._retrieve(observation["retrieved"])
        return self.answer(observation, [entry["content"] for entry in kept])

    # --- retrieval ----------------------------------------------------------------------------------

    def _retrieve(self, hits: Sequence[RetrievedEntry]) -> list[RetrievedEntry]:
        """Return the best of ``hits`` by retrieval score, best first, and touch them."""
        unknown = Remembered(1, self._clock.hours)  # an entry that another hand wrote
        notes = [self._memory.records.get(hit["id"], unknown) for hit in hits]
        last = [note.last for note in notes]
        recency = (
            recency_by_age(last, self._clock.hours) if self.variant == "paper" else recency_by_rank(last)
        )
        scores = combined(
            VARIANTS[self.variant],
            recency,
            [hit["score"] for hit in hits],
            [note.importance for note in notes],
        )
        order = sorted(range(len(hits)), key=lambda place: (-scores[place], place))[: self.top]
        for place in order:
            id, note = hits[place]["id"], notes[place]
            if id in self._memory.records:
                self._memory.records[id] = note._replace(last=self._clock.hours)
        return [hits[place] for place in order]


def _with_evidence(text: str, ids: Sequence[int]) -> str:
    return f"{text} (because of {', '.join(map(str, ids))})" if ids else text
