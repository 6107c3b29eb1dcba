"""Step 4, evaluation by the protocol of `docs/language_model.md`: writers with one frozen reader, on fixed tasks.

    python examples/language_model/evaluate.py --split validation --episodes 100 --static \\
        --trained sft=runs/language_model/sft-0/adapter
    python examples/language_model/evaluate.py --split test --episodes 300 --static \\
        --trained sft=A0/adapter,A1/adapter,A2/adapter --trained grpo=B0/adapter,B1/adapter,B2/adapter \\
        --compare grpo:sft --compare grpo:keep-best

A trained writer is a name and the adapters of its seeds. --prompted adds the model as it comes, --end-to-end also lets
each model read and answer itself. A comparison takes the difference of each task, averaged over the seeds, its 95 %
bootstrap interval over tasks, and Holm's correction over the comparisons asked for; it holds where the interval leaves
0 out, the corrected p is below 0.05, and all seeds agree in sign. Each look at the test split is written to
`looks.jsonl`. Every run is a folder below --out that `atommem view` opens; the same command goes on where it was
stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from expert import expert
from setting import BRIEF, ENV, MAX_TOKENS, READER, options, task

import atommem_env
from atommem_env.llm import LocalSettings
from atommem_env.report.comparisons import by_task
from atommem_env.runs.engines import replies_folder

LOOK = "second_look=bridge"
STATIC: dict[str, Any] = {
    "write-nothing": f"write-nothing[{LOOK}]",
    "first N": f"rag[{LOOK}]",
    "last N": f"recency[{LOOK}]",
    "sample of N": f"reservoir[{LOOK}]",
    "keep-best": f"keep-best[{LOOK}]",
    "keep-best sentences": f"keep-best[unit=sentence,{LOOK}]",
    "merge": f"merge[{LOOK}]",
    "learned": "learned",
    "expert": expert,
    "oracle": "oracle[unit=sentence]",
}
"""Writers without a language model; the last two, the teacher and the ceiling, stand in no comparison."""

ADVICE = (
    "Copy into memory, word for word and under its title, each sentence that names something the question asks about, "
    "or that leads from it to the answer. Keep nothing else. One entry holds one sentence.\n\n"
)
MEASURES = ("em", "kept", "read")
RESAMPLES = 10_000

Scores = dict[str, dict[str, float]]


def writer(given: Any, adapter: str | None, seed: int) -> LocalSettings:
    """Return the settings of a model that writes: greedy, with a cache of its replies."""
    return LocalSettings(
        given.model,
        adapter,
        batch=given.batch,
        max_tokens=MAX_TOKENS,
        seed=seed,
        device=given.device,
        dtype=given.dtype,
        cache=replies_folder(),
    )


def scores_of(run: Any, name: str) -> Scores:
    """Return the measures of a policy of a run, by task."""
    episodes = run.select((), (name,))
    return {measure: by_task(episodes, measure) for measure in MEASURES}


def compare(first: Sequence[Scores], second: Sequence[Scores], measure: str = "em") -> dict[str, Any]:
    """Return the difference of two entrants over the tasks that both have, seeds averaged, by bootstrap over tasks."""
    names = [side[measure] for side in (*first, *second)]
    tasks = sorted(set.intersection(*(set(found) for found in names)))

    def mean(sides: Sequence[Scores]) -> Any:
        return np.array([[side[measure][name] for name in tasks] for side in sides])

    one, other = mean(first), mean(second)
    gaps = one.mean(0) - other.mean(0)
    draw = np.random.default_rng(0)
    means = gaps[draw.integers(0, len(gaps), (RESAMPLES, len(gaps)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    tail = min(float((means <= 0).mean()), float((means >= 0).mean()))
    by_seed = [float(row.mean() - other[number % len(other)].mean()) for number, row in enumerate(one)]
    return {
        "difference": float(gaps.mean()),
        "low": float(low),
        "high": float(high),
        "p": min(1.0, 2 * max(tail, 1 / RESAMPLES)),
        "by_seed": by_seed,
        "tasks": len(tasks),
    }


def holm(found: Sequence[dict[str, Any]]) -> None:
    """Add to each comparison its p after Holm's correction, and whether it holds."""
    most = 0.0
    for rank, each in enumerate(sorted(found, key=lambda each: float(each["p"]))):
        most = max(most, min(1.0, (len(found) - rank) * each["p"]))
        each["p_holm"] = most
        excludes = each["low"] > 0 or each["high"] < 0
        agree = len({value > 0 for value in each["by_seed"]}) == 1 and 0 not in each["by_seed"]
        each["holds"] = excludes and agree and most < 0.05


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    """Run, print the table and the comparisons, and return them."""
    parser = options(__doc__.splitlines()[0], "runs/language_model/evaluation")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--static", action="store_true", help="The writers without a language model.")
    parser.add_argument(
        "--prompted", action="store_true", help="The model as it comes, without and with advice."
    )
    parser.add_argument(
        "--end-to-end", action="store_true", help="Also let each model read and answer itself."
    )
    parser.add_argument("--trained", action="append", default=[], metavar="NAME=ADAPTER[,ADAPTER...]")
    parser.add_argument("--compare", action="append", default=[], metavar="NAME:NAME")
    parser.add_argument("--change", action="append", default=[], metavar="KEY=JSON", help="Of the setting.")
    given = parser.parse_args(words)
    if given.threads:
        os.environ["OMP_NUM_THREADS"] = str(given.threads)  # torch is not loaded yet
    changes = {name: json.loads(value) for name, _, value in (each.partition("=") for each in given.change)}
    episodes = 4 if given.quick else given.episodes
    arguments = task(given.split, given.quick, **changes)
    folder = given.out / f"{given.split}{'-quick' if given.quick else ''}"
    found: dict[str, list[Scores]] = {}

    def play(name: str, policies: dict[str, Any], engine: Any, own: dict[str, Any] | None = None) -> None:
        run = atommem_env.evaluate(
            ENV, policies, episodes, engine=engine, out=folder / name, policy_arguments=own or {}, **arguments
        )
        for policy in policies:
            found.setdefault(policy, []).append(scores_of(run, policy))

    if given.static:
        play("static", STATIC, READER)
    models: list[tuple[str, str | None, int]] = []
    for each in given.trained:
        name, _, adapters = each.partition("=")
        models += [(name, adapter, seed) for seed, adapter in enumerate(adapters.split(","))]
    if given.prompted:
        models.append(("prompted", None, 0))
    for name, adapter, seed in models:
        reader = {"template": BRIEF, "reader": READER, "second_look": "bridge"}
        policies = {name: reader}
        if given.end_to_end:
            policies[f"{name}, end to end"] = {"template": BRIEF}
        if adapter is None:
            policies[f"{name} with advice"] = {**reader, "template": ADVICE + _brief()}
        engine = writer(given, adapter, seed)
        play(f"{name}-{seed}", dict.fromkeys(policies, "atommem"), engine, policies)
    if given.split == "test":
        with open(given.out / "looks.jsonl", "a", encoding="utf-8") as looks:
            entrants = [[name, adapter] for name, adapter, _ in models] + (
                [["static", None]] if given.static else []
            )
            looks.write(json.dumps({"entrants": entrants, "episodes": episodes, "changes": changes}) + "\n")
    table = {
        name: {
            measure: [float(np.mean(list(side[measure].values()))) for side in sides] for measure in MEASURES
        }
        for name, sides in found.items()
    }
    for name, row in table.items():
        told = "  ".join(f"{measure} {100 * np.mean(row[measure]):5.1f}" for measure in MEASURES)
        print(f"{name:24} {told}  seeds {len(row['em'])}")
    pairs = [each.partition(":")[::2] for each in given.compare]
    comparisons = [{"pair": f"{one}:{other}", **compare(found[one], found[other])} for one, other in pairs]
    holm(comparisons)
    for each in comparisons:
        print(
            f"{each['pair']}: {100 * each['difference']:+.1f} [{100 * each['low']:.1f}, {100 * each['high']:.1f}], "
            f"p {each['p_holm']:.4f} (Holm), {'holds' if each['holds'] else 'does not hold'}"
        )
    report = {"table": table, "comparisons": comparisons, "episodes": episodes, "setting": arguments}
    (folder / "report.json").write_text(json.dumps(report, indent=1, default=list) + "\n")
    return report


def _brief() -> str:
    """Return the text of the brief prompt."""
    from importlib.resources import files

    return (files("atommem_env.protocols") / "prompts" / "brief.txt").read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
