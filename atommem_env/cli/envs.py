"""``atommem envs``: the environments, where their data comes from here, and their arguments."""

from __future__ import annotations

import json
from typing import Annotated

import gymnasium as gym
import typer
from rich import box
from rich.table import Table

from atommem_env.cli.common import Debug, command
from atommem_env.cli.console import output
from atommem_env.core.config import REQUIRED, Argument
from atommem_env.core.safe_text import markup
from atommem_env.registration import ENVS
from atommem_env.runs.arguments import env_arguments, find_spec


@command("envs")
def envs_command(
    id: Annotated[
        str | None, typer.Argument(help="Show this environment's arguments.", show_default=False)
    ] = None,
    debug: Debug = False,
) -> None:
    """List the environments, and where their data comes from on this machine.

    With an [bold]ID[/bold]: its arguments, their defaults, and what they do.

    [dim]Example:[/dim]  atommem envs AtomMem-HotpotQA-v0
    """
    if id is None:
        _list_envs()
    else:
        _describe_env(find_spec(id))


def _list_envs() -> None:
    console = output()
    sheet = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("environment", "source here (auto)", "questions", "paragraphs", "tasks", "licence"):
        sheet.add_column(title, justify="right" if title in ("questions", "paragraphs", "tasks") else "left")
    for id in ENVS:
        sheet.add_row(f"[bold]{markup(id)}[/bold]", *(markup(cell) for cell in _env_cells(id)))
    console.print(sheet)
    console.print(
        "tasks: how many an epoch has with the default arguments. For the arguments: atommem envs ID",
        style="dim",
    )


def _env_cells(id: str) -> tuple[str, ...]:
    spec = find_spec(id)
    if env_arguments(spec)["source"].default in (REQUIRED, None):
        return "your own data", "", "", "", ""
    try:
        benchmark = getattr(_env_class(spec), "benchmark", None)
        env = gym.make(id, disable_env_checker=True)
    except (ValueError, OSError, ImportError) as error:
        return f"not available: {error}", "", "", "", ""
    dataset, tasks = env.get_wrapper_attr("dataset"), env.get_wrapper_attr("num_tasks")
    env.close()
    counts = (dataset.num_questions, dataset.num_paragraphs, tasks)
    return dataset.source, *(f"{count:,}" for count in counts), getattr(benchmark, "licence", "")


def _env_class(spec: gym.envs.registration.EnvSpec) -> object:
    from gymnasium.envs.registration import load_env_creator

    entry = spec.entry_point
    return load_env_creator(entry) if isinstance(entry, str) else entry


def _describe_env(spec: gym.envs.registration.EnvSpec) -> None:
    console = output()
    creator = _env_class(spec)
    summary = (creator.__doc__ or "").strip().splitlines()
    console.print(f"[bold]{markup(spec.id)}[/bold]  {markup(summary[0] if summary else '')}")
    benchmark = getattr(creator, "benchmark", None)
    if benchmark is not None:
        for line in (
            benchmark.citation,
            benchmark.homepage,
            benchmark.licence and f"licence {benchmark.licence}",
        ):
            if line:
                console.print(markup(line), style="dim")
    sheet = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    sheet.add_column("argument", style="bold", no_wrap=True)
    sheet.add_column("default", overflow="fold", max_width=28)
    sheet.add_column("what it does")
    for argument in env_arguments(spec).values():
        sheet.add_row(argument.name, markup(_default(argument)), markup(argument.help))
    console.print(sheet)
    example = f"For example: atommem run --env {spec.id} --arg num_docs=50 --arg 'num_questions=[1,4]'"
    console.print(markup(example), style="dim")


def _default(argument: Argument) -> str:
    if argument.default is REQUIRED:
        return "(required)"
    default = argument.default
    return (
        json.dumps(default)
        if isinstance(default, (str, int, float, list, tuple, type(None)))
        else repr(default)
    )
