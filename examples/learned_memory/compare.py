"""Learned policies next to the static workflows, on the same tasks: one table with intervals and paired differences.

    python examples/learned_memory/compare.py --out runs/compare                     # the generated world, no download
    python examples/learned_memory/compare.py --out runs/compare --checkpoint mine=best.npz \\
        --data hotpotqa=hotpot_dev_distractor_v1.json 2wikimultihopqa=2wikimultihopqa_dev.json \\
        musique=musique_ans_v1.0_dev.jsonl

Memory has 20 entries of at most 256 tokens, and 200 documents are read. Every policy reads the same tasks with the
default engine (`world` in the generated world, else `rules`) and BM25, and each question of a file is in at most one
task. Workflows that store what they read and have no rule of their own for a full store are run with three: the
store refuses (*refuse*), it drops its oldest entry (*evict oldest*), or the entry that fits the questions worst makes
room for what fits better (*keep-best*); with the last, also with the second look that `learned` has, for the entries
whose titles the entries shown mention. A look asks for --top-k entries; `learned` asks for ten where one question is
asked, so that --top-k 6 10 also sets it next to statics that look as widely.

The best static is the one with the highest *read*: the share of a question's evidence that is in view when it is
answered. A learned policy is set next to it task by task. No torch is needed. The same command goes on where it was
stopped, and what was scored once is not run again, so that another checkpoint costs its own episodes alone.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym

import atommem_env
from atommem_env.baselines.learned import CHECKPOINT
from atommem_env.report.comparisons import RESAMPLES, by_task, difference, interval
from atommem_env.report.summary import Interval

PROTOCOL = {
    "num_docs": 200,
    "capacity": 20,
    "entry_tokens": 256,
    "scratchpad_tokens": 256,
    "retriever": "bm25",
}
LOOK = 6
ENVS = {
    "hotpotqa": "AtomMem-HotpotQA-v0",
    "2wikimultihopqa": "AtomMem-2WikiMultihopQA-v0",
    "musique": "AtomMem-MuSiQue-v0",
}
WORLD = {"split": "test", "revisions": 0.5}
SHOWN = ("seen", "kept", "read", "em")
COMPARED = ("read", "kept", "em")


@dataclass(frozen=True)
class Entrant:
    """A policy with its arguments, and what the environment does with a Create when the store is full."""

    policy: str
    arguments: dict[str, Any] = field(default_factory=dict)
    overflow: str = "refuse"


WRITERS = ("rag", "mem0", "a-mem", "memory-bank")
STATICS = {
    "keep-best, documents": Entrant("keep-best"),
    "keep-best, sentences": Entrant("keep-best", {"unit": "sentence"}),
    **{f"{writer}, refuse": Entrant(writer) for writer in WRITERS},
    **{f"{writer}, evict oldest": Entrant(writer, overflow="evict_oldest") for writer in WRITERS},
    **{f"{writer}, keep-best": Entrant(writer, {"full_store": "keep-best"}) for writer in WRITERS},
    "keep-best, documents, second look": Entrant("keep-best", {"second_look": "bridge"}),
    "keep-best, sentences, second look": Entrant("keep-best", {"unit": "sentence", "second_look": "bridge"}),
    **{
        f"{writer}, keep-best, second look": Entrant(
            writer, {"full_store": "keep-best", "second_look": "bridge"}
        )
        for writer in WRITERS
    },
    "memagent": Entrant("memagent"),
}
CEILING = {"oracle": Entrant("oracle")}


@dataclass(frozen=True)
class Setting:
    """What all policies are run on: data, and a number of questions."""

    data: str
    env: str
    arguments: dict[str, Any]
    questions: int
    tasks: int
    source: str

    @property
    def label(self) -> str:
        """What it is called in tables and folders; a look for six entries is the usual one."""
        looks = self.arguments["top_k"]
        return self.data if looks == LOOK else f"{self.data}, top-k {looks}"


def settings(options: argparse.Namespace) -> Iterator[Setting]:
    """Yield what is to be compared on: every file, and the world, with every number of questions."""
    files = [(name, ENVS[name], {"source": path, "split": options.split}) for name, path in options.data]
    world = [("world", "AtomMem-World-v0", dict(WORLD))] if options.world_tasks else []
    for name, env, own in [*files, *world]:
        for questions, looks in itertools.product(options.questions, options.top_k):
            arguments = {**own, **PROTOCOL, "top_k": looks, "num_questions": questions}
            made: Any = gym.make(env, **arguments).unwrapped
            most = options.world_tasks if name == "world" else options.tasks or made.num_tasks
            tasks = min(most, made.num_tasks)
            source = made.dataset.source
            made.close()
            if tasks:
                yield Setting(name, env, arguments, questions, tasks, source)
            else:
                print(f"{name}: too few questions for a task of {questions}")


def run(
    setting: Setting, name: str, entrants: Mapping[str, Entrant], options: argparse.Namespace
) -> dict[str, list[dict[str, Any]]]:
    """Return the episodes of ``entrants``, by their labels; those that are on disk already are not run again."""
    episodes: dict[str, list[dict[str, Any]]] = {}
    for overflow in dict.fromkeys(entrant.overflow for entrant in entrants.values()):
        chosen = {label: entrant for label, entrant in entrants.items() if entrant.overflow == overflow}
        place = setting.label.replace(", ", "-").replace(" ", "-")
        folder = f"{place}-{setting.questions}-questions-{setting.tasks}-tasks"
        done = atommem_env.evaluate(
            setting.env,
            {label: entrant.policy for label, entrant in chosen.items()},
            setting.tasks,
            options.jobs,
            policy_arguments={label: entrant.arguments for label, entrant in chosen.items()},
            out=options.out / "runs" / folder / f"{name}-{overflow}",
            traces=False,
            overflow=overflow,
            **setting.arguments,
        )
        for episode in done.episodes:
            episodes.setdefault(episode["policy"], []).append(episode)
    return {label: episodes[label] for label in entrants}


def compare(setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    """Return the numbers of one setting: every policy, the best static, and how each learned policy differs from it."""
    statics = {label: STATICS[label] for label in options.statics}
    episodes = run(setting, f"statics-{_digest(*statics)}", {**statics, **CEILING}, options)
    for label, path in options.checkpoint:
        name = f"learned-{_digest(label, str(path), path.read_bytes())}"
        episodes |= run(setting, name, {label: Entrant("learned", {"checkpoint": str(path)})}, options)
    values = {
        label: {measure: by_task(found, measure) for measure in SHOWN} for label, found in episodes.items()
    }
    means = {
        label: {measure: interval(found) for measure, found in measured.items()}
        for label, measured in values.items()
    }
    best = max(statics, key=lambda label: _mean(means[label]["read"]))
    return {
        "data": setting.label,
        "source": setting.source,
        "questions": setting.questions,
        "tasks": setting.tasks,
        "best_static": best,
        "policies": means,
        "differences": {
            label: {
                measure: difference(values[label][measure], values[best][measure]) for measure in COMPARED
            }
            for label, _ in options.checkpoint
        },
    }


def _mean(found: Interval | None) -> float:
    return -1.0 if found is None else found.mean


def _digest(*parts: str | bytes) -> str:
    joined = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(joined).hexdigest()[:8]


# --- the tables -------------------------------------------------------------------------------------


def markdown(compared: Sequence[Mapping[str, Any]]) -> str:
    """Return the summary, then a table for each setting."""
    lines = [
        "| data | questions | tasks | best static | its read | learned | its read | read − static "
        "| kept − static | EM − static | oracle's read |",
        "| --- | ---: | ---: | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for part in compared:
        policies, best = part["policies"], part["best_static"]
        for label, differences in part["differences"].items():
            cells = [
                part["data"],
                part["questions"],
                part["tasks"],
                best,
                _cell(policies[best]["read"]),
                label,
                _cell(policies[label]["read"]),
                *(_cell(differences[measure], signed=True) for measure in COMPARED),
                _cell(policies["oracle"]["read"]),
            ]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += [
        "",
        "In percent, [low, high]: 95 % bootstrap interval over tasks, "
        f"{RESAMPLES:,} resamples. A difference is taken task by task; the static is the best of its rows by read.",
    ]
    for part in compared:
        lines += [
            "",
            f"**{part['data']}, {part['questions']} question{'s' * (part['questions'] > 1)}** "
            f"({part['tasks']} tasks, {part['source']})",
            "",
            f"| policy | {' | '.join('EM' if measure == 'em' else measure for measure in SHOWN)} |",
            f"| --- |{' ---: |' * len(SHOWN)}",
        ]
        for label, measured in part["policies"].items():
            mark = " (best static)" if label == part["best_static"] else ""
            lines.append(f"| {label}{mark} | {' | '.join(_cell(measured[measure]) for measure in SHOWN)} |")
    return "\n".join(lines) + "\n"


def _cell(found: Interval | None, signed: bool = False) -> str:
    if found is None:
        return "–"
    percent = [round(100 * value, 1) + 0.0 for value in (found.mean, found.low, found.high)]  # -0.0 is 0.0
    mean, low, high = (f"{value:{'+' * signed}.1f}" for value in percent)
    return f"{mean} [{low}, {high}]"


def _plain(value: Interval) -> list[float]:
    return [round(number, 6) for number in (value.mean, value.low, value.high)]


# --- the command ------------------------------------------------------------------------------------


def _file(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or name not in ENVS or not Path(path).exists():
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected NAME=FILE, NAME one of {', '.join(ENVS)}, FILE one that is there"
        )
    return name, path


def _checkpoint(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not re.fullmatch(r"[\w., -]+", name) or not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=FILE, FILE an npz that is there")
    if name in STATICS or name in CEILING:
        raise argparse.ArgumentTypeError(f"{text!r}: {name!r} is a static policy; choose another name")
    return name, Path(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Score everything, print the tables, and write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=_file, nargs="+", action="extend", default=[], metavar="NAME=FILE",
        help=f"official files; NAME is one of {', '.join(ENVS)}",
    )  # fmt: skip
    parser.add_argument("--split", default="validation", help="the split that the files hold (%(default)s)")
    parser.add_argument(
        "--checkpoint", type=_checkpoint, nargs="+", action="extend", metavar="NAME=FILE",
        help="learned policies (default: the one that comes with the package)",
    )  # fmt: skip
    parser.add_argument("--questions", type=int, nargs="+", default=[1, 4, 10], help="questions of a task")
    parser.add_argument(
        "--top-k", type=int, nargs="+", default=[LOOK], help="entries that a look asks for (%(default)s)"
    )
    parser.add_argument("--tasks", type=int, default=0, help="at most so many tasks (default: all questions)")
    parser.add_argument(
        "--world-tasks", type=int, default=60, help="tasks of the generated world (%(default)s; 0: none)"
    )
    parser.add_argument(
        "--statics", nargs="+", choices=STATICS, default=list(STATICS), metavar="NAME",
        help=f"static policies (default: all: {'; '.join(STATICS)})",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2, help="episodes at once, in processes (%(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the runs and tables")
    options = parser.parse_args(arguments)
    options.checkpoint = options.checkpoint or [("learned", CHECKPOINT)]

    compared = []
    for setting in settings(options):
        print(f"{setting.label}, {setting.questions} questions: {setting.tasks} tasks", flush=True)
        compared.append(compare(setting, options))
    text = markdown(compared)
    (options.out / "comparison.md").write_text(text, encoding="utf-8")
    record = {"atommem_env": atommem_env.__version__, "protocol": PROTOCOL, "compared": compared}
    (options.out / "comparison.json").write_text(
        json.dumps(record, indent=1, default=_plain, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    print(f"\n{text}\nWritten to {options.out / 'comparison.md'} and comparison.json")


if __name__ == "__main__":
    main()
