"""``atommem export``: episodes of a run as data for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from atommem_env.cli.common import (
    Debug,
    OnlyEnvs,
    OnlyPolicies,
    Quiet,
    RunFolder,
    Trust,
    command,
    use_working_folder,
)
from atommem_env.cli.console import say
from atommem_env.runs.errors import RunError
from atommem_env.runs.export import SELECTION_SCORES, export
from atommem_env.runs.run import Run

FORMATS: Final = {
    "jsonl": "episodes",
    "parquet": "episodes",
    "messages": "messages",
    "turns": "turns",
    "tools": "tools",
}
"""The formats, with what a row of each is."""

_MOST: Final = 3


@command("export")
def export_command(
    run: RunFolder,
    out: Annotated[
        Path,
        typer.Option(
            help="The file. Messages, turns and tools go into a Parquet file where its name ends in .parquet, else "
            "into JSON Lines.",
            metavar="FILE",
            show_default=False,
        ),
    ],
    format: Annotated[
        str,
        typer.Option(
            help="jsonl or parquet: a row per episode with observations, actions and rewards; messages: a row per "
            "episode with its conversation; turns: a row per step with a complete prompt and its completion; tools: "
            "a row per episode with the conversation of an agent that calls tools.",
            metavar="FORMAT",
        ),
    ] = "turns",
    score: Annotated[
        str,
        typer.Option(help=f"What episodes are chosen by: {', '.join(SELECTION_SCORES)}.", metavar="SCORE"),
    ] = "em",
    min_score: Annotated[
        float, typer.Option(help="Only episodes with at least this score, in [0, 1].", metavar="X")
    ] = 0.0,
    protocol: Annotated[
        str,
        typer.Option(
            help="How the completions of messages and turns are written: atommem, released, json, or your own as "
            "module:name.",
            metavar="NAME",
        ),
    ] = "atommem",
    template: Annotated[
        str | None,
        typer.Option(
            help="The complete prompt of messages and turns in other words: a text file with placeholders such as "
            "$turn. Train with the words that the agent will be shown.",
            metavar="FILE",
        ),
    ] = None,
    env: OnlyEnvs = None,
    policy: OnlyPolicies = None,
    trust: Trust = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write episodes of a run to a file: as records, or as samples for supervised fine-tuning.

    The rows of one episode share their trajectory_id and return. With [bold]turns[/bold] each prompt is complete, as
    the paper's agent sees it; with [bold]messages[/bold] a step's user turn says only what is new; with
    [bold]tools[/bold] the operations are calls, with their arguments as JSON texts. A trainer takes them as they are.

    [dim]Examples:[/dim]

      atommem export runs/mine --format turns --score em --min-score 1.0 --out sft.jsonl

      atommem export runs/mine --format messages --policy oracle --protocol json --out chats.parquet

      atommem export runs/mine --format jsonl --out episodes.jsonl
    """
    if format not in FORMATS:
        raise RunError(f"--format {format}: expected one of {', '.join(FORMATS)}")
    if (out.suffix == ".parquet") != (format == "parquet") and format in ("jsonl", "parquet"):
        raise RunError(f"--out {out}: a {format} file's name ends in .{format}")
    if trust:
        use_working_folder()
    done = export(
        Run.load(run, trust),
        out,
        FORMATS[format],
        envs=env or (),
        policies=policy or (),
        score=score,
        min_score=min_score,
        protocol=protocol,
        template=template,
    )
    for reason in done.left_out[:_MOST]:
        say(f"Left out: {reason}", quiet)
    if len(done.left_out) > _MOST:
        say(f"Left out: {len(done.left_out) - _MOST} more", quiet)
    say(f"{done.rows} rows of {done.episodes} episodes are in {out}", quiet)
