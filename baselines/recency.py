"""Recency: the control that keeps the last N entries.

Reading: every document, or every turn of a conversation, is created as RAG does; what is older than the last N is
deleted. N is ``slots``, or the environment's capacity if that is less; without either nothing is deleted. Answering:
``Read(question)``, then the engine's answer from the entries shown.
"""

from __future__ import annotations

from atommem_env.baselines.common import (
    DocumentReader,
    Info,
    LookThenAnswer,
    Observation,
    Operations,
    document_text,
)
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.core.checks import positive_or_none
from atommem_env.core.ledger import Ledger
from atommem_env.core.operations import Create, Delete


class Recency(LookThenAnswer):
    """Keeps what was read last.

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.
        slots: the most entries to keep, from 1; ``None``: as many as the environment allows.

    Raises:
        ValueError: when ``slots`` is less than 1.
    """

    name = "recency"

    def __init__(self, engine: EngineSpec = "auto", slots: int | None = None) -> None:
        super().__init__(engine)
        self.slots = positive_or_none("slots", slots)
        self._reader = DocumentReader()
        self._entries: Ledger[None] = Ledger()

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._reader = DocumentReader(self._rules.entry_tokens)
        self._entries = Ledger()

    def notice(self, observation: Observation) -> None:
        """Take in what became of the last action."""
        self._entries.follow(observation)

    def read_chunk(self, observation: Observation) -> Operations:
        """Store what the chunk completes, and delete what is too old."""
        texts = [document_text(document.title, document.text) for document in self._reader.read(observation)]
        room = self.room(observation)
        if room is not None:
            texts = texts[-room:]
        kept = list(self._entries.records)
        gone = [] if room is None else kept[: max(0, len(kept) + len(texts) - room)]
        self._entries.expect([None] * len(texts))
        return [*map(Delete, gone), *map(Create, texts)]

    def room(self, observation: Observation) -> int | None:
        """Return how many entries to keep at most."""
        return min((limit for limit in (observation["capacity"], self.slots) if limit), default=None)
