"""Tables of runs: for the terminal, in Markdown, or as CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from atommem_env.report.notes import BUFFER_MARK, data_notes
from atommem_env.report.paper_columns import Comparison, comparisons
from atommem_env.report.summary import FUNNEL, Interval, Row, by_environment, summarise
from atommem_env.runs.errors import RunError

if TYPE_CHECKING:
    from atommem_env.runs.run import Run

FORMATS: Final = ("terminal", "markdown", "csv")

_NONE = "–"
_GAP = "  "


@dataclass(frozen=True)
class _Column:
    title: str
    text: Callable[[Row], str] = lambda row: ""
    wide: bool = False
    left: bool = False
    judged: bool = False  # shown when a judge has judged a row


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1f}"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return _NONE
    return f"{_percent(interval.mean)} [{_percent(interval.low)}, {_percent(interval.high)}]"


def _stage(stage: str) -> Callable[[Row], str]:
    return lambda row: _percent(row.funnel[stage])


_COLUMNS: Final = (
    _Column(
        "policy", lambda row: f"{row.policy} {BUFFER_MARK}" if row.uses_buffer else row.policy, left=True
    ),
    _Column("engine", lambda row: row.engine or _NONE, left=True),
    _Column("episodes", lambda row: str(row.episodes)),
    _Column("questions", lambda row: str(row.questions)),
    _Column("EM", lambda row: _interval(row.em)),
    _Column("F1", lambda row: _interval(row.f1)),
    _Column("judge", lambda row: _interval(row.judge), judged=True),
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
    _Column("calls", lambda row: _number(row.calls), wide=True),
    _Column("reads", lambda row: _number(row.reads), wide=True),
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
        return _csv(rows, runs)
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
        + ("; shown, steps, refused: entries shown, steps and refused operations" if wide else "")
        + ("; calls, reads: calls to the engine and accepted Reads, where known; " if wide else "; ")
        + "mean per episode.",
    ]
    if any(row.judge is not None for row in rows):
        notes.append(
            "judge: the answers that a language model took for right; the run's judge.json says which."
        )
    return [*notes, *data_notes(rows, runs)]


# --- Markdown and CSV -------------------------------------------------------------------------------


def _markdown(rows: Sequence[Row], runs: Sequence[Run], wide: bool) -> str:
    columns = [
        _Column("environment", lambda row: row.label, left=True),
        _Column("source", lambda row: row.source, left=True),
        *_chosen(wide, rows),
    ]
    lines = _markdown_lines(columns, [[column.text(row) for column in columns] for row in rows])
    lines += ["", *(f"- {note}" for note in footnotes(rows, runs, wide))]
    for comparison in _comparisons(runs):
        heads = [_Column("policy", left=True)]
        for env in comparison.envs:
            heads += [_Column(f"{_short(env)}: {head}") for head in (comparison.measured, comparison.paper)]
        cells = [_comparison_cells(policy, pairs) for policy, pairs in comparison.lines]
        lines += ["", f"**{_comparison_title(comparison)}**", "", *_markdown_lines(heads, cells)]
    return "\n".join(lines) + "\n"


def _markdown_lines(columns: Sequence[_Column], cells: Sequence[Sequence[str]]) -> list[str]:
    cells = [[text.replace("|", "\\|") for text in line] for line in cells]
    widths = _widths(columns, cells, 3)

    def join(line: Sequence[str]) -> str:
        padded = [
            _pad(column, text, width) for column, text, width in zip(columns, line, widths, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * width if column.left else f"{'-' * (width - 1)}:"
        for width, column in zip(widths, columns, strict=True)
    ]
    return [join([column.title for column in columns]), join(rule), *map(join, cells)]


def _csv(rows: Sequence[Row], runs: Sequence[Run]) -> str:
    scores = ("em", "f1", "cover_em")
    head = ["env", "generated", "source", "settings", "policy", "engine", "episodes", "questions"]
    head += [name for score in scores for name in (score, f"{score}_low", f"{score}_high")]
    head += [*FUNNEL, "without_evidence", "uses_buffer", "memory_peak", "entries_shown", "steps", "refused"]
    head += ["calls", "reads", "judge", "judge_low", "judge_high", "paper_em", "paper"]
    file = io.StringIO()
    writer = csv.DictWriter(file, head, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        intervals = [(score, getattr(row, score)) for score in scores]
        intervals += [] if row.judge is None else [("judge", row.judge)]
        plain = ("memory_peak", "entries_shown", "steps", "refused", "calls", "reads")
        writer.writerow(
            {
                "env": f"{row.env} (generated)" if row.generated else row.env,
                "generated": int(row.generated),
                "source": row.source,
                "settings": "; ".join(row.settings),
                "policy": row.policy,
                "engine": row.engine or "",
                "episodes": row.episodes,
                "questions": row.questions,
                **{score: _exact(interval.mean) for score, interval in intervals},
                **{f"{score}_low": _exact(interval.low) for score, interval in intervals},
                **{f"{score}_high": _exact(interval.high) for score, interval in intervals},
                **{stage: _exact(row.funnel[stage]) for stage in FUNNEL},
                "without_evidence": row.without_evidence,
                "uses_buffer": int(row.uses_buffer),
                **{name: _exact(getattr(row, name)) for name in plain},
            }
        )
    for comparison in _comparisons(runs):  # rows of their own, so that no figure of the paper passes for ours
        for policy, cells in comparison.lines:
            for env, (_, figure) in zip(comparison.envs, cells, strict=True):
                if figure is not None:
                    paper = {"paper_em": _exact(figure), "paper": comparison.reference}
                    writer.writerow({"env": env, "policy": policy, **paper})
    return file.getvalue()


def _exact(value: float | None) -> str:
    return "" if value is None else repr(round(value, 6))


# --- the terminal -----------------------------------------------------------------------------------


def terminal_lines(runs: Sequence[Run], wide: bool = False, width: int = 120) -> list[tuple[str, str]]:
    """Return the lines of a terminal's table as pairs (style, text), the style in the words of ``rich``.

    Columns that do not fit in ``width`` follow below, under the policies' names again.
    """
    rows = summarise(runs)
    lines: list[tuple[str, str]] = []
    for group in by_environment(rows):
        first = group[0]
        same_size = len({(row.episodes, row.questions) for row in group}) == 1
        size = ""
        if same_size:
            size = f"  ·  {_count(first.episodes, 'episode')}, {_count(first.questions, 'question')}"
            size += " for each policy" if len(group) > 1 else ""
        lines += [("bold", f"{first.label}{size}"), ("dim", first.source)]
        columns = [
            column
            for column in _chosen(wide, rows)
            if not same_size or column.title not in ("episodes", "questions")
        ]
        lines.append(("", ""))
        cells = [[column.text(row) for column in columns] for row in group]
        lines += _terminal_blocks(columns, cells, width)
    for comparison in _comparisons(runs):
        lines += _comparison_lines(comparison, width)
    for note in footnotes(rows, runs, wide):
        lines += [("dim", line) for line in textwrap.wrap(note, width - 2, subsequent_indent="  ")]
    return lines


def _terminal_blocks(
    columns: Sequence[_Column], cells: Sequence[Sequence[str]], width: int
) -> list[tuple[str, str]]:
    """Return the lines of a table, in blocks of columns that fit in ``width``, each led by the first column."""
    widths = _widths(columns, cells)
    blocks, left = [[0]], width - widths[0]
    for number in range(1, len(columns)):
        cost = widths[number] + len(_GAP)
        if cost > left and len(blocks[-1]) > 1:
            blocks.append([0])
            left = width - widths[0]
        blocks[-1].append(number)
        left -= cost
    lines: list[tuple[str, str]] = []
    for block in blocks:
        head = _GAP.join(_pad(columns[n], columns[n].title, widths[n]) for n in block)
        lines += [("bold", head.rstrip()), ("dim", "─" * len(head))]
        lines += [
            ("", _GAP.join(_pad(columns[n], line[n], widths[n]) for n in block).rstrip()) for line in cells
        ]
        lines.append(("", ""))
    return lines


def _widths(columns: Sequence[_Column], cells: Sequence[Sequence[str]], least: int = 0) -> list[int]:
    return [
        max([least, len(column.title), *(len(line[number]) for line in cells)])
        for number, column in enumerate(columns)
    ]


def _pad(column: _Column, text: str, width: int) -> str:
    return text.ljust(width) if column.left else text.rjust(width)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _chosen(wide: bool, rows: Sequence[Row]) -> list[_Column]:
    judged = any(row.judge is not None for row in rows)
    return [column for column in _COLUMNS if (wide or not column.wide) and (judged or not column.judged)]


# --- beside the paper -------------------------------------------------------------------------------


def _comparisons(runs: Sequence[Run]) -> list[Comparison]:
    return [comparison for run in runs for comparison in comparisons(run)]


def _comparison_title(comparison: Comparison) -> str:
    return f"{comparison.recipe}, {comparison.variant}: exact match in percent"


def _comparison_cells(policy: str, pairs: Sequence[tuple[Row | None, float | None]]) -> list[str]:
    cells = [policy]
    for row, figure in pairs:
        cells += [_interval(None if row is None else row.em), _percent(figure)]
    return cells


def _comparison_lines(comparison: Comparison, width: int) -> list[tuple[str, str]]:
    """Return a comparison's lines: two columns under each environment's name, as many as fit side by side."""
    about = f"{comparison.measured}  ·  {comparison.paper}: {comparison.reference}"
    lines: list[tuple[str, str]] = [("bold", _comparison_title(comparison)), ("dim", about), ("", "")]
    cells = [_comparison_cells(policy, pairs) for policy, pairs in comparison.lines]
    heads = ["policy", *["measured", "paper"] * len(comparison.envs)]
    columns = [_Column(head, left=head == "policy") for head in heads]
    widths = _widths(columns, cells)
    for number, env in enumerate(comparison.envs):  # a pair is as wide as the name above it
        pair = widths[2 * number + 1] + len(_GAP) + widths[2 * number + 2]
        widths[2 * number + 1] += max(0, len(_short(env)) - pair)
    pairs_at_once = max(1, (width - widths[0]) // (max(widths[1::2]) + max(widths[2::2]) + 2 * len(_GAP)))
    for first in range(0, len(comparison.envs), pairs_at_once):
        envs = comparison.envs[first : first + pairs_at_once]
        block = [0, *range(2 * first + 1, 2 * (first + len(envs)) + 1)]
        names = [" " * widths[0]]
        names += [
            _short(env).rjust(widths[left] + len(_GAP) + widths[left + 1])
            for env, left in zip(envs, block[1::2], strict=True)
        ]
        head, *rows = (
            _GAP.join(_pad(columns[n], line[n], widths[n]) for n in block) for line in [heads, *cells]
        )
        lines += [("bold", _GAP.join(names)), ("bold", head), ("dim", "─" * len(head))]
        lines += [("", row.rstrip()) for row in rows]
        lines.append(("", ""))
    return lines


def _short(env: str) -> str:
    return env.partition("[")[0].removeprefix("AtomMem-").removesuffix("-v0")
