"""``atommem judge``: a language model as the judge of a run's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from atommem_env.cli.common import Debug, Quiet, RunFolder, command
from atommem_env.cli.console import output, say
from atommem_env.core.safe_text import markup, one_line
from atommem_env.llm import ChatSettings
from atommem_env.runs.engines import replies_folder
from atommem_env.runs.forms import JUDGEMENTS_FILE
from atommem_env.runs.judge import judge
from atommem_env.runs.leniency import QUESTIONS, leniency_text


@command("judge")
def judge_command(
    run: RunFolder,
    model: Annotated[
        str | None, typer.Option(help="The judge.", metavar="NAME", show_default="$ATOMMEM_MODEL")
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            help="Where an OpenAI-compatible server is, for example http://localhost:8000/v1.",
            metavar="URL",
            show_default="$OPENAI_BASE_URL",
        ),
    ] = None,
    temperature: Annotated[float, typer.Option(help="From 0.", metavar="T")] = 0.0,
    max_tokens: Annotated[
        int, typer.Option(help="The longest reply, thinking included.", metavar="N")
    ] = 1024,
    concurrency: Annotated[int, typer.Option(help="Calls at once.", metavar="N")] = 8,
    variant: Annotated[
        str, typer.Option(help="How BEAM's marks become a score: paper or code.", metavar="NAME")
    ] = "paper",
    leniency: Annotated[
        int,
        typer.Option(
            help="Measure the judge's leniency on so many questions; 0: do not.", metavar="N", min=0
        ),
    ] = QUESTIONS,
    trust: Annotated[
        bool, typer.Option("--trust", help="Whoever made the run is trusted: its record may name code.")
    ] = False,
    prompts: Annotated[
        Path | None, typer.Option(help="A folder with a judge.txt that replaces ours.", metavar="FOLDER")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Let a language model judge the answers of a run, next to exact match.

    Each benchmark's criteria are used, by the question's type; BEAM's rubrics are read from the data that the run
    names. How lenient the judge is (which vague answers it passes, which right ones in other words it fails) is
    measured on questions of the run. A question without an answer is wrong without a call. The verdicts and their
    reasons stand in judgements.jsonl in the run's folder, and `atommem table` then has a column for them. Ctrl-C
    stops it; [bold]the same command goes on[/bold].

    [dim]Example:[/dim]  atommem judge runs/mine --model Qwen/Qwen3-8B --base-url http://localhost:8000/v1
    """
    settings = ChatSettings.from_environment(
        model=model,
        base_url=base_url,
        temperature=temperature,
        max_tokens=max_tokens,
        concurrency=concurrency,
        prompts=prompts,
        cache=replies_folder(),
    )
    made = judge(run, settings, not quiet, variant, leniency, trust)
    agreements = made.agreements()
    sheet = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("policy", "questions", "answered", "EM", "judge", "agreement", "kappa", "not read"):
        sheet.add_column(title, justify="left" if title == "policy" else "right")
    for line in agreements:
        sheet.add_row(
            markup(one_line(line.policy)),
            str(line.questions),
            str(line.answered),
            f"{100 * line.em:.1f}",
            f"{100 * line.judged:.1f}",
            "–" if line.agreement is None else f"{100 * line.agreement:.1f}",
            "–" if line.kappa is None else f"{line.kappa:.2f}",
            str(line.unread),
        )
    console = output()
    console.print(sheet)
    console.print(
        "In percent of the questions. agreement with EM, and Cohen's kappa, are over the answered ones; a verdict "
        "that cannot be read counts as wrong.",
        style="dim",
    )
    console.print(f"The judge's leniency: {leniency_text(made.settings['leniency'])}.", style="dim")
    say(f"The verdicts are in {run / JUDGEMENTS_FILE}", quiet)
