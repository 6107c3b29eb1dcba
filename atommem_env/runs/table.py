"""Tables of runs: for the terminal, in Markdown, or as CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from atommem_env.runs.errors import RunError
from atommem_env.runs.summary import FUNNEL, Interval, Row, summarise

if TYPE_CHECKING:
    from atommem_env.runs.run import Run

FORMATS: Final = ("terminal", "markdown", "csv")

_BUFFER = "†"
_NONE = "–"
_GAP = "  "


@dataclass(frozen=True)
class _Column:
    title: str
    text: Callable[[Row], str]
    wide: bool = False
    left: bool = False


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{100 * value:.1f}"


def _interval(interval: Interval) -> str:
    return f"{_percent(interval.mean)} [{_percent(interval.low)}, {_percent(interval.high)}]"


def _stage(stage: str) -> Callable[[Row], str]:
    return lambda row: _percent(row.funnel[stage])


_COLUMNS: Final = (
    _Column("policy", lambda row: f"{row.policy} {_BUFFER}" if row.uses_buffer else row.policy, left=True),
    _Column("engine", lambda row: row.engine or _NONE, left=True),
    _Column("episodes", lambda row: str(row.episodes)),
    _Column("questions", lambda row: str(row.questions)),
    _Column("EM", lambda row: _interval(row.em)),
    _Column("F1", lambda row: _interval(row.f1)),
    _Column("cover EM", lambda row: _interval(row.cover_em), wide=True),
    _Column("seen", _stage("seen")),
    _Column("written", _stage("written")),
    _Column("kept", _stage("kept")),
    _Column("read", _stage("read")),
    _Column("answered", _stage("answered")),
    _Column("memory", lambda row: f"{row.memory_peak:.1f}"),
    _Column("shown", lambda row: f"{row.entries_shown:.1f}", wide=True),
    _Column("steps", lambda row: f"{row.steps:.1f}", wide=True),
    _Column("refused", lambda row: f"{row.refused:.1f}", wide=True),
)


def table(runs: Sequence[Run], format: str = "terminal", wide: bool = False) -> str:
    """Return the table of ``runs``.

    Args:
        runs: the runs; rows of one environment and source stand together.
        format: ``"terminal"`` (plain text of 120 columns), ``"markdown"`` or ``"csv"`` (all columns, scores
            as fractions).
        wide: whether to show all columns.

    Raises:
        RunError: when there is no such format.
    """
    rows = summarise(runs)
    if format == "csv":
        return _csv(rows)
    if format == "markdown":
        return _markdown(rows, runs, wide)
    if format == "terminal":
        return "\n".join(text for _, text in terminal_lines(runs, wide)) + "\n"
    raise RunError(f"format {format!r}: expected one of {', '.join(FORMATS)}")


def footnotes(rows: Sequence[Row], runs: Sequence[Run], wide: bool = False) -> list[str]:
    """Return what a reader of a table of ``rows`` must know, a sentence or two each."""
    notes = [
        "Scores in percent: the mean over episodes, of each the mean over its questions; [low, high]: 95 % "
        "bootstrap interval over episodes."
    ]
    notes += [
        "Evidence, in percent, the mean over questions: what was shown (seen), in memory at some time (written), "
        "in memory when its question was asked (kept), in view then (read); answered: EM of these questions.",
        "memory: the largest number of entries"
        + ("; shown, steps, refused: entries shown, steps and refused operations; " if wide else "; ")
        + "mean per episode.",
    ]
    if any(row.generated for row in rows):
        notes.append(
            "(generated): the generated world in the benchmark's schema; these scores say nothing about the "
            "benchmark itself."
        )
    if any(row.engine == "rules" for row in rows):
        notes.append("engine rules: fixed rules without a model, a stand-in for an LLM.")
    if any(row.uses_buffer for row in rows):
        notes.append(f"{_BUFFER} keeps text outside memory, so that its evidence says nothing.")
    lacking = max((row.without_evidence for row in rows), default=0)
    if lacking:
        notes.append(
            f"Up to {lacking} questions of a row have no evidence in the data; its evidence leaves them out."
        )
    notes += [_unfinished(run) for run in runs if len(run.episodes) < run.total]
    return notes


def _unfinished(run: Run) -> str:
    name = "A run" if run.folder is None else str(run.folder)
    return f"{name} is unfinished: {len(run.episodes)} of {run.total} episodes."


# --- Markdown and CSV -------------------------------------------------------------------------------


def _markdown(rows: Sequence[Row], runs: Sequence[Run], wide: bool) -> str:
    columns = [
        _Column("environment", lambda row: row.label, left=True),
        _Column("source", lambda row: row.source, left=True),
        *_chosen(wide),
    ]
    cells = [[column.text(row).replace("|", "\\|") for column in columns] for row in rows]
    widths = [
        max([len(column.title), 3, *(len(line[number]) for line in cells)])
        for number, column in enumerate(columns)
    ]

    def join(line: Sequence[str]) -> str:
        padded = [
            _pad(column, text, width) for column, text, width in zip(columns, line, widths, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * width if column.left else f"{'-' * (width - 1)}:"
        for width, column in zip(widths, columns, strict=True)
    ]
    lines = [join([column.title for column in columns]), join(rule), *map(join, cells), ""]
    return "\n".join([*lines, *(f"- {note}" for note in footnotes(rows, runs, wide))]) + "\n"


def _csv(rows: Sequence[Row]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    scores = ("em", "f1", "cover_em")
    writer.writerow(
        ["env", "generated", "source", "settings", "policy", "engine", "episodes", "questions"]
        + [name for score in scores for name in (score, f"{score}_low", f"{score}_high")]
        + [*FUNNEL, "without_evidence", "uses_buffer", "memory_peak", "entries_shown", "steps", "refused"]
    )
    for row in rows:
        name = f"{row.env} (generated)" if row.generated else row.env
        intervals = [row.em, row.f1, row.cover_em]
        writer.writerow(
            [name, int(row.generated), row.source, "; ".join(row.settings), row.policy, row.engine or ""]
            + [row.episodes, row.questions]
            + [_number(x) for interval in intervals for x in (interval.mean, interval.low, interval.high)]
            + [_number(row.funnel[stage]) for stage in FUNNEL]
            + [row.without_evidence, int(row.uses_buffer)]
            + [_number(x) for x in (row.memory_peak, row.entries_shown, row.steps, row.refused)]
        )
    return file.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None else repr(round(value, 6))


# --- the terminal -----------------------------------------------------------------------------------


def terminal_lines(runs: Sequence[Run], wide: bool = False, width: int = 120) -> list[tuple[str, str]]:
    """Return the lines of a terminal's table as pairs (style, text), the style in the words of ``rich``.

    Columns that do not fit in ``width`` follow below, under the policies' names again.
    """
    rows = summarise(runs)
    lines: list[tuple[str, str]] = []
    for group in _groups(rows):
        first = group[0]
        same_size = len({(row.episodes, row.questions) for row in group}) == 1
        size = ""
        if same_size:
            size = f"  ·  {_count(first.episodes, 'episode')}, {_count(first.questions, 'question')}"
            size += " for each policy" if len(group) > 1 else ""
        lines += [("bold", f"{first.label}{size}"), ("dim", first.source)]
        columns = [
            column
            for column in _chosen(wide)
            if not same_size or column.title not in ("episodes", "questions")
        ]
        lines.append(("", ""))
        for block in _blocks(columns, group, width):
            lines += [*_block_lines(block, group), ("", "")]
    for note in footnotes(rows, runs, wide):
        lines += [("dim", line) for line in textwrap.wrap(note, width - 2, subsequent_indent="  ")]
    return lines


def _groups(rows: Sequence[Row]) -> list[list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.label, row.source), []).append(row)
    return list(groups.values())


def _blocks(columns: Sequence[_Column], rows: Sequence[Row], width: int) -> list[list[_Column]]:
    """Return ``columns`` in blocks that fit in ``width``, each led by the first column."""
    first = columns[0]
    blocks = [[first]]
    left = width - _width(first, rows)
    for column in columns[1:]:
        cost = _width(column, rows) + len(_GAP)
        if cost > left and len(blocks[-1]) > 1:
            blocks.append([first])
            left = width - _width(first, rows)
        blocks[-1].append(column)
        left -= cost
    return blocks


def _block_lines(columns: Sequence[_Column], rows: Sequence[Row]) -> list[tuple[str, str]]:
    widths = [_width(column, rows) for column in columns]
    head = _GAP.join(_pad(column, column.title, size) for column, size in zip(columns, widths, strict=True))
    lines = [("bold", head.rstrip()), ("dim", "─" * len(head))]
    for row in rows:
        cells = [_pad(column, column.text(row), size) for column, size in zip(columns, widths, strict=True)]
        lines.append(("", _GAP.join(cells).rstrip()))
    return lines


def _width(column: _Column, rows: Sequence[Row]) -> int:
    return max(len(column.title), *(len(column.text(row)) for row in rows))


def _pad(column: _Column, text: str, width: int) -> str:
    return text.ljust(width) if column.left else text.rjust(width)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _chosen(wide: bool) -> list[_Column]:
    return [column for column in _COLUMNS if wide or not column.wide]
