"""What the static workflows share: reading chunk by chunk, then one look and an answer per question."""

from __future__ import annotations

import copy
import datetime
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Final

from atommem_env.baselines.engines.engine import UNKNOWN, EngineSpec, counted, get_engine
from atommem_env.baselines.entries import SessionHeaders, session_texts
from atommem_env.core.checks import one_of
from atommem_env.core.operations import SCRATCHPAD, Answer, Operation, Read
from atommem_env.core.rules import DEFAULT_RULES, Rules
from atommem_env.core.types import Info as Info
from atommem_env.core.types import Observation as Observation
from atommem_env.tasks.documents import DocumentStitcher, StitchedDocument, in_parts, turn_texts
from atommem_env.text import PieceTokenizer, sentence_spans

READING = 0

Operations = list[Operation]


class Workflow(ABC):
    """A policy with an engine: :meth:`read_chunk` while reading, :meth:`answer_question` while answering.

    A subclass that overrides :meth:`reset` calls this class's.

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.

    Attributes:
        needs: the abilities it asks of an engine besides ``answer`` and ``compress`` (see
            :class:`~atommem_env.baselines.engines.engine.Abilities`).
        lasting: the attributes that run on from question to question where questions are isolated; all others are,
            at each question, as they were when reading ended.

    Raises:
        ValueError: when the engine lacks one of them.
    """

    name: str = ""
    uses_buffer: bool = False
    needs: tuple[str, ...] = ()
    lasting: tuple[str, ...] = ()

    def __init__(self, engine: EngineSpec = "auto") -> None:
        self.engine, self._counter = counted(get_engine(engine), self.needs, self.name)
        self._rules = DEFAULT_RULES
        self._headers = SessionHeaders()
        self._isolation: Isolation | None = None

    @property
    def engine_name(self) -> str:
        """The name of the engine, shown with every score."""
        return self.engine.name

    def costs(self) -> dict[str, int]:
        """Return what the engine's work has cost since the episode began: at least its ``calls``."""
        return self._counter.costs()

    def unreadable(self) -> dict[str, list[int]]:
        """Return, for each ability of its engine, how many replies could not be read, and of how many."""
        return self._counter.unreadable()

    def take_said(self) -> list[dict[str, Any]]:
        """Return what its engine's model has said since this was last called."""
        return self._counter.take_said()

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode, under the rules that ``info`` tells."""
        self._counter.begin(info.get("source", ""))
        self._rules = info.get("rules", DEFAULT_RULES)
        self._headers = SessionHeaders()
        self._isolation = Isolation(("engine", "_counter", "_rules", "_isolation", *self.lasting))

    def act(self, observation: Observation, info: Info) -> Operations:
        """Return the action for ``observation``."""
        if self._isolation is not None and self._rules.isolate_questions:
            self._isolation.follow(self, observation)
        self.notice(observation)
        if observation["phase"] == READING:
            return self.read_chunk(observation)
        return self.answer_question(observation)

    def notice(self, observation: Observation) -> None:  # noqa: B027
        """Take in what an observation tells of the last action; called before any action, also in between chunks."""

    def read_chunk(self, observation: Observation) -> Operations:
        """Return the action for a chunk: nothing, unless a workflow writes."""
        return []

    @abstractmethod
    def answer_question(self, observation: Observation) -> Operations:
        """Return the action for a question."""

    def answer(self, observation: Observation, passages: Sequence[str]) -> Operations:
        """Return an action that answers the current question from ``passages``; abstaining in the task's words."""
        return [self.say(self.engine.answer(observation["questions"][0], passages))]

    def say(self, answer: str) -> Answer:
        """Return the Answer with ``answer``, an engine's ``unknown`` in the task's words."""
        return Answer(self._rules.abstain or answer if answer == UNKNOWN else answer)

    def chunk(self, observation: Observation) -> str:
        """Return the chunk shown; one that begins inside a session has that session's header, which tells its date."""
        return self._headers.read(observation["chunk"], observation["cursor"], observation.get("now", ""))


class Isolation:
    """Has a policy start each isolated question from what it had noted while reading, and read on from there.

    Args:
        skipped: the names of the attributes that it leaves as they are.
    """

    def __init__(self, skipped: Iterable[str]) -> None:
        self._skipped = frozenset(skipped)
        self._noted: dict[str, Any] = {}
        self._question = -1

    def follow(self, policy: object, observation: Observation) -> None:
        """Take what ``policy`` has noted at a question after a chunk, and give it back at whatever follows that."""
        question = observation["cursor"] if observation["phase"] != READING else -1
        if question == self._question:
            return
        if self._question < 0:
            noted = {name: value for name, value in vars(policy).items() if name not in self._skipped}
            self._noted = copy.deepcopy(noted)
        else:
            vars(policy).update(copy.deepcopy(self._noted))
        self._question = question


class Clock:
    """Tells an episode's time: that of its dates, or, where it has none, the number of its actions.

    It never goes back, not even where a question is asked at an earlier date than the last session's.
    """

    def __init__(self) -> None:
        self._steps = -1
        self._now: datetime.datetime | None = None

    def follow(self, observation: Observation) -> None:
        """Take in the time of an observation."""
        self._steps += 1
        now = observation.get("now", "")
        if now:
            moment = datetime.datetime.fromisoformat(now)
            self._now = moment if self._now is None else max(self._now, moment)

    @property
    def days(self) -> int:
        """The day, or the number of actions."""
        return self._steps if self._now is None else self._now.toordinal()

    @property
    def hours(self) -> float:
        """The hour and its parts, or the number of actions."""
        if self._now is None:
            return self._steps
        return (self._now - datetime.datetime(1, 1, 1)).total_seconds() / 3600


class LookThenAnswer(Workflow):
    """A workflow that searches its memory for each question with one look, then answers from what is shown.

    The look comes first because the queries that stand when a question appears are the last one's. Where no
    look is left, it answers from what is shown as it is.
    """

    def __init__(self, engine: EngineSpec = "auto") -> None:
        super().__init__(engine)
        self._looked = -1

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._looked = -1

    def answer_question(self, observation: Observation) -> Operations:
        """Look with the question, then answer from the entries shown."""
        if self._looked != observation["cursor"] and observation["looks_left"] > 0:
            self._looked = observation["cursor"]
            return [Read(observation["questions"][0])]
        return self.answer(observation, shown_entries(observation))


def drawn_for(info: Info) -> str:
    """Return what a policy's draws depend on, besides its seed: the history that is read, else the task.

    A history is the same whatever the order of its questions, and whichever of them are asked.
    """
    return info.get("history", "") or info["task_id"]


def shown_entries(observation: Observation) -> list[str]:
    """Return the contents of the entries shown, best first."""
    return [entry["content"] for entry in observation["retrieved"]]


class ScratchpadBudget:
    """How many tokens a policy writes into the scratchpad: what it wants, or the environment's limit if smaller.

    The environment's tokenizer may count more than the built-in one: at each refusal the budget shrinks by a
    quarter.

    Args:
        tokens: what the policy wants (its argument ``budget_tokens``), from 1.

    Raises:
        ValueError: when ``tokens`` is less than 1.
    """

    def __init__(self, tokens: int) -> None:
        if tokens < 1:
            raise ValueError(f"budget_tokens={tokens}: expected 1 or more, for example 1024")
        self._wanted = self.tokens = tokens
        self._tokenizer = PieceTokenizer()

    def reset(self, rules: Rules) -> None:
        """Start an episode in an environment with ``rules``."""
        self.tokens = min(self._wanted, rules.scratchpad_tokens or self._wanted)

    def follow(self, observation: Observation) -> None:
        """Shrink when the last action's scratchpad was refused as too long."""
        if any(
            result["reason"] == "too_long" and result["id"] == SCRATCHPAD for result in observation["results"]
        ):
            self.tokens = max(1, self.tokens * 3 // 4)

    def cut(self, text: str) -> str:
        """Return ``text`` as it is when it fits, else its first sentences that do, at least a part of one."""
        if self._tokenizer.count(text) <= self.tokens:
            return text
        end = 0
        used = 0
        for start, stop in sentence_spans(text):
            used += self._tokenizer.count(text[start:stop])
            if used > self.tokens:
                break
            end = stop
        return text[: end or self._tokenizer.starts(text)[self.tokens]]


def blocks(text: str) -> list[str]:
    """Return the parts of ``text``, a scratchpad's say, between blank lines, without blank ones."""
    return [block for block in text.split("\n\n") if block.strip()]


def is_last_chunk(observation: Observation) -> bool:
    """Return whether no chunk follows the one shown."""
    return bool(observation["cursor"] == observation["num_chunks"] - 1)


UNITS: Final = ("turn", "session")
"""What is stored of a conversation: each of its turns, or each session."""


class DocumentReader:
    """Turns the chunks of an episode into whole documents, each handed out once, when it is complete.

    A session is handed out turn by turn, or whole; what is handed out says who said it and when
    (:mod:`atommem_env.baselines.entries`).

    Args:
        limit: the most tokens of an entry, or ``None``: a document over it is handed out in parts of whole
            sentences, each under its title; a session in parts of whole turns.
        unit: ``"turn"`` or ``"session"``.

    Raises:
        ValueError: when ``unit`` is neither.
    """

    def __init__(self, limit: int | None = None, unit: str = "turn") -> None:
        self._stitcher = DocumentStitcher(turns=unit == "turn")
        self._limit = limit
        self._unit = one_of("unit", unit, UNITS)

    def read(self, observation: Observation) -> list[StitchedDocument]:
        """Return the documents that the chunk shown completes; of sessions what is stored, without a title."""
        documents = self._stitcher.feed(observation["chunk"], is_last_chunk(observation))
        return [part for document in documents for part in self._parts(document)]

    def _parts(self, document: StitchedDocument) -> list[StitchedDocument]:
        if not document.turns:
            parts = entry_texts(document.title, document.text, self._limit)
            return [document._replace(text=part) for part in parts]
        if self._unit == "session":
            return [document._replace(title="", text=text) for text in session_texts(document, self._fits)]
        return [
            document._replace(title="", text=text, turns=(turn,))
            for turn in document.turns
            for text in turn_texts(turn, document.date, self._fits)
        ]

    def _fits(self, text: str) -> bool:
        return self._limit is None or PieceTokenizer().count(text) <= self._limit


def entry_texts(title: str, text: str, limit: int | None) -> list[str]:
    """Return the texts that a document is stored as: its own, or parts of it where an entry is limited to less.

    Args:
        title: its title, which is stored with each.
        text: its text.
        limit: the most tokens of an entry, as the environment's built-in tokenizer counts them; ``None``: no limit.
    """
    count = PieceTokenizer().count
    return in_parts(text, lambda part: limit is None or count(document_text(title, part)) <= limit)


def document_text(title: str, text: str) -> str:
    """Return a document as an entry holds it: its title on a line, then its text; without a title its text."""
    return f"{title}\n{text}" if title else text
