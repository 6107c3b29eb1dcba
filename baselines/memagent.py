"""MemAgent: one memory of bounded size, overwritten at every chunk.

Reading: ``Update(SCRATCHPAD, compress(questions, memory, chunk))``, at most ``budget_tokens`` tokens (1024).
Answering: from the scratchpad alone, without a look. Source: MemAgent, arXiv 2507.02259; its own setting
reads chunks of 5000 tokens without overlap, here every workflow gets the environment's chunks.

With the ``rules`` engine, compression is a stand-in that is not the published system: it keeps the sentences
with the highest question overlap that fit.
"""

from __future__ import annotations

from atommem_env.baselines.common import Info, Observation, Operations, Workflow
from atommem_env.baselines.engine import Engine
from atommem_env.operations import SCRATCHPAD, Update

_SHRINK = 0.75


class MemAgent(Workflow):
    """Rewrites one memory at every chunk.

    When the environment refuses a memory as too long (its limit is smaller, or its tokenizer counts more),
    the budget shrinks by a quarter for the chunks that follow.

    Args:
        engine: what does the language work: a name or an engine.
        budget_tokens: the most tokens of the memory, from 1.

    Raises:
        ValueError: when ``budget_tokens`` is less than 1.
    """

    name = "memagent"

    def __init__(self, engine: str | Engine = "rules", budget_tokens: int = 1024) -> None:
        super().__init__(engine)
        if budget_tokens < 1:
            raise ValueError(f"budget_tokens={budget_tokens}: expected 1 or more, for example 1024")
        self.budget_tokens = budget_tokens
        self._budget = budget_tokens

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        self._budget = self.budget_tokens

    def read_chunk(self, observation: Observation) -> Operations:
        """Write the memory anew, from itself and the chunk; leave it when it would be empty."""
        if any(result["reason"] == "too_long" for result in observation["results"]):
            self._budget = max(1, int(self._budget * _SHRINK))
        memory = self.engine.compress(
            observation["questions"], observation["scratchpad"], observation["chunk"], self._budget
        )
        return [Update(SCRATCHPAD, memory)] if memory.strip() else []

    def answer_question(self, observation: Observation) -> Operations:
        """Answer from the scratchpad alone."""
        passages = [block for block in observation["scratchpad"].split("\n\n") if block.strip()]
        return self.answer(observation, passages)
