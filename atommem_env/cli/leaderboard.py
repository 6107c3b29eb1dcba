"""``atommem leaderboard``: methods by benchmarks and capacities on one HTML page."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from atommem_env.cli.common import Debug, OnlyEnvs, OnlyPolicies, Quiet, RunFolders, choose, command
from atommem_env.cli.console import say
from atommem_env.runs.errors import RunError
from atommem_env.runs.files import write_whole
from atommem_env.runs.run import Run
from atommem_env.viewer.leaderboard import first_task_page, leaderboard_page, view_address


@command("leaderboard")
def leaderboard_command(
    runs: RunFolders,
    out: Annotated[Path, typer.Option(help="Write the page to this file.", metavar="FILE")] = Path(
        "leaderboard.html"
    ),
    title: Annotated[str, typer.Option(help="What heads the page.", metavar="TEXT")] = "Leaderboard",
    first_tasks: Annotated[
        bool,
        typer.Option(
            "--first-tasks",
            help="Also write, beside the page, the first task of what a run has on generated data, step by step, "
            "for its numbers to lead to.",
        ),
    ] = False,
    env: OnlyEnvs = None,
    policy: OnlyPolicies = None,
    open: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make one HTML page of many runs: methods by benchmarks and capacities, with the funnel behind each number.

    Real and generated data, questions known while reading and unseen ones, engines and judges stand apart. A number
    leads to its run's page where `atommem view` has made one in the run's folder.

    [dim]Examples:[/dim]

      atommem leaderboard runs/a runs/b --open

      atommem leaderboard runs/* --out site/leaderboard.html --policy rag --policy mem0

      atommem leaderboard runs/* --out site/leaderboard.html --first-tasks
    """
    loaded = choose([Run.load(folder) for folder in runs], env, policy)
    if out.is_dir():
        raise RunError(f"--out {out} is a folder: name a file in it, such as {out / 'leaderboard.html'}")
    views = {
        number: address
        for number, run in enumerate(loaded)
        if run.folder is not None and (address := view_address(run.folder, out)) is not None
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    firsts = {}
    for number, run in enumerate(loaded) if first_tasks else ():
        found = first_task_page(run)
        if found is not None:
            path = out.with_name(f"{out.stem}-{number + 1}.html")
            write_whole(path, [found[0].encode()])
            firsts[number] = quote(path.name), found[1]
            say(f"The first task of {run.folder} is {path} ({len(found[0]) / 1e6:.1f} MB)", quiet)
    page = leaderboard_page(loaded, title, views, firsts).encode()
    write_whole(out, [page])
    say(f"The page is {out} ({len(page) / 1e6:.1f} MB)", quiet)
    if open:
        webbrowser.open(out.resolve().as_uri())
