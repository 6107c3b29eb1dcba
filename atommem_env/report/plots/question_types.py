"""Scores by type of question: for each environment a field of numbers, a row a policy, a column a type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from atommem_env.report.footnotes import data_notes
from atommem_env.report.plots.style import INK, line_of, policy_panels
from atommem_env.report.question_types import TypedRow, by_type
from atommem_env.report.summary import Row, by_environment
from atommem_env.report.tables import SCORE_TITLES
from atommem_env.runs.errors import RunError
from atommem_env.runs.recorded import RecordedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMN_INCHES, _ROW_INCHES = 0.56, 0.24
_COLOURS: Final = ("#ffffff", "#0072b2")
_DARK: Final = 55
"""The percentage from which on a number is written in white."""

_ALL: Final = "all"


def draw(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> Figure:
    """Return the picture.

    Raises:
        RunError: when no environment has questions of several types.
    """
    typed = {id(row.row): row for row in by_type(rows, runs)}
    groups = [group for group in by_environment(rows) if len(_types(typed, group)) > 1]
    if not groups:
        raise RunError("no environment has questions of several types: this shows scores by type")
    shown = [row for group in groups for row in group]
    widest = max(len(_types(typed, group)) + 1 for group in groups)
    notes = [*_notes([typed[id(row)] for row in shown]), *data_notes(shown, runs)]
    heading = "Scores by type of question"
    page = policy_panels(groups, heading, notes, _COLUMN_INCHES * widest, _ROW_INCHES, left=0.1, right=0.2)
    for axes, found in page.panels:
        lines = {name: typed[id(row)] for name, row in found.items()}
        _draw_panel(axes, lines, page.names, _types(typed, list(found.values())), widest)
    return page.figure


def _types(typed: dict[int, TypedRow], group: Sequence[Row]) -> list[str]:
    return sorted({kind for row in group for kind in typed[id(row)].types})


def _draw_panel(
    axes: Any, lines: dict[str, TypedRow], names: Sequence[str], kinds: Sequence[str], widest: int
) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    colours = LinearSegmentedColormap.from_list("scores", _COLOURS)
    axes.set_xlim(-0.5, widest - 0.5)
    axes.set_xticks(range(len(kinds) + 1), [*map(_broken, kinds), _ALL], size=6.5)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for name, row in lines.items():
        score, place = row.choose(None), names.index(name)
        values = [row.types[kind].scores.get(score) if kind in row.types else None for kind in kinds]
        for column, value in enumerate([*values, row.micro.get(score)]):
            if value is None:
                continue
            percent = 100 * value
            axes.add_patch(
                Rectangle(
                    (column - 0.5, place - 0.5), 1, 1, facecolor=colours(value), edgecolor="white", lw=0.8
                )
            )
            colour = "white" if percent > _DARK else INK
            axes.text(column, place, f"{percent:.0f}", size=7.5, ha="center", va="center", color=colour)


def _broken(kind: str) -> str:
    """Return the name of a type on a few short lines."""
    return line_of(kind).replace("-", "-\n").replace("_", "_\n").replace(" ", "\n")


def _notes(typed: Sequence[TypedRow]) -> list[str]:
    scores = dict.fromkeys(SCORE_TITLES.get(score, score) for score in (row.choose(None) for row in typed))
    meant = "the benchmark's own score" if list(scores) == ["official"] else " or ".join(scores)
    if len(scores) > 1 and "official" in scores:
        meant = "the benchmark's own score where it has one, else EM"
    return [f"In percent: {meant}, the mean over the questions of a type; all: over all questions."]
