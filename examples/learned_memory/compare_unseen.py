"""Learned and static workflows where nobody has asked yet: what each keeps of a history for questions to come.

    python examples/learned_memory/compare_unseen.py --out runs/unseen                  # generated chats, no download
    python examples/learned_memory/compare_unseen.py --out runs/unseen \\
        --data locomo=locomo10.json conflict-resolution=Conflict_Resolution.json    # and the benchmarks' own files

No question is shown while a history is read. Memory has --capacity entries of at most --entry-tokens tokens; every
policy reads the same histories with the default engine and BM25. Workflows that store what they read are run with a
store that refuses when it is full, and with one that drops its oldest entry. The best static is the one with the
highest *read*; the learned policy is set next to it history by history, and with fewer than ten histories there is no
interval over them. The oracle stores the gold turns: the ceiling of retriever and engine while they fit. Of what is
generated the first --tasks histories are read, of a file the first --histories, or all. The same command goes on where
it was stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym

import atommem_env
from atommem_env.evidence import STAGES, STALE_STAGES, mean_share
from atommem_env.registration import POLICIES
from atommem_env.report.comparisons import Difference, Side
from atommem_env.report.comparisons import compare as compare_sides
from atommem_env.runs.run import Run

GENERATED = {
    "chats": ("AtomMem-Chat-v0", {"split": "test", "histories": 20}, 20),
    "long chats": (
        "AtomMem-Chat-v0",
        {"split": "test", "histories": 10, "sessions": 40, "noise": 0.7, "revisions": 0.6},
        10,
    ),
    "lists of facts": ("AtomMem-MemoryAgentBench-v0", {"source": "generated", "hop": "single"}, 2),
    "world, revisions": (
        "AtomMem-World-v0",
        {
            "split": "test", "revisions": 0.5, "num_docs": 100, "num_questions": 10,
            "questions_shown": "when_asked", "isolate_questions": True,
        },
        20,
    ),
}  # fmt: skip
REAL = {
    "locomo": ("AtomMem-LoCoMo-v0", {}),
    "conflict-resolution": (
        "AtomMem-MemoryAgentBench-v0",
        {"subset": "conflict_resolution", "hop": "single"},
    ),
    "longmemeval": ("AtomMem-LongMemEval-v0", {}),
}
STAGES_SHOWN = (*STAGES[2:], *STALE_STAGES)


@dataclass(frozen=True)
class Entrant:
    """A policy with its arguments, and what the environment does with a Create when the store is full."""

    policy: str
    arguments: dict[str, Any] = field(default_factory=dict)
    overflow: str = "refuse"


WRITERS = ("rag", "mem0", "a-mem", "memory-bank", "generative-agents", "mem1", "write-everything", "merge")
STATICS = {
    **{name: Entrant(name) for name in ("recency", "reservoir", "memagent", "memgpt")},
    **{f"{name}, refuse": Entrant(name) for name in WRITERS},
    **{f"{name}, evict oldest": Entrant(name, overflow="evict_oldest") for name in WRITERS},
    "rag of sessions, refuse": Entrant("rag", {"unit": "session"}),
    "rag of sessions, evict oldest": Entrant("rag", {"unit": "session"}, "evict_oldest"),
}
STATICS = {label: entrant for label, entrant in STATICS.items() if entrant.policy in POLICIES}
CEILING = {"oracle": Entrant("oracle")}


@dataclass(frozen=True)
class Setting:
    """What all policies are run on."""

    name: str
    env: str
    arguments: dict[str, Any]
    tasks: int


def settings(options: argparse.Namespace) -> Iterator[Setting]:
    """Yield each kind of data with each capacity and size of an entry."""
    kinds: list[tuple[str, str, dict[str, Any], int]] = []
    for name, path in options.data:
        env, arguments = REAL[name]
        made: Any = gym.make(env, source=path, **arguments).unwrapped
        most = min(made.num_tasks, options.histories or made.num_tasks)
        kinds.append((name, env, {"source": path, **arguments}, most))
        made.close()
    if options.generated:
        kinds += [
            (name, env, arguments, min(tasks, options.tasks))
            for name, (env, arguments, tasks) in GENERATED.items()
        ]
    for name, env, arguments, tasks in kinds:
        for size in options.entry_tokens:
            for capacity in options.capacity:
                limits = {"capacity": capacity, "entry_tokens": size, "scratchpad_tokens": 256}
                yield Setting(
                    f"{name}, {capacity} entries of {size} tokens", env, {**arguments, **limits}, tasks
                )


def sides(setting: Setting, options: argparse.Namespace) -> dict[str, Side]:
    """Return what each policy did, by its label; what is on disk is not run again."""
    statics = {label: STATICS[label] for label in options.statics} | CEILING
    learned = {
        "learned": Entrant("learned", {"checkpoint": options.checkpoint} if options.checkpoint else {})
    }
    found: dict[str, Side] = {}
    for overflow in ("refuse", "evict_oldest"):
        chosen = {label: one for label, one in {**learned, **statics}.items() if one.overflow == overflow}
        if not chosen:
            continue
        run: Run = atommem_env.evaluate(
            setting.env,
            {label: one.policy for label, one in chosen.items()},
            setting.tasks,
            options.jobs,
            policy_arguments={label: one.arguments for label, one in chosen.items()},
            out=options.out / "runs" / f"{setting.name}, {overflow}".replace(", ", "-").replace(" ", "_"),
            traces=False,
            overflow=overflow,
            **setting.arguments,
        )
        found.update({label: Side(run, run.settings["envs"][0]["name"], label) for label in chosen})
    return {label: found[label] for label in ("learned", *statics)}


def summary(side: Side) -> dict[str, float | None]:
    """Return the means over tasks: stages of the funnel, the benchmark's own score where it has one, and EM."""
    metrics = [episode["metrics"] for episode in side.episodes]
    values: dict[str, list[float | None]] = {
        stage: [mean_share(one, stage) for one in metrics] for stage in STAGES_SHOWN
    }
    values["em"] = [one["em"] for one in metrics]
    values["official"] = [one.get("official") for one in metrics]
    return {name: _mean(found) for name, found in values.items()}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def compare(setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    """Return the numbers of one setting, the best static, and how the learned policy differs from it."""
    played = sides(setting, options)
    means = {label: summary(side) for label, side in played.items()}
    statics = [label for label in options.statics if means[label]["read"] is not None]
    best = max(statics, key=lambda label: means[label]["read"] or 0.0)
    measures = ["kept", "read", "em" if means["learned"]["official"] is None else "official"]
    return {
        "setting": setting.name,
        "source": played["learned"].episodes[0]["source"],
        "engine": played["learned"].episodes[0]["engine"],
        "tasks": setting.tasks,
        "best_static": best,
        "policies": means,
        "differences": [plain(found) for found in compare_sides(played["learned"], played[best], measures)],
    }


def plain(found: Difference) -> dict[str, Any]:
    """Return a difference as plain data."""
    each = found.by_history or found.by_task
    return {
        "measure": found.measure,
        "difference": found.difference.mean,
        "interval": [found.difference.low, found.difference.high],
        "over": found.over,
        "signs": list(found.signs),
        "each": {name: round(value, 4) for name, value in each.items()},
    }


# --- the tables -------------------------------------------------------------------------------------


def markdown(compared: Sequence[dict[str, Any]]) -> str:
    """Return a summary, then a table for each setting."""
    lines = [
        "| setting | histories | best static | its *read* | `learned` | difference | better, equal, worse |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for part in compared:
        means, best = part["policies"], part["best_static"]
        read = next(one for one in part["differences"] if one["measure"] == "read")
        low, high = (_percent(value, "+") for value in read["interval"])
        told = _percent(read["difference"], "+")
        told += f" [{low}, {high}]" if read["over"] != "questions within these histories" else ""
        signs = ", ".join(map(str, read["signs"]))
        shown = [_percent(means[label]["read"]) for label in (best, "learned")]
        lines.append(
            f"| {part['setting']} | {len(read['each'])} | {best} | {shown[0]} | {shown[1]} | {told} | {signs} |"
        )
    for part in compared:
        lines += [
            "",
            f"**{part['setting']}** ({part['tasks']} tasks, {part['source']}, engine `{part['engine']}`)",
            "",
            "| policy | kept | read | stale kept | stale read | EM | official |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        order = sorted(part["policies"].items(), key=lambda item: -(item[1]["read"] or -1.0))
        for label, means in order:
            cells = [_percent(means[name]) for name in (*STAGES_SHOWN, "em", "official")]
            lines.append(f"| {label} | {' | '.join(cells)} |")
        for one in part["differences"]:
            each = ", ".join(f"{_percent(value, '+')}" for value in one["each"].values())
            lines += ["", f"`learned` less {part['best_static']}, {one['measure']}, each: {each}."]
    return "\n".join(lines) + "\n"


def _percent(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{100 * value + 0.0:{sign}.1f}"


# --- the command ------------------------------------------------------------------------------------


def _file(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or name not in REAL or not Path(path).exists():
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected NAME=FILE, NAME one of {', '.join(REAL)}, FILE one that is there"
        )
    return name, path


def main(arguments: Sequence[str] | None = None) -> None:
    """Score everything, print the tables, and write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=_file, nargs="+", action="extend", default=[], metavar="NAME=FILE",
        help=f"official files; NAME is one of {', '.join(REAL)}")  # fmt: skip
    add("--generated", action=argparse.BooleanOptionalAction, default=True, help="generated data, too")
    add("--capacity", type=int, nargs="+", default=[20, 100], help="the most entries")
    add("--entry-tokens", type=int, nargs="+", default=[64], help="the most tokens of an entry")
    add("--tasks", type=int, default=10, help="at most so many histories of each kind that is generated")
    add("--histories", type=int, default=0, help="of a file the first so many histories (default: all)")
    add("--jobs", type=int, default=1, help="episodes at once, in processes (%(default)s)")
    add("--checkpoint", help="the learned policy's (default: the one that comes with the package)")
    add("--statics", nargs="+", choices=STATICS, default=list(STATICS), metavar="NAME",
        help=f"static policies (default: all: {'; '.join(STATICS)})")  # fmt: skip
    add("--out", type=Path, required=True, help="the folder of the runs and tables")
    options = parser.parse_args(arguments)
    compared = []
    for setting in settings(options):
        print(setting.name, flush=True)
        compared.append(compare(setting, options))
        (options.out / "comparison.json").write_text(
            json.dumps(compared, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        (options.out / "comparison.md").write_text(markdown(compared), encoding="utf-8")
    print(f"\n{markdown(compared)}\nWritten to {options.out / 'comparison.md'} and comparison.json")


if __name__ == "__main__":
    main()
