"""Two policies on the same tasks: how much better one is, with an interval over tasks.

Tasks differ far more than policies do, so the difference is taken task by task, and tasks are drawn anew for the
interval (the paired bootstrap, percentile method).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from atommem_env.evidence import STAGES, mean_share
from atommem_env.report.summary import Interval, bootstrap
from atommem_env.runs.errors import RunError
from atommem_env.scoring import SCORES

RESAMPLES: Final = 10_000
"""How often tasks are drawn anew for the interval of a difference."""

MEASURES: Final = (*STAGES, *SCORES)
"""What policies can be compared by: a stage of the funnel, or a score."""


def by_task(episodes: Iterable[Mapping[str, Any]], measure: str) -> dict[str, float]:
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
    values: dict[str, float] = {}
    for episode in episodes:
        metrics = episode["metrics"]
        value = metrics[measure] if measure in SCORES else mean_share(metrics, measure)
        if value is not None:
            values[episode["task_id"]] = value
    return values


def interval(values: Mapping[str, float]) -> Interval | None:
    """Return the mean over tasks and its 95 % bootstrap interval; ``None`` without a task."""
    return bootstrap(list(values.values()), RESAMPLES) if values else None


def difference(values: Mapping[str, float], others: Mapping[str, float]) -> Interval | None:
    """Return the mean over the tasks that both have of ``values`` less ``others``, with its 95 % interval.

    Above 0 with the whole interval: better than chance in the choice of tasks explains. ``None`` when they
    share no task.
    """
    return interval({task: value - others[task] for task, value in values.items() if task in others})
