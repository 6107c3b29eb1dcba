"""Write everything: the control that keeps each chunk verbatim, one entry per chunk.

Reading: ``Create(chunk)``; one that begins inside a session is stored under that session's header, so that every
entry says when it was said. Answering: ``Read(question)``, then the engine's answer from the chunks shown.
Nothing is lost but what a capacity or an entry's size refuses; finding it again is left to the retriever, and
reading whole chunks to the engine.
"""

from __future__ import annotations

from atommem_env.baselines.common import LookThenAnswer, Observation, Operations
from atommem_env.core.operations import Create


class WriteEverything(LookThenAnswer):
    """Stores every chunk as it is.

    Args:
        engine: what does the language work: a name or an engine.
    """

    name = "write-everything"

    def read_chunk(self, observation: Observation) -> Operations:
        """Store the chunk."""
        return [Create(self.chunk(observation))]
