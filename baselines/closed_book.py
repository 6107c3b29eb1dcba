"""Closed book: the control that reads nothing and answers from the question alone.

Reading: an empty action at every chunk. Answering: the engine's answer without passages, no look. What it
scores is what guessing is worth; a memory is worth what it adds to that.
"""

from __future__ import annotations

from atommem_env.baselines.common import Observation, Operations, Workflow


class ClosedBook(Workflow):
    """Answers without memory.

    Args:
        engine: what does the language work: a name or an engine.
    """

    name = "closed-book"

    def answer_question(self, observation: Observation) -> Operations:
        """Answer from the question alone."""
        return self.answer(observation, [])
