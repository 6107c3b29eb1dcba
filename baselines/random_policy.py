"""Random: the control that samples well-formed operations from what it is shown.

Reading: up to three operations: Creates of sentences of the chunk, Reads of its words, Updates and Deletes
of ids it knows, the scratchpad included. Answering: at random a look (a Read of some words shown) or an
answer of one to four words that stand in a row in the memory shown; never words of the question, which would
be a guess between the options it names. Its generator is seeded by (seed, task), of a history by (seed,
history), so that an episode is the same whatever ran before it.
"""

from __future__ import annotations

import random
from typing import Final

from atommem_env.baselines.common import READING, Info, Observation, Operations, drawn_for, shown_entries
from atommem_env.core.operations import SCRATCHPAD, Answer, Create, Delete, Operation, Read, Update
from atommem_env.core.rules import DEFAULT_RULES
from atommem_env.text import digest, sentences

_MOST_OPERATIONS: Final = 3
_MOST_WORDS: Final = 4
_LOOK: Final = 0.3
_KINDS: Final = ("create", "read", "update", "delete")
_WEIGHTS: Final = (6, 2, 2, 1)


class RandomPolicy:
    """Samples operations.

    Args:
        seed: the seed of its generator, together with the id of the task, or of the history, and, where questions are
            isolated, with the question.
    """

    name = "random"
    uses_buffer = False
    engine_name: str | None = None

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._generator = random.Random(0)
        self._ids: list[int] = []
        self._unit = ""
        self._isolated = False
        self._question = -1

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        self._unit = drawn_for(info)
        self._isolated = info.get("rules", DEFAULT_RULES).isolate_questions
        self._question = -1
        self._seed_with()
        self._ids = []

    def _seed_with(self, *question: str) -> None:
        state = digest("random policy", self.seed, self._unit, *question)
        self._generator = random.Random(int.from_bytes(state, "little"))

    def act(self, observation: Observation, info: Info) -> Operations:
        """Return some operations."""
        self._note(observation)
        if observation["phase"] == READING:
            count = self._generator.randint(0, _MOST_OPERATIONS)
            return [self._operation(observation) for _ in range(count)]
        if self._isolated and self._question != observation["cursor"]:
            self._question = observation["cursor"]
            self._seed_with(observation["questions"][0])
        memory = [observation["scratchpad"], *shown_entries(observation)]
        if self._generator.random() < _LOOK:
            return [Read(self._words([*memory, *observation["questions"]]))]
        return [Answer(self._words(memory))]

    def _note(self, observation: Observation) -> None:
        """Keep the list of ids that exist, from the results of the last action."""
        for result in observation["results"]:
            if result["op"] == "create" and result["id"] is not None:
                self._ids.append(result["id"])
            if result["op"] == "delete" and result["id"] in self._ids:
                self._ids.remove(result["id"])
            if result["evicted"] in self._ids:
                self._ids.remove(result["evicted"])

    def _operation(self, observation: Observation) -> Operation:
        kind = self._generator.choices(_KINDS, _WEIGHTS)[0]
        if kind == "create":
            return Create(self._sentence(observation))
        if kind == "read":
            return Read(self._words([observation["chunk"], *observation["questions"]]))
        id = self._generator.choice([SCRATCHPAD, *self._ids])
        return Update(id, self._sentence(observation)) if kind == "update" else Delete(id)

    def _sentence(self, observation: Observation) -> str:
        return self._generator.choice(sentences(observation["chunk"]) or ["nothing"])

    def _words(self, texts: list[str]) -> str:
        """Return one to four words that stand in a row in one of ``texts``."""
        words = self._generator.choice([text for text in texts if text.strip()] or ["nothing"]).split()
        count = self._generator.randint(1, min(_MOST_WORDS, len(words)))
        start = self._generator.randint(0, len(words) - count)
        return " ".join(words[start : start + count])
