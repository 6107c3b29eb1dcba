"""What the static workflows share: reading chunk by chunk, then one look and an answer per question."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from atommem_env.baselines.engine import Engine, get_engine
from atommem_env.documents import DocumentStitcher, StitchedDocument
from atommem_env.operations import Answer, Operation, Read

READING = 0

Observation = dict[str, Any]
Info = dict[str, Any]
Operations = list[Operation]


class Workflow(ABC):
    """A policy with an engine: :meth:`read_chunk` while reading, :meth:`answer_question` while answering.

    Args:
        engine: what does the language work: a name or an engine.
    """

    name: str = ""
    uses_buffer: bool = False

    def __init__(self, engine: str | Engine = "rules") -> None:
        self.engine = get_engine(engine)

    @property
    def engine_name(self) -> str:
        """The name of the engine, shown with every score."""
        return self.engine.name

    def reset(self, observation: Observation, info: Info) -> None:  # noqa: B027  (most need nothing)
        """Get ready for a new episode."""

    def act(self, observation: Observation, info: Info) -> Operations:
        """Return the action for ``observation``."""
        if observation["phase"] == READING:
            return self.read_chunk(observation)
        return self.answer_question(observation)

    def read_chunk(self, observation: Observation) -> Operations:
        """Return the action for a chunk: nothing, unless a workflow writes."""
        return []

    @abstractmethod
    def answer_question(self, observation: Observation) -> Operations:
        """Return the action for a question."""

    def answer(self, observation: Observation, passages: Sequence[str]) -> Operations:
        """Return an action that answers the current question from ``passages``."""
        return [Answer(self.engine.answer(observation["questions"][0], passages))]


class LookThenAnswer(Workflow):
    """A workflow that searches its memory for each question with one look, then answers from what is shown.

    The look comes first because the queries that stand when a question appears are the last one's. Where no
    look is left, it answers from what is shown as it is.
    """

    def __init__(self, engine: str | Engine = "rules") -> None:
        super().__init__(engine)
        self._looked = -1

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        self._looked = -1

    def answer_question(self, observation: Observation) -> Operations:
        """Look with the question, then answer from the entries shown."""
        if self._looked != observation["cursor"] and observation["looks_left"] > 0:
            self._looked = observation["cursor"]
            return [Read(observation["questions"][0])]
        return self.answer(observation, shown_entries(observation))


def shown_entries(observation: Observation) -> list[str]:
    """Return the contents of the entries shown, best first."""
    return [entry["content"] for entry in observation["retrieved"]]


def is_last_chunk(observation: Observation) -> bool:
    """Return whether no chunk follows the one shown."""
    return bool(observation["cursor"] == observation["num_chunks"] - 1)


class DocumentReader:
    """Turns the chunks of an episode into whole documents, each handed out once, when it is complete."""

    def __init__(self) -> None:
        self._stitcher = DocumentStitcher()

    def read(self, observation: Observation) -> list[StitchedDocument]:
        """Return the documents that the chunk shown completes."""
        return self._stitcher.feed(observation["chunk"], is_last_chunk(observation))


def document_text(title: str, text: str) -> str:
    """Return a document as an entry holds it: its title on a line, then its text."""
    return f"{title}\n{text}"
