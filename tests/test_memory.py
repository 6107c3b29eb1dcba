"""The store against a plain dictionary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env.memory import MemoryStore
from atommem_env.retrieval.base import RandomRetriever

COMMANDS = st.lists(
    st.tuples(st.sampled_from(["create", "update", "delete", "skip", "fork"]), st.integers(1, 12)), max_size=60
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
    store = MemoryStore(RandomRetriever("task"), capacity, "evict_oldest" if evict else "refuse")
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
        MemoryStore(RandomRetriever(), capacity, overflow)
