"""``atommem show``: one episode, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from atommem_env.cli.common import (
    DEFAULT_ENV,
    Arguments,
    Debug,
    PolicyArguments,
    RecordedAddress,
    Source,
    Split,
    Trust,
    command,
    read_env_arguments,
    read_policy_arguments,
    use_working_folder,
)
from atommem_env.cli.console import output, print_lines, say
from atommem_env.policies import Trace
from atommem_env.runs.engines import settled
from atommem_env.runs.errors import RunError
from atommem_env.runs.execution import Runner, Work
from atommem_env.runs.keys import episode_key
from atommem_env.runs.run import Run
from atommem_env.runs.traces import find_trace, replay
from atommem_env.runs.variants import (
    EnvVariant,
    PolicyVariant,
    env_variants,
    policy_variants,
    recorded_env,
    recorded_policy,
)
from atommem_env.viewer.terminal import View, episode_lines, parse_steps


@command("show")
def show_command(
    run: Annotated[
        Path | None, typer.Argument(help="A run's folder; without it, the options say what to run.")
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            help="The environment.", metavar="ID", show_default=f"the run's first, or {DEFAULT_ENV}"
        ),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="The policy.", metavar="NAME", show_default="the run's first, or rag")
    ] = None,
    task_index: Annotated[int, typer.Option(help="The task.", metavar="I")] = 0,
    steps: Annotated[
        str, typer.Option(help="Which steps to show: 3, 3:7, 3: or :7.", metavar="A:B", show_default="all")
    ] = "1:",
    gold: Annotated[bool, typer.Option("--gold", help="Show the gold answers and evidence first.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Show texts and operations whole.")] = False,
    source: Source = None,
    split: Split = None,
    arg: Arguments = None,
    policy_arg: PolicyArguments = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="What does the policy's language work.",
            metavar="NAME",
            show_default="world on generated data, else rules",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The policy's seed.", metavar="S", show_default="0")
    ] = None,
    trust: Trust = False,
    base_url: RecordedAddress = None,
    debug: Debug = False,
) -> None:
    """Show one episode step by step: of a run, by its stored trace, or one that is run now.

    [dim]Examples:[/dim]

      atommem show runs/mine --policy rag --task-index 3 --gold

      atommem show --env AtomMem-World-v0 --policy memagent --arg num_docs=20 --steps 2:4
    """
    if run is None or trust:
        use_working_folder()
    first, last = parse_steps(steps)
    if task_index < 0:
        raise RunError(f"--task-index {task_index}: expected a whole number of at least 0")
    view_options = (gold, full, first, last)
    if run is None:
        name = policy or "rag"
        (env_recipe,) = env_variants(env or DEFAULT_ENV, read_env_arguments(arg or (), source, split))
        (policy_recipe,) = policy_variants(
            name,
            settled(engine or "auto", seed or 0),
            seed or 0,
            read_policy_arguments(policy_arg or (), [name]),
        )
        policy_recipe.make()  # refuses an unknown name before the data is opened
        _show(env_recipe, *_run(env_recipe, policy_recipe, task_index), view_options)
        return
    given = {"--source": source, "--split": split, "--arg": arg, "--policy-arg": policy_arg}
    _refuse_with_run({**given, "--engine": engine, "--seed": seed})
    recorded = Run.load(run, trust, base_url)
    env_recipe = recorded_env(recorded.settings, env, trust)
    trace, title = _recorded_trace(recorded, env_recipe, policy, task_index)
    _show(env_recipe, trace, title, view_options)


def _recorded_trace(run: Run, env: EnvVariant, policy: str | None, task_index: int) -> tuple[Trace, str]:
    """Return an episode of a run and its title: from its stored trace, else by running it again."""
    name = run.settings["policies"][0]["name"] if policy is None else policy
    key = (env.name, name, task_index)
    record = next((episode for episode in run.episodes if episode_key(episode) == key), None)
    stored = None if run.folder is None else find_trace(run.folder, key)
    if stored is None or record is None:
        trace, title = _run(env, recorded_policy(run.settings, policy, run.trust, run.base_url), task_index)
    else:
        trace, title = replay(run.settings, stored, run.trust), _title(env.name, name, record["engine"])
    if record is not None and record["metrics"] != trace.metrics:
        say(
            "Note: the record of this episode has other metrics: the package, the data or the policy has changed"
        )
    return trace, title


def _run(env: EnvVariant, policy: PolicyVariant, task_index: int) -> tuple[Trace, str]:
    runner = Runner(Work((env,), (policy,)))
    try:
        made, trace = runner.trace((env.name, policy.name, task_index))
    finally:
        runner.close()
    return trace, _title(env.name, policy.name, getattr(made, "engine_name", None))


def _title(env: str, policy: str, engine: str | None) -> str:
    return f"{policy} on {env}" + (f" with engine {engine}" if engine else "")


def _refuse_with_run(options: Mapping[str, object]) -> None:
    for name, value in options.items():
        if value not in (None, []):
            raise RunError(
                f"{name} is not for an episode of a run, whose record says it; leave out one of the two"
            )


def _show(env: EnvVariant, trace: Trace, title: str, options: tuple[bool, bool, int, int | None]) -> None:
    gold, full, first, last = options
    console = output()
    dataset = getattr(env.make().unwrapped, "dataset", None) if gold else None
    view = View(console.width, full, gold, first, last, getattr(dataset, "word_shares", None))
    print_lines(episode_lines(trace, title, view), console)
