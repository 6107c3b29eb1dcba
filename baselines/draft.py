"""Writing after a look: one look asks about all that a chunk says, then one action writes it all.

Systems that search their memory before each write do so once per fact or document. A position of the
environment allows a few steps only, so here all searches of a chunk go into one look (a Read each), and what
the writes do to one another is followed in a :class:`Draft`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from atommem_env.baselines.common import Info, LookThenAnswer, Observation, Operations
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.core.checks import between
from atommem_env.core.ledger import Ledger
from atommem_env.core.operations import MAX_K, Create, Delete, Operation, Read, Update
from atommem_env.core.words import content_stems


@dataclass(slots=True)
class _Entry:
    content: str
    query: int
    stems: frozenset[str]


class Draft:
    """An action being put together, and the entries at hand as they will stand after its operations so far.

    At hand are the entries that a look has shown, and those that the action creates. An operation may name an
    entry created before it in the same action, since ids are known beforehand.

    Args:
        next_id: the id that the first Create gets.
        shown: ``observation["retrieved"]`` after the look.

    Attributes:
        operations: the operations so far.
        num_created: the number of Creates among them.
    """

    def __init__(self, next_id: int, shown: Sequence[Mapping[str, Any]] = ()) -> None:
        self.operations: list[Operation] = []
        self.num_created = 0
        self._next_id = next_id
        self._entries: dict[int, _Entry] = {}
        for entry in shown:
            self._put(entry["id"], entry["content"], entry["query"])

    def __getitem__(self, id: int) -> str:
        return self._entries[id].content

    @property
    def ids(self) -> list[int]:
        """The ids of the entries at hand: those shown, best first, then those created."""
        return list(self._entries)

    def nearest(self, query: int, text: str, k: int) -> list[int]:
        """Return the ids of at most ``k`` entries at hand that are nearest to ``text``, nearest first.

        An entry that several queries find is shown under the first of them alone, and the searches know
        nothing of entries yet to be created; so who is nearest is judged here, by the cosine of the sets of
        content words. Candidates are the entries shown under the look's own query, and, when they share a
        content word, those shown under an earlier one (a later one's are known not to be among its best) and
        those that the action creates.

        Args:
            query: which Read of the look asked about ``text``, from 0.
            text: what the entries are to be near to.
            k: how many at most.
        """
        words = frozenset(content_stems(text))
        ranked = []
        for place, (id, entry) in enumerate(self._entries.items()):
            if entry.query > query:
                continue
            shared = len(words & entry.stems)
            if shared or entry.query == query:
                ranked.append((-shared / sqrt(len(entry.stems) or 1), place, id))
        return [id for _, _, id in sorted(ranked)[:k]]

    def create(self, content: str) -> int:
        """Add a Create, and return the id that it will get."""
        id = self._next_id + self.num_created
        self.num_created += 1
        self.operations.append(Create(content))
        self._put(id, content, -1)
        return id

    def update(self, id: int, content: str) -> None:
        """Add an Update."""
        self.operations.append(Update(id, content))
        if id in self._entries:
            self._put(id, content, self._entries[id].query)

    def delete(self, id: int) -> None:
        """Add a Delete."""
        self.operations.append(Delete(id))
        self._entries.pop(id, None)

    def _put(self, id: int, content: str, query: int) -> None:
        self._entries[id] = _Entry(content, query, frozenset(content_stems(content)))


class LookThenWrite(LookThenAnswer):
    """A workflow that asks its memory about each text of a chunk with one look, then writes.

    There is no look while the memory is empty, or where none is left; then nothing is found. What it writes after a
    look ends with a Read of the first question (while none is known, of the first text), of one entry: queries stand
    until others replace them, and those of the look would be run and shown once more at every step, the first
    question's among them.

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.
        k: how many entries to find for each text; 0: no looks.

    Raises:
        ValueError: when ``k`` is out of range, or the engine lacks an ability.
    """

    def __init__(self, engine: EngineSpec, k: int) -> None:
        super().__init__(engine)
        self.k = between("k", k, 0, MAX_K)
        self._ledger: Ledger[bool] = Ledger()
        self._chunk = -1
        self._texts: list[str] = []

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._ledger = Ledger()
        self._chunk = -1

    def notice(self, observation: Observation) -> None:
        """Take in what became of the last action."""
        self._ledger.follow(observation)

    def read_chunk(self, observation: Observation) -> Operations:
        """Look with the texts of a chunk that is new, then write."""
        looked = self._chunk == observation["cursor"]
        if not looked:
            self._chunk = observation["cursor"]
            self._texts = [text for text in self.texts(observation) if text.strip()]
            if self.k and self._texts and observation["memory_size"] and observation["looks_left"]:
                return [Read(text, self.k) for text in self._texts]
        draft = Draft(self._ledger.next_id, observation["retrieved"] if looked else ())
        self.write(self._texts, draft)
        self._ledger.expect([True] * draft.num_created)
        if looked and draft.operations:
            return [*draft.operations, Read((*observation["questions"], *self._texts)[0], 1)]
        return draft.operations

    @property
    def alive(self) -> Collection[int]:
        """The ids of the entries that exist."""
        return self._ledger.records.keys()

    @abstractmethod
    def texts(self, observation: Observation) -> list[str]:
        """Return what the chunk shown says that is worth writing; called once for each chunk."""

    @abstractmethod
    def write(self, texts: Sequence[str], draft: Draft) -> None:
        """Write ``texts``, whose Reads were the queries of the look in this order."""
