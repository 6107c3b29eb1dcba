"""What stores cost: the mix for one rollout and for many, a read after a write, memory per entry."""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

from atommem_env.bench.mix import STEPS, TOP_K, Item, Script, Source
from atommem_env.bench.stores import Contender, OurBM25, RebuiltRankBM25, Store
from atommem_env.bench.timing import Call, Rounds, seconds, steady

Tick = Callable[[], None]


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


def play(stores: Sequence[Store], scripts: Sequence[Script], limit: float) -> tuple[int, float, int]:
    """Run scripts in lock-step, one step of each after the other.

    Args:
        stores: empty stores, one per script.
        scripts: as many scripts, of the same number of steps.
        limit: seconds after which no further step begins.

    Returns:
        ``(operations, seconds, steps)`` that were run.
    """
    plans = [calls_of(store, script) for store, script in zip(stores, scripts, strict=True)]
    operations, spent, done = 0, 0.0, 0
    for number in range(len(scripts[0])):
        spent += seconds([call for plan in plans for call in plan[number]])
        operations += sum(len(script[number]) for script in scripts)
        done += 1
        if spent > limit:
            break
    return operations, spent, done


def measure_mix(
    contenders: Sequence[Contender],
    rollouts: int,
    scripts: int,
    rounds: int,
    limit: float,
    seed: int,
    tick: Tick,
) -> tuple[Rounds, dict[str, int]]:
    """Return operations per second of each store in each round, and how many steps of 28 it came to.

    One rollout alone is over in milliseconds: then a round is as many rollouts, one after the other, as fit
    into a quarter of ``limit``, at most ``scripts``. The stores take turns within a round, on the same scripts.
    """
    found, steps = Rounds(), dict.fromkeys((contender.name for contender in contenders), STEPS)
    for turn in range(rounds):
        source = Source(seed + turn)
        made = [source.script() for _ in range(scripts if rollouts == 1 else rollouts)]
        for contender in contenders:
            groups = [[script] for script in made] if rollouts == 1 else [made]
            operations, spent = 0, 0.0
            with steady():
                for group in groups:
                    count, time_taken, done = play(contender.make(rollouts), group, limit)
                    operations += count
                    spent += time_taken
                    steps[contender.name] = min(steps[contender.name], done)
                    if spent > limit / 4:
                        break
            found.add(contender.name, operations / spent)
            tick()
    return found, steps


def measure_reads(
    contenders: Sequence[Contender], size: int, rounds: int, limit: float, seed: int, tick: Tick
) -> dict[str, Rounds]:
    """Return the milliseconds of a ``create``, an ``update``, and a ``read`` after both, at ``size`` entries.

    A round of a store is as many repetitions as fit into ``limit`` seconds, from 1 to 40; its value is their
    median. What a library must do before a write can be found (a commit) counts as part of the write.
    """
    source = Source(seed)
    items = source.entries(size)
    stores: dict[str, Store] = {}
    for contender in contenders:
        (stores[contender.name],) = contender.make(1)
        stores[contender.name].fill(items)
        stores[contender.name].search(source.queries(1)[0], TOP_K)
        tick()
    found = {kind: Rounds() for kind in ("create", "update", "read")}
    made = dict.fromkeys(stores, size)
    for _ in range(rounds):
        for name, store in stores.items():
            times: dict[str, list[float]] = {kind: [] for kind in found}
            with steady():
                began = time.perf_counter()
                while len(times["read"]) < 40 and (not times["read"] or time.perf_counter() - began < limit):
                    new, changed = source.entries(2)
                    (query,) = source.queries(1)
                    made[name] += 1
                    place = 1 + (made[name] * 7919) % size
                    times["create"].append(_milliseconds(store, store.create, made[name], new))
                    times["update"].append(_milliseconds(store, store.update, place, changed))
                    times["read"].append(1e3 * seconds([(store.search, (query, TOP_K))]))
            for kind, values in times.items():
                found[kind].add(name, statistics.median(values))
            tick()
    return found


def _milliseconds(store: Store, write: Callable[[int, Item], None], id: int, item: Item) -> float:
    return 1e3 * seconds([(write, (id, item)), (store.settle, ())])


def agreement(contender: Contender, reference: Contender, seed: int, scripts: int) -> float:
    """Return the share of reads of the mix in which two stores find the same entries, in whatever order.

    Where one finds fewer than asked for (no other entry shares a word with the query), the other must have
    found these too.
    """
    same: list[bool] = []
    source = Source(seed)
    for _ in range(scripts):
        script = source.script()
        found = [_reads(kind.make(1)[0], script) for kind in (contender, reference)]
        same += [set(a) <= set(b) or set(b) <= set(a) for a, b in zip(*found, strict=True)]
    return sum(same) / len(same)


def _reads(store: Store, script: Script) -> list[list[int]]:
    """Return what each read of a script finds."""
    found: list[list[int]] = []
    for step in calls_of(store, script):
        for function, arguments in step:
            result: Any = function(*arguments)
            if function == store.search:
                found.append(result)
    return found


def bytes_per_entry(size: int, seed: int) -> dict[str, float]:
    """Return what BM25 holds per entry beside the text itself, here and in ``rank_bm25`` with its token lists.

    Counted with ``tracemalloc``, for ``size`` entries of the mix, after a search.
    """
    source = Source(seed)
    items, (query,) = source.entries(size), source.queries(1)
    found: dict[str, float] = {}
    kinds: dict[str, Callable[[], Store]] = {"ours-bm25": OurBM25, "rank-bm25": RebuiltRankBM25}
    for name, kind in kinds.items():
        warm = kind()  # what a process holds once is no part of what an entry costs
        warm.fill(source.entries(50))
        warm.search(query, TOP_K)
        gc.collect()
        tracemalloc.start()
        try:
            store = kind()
            store.fill(items)
            store.search(query, TOP_K)
            gc.collect()
            found[name] = tracemalloc.get_traced_memory()[0] / size
        finally:
            tracemalloc.stop()
        del store, warm
    return found
