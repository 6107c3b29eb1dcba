"""Oracle: the control that stores the gold paragraphs and nothing else.

Reading: ``Create(title and text)`` of each gold paragraph, at the last chunk that shows some of its evidence (in
parts, where the environment limits entries to less). Answering: ``Read(question)``, then the engine's answer
from the entries shown. Which paragraphs are gold comes from ``info["gold"]`` at reset, of which it reads the
evidence and never the answers. Its score is the ceiling of retriever and engine together; what is missing to 1.0
is theirs.
"""

from __future__ import annotations

from atommem_env.baselines.common import (
    Info,
    LookThenAnswer,
    Observation,
    Operations,
    document_text,
    entry_texts,
)
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.core.operations import Create


class Oracle(LookThenAnswer):
    """Stores only what the questions need.

    Args:
        engine: what does the language work: a name or an engine.
    """

    name = "oracle"

    def __init__(self, engine: EngineSpec = "rules") -> None:
        super().__init__(engine)
        self._plan: dict[int, list[str]] = {}

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode: note which paragraphs to store at which chunk."""
        super().reset(observation, info)
        self._plan = _plan(info, self._rules.get("entry_tokens"))

    def read_chunk(self, observation: Observation) -> Operations:
        """Store the gold paragraphs whose evidence ends in the chunk."""
        return [Create(content) for content in self._plan.get(observation["cursor"], [])]


def _plan(info: Info, limit: int | None) -> dict[int, list[str]]:
    """Return the entries to create, by chunk; each gold paragraph once, in parts where an entry may not hold it."""
    chunk_of: dict[str, int] = {}
    for question in info["gold"]:
        for unit in question["evidence"] or ():
            for part in entry_texts(unit["title"], unit["text"], limit):
                content = document_text(unit["title"], part)
                chunk_of[content] = max(chunk_of.get(content, 0), *unit["chunks"], 0)
    plan: dict[int, list[str]] = {}
    for content, chunk in chunk_of.items():
        plan.setdefault(chunk, []).append(content)
    return plan
