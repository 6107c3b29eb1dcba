"""The retriever argument: every form gives an empty retriever per episode, every mistake says its mend."""

from __future__ import annotations

import pickle
import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from atommem_env.core.memory import MemoryStore
from atommem_env.retrieval import (
    BM25,
    DenseRetriever,
    HybridRetriever,
    RandomRetriever,
    make_retriever,
)


def ones(texts: list[str]) -> object:
    return np.ones((len(texts), 2))


class Halting:
    """Has some of a retriever's methods."""

    def add(self, id: int, text: str) -> None: ...


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("retrievers_of_mine")
    made.__dict__.update(instance=BM25(k1=2.5), Class=BM25, factory=lambda: BM25(k1=2.5), number=3)
    monkeypatch.setitem(sys.modules, "retrievers_of_mine", made)
    return made


def test_the_default_is_bm25() -> None:
    build = make_retriever()
    first, second = build("a"), build("b")
    assert isinstance(first, BM25)
    first.add(1, "stone")
    assert second.search("stone", 1) == []


def test_dense_and_hybrid_use_the_encoder_given() -> None:
    dense = make_retriever("dense", encoder=ones)("task")
    hybrid = make_retriever("hybrid", encoder=ones, fusion_weights=[0.9, 0.1])("task")
    assert isinstance(dense, DenseRetriever)
    assert isinstance(hybrid, HybridRetriever)
    assert hybrid.weights == (0.9, 0.1)
    assert isinstance(hybrid.parts[0], BM25)
    assert isinstance(hybrid.parts[1], DenseRetriever)
    assert hybrid.parts[1].encoder is dense.encoder
    assert make_retriever("hybrid", encoder=ones)("task").weights == (0.5, 0.5)  # type: ignore[attr-defined]


def test_random_is_seeded_by_the_task() -> None:
    build = make_retriever("random")
    orders = []
    for task in ("a", "a", "b"):
        retriever = build(task)
        for id in range(1, 30):
            retriever.add(id, "text")
        orders.append(retriever.search("query", 29))
    assert orders[0] == orders[1] != orders[2]


def test_an_instance_lends_its_settings_and_stays_empty() -> None:
    given = BM25(k1=2.5)
    made = make_retriever(given)("task")
    assert made is not given
    assert isinstance(made, BM25)
    assert made.k1 == 2.5


def test_a_factory_is_called_once_per_episode() -> None:
    calls = []

    def factory() -> RandomRetriever:
        calls.append(1)
        return RandomRetriever()

    build = make_retriever(factory)
    assert calls == []
    first, second = build("a"), build("b")
    assert len(calls) == 2
    first.add(1, "x")
    second.add(1, "x")
    assert first.search("q", 1) != second.search("q", 1)  # each knows its task


@pytest.mark.parametrize(("name", "k1"), [("instance", 2.5), ("Class", 1.5), ("factory", 2.5)])
def test_module_and_name_find_any_of_these(module: ModuleType, name: str, k1: float) -> None:
    made = make_retriever(f"retrievers_of_mine:{name}")("task")
    assert isinstance(made, BM25)
    assert made.k1 == k1


@pytest.mark.parametrize("spec", ["bm25", "random", "dense", "hybrid", BM25(k1=2.0), BM25])
def test_the_result_pickles(spec: object) -> None:
    encoder = np.vstack if spec in ("dense", "hybrid") else None
    loaded = pickle.loads(pickle.dumps(make_retriever(spec, encoder=encoder)))
    made = loaded("task")
    made.add(1, "stone")
    made.remove(1)
    assert made.search("stone", 1) == []


def test_an_unknown_name_lists_the_choices() -> None:
    with pytest.raises(ValueError, match="'bm52': expected one of 'bm25', 'dense', 'hybrid', 'random'"):
        make_retriever("bm52")


def test_a_module_or_name_that_is_not_there_is_named(module: ModuleType) -> None:
    with pytest.raises(ValueError, match="importing the module 'no_such_module_here' failed"):
        make_retriever("no_such_module_here:Thing")
    with pytest.raises(ValueError, match=r"no attribute 'factry'; did you mean 'factory'"):
        make_retriever("retrievers_of_mine:factry")


@pytest.mark.parametrize("spec", [3, None, Halting(), ["bm25"], "retrievers_of_mine:number"])
def test_what_is_no_retriever_is_an_error_that_says_what_it_lacks(module: ModuleType, spec: object) -> None:
    with pytest.raises(TypeError, match=r"lacks .*replace.*search.*expected one of 'bm25'"):
        make_retriever(spec)


@pytest.mark.parametrize("factory", [Halting, lambda: None, lambda: BM25])
def test_a_factory_of_something_else_is_an_error_at_the_first_episode(factory: object) -> None:
    with pytest.raises(TypeError, match=r"returned .* lacks .*replace"):
        make_retriever(factory)("task")


@pytest.mark.parametrize("spec", ["bm25", "random", BM25(), BM25, "retrievers_of_mine:Class"])
def test_an_encoder_without_a_use_is_an_error(module: ModuleType, spec: object) -> None:
    with pytest.raises(ValueError, match="has no use with retriever="):
        make_retriever(spec, encoder=ones)
    with pytest.raises(ValueError, match="has no use with retriever="):
        make_retriever(spec, fusion_weights=(0.5, 0.5))


def test_weights_have_no_use_with_dense_search() -> None:
    with pytest.raises(ValueError, match="fusion_weights"):
        make_retriever("dense", encoder=ones, fusion_weights=(0.5, 0.5))


def test_importing_the_retrievers_imports_no_model_library() -> None:
    code = (
        "import sys, atommem_env.retrieval; "
        "heavy = {'torch', 'sentence_transformers', 'transformers'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class Substrings:
    """A user's own index with the four methods that one must have, and no others."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}

    def add(self, id: int, text: str) -> None:
        self.texts[id] = text

    def replace(self, id: int, text: str) -> None:
        self.texts[id] = text

    def remove(self, id: int) -> None:
        del self.texts[id]

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        return [(id, 1.0) for id, text in self.texts.items() if query in text][:k]


@pytest.mark.parametrize("spec", [Substrings, Substrings()])
def test_four_methods_are_enough(spec: object) -> None:
    make = make_retriever(spec)
    first, second = make("a"), make("b")
    first.add(1, "red stone")
    assert first.search("stone", 3) == [(1, 1.0)]
    assert second.search("stone", 3) == []


class Careless(Substrings):
    """Returns what it is told to, whatever was asked for."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found

    def search(self, query: str, k: int) -> Any:
        return self.found


def test_more_entries_than_asked_for_are_cut() -> None:
    store = MemoryStore(lambda: Careless([(2, 1.0), (1, 0.5), (3, 0.1)]))
    for text in ("a", "b", "c"):
        store.create(text)
    assert [hit.id for hit in store.search("x", 2)] == [2, 1]


@pytest.mark.parametrize(
    "found", [None, 5, [1], [(9, 1.0)], [(1, "much")], [(1, 1.0, "a")], [{"id": 1}], [(None, 1.0)]]
)
def test_what_is_no_list_of_hits_is_an_error_that_names_the_retriever(found: Any) -> None:
    store = MemoryStore(lambda: Careless(found))
    store.create("a")
    with pytest.raises(
        TypeError, match=r"retriever Careless: search\('x', 3\) returned .*; expected at most 3 pairs"
    ):
        store.search("x", 3)
