"""Sheets of cells as Markdown, LaTeX and HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from atommem_env.core import safe_text


class Column(NamedTuple):
    """The head of a column."""

    title: str
    left: bool = False


class Sheet(NamedTuple):
    """A table as texts that are not yet safe for any medium: its title, which may be empty, heads and cells."""

    title: str
    columns: Sequence[Column]
    cells: Sequence[Sequence[str]]


def markdown_page(sheets: Sequence[Sheet], notes: Sequence[str]) -> str:
    """Return sheets and the notes on them in Markdown; the notes follow the first."""
    lines: list[str] = []
    for number, sheet in enumerate(sheets):
        lines += ["", f"**{safe_text.markdown(sheet.title)}**", ""] if sheet.title else []
        lines += _markdown_lines(sheet)
        if number == 0:
            lines += ["", *(f"- {safe_text.markdown(note)}" for note in notes)]
    return "\n".join(lines) + "\n"


def _markdown_lines(sheet: Sheet) -> list[str]:
    heads, cells = _safe(sheet, safe_text.markdown)
    widths = [max(3, *(safe_text.width(line[n]) for line in [heads, *cells])) for n in range(len(heads))]

    def join(line: Sequence[str]) -> str:
        padded = []
        for text, width, column in zip(line, widths, sheet.columns, strict=True):
            space = " " * (width - safe_text.width(text))
            padded.append(text + space if column.left else space + text)
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * width if column.left else f"{'-' * (width - 1)}:"
        for width, column in zip(widths, sheet.columns, strict=True)
    ]
    return [join(heads), join(rule), *map(join, cells)]


def latex_page(sheets: Sequence[Sheet], notes: Sequence[str]) -> str:
    """Return sheets as ``tabular`` environments, which need no package, and the notes on them as a list."""
    lines: list[str] = []
    for sheet in sheets:
        heads, cells = _safe(sheet, _latex)
        lines += [rf"\noindent\textbf{{{_latex(sheet.title)}}}\par"] if sheet.title else []
        lines += [
            rf"\begin{{tabular}}{{{''.join('l' if column.left else 'r' for column in sheet.columns)}}}",
            r"\hline",
            rf"{' & '.join(heads)} \\",
            r"\hline",
            *(rf"{' & '.join(line)} \\" for line in cells),
            r"\hline",
            r"\end{tabular}",
            "",
        ]
    if notes:
        lines += [r"\begin{itemize}", *(rf"\item {_latex(note)}" for note in notes), r"\end{itemize}"]
    return "\n".join(lines) + "\n"


def _latex(text: str) -> str:
    """Return text for LaTeX; a bracket in a cell is not an option of the line break before it."""
    safe = safe_text.latex(text)
    return f"{{}}{safe}" if safe.startswith("[") else safe


_CODE: Final = re.compile("`([^`]+)`")
_STYLE: Final = "border-collapse:collapse;font-variant-numeric:tabular-nums"


def html_page(sheets: Sequence[Sheet], notes: Sequence[str]) -> str:
    """Return sheets and the notes on them as a piece of HTML, without a style sheet or script.

    What is the same text in every row of a sheet stands above it.
    """
    parts = []
    for sheet in map(_without_common_texts, sheets):
        heads, cells = _safe(sheet, safe_text.html)
        sides = ["left" if column.left else "right" for column in sheet.columns]

        def line(tag: str, texts: Sequence[str], sides: Sequence[str] = tuple(sides)) -> str:
            joined = "".join(
                f'<{tag} style="text-align:{side};padding:2px 8px">{text}</{tag}>'
                for text, side in zip(texts, sides, strict=True)
            )
            return f"<tr>{joined}</tr>"

        caption = f"<caption>{safe_text.html(sheet.title)}</caption>" if sheet.title else ""
        body = "\n".join(line("td", texts) for texts in cells)
        parts.append(
            f'<table style="{_STYLE}">{caption}\n<thead>{line("th", heads)}</thead>\n<tbody>\n{body}\n</tbody></table>'
        )
    said = [_CODE.sub(r"<code>\1</code>", safe_text.html(note)) for note in notes]
    items = "".join(f"<li>{note}</li>" for note in said)
    return "\n".join([*parts, f"<ul>{items}</ul>" if items else ""]) + "\n"


def _without_common_texts(sheet: Sheet) -> Sheet:
    """Return ``sheet`` with the columns of text that say the same in each of its rows in the title instead."""
    if len(sheet.cells) < 2:
        return sheet
    common = {n: cells[0] for n, cells in enumerate(zip(*sheet.cells, strict=True)) if len(set(cells)) == 1}
    moved = {n: text for n, text in common.items() if sheet.columns[n].left}
    kept = [n for n in range(len(sheet.columns)) if n not in moved]
    said = ", ".join(f"{sheet.columns[n].title} {text}" for n, text in moved.items())
    title = " · ".join(part for part in (sheet.title, said) if part)
    return Sheet(title, [sheet.columns[n] for n in kept], [[line[n] for n in kept] for line in sheet.cells])


def _safe(sheet: Sheet, made: Callable[[str], str]) -> tuple[list[str], list[list[str]]]:
    return [made(column.title) for column in sheet.columns], [
        [made(text) for text in line] for line in sheet.cells
    ]
