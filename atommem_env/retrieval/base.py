"""The protocol of a retriever: the index over one episode's entries, owned by its memory store."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Final, Protocol, runtime_checkable

from atommem_env.text import digest

TIE_MARGIN: Final = 1e-9
"""Hits within this of the k-th best score may tie with it once scores are rounded."""

DECIMALS: Final = 10
"""Scores are rounded to as many, so that equal fits are equal scores."""

_UNIT: Final = 10.0**DECIMALS


@runtime_checkable
class Retriever(Protocol):
    """An index over the entries of one memory store: the least that one must have.

    A retriever starts empty and sees every change of the store once. Each call costs in proportion to the
    entry (``search``: to the entries that share a term with the query), never to what happened before.

    One that also has :class:`ForkableRetriever`'s ``fresh`` is told the task, and one that has its ``fork`` is
    copied by it; without them an instance is deep-copied for each episode, and a copy of a store is indexed
    again.
    """

    def add(self, id: int, text: str) -> None:
        """Index a new entry."""
        ...

    def replace(self, id: int, text: str) -> None:
        """Index ``text`` in place of what entry ``id`` said."""
        ...

    def remove(self, id: int) -> None:
        """Forget entry ``id``."""
        ...

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """Return at most ``k`` pairs ``(id, score)``, best first, equal scores by ascending id."""
        ...


@runtime_checkable
class ForkableRetriever(Retriever, Protocol):
    """A retriever that can be restarted and copied cheaply, as this package's own can."""

    def fresh(self, task_id: str) -> ForkableRetriever:
        """Return an empty retriever with the same settings, for an episode of task ``task_id``."""
        ...

    def fork(self) -> ForkableRetriever:
        """Return an independent copy with the same entries; cheap, copy-on-write where that pays."""
        ...


def best_hits(scores: Mapping[int, float], k: int, base: float = 0.0) -> list[tuple[int, float]]:
    """Return the ``k`` best of ``scores`` (by id) as a search does: best first, equal scores by ascending id.

    Scores are rounded to ten decimals first, so that neither the order in which terms were added up nor the
    machine's mathematics library decides between entries that fit equally well.

    Args:
        scores: by id.
        k: how many are wanted.
        base: what is added to every score.
    """
    if k < 1:
        return []
    floor = sorted(scores.values())[-k] - TIE_MARGIN if len(scores) > k else -math.inf
    ranked = [(-round((base + score) * _UNIT), id) for id, score in scores.items() if score >= floor]
    ranked.sort()
    return [(id, -score / _UNIT) for score, id in ranked[:k]]


class RandomRetriever:
    """Orders entries by a hash of (task, query, id): the paper's table 4 control, the same at every step.

    Every entry is a hit, whatever it says.
    """

    def __init__(self, task_id: str = "") -> None:
        self._task_id = task_id
        self._ids: set[int] = set()

    def __repr__(self) -> str:
        return f"RandomRetriever({self._task_id!r})"

    def __deepcopy__(self, memo: dict[int, object]) -> RandomRetriever:
        return self

    def __reduce__(self) -> tuple[type[RandomRetriever], tuple[str]]:
        return RandomRetriever, (self._task_id,)

    def fresh(self, task_id: str) -> RandomRetriever:
        """Return an empty retriever for task ``task_id``."""
        return RandomRetriever(task_id)

    def fork(self) -> RandomRetriever:
        """Return an independent copy."""
        copy = RandomRetriever(self._task_id)
        copy._ids = set(self._ids)
        return copy

    def add(self, id: int, text: str) -> None:
        """Index a new entry."""
        self._ids.add(id)

    def replace(self, id: int, text: str) -> None:
        """Do nothing: the order does not depend on what an entry says."""

    def remove(self, id: int) -> None:
        """Forget entry ``id``."""
        self._ids.discard(id)

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """Return ``k`` entries in hash order; the score is the hash as a fraction of its range, in [0, 1)."""
        start = hashlib.blake2b(digest(self._task_id, query), digest_size=6)
        scores: dict[int, float] = {}
        for id in self._ids:
            state = start.copy()
            state.update(id.to_bytes(8, "little"))
            scores[id] = int.from_bytes(state.digest(), "little") / 2**48
        return best_hits(scores, k)
