"""The whole protocol of `docs/language_model.md`, step by step: the same command goes on where it was stopped.

    python examples/language_model/protocol.py --plan                     # what is left, and about how long it takes
    python examples/language_model/protocol.py --minutes 120              # two hours of it
    python examples/language_model/protocol.py --data FOLDER --device cuda

Each step is a command of this folder, which is printed; the steps' own checkpoints are in their folders, and
`done.jsonl` tells which steps have ended, and the seconds that each took. The adapter of a training is its last one.
The test split is read when SFT and GRPO have ended and validation has named the best static writer; how the trained
ones do on validation is in their logs. --data is a folder with the files of HotpotQA, 2WikiMultihopQA and MuSiQue;
without it that part of the transfer is left out.
Hours are those of one undisturbed core of an AVX2 server in float32, until steps that have ended tell better.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from setting import options, task

HERE = Path(__file__).parent
NO_STATIC = ("oracle", "expert", "learned", "write-nothing")
"""Rows of the static table that are no static writer to beat."""
BENCHMARKS = ("AtomMem-HotpotQA-v0", "AtomMem-2WikiMultihopQA-v0", "AtomMem-MuSiQue-v0")
CONTROLS = {
    "GRPO without SFT": (),
    "shuffled rewards": ("--shuffled",),
    "evidence reward": ("--reward", "evidence"),
    "branching credit": ("--branching",),
}
NOTES = ("--notes", 4, "--steps", 120, "--rate", 7e-4, "--seed", 1)
"""The second part of SFT: rows without their chunk among the others."""
SFT_HOURS, NOTES_HOURS, GRPO_HOURS = 3.1, 1.0, 1.5
REPLY_HOURS = 0.0008  # of a reply at a chunk in an evaluation


@dataclass(frozen=True)
class Step:
    """A command of the protocol.

    Attributes:
        name: what it is called in `done.jsonl`.
        words: the command, without the interpreter.
        hours: about how long it takes.
    """

    name: str
    words: tuple[str, ...]
    hours: float


def best_static(given: Any) -> str:
    """Return the best static writer on validation, by exact match, then by evidence kept."""
    split = "validation-quick" if given.quick else "validation"
    report = given.out / "evaluation" / split / "report.json"
    if not report.exists():
        return "BEST-STATIC"  # in a plan, before it is known
    table = json.loads(report.read_text(encoding="utf-8"))["table"]
    rows = {name: row for name, row in table.items() if name not in NO_STATIC and name not in ("sft", "grpo")}
    return max(rows, key=lambda name: (rows[name]["em"][0], rows[name]["kept"][0]))


def steps(given: Any) -> list[Step]:
    """Return all steps, in their order."""
    out, seeds = given.out, range(1 if given.quick else 3)
    machine = ["--model", given.model, "--device", given.device, "--dtype", given.dtype]
    found: list[Step] = []

    def chain(
        name: str, script: str, *words: object, hours: float, folder: str = "", workers: int = 1
    ) -> None:
        every = [*words, *machine, "--rows", given.rows, "--report-to", given.report_to]
        every += ["--quick"] * given.quick
        if given.threads:
            every += ["--threads", given.threads]
        place = out / (folder or name)
        start = ("-m", "torch.distributed.run", "--nproc-per-node", str(workers)) if workers > 1 else ()
        found.append(Step(name, (*start, str(HERE / script), "--out", str(place), *map(str, every)), hours))

    def adapter(folder: str) -> str:
        return str(out / folder / "adapter")

    def evaluation(name: str, *words: object, replies: int) -> None:
        chain(name, "evaluate.py", *words, hours=replies * REPLY_HOURS, folder=f"evaluation/{name}")

    chain("traces", "traces.py", hours=0.2)
    rows = ("--traces", out / "traces")
    chain("sft", "sft.py", *rows, hours=SFT_HOURS, workers=given.workers)
    again = (*rows, "--adapter", adapter("sft"), *NOTES)
    chain("sft-notes", "sft.py", *again, hours=NOTES_HOURS, workers=given.workers)
    start = ("--adapter", adapter("sft-notes"))
    for seed in seeds:
        chain(f"grpo-{seed}", "grpo.py", *start, "--seed", seed, hours=GRPO_HOURS)
    seeded = ",".join(adapter(f"grpo-{seed}") for seed in seeds)
    trained = ("--trained", f"sft={adapter('sft-notes')}", "--trained", f"grpo={seeded}")
    on_validation = ("--split", "validation", "--episodes", 100, "--static")
    chain("validation", "evaluate.py", *on_validation, hours=0.01, folder="evaluation")
    pairs = ("--compare", "grpo:sft", "--compare", f"grpo:{best_static(given)}")
    replies = (1 + len(seeds)) * 1200
    evaluation("primary", "--split", "test", "--episodes", 300, "--static", *trained, *pairs, replies=replies)
    for name, words in CONTROLS.items():
        own = () if name == "GRPO without SFT" else start
        label = ("--label", name)
        chain(f"{name.replace(' ', '-')}-0", "grpo.py", *own, *words, *label, hours=GRPO_HOURS)
    beside = ["--split", "test", "--episodes", 100]
    controls = [
        word
        for name in CONTROLS
        for word in ("--trained", f"{name}={adapter(name.replace(' ', '-') + '-0')}")
    ]
    ours = ("--trained", f"grpo={adapter('grpo-0')}")
    evaluation("beside", *beside, "--prompted", *controls, replies=3000)
    evaluation("end-to-end", *beside, "--end-to-end", *ours, replies=1400)
    scrambled = ("--change", 'retriever="random"')
    evaluation("scrambled", *beside, *scrambled, "--static", *ours, replies=400)
    for count in (16, 32):
        longer = ("--split", "test", "--episodes", 60, "--change", f"num_docs={count}")
        evaluation(f"documents-{count}", *longer, "--static", *ours, replies=30 * count)
    if given.data is not None:
        found += _on_files(given, adapter("grpo-0"), machine)
    return found


def _on_files(given: Any, adapter: str, machine: Sequence[str]) -> list[Step]:
    """Return the transfer to the benchmarks' files: the model's writing and static writers, `rules` reads."""
    own = ("split", "kinds", "hops", "world_size")
    arguments = {name: value for name, value in task("test").items() if name not in own}
    words = ["-m", "atommem_env", "run", "--source", str(given.data), "--split", "validation"]
    words += ["--episodes", "2" if given.quick else "60"]
    words += [word for name in BENCHMARKS for word in ("--env", name)]
    words += [word for name, value in arguments.items() for word in ("--arg", f"{name}={json.dumps(value)}")]
    look = "second_look=bridge"
    writers = ("rag", "recency", "reservoir", "keep-best")
    static = [word for name in writers for word in ("--policy", f"{name}[{look}]")]
    local = ["--engine", "local", "--adapter", adapter, *machine]
    model = [*local, "--policy", f"atommem[template=brief,reader=rules,{look}]"]
    folder = given.out / "evaluation" / "files"
    return [
        Step("files-static", (*words, "--engine", "rules", *static, "--out", str(folder / "static")), 0.05),
        Step("files", (*words, *model, "--out", str(folder / "grpo")), 900 * REPLY_HOURS),
    ]


def run(words: Sequence[str], seconds: float | None) -> bool:
    """Run a command; return whether it came to its end in that time: one that did not is asked to end, and does."""
    with subprocess.Popen([sys.executable, *words]) as process:
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()  # a kill would leave the workers of torch.distributed.run behind
            return False
    if code:
        raise subprocess.CalledProcessError(code, list(words))
    return True


def ended(out: Path) -> dict[str, float]:
    """Return the seconds of each step that has ended."""
    file = out / "done.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    seconds: dict[str, float] = {}
    names = set()
    for line in map(json.loads, lines):
        seconds[line["step"]] = seconds.get(line["step"], 0.0) + line["seconds"]
        names |= {line["step"]} if line["ended"] else set()
    return {name: seconds[name] for name in names}


def plan(given: Any) -> list[Step]:
    """Print what is left and about how long it takes, and return it."""
    done, every = ended(given.out), steps(given)
    left = [step for step in every if step.name not in done]
    expected = sum(step.hours for step in every if step.name in done)
    pace = sum(done.values()) / 3600 / expected if expected else 1.0
    print(
        f"{len(done)} of {len(every)} steps have ended, {pace * sum(step.hours for step in left):.1f} h are left"
    )
    for step in left:
        print(f"  {step.name:20} {pace * step.hours:5.1f} h")
    return left


def main(
    words: Sequence[str] | None = None, run: Callable[[Sequence[str], float | None], bool] = run
) -> list[str]:
    """Carry out what is left, and return the names of the steps that ended now."""
    parser = options(__doc__.splitlines()[0], "runs/language_model")
    parser.add_argument("--plan", action="store_true", help="Print what is left, and do nothing.")
    parser.add_argument("--minutes", type=float, help="Stop after so many; the same command goes on.")
    parser.add_argument("--workers", type=int, default=1, help="Processes that share the batches of SFT.")
    parser.add_argument("--data", type=Path, help="A folder with the benchmarks' files.")
    given = parser.parse_args(words)
    left = plan(given)
    now: list[str] = []
    begun = time.monotonic()
    while left and not given.plan:
        step, spent = left[0], time.monotonic() - begun
        seconds = None if given.minutes is None else 60 * given.minutes - spent
        if seconds is not None and seconds <= 0:
            break
        print(f"\n{step.name}: {shlex.join(step.words)}", flush=True)
        end = run(step.words, seconds)
        given.out.mkdir(parents=True, exist_ok=True)
        took = round(time.monotonic() - begun - spent, 1)
        with open(given.out / "done.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step.name, "seconds": took, "ended": end}) + "\n")
        if not end:
            break
        now.append(step.name)
        left = [each for each in steps(given) if each.name not in ended(given.out)]
    if left and not given.plan:
        print(f"{len(left)} steps are left: the same command goes on")
    return now


if __name__ == "__main__":
    main()
