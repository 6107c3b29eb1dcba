"""MemoryBank: entries that are forgotten unless they are recalled, and a running summary.

Reading: each document is created with strength S = 1 and recalled now; the engine summarises the chunk and
folds it into a global summary, ``Update(SCRATCHPAD, summary)``. At each chunk border an entry that was last
recalled t steps ago survives with probability R, else ``Delete``. A recall adds 1 to S and sets t to 0. Answering:
``Read(question)`` with k=6, a recall, then the engine's answer from the entries shown and the global summary.
Source: MemoryBank, arXiv 2305.10250, section 3, and the system's public code, which differ in the curve:

- ``paper``: R = exp(-t / S): strength slows forgetting down.
- ``code``: R = exp(-(t / 5) * S): strength speeds forgetting up.

How it fits the environment:

- The clock counts days, as the published system's does, where the text is dated, and else the environment's steps, one
  for each action.
- There, every turn of the user is a search and hence a recall. Where the questions are before the agent all the time,
  the action at each chunk ends with one Read for each question; while none is known, with one for each turn of the
  user in the chunk (of everyone, where nobody is called ``user``). What is shown at the next chunk has been recalled.
  Documents of the latest chunk are found by it too.
- Whether an entry survives is drawn from the policy's own generator, seeded by (seed, task), where a history is read by
  (seed, history). Entries draw in the order of their ids.
- There is no portrait of the user, since there is no user to portray.

With the ``rules`` engine, a summary is a stand-in that is not the published system: the sentences with the most
frequent words.
"""

from __future__ import annotations

import math
import random
from typing import Final, NamedTuple

from atommem_env.baselines.common import (
    Clock,
    DocumentReader,
    Info,
    Observation,
    Operations,
    ScratchpadBudget,
    Workflow,
    blocks,
    document_text,
    drawn_for,
    shown_entries,
)
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.baselines.entries import speakers_questions
from atommem_env.core.checks import at_least, one_of
from atommem_env.core.ledger import Ledger
from atommem_env.core.operations import MAX_K, SCRATCHPAD, Create, Delete, Operation, Read, Update
from atommem_env.tasks.documents import split_documents
from atommem_env.text import digest

VARIANTS: Final = ("paper", "code")


def survival(variant: str, age: int, strength: int) -> float:
    """Return the probability that an entry survives a chunk border.

    Args:
        variant: ``"paper"`` or ``"code"``.
        age: the days, or steps, since it was last recalled, from 0.
        strength: 1, and 1 more for each recall.
    """
    return math.exp(-age / strength if variant == "paper" else -(age / 5) * strength)


class Strength(NamedTuple):
    """What is noted about an entry: its strength, and the day or step of its last recall."""

    strength: int
    last: int


class MemoryBank(Workflow):
    """Stores documents, forgets those that no question recalls, and keeps a global summary.

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.
        seed: the seed of its generator, together with the id of the task, or of the history.
        variant: ``"paper"`` or ``"code"``.
        k: how many entries a question recalls, from 1 to 32.
        summary_words: the most words of a chunk's summary, from 1.
        global_words: the most words of the global summary, from 1.
        budget_tokens: the most tokens of the global summary, from 1; less where the environment allows less
            (see :class:`~atommem_env.baselines.common.ScratchpadBudget`). What is over it is cut behind the
            last sentence that fits.

    Raises:
        ValueError: when an argument is out of range, or the engine lacks ``summarize``.
    """

    name = "memory-bank"
    needs = ("summarize",)

    def __init__(
        self,
        engine: EngineSpec = "auto",
        seed: int = 0,
        variant: str = "paper",
        k: int = 6,
        summary_words: int = 100,
        global_words: int = 400,
        budget_tokens: int = 1024,
    ) -> None:
        super().__init__(engine)
        self.seed = seed
        self.variant: str = one_of("variant", variant, VARIANTS)
        self.k = at_least("k", k, 1)
        if k > MAX_K:
            raise ValueError(f"k={k}: a Read shows at most {MAX_K} entries")
        self.summary_words = at_least("summary_words", summary_words, 1)
        self.global_words = at_least("global_words", global_words, 1)
        self._budget = ScratchpadBudget(budget_tokens)
        self._begin("")

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._budget.reset(self._rules)
        self._begin(drawn_for(info))

    def _begin(self, unit: str) -> None:
        state = digest("memory bank", self.seed, unit)
        self._generator = random.Random(int.from_bytes(state, "little"))
        self._reader = DocumentReader(self._rules.entry_tokens)
        self._memory: Ledger[Strength] = Ledger()
        self._clock = Clock()
        self._searched = False
        self._looked = -1

    def notice(self, observation: Observation) -> None:
        """Take in the time, and what became of the last action."""
        self._clock.follow(observation)
        self._budget.follow(observation)
        self._memory.follow(observation)
        if self._searched:
            self._recall(observation)
        self._searched = False

    def read_chunk(self, observation: Observation) -> Operations:
        """Forget, store the documents that the chunk completes, fold the chunk into the summary, and recall."""
        forgotten = self._forget()
        documents = self._reader.read(observation)
        self._memory.expect(Strength(1, self._clock.days) for _ in documents)
        self._searched = True
        return [
            *forgotten,
            *(Create(document_text(document.title, document.text)) for document in documents),
            *self._summarize(observation),
            *(Read(query, self.k) for query in observation["questions"] or self._said(observation)),
        ]

    def _said(self, observation: Observation) -> list[str]:
        """Return what the user says in the chunk."""
        pieces = split_documents(self.chunk(observation))
        return speakers_questions([turn for piece in pieces for turn in piece.turns])

    def answer_question(self, observation: Observation) -> Operations:
        """Look with the question, then answer from the entries shown and the global summary."""
        if self._looked != observation["cursor"] and observation["looks_left"] > 0:
            self._looked = observation["cursor"]
            self._searched = True
            return [Read(observation["questions"][0], self.k)]
        return self.answer(observation, [*shown_entries(observation), *blocks(observation["scratchpad"])])

    def _recall(self, observation: Observation) -> None:
        """Strengthen what the last action's search has found."""
        for entry in observation["retrieved"]:
            record = self._memory.records.get(entry["id"])
            if record is not None:  # else another hand wrote it
                self._memory.records[entry["id"]] = Strength(record.strength + 1, self._clock.days)

    def _forget(self) -> list[Operation]:
        """Return the Deletes of the entries that do not survive the chunk border."""
        return [
            Delete(id)
            for id, record in self._memory.records.items()
            if self._generator.random()
            >= survival(self.variant, self._clock.days - record.last, record.strength)
        ]

    def _summarize(self, observation: Observation) -> list[Operation]:
        """Return the Update of the global summary, nothing when it is empty: what was there stays."""
        summary = self.engine.summarize(self.chunk(observation), self.summary_words)
        before = observation["scratchpad"]
        if before:
            summary = self.engine.summarize(f"{before}\n\n{summary}", self.global_words)
        summary = self._budget.cut(summary)
        return [Update(SCRATCHPAD, summary)] if summary.strip() else []
