"""The memory store: entries with ids that are never reused, a capacity, and the index over them."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from atommem_env.core.checks import one_of, positive_or_none
from atommem_env.core.operations import Reason
from atommem_env.retrieval.base import Retriever

if TYPE_CHECKING:
    from atommem_env.retrieval.encoders import CachedEncoder, Kind

OVERFLOWS: Final = ("refuse", "evict_oldest")


class Hit(NamedTuple):
    """An entry found by a query."""

    id: int
    content: str
    score: float


class MemoryStore:
    """The entries of one episode, and the only owner of the index over them.

    Every change costs in proportion to the entry it concerns. :meth:`fork` is copy-on-write.

    Args:
        make_retriever: returns an empty retriever, which this store takes over.
        capacity: the largest number of entries, or ``None`` for no bound.
        overflow: what a Create does when the store is full: ``"refuse"`` (the paper's), or
            ``"evict_oldest"``, which drops the lowest id. An Update does not renew an entry.

    Raises:
        ValueError: when ``capacity`` or ``overflow`` is none of these.
    """

    def __init__(
        self, make_retriever: Callable[[], Retriever], capacity: int | None = None, overflow: str = "refuse"
    ) -> None:
        self.capacity = positive_or_none("capacity", capacity)
        self.overflow = one_of("overflow", overflow, OVERFLOWS)
        self.scratchpad = ""
        self.next_id = 1
        self._make_retriever = make_retriever
        self._retriever = make_retriever()
        self._entries: dict[int, str] = {}
        self._shared = False

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, id: object) -> bool:
        return id in self._entries

    def __getitem__(self, id: int) -> str:
        return self._entries[id]

    def get(self, id: int) -> str | None:
        """Return what entry ``id`` says, or ``None`` when there is none."""
        return self._entries.get(id)

    @property
    def entries(self) -> dict[int, str]:
        """A copy of the entries, by ascending id."""
        return dict(self._entries)

    def skip_id(self) -> None:
        """Consume the next id, as a Create that is refused does."""
        self.next_id += 1

    def create(self, content: str) -> tuple[int | None, int | None, Reason | None]:
        """Store ``content`` under the next id, which is consumed even when the store is full.

        Returns:
            ``(id, evicted, reason)``: the new entry's id and the one it pushed out, or a reason.
        """
        id = self.next_id
        self.next_id += 1
        evicted = None
        if self.capacity is not None and len(self._entries) >= self.capacity:
            if self.overflow == "refuse":
                return None, None, "capacity"
            evicted = next(iter(self._entries))  # ids are inserted in ascending order
            self.delete(evicted)
        self._own()
        self._retriever.add(id, content)
        self._entries[id] = content
        return id, evicted, None

    def update(self, id: int, content: str) -> Reason | None:
        """Replace what entry ``id`` says; returns a reason when there is no such entry."""
        if id not in self._entries:
            return "unknown_id"
        self._own()
        self._retriever.replace(id, content)
        self._entries[id] = content
        return None

    def delete(self, id: int) -> Reason | None:
        """Remove entry ``id``; returns a reason when there is no such entry."""
        if id not in self._entries:
            return "unknown_id"
        self._own()
        self._retriever.remove(id)
        del self._entries[id]
        return None

    def search(self, query: str, k: int) -> list[Hit]:
        """Return the at most ``k`` entries that fit ``query`` best, best first, ties by ascending id.

        Raises:
            TypeError: when the retriever returns something other than pairs of a stored entry's id and a number.
        """
        found = self._retriever.search(query, k)
        try:
            return [
                Hit(operator.index(id), self._entries[id], float(score))
                for id, score in itertools.islice(found, k)
            ]
        except (TypeError, ValueError, KeyError) as error:
            raise TypeError(
                f"retriever {type(self._retriever).__name__}: search({query[:40]!r}, {k}) returned "
                f"{repr(found)[:120]}; expected at most {k} pairs (id, score), best first: the id of an entry that is "
                "stored, and a number"
            ) from error

    def pending_texts(self, queries: Sequence[str]) -> list[tuple[CachedEncoder, Kind, str]]:
        """Return what searches for ``queries`` will have encoded; nothing for a retriever that does not tell."""
        pending = getattr(self._retriever, "pending_texts", None)
        return [] if pending is None or not self._entries else list(pending(queries))

    def fork(self) -> MemoryStore:
        """Return an independent copy; entries and index are shared until one of the two writes."""
        copy = object.__new__(MemoryStore)
        self._shared = True
        copy.__dict__.update(self.__dict__)
        fork = getattr(self._retriever, "fork", None)
        copy._retriever = fork() if fork is not None else self._indexed()
        return copy

    def snapshot(self) -> dict[str, Any]:
        """Return what :meth:`restore` takes, at no cost but that of one copy of the entries if they change."""
        self._shared = True
        return dict(self.__dict__)

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to a snapshot; the index is made again with its next use, as nobody knows what was done to it."""
        self.__dict__.update(snapshot)
        self._retriever = cast("Retriever", _Unmade(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> MemoryStore:
        return self.fork()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_retriever"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._retriever = self._indexed()

    def _indexed(self) -> Retriever:
        """Return a new retriever over the entries."""
        retriever = self._make_retriever()
        for id, content in self._entries.items():
            retriever.add(id, content)
        return retriever

    def _make_index(self) -> Retriever:
        self._retriever = self._indexed()
        return self._retriever

    def _own(self) -> None:
        if self._shared:
            self._entries = dict(self._entries)
            self._shared = False


class _Unmade:
    """Stands for the index of a store until something asks for one of its methods."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store._make_index(), name)
