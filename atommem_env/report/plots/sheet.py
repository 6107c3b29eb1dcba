"""A page with a row for each policy and a column for each environment, in blocks of a few columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atommem_env.report.plots.style import (
    COLUMNS,
    QUIET,
    Rect,
    engines_differ,
    line_of,
    name_of,
    names_inches,
    page,
    subtitle_of,
)
from atommem_env.report.summary import Row, by_environment

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_GAP = 0.35
"""What is left free between two blocks, in inches."""


@dataclass(frozen=True)
class Sheet:
    """Where things stand on the page, in inches from the left and from the top of the columns.

    Attributes:
        figure: the page.
        names: the policies, a row each.
        left: the width of their column.
        columns: for each environment its rows by the policies' names.
        panel: a column's width.
        row: a row's height.
        head: the height above the rows.
        body: the page without its title and notes.
    """

    figure: Figure
    names: list[str]
    left: float
    columns: list[dict[str, Row]]
    panel: float
    row: float
    head: float
    body: Rect

    def cell(self, place: int, column: int, left: float = 0.0, right: float = 1.0) -> Any:
        """Return new axes in a row and a column, between two shares of the column's width."""
        return self._axes(column, self.head + self.row * place, self.row, left, right)

    def heading(self, column: int) -> Any:
        """Return new axes above a column, in inches from its lower left; they say what the column shows."""
        rows = list(self.columns[column].values())
        axes = self._axes(column, 0, self.head, 0.0, 1.0)
        axes.set_xlim(0, self.panel)
        axes.set_ylim(0, self.head)
        axes.axis("off")
        inset = 0.05 * self.panel
        axes.text(inset, self.head, line_of(rows[0].label), size=9, weight="bold", va="top")
        subtitle = subtitle_of(rows, self.panel - inset)
        axes.text(inset, self.head - 0.17, subtitle, size=6.5, color=QUIET, va="top", linespacing=1.3)
        return axes

    def name(self, place: int, centre: float, below: str = "", colour: str = QUIET) -> None:
        """Write a row's policy on its left, and a word below it, at a share of the row's height from above."""
        width, height = self.figure.get_size_inches()
        x = 0.1 / width
        for block in range(-(-len(self.columns) // COLUMNS)):
            top = self.block * block + self.head + self.row * (place + centre)
            y = self.body[1] + self.body[3] - top / height
            self.figure.text(
                x, y, self.names[place], size=9, weight="bold", va="bottom" if below else "center"
            )
            self.figure.text(x, y - 0.02 / height, below, size=7.5, color=colour, va="top")

    @property
    def block(self) -> float:
        """The height of a block of columns."""
        return self.head + self.row * len(self.names) + _GAP

    def _axes(self, column: int, top: float, tall: float, left: float, right: float) -> Any:
        width, height = self.figure.get_size_inches()
        start = self.left + self.panel * (column % COLUMNS + left)
        top += self.block * (column // COLUMNS)
        return self.figure.add_axes(
            (
                start / width,
                self.body[1] + self.body[3] - (top + tall) / height,
                self.panel * (right - left) / width,
                tall / height,
            )
        )


def sheet(
    rows: Sequence[Row], heading: str, notes: Sequence[str], panel: float, row: float, head: float
) -> Sheet:
    """Return a new page.

    Args:
        rows: what it shows.
        heading: its title.
        notes: what a reader must know.
        panel: a column's width, in inches.
        row: a row's height, in inches.
        head: the height above the rows, in inches.
    """
    groups = by_environment(rows)
    engines = engines_differ(rows)
    names = list(dict.fromkeys(name_of(each, engines) for each in rows))
    columns = [{name_of(each, engines): each for each in group} for group in groups]
    left = names_inches(names)
    across, blocks = min(COLUMNS, len(groups)), -(-len(groups) // COLUMNS)
    height = (head + row * len(names) + _GAP) * blocks - _GAP
    figure, body = page(left + panel * across + 0.1, height, heading, notes)
    return Sheet(figure, names, left, columns, panel, row, head, body)
