"""The mix of operations and a read after a write, for this package's stores and what pip can install instead.

The alternatives need ``pip install 'atommem_env[bench]'``; an absent one is skipped.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from measuring import Row
from mix import STEPS, TOP_K, WIDTH, Item, Script, Source
from stores import CONTENDERS, Store

LIGHT = ("ours-bm25", "ours-dense", "matrix", "rank-bm25")
STORES = [
    pytest.param(name, marks=() if name in LIGHT else (pytest.mark.heavy,), id=name) for name in CONTENDERS
]
REFERENCES = {"lexical": "rank-bm25", "dense": "matrix"}
"""By family, the store whose reads are taken for right: ``rank_bm25``, and exact search in a matrix."""
OURS = {"lexical": "ours-bm25", "dense": "ours-dense"}
"""By family, this package's store, with which the others are compared."""
PATIENCE = 4.0
"""Seconds of a round of the mix after which a store is stopped."""

Call = tuple[Any, tuple[Any, ...]]
"""A function and its arguments, put together before the clock runs."""


def make(name: str, count: int) -> list[Store]:
    """Return empty stores; skips when the library is absent."""
    contender = CONTENDERS[name]
    if not contender.available:
        pytest.skip(f"pip install {contender.packages}")
    return contender.make(count)


def calls_of(store: Store, script: Script) -> list[list[Call]]:
    """Return what a script asks of a store, step by step; writes are settled before a read and after a step."""
    steps: list[list[Call]] = []
    for step in script:
        calls: list[Call] = []
        for kind, id, item in step:
            if kind == "read":
                calls += (store.settle, ()), (store.search, (item, TOP_K))
            elif kind == "delete":
                calls.append((store.delete, (id,)))
            else:
                calls.append((getattr(store, kind), (id, item)))
        calls.append((store.settle, ()))
        steps.append(calls)
    return steps


def play(plans: Sequence[Sequence[Sequence[Call]]], patience: float = PATIENCE) -> int:
    """Run plans in lock-step, one step of each after the other, until one ends or ``patience`` does.

    Returns:
        How many steps were run.
    """
    end = time.perf_counter() + patience
    for number, together in enumerate(zip(*plans, strict=True), start=1):
        for calls in together:
            for function, arguments in calls:
                function(*arguments)
        if time.perf_counter() > end:
            return number
    return len(plans[0])


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("rollouts", [1, 128])
def test_mix(benchmark: Any, row: Row, name: str, rollouts: int) -> None:
    source = Source(0)
    rollouts = rollouts if benchmark.enabled else min(rollouts, 2)
    scripts: list[Script] = []

    def setup() -> tuple[Any, ...]:
        scripts[:] = [source.script(STEPS if benchmark.enabled else 3) for _ in range(rollouts)]
        stores = make(name, rollouts)
        return ([calls_of(*pair) for pair in zip(stores, scripts, strict=True)],)

    steps = row(
        play,
        setup,
        table="Operations per second in the mix",
        name=CONTENDERS[name].label,
        column=f"{rollouts} rollouts at once" if rollouts > 1 else "1 rollout",
        than=CONTENDERS[OURS[CONTENDERS[name].family]].label,
        unit="operations/s",
        rounds=12 if rollouts == 1 else 3,
    )
    benchmark.extra_info["per"] = sum(len(step) for script in scripts for step in script[:steps])
    if steps < len(scripts[0]):
        benchmark.extra_info["note"] = f"first {steps} of {STEPS} steps"


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("entries", [1_000, 10_000, 100_000])
def test_read_after_write(benchmark: Any, row: Row, name: str, entries: int) -> None:
    if entries > 10_000 and name not in (*LIGHT, "langchain-faiss"):
        pytest.skip("a minute and more for one row")
    source = Source(0)
    (store,) = make(name, 1)
    count = entries if benchmark.enabled else entries // 1_000 + 10
    store.fill(source.entries(count))
    places = iter(range(1, count))

    def setup() -> tuple[Any, ...]:
        store.update(next(places), source.entries(1)[0])
        store.settle()
        return (source.queries(1)[0], TOP_K)

    row(
        store.search,
        setup,
        table="A read after a write",
        name=CONTENDERS[name].label,
        column=f"{entries:,} entries",
        than=CONTENDERS[OURS[CONTENDERS[name].family]].label,
        rounds=3 if entries > 10_000 else 8,
    )


# --- what is measured is what it says ---------------------------------------------------------------


def test_the_mix_is_what_it_says() -> None:
    source = Source(1)
    scripts = [source.script() for _ in range(40)]
    operations = [operation for script in scripts for step in script for operation in step]
    kinds = Counter(operation.kind for operation in operations)
    steps = 40 * STEPS
    assert all(len(script) == STEPS for script in scripts)
    assert kinds["create"] == 3 * steps
    assert kinds["read"] / steps == pytest.approx(0.7, abs=0.05)
    assert kinds["update"] / steps == pytest.approx(0.5, abs=0.05)
    assert kinds["delete"] / steps == pytest.approx(0.3, abs=0.05)
    texts = [operation.item.text for operation in operations if operation.item]
    assert len(set(texts)) == len(texts)
    written: list[Item] = [
        operation.item for operation in operations if operation.kind == "create" and operation.item
    ]
    assert np.mean([len(item.text.split()) for item in written]) == pytest.approx(60, abs=2)
    assert {item.vector.shape for item in written} == {(WIDTH,)}


@pytest.mark.parametrize("name", STORES)
def test_a_store_finds_what_was_written_last(name: str) -> None:
    source = Source(5)
    one, other = make(name, 2)
    items, changed, new = source.entries(12), source.entries(1)[0], source.entries(1)[0]
    one.fill(items)
    other.fill(source.entries(3))
    assert one.search(items[4], 1) == [5]
    one.update(5, changed)
    one.create(13, new)
    one.settle()
    assert one.search(changed, 1) == [5]
    assert one.search(new, 3)[0] == 13
    one.delete(13)
    one.settle()
    assert 13 not in one.search(new, 6)
    assert set(one.search(items[0], 6)) <= set(range(1, 13))


@pytest.mark.parametrize("name", ["ours-bm25", "ours-dense"])
def test_this_package_finds_what_the_reference_finds(name: str) -> None:
    """In whatever order; where no other entry shares a word with the query, one may find fewer."""
    reference = REFERENCES[CONTENDERS[name].family]
    script = Source(7).script()
    found = [reads(make(kind, 1)[0], script) for kind in (name, reference)]
    assert all(set(a) <= set(b) or set(b) <= set(a) for a, b in zip(*found, strict=True))


def reads(store: Store, script: Script) -> list[list[int]]:
    """Return what each read of a script finds."""
    found: list[list[int]] = []
    for step in calls_of(store, script):
        for function, arguments in step:
            result = function(*arguments)
            if function == store.search:
                found.append(result)
    return found


def test_a_slow_store_is_stopped_after_a_step() -> None:
    plans = [calls_of(make("matrix", 1)[0], Source(6).script())]
    assert play(plans, patience=-1.0) == 1
