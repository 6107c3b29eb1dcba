"""A run as Python sees it: what was recorded, and its table, pictures and data frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atommem_env.runs.recorded import RecordedRun

if TYPE_CHECKING:
    from atommem_env.report.frames import Frames


@dataclass(frozen=True, repr=False)
class Run(RecordedRun):
    """Many episodes of policies on environments; printed, it is a table."""

    def table(
        self,
        format: str = "terminal",
        wide: bool = False,
        by: str | None = None,
        sort: str | None = None,
        score: str | None = None,
    ) -> str:
        """Return the run's table.

        Args:
            format: ``"terminal"`` (plain text of 120 columns), ``"markdown"``, ``"latex"``, ``"html"``, ``"csv"`` or
                ``"json"``.
            wide: whether to show all columns.
            by: ``"type"``: a column for each type of question, in place of all others.
            sort: the name of a column, such as ``"em"``; numbers from the greatest.
            score: with ``by``, the score that is shown.

        Raises:
            ValueError: when there is no such format, column or score.
        """
        from atommem_env.report.tables import table

        return table([self], format, wide, by, sort, score)

    def plot(
        self,
        out: str | os.PathLike[str],
        kinds: Sequence[str] = (),
        formats: Sequence[str] = ("png",),
        bare: bool = False,
    ) -> list[Path]:
        """Draw the run's pictures, and return their files; see :func:`atommem_env.report.plots.plot`.

        Args:
            out: the folder they go to.
            kinds: ``"scores"``, ``"funnel"``, ``"operations"``, ``"memory"``, ``"calls"``, ``"documents"``,
                ``"operation-frequencies"``; without, all for which the run has data.
            formats: some of ``"png"``, ``"svg"`` and ``"pdf"``.
            bare: whether to leave out titles and notes, for a text that has its own.

        Raises:
            ValueError: when there is nothing to draw, or no such picture or format.
            ImportError: when Matplotlib is not installed; names the pip command.
        """
        from atommem_env.report.plots import plot

        return plot([self], out, kinds, formats, bare).files

    def to_pandas(self) -> Frames:
        """Return the run as tidy data frames: ``episodes``, ``questions`` and ``operations``.

        Raises:
            ImportError: when pandas is not installed.
        """
        from atommem_env.report.frames import frames

        return frames(self)

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        return self.table("html")
