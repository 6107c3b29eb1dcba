"""What a policy reached on an environment, in numbers: scores with their intervals, and the funnel."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from atommem_env.runs.keys import episode_key

if TYPE_CHECKING:
    from atommem_env.runs.run import Run

RESAMPLES: Final = 2000
"""How often episodes are drawn anew for an interval."""

FUNNEL: Final = ("seen", "written", "kept", "read", "answered")
"""The stages that a row reports, in their order."""

_SEED = 20260108
_BLOCK = 100


@dataclass(frozen=True)
class Interval:
    """A mean over episodes and its 95 % bootstrap interval (percentile method), each in [0, 1]."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One line of a table: a policy on an environment in a run.

    Attributes:
        env: the environment's name in its run: its id, unless the run has several of that id.
        generated: whether generated data stands in for the benchmark that the environment is of.
        source: where the data came from.
        settings: the arguments in which environments of this name differ within the table, ``name=value``.
        policy: the policy's name.
        engine: its engine's name, ``None`` when it has none.
        episodes: the number of episodes.
        questions: the number of questions in them.
        without_evidence: how many of these have no evidence in the data; the funnel leaves them out.
        uses_buffer: whether the policy keeps text outside memory, so that its funnel says nothing.
        em, f1, cover_em: the scores.
        funnel: by stage, the mean over the questions with evidence; ``None`` where undefined.
        memory_peak, entries_shown, steps, refused: means over the episodes.
        calls: calls to the engine, the mean over the episodes of which they are known; ``None``: of none.
        reads: accepted Reads, likewise.
        judge: the score of a judge, ``None`` unless it has judged all of the episodes.
        run: the place of its run among those that were summarised.
    """

    env: str
    generated: bool
    source: str
    settings: tuple[str, ...]
    policy: str
    engine: str | None
    episodes: int
    questions: int
    without_evidence: int
    uses_buffer: bool
    em: Interval
    f1: Interval
    cover_em: Interval
    funnel: dict[str, float | None]
    memory_peak: float
    entries_shown: float
    steps: float
    refused: float
    calls: float | None = None
    reads: float | None = None
    run: int = 0
    judge: Interval | None = None

    @property
    def label(self) -> str:
        """The environment's name as a table shows it: generated data never passes for the benchmark's."""
        name = f"{self.env} (generated)" if self.generated else self.env
        return ", ".join([name, *self.settings])


def summarise(runs: Sequence[Run]) -> list[Row]:
    """Return the rows of a table over ``runs``: those of one environment and source together.

    The order is otherwise that of the runs, and of the policies in each. A policy without an episode is left
    out.
    """
    rows: list[Row] = []
    differing = _differing(runs)
    for number, run in enumerate(runs):
        by_key: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for episode in run.episodes:
            by_key.setdefault((episode["env"], episode["policy"]), []).append(episode)
        costs: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for timing in run.timings:
            costs.setdefault((timing["env"], timing["policy"]), []).append(timing)
        for env in run.settings["envs"]:
            settings = _shown_settings(run, env, differing[env["name"]])
            for policy in run.settings["policies"]:
                key = env["name"], policy["name"]
                if key in by_key:
                    row = _row(env, settings, policy["name"], by_key[key], costs.get(key, []))
                    rows.append(replace(row, run=number, judge=_judge(run, by_key[key])))
    return [row for group in by_environment(rows) for row in _told_apart(group)]


def by_environment(rows: Sequence[Row]) -> list[list[Row]]:
    """Return ``rows`` in groups, each of one environment and source."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.label, row.source), []).append(row)
    return list(groups.values())


def bootstrap(values: Sequence[float], resamples: int = RESAMPLES) -> Interval:
    """Return the mean of ``values``, one per episode, with its 95 % interval.

    Args:
        values: at least one.
        resamples: how often they are drawn anew, a multiple of 100.
    """
    array = np.asarray(values, dtype=np.float64)
    means = np.concatenate([array[block].mean(axis=1) for block in _resamples(len(array), resamples)])
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(array.mean()), float(low), float(high))


@functools.lru_cache(maxsize=4)
def _resamples(size: int, count: int) -> tuple[npt.NDArray[np.int32], ...]:
    generator = np.random.Generator(np.random.PCG64(_SEED))
    return tuple(
        generator.integers(size, size=(_BLOCK, size), dtype=np.int32) for _ in range(count // _BLOCK)
    )


def _row(
    env: Mapping[str, Any],
    settings: tuple[str, ...],
    policy: str,
    episodes: Sequence[Mapping[str, Any]],
    costs: Sequence[Mapping[str, Any]],
) -> Row:
    metrics = [episode["metrics"] for episode in episodes]
    questions = [question for metric in metrics for question in metric["questions"]]
    with_evidence = [question for question in questions if question["num_evidence"] > 0]
    source = str(episodes[0]["source"])
    return Row(
        env=env["name"],
        generated=source.startswith("generated") and not env["id"].startswith("AtomMem-World"),
        source=source,
        settings=settings,
        policy=policy,
        engine=episodes[0]["engine"],
        episodes=len(episodes),
        questions=len(questions),
        without_evidence=len(questions) - len(with_evidence),
        uses_buffer=any(question["evidence"]["seen"] is None for question in with_evidence),
        em=bootstrap([metric["em"] for metric in metrics]),
        f1=bootstrap([metric["f1"] for metric in metrics]),
        cover_em=bootstrap([metric["cover_em"] for metric in metrics]),
        funnel={stage: _stage_mean(with_evidence, stage) for stage in FUNNEL},
        memory_peak=_mean([metric["memory_peak"] for metric in metrics]),
        entries_shown=_mean([metric["entries_shown"] for metric in metrics]),
        steps=_mean([metric["steps"] for metric in metrics]),
        refused=_mean([sum(metric["refused"].values()) for metric in metrics]),
        calls=_known_mean(costs, "calls"),
        reads=_known_mean(costs, "reads"),
    )


def _judge(run: Run, episodes: Sequence[Mapping[str, Any]]) -> Interval | None:
    """Return a judge's score of ``episodes``, if it has judged them all."""
    verdicts = [run.judgements.get(episode_key(episode)) for episode in episodes]
    shares = [_mean(verdict) for verdict in verdicts if verdict]
    return bootstrap(shares) if len(shares) == len(episodes) else None


def _known_mean(costs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [cost[name] for cost in costs if name in cost]
    return _mean(values) if values else None


def _stage_mean(questions: Sequence[Mapping[str, Any]], stage: str) -> float | None:
    values = [question["evidence"][stage] for question in questions]
    return None if not values or None in values else _mean(values)


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values))


def _differing(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return for each environment the settings that are not the same in all runs."""
    seen: dict[str, dict[str, dict[str, None]]] = {}
    for run in runs:
        for env in run.settings["envs"]:
            values = seen.setdefault(env["name"], {})
            for name, value in _all_settings(run, env).items():
                values.setdefault(name, {})[json.dumps(value, sort_keys=True)] = None
    return {env: [name for name, found in values.items() if len(found) > 1] for env, values in seen.items()}


def _all_settings(run: Run, env: Mapping[str, Any]) -> dict[str, Any]:
    arguments = {name: value for name, value in env["arguments"].items() if name != "source"}
    return {**arguments, "policy_seed": run.settings["seed"], "atommem_env": run.settings["atommem_env"]}


def _shown_settings(run: Run, env: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    values = _all_settings(run, env)
    return tuple(f"{name}={_plain(values.get(name))}" for name in names)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _told_apart(rows: Sequence[Row]) -> list[Row]:
    """Return ``rows`` of one environment, numbering a policy's rows where runs gave it more than one.

    Rows differ by their engine, too, and then need no number.
    """
    keys = [(row.policy, row.engine) for row in rows]
    result: list[Row] = []
    for number, (row, key) in enumerate(zip(rows, keys, strict=True)):
        if keys.count(key) > 1:
            row = replace(row, policy=f"{row.policy} #{keys[: number + 1].count(key)}")
        result.append(row)
    return result
