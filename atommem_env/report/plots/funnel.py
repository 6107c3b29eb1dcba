"""The evidence funnel: what share of the evidence each policy saw, wrote, kept, read and answered from.

A row for each policy, a bar for each stage. What was lost since the stage before stands on the bar in red, the
largest loss of a policy in full colour: it never wrote it, destroyed it, could not find it, or could not use it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from atommem_env.evidence import STAGES
from atommem_env.report.footnotes import data_notes
from atommem_env.report.plots.sheet import sheet
from atommem_env.report.plots.style import FAINT, INK, QUIET
from atommem_env.report.summary import Row
from atommem_env.runs.errors import RunError
from atommem_env.runs.recorded import RecordedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FUNNEL: Final = (*STAGES, "answered")
"""The stages that a row of the picture has, in their order."""

LOSSES: Final = {
    "written": ("never written", "never wrote it"),
    "kept": ("destroyed", "destroyed it"),
    "read": ("not found", "could not find it"),
    "answered": ("not used", "could not use it"),
}
"""What is lost at each stage, as a heading and as a finding."""

_STAGE_COLOURS: Final = ("#bcd0e6", "#93b3d6", "#6692c3", "#3d70a9", "#1f4d83")
_LOST: Final = "#c8401f"
_LOST_PALE: Final = "#f6ddd4"
_GUESS: Final = "#8fa9c4"

_PANEL, _ROW, _HEAD = 4.6, 0.84, 0.86
"""The width of a column, the height of a row, and the height above the rows, in inches."""

_HALF_BAR = 0.26
_LOW, _HIGH = -0.32, 1.32
_ROOM = 0.24
"""A loss as large as this holds its own number."""

_LEAST = 0.005
"""A smaller change is none: it would be rounded to 0."""


def draw(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> Figure:
    """Return the picture.

    Raises:
        RunError: when no row has a funnel.
    """
    if all(row.funnel["seen"] is None for row in rows):
        raise RunError(
            "there is no funnel to draw: every policy keeps text outside memory, or the data has no evidence"
        )
    drawn = sheet(rows, "Where each policy loses its evidence", _notes(rows, runs), _PANEL, _ROW, _HEAD)
    single = len(drawn.columns) == 1
    for column, found in enumerate(drawn.columns):
        _draw_head(drawn.heading(column))
        for place, name in enumerate(drawn.names):
            if name in found:
                _draw_row(drawn.cell(place, column), found[name])
    for place, name in enumerate(drawn.names):
        stage = largest_loss(drawn.columns[0][name]) if single else None
        drawn.name(place, (_HIGH - 0.5) / (_HIGH - _LOW), LOSSES[stage][1] if stage else "", _LOST)
    return drawn.figure


def share_of(row: Row, stage: str) -> float | None:
    """Return how much of the evidence reached a stage; of *answered*, the exact match."""
    return row.em.mean if stage == "answered" else row.funnel[stage]


def largest_loss(row: Row) -> str | None:
    """Return the stage at which most of the evidence was lost, ``None`` when nothing was, or nothing is known."""
    losses = {
        stage: (share_of(row, before) or 0.0) - (share_of(row, stage) or 0.0)
        for before, stage in itertools.pairwise(FUNNEL)
        if share_of(row, before) is not None
    }
    worst = max(losses, key=losses.__getitem__, default=None)
    return worst if worst is not None and losses[worst] >= _LEAST else None


def _draw_head(axes: Any) -> None:
    for place, stage in enumerate(FUNNEL):
        x = _PANEL * (place + 0.5) / len(FUNNEL)
        axes.text(x, 0.26, stage, size=8.5, ha="center", va="center")
        if stage in LOSSES:
            axes.text(x, 0.08, f"− {LOSSES[stage][0]}", size=7, color=_LOST, ha="center", va="center")


def _draw_row(axes: Any, row: Row) -> None:
    axes.set_xlim(-0.5, len(FUNNEL) - 0.5)
    axes.set_ylim(_LOW, _HIGH)
    axes.axis("off")
    axes.plot([-0.5, len(FUNNEL) - 0.5], [0, 0], color=FAINT, lw=0.8, zorder=1)
    worst = largest_loss(row)
    before: float | None = None
    for place, stage in enumerate(FUNNEL):
        share = share_of(row, stage)
        if share is None:
            continue
        if before is not None:
            _draw_change(axes, place, before, share, stage == worst)
        carried = share if before is None else min(share, before)
        _bar(axes, place, 0, carried, facecolor=_STAGE_COLOURS[place])
        axes.text(place, -0.09, f"{100 * share:.0f}", size=7.5, ha="center", va="top", color=INK)
        before = share
    if row.funnel["seen"] is None:
        why = "keeps text outside memory" if row.uses_buffer else "the data has no evidence"
        axes.text(1.5, 0.3, why, size=8, color=QUIET, ha="center", va="center", style="italic")


def _draw_change(axes: Any, place: int, before: float, share: float, worst: bool) -> None:
    """Draw what was lost since the stage before, on top of the bar; or what came from elsewhere."""
    left, right = place - 1 + _HALF_BAR, place - _HALF_BAR
    axes.fill(
        [left, left, right, right],
        [0, before, min(share, before), 0],
        color=_STAGE_COLOURS[place - 1],
        alpha=0.28,
        lw=0,
    )
    change = share - before
    if change <= -_LEAST:
        axes.plot([left, right], [before, before], color=_LOST, lw=0.7, ls=(0, (2, 2)), zorder=2)
        _bar(axes, place, share, before - share, facecolor=_LOST if worst else _LOST_PALE)
        inside = before - share >= _ROOM
        axes.text(
            place,
            (share + before) / 2 if inside else before + 0.03,
            f"−{-100 * change:.0f}",
            size=7.5,
            weight="bold" if worst else "normal",
            color="white" if worst and inside else _LOST,
            ha="center",
            va="center" if inside else "bottom",
        )
    elif change >= _LEAST:
        _bar(axes, place, before, change, facecolor="white", edgecolor=_GUESS, hatch="//////")


def _bar(axes: Any, place: int, bottom: float, height: float, **look: Any) -> None:
    axes.bar(place, height, 2 * _HALF_BAR, bottom, zorder=3, **{"linewidth": 0, **look})


def _notes(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> list[str]:
    notes = [
        "Percent of the evidence, the mean over episodes, of each the mean over its questions: shown to the policy "
        "(seen), in memory at some time (written), in memory when its question was asked (kept), in view then "
        "(read); answered: exact match."
    ]
    shares = [[share_of(row, stage) or 0.0 for stage in FUNNEL] for row in rows]
    if any(after - before >= _LEAST for line in shares for before, after in itertools.pairwise(line)):
        notes.append(
            "Hatched: more than the stage before, such as right answers without the evidence in view."
        )
    return [*notes, *data_notes(rows, runs)]
