"""Reservoir: the control that keeps a fair sample of N of all that it has read.

Reading: every document, or every turn of a conversation, is created as RAG does while there is room; of what comes
later, number i takes the place of a random entry with probability N / i, so that at every moment each of those read has
the same chance to be held (algorithm R: Vitter, ACM TOMS 1985). N is ``slots``, or the environment's capacity if
that is less; without either everything is kept. Answering: ``Read(question)``, then the engine's answer from the
entries shown. What the environment refuses as too long leaves its place empty.
"""

from __future__ import annotations

import random

from atommem_env.baselines.common import (
    DocumentReader,
    Info,
    LookThenAnswer,
    Observation,
    Operations,
    document_text,
    drawn_for,
)
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.core.checks import positive_or_none
from atommem_env.core.ledger import Ledger
from atommem_env.core.operations import Create, Delete
from atommem_env.text import digest


class Reservoir(LookThenAnswer):
    """Keeps a random sample of what was read.

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.
        seed: the seed of its generator, together with the id of the task, or of the history.
        slots: the most entries to keep, from 1; ``None``: as many as the environment allows.

    Raises:
        ValueError: when ``slots`` is less than 1.
    """

    name = "reservoir"

    def __init__(self, engine: EngineSpec = "auto", seed: int = 0, slots: int | None = None) -> None:
        super().__init__(engine)
        self.seed = seed
        self.slots = positive_or_none("slots", slots)
        self._begin("")

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._begin(drawn_for(info))

    def _begin(self, unit: str) -> None:
        self._generator = random.Random(int.from_bytes(digest("reservoir", self.seed, unit), "little"))
        self._reader = DocumentReader(self._rules.entry_tokens)
        self._places: Ledger[int] = Ledger()
        self._read = 0

    def notice(self, observation: Observation) -> None:
        """Take in what became of the last action."""
        self._places.follow(observation)

    def read_chunk(self, observation: Observation) -> Operations:
        """Draw which of the texts that the chunk completes take a place, and whose."""
        room = min((limit for limit in (observation["capacity"], self.slots) if limit), default=None)
        drawn: dict[int, str] = {}
        for document in self._reader.read(observation):
            place = self._read
            if room is not None and place >= room:
                place = self._generator.randrange(self._read + 1)
            self._read += 1
            if room is None or place < room:
                drawn[place] = document_text(document.title, document.text)
        gone = [id for id, place in self._places.records.items() if place in drawn]
        self._places.expect(list(drawn))
        return [*map(Delete, gone), *map(Create, drawn.values())]
