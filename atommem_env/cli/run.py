"""``atommem run``: policies on environments, many episodes, and the table of their results."""

from __future__ import annotations

import functools
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from atommem_env.cli.common import (
    DEFAULT_ENV,
    DEFAULT_POLICIES,
    Arguments,
    Debug,
    PolicyArguments,
    PriceFile,
    Quiet,
    Source,
    Split,
    command,
    read_env_arguments,
    read_policy_arguments,
    repeatable,
    use_working_folder,
)
from atommem_env.cli.console import output, print_lines, say, table_width
from atommem_env.registration import POLICIES
from atommem_env.report.paper import RECIPES, make_recipe
from atommem_env.report.prices import Prices, read_prices
from atommem_env.report.tables import terminal_lines
from atommem_env.runs.config_file import ENGINE_OPTIONS, MODEL_OPTIONS, ConfigFile, over_file, read_config
from atommem_env.runs.engines import LLM, LOCAL, MODELS, EngineLike, replies_folder
from atommem_env.runs.errors import EpisodeError, RunError
from atommem_env.runs.estimate import MOST_CALLS, estimate
from atommem_env.runs.evaluation import PLACES, RAY, Plan, execute, make_plan
from atommem_env.runs.folder import read_episodes
from atommem_env.runs.keys import Key, episode_key, planned_keys
from atommem_env.runs.run import Run
from atommem_env.runs.variants import NO_KEY, EnvVariant

_llm_option = functools.partial(typer.Option, rich_help_panel="With --engine llm")
_model_option = functools.partial(typer.Option, rich_help_panel="With --engine llm or local")
_local_option = functools.partial(typer.Option, rich_help_panel="With --engine local")


@command("run")
def run_command(
    env: Annotated[
        list[str] | None,
        repeatable(
            "--env",
            "An environment's id, or ID[KEY=VALUE,...] with its own arguments, for example "
            "'AtomMem-HotpotQA-v0\\[num_docs=800]'.",
            "ID",
            default=DEFAULT_ENV,
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        repeatable(
            "--policy",
            f"A policy: {', '.join(POLICIES)}, or your own as module:Class; NAME[KEY=VALUE,...] with its own "
            "arguments, for example 'rag\\[second_look=bridge]'. `atommem policies` lists them.",
            "NAME",
            default=", ".join(DEFAULT_POLICIES),
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            help="What a policy is called in the run and its tables; given as often as --policy, in its order.",
            metavar="LABEL",
            show_default="the policy as it was given",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Run the environments and policies of one of the paper's tables: "
            + "; ".join(f"{name}: {about}" for name, about in RECIPES.items())
            + ".",
            metavar="NAME",
        ),
    ] = None,
    source: Source = None,
    split: Split = None,
    arg: Arguments = None,
    policy_arg: PolicyArguments = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="What does the policies' language work: world, rules, llm (an endpoint) or local (a model in this "
            "process); ray is short for --on ray.",
            metavar="NAME",
            show_default="world on generated data, else rules",
        ),
    ] = None,
    model: Annotated[
        str | None,
        _model_option(
            help="The model; of local a folder, a name of the hub, or one of `atommem model`.",
            metavar="NAME",
            show_default="$ATOMMEM_MODEL",
        ),
    ] = None,
    adapter: Annotated[
        str | None, _local_option(help="The folder of a LoRA adapter over the model.", metavar="FOLDER")
    ] = None,
    batch: Annotated[
        int | None,
        _local_option(
            help="Prompts written at once, and so the episodes under way.", metavar="N", show_default="8"
        ),
    ] = None,
    device: Annotated[
        str | None, _local_option(help="Cpu or cuda.", metavar="NAME", show_default="cpu")
    ] = None,
    dtype: Annotated[
        str | None,
        _local_option(
            help="Float32, bfloat16 or float16.",
            metavar="NAME",
            show_default="bfloat16 where the device is fast with it, else float32",
        ),
    ] = None,
    base_url: Annotated[
        str | None,
        _llm_option(
            help="Where an OpenAI-compatible server is, for example http://localhost:8000/v1.",
            metavar="URL",
            show_default="$OPENAI_BASE_URL",
        ),
    ] = None,
    route: Annotated[
        str | None,
        _llm_option(
            help="Chat, or completions for a base model.",
            metavar="NAME",
            show_default="chat",
        ),
    ] = None,
    temperature: Annotated[
        str | None,
        _model_option(
            help="From 0; with llm none leaves it to the server.",
            metavar="T",
            show_default="0.7; with local 0",
        ),
    ] = None,
    top_p: Annotated[
        str | None,
        _model_option(
            help="At most 1; with llm none leaves it to the server.", metavar="P", show_default="1.0"
        ),
    ] = None,
    extra_body: Annotated[
        str | None,
        _llm_option(
            help="Further fields of each request, a JSON object, for example "
            '{"chat_template_kwargs": {"enable_thinking": false}}.',
            metavar="JSON",
        ),
    ] = None,
    keep_prompts: Annotated[
        bool | None,
        _model_option("--keep-prompts", help="Keep what was asked in the traces, next to what was replied."),
    ] = None,
    max_tokens: Annotated[
        int | None,
        _model_option(
            help="The longest reply, thinking included.",
            metavar="N",
            show_default="1024; with local 256",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        _llm_option(help="Seconds for the whole of a call.", metavar="S", show_default="120"),
    ] = None,
    retries: Annotated[
        int | None,
        _llm_option(help="How often a call is repeated.", metavar="N", show_default="8"),
    ] = None,
    concurrency: Annotated[
        int | None,
        _llm_option(help="Calls at once.", metavar="N", show_default="8"),
    ] = None,
    cache: Annotated[
        Path | None,
        _model_option(
            help="Where replies are kept, so that none is paid for twice.",
            metavar="FOLDER",
            show_default="replies in the user's cache",
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        _model_option(help="A folder of prompts that replace ours.", metavar="FOLDER"),
    ] = None,
    episodes: Annotated[
        int | None,
        typer.Option(
            help="Run the task indices 0 to N-1.", metavar="N", show_default="20, or what the recipe says"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="The seed of the policies, and of a language model.", metavar="S", show_default="0"
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Episodes at once, in processes (0: one per core), with a language model in threads. The result is "
            "the same.",
            metavar="J",
            show_default="1; with engine llm --concurrency, with local --batch; on ray one per CPU",
        ),
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            help="Where the episodes run: local, or ray: the actors of the cluster of $RAY_ADDRESS, else of a Ray "
            "that is started here for the run. The result is the same.",
            metavar="PLACE",
        ),
    ] = PLACES[0],
    traces: Annotated[
        bool | None,
        typer.Option(
            "--traces/--no-traces",
            help="Keep what the policies did, for view and replay.",
            show_default="traces",
        ),
    ] = None,
    keep_going: Annotated[
        bool | None,
        typer.Option(
            "--keep-going",
            help="Let a policy that failed go on with its next episode; the others do in any case.",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do the run again, all of it, if it is in the folder.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The run's folder. The same command goes on where it stopped; one with more policies or episodes "
            "adds them.",
            metavar="RUN",
            show_default="runs/<name from the settings>",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A file with these options, .yaml or .json, or the run.json of a run; what stands on the command line "
            "goes over it.",
            metavar="FILE",
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust", help="Let the file of --config name code (module:name), models, addresses and folders."
        ),
    ] = False,
    prices: PriceFile = None,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            help=f"Ask nothing before a run that makes more than {MOST_CALLS:,} calls to a server elsewhere.",
        ),
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run policies on environments and print the table.

    Ctrl-C stops a run; [bold]the same command goes on with it[/bold].

    [dim]Examples:[/dim]

      atommem run

      atommem run --source hotpot_dev_distractor_v1.json --policy rag --policy oracle --episodes 50

      atommem run --env AtomMem-World-v0 --arg num_docs=50 --policy my_module:MyPolicy --jobs 0 --out runs/mine

      atommem run --engine llm --model Qwen/Qwen3-8B --base-url http://localhost:8000/v1 --policy mem0

      atommem run --engine local --model smollm2 --policy rag --policy memagent --episodes 8

      atommem run --recipe paper-table1 --source data --jobs 0 --out runs/table1

      atommem run --config run.yaml --episodes 50
    """
    use_working_folder()
    if engine == RAY:
        engine, on = None, RAY
    told: dict[str, Any] = {
        "env": env,
        "policy": policy,
        "name": name,
        "recipe": recipe,
        "engine": engine,
        "model": model,
        "base_url": base_url,
        "route": route,
        "temperature": temperature,
        "top_p": top_p,
        "extra_body": extra_body,
        "keep_prompts": keep_prompts,
        "max_tokens": max_tokens,
        "timeout": timeout,
        "retries": retries,
        "concurrency": concurrency,
        "cache": cache,
        "prompts": prompts,
        "adapter": adapter,
        "batch": batch,
        "device": device,
        "dtype": dtype,
        "episodes": episodes,
        "seed": seed,
        "jobs": jobs,
        "traces": traces,
        "keep_going": keep_going,
        "out": out,
        "arg": read_env_arguments(arg or (), source, split),
    }
    given = {key: value for key, value in told.items() if value is not None}
    for key in ("temperature", "top_p"):
        if key in given:
            given[key] = _number_or_none(f"--{key.replace('_', '-')}", given[key])
    file = None if config is None else read_config(config)
    options = over_file(given, file, trust)
    plan = _plan(options, file, base_url, policy_arg or (), quiet)
    for note in plan.notes:
        say(f"Note: {note}", quiet)
    folder = Path(options["out"]) if "out" in options else Path("runs") / plan.name
    execution: dict[str, Any] = {
        key: options[key] for key in ("jobs", "traces", "keep_going") if key in options
    }
    known = None if prices is None else _prices(prices, plan)
    if not yes:
        _ask_first(plan, set() if fresh else _episodes_in(folder), known)
    run = _execute(plan, folder, quiet, {"on": on, "fresh": fresh, **execution})
    console = output()
    print_lines(terminal_lines([run], width=table_width(console), prices=known), console)
    say(f"\nThe run is in {folder}", quiet)


def _plan(
    options: dict[str, Any],
    file: ConfigFile | None,
    base_url: str | None,
    policy_arg: Sequence[str],
    quiet: bool,
) -> Plan:
    """Return the plan of a run.

    Args:
        options: its options, by name as in a file.
        file: the file that some of them are from.
        base_url: the address that the command line gives: a key is never sent to one of a file alone.
        policy_arg: the policies' arguments of the command line.
        quiet: whether to say nothing.
    """
    engine, seed = options.get("engine", "auto"), options.get("seed", 0)
    arguments = _file_arguments(options, file)
    recipe, episodes = options.get("recipe"), options.get("episodes")
    names: list[str] = list(options.get("policy") or DEFAULT_POLICIES)
    envs: list[str | EnvVariant] = list(options.get("env") or [DEFAULT_ENV])
    if recipe is not None and not (file and file.recorded and "env" in options):
        if options.keys() & {"env", "policy", "name"}:
            raise RunError(
                "--recipe says which environments and policies: leave out --env, --policy and --name"
            )
        made = make_recipe(recipe, engine, arguments, episodes)
        names, envs, arguments = list(made.policies), list(made.envs), made.arguments
        for note in made.notes:
            say(f"Note: {note}", quiet)
    labels = _labels(names, options.get("name"))
    policy_arguments = {**options.get("policy_arg", {})}
    for label, own in read_policy_arguments(policy_arg, labels).items():
        policy_arguments[label] = {**policy_arguments.get(label, {}), **own}
    return make_plan(
        envs,
        dict(zip(labels, names, strict=True)),
        20 if episodes is None else episodes,
        seed=seed,
        engine=_engine(engine, seed, options, file is not None and base_url is None),
        policy_arguments=policy_arguments,
        env_arguments=arguments,
        recipe=recipe,
    )


def _file_arguments(options: Mapping[str, Any], file: ConfigFile | None) -> dict[str, Any]:
    """Return the environments' arguments; a file may give ``source`` and ``split`` apart from the others."""
    arguments = dict(options.get("arg", {}))
    for name in ("source", "split"):
        if name in options:
            if file is not None and name in file.options.get("arg", {}):
                raise RunError(f"{file.path}: {name}: it stands in arg too; leave out one of the two")
            arguments.setdefault(name, options[name])
    return arguments


def _prices(path: Path, plan: Plan) -> Prices:
    """Return the prices of a file, which has to know the run's model."""
    prices = read_prices(path)
    model = getattr(plan.policies[0].engine, "model", None)
    if model not in prices.models:
        asked = f"the model is {model}" if model else "no language model is asked (--engine llm asks one)"
        raise RunError(f"--prices {path}: {asked}, and it has {', '.join(prices.models) or 'none'}")
    return prices


def _ask_first(plan: Plan, there: Collection[Key], prices: Prices | None) -> None:
    """Ask before a run that makes many calls to a server elsewhere.

    Raises:
        RunError: when there is nobody to ask.
        typer.Exit: when the answer is no.
    """
    found = estimate(plan, [key for key in planned_keys(plan.settings) if key not in there], say)
    if found is None:
        return
    text = (
        f"This run is going to make about {_about(found.calls)} calls to {found.address}: about "
        f"{_about(found.prompt_tokens)} tokens in and {_about(found.completion_tokens)} out"
    )
    if prices is not None:
        model = getattr(plan.policies[0].engine, "model", "")
        cost = prices.cost(model, found.prompt_tokens, found.completion_tokens)
        text += f", about {cost or 0:.2f} at the prices of {prices.path}"
    if not sys.stdin.isatty():
        raise RunError(f"{text}. Give --yes to go on without a question, or fewer --episodes")
    say(f"{text}. Replies that are kept from before cost nothing.")
    if not typer.confirm("Go on?", err=True):
        say("Nothing was run.")
        raise typer.Exit(1)


def _about(number: int) -> str:
    """Return a number to two digits, more of which an estimate does not have."""
    return f"{round(number, 2 - len(str(number))):,}"


def _labels(policies: list[str], given: list[str] | None) -> list[str]:
    """Return what each policy is called in the run.

    Raises:
        RunError: when not every policy has its own name.
    """
    labels = given or policies
    if len(labels) != len(policies):
        raise RunError(
            f"--name: {len(labels)} names for {len(policies)} policies; give one for each --policy, in its order"
        )
    for label in labels:
        if labels.count(label) > 1:
            raise RunError(f"the policy {label!r} was given twice; tell them apart with --name")
    return labels


def _engine(name: str, seed: int, given: Mapping[str, Any], from_file: bool) -> EngineLike:
    """Return the engine; it gets no key where its address stands in a file alone."""
    options = {key: given[key] for key in MODEL_OPTIONS if key in given}
    for option in options:
        takers = [engine for engine, own in ENGINE_OPTIONS.items() if option in own] or MODELS
        if name not in takers:
            raise RunError(
                f"--{option.replace('_', '-')} is for --engine {' or '.join(takers)}; the engine is {name!r}"
            )
    if name not in MODELS:
        return name
    from atommem_env.llm import ChatSettings, LocalSettings

    if name == LOCAL:
        for option in ("temperature", "top_p"):
            if option in options and options[option] is None:
                said = option.replace("_", "-")
                raise RunError(f"--{said} none: with --engine local there is no server; give a number")
    elif from_file and options.get("base_url") is not None:
        options["api_key_variable"] = NO_KEY
    defaults = {"seed": given.get("engine_seed", seed), "cache": replies_folder()}
    kind = ChatSettings if name == LLM else LocalSettings
    return kind.from_environment(**{**defaults, **options})


def _number_or_none(option: str, said: str) -> float | None:
    if said.lower() == "none":
        return None
    try:
        return float(said)
    except ValueError:
        raise RunError(f"{option} {said}: expected a number, or none to leave it to the server") from None


def _execute(plan: Plan, folder: Path, quiet: bool, options: dict[str, Any]) -> Run:
    try:
        return execute(
            plan, out=folder, progress=not quiet, say=functools.partial(say, quiet=quiet), **options
        )
    except KeyboardInterrupt:
        say(
            f"\nStopped: {_count(folder)} of {plan.total} episodes are in {folder}. The same command goes on."
        )
        raise typer.Exit(130) from None
    except EpisodeError as error:
        raise EpisodeError(
            f"{error}\n{_count(folder)} of {plan.total} episodes are in {folder}; the same command goes on"
        ) from error


def _count(folder: Path) -> int:
    return len(_episodes_in(folder))


def _episodes_in(folder: Path) -> set[Key]:
    return set(map(episode_key, read_episodes(folder))) if folder.is_dir() else set()
