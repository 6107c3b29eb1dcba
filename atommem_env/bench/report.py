"""What becomes of a result: markdown, JSON, and the two plots."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from atommem_env.bench.environments import VECTOR_LABELS
from atommem_env.bench.stores import CONTENDERS
from atommem_env.bench.suite import Result, Table
from atommem_env.report.plots.style import require_matplotlib

_INTRODUCTION: Final = """\
What stores and environments cost, beside what pip can install instead. `atommem bench --out docs --plot` writes this
page anew, table by table, in some ten minutes; `benchmarks.json` beside it has the values of every round.

Contestants take turns in one process, on the same texts. Figures are medians over rounds; a ratio is taken round by
round and given as its median (least-largest)."""


def about_line(about: Mapping[str, Any]) -> str:
    """Return one line on machine and versions."""
    libraries = ", ".join(f"{name} {version}" for name, version in about["libraries"].items())
    return (
        f"atommem_env {about['atommem_env']}, Python {about['python']}, {about['cores']} cores "
        f"({about['processor']}), {about['threads']}; {libraries}"
    )


def markdown(result: Result, plots: Mapping[str, str] | None = None) -> str:
    """Return every table as markdown, each with its note.

    Args:
        result: what was measured.
        plots: by table, the file of its plot.
    """
    parts = ["# Benchmarks", _INTRODUCTION, about_line(result.about)]
    for table in result.tables:
        parts.append(_markdown_table(table))
        if plots and table.name in plots:
            parts.append(f"![{table.title}]({plots[table.name]})")
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    lines = [f"## {table.title}", ""]
    lines.append("| " + " | ".join(table.columns) + " |")
    lines.append("| --- |" + " ---: |" * (len(table.columns) - 1))
    lines += ["| " + " | ".join(row) + " |" for row in table.rows]
    if table.note:
        lines += ["", table.note]
    return "\n".join(lines)


def write(result: Result, folder: Path, plots: bool = False) -> None:
    """Write ``benchmarks.json`` and ``benchmarks.md`` into ``folder``, which is made if need be.

    Args:
        result: what was measured.
        folder: where the files go.
        plots: whether to draw the plots, too.

    Raises:
        ImportError: when matplotlib is asked for and not installed; names the pip command.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {name: path.name for name, path in plot(result.data, folder).items()} if plots else {}
    (folder / "benchmarks.json").write_text(json.dumps(asdict(result)) + "\n", encoding="utf-8")
    (folder / "benchmarks.md").write_text(markdown(result, drawn), encoding="utf-8")


# --- plots ------------------------------------------------------------------------------------------

PLOTS: Final = {"reads": "benchmarks_reads.png", "throughput": "benchmarks_throughput.png"}
"""The plots' files, by the part of the suite that they show."""

_COLOURS: Final = {
    "ours-bm25": "#0b5394",
    "ours-dense": "#3d85c6",
    "memory": "#0b5394",
    "dense": "#6fa8dc",
    "workers": "#3d85c6",
}
_OTHERS: Final = ("#a64d00", "#7f7f7f", "#38761d", "#8e7cc3", "#b45f9a", "#bf9000", "#5b5b5b")


def plot(data: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Draw a read after a write by entries, and throughput by environments; returns the files by table.

    Args:
        data: a result's ``data``, from memory or from ``benchmarks.json``.
        folder: where the files go.

    Raises:
        ImportError: when matplotlib is not installed; names the pip command.
    """
    require_matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, Path] = {}
    if data.get("reads"):
        lines = _lines({size: kinds["read"] for size, kinds in data["reads"].items()})
        labels = {name: CONTENDERS[name].label for name in lines}
        drawn["reads"] = _draw(
            lines,
            labels,
            "entries in the store",
            "milliseconds",
            "A read after a write",
            folder / PLOTS["reads"],
        )
    if data.get("throughput"):
        lines = _lines({count: kinds["without_resets"] for count, kinds in data["throughput"].items()})
        drawn["throughput"] = _draw(
            lines,
            VECTOR_LABELS,
            "environments in one batch",
            "environment steps per second, resets left out",
            "Throughput: 200 documents, three Creates and a Read a step, BM25 unless said",
            folder / PLOTS["throughput"],
            linear=True,
        )
    return drawn


def _lines(
    by_size: Mapping[Any, Mapping[str, Sequence[float]]],
) -> dict[str, list[tuple[int, float, float, float]]]:
    """Return, for each name, its points (size, median, least, largest)."""
    lines: dict[str, list[tuple[int, float, float, float]]] = {}
    for size, values in by_size.items():
        for name, rounds in values.items():
            lines.setdefault(name, []).append(
                (int(size), statistics.median(rounds), min(rounds), max(rounds))
            )
    return lines


def _draw(
    lines: Mapping[str, Sequence[tuple[int, float, float, float]]],
    labels: Mapping[str, str],
    across: str,
    up: str,
    title: str,
    path: Path,
    linear: bool = False,
) -> Path:
    """Draw one plot; values are on a logarithmic scale, or on a linear one from 0."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4.4), dpi=150, layout="constrained")
    axes = figure.subplots()
    others = iter(_OTHERS * 3)
    ends: list[tuple[float, str, str]] = []
    for name, points in lines.items():
        sizes, middle, least, most = (list(column) for column in zip(*points, strict=True))
        ours = name in _COLOURS
        colour = _COLOURS[name] if ours else next(others)
        axes.plot(sizes, middle, "o-", color=colour, lw=2.2 if ours else 1.2, ms=4, zorder=3 if ours else 2)
        axes.fill_between(sizes, least, most, color=colour, alpha=0.12, lw=0)
        ends.append((middle[-1], labels[name], colour))
    axes.set_xscale("log")
    if linear:
        axes.set_ylim(0, 1.05 * max(point[3] for points in lines.values() for point in points))
    else:
        axes.set_yscale("log")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_title(title, loc="left", fontsize=10)
    ticks = sorted({point[0] for points in lines.values() for point in points})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.grid(True, axis="y", color="#dddddd", lw=0.6)
    axes.tick_params(length=0, colors="#444444")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.margins(x=0.02)
    _name_lines(axes, ends)
    figure.savefig(path)
    return path


def _name_lines(axes: Any, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write each line's name beside its last point, none over another."""
    lowest = 0.0
    to_axes = axes.transData + axes.transAxes.inverted()
    for value, name, colour in sorted(ends):
        place = max(lowest, float(to_axes.transform((1.0, value))[1]))
        lowest = place + 0.055
        axes.annotate(
            name,
            (1.0, place),
            xycoords="axes fraction",
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=colour,
            annotation_clip=False,
        )
