"""``atommem plot``: pictures of one or many runs, or of trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atommem_env.cli.common import (
    Debug,
    OnlyEnvs,
    OnlyPolicies,
    Quiet,
    Trust,
    choose,
    command,
    repeatable,
    use_working_folder,
)
from atommem_env.cli.console import say
from atommem_env.report.plots import PICTURES, TRAINING_PICTURES, plot, plot_trainings
from atommem_env.report.trainings import Training, is_training
from atommem_env.runs.errors import RunError
from atommem_env.runs.run import Run


@command("plot")
def plot_command(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of runs, or of trainings.", metavar="RUN", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Write the pictures into this folder.", metavar="FOLDER", show_default="RUN/plots"),
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            help="png, svg, pdf, several of them as in png,pdf, or both (png and svg).", metavar="FORMAT"
        ),
    ] = "png",
    bare: Annotated[
        bool, typer.Option("--bare", help="Leave out titles and notes, for a text that has its own.")
    ] = False,
    kind: Annotated[
        list[str] | None,
        repeatable(
            "--kind",
            f"Of runs: {', '.join(PICTURES)}. Of trainings: {', '.join(TRAINING_PICTURES)}.",
            "KIND",
            default="all for which there is data",
        ),
    ] = None,
    env: OnlyEnvs = None,
    policy: OnlyPolicies = None,
    trust: Trust = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw scores, the evidence funnel, operations, and what a score costs; or how a training went.

    Matplotlib draws them: pip install 'atommem_env\\[plot]'.

    [dim]Examples:[/dim]

      atommem plot runs/mine

      atommem plot runs/a runs/b --kind funnel --kind scores --format both --out figures

      atommem plot runs/a --kind scores --format pdf --bare

      atommem plot trainings/seed0 trainings/seed1 --kind learning-curves
    """
    if trust:
        use_working_folder()
    folder, kinds = runs[0] / "plots" if out is None else out, kind or ()
    formats = ("png", "svg") if format == "both" else tuple(format.split(","))
    if any(map(is_training, runs)):
        if env or policy:
            raise RunError(
                "--env and --policy choose a part of a run: leave them out for the folders of trainings"
            )
        made = plot_trainings([Training.load(path) for path in runs], folder, kinds, formats, bare)
    else:
        parts = choose([Run.load(path, trust) for path in runs], env, policy)
        made = plot(parts, folder, kinds, formats, bare)
    for path in made.files:
        print(path)
    for name, reason in made.left_out.items():
        say(f"Left out: {name}: {reason}", quiet)
