"""``atommem bench``: what stores and environments cost on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from atommem_env.runs.commands import Debug, Quiet, command
from atommem_env.runs.console import output, say
from atommem_env.runs.errors import RunError


@command("bench")
def bench_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="About a minute: fewer rounds and smaller stores.")
    ] = False,
    part: Annotated[
        list[str] | None,
        typer.Option(
            help="mix, reads, resets, steps, throughput or memory. Repeatable.",
            metavar="PART",
            show_default="all",
        ),
    ] = None,
    store: Annotated[
        list[str] | None,
        typer.Option(
            help="ours-bm25, rank-bm25, bm25s, tantivy, ours-dense, matrix, langchain-faiss, released or chroma. "
            "Repeatable.",
            metavar="NAME",
            show_default="all that are installed",
        ),
    ] = None,
    source: Annotated[
        str,
        typer.Option(help="The environments' data: generated, or HotpotQA's official file.", metavar="PATH"),
    ] = "generated",
    seed: Annotated[int, typer.Option(help="The seed of the texts.", metavar="S")] = 0,
    plot: Annotated[bool, typer.Option("--plot", help="Draw the two plots into --out, too.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Write bench.json and bench.md into this folder.", metavar="FOLDER"),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure stores and environments on this machine, beside what pip can install instead.

    Alternatives that are not installed are left out: pip install 'atommem_env\\[bench]'.

    [dim]Examples:[/dim]

      atommem bench --quick

      atommem bench --part mix --part reads --store ours-bm25 --store rank-bm25

      atommem bench --out bench --plot
    """
    from atommem_env.bench import FULL, QUICK, report, run_suite
    from atommem_env.bench.suite import PARTS
    from atommem_env.runs.plots.style import require_matplotlib

    if plot and out is None:
        raise RunError("--plot: say with --out FOLDER where the plots go")
    if plot:
        require_matplotlib()
    result = run_suite(QUICK if quick else FULL, store, part or PARTS, source, seed, not quiet)
    console = output()
    console.print(escape(report.about_line(result.about)), style="dim")
    for made in result.tables:
        sheet = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=made.title, title_justify="left")
        for number, column in enumerate(made.columns):
            sheet.add_column(escape(column), justify="right" if number else "left")
        for row in made.rows:
            sheet.add_row(*map(escape, row))
        console.print(sheet)
        if made.note and not quiet:
            console.print(escape(made.note), style="dim")
    missing = sorted(set(" ".join(result.about["missing"].values()).split()))
    if missing and store is None:
        say(f"Left out, since not installed: pip install {' '.join(missing)}", quiet)
    if out is not None:
        report.write(result, out)
        if plot:
            report.plot(result.data, out)
        say(f"The results are in {out}", quiet)
