"""``atommem table``: one table of one or many runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from atommem_env.cli.common import Debug, command
from atommem_env.cli.console import output, print_lines, say
from atommem_env.report.tables import FORMATS, table, terminal_lines
from atommem_env.runs.errors import RunError
from atommem_env.runs.run import Run


@command("table")
def table_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.", metavar="RUN", show_default=False)],
    format: Annotated[
        str | None,
        typer.Option(
            help="terminal, markdown or csv.",
            metavar="FORMAT",
            show_default="terminal, or by the name of --out",
        ),
    ] = None,
    wide: Annotated[bool, typer.Option("--wide", help="Show all columns.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the table to this file.", metavar="FILE")] = None,
    debug: Debug = False,
) -> None:
    """Print one table of one or many runs, finished or not.

    [dim]Example:[/dim]  atommem table runs/a runs/b --format markdown --out results.md
    """
    suffix = "" if out is None else out.suffix.lower()
    chosen = format or {".md": "markdown", ".csv": "csv"}.get(suffix, "terminal")
    if chosen not in FORMATS:
        raise RunError(f"--format {chosen}: expected one of {', '.join(FORMATS)}")
    loaded = [Run.load(folder) for folder in runs]
    if not any(run.episodes for run in loaded):
        raise RunError("there is no finished episode yet: go on with `atommem run`, then ask for the table")
    if out is not None:
        out.write_text(table(loaded, chosen, wide), encoding="utf-8")
        say(f"The table is in {out}")
    elif chosen == "terminal":
        console = output()
        print_lines(terminal_lines(loaded, wide, console.width), console)
    else:
        sys.stdout.write(table(loaded, chosen, wide))
