"""Tables of runs: for the terminal, in Markdown, LaTeX or HTML, and as CSV or JSON."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from atommem_env.core import safe_text
from atommem_env.core.safe_text import one_line
from atommem_env.evidence import READ_DOCUMENTS, STAGES, STALE_STAGES
from atommem_env.report.footnotes import BUFFER_MARK, data_notes
from atommem_env.report.formats import Column, Sheet, html_page, latex_page, markdown_page
from atommem_env.report.paper_columns import Comparison, comparisons
from atommem_env.report.prices import Prices, price_notes, priced
from atommem_env.report.question_types import TypedRow, by_type
from atommem_env.report.records import csv_records, json_records
from atommem_env.report.summary import (
    Interval,
    Row,
    by_environment,
    summarise,
)
from atommem_env.runs.errors import RunError
from atommem_env.scoring.official import EVENT_RECALL

if TYPE_CHECKING:
    from atommem_env.runs.recorded import RecordedRun

FORMATS: Final = ("terminal", "markdown", "csv", "json", "latex", "html")

ENDINGS: Final = {
    ".txt": "terminal",
    ".md": "markdown",
    ".csv": "csv",
    ".json": "json",
    ".tex": "latex",
    ".html": "html",
}
"""The format of a file, by the ending of its name."""

TYPE: Final = "type"
"""What rows can be split by."""

SCORE_TITLES: Final = {
    "em": "EM",
    "f1": "F1",
    "cover_em": "cover EM",
    "official": "official",
    "judge": "judge",
    EVENT_RECALL: "event recall",
}
"""What heads a score's column; a score that is not here is headed by its name."""

_NONE = "–"
_WIDTH: Final = 120  # of notes, where nothing is said
_GAP = "  "


@dataclass(frozen=True)
class _Column:
    name: str
    title: str
    text: Callable[[Row], str] = lambda row: ""
    value: Callable[[Row], float | str | None] = lambda row: None
    wide: bool = False
    left: bool = False


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1f}"


def _cost(value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{value:.1e}" if 0 < value < 0.0005 else f"{value:.4f}"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return _NONE
    if interval.bounds is None:
        return _percent(interval.mean)
    return f"{_percent(interval.mean)} [{_percent(interval.low)}, {_percent(interval.high)}]"


def _name(row: Row) -> str:
    return f"{row.name} {BUFFER_MARK}" if row.uses_buffer else row.name


def _score_column(name: str) -> _Column:
    return _Column(
        name,
        SCORE_TITLES.get(name, name),
        lambda row: _interval(row.scores.get(name)),
        lambda row: row.scores[name].mean if name in row.scores else None,
        wide=name == "cover_em",
    )


def _stage_column(name: str, wide: bool = False) -> _Column:
    def value(row: Row) -> float | None:
        return {**row.funnel, **row.stale, **row.documents}[name]

    return _Column(name, name.replace("_", " "), lambda row: _percent(value(row)), value, wide)


def _number_column(name: str, title: str, value: Callable[[Row], float | None], wide: bool = True) -> _Column:
    return _Column(name, title, lambda row: _number(value(row)), value, wide)


def repeated_score(rows: Sequence[Row]) -> str | None:
    """Return the score that the benchmarks' own repeats in each row that has one; ``None`` where it says more."""
    own = [row for row in rows if "official" in row.scores]
    for name in ("f1", "em") if own else ():
        if all(row.scores["official"] == row.scores.get(name) for row in own):
            return name
    return None


def _columns(rows: Sequence[Row]) -> list[_Column]:
    """Return the columns of a table: of the scores and stages those that some row has, none that repeats another."""
    scores = list(dict.fromkeys(name for row in rows for name in row.scores))
    if repeated_score(rows):
        scores.remove("official")
    stale = [name for name in STALE_STAGES if any(row.stale[name] is not None for row in rows)]
    return [
        _Column("policy", "policy", _name, lambda row: row.name, left=True),
        _Column("engine", "engine", lambda row: row.engine or _NONE, lambda row: row.engine or "", left=True),
        _Column("episodes", "episodes", lambda row: str(row.episodes), lambda row: row.episodes),
        _Column("questions", "questions", lambda row: str(row.questions), lambda row: row.questions),
        *map(_score_column, scores),
        *map(_stage_column, (*STAGES, *stale)),
        *(_stage_column(name, wide=not any(row.histories for row in rows)) for name in READ_DOCUMENTS),
        _number_column("memory", "memory", lambda row: row.memory_peak, wide=False),
        _number_column("shown", "shown", lambda row: row.entries_shown),
        _number_column("steps", "steps", lambda row: row.steps),
        _number_column("refused", "refused", lambda row: row.refused),
        _number_column("calls", "calls", lambda row: row.calls),
        _number_column("reads", "reads", lambda row: row.reads),
        *(
            _number_column(name, title, lambda row, name=name: getattr(row, name))  # type: ignore[misc]
            for name, title in (("prompt_tokens", "tokens in"), ("completion_tokens", "tokens out"))
            if any(getattr(row, name) is not None for row in rows)
        ),
        *(
            [_Column("cost", "cost", lambda row: _cost(row.cost), lambda row: row.cost)]
            if any(row.cost is not None for row in rows)
            else []
        ),
    ]


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that the ending of a file's name says.

    Raises:
        RunError: when it says none.
    """
    ending = PurePath(path).suffix.lower()
    if ending not in ENDINGS:
        known = ", ".join(f"{end} ({format})" for end, format in ENDINGS.items())
        raise RunError(f"{os.fspath(path)}: the name of a table's file ends in one of {known}")
    return ENDINGS[ending]


def table(
    runs: Sequence[RecordedRun],
    format: str = "terminal",
    wide: bool = False,
    by: str | None = None,
    sort: str | None = None,
    score: str | None = None,
    prices: Prices | None = None,
) -> str:
    """Return the table of ``runs``.

    Args:
        runs: the runs; rows of one environment and source stand together.
        format: ``"terminal"`` (plain text, a line for each row however long), ``"markdown"``, ``"latex"``,
            ``"html"``, ``"csv"`` or ``"json"`` (these two: all columns, scores as fractions).
        wide: whether to show all columns.
        by: ``"type"``: a column for each type of question, in place of all others.
        sort: the name of a column; numbers from the greatest. ``None``: the order of the runs.
        score: with ``by``, the score that is shown; ``None``: the benchmark's own where there is one, else exact
            match.
        prices: of the models' tokens, for a column of costs.

    Raises:
        RunError: when there is no such format, column or score, or no price fits.
    """
    if format not in FORMATS:
        raise RunError(f"format {format!r}: expected one of {', '.join(FORMATS)}")
    if format == "terminal":
        lines = terminal_lines(runs, wide, by=by, sort=sort, score=score, prices=prices)
        return "\n".join(text for _, text in lines) + "\n"
    rows = ordered(priced(summarise(runs), runs, prices), sort)
    typed = _typed(rows, runs, by)
    notes = [*footnotes(rows, runs, wide, by, score), *price_notes(rows, runs, prices)]
    paper = [] if by else _comparisons(runs)
    if format == "csv":
        return csv_records(rows, typed, paper)
    if format == "json":
        return json_records(rows, typed, paper, notes)
    sheets = [_typed_sheet(typed, score) if by else _sheet(rows, wide)]
    sheets += [] if by else [*_abstention_sheets(rows), *map(_comparison_sheet, paper)]
    if format != "markdown":  # a line of a page is too short for the sources
        sheets = [_without_sources(sheet) for sheet in sheets]
        notes = [*dict.fromkeys(f"{row.label}: {row.source}" for row in rows), *notes]
    return {"markdown": markdown_page, "latex": latex_page, "html": html_page}[format](sheets, notes)


def ordered(rows: Sequence[Row], sort: str | None) -> list[Row]:
    """Return ``rows`` by the column ``sort``: numbers from the greatest, what is not known last.

    Rows of one environment stay together.

    Raises:
        RunError: when there is no such column.
    """
    if sort is None:
        return list(rows)
    columns = {column.name: column for column in _columns(rows)}
    if sort not in columns:
        raise RunError(f"sort {sort!r}: expected one of {', '.join(columns)}")
    value = columns[sort].value

    def place(row: Row) -> tuple[bool, float, str]:
        found = value(row)
        return found is None, -found if isinstance(found, (int, float)) else 0.0, str(found)

    return [row for group in by_environment(rows) for row in sorted(group, key=place)]


def _variants(runs: Sequence[RecordedRun]) -> list[str]:
    """Return how marks became BEAM's score, where runs were judged so."""
    from atommem_env.runs.judge import read_variant

    found = {read_variant(run.folder) for run in runs if run.folder is not None and run.judgements}
    return [f"BEAM's score by the variant {name}" for name in sorted(name for name in found if name)]


def footnotes(
    rows: Sequence[Row],
    runs: Sequence[RecordedRun],
    wide: bool = False,
    by: str | None = None,
    score: str | None = None,
) -> list[str]:
    """Return what a reader of a table of ``rows`` must know, a sentence or two each."""
    if by:
        shown = SCORE_TITLES.get(score or "", score) if score else "the benchmark's own score, else EM"
        if score == "judge":
            shown = "; ".join([shown or score, *_variants(runs)])
        return [
            f"In percent: {shown}, the mean over the questions of each type; micro: over all questions; macro: the "
            "mean of the types"
            + (
                "; answerable, unanswerable: over the questions that can be answered, and those that cannot."
                if any(row.abstention is not None for row in rows)
                else "."
            ),
            *data_notes(rows, runs),
        ]
    few = any(row.histories is not None and row.scores["em"].bounds is None for row in rows)
    over = "histories" if all(row.histories is not None for row in rows) else "episodes"
    notes = [
        "Scores and evidence in percent: the mean over episodes, of each the mean over its questions; "
        f"[low, high]: 95 % bootstrap interval over {over}."
        + (" Fewer than ten histories have none: `atommem compare` shows each." if few else ""),
        "Evidence: what was shown (seen), in memory at some time (written), in memory when its question was asked "
        "(kept), in view then (read)"
        + (
            "; stale kept, stale read: the same of what a later fact replaces."
            if any(row.stale[name] is not None for row in rows for name in STALE_STAGES)
            else "."
        )
        + (
            " Read any, read all: of one session that holds evidence, and of each, some was in view; without questions "
            "that cannot be answered."
            if any(row.histories for row in rows)
            else ""
        ),
        "memory: the largest number of entries"
        + ("; shown, steps, refused: entries shown, steps and refused operations" if wide else "")
        + ("; calls, reads: calls to the engine and accepted Reads, where known; " if wide else "; ")
        + "mean per episode.",
    ]
    for name in ("f1", "em"):
        alike = [group[0].label for group in by_environment(rows) if repeated_score(group) == name]
        if alike:
            shown = ", ".join(dict.fromkeys(alike))
            notes.append(f"The benchmark's own score is {SCORE_TITLES[name]} in every row of {shown}.")
    if any(EVENT_RECALL in row.scores for row in rows):
        notes.append(
            "Event recall: EventQA's second score, over its questions: all answers are in the reply."
        )
    if any("judge" in row.scores for row in rows):
        from atommem_env.runs.judge import read_leniency
        from atommem_env.runs.leniency import leniency_text

        judges = dict.fromkeys(
            leniency_text(read_leniency(run.folder))
            for run in runs
            if run.folder is not None and run.judgements
        )
        notes.append(
            "judge: what a language model took for right, which the run's judge.json names: "
            + "; ".join([*judges, *_variants(runs)])
            + "."
        )
    return [*notes, *data_notes(rows, runs)]


# --- sheets -----------------------------------------------------------------------------------------

_PLACE: Final = (
    Column("environment", left=True),
    Column("source", left=True),
    Column("questions shown", left=True),
)


def _without_sources(sheet: Sheet) -> Sheet:
    kept = [number for number, column in enumerate(sheet.columns) if column != _PLACE[1]]
    cells = [[line[number] for number in kept] for line in sheet.cells]
    return Sheet(sheet.title, [sheet.columns[number] for number in kept], cells)


def _place(row: Row) -> list[str]:
    return [row.label, row.source, row.questions_shown]


def _sheet(rows: Sequence[Row], wide: bool) -> Sheet:
    columns = [column for column in _columns(rows) if wide or not column.wide]
    heads = [Column(column.title, column.left) for column in columns]
    return Sheet(
        "", [*_PLACE, *heads], [[*_place(row), *(column.text(row) for column in columns)] for row in rows]
    )


_ABSTENTION: Final = (
    "policy",
    "answerable: right",
    "answered",
    "abstained",
    "unanswerable: abstained",
    "answered",
    "abstained",
)


def _abstention_cells(row: Row) -> list[str]:
    found = row.abstention
    assert found is not None
    cells = [_name(row)]
    for answerable, accuracy in ((True, found.answerable), (False, found.unanswerable)):
        counts = [str(found.counts[answerable, abstained]) for abstained in (False, True)]
        cells += [_percent(accuracy), *counts]
    return cells


def _abstention_sheets(rows: Sequence[Row]) -> list[Sheet]:
    asked = [row for row in rows if row.abstention is not None]
    if not asked:
        return []
    heads = [Column(title, left=not number) for number, title in enumerate(_ABSTENTION)]
    cells = [[*_place(row), *_abstention_cells(row)] for row in asked]
    return [
        Sheet(
            "Questions that can be answered, and those that cannot: percent, and counts",
            [*_PLACE, *heads],
            cells,
        )
    ]


def _typed(rows: Sequence[Row], runs: Sequence[RecordedRun], by: str | None) -> list[TypedRow]:
    if by not in (None, TYPE):
        raise RunError(f"by {by!r}: expected {TYPE!r}")
    return by_type(rows, runs) if by else []


def _typed_heads(typed: Sequence[TypedRow]) -> list[str]:
    return list(dict.fromkeys(kind for row in typed for kind in row.types))


def _typed_sides(typed: Sequence[TypedRow]) -> dict[str, int]:
    """Return how many questions can be answered, and how many cannot; nothing where all can."""
    return {side: found.questions for row in typed for side, found in row.sides.items()}


def _typed_cells(row: TypedRow, kinds: Sequence[str], sides: Iterable[str], score: str | None) -> list[str]:
    shown = row.choose(score)
    values = [row.types[kind].scores.get(shown) if kind in row.types else None for kind in kinds]
    return [
        _name(row.row),
        SCORE_TITLES.get(shown, shown),
        *map(_percent, values),
        _percent(row.micro.get(shown)),
        _percent(row.macro.get(shown)),
        *(_percent(row.sides[side].scores.get(shown)) if side in row.sides else _NONE for side in sides),
    ]


def _typed_columns(typed: Sequence[TypedRow], kinds: Sequence[str]) -> list[Column]:
    counts = [
        max((row.types[kind].questions for row in typed if kind in row.types), default=0) for kind in kinds
    ]
    titles = [f"{kind} ({count})" for kind, count in zip(kinds, counts, strict=True)]
    sides = [f"{side} ({count})" for side, count in _typed_sides(typed).items()]
    return [
        Column("policy", left=True),
        Column("score", left=True),
        *map(Column, [*titles, "micro", "macro", *sides]),
    ]


def _typed_sheet(typed: Sequence[TypedRow], score: str | None) -> Sheet:
    kinds = _typed_heads(typed)
    sides = _typed_sides(typed)
    cells = [[*_place(row.row), *_typed_cells(row, kinds, sides, score)] for row in typed]
    return Sheet("", [*_PLACE, *_typed_columns(typed, kinds)], cells)


# --- the terminal -----------------------------------------------------------------------------------


def terminal_lines(
    runs: Sequence[RecordedRun],
    wide: bool = False,
    width: int | None = None,
    by: str | None = None,
    sort: str | None = None,
    score: str | None = None,
    prices: Prices | None = None,
) -> list[tuple[str, str]]:
    """Return the lines of a terminal's table as pairs (style, text), the style in the words of ``rich``.

    Columns that do not fit in ``width`` follow below, under the policies' names again; ``None``: all of them fit.
    """
    notes_width, width = width or _WIDTH, width or sys.maxsize
    rows = ordered(priced(summarise(runs), runs, prices), sort)
    typed = {id(row.row): row for row in _typed(rows, runs, by)}
    lines: list[tuple[str, str]] = []
    for group in by_environment(rows):
        first = group[0]
        same_size = len({(row.episodes, row.questions) for row in group}) == 1
        size = ""
        if same_size:
            size = f"  ·  {_count(first.episodes, 'episode')}, {_count(first.questions, 'question')}"
            size += " for each policy" if len(group) > 1 else ""
        always, when = (
            first.questions_shown == "always",
            "between chunks" if first.stream else "after reading",
        )
        shown = (
            f"while reading{', and asked between chunks' * first.stream}" if always else f"when asked, {when}"
        )
        lines += [
            ("bold", f"{one_line(first.label)}{size}"),
            ("dim", f"{one_line(first.source)}  ·  questions shown {shown}"),
            ("", ""),
        ]
        if by:
            parts = [typed[id(row)] for row in group]
            kinds = _typed_heads(parts)
            lines += _terminal_blocks(
                _typed_columns(parts, kinds),
                [_typed_cells(part, kinds, _typed_sides(parts), score) for part in parts],
                width,
            )
            continue
        columns = [
            column
            for column in _columns(group)
            if (wide or not column.wide) and not (same_size and column.name in ("episodes", "questions"))
        ]
        heads = [Column(column.title, column.left) for column in columns]
        lines += _terminal_blocks(heads, [[column.text(row) for column in columns] for row in group], width)
        asked = [row for row in group if row.abstention is not None]
        if asked:
            heads = [Column(title, left=not number) for number, title in enumerate(_ABSTENTION)]
            lines += _terminal_blocks(heads, [_abstention_cells(row) for row in asked], width)
    for comparison in [] if by else _comparisons(runs):
        lines += _comparison_lines(comparison, width)
    for note in (*footnotes(rows, runs, wide, by, score), *price_notes(rows, runs, prices)):
        lines += [
            ("dim", line) for line in textwrap.wrap(one_line(note), notes_width - 2, subsequent_indent="  ")
        ]
    return lines


def _terminal_blocks(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int
) -> list[tuple[str, str]]:
    """Return the lines of a table, in blocks of columns that fit in ``width``, each led by the first column."""
    columns = [Column(one_line(column.title), column.left) for column in columns]
    cells = [[one_line(text) for text in line] for line in cells]
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


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], least: int = 0) -> list[int]:
    return [
        max([least, safe_text.width(column.title), *(safe_text.width(line[number]) for line in cells)])
        for number, column in enumerate(columns)
    ]


def _pad(column: Column, text: str, width: int) -> str:
    space = " " * (width - safe_text.width(text))
    return text + space if column.left else space + text


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# --- next to the paper -------------------------------------------------------------------------------


def _comparisons(runs: Sequence[RecordedRun]) -> list[Comparison]:
    return [comparison for run in runs for comparison in comparisons(run)]


def _comparison_sheet(comparison: Comparison) -> Sheet:
    heads = [Column("policy", left=True)]
    for env in comparison.envs:
        heads += [Column(f"{_short(env)}: {head}") for head in (comparison.measured, comparison.paper)]
    cells = [_comparison_cells(policy, pairs) for policy, pairs in comparison.lines]
    return Sheet(_comparison_title(comparison), heads, cells)


def _comparison_title(comparison: Comparison) -> str:
    return f"{one_line(comparison.recipe)}, {one_line(comparison.variant)}: exact match in percent"


def _comparison_cells(policy: str, pairs: Sequence[tuple[Row | None, float | None]]) -> list[str]:
    cells = [one_line(policy)]
    for row, figure in pairs:
        cells += [_interval(None if row is None else row.em), _percent(figure)]
    return cells


def _comparison_lines(comparison: Comparison, width: int) -> list[tuple[str, str]]:
    """Return a comparison's lines: two columns under each environment's name, as many as fit side by side."""
    about = f"{comparison.measured}  ·  {comparison.paper}: {comparison.reference}"
    lines: list[tuple[str, str]] = [("bold", _comparison_title(comparison)), ("dim", about), ("", "")]
    cells = [_comparison_cells(policy, pairs) for policy, pairs in comparison.lines]
    heads = ["policy", *["measured", "paper"] * len(comparison.envs)]
    columns = [Column(head, left=head == "policy") for head in heads]
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
