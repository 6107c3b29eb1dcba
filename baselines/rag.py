"""RAG: the paper's vanilla baseline, which stores every document verbatim and never edits.

Reading: ``Create(title and text)`` for each document, as soon as it is complete; a document that a chunk's
border cuts is put together from both chunks. Where the environment limits entries to less than a document, it is
stored in parts of whole sentences, as in every workflow that stores documents. Of a conversation each turn is an entry,
or each session, with who said it and when. Answering: ``Read(question)``
with the environment's ``top_k`` (6), then the engine's answer from the entries shown. Source: AtomMem, arXiv
2601.08323, section 4 ("Vanilla RAG"; each document is stored unchunked).
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
from atommem_env.core.operations import Create


class RAG(LookThenAnswer):
    """Stores every document, retrieves by the question.

    Between chunks it holds at most the one unfinished document, which is not a buffer.

    Args:
        engine: what does the language work: a name or an engine.
        unit: what an entry of a conversation is: ``"turn"`` or ``"session"``.

    Raises:
        ValueError: when ``unit`` is neither.
    """

    name = "rag"

    def __init__(self, engine: EngineSpec = "auto", unit: str = "turn") -> None:
        super().__init__(engine)
        self.unit = unit
        self._reader = DocumentReader(unit=unit)

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._reader = DocumentReader(self._rules.entry_tokens, self.unit)

    def read_chunk(self, observation: Observation) -> Operations:
        """Store the documents that the chunk completes."""
        return [
            Create(document_text(document.title, document.text))
            for document in self._reader.read(observation)
        ]
