"""What is measured: the mix is what its description says, and every store does what it is asked."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from atommem_env.bench.memories import agreement, bytes_per_entry, calls_of, play
from atommem_env.bench.mix import STEPS, WIDTH, Source
from atommem_env.bench.stores import CONTENDERS, contenders

LIGHT = ("ours-bm25", "ours-dense", "matrix", "rank-bm25")
STORES = [
    pytest.param(name, marks=() if name in LIGHT else (pytest.mark.heavy,), id=name) for name in CONTENDERS
]


def test_the_mix_is_what_it_says() -> None:
    source = Source(1)
    scripts = [source.script() for _ in range(40)]
    kinds = Counter(op.kind for script in scripts for step in script for op in step)
    steps = 40 * STEPS
    assert all(len(script) == STEPS for script in scripts)
    assert kinds["create"] == 3 * steps
    assert kinds["read"] / steps == pytest.approx(0.7, abs=0.05)
    assert kinds["update"] / steps == pytest.approx(0.5, abs=0.05)
    assert kinds["delete"] / steps == pytest.approx(0.3, abs=0.05)
    texts = [op.item.text for script in scripts for step in script for op in step if op.item]
    assert len(set(texts)) == len(texts)
    words = Counter(word for text in texts for word in text.split())
    assert words.most_common(1)[0][1] > 20 * words.most_common(400)[-1][1]
    written = [
        op.item for script in scripts for step in script for op in step if op.kind == "create" and op.item
    ]
    assert np.mean([len(item.text.split()) for item in written]) == pytest.approx(60, abs=2)
    assert {item.vector.shape for item in written} == {(WIDTH,)}
    assert np.linalg.norm(written[0].vector) == pytest.approx(1, abs=1e-5)


def test_the_same_seed_gives_the_same_texts() -> None:
    assert Source(3).texts(4) == Source(3).texts(4) != Source(4).texts(4)


def test_a_script_changes_only_what_is_there() -> None:
    live: set[int] = set()
    for op in (op for step in Source(2).script() for op in step):
        if op.kind == "create":
            live.add(op.id)
        elif op.kind != "read":
            assert op.id in live
        if op.kind == "delete":
            live.remove(op.id)


@pytest.mark.parametrize("name", STORES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_store_finds_what_was_written_last(name: str) -> None:
    contender = CONTENDERS[name]
    if not contender.available:
        pytest.skip(f"pip install {contender.packages}")
    source = Source(5)
    one, other = contender.make(2)
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


@pytest.mark.parametrize(("name", "reference"), [("ours-bm25", "rank-bm25"), ("ours-dense", "matrix")])
def test_this_package_finds_what_the_reference_finds(name: str, reference: str) -> None:
    assert agreement(CONTENDERS[name], CONTENDERS[reference], seed=7, scripts=2) == 1.0


def test_the_clock_stops_a_slow_store_after_a_step() -> None:
    script = Source(6).script()
    operations, _, steps = play(CONTENDERS["matrix"].make(1), [script], limit=-1.0)
    assert (operations, steps) == (len(script[0]), 1)
    assert len(calls_of(CONTENDERS["matrix"].make(1)[0], script)) == STEPS


def test_the_memory_of_an_entry_is_counted() -> None:
    assert all(100 < size < 50_000 for size in bytes_per_entry(60, 0).values())


def test_an_unknown_store_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"\['mine'\].*expected names of ours-bm25"):
        contenders(["mine"])
