"""Scores as the text grows: exact match against the number of documents, a line for each policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from atommem_env.report.footnotes import data_notes
from atommem_env.report.panels import Panel, label_of, panel_of
from atommem_env.report.plots.labels import Point, beside_ends
from atommem_env.report.plots.style import (
    SCORES_NOTE,
    engines_differ,
    head,
    look_of,
    name_of,
    panels,
    percent_limit,
)
from atommem_env.report.summary import Row
from atommem_env.runs.errors import RunError
from atommem_env.runs.recorded import RecordedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_Lines = dict[str, dict[int, Row]]
"""For each policy its rows by the number of documents."""


def draw(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> Figure:
    """Return the picture.

    Raises:
        RunError: when no policy has scores for more than one number of documents.
    """
    by_panel: dict[Panel, _Lines] = {}
    engines = engines_differ(rows)
    for row in rows:
        panel, num_docs = panel_of(row, runs[row.run], "num_docs")
        if num_docs is not None:
            by_panel.setdefault(panel, {}).setdefault(name_of(row, engines), {})[num_docs] = row
    by_panel = {panel: lines for panel, lines in by_panel.items() if max(map(len, lines.values())) > 1}
    if not by_panel:
        raise RunError(
            "no policy has scores for more than one number of documents: run one with several, as in "
            "--env 'AtomMem-HotpotQA-v0[num_docs=50]' --env 'AtomMem-HotpotQA-v0[num_docs=200]'"
        )
    shown = [row for lines in by_panel.values() for line in lines.values() for row in line.values()]
    notes = [SCORES_NOTE, *data_notes(shown, runs)]
    figure, drawn = panels(len(by_panel), "Score against the number of documents", notes, right=1.25)
    limit = percent_limit(row.em for row in shown)
    for axes, (panel, lines) in zip(drawn, by_panel.items(), strict=True):
        axes.set_ylim(0, limit)
        _draw_panel(figure, axes, lines)
        group = [row for line in lines.values() for row in line.values()]
        head(axes, label_of(panel, list(by_panel)), group)
    drawn[0].set_ylabel("exact match, percent")
    return figure


def _draw_panel(figure: Figure, axes: Any, lines: _Lines) -> None:
    counts = sorted({count for line in lines.values() for count in line})
    axes.set_xscale("log")
    hundredth = (counts[-1] / counts[0]) ** 0.01
    axes.set_xlim(counts[0] / hundredth**6, counts[-1] * hundredth**6)
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.minorticks_off()
    axes.set_xlabel("documents to read")
    axes.grid(True, axis="y")
    names = []
    for place, (name, line) in enumerate(lines.items()):
        at = sorted(line)
        look = look_of(line[at[0]].policy)
        middle = [100 * line[count].em.mean for count in at]
        shift = hundredth ** (0.8 * (place - (len(lines) - 1) / 2))  # so that equal scores stand side by side
        axes.plot([count * shift for count in at], middle, color=look.colour, lw=1.4)
        for count, score in zip(at, middle, strict=True):
            bounds = line[count].em.bounds
            if bounds is not None:
                ends = [100 * bound for bound in bounds]
                axes.plot([count * shift] * 2, ends, color=look.colour, lw=0.9, alpha=0.45)
            look.mark(axes, count * shift, score)
        names.append(Point(counts[-1] * hundredth**5, middle[-1], name, look.colour))
    beside_ends(figure, axes, names)
