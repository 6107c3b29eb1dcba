"""MEM1: one internal state, rewritten at every turn, and a search for what it lacks.

Reading: every document is created as RAG does, and the engine's new state, made from the state and the chunk,
is written: ``Update(SCRATCHPAD, state)``. Answering, at each turn: from the question, the state, the last query
and what it found, the engine makes the new state and either a query (``Update(SCRATCHPAD, state)`` and
``Read(query)`` with k=3, a look) or an answer; at most 6 turns a question, and no more than the environment's
looks allow. Source: MEM1, arXiv 2506.15841; there a turn has 1024 new tokens, here the state has
``budget_tokens`` of them.

Only the state is carried from turn to turn, and from question to question: an engine that forgets in it what
another question needs has forgotten it. A state over the budget is cut behind its last whole sentence that
fits.

With the ``rules`` engine, a turn is a stand-in that is not the published system: the state holds the sentences
with the highest question overlap, the queries are the question and then the names that the best hit leads to.
"""

from __future__ import annotations

from atommem_env.baselines.common import (
    DocumentReader,
    Info,
    Observation,
    Operations,
    ScratchpadBudget,
    Workflow,
    document_text,
    shown_entries,
)
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.core.checks import at_least
from atommem_env.core.operations import MAX_K, SCRATCHPAD, Create, Operation, Read, Update


class MEM1(Workflow):
    """Carries one state through chunks and questions, and searches the documents it has stored.

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.
        k: how many entries a query finds, from 1 to 32.
        turns: the most turns of a question, from 1; the last one must answer.
        budget_tokens: the most tokens of the state, from 1; less where the environment allows less (see
            :class:`~atommem_env.baselines.common.ScratchpadBudget`).

    Raises:
        ValueError: when an argument is out of range, or the engine lacks ``next_state``.
    """

    name = "mem1"
    needs = ("next_state",)

    def __init__(
        self, engine: EngineSpec = "auto", k: int = 3, turns: int = 6, budget_tokens: int = 1024
    ) -> None:
        super().__init__(engine)
        self.k = at_least("k", k, 1)
        if k > MAX_K:
            raise ValueError(f"k={k}: expected how many entries a query finds, from 1 to {MAX_K}")
        self.turns = at_least("turns", turns, 1)
        self._budget = ScratchpadBudget(budget_tokens)
        self._begin()

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._budget.reset(self._rules)
        self._begin()

    def _begin(self) -> None:
        self._reader = DocumentReader(self._rules.entry_tokens)
        self._question = -1
        self._turn = 0
        self._query = ""

    def read_chunk(self, observation: Observation) -> Operations:
        """Store the documents that the chunk completes, and rewrite the state."""
        self._budget.follow(observation)
        chunk = [self.chunk(observation)]
        turn = self.engine.next_state(
            None, observation["questions"], observation["scratchpad"], "", chunk, False
        )
        created = [
            Create(document_text(document.title, document.text))
            for document in self._reader.read(observation)
        ]
        return [*created, *self._write(turn.state)]

    def answer_question(self, observation: Observation) -> Operations:
        """Rewrite the state, and search or answer."""
        self._budget.follow(observation)
        if self._question != observation["cursor"]:
            self._question, self._turn, self._query = observation["cursor"], 0, ""
        self._turn += 1
        (question,) = observation["questions"]
        found = shown_entries(observation) if self._query else []
        may_search = observation["looks_left"] > 0 and self._turn < self.turns
        turn = self.engine.next_state(
            question, [question], observation["scratchpad"], self._query, found, may_search
        )
        written = self._write(turn.state)
        if turn.answer and turn.answer.strip():
            return [*written, self.say(turn.answer)]
        if may_search:
            self._query = (turn.query or "").strip() or question
            return [*written, Read(self._query, self.k)]
        return [*written, *self.answer(observation, [*found, turn.state])]

    def _write(self, state: str) -> list[Operation]:
        """Return the Update of the state, nothing when it is empty: what was there stays."""
        state = self._budget.cut(state)
        return [Update(SCRATCHPAD, state)] if state.strip() else []
