"""Learned: a small network chooses, document by document, what the memory holds.

Reading: each document that a chunk completes is compared with the questions and with the entries, and a network
scores the possible choices: skip it, create it, put it in an entry's place, delete an entry; the best is taken
(:mod:`atommem_env.discrete.decisions`). Answering: the same look and the same answer as in the other workflows.

The network was trained by reinforcement learning in ``DiscreteOperations``, after a supervised start, and runs here
in NumPy. Two checkpoints come with the package, and have seen generated data only: one that sees the questions while
it reads, and one for where they are not shown, which is taken there. ``checkpoint="path.npz"`` takes another.

Source: the claim that a policy over atomic operations can be learned is AtomMem's (arXiv 2601.08323); this network
is none of the paper's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from atommem_env.baselines.common import Info, Observation, Operations, Workflow
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.baselines.keep_best import require_questions
from atommem_env.core.checks import between, positive_or_none
from atommem_env.core.operations import MAX_K
from atommem_env.discrete.decisions import Decisions
from atommem_env.discrete.network import Network

CHECKPOINT: Final = Path(__file__).parent / "checkpoints" / "world.npz"
"""The checkpoint that comes with the package, trained on the generated world alone."""

BLIND_CHECKPOINT: Final = Path(__file__).parent / "checkpoints" / "blind.npz"
"""The one for where no question is shown while reading, trained on generated chats and the world alone."""

_SLOTS: Final = 20


class Learned(Workflow):
    """Chooses with a network.

    It notes numbers about each entry, never what the entry says (:mod:`atommem_env.discrete.notes`).

    Args:
        engine: what answers: a name, an engine, or the settings of a chat endpoint.
        checkpoint: the network's file; ``None``: the package's own that fits the environment.
        slots: the most entries to keep; ``None``: the environment's capacity, or 20 where it has none.
        look: how many entries a look with a question asks for, from 1 to 32; fewer than these are not left by deleting.
            ``None``: for a single question as many as the checkpoint says (``look_of_one``: 10 in the package's), else
            the environment's ``top_k``, and it deletes as it likes.

    Raises:
        ValueError: when the checkpoint is none of this version, or ``slots`` or ``look`` is out of range.
    """

    name = "learned"
    lasting = ("network", "_decisions", "_taken")  # DiscreteOperations' notes see to that themselves

    def __init__(
        self,
        engine: EngineSpec = "auto",
        checkpoint: str | os.PathLike[str] | None = None,
        slots: int | None = None,
        look: int | None = None,
    ) -> None:
        super().__init__(engine)
        self.network = Network.load(CHECKPOINT if checkpoint is None else checkpoint)
        self._own = checkpoint is None
        self._slots = positive_or_none("slots", slots)
        self._look = None if look is None else between("look", look, 1, MAX_K)
        self._decisions: Decisions | None = None

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._take_network()
        slots = min((limit for limit in (self._slots, observation["capacity"]) if limit), default=_SLOTS)
        about = self.network.about
        self._decisions = Decisions(
            slots,
            self.engine.answer,
            max_questions=max(len(observation["questions"]), 1),
            queries=self.network.queries,
            compress=self.engine.compress if about.get("scratchpad", False) else None,
            blind=self.network.blind,
        )
        self._decisions.look = self._look or (
            self._look_of_one() if observation["num_questions"] == 1 else None
        )
        self._decisions.begin(observation, self._rules)
        self._taken = True

    def _look_of_one(self) -> int | None:
        look = self.network.about.get("look_of_one")
        return None if look is None else between("the checkpoint's look_of_one", look, 1, MAX_K)

    def _take_network(self) -> None:
        """Take the network that fits what is shown while reading."""
        unseen = self._rules.questions_shown == "when_asked"
        if self._own and unseen != self.network.blind:
            self.network = Network.load(BLIND_CHECKPOINT if unseen else CHECKPOINT)
        if not self.network.blind:
            require_questions(
                self._rules, "learned, with a checkpoint that was trained to see the questions,"
            )

    def read_chunk(self, observation: Observation) -> Operations:
        """Return the operations of the choices over a chunk."""
        return self._choose(observation)

    def answer_question(self, observation: Observation) -> Operations:
        """Look with the question, then answer from the entries shown."""
        return self._choose(observation)

    def _choose(self, observation: Observation) -> Operations:
        decisions = self._decisions
        if decisions is None:
            raise RuntimeError("act was called before reset")
        if not self._taken:
            decisions.observe(observation)
        self._taken = False
        operations = None
        while operations is None:
            operations = decisions.choose(self.network.choose(decisions.view(), decisions.action_masks()))
        return operations
