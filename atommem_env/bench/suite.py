"""The whole suite: what is measured in which order, and the tables that come of it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

from atommem_env._version import __version__
from atommem_env.bench import environments, memories, mix
from atommem_env.bench.rollouts import CHUNK, DOCS, ROLLOUTS, measure_rollouts
from atommem_env.bench.stores import CONTENDERS, Contender, contenders, quiet_libraries
from atommem_env.bench.timing import Rounds, number, spread
from atommem_env.data.dataset import QADataset

PARTS: Final = ("mix", "reads", "resets", "steps", "throughput", "memory", "rollouts")
"""The parts of the suite, in the order in which they run; the last one needs an encoder."""

REFERENCES: Final = {"lexical": "rank-bm25", "dense": "matrix"}
"""By family, the store whose reads are taken for right: ``rank_bm25``, and exact search in a matrix."""

_LIBRARIES: Final = "gymnasium numpy rank-bm25 bm25s tantivy chromadb langchain-community faiss-cpu".split()


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    Attributes:
        rollouts: how many rollouts run the mix at once, one measurement each.
        sizes: entries at which a read after a write is timed.
        questions: the size of the generated world, which holds ten times as many paragraphs.
        docs: documents of a reset; those that the data cannot fill are left out.
        step_sizes: entries at which a step is timed.
        num_envs: how many environments step at once, one measurement each.
        vector: the lines of the throughput table, of ``VECTOR_LABELS``.
        vector_steps: steps of single environments in a round.
        resident: pairs (documents, environments) of which the resident memory is measured.
        entries: entries of which the memory is counted.
        rounds: rounds of each measurement; at the largest of ``sizes``, at most two.
        scripts: how many rollouts a round of one rollout runs, one after the other.
        limit: seconds of the mix after which a store is stopped.
    """

    rollouts: tuple[int, ...] = (1, 128)
    sizes: tuple[int, ...] = (1_000, 10_000, 100_000)
    questions: int = 1_200
    docs: tuple[int, ...] = (200, 800, 3_200, 6_400)
    step_sizes: tuple[int, ...] = (100, 1_000, 10_000)
    num_envs: tuple[int, ...] = (1, 4, 16, 64, 256)
    vector: tuple[str, ...] = tuple(environments.VECTOR_LABELS)
    vector_steps: int = 2_560
    resident: tuple[tuple[int, int], ...] = ((200, 64), (800, 32))
    entries: int = 10_000
    rounds: int = 5
    scripts: int = 24
    limit: float = 4.0


FULL: Final = Settings()
"""Ten to twelve minutes with every alternative, on two cores."""

QUICK: Final = Settings(
    rollouts=(1, 32),
    sizes=(1_000, 5_000),
    questions=500,
    docs=(200, 800),
    step_sizes=(100, 1_000),
    num_envs=(1, 16),
    vector=("memory", "sync", "store"),
    vector_steps=480,
    resident=((200, 16),),
    entries=2_000,
    rounds=3,
    limit=1.0,
)
"""About a minute with every alternative."""


@dataclass
class Table:
    """A table of results: ``rows`` are cells as text, one per column."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""


@dataclass
class Result:
    """What the suite found.

    Attributes:
        about: the machine, the versions and the settings.
        tables: the tables, in order.
        data: the values of every round, by table.
    """

    about: dict[str, Any]
    tables: list[Table]
    data: dict[str, Any]


class _Suite:
    """Runs the parts one after the other."""

    def __init__(
        self,
        settings: Settings,
        stores: Sequence[Contender],
        source: str,
        seed: int,
        encoder: str | None,
    ) -> None:
        self.settings = settings
        self.stores = stores
        self.source = source
        self.seed = seed
        self.encoder = encoder
        self.tick: Callable[[], None] = lambda: None
        self.tables: list[Table] = []
        self.data: dict[str, Any] = {}

    @cached_property
    def pool(self) -> QADataset:
        """What the environments' tasks are made of."""
        return environments.pool(self.source, self.settings.questions)

    def ours(self, store: Contender) -> str | None:
        """Return the name of this package's store of the same family, if it is measured."""
        return next((ours.name for ours in self.stores if ours.ours and ours.family == store.family), None)

    def against(self, rounds: Rounds, store: Contender, larger_is_better: bool) -> str:
        """Return how many times better this package's store of the same family is."""
        ours = self.ours(store)
        if store.ours or ours is None:
            return ""
        pair = (ours, store.name) if larger_is_better else (store.name, ours)
        return spread(rounds.ratio(*pair))

    def mix(self) -> None:
        found: dict[int, tuple[Rounds, dict[str, int]]] = {}
        for rollouts in self.settings.rollouts:
            found[rollouts] = memories.measure_mix(
                self.stores,
                rollouts,
                self.settings.scripts,
                self.settings.rounds,
                self.settings.limit,
                self.seed,
                self.tick,
            )
        columns = ["store"]
        for rollouts in found:
            name = "1 rollout" if rollouts == 1 else f"{rollouts} rollouts at once"
            columns += [f"{name}, operations/s", "ours against it"]
        rows = []
        cut = False
        for store in self.stores:
            row = [store.label]
            for rounds, steps in found.values():
                done = steps[store.name]
                cut = cut or done < mix.STEPS
                mark = f" (first {done} of {mix.STEPS} steps)" if done < mix.STEPS else ""
                row += [number(rounds.median(store.name)) + mark, self.against(rounds, store, True)]
            reference = CONTENDERS[REFERENCES[store.family]]
            same = memories.agreement(store, reference, self.seed, min(8, self.settings.scripts))
            rows.append([*row, f"{100 * same:.0f} %"])
        note = mix.DESCRIPTION
        if cut:
            note += (
                f" A store is stopped after {self.settings.limit:g} s; what it did by then, while it was still small, "
                "flatters it."
            )
        note += (
            " The last column: reads of one rollout that find the same entries as the reference, rank_bm25 "
            "or exact search."
        )
        self.add("mix", "Operations per second in the mix", [*columns, "same top 6"], rows, note)
        self.data["mix"] = {
            rollouts: {"operations_per_second": r.values, "steps": s} for rollouts, (r, s) in found.items()
        }

    def reads(self) -> None:
        found: dict[int, dict[str, Rounds]] = {}
        for size in self.settings.sizes:
            rounds = self.settings.rounds if size < 50_000 else min(2, self.settings.rounds)
            found[size] = memories.measure_reads(
                self.stores, size, rounds, min(0.5, self.settings.limit), self.seed, self.tick
            )
        columns = ["store"]
        for size in found:
            columns += [f"{size:,} entries: create", "update", "read", "ours against its read"]
        rows = []
        for store in self.stores:
            row = [store.label]
            for kinds in found.values():
                row += [number(rounds.median(store.name)) for rounds in kinds.values()]
                row.append(self.against(kinds["read"], store, False))
            rows.append(row)
        note = (
            "Milliseconds, one rollout: a Create, an Update, then the read of the best "
            f"{mix.TOP_K} that must see both. What a library does at the end of a step (tantivy's commit) counts "
            "as part of each write, what it puts off until the next read as part of the read."
        )
        self.add("reads", "A read after a write, by entries", columns, rows, note)
        self.data["reads"] = {
            size: {kind: r.values for kind, r in kinds.items()} for size, kinds in found.items()
        }

    def resets(self) -> None:
        found = environments.measure_resets(
            self.pool,
            self.settings.docs,
            4 * self.settings.rounds,
            self.tick,
        )
        middle = environments.medians
        rows = [
            [f"{size:,}", number(middle(first)), number(middle(again)), number(max(again))]
            for size, (first, again) in found.items()
        ]
        self.add(
            "resets",
            "A reset, by documents",
            ["documents", "of a new task, ms", "of a task seen before, ms", "the slowest of these, ms"],
            rows,
            f"`{environments.ENV}` on {self._pool_name}; medians of {4 * self.settings.rounds} tasks.",
        )
        self.data["resets"] = found

    def steps(self) -> None:
        found = environments.measure_steps(
            self.pool,
            self.settings.step_sizes,
            self.settings.rounds,
            self.seed,
            self.tick,
        )
        rows = [
            [
                f"{size:,}",
                number(rounds.median("environment")),
                number(rounds.median("store")),
                spread(rounds.ratio("environment", "store")),
            ]
            for size, rounds in found.items()
        ]
        self.add(
            "steps",
            "A step, by entries",
            ["entries", "step, ms", "its operations on the bare store, ms", "ratio"],
            rows,
            "Three Creates of the mix's entries and a Read in one step, BM25; a chunk of "
            f"{environments.STEP_CHUNK} tokens is shown with each observation.",
        )
        self.data["steps"] = {size: rounds.values for size, rounds in found.items()}

    def throughput(self) -> None:
        found: dict[int, tuple[Rounds, Rounds, float]] = {}
        for count in self.settings.num_envs:
            kinds = [kind for kind in self.settings.vector if kind != "workers" or count >= 4]
            found[count] = environments.measure_vector(
                self.pool,
                count,
                kinds,
                min(3, self.settings.rounds),
                self.settings.vector_steps,
                self.seed,
                self.tick,
            )
        rows = []
        for count, (without, including, _) in found.items():
            for kind in without.values:
                resets = number(including.median(kind)) if kind in including.values else ""
                against = (
                    spread(without.ratio("memory", kind))
                    if kind != "memory" and "memory" in without.values
                    else ""
                )
                label = environments.VECTOR_LABELS[kind]
                rows.append([f"{count}", label, number(without.median(kind)), resets, against])
        columns = [
            "environments",
            "",
            "steps/s, resets left out",
            "steps/s, with resets",
            "MemoryVectorEnv against it",
        ]
        lengths = [length for _, _, length in found.values() if length]
        self.add(
            "throughput",
            "Environment steps per second, by environments",
            columns,
            rows,
            f"`{environments.ENV}` on {self._pool_name}, 200 documents, BM25 unless said, three Creates and a Read a "
            f"step in each environment, an episode of {environments.medians(lengths):.0f} steps or so; the ratio "
            "is with resets left out. The bare stores run the same operations without an environment.",
        )
        self.data["throughput"] = {
            count: {"without_resets": w.values, "with_resets": r.values} for count, (w, r, _) in found.items()
        }

    def memory(self) -> None:
        rows = []
        per_entry = memories.bytes_per_entry(self.settings.entries, self.seed)
        self.tick()
        for name, size in per_entry.items():
            rows.append(
                [
                    f"{CONTENDERS[name].label}: an entry of the mix, {self.settings.entries:,} stored",
                    f"{size:,.0f} bytes",
                ]
            )
        found: dict[str, Any] = {"entry": per_entry, "resident": []}
        for num_docs, count in self.settings.resident:
            one = environments.measure_resident(num_docs, count)
            self.tick()
            found["resident"].append([num_docs, count, one])
            if one is not None:
                what = f"an environment of {num_docs} documents ({count} in one process)"
                rows.append([f"{what}: after a reset", f"{one['reset']:.2f} MiB"])
                rows.append([f"{what}: every document stored", f"{one['stored']:.2f} MiB"])
        note = (
            "An entry: what the index holds beside the text itself, by tracemalloc; rank_bm25 needs its token "
            "lists. An environment: resident memory of a process of its own, the pool and the libraries left out, "
            "on the generated world."
        )
        self.add("memory", "Memory", ["", "takes"], rows, note)
        self.data["memory"] = found

    def rollouts(self) -> None:
        found = measure_rollouts(self.pool, self.encoder)
        self.tick()
        labels = {"together": "in a MemoryVectorEnv", "alone": "one by one, without a cache"}
        rows = [
            [
                labels[name],
                f"{group.batches:,}",
                f"{group.calls:,}",
                f"{group.texts:,}",
                number(group.steps / group.seconds),
            ]
            for name, group in found.items()
        ]
        together = found["together"]
        self.add(
            "rollouts",
            f"{ROLLOUTS} rollouts of one task with a real encoder",
            ["", "calls of step", "calls of the encoder", "texts encoded", "environment steps/s"],
            rows,
            f"Encoder `{os.path.basename(str(self.encoder))}`; {DOCS} documents in chunks of {CHUNK} "
            f"tokens. Every rollout stores each document and reads for each question: {together.asked} distinct texts.",
        )
        self.data["rollouts"] = {name: group._asdict() for name, group in found.items()}

    @property
    def _pool_name(self) -> str:
        return "the generated world" if self.source == "generated" else "official data"

    def add(self, name: str, title: str, columns: list[str], rows: list[list[str]], note: str = "") -> None:
        self.tables.append(Table(name, title, columns, rows, note))

    def ticks(self, parts: Sequence[str]) -> int:
        """Return how often ``tick`` will be called."""
        settings, stores = self.settings, len(self.stores)
        reads = sum(
            stores * (1 + (settings.rounds if n < 50_000 else min(2, settings.rounds)))
            for n in settings.sizes
        )
        vector = 0
        for count in settings.num_envs:
            kinds = len(settings.vector) - ("workers" in settings.vector and count < 4)
            vector += kinds * min(3, settings.rounds)
        counts = {
            "mix": len(settings.rollouts) * stores * settings.rounds,
            "reads": reads,
            "resets": len(settings.docs),
            "steps": len(settings.step_sizes),
            "throughput": vector,
            "memory": 1 + len(settings.resident),
            "rollouts": 1,
        }
        return sum(counts[part] for part in parts)


def run_suite(
    settings: Settings = FULL,
    stores: Sequence[str] | None = None,
    parts: Sequence[str] = PARTS,
    source: str = "generated",
    seed: int = 0,
    show: bool = False,
    encoder: str | None = None,
    keep: Callable[[Result], None] | None = None,
) -> Result:
    """Measure, and return the tables.

    Args:
        settings: how much, :data:`FULL`, :data:`QUICK` or your own.
        stores: names of :data:`atommem_env.bench.stores.CONTENDERS`; those whose libraries are not installed
            are left out. ``None``: all.
        parts: which of :data:`PARTS`.
        source: the environments' data: ``"generated"``, or the path of HotpotQA's official file.
        seed: of the texts.
        show: whether to show a progress bar on standard error.
        encoder: what the part ``"rollouts"`` encodes with, as an environment takes it; ``None`` leaves it out.
        keep: called with what has been found so far after each part.

    Raises:
        ValueError: when a store or a part is unknown, or no store is left.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise ValueError(f"parts {unknown}: expected some of {', '.join(PARTS)}")
    chosen = contenders(stores)
    if not chosen:
        raise ValueError(
            f"none of the stores {list(stores or ())} is installed; `atommem bench` says what to install"
        )
    from atommem_env.runs.progress import progress_bar

    suite = _Suite(settings, chosen, source, seed, encoder)
    wanted = [part for part in PARTS if part in parts and (part != "rollouts" or encoder is not None)]
    with ExitStack() as stack:
        stack.enter_context(quiet_libraries())
        for store in chosen:
            for module in store.needs:
                importlib.import_module(module)
        one_thread = stack.enter_context(_one_thread())
        result = Result(about(settings, chosen, seed, one_thread), suite.tables, suite.data)
        suite.tick = stack.enter_context(progress_bar(suite.ticks(wanted), 0, show, "measurements"))
        for part in wanted:
            getattr(suite, part)()
            if keep is not None:
                keep(result)
    return result


@contextmanager
def _one_thread() -> Iterator[bool]:
    """Let the linear algebra of all libraries use one thread; yields whether that could be done.

    Rollouts share a machine's cores with each other and with the model.
    """
    if importlib.util.find_spec("threadpoolctl") is None:
        yield False
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield True


def about(settings: Settings, stores: Sequence[Contender], seed: int, one_thread: bool) -> dict[str, Any]:
    """Return what a reader must know to judge the figures: machine, versions, settings."""
    installed = {str(found.name).lower(): found.version for found in importlib.metadata.distributions()}
    libraries = {name: installed[name] for name in _LIBRARIES if name in installed}
    return {
        "atommem_env": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": "one thread each for linear algebra" if one_thread else "threads as the libraries choose",
        "libraries": libraries,
        "stores": [store.name for store in stores],
        "missing": {
            store.name: store.packages
            for store in CONTENDERS.values()
            if not store.available and store.packages
        },
        "seed": seed,
        "settings": asdict(settings),
    }


def _processor() -> str:
    """Return what the processor calls itself."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
