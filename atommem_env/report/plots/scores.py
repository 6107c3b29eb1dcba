"""Scores by policy with their intervals, a panel for each environment, between the controls that bracket them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from atommem_env.report.footnotes import data_notes
from atommem_env.report.plots.style import QUIET, look_of, percent_limit, policy_panels
from atommem_env.report.summary import Interval, Row, by_environment
from atommem_env.runs.recorded import RecordedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL_INCHES, _ROW_INCHES = 3.3, 0.3

_BRACKETS: Final = ("closed-book", "oracle")
"""The controls whose exact match is drawn through a panel: without memory, and with the gold paragraphs alone."""


def draw(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> Figure:
    """Return the picture."""
    heading = "Scores, with 95 % intervals"
    page = policy_panels(
        by_environment(rows), heading, _notes(rows, runs), _PANEL_INCHES, _ROW_INCHES, left=0.05, right=0.5
    )
    limit = percent_limit(row.scores[name] for row in rows for name in ("em", "f1"))
    for axes, found in page.panels:
        axes.set_xlim(0, limit)
        axes.set_xlabel("percent")
        axes.spines["left"].set_visible(False)
        axes.grid(True, axis="x")
        _draw_brackets(axes, list(found.values()))
        for name, row in found.items():
            _draw_row(axes, page.names.index(name), row, limit)
    return page.figure


def _draw_row(axes: Any, place: int, row: Row, limit: int) -> None:
    look = look_of(row.policy)
    f1 = row.scores["f1"]
    _draw_interval(axes, place + 0.2, f1, look.colour, 0.8)
    axes.plot(
        100 * f1.mean,
        place + 0.2,
        "o",
        ms=3,
        mfc="white",
        mec=look.colour,
        mew=0.8,
        zorder=4,
        clip_on=False,
    )
    _draw_interval(axes, place - 0.1, row.em, look.colour, 1.6)
    look.mark(axes, 100 * row.em.mean, place - 0.1)
    axes.text(1.03 * limit, place - 0.05, f"{100 * row.em.mean:.1f}", size=8, va="center")


def _draw_interval(axes: Any, y: float, interval: Interval, colour: str, width: float) -> None:
    if interval.bounds is not None:
        ends = [100 * bound for bound in interval.bounds]
        axes.plot(ends, [y, y], color=colour, lw=width, solid_capstyle="round")


def _draw_brackets(axes: Any, group: Sequence[Row]) -> None:
    for row in group:
        if row.policy in _BRACKETS:
            axes.axvline(100 * row.em.mean, color=QUIET, lw=0.8, ls=(0, (3, 2)), zorder=1)


def _notes(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> list[str]:
    notes = [
        "Filled, and in numbers: exact match; hollow: F1; each the mean over episodes, of each the mean over its "
        "questions, with its 95 % bootstrap interval over episodes."
    ]
    drawn = [name for name in _BRACKETS if any(row.policy == name for row in rows)]
    if drawn:
        notes.append(f"Dashed: the exact match of {' and of '.join(drawn)}.")
    return [*notes, *data_notes(rows, runs)]
