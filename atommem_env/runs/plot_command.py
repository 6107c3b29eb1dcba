"""``atommem plot``: pictures of one or many runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atommem_env.runs.commands import Debug, OnlyEnvs, OnlyPolicies, Quiet, command
from atommem_env.runs.console import say
from atommem_env.runs.plots import FORMATS, KINDS, plot
from atommem_env.runs.run import Run


@command("plot")
def plot_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.", metavar="RUN", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(help="Write the pictures into this folder.", metavar="FOLDER", show_default="RUN/plots"),
    ] = None,
    format: Annotated[str, typer.Option(help="png, svg or both.", metavar="FORMAT")] = "png",
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{', '.join(list(KINDS)[:-1])} or {list(KINDS)[-1]}. Repeatable.",
            metavar="KIND",
            show_default="all for which there is data",
        ),
    ] = None,
    env: OnlyEnvs = None,
    policy: OnlyPolicies = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw scores, the evidence funnel, operations, and what a score costs.

    Matplotlib draws them: pip install 'atommem_env\\[plot]'.

    [dim]Examples:[/dim]

      atommem plot runs/mine

      atommem plot runs/a runs/b --kind funnel --kind scores --format both --out figures
    """
    made = plot(
        [Run.load(folder).only(env or (), policy or ()) for folder in runs],
        runs[0] / "plots" if out is None else out,
        kind or (),
        FORMATS if format == "both" else (format,),
    )
    for path in made.files:
        print(path)
    for name, reason in made.left_out.items():
        say(f"Left out: {name}: {reason}", quiet)
