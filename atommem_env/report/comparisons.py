"""Two policies on the same tasks: how much better one is, with an interval over tasks.

Tasks differ far more than policies do, so the difference is taken task by task, and tasks are drawn again for the
interval (the paired bootstrap, percentile method). Of histories, a history is drawn as a whole; fewer than ten say
too little for that: then there is the difference of each, and an interval over questions within these histories.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from atommem_env.core.types import score_of
from atommem_env.evidence import STAGES, mean_share
from atommem_env.report.summary import (
    FEWEST_HISTORIES,
    Interval,
    about_histories,
    applicable,
    bootstrap,
    history_of,
)
from atommem_env.runs.errors import RunError
from atommem_env.runs.forms import EpisodeRecord
from atommem_env.scoring import SCORES

if TYPE_CHECKING:
    from atommem_env.runs.recorded import RecordedRun

RESAMPLES: Final = 10_000
"""How often tasks are drawn again for the interval of a difference."""

MEASURES: Final = (*STAGES, *SCORES, "official")
"""What policies can be compared by: a stage of the funnel, or a score."""


@dataclass(frozen=True)
class Side:
    """A policy of a run on one of its environments, one side of a comparison."""

    run: RecordedRun
    env: str
    policy: str

    @property
    def episodes(self) -> list[EpisodeRecord]:
        """The records of its episodes."""
        return self.run.select((self.env,), (self.policy,))

    @property
    def record(self) -> Mapping[str, Any]:
        """What the run's record says of the environment."""
        return next(env for env in self.run.settings["envs"] if env["name"] == self.env)

    @property
    def label(self) -> str:
        """The policy's name, with its run's folder."""
        return self.policy if self.run.folder is None else f"{self.policy} ({self.run.folder})"


@dataclass(frozen=True)
class Difference:
    """How two policies differ in one measure on the tasks that both have.

    Attributes:
        measure: one of :data:`MEASURES`.
        first, second: the means of the two.
        difference: the first's less the second's, with its interval.
        over: what the interval is over: ``"tasks"``, ``"histories"``, or ``"questions within these histories"``.
        by_task: the difference of each task.
        by_history: the difference of each history; ``None`` without histories.
    """

    measure: str
    first: float
    second: float
    difference: Interval
    over: str
    by_task: Mapping[str, float]
    by_history: Mapping[str, float] | None

    @property
    def signs(self) -> tuple[int, int, int]:
        """On how many tasks, or histories, the first is better, equal, and worse."""
        values = list((self.by_history or self.by_task).values())
        better, worse = sum(value > 0 for value in values), sum(value < 0 for value in values)
        return better, len(values) - better - worse, worse


def compare(first: Side, second: Side, measures: Sequence[str] = ()) -> list[Difference]:
    """Return how ``first`` differs from ``second``, for each measure that both have.

    Args:
        first: a policy on an environment.
        second: another, or the same in another run.
        measures: some of :data:`MEASURES`; without, all that both have.

    Raises:
        RunError: when the two have other data, were shown their questions at different times, or have no task in
            common; when they lack a measure that was asked for.
    """
    _refuse_unlike(first, second)
    pairs = _pairs(applicable(first.episodes), applicable(second.episodes))
    if not pairs:
        raise RunError(
            f"{first.label} and {second.label} have no task of {first.env} in common: run both with the same arguments"
        )
    made = [
        (measure, _difference(pairs, measure, about_histories(first.episodes)))
        for measure in measures or MEASURES
    ]
    for measure, found in made:
        if measures and found is None:
            raise RunError(f"measure {measure!r}: {first.label} and {second.label} do not both have it")
    return [found for _, found in made if found is not None]


_Pair = tuple[EpisodeRecord, EpisodeRecord]


def _pairs(first: Sequence[EpisodeRecord], second: Sequence[EpisodeRecord]) -> list[_Pair]:
    others = {episode["task_id"]: episode for episode in second}
    return [(episode, others[episode["task_id"]]) for episode in first if episode["task_id"] in others]


def _refuse_unlike(first: Side, second: Side) -> None:
    sources = [next((str(episode["source"]) for episode in side.episodes), None) for side in (first, second)]
    shown = [side.record["arguments"].get("questions_shown", "always") for side in (first, second)]
    for what, (one, other) in (("data", sources), ("questions shown", shown)):
        if None not in (one, other) and one != other:
            raise RunError(
                f"{first.label} and {second.label} cannot be compared: {what} {one!r} and {other!r}"
            )


def _difference(pairs: Sequence[_Pair], measure: str, histories: bool) -> Difference | None:
    known = [
        (pair, (one, other))
        for pair in pairs
        if (one := _measured(pair[0], measure)) is not None
        and (other := _measured(pair[1], measure)) is not None
    ]
    if not known:
        return None
    values = [one - other for _, (one, other) in known]
    units = [history_of(pair[0]) for pair, _ in known]
    by_history: dict[str, float] | None = None
    over = "tasks"
    if histories:
        grouped: dict[str, list[float]] = {}
        for unit, value in zip(units, values, strict=True):
            grouped.setdefault(unit, []).append(value)
        by_history = {unit: sum(group) / len(group) for unit, group in grouped.items()}
        over = "histories"
    if by_history is not None and len(by_history) < FEWEST_HISTORIES:
        over = "questions within these histories"
        within = bootstrap(_question_differences([pair for pair, _ in known], measure), RESAMPLES)
        found = Interval(sum(values) / len(values), within.low, within.high)
    else:
        found = bootstrap(values, RESAMPLES, units if histories else None)
    return Difference(
        measure,
        sum(one for _, (one, _) in known) / len(known),
        sum(other for _, (_, other) in known) / len(known),
        found,
        over,
        {pair[0]["task_id"]: value for (pair, _), value in zip(known, values, strict=True)},
        by_history,
    )


def _question_differences(pairs: Sequence[_Pair], measure: str) -> list[float]:
    values = []
    for first, second in pairs:
        questions = zip(first["metrics"]["questions"], second["metrics"]["questions"], strict=True)
        for one, other in questions:
            mine, theirs = (
                cast("Mapping[str, float | None]", question["evidence"]).get(measure)
                if measure in STAGES
                else score_of(question, measure)
                for question in (one, other)
            )
            if mine is not None and theirs is not None:
                values.append(mine - theirs)
    return values


def _measured(episode: EpisodeRecord, measure: str) -> float | None:
    metrics = episode["metrics"]
    value = mean_share(metrics, measure) if measure in STAGES else score_of(metrics, measure)
    return None if value is None else float(value)


def by_task(episodes: Iterable[EpisodeRecord], measure: str) -> dict[str, float]:
    """Return a policy's ``measure`` of each task, in [0, 1], by the task's id.

    A stage of the funnel is the mean over the task's questions with evidence; a task without any is left out, and
    so is every task of a policy that keeps text outside memory.

    Args:
        episodes: the records of the policy's episodes.
        measure: one of :data:`MEASURES`.

    Raises:
        RunError: when there is no such measure.
    """
    if measure not in MEASURES:
        raise RunError(f"measure {measure!r}: expected one of {', '.join(MEASURES)}")
    values = {episode["task_id"]: _measured(episode, measure) for episode in episodes}
    return {task: value for task, value in values.items() if value is not None}


def interval(values: Mapping[str, float]) -> Interval | None:
    """Return the mean over tasks and its 95 % bootstrap interval; ``None`` without a task."""
    return bootstrap(list(values.values()), RESAMPLES) if values else None


def difference(values: Mapping[str, float], others: Mapping[str, float]) -> Interval | None:
    """Return the mean over the tasks that both have of ``values`` less ``others``, with its 95 % interval.

    Above 0 with the whole interval: better than chance in the choice of tasks explains. ``None`` when they
    share no task.
    """
    return interval({task: value - others[task] for task, value in values.items() if task in others})
