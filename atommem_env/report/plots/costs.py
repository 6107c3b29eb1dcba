"""What a score costs: exact match against the largest memory, or against the calls to the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from atommem_env.report.footnotes import data_notes
from atommem_env.report.plots.labels import Point, beside_points
from atommem_env.report.plots.style import (
    SCORES_NOTE,
    engines_differ,
    head,
    look_of,
    name_of,
    panels,
    percent_limit,
)
from atommem_env.report.summary import Row, by_environment
from atommem_env.runs.errors import RunError
from atommem_env.runs.recorded import RecordedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_Cost = Callable[[Row], "float | None"]


def draw_memory(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> Figure:
    """Return the picture of scores against the largest number of entries."""
    note = "Memory: the largest number of entries, the mean over episodes; the scratchpad is not counted."
    return _draw(
        rows,
        runs,
        lambda row: row.memory_peak,
        "Score against memory",
        "largest number of entries in memory",
        note,
    )


def draw_calls(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> Figure:
    """Return the picture of scores against calls to the engine.

    Raises:
        RunError: when no calls were counted.
    """
    if all(row.calls is None for row in rows):
        raise RunError("no calls to an engine were counted: they are in a run's timing.jsonl")
    note = "Calls: how often an episode asks its engine, the mean over episodes; an LLM would be called as often."
    return _draw(
        rows, runs, lambda row: row.calls, "Score against calls", "calls to the engine per episode", note
    )


def _draw(
    rows: Sequence[Row], runs: Sequence[RecordedRun], cost: _Cost, heading: str, across: str, note: str
) -> Figure:
    groups = by_environment([row for row in rows if cost(row) is not None])
    engines = engines_differ(rows)
    notes = [
        SCORES_NOTE,
        note,
        "Grey line: the highest score at no greater cost, the oracle and policies with text outside memory left out.",
    ]
    figure, drawn = panels(len(groups), heading, [*notes, *data_notes(rows, runs)])
    limit = percent_limit(row.em for group in groups for row in group)
    for group, axes in zip(groups, drawn, strict=True):
        axes.set_ylim(0, limit)
        _draw_panel(figure, axes, group, cost, engines)
        axes.set_xlabel(across)
        head(axes, group[0].label, group)
    drawn[0].set_ylabel("exact match, percent")
    return figure


def _draw_panel(figure: Figure, axes: Any, group: Sequence[Row], cost: _Cost, engines: bool) -> None:
    costs = [cost(row) or 0.0 for row in group]
    _scale(axes, min(costs), max(costs))
    axes.grid(True)
    fair = [row for row in group if not row.uses_buffer and row.policy != "oracle"]
    _draw_front(axes, [(cost(row) or 0.0, 100 * row.em.mean) for row in fair])
    points = []
    for row in group:
        look, x = look_of(row.policy), cost(row) or 0.0
        if row.em.bounds is not None:
            axes.plot([x, x], [100 * end for end in row.em.bounds], color=look.colour, lw=1, alpha=0.35)
        look.mark(axes, x, 100 * row.em.mean)
        points.append(Point(x, 100 * row.em.mean, name_of(row, engines), look.colour))
    beside_points(figure, axes, points)


def _scale(axes: Any, least: float, most: float) -> None:
    """Let costs stand on a logarithmic scale, with a place for 0 where there is one."""
    high = max(10.0, 2.2 * most)
    if least < 1:
        axes.set_xscale("symlog", linthresh=1, linscale=0.5)
        axes.set_xlim(-0.12, high)
    else:
        axes.set_xscale("log")
        axes.set_xlim(least / 2.2, high)
    low = axes.get_xlim()[0]
    between = [
        step * 10**power for power in range(8) for step in (1, 2, 5) if low <= step * 10**power <= high
    ]
    ticks = [tick for tick in between if len(between) <= 6 or str(tick)[0] == "1"]
    ticks = [0, *ticks] if least < 1 else ticks
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()


def _draw_front(axes: Any, points: Sequence[tuple[float, float]]) -> None:
    """Draw the highest score so far, from the lowest cost to the highest."""
    if not points:
        return
    best = -1.0
    front: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if y > best:
            front += [(x, best if front else y), (x, y)]
            best = y
    front.append((axes.get_xlim()[1], best))
    axes.plot(*zip(*front, strict=True), color="#c3c9d0", lw=1.6, zorder=1)
