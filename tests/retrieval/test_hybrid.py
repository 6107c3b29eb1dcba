"""Hybrid search: the sum of weighted reciprocal ranks, and nothing else."""

from __future__ import annotations

import copy
import pickle
import random
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.retrieval import BM25, DenseRetriever, FunctionEncoder, HybridRetriever, RandomRetriever

WORDS = ["red", "green", "blue", "stone", "river", "tower", "bridge", "old"]


def bags(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return vectors of hashed letter counts: close texts get close vectors."""
    vectors = np.zeros((len(texts), 16), np.float32)
    for row, text in enumerate(texts):
        for letter in text:
            vectors[row, zlib.crc32(letter.encode()) % 16] += 1
    return vectors


def make(weights: tuple[float, float] = (0.5, 0.5)) -> HybridRetriever:
    return HybridRetriever((BM25(), DenseRetriever(FunctionEncoder(bags))), weights)


def by_definition(retriever: HybridRetriever, query: str) -> list[tuple[int, float]]:
    scores: dict[int, float] = {}
    for part, weight in zip(retriever.parts, retriever.weights, strict=True):
        if weight > 0:
            for rank, (id, _) in enumerate(part.search(query, 100), start=1):
                scores[id] = scores.get(id, 0) + weight / (60 + rank)
    return sorted(scores.items(), key=lambda hit: (-round(hit[1], 10), hit[0]))


contents = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join), max_size=25)


@settings(max_examples=60, deadline=None)
@given(contents, st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join), st.integers(1, 8), st.data())
def test_scores_are_those_of_the_definition(
    texts: list[str], query: str, k: int, data: st.DataObject
) -> None:
    weights = data.draw(st.sampled_from([(0.5, 0.5), (1.0, 0.0), (0.0, 2.0), (0.3, 0.7)]))
    retriever = make(weights)
    for id, text in enumerate(texts, start=1):
        retriever.add(id, text)
    found = retriever.search(query, k)
    wanted = by_definition(retriever, query)[:k]
    assert [id for id, _ in found] == [id for id, _ in wanted]
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted], abs=1e-9)


def test_the_formula_on_a_case_worked_by_hand() -> None:
    class Fixed(RandomRetriever):
        """Returns the same ranking for every query."""

        def __init__(self, ranking: list[int]) -> None:
            super().__init__()
            self.ranking = ranking

        def search(self, query: str, k: int) -> list[tuple[int, float]]:
            return [(id, -float(rank)) for rank, id in enumerate(self.ranking)][:k]

    retriever = HybridRetriever((Fixed([5, 4, 1]), Fixed([4, 5])), (0.5, 0.5))
    found = retriever.search("", 9)
    assert [id for id, _ in found] == [4, 5, 1]
    shared = 0.5 / 61 + 0.5 / 62
    assert [score for _, score in found] == pytest.approx([shared, shared, 0.5 / 63], abs=1e-9)
    heavier = HybridRetriever((Fixed([5, 4, 1]), Fixed([4, 5])), (0.9, 0.1))
    assert [id for id, _ in heavier.search("", 9)] == [5, 4, 1]


def test_fewer_hits_asked_for_are_the_first_of_more() -> None:
    draw = random.Random(3)
    retriever = make()
    for id in range(1, 301):
        retriever.add(id, " ".join(draw.choices(WORDS, k=6)))
    many = retriever.search("old stone bridge", 100)
    for k in (1, 6, 32):
        assert retriever.search("old stone bridge", k) == many[:k]
    assert len(retriever.search("old stone bridge", 200)) == 200


def test_writes_reach_every_part_and_forks_are_independent() -> None:
    retriever = make()
    retriever.add(1, "red river")
    retriever.add(2, "blue tower")
    copied = retriever.fork()
    retriever.replace(1, "old bridge")
    copied.remove(2)
    assert [id for id, _ in retriever.search("bridge", 5)] == [1, 2]
    assert [id for id, _ in copied.search("bridge", 5)] == [1]
    assert retriever.fresh("task").search("bridge", 5) == []
    assert retriever.search("bridge", 0) == []


def test_it_deep_copies_as_itself_and_pickles_empty() -> None:
    retriever = make((0.2, 0.8))
    retriever.add(1, "red river")
    assert copy.deepcopy(retriever) is retriever
    loaded = pickle.loads(pickle.dumps(retriever))
    assert loaded.weights == (0.2, 0.8)
    assert loaded.search("red", 5) == []


@pytest.mark.parametrize("weights", [(0.5,), (1, 1, 1), (0, 0), (-1, 2), (float("nan"), 1), ("a", "b"), 3])
def test_weights_that_do_not_fit_are_an_error_that_shows_them(weights: object) -> None:
    with pytest.raises(ValueError, match="expected 2 numbers"):
        make(weights)  # type: ignore[arg-type]
