"""AtomMem, prompted: the learned agent's own loop, with a language model that was not trained for it.

At every step the model is shown the environment's prompt, complete in itself (the paper's context reset), and
the operations in its reply are the action; the model decides what to keep, to look up, to rewrite and when to
answer. With a ``reader`` the model writes alone: at each question the reader looks with the question's own words and
answers from what that shows, as static workflows do. What is malformed in a reply is dropped, told to the model in the
next prompt, and counted. It takes an engine with a language model. Source: AtomMem, arXiv 2601.08323, section 4
("w/o RL").
"""

from __future__ import annotations

import os

from atommem_env.baselines.common import READING, Info, Observation, Operations, Workflow, shown_entries
from atommem_env.baselines.engines.engine import Abilities, CountedEngine, EngineSpec, counted, get_engine
from atommem_env.core.operations import Read
from atommem_env.protocols import Malformed, Protocol, get_protocol
from atommem_env.text import clean


class AtomMem(Workflow):
    """Lets a language model choose every operation.

    Args:
        engine: an engine with ``chat``: ``"llm"``, an engine, or the settings of a chat endpoint.
        protocol: how operations are written as text: ``"atommem"``, ``"json"``, ``"released"``,
            ``"module:name"``, or an instance.
        template: the complete prompt in other words, as a file's path or as text; ``"brief"``: the built-in short
            one.
        reader: the engine that answers, ``"world"`` say; ``None``: the model reads and answers itself.

    Raises:
        ValueError: when an argument names nothing, or the engine has no ``chat``.
    """

    name = "atommem"
    needs = ("chat",)
    lasting = ("_num_malformed", "_num_unread", "_num_replies", "_protocol", "_reader", "_read")

    def __init__(
        self,
        engine: EngineSpec = "llm",
        protocol: str | Protocol = "atommem",
        template: str | os.PathLike[str] | None = None,
        reader: EngineSpec | None = None,
    ) -> None:
        super().__init__(engine)
        self._reader: Abilities | None = None
        self._read: CountedEngine | None = None
        if reader is not None:
            self._reader, self._read = counted(get_engine(reader), (), self.name)
        self._looked = -1
        self._protocol = get_protocol(protocol, template)
        self._malformed: list[Malformed] = []
        self._num_malformed = self._num_unread = self._num_replies = 0

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        if self._read is not None:
            self._read.begin(info.get("source", ""))
        self._looked = -1
        self._malformed = []
        self._num_malformed = self._num_unread = self._num_replies = 0

    @property
    def engine_name(self) -> str:
        """The name of the engine, and of the reader where there is one."""
        return self.engine.name if self._reader is None else f"{self.engine.name}, reader {self._reader.name}"

    def unreadable(self) -> dict[str, list[int]]:
        """Return how many replies had nothing that could be carried out, and of how many.

        A reply that says nothing at all while reading is an empty action, and was read.
        """
        return {"chat": [self._num_unread, self._num_replies]} if self._num_replies else {}

    def costs(self) -> dict[str, int]:
        """Return what the engine's work has cost, and how many pieces of replies were ``malformed``."""
        return {**super().costs(), "malformed": self._num_malformed}

    def read_chunk(self, observation: Observation) -> Operations:
        """Return the operations that the model chooses."""
        return self._reply(observation)

    def answer_question(self, observation: Observation) -> Operations:
        """Return the operations that the model chooses, or the reader's look and answer."""
        if self._reader is None:
            return self._reply(observation)
        question = observation["questions"][0]
        if self._looked != observation["cursor"] and observation["looks_left"] > 0:
            self._looked = observation["cursor"]
            return [Read(question)]
        return [self.say(self._reader.answer(question, shown_entries(observation)))]

    def _reply(self, observation: Observation) -> Operations:
        messages = self._protocol.render_prompt(observation, self._rules, malformed=self._malformed)
        reply = clean(self.engine.chat(messages))
        parsed = self._protocol.parse(reply, observation)
        self._num_replies += 1
        if not parsed.operations and (
            parsed.malformed or not reply.strip() or observation["phase"] != READING
        ):
            self._num_unread += 1
        self._malformed = parsed.malformed
        self._num_malformed += len(parsed.malformed)
        return parsed.operations
