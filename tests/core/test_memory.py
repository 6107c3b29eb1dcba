"""The store against a plain dictionary."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env.core.memory import MemoryStore
from atommem_env.retrieval import BM25, RandomRetriever, Retriever

COMMANDS = st.lists(
    st.tuples(st.sampled_from(["create", "update", "delete", "skip", "fork"]), st.integers(1, 12)),
    max_size=60,
)


class Model:
    """A store as one would write it down: a dictionary, a counter and a bound."""

    def __init__(self, capacity: int | None, evict: bool) -> None:
        self.entries: dict[int, str] = {}
        self.next_id = 1
        self.capacity, self.evict = capacity, evict

    def create(self, content: str) -> tuple[int | None, int | None, str | None]:
        id, self.next_id = self.next_id, self.next_id + 1
        evicted = None
        if self.capacity is not None and len(self.entries) == self.capacity:
            if not self.evict:
                return None, None, "capacity"
            evicted = min(self.entries)
            del self.entries[evicted]
        self.entries[id] = content
        return id, evicted, None

    def fork(self) -> Model:
        copy = Model(self.capacity, self.evict)
        copy.entries, copy.next_id = dict(self.entries), self.next_id
        return copy


@given(COMMANDS, st.none() | st.integers(1, 4), st.booleans())
def test_the_store_does_what_a_dictionary_does(
    commands: list[tuple[str, int]], capacity: int | None, evict: bool
) -> None:
    store = MemoryStore(RandomRetriever, capacity, "evict_oldest" if evict else "refuse")
    pairs = [(store, Model(capacity, evict))]
    for step, (command, number) in enumerate(commands):
        store, model = pairs[number % len(pairs)]
        content = f"{command} {step}"
        if command == "create":
            assert store.create(content) == model.create(content)
        elif command == "skip":
            store.skip_id()
            model.next_id += 1
        elif command == "fork" and len(pairs) < 4:
            pairs.append((store.fork(), model.fork()))
        elif command in ("update", "delete"):
            known = number in model.entries
            reason = store.update(number, content) if command == "update" else store.delete(number)
            assert reason == (None if known else "unknown_id")
            if known and command == "update":
                model.entries[number] = content
            elif known:
                del model.entries[number]
        for each, plain in pairs:
            assert each.entries == plain.entries
            assert len(each) == len(plain.entries)
            assert each.next_id == plain.next_id
            found = each.search("anything", 32)
            assert {hit.id: hit.content for hit in found} == plain.entries


@pytest.mark.parametrize(("capacity", "overflow"), [(0, "refuse"), (-1, "refuse"), (3, "forget")])
def test_wrong_settings_are_errors(capacity: int, overflow: str) -> None:
    with pytest.raises(ValueError, match=r"capacity|overflow"):
        MemoryStore(RandomRetriever, capacity, overflow)


class Plain:
    """The least that a retriever must have: add, replace, remove, search."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}

    def add(self, id: int, text: str) -> None:
        assert id not in self.texts
        self.texts[id] = text

    def replace(self, id: int, text: str) -> None:
        self.texts[id] = text

    def remove(self, id: int) -> None:
        del self.texts[id]

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        return [(id, 1.0) for id, text in sorted(self.texts.items()) if query in text][:k]


@pytest.mark.parametrize("make", [Plain, RandomRetriever, BM25])
def test_a_store_forks_copies_and_pickles_with_its_index(make: Callable[[], Retriever]) -> None:
    store = MemoryStore(make)
    store.create("red stone")
    store.create("red water")
    store.delete(1)
    store.scratchpad = "note"
    for twin in (store.fork(), copy.deepcopy(store), pickle.loads(pickle.dumps(store))):
        assert twin.search("red", 5) == store.search("red", 5)
        assert (twin.scratchpad, twin.next_id, twin.entries) == ("note", 3, {2: "red water"})
        twin.create("red sky")
        assert len(twin.search("red", 5)) == 2
        assert len(store.search("red", 5)) == 1
