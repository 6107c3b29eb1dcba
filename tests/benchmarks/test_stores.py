"""The mix of operations and a read after a write, for this package's stores and what pip can install instead.

pytest tests/benchmarks -n 0 -m "" --benchmark-enable --benchmark-columns=median,iqr,rounds --benchmark-group-by=group

The alternatives need ``pip install 'atommem_env[bench]'``; an absent one is skipped. Without
``--benchmark-enable`` each runs once, on little, as a check that it works. ``atommem bench`` runs the stores in
turn and gives ratios; here each is measured for itself.
"""

from __future__ import annotations

from typing import Any

import pytest

from atommem_env.bench.memories import play
from atommem_env.bench.mix import TOP_K, Source
from atommem_env.bench.stores import CONTENDERS, Store, quiet_libraries

LIGHT = ("ours-bm25", "ours-dense", "matrix", "rank-bm25")
STORES = [
    pytest.param(name, marks=() if name in LIGHT else (pytest.mark.heavy,), id=name) for name in CONTENDERS
]


def make(name: str, count: int) -> list[Store]:
    """Return empty stores; skips when the library is absent."""
    contender = CONTENDERS[name]
    if not contender.available:
        pytest.skip(f"pip install {contender.packages}")
    with quiet_libraries():
        return contender.make(count)


@pytest.mark.parametrize("rollouts", [1, 16])
@pytest.mark.parametrize("name", STORES)
@pytest.mark.benchmark(group="the mix, per rollouts at once")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mix(benchmark: Any, name: str, rollouts: int) -> None:
    source = Source(0)
    steps = 28 if benchmark.enabled else 3

    def setup() -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (make(name, rollouts), [source.script(steps) for _ in range(rollouts)], 5.0), {}

    benchmark.group = f"the mix, {rollouts} at once"
    benchmark.pedantic(play, setup=setup, rounds=3 if benchmark.enabled else 1)


@pytest.mark.parametrize("entries", [1_000, 10_000])
@pytest.mark.parametrize("name", STORES)
@pytest.mark.benchmark(group="read after a write")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_read_after_write(benchmark: Any, name: str, entries: int) -> None:
    source = Source(0)
    (store,) = make(name, 1)
    count = entries if benchmark.enabled else entries // 100
    store.fill(source.entries(count))
    place = iter(range(1, count))

    def setup() -> tuple[tuple[Any, ...], dict[str, Any]]:
        store.update(next(place), source.entries(1)[0])
        store.settle()
        return (source.queries(1)[0], TOP_K), {}

    benchmark.group = f"read after an update, {entries:,} entries"
    benchmark.pedantic(store.search, setup=setup, rounds=8 if benchmark.enabled else 1)
