"""The tables of docs/updates.md, from a run of the recipe `updates`: a row a workflow, three capacities to a cell.

    atommem run --recipe updates --source Conflict_Resolution.json --out runs/updates
    python examples/updates_table.py runs/updates

A question is *changed* where a later fact replaced what it asks for before it was asked; in MemoryAgentBench's lists,
where its facts conflict. The score is the benchmark's own, else exact match. Everything is in percent.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

from atommem_env.evidence import mean_share
from atommem_env.runs.run import Run

CAPACITIES = ("20", "100", "none")
COLUMNS = ("score, changed", "score, unchanged", "kept", "read", "stale kept", "stale read")
_NAME = re.compile(r"AtomMem-(\w+)-v0\[(.+), capacity=(\w+)\]")

Cells = dict[str, float | None]


def cells(episodes: Iterable[dict]) -> Cells:
    """Return the numbers of one workflow in one environment: means over questions, of the funnel over episodes."""
    metrics = [episode["metrics"] for episode in episodes]
    scores: dict[str, list[float]] = {"changed": [], "unchanged": []}
    for question in (question for one in metrics for question in one["questions"]):
        changed = question["num_superseded"] or str(question["type"]).endswith("_conflicted")
        score = question["em"] if question["official"] is None else question["official"]
        scores["changed" if changed else "unchanged"].append(score)
    found: Cells = {f"score, {kind}": mean(values) for kind, values in scores.items()}
    for name in COLUMNS[2:]:
        shares = [mean_share(one, name.replace(" ", "_")) for one in metrics]
        found[name] = mean(share for share in shares if share is not None)
    return found


def mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return sum(listed) / len(listed) if listed else None


def tables(run: Run) -> Iterator[str]:
    """Yield a table for each kind of data."""
    found: dict[str, dict[str, dict[str, Cells]]] = {}
    groups: dict[tuple[str, str], list[dict]] = {}
    for episode in run.episodes:
        groups.setdefault((episode["env"], episode["policy"]), []).append(episode)
    for (env, policy), episodes in groups.items():
        benchmark, data, capacity = _NAME.fullmatch(env).groups()
        name = f"{benchmark}, {data} ({episodes[0]['source']}, engine `{episodes[0]['engine']}`)"
        found.setdefault(name, {}).setdefault(policy, {})[capacity] = cells(episodes)
    for name, policies in found.items():
        lines = [
            f"**{name}**",
            "",
            f"| policy | {' | '.join(COLUMNS)} |",
            f"| --- |{' --: |' * len(COLUMNS)}",
        ]
        for policy, rows in policies.items():
            shown = [
                "/".join(percent(rows.get(capacity, {}).get(column)) for capacity in CAPACITIES)
                for column in COLUMNS
            ]
            lines.append(f"| `{policy}` | {' | '.join(shown)} |")
        yield "\n".join(lines)


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}"


if __name__ == "__main__":
    print("\n\n".join(tables(Run.load(sys.argv[1]))) if len(sys.argv) > 1 else __doc__)
