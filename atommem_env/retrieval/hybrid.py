"""Hybrid retrieval: several retrievers' rankings fused by reciprocal rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from atommem_env.retrieval.base import ForkableRetriever, best_hits
from atommem_env.retrieval.encoders import CachedEncoder, Kind

RANK_CONSTANT: Final = 60
"""What is added to a rank: the larger, the less the first ranks stand out."""

DEPTH: Final = 100
"""How many hits of each part count, unless a search asks for more."""


class HybridRetriever:
    r"""Fuses the rankings of its parts: an entry's score is the sum of w / (60 + r) over the parts.

    w is the part's weight and r the entry's rank among the part's first 100 hits (its first k, if a search
    asks for k > 100), from 1; a part that does not have the entry among them adds nothing. A part of weight
    0 is not searched. Equal scores go by ascending id.

    ``copy.deepcopy`` returns the object itself, and pickling keeps the parts' settings and the weights only:
    as an argument of an environment a retriever stands for its configuration. :meth:`fork` copies contents.

    Reference: Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion Outperforms Condorcet and Individual
    Rank Learning Methods" (SIGIR 2009); the weights are added here.

    Args:
        parts: empty retrievers, usually ``(BM25(), DenseRetriever(encoder))``.
        weights: one for each part, at least 0, not all 0.

    Raises:
        ValueError: when there are no parts, or the weights do not fit them.
    """

    def __init__(self, parts: Sequence[ForkableRetriever], weights: Sequence[float] = (0.5, 0.5)) -> None:
        self.parts = tuple(parts)
        try:
            self.weights = tuple(float(weight) for weight in weights)
        except (TypeError, ValueError):
            self.weights = ()
        fit = len(self.weights) == len(self.parts) > 0
        if not (fit and all(0 <= weight < math.inf for weight in self.weights) and any(self.weights)):
            raise ValueError(
                f"fusion weights {weights!r}: expected {len(self.parts)} numbers, one for each part, "
                "all finite, none below 0, and not all 0"
            )

    def __repr__(self) -> str:
        return f"HybridRetriever({self.parts!r}, {self.weights!r})"

    def __deepcopy__(self, memo: dict[int, object]) -> HybridRetriever:
        return self

    def __reduce__(
        self,
    ) -> tuple[type[HybridRetriever], tuple[tuple[ForkableRetriever, ...], tuple[float, ...]]]:
        return HybridRetriever, (self.parts, self.weights)

    def fresh(self, task_id: str) -> HybridRetriever:
        """Return an empty retriever with the same settings, for an episode of task ``task_id``."""
        return HybridRetriever([part.fresh(task_id) for part in self.parts], self.weights)

    def fork(self) -> HybridRetriever:
        """Return an independent copy with the same entries."""
        return HybridRetriever([part.fork() for part in self.parts], self.weights)

    def add(self, id: int, text: str) -> None:
        """Index a new entry."""
        for part in self.parts:
            part.add(id, text)

    def replace(self, id: int, text: str) -> None:
        """Index ``text`` in place of what entry ``id`` said."""
        for part in self.parts:
            part.replace(id, text)

    def remove(self, id: int) -> None:
        """Forget entry ``id``."""
        for part in self.parts:
            part.remove(id)

    def pending_texts(self, queries: Sequence[str]) -> list[tuple[CachedEncoder, Kind, str]]:
        """Return what searches for ``queries`` will have encoded, by all parts that are searched."""
        texts: list[tuple[CachedEncoder, Kind, str]] = []
        for part, weight in zip(self.parts, self.weights, strict=True):
            if weight and hasattr(part, "pending_texts"):
                texts += part.pending_texts(queries)
        return texts

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """Return the at most ``k`` best hits as ``(id, score)``, best first, equal scores by ascending id."""
        if k < 1:
            return []
        scores: dict[int, float] = {}
        for part, weight in zip(self.parts, self.weights, strict=True):
            if weight:
                for rank, (id, _) in enumerate(part.search(query, max(k, DEPTH)), start=1):
                    scores[id] = scores.get(id, 0.0) + weight / (RANK_CONSTANT + rank)
        return best_hits(scores, k)
