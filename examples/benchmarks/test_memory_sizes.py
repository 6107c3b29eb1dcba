"""What an entry and an environment take of memory."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring import Row
from mix import TOP_K, Source
from stores import CONTENDERS

STATM = Path("/proc/self/statm")


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["ours-bm25", "rank-bm25"])
def test_entry(benchmark: Any, row: Row, name: str) -> None:
    """What an index holds next to the text itself, after a search; ``rank_bm25`` needs its token lists."""
    size = 10_000 if benchmark.enabled else 60
    source = Source(0)
    items, (query,) = source.entries(size), source.queries(1)

    def measure() -> float:
        (warm,) = CONTENDERS[name].make(1)  # what a process holds once is not part of what an entry costs
        warm.fill(source.entries(50))
        warm.search(query, TOP_K)
        gc.collect()
        tracemalloc.start()
        try:
            (store,) = CONTENDERS[name].make(1)
            store.fill(items)
            store.search(query, TOP_K)
            gc.collect()
            return tracemalloc.get_traced_memory()[0] / size
        finally:
            tracemalloc.stop()

    found = row(measure, table="Memory of an entry", name=CONTENDERS[name].label, unit="bytes", rounds=1)
    benchmark.extra_info["value"] = found
    assert 100 < found < 50_000


@pytest.mark.heavy
@pytest.mark.parametrize(("num_docs", "count"), [(200, 64), (800, 32)])
@pytest.mark.skipif(not STATM.exists(), reason="this system does not tell a process's resident memory")
def test_environment(benchmark: Any, row: Row, num_docs: int, count: int) -> None:
    """Resident memory, in its own process, without the pool and the libraries."""
    if not benchmark.enabled:
        num_docs, count = 20, 2
    command = [sys.executable, __file__, str(num_docs), str(count)]

    def measure() -> dict[str, float]:
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found: dict[str, float] = json.loads(told.splitlines()[-1])
        return found

    found = row(
        measure,
        table=f"Memory of an environment, {count} in one process",
        name=f"{num_docs} documents",
        column="every document stored",
        unit="MiB",
        rounds=1,
    )
    benchmark.extra_info.update(value=found["stored"], note=f"{found['reset']:.2f} after a reset")
    assert found["stored"] >= 0


def resident(num_docs: int, count: int) -> dict[str, float]:
    """Return the resident MiB of each of ``count`` environments: after a reset, and with every document stored."""
    from test_environments import lockstep, world

    arguments: dict[str, Any] = {
        "source": world(max(50, num_docs // 5)),
        "num_docs": num_docs,
        "num_questions": 1,
    }
    for _ in store_everything(lockstep(2, **arguments), 0):  # the pool's pages and caches are not counted
        pass
    before, reset, stored = [resident_bytes() for _ in store_everything(lockstep(count, **arguments), 2)]
    return {name: (size - before) / count / 2**20 for name, size in (("reset", reset), ("stored", stored))}


def store_everything(env: Any, first: int) -> Iterator[None]:
    """Store each document as an entry; yields before the reset, after it, and with all of them stored."""
    from atommem_env import Create

    yield
    observation, _ = env.reset(options={"task_index": [first + i for i in range(env.num_envs)]})
    yield
    split = env.envs[0].unwrapped.split_documents
    # A document that a border cuts is stored in two pieces: memory is what counts here, not answers.
    while not np.any(observation["phase"]):
        batch = [
            [Create(piece.text) for piece in split(chunk) if piece.text.strip()]
            for chunk in observation["chunk"]
        ]
        observation = env.step(batch)[0]
    yield


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    return int(STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(json.dumps(resident(int(sys.argv[1]), int(sys.argv[2]))))
