"""MemAgent: one memory of bounded size, overwritten at every chunk.

Reading: ``Update(SCRATCHPAD, compress(questions, memory, chunk))``, at most ``budget_tokens`` tokens (1024).
Answering: from the scratchpad alone, without a look. Source: MemAgent, arXiv 2507.02259; its own setting
reads chunks of 5000 tokens without overlap, here every workflow gets the environment's chunks.

With the ``rules`` engine, compression is a stand-in that is not the published system: it keeps the sentences
with the highest question overlap that fit; while nothing is asked, those with the most names and numbers.
"""

from __future__ import annotations

from atommem_env.baselines.common import Info, Observation, Operations, ScratchpadBudget, Workflow, blocks
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.core.operations import SCRATCHPAD, Update


class MemAgent(Workflow):
    """Rewrites one memory at every chunk.

    Args:
        engine: what does the language work: a name or an engine.
        budget_tokens: the most tokens of the memory, from 1; less where the environment allows less (see
            :class:`~atommem_env.baselines.common.ScratchpadBudget`).

    Raises:
        ValueError: when ``budget_tokens`` is less than 1.
    """

    name = "memagent"

    def __init__(self, engine: EngineSpec = "auto", budget_tokens: int = 1024) -> None:
        super().__init__(engine)
        self._budget = ScratchpadBudget(budget_tokens)

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._budget.reset(self._rules)

    def read_chunk(self, observation: Observation) -> Operations:
        """Rewrite the memory, from itself and the chunk; leave it when it would be empty."""
        self._budget.follow(observation)
        memory = self.engine.compress(
            observation["questions"], observation["scratchpad"], self.chunk(observation), self._budget.tokens
        )
        return [Update(SCRATCHPAD, memory)] if memory.strip() else []

    def answer_question(self, observation: Observation) -> Operations:
        """Answer from the scratchpad alone."""
        return self.answer(observation, blocks(observation["scratchpad"]))
