"""``atommem bench``: what stores and environments cost on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from atommem_env.cli.common import Debug, Quiet, command
from atommem_env.cli.console import output, say
from atommem_env.runs.errors import RunError

if TYPE_CHECKING:
    from atommem_env.bench.suite import Result


@command("bench")
def bench_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="About a minute: fewer rounds and smaller stores.")
    ] = False,
    part: Annotated[
        list[str] | None,
        typer.Option(
            help="mix, reads, resets, steps, throughput, memory or rollouts. Repeatable.",
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
    encoder: Annotated[
        str | None,
        typer.Option(
            help="What the part rollouts encodes with, for example the folder of a sentence-transformers model; "
            "without it the part is left out.",
            metavar="MODEL",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of the texts.", metavar="S")] = 0,
    plot: Annotated[bool, typer.Option("--plot", help="Draw the two plots into --out, too.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write benchmarks.md and benchmarks.json into this folder, after each part.",
            metavar="FOLDER",
        ),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure stores and environments on this machine, beside what pip can install instead.

    Alternatives that are not installed are left out: pip install 'atommem_env\\[bench]'.

    [dim]Examples:[/dim]

      atommem bench --quick

      atommem bench --part mix --part reads --store ours-bm25 --store rank-bm25

      atommem bench --out docs --plot
    """
    from atommem_env.bench import FULL, QUICK, report, run_suite
    from atommem_env.bench.suite import PARTS
    from atommem_env.report.plots.style import require_matplotlib

    if plot and out is None:
        raise RunError("--plot: say with --out FOLDER where the plots go")
    if plot:
        require_matplotlib()
    if "rollouts" in (part or ()) and encoder is None:
        raise RunError("--part rollouts: say with --encoder MODEL what the rollouts encode with")
    found: list[Result] = []

    def keep(result: Result) -> None:
        found[:] = [result]
        if out is not None:
            report.write(result, out, plot)

    scale = QUICK if quick else FULL
    try:
        run_suite(scale, store, part or PARTS, source, seed, not quiet, encoder=encoder, keep=keep)
    finally:
        for result in found:
            _print_result(result, quiet, all_stores=store is None)
    if out is not None:
        say(f"The results are in {out}", quiet)


def _print_result(result: Result, quiet: bool, all_stores: bool) -> None:
    from atommem_env.bench.report import about_line

    console = output()
    console.print(escape(about_line(result.about)), style="dim")
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
    if missing and all_stores:
        say(f"Left out, since not installed: pip install {' '.join(missing)}", quiet)
