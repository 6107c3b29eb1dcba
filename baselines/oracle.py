"""Oracle: the control that stores the gold paragraphs and nothing else.

Reading: ``Create(title and text)`` of each gold paragraph, at the last chunk that shows some of its evidence (in parts,
where the environment limits entries to less), or, with ``unit="sentence"``, of each sentence of evidence; of a
conversation the turns that support an answer, with speaker and date, as soon as their session ends. Answering:
``Read(question)``, then further looks, as far as ``max_looks`` allows, for those of its own titles that stand in the
question or in what is shown, until they lead nowhere new, and in a conversation one for each turn that the question
rests on; then the engine's answer from the entries shown. Which paragraphs are gold comes from ``info["gold"]`` at
reset, of which it reads the evidence and never the answers. Its score is the ceiling of retriever and engine together;
what is missing to 1.0 is theirs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence, Set
from typing import Final

from atommem_env.baselines.common import (
    DocumentReader,
    Info,
    Observation,
    Operations,
    Workflow,
    document_text,
    entry_texts,
    shown_entries,
)
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.baselines.keep_best import UNITS
from atommem_env.core.checks import one_of
from atommem_env.core.operations import MAX_K, Create, Read
from atommem_env.core.types import Gold
from atommem_env.data.records import SUPPORTING
from atommem_env.tasks.documents import session_title

_BESIDE: Final = 2
_QUERY_WORDS: Final = 100


class Oracle(Workflow):
    """Stores only what the questions need, and looks for it until what it finds leads nowhere new.

    Args:
        engine: what does the language work: a name or an engine.
        unit: what an entry is: ``"document"``, a whole paragraph, or ``"sentence"``, one of evidence.

    Raises:
        ValueError: when ``unit`` is neither.
    """

    name = "oracle"

    def __init__(self, engine: EngineSpec = "auto", unit: str = "document") -> None:
        super().__init__(engine)
        self.unit = one_of("unit", unit, UNITS)
        self._plan: dict[int, list[str]] = {}
        self._turns: list[dict[tuple[str, str], None]] = []
        self._reader = DocumentReader()
        self._parts: dict[str, int] = {}
        self._question = -1
        self._sought: list[str] = []
        self._leads: dict[str, list[str]] = {}

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode: note which paragraphs to store at which chunk."""
        super().reset(observation, info)
        self._plan = _plan(info, self._rules.entry_tokens, self.unit)
        self._turns = [_turns(question) for question in info["gold"]]
        self._reader = DocumentReader(self._rules.entry_tokens)
        self._parts = _parts(self._plan)
        self._question = -1

    def read_chunk(self, observation: Observation) -> Operations:
        """Store the gold paragraphs whose evidence ends in the chunk."""
        planned = self._plan.get(observation["cursor"], [])
        wanted = {key for question in self._turns for key in question}
        said = [
            document.text
            for document in (self._reader.read(observation) if wanted else ())
            for turn in document.turns
            if (session_title(document.number), turn.text) in wanted
        ]
        return [Create(content) for content in (*planned, *dict.fromkeys(said))]

    def answer_question(self, observation: Observation) -> Operations:
        """Look with the question, then for the titles that it leads to, then answer from the entries shown."""
        question: str = observation["questions"][0]
        shown = shown_entries(observation)
        first = self._question != observation["cursor"]
        if first:
            self._question = observation["cursor"]
            self._leads = {}
            self._sought = self._mentioned(question)
            onward = self._sought
        else:
            known = {content.partition("\n")[0] for content in shown}.union(self._sought)
            onward = self._onward(self._mentioned("\n".join([question, *shown])), known)
            self._sought = [*self._sought, *onward]
        for content in shown:
            self._leads.setdefault(content.partition("\n")[0], []).extend(self._mentioned(content))
        if observation["looks_left"] > 0 and (first or onward):
            titles = [Read(title, min(self._parts[title] + _BESIDE, MAX_K)) for title in self._sought]
            return [Read(question), *titles, *self._reads(observation["cursor"])]
        return self.answer(observation, shown)

    def _reads(self, question: int) -> list[Read]:
        """Return a search for each turn that a question rests on."""
        turns = self._turns[question] if question < len(self._turns) else ()
        return [Read(" ".join(text.split()[:_QUERY_WORDS]), _BESIDE) for _, text in turns if text.strip()]

    def _onward(self, titles: Sequence[str], known: Set[str]) -> list[str]:
        """Return the titles that are not known, and those that they lead to.

        What an entry leads to is noted when it is shown: the queries before this question may have shown one that its
        own look would come to too late to go on from.
        """
        onward: dict[str, None] = {}
        waiting = deque(titles)
        while waiting:
            title = waiting.popleft()
            if title not in known and title not in onward:
                onward[title] = None
                waiting += self._leads.get(title, ())
        return list(onward)

    def _mentioned(self, text: str) -> list[str]:
        """Return those titles of its entries that stand in ``text``; a bracket at a title's end need not."""
        return [title for title in self._parts if title.partition(" (")[0] in text]


def _plan(info: Info, limit: int | None, of: str) -> dict[int, list[str]]:
    """Return the entries to create, by chunk; each gold paragraph once, in parts where an entry may not hold it."""
    chunk_of: dict[str, int] = {}
    for question in info["gold"]:
        for unit in question["evidence"] or ():
            if "id" in unit or unit.get("role", SUPPORTING) != SUPPORTING:
                continue
            text = unit["text"] if of == "document" else unit["sentence"]
            for part in entry_texts(unit["title"], text, limit):
                content = document_text(unit["title"], part)
                chunk_of[content] = max(chunk_of.get(content, 0), *unit["chunks"], 0)
    plan: dict[int, list[str]] = {}
    for content, chunk in chunk_of.items():
        plan.setdefault(chunk, []).append(content)
    return plan


def _turns(question: Gold) -> dict[tuple[str, str], None]:
    """Return the turns that support the answer to a question: the titles of their sessions, and their texts."""
    units = question["evidence"] or ()
    return {(unit["title"], unit["text"]): None for unit in units if unit.get("role") == SUPPORTING}


def _parts(plan: Mapping[int, list[str]]) -> dict[str, int]:
    """Return the titles of the entries of ``plan``, each with the number of entries that have it."""
    titles = [content.partition("\n")[0] for contents in plan.values() for content in contents]
    return {title: titles.count(title) for title in titles if title}
