"""Abstain: the control that says of every question that it is not answered.

Reading: an empty action at every chunk. Answering: the task's phrase for abstaining (``rules.abstain``), or
``unknown`` where it has none. It is right on the questions without an answer and on no other, which is what a
policy that abstains too often comes to.
"""

from __future__ import annotations

from atommem_env.baselines.common import Observation, Operations, Workflow
from atommem_env.baselines.engines.engine import UNKNOWN


class Abstain(Workflow):
    """Abstains from every question.

    Args:
        engine: not used.
    """

    name = "abstain"

    def answer_question(self, observation: Observation) -> Operations:
        """Abstain."""
        return [self.say(UNKNOWN)]
