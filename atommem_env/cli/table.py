"""``atommem table``: one table of one or many runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from atommem_env.cli.common import Debug, OnlyEnvs, OnlyPolicies, PriceFile, RunFolders, choose, command
from atommem_env.cli.console import output, print_lines, say, table_width
from atommem_env.report.prices import read_prices
from atommem_env.report.tables import ENDINGS, FORMATS, format_of, table, terminal_lines
from atommem_env.runs.errors import RunError
from atommem_env.runs.run import Run


@command("table")
def table_command(
    runs: RunFolders,
    format: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}.",
            metavar="FORMAT",
            show_default="terminal, or by the ending of --out",
        ),
    ] = None,
    wide: Annotated[bool, typer.Option("--wide", help="Show all columns.")] = False,
    by: Annotated[
        str | None,
        typer.Option("--by", help="type: a column for each type of question.", metavar="type"),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            help="The score that --by shows.",
            metavar="NAME",
            show_default="the benchmark's own, else em",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            help="Order by a column, such as em, kept or memory; numbers from the greatest.",
            metavar="COLUMN",
            show_default="the order of the runs",
        ),
    ] = None,
    prices: PriceFile = None,
    env: OnlyEnvs = None,
    policy: OnlyPolicies = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help=f"Write the table to this file, in the format of its ending: {', '.join(ENDINGS)}.",
            metavar="FILE",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Print one table of one or many runs, finished or not.

    [dim]Examples:[/dim]

      atommem table runs/a runs/b --sort em --out results.tex

      atommem table runs/a --by type --policy rag
    """
    if format is not None and format not in FORMATS:
        raise RunError(f"--format {format}: expected one of {', '.join(FORMATS)}")
    if score is not None and by is None:
        raise RunError(f"--score {score} is for --by type: leave it out, or add --by type")
    chosen = format or ("terminal" if out is None else format_of(out))
    known = None if prices is None else read_prices(prices)
    loaded = choose([Run.load(folder) for folder in runs], env, policy)
    if not any(run.episodes for run in loaded):
        raise RunError("there is no finished episode yet: go on with `atommem run`, then ask for the table")
    if out is not None:
        out.write_text(table(loaded, chosen, wide, by, sort, score, known), encoding="utf-8")
        say(f"The table is in {out}")
    elif chosen == "terminal":
        console = output()
        print_lines(terminal_lines(loaded, wide, table_width(console), by, sort, score, known), console)
    else:
        sys.stdout.write(table(loaded, chosen, wide, by, sort, score, known))
