"""The commands of ``atommem``: ``envs``, ``run``, ``table``, ``show`` and ``bench``."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import gymnasium as gym
import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from atommem_env._version import __version__
from atommem_env.registration import ENVS
from atommem_env.runs.arguments import REQUIRED, Argument, env_arguments, find_spec
from atommem_env.runs.console import complain, output, print_lines, say, warnings_as_notes
from atommem_env.runs.errors import EpisodeError, RunError
from atommem_env.runs.evaluation import Plan, execute, make_plan
from atommem_env.runs.execution import Runner
from atommem_env.runs.folder import read_episodes
from atommem_env.runs.recipes import EnvRecipe, PolicyRecipe, env_recipes, policy_recipes
from atommem_env.runs.run import Run
from atommem_env.runs.show import View, episode_lines, parse_steps, recipes_of
from atommem_env.runs.table import FORMATS, table, terminal_lines

if TYPE_CHECKING:
    from atommem_env.bench.suite import Result

DEFAULT_ENV: Final = "AtomMem-HotpotQA-v0"
DEFAULT_POLICIES: Final = ("closed-book", "write-nothing", "memagent", "rag", "oracle")

app = typer.Typer(
    name="atommem",
    help="Policies that read a long text, edit their own memory, and answer from it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_Function = TypeVar("_Function", bound=Callable[..., None])

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the table only: no progress bar, no notes.")]
Source = Annotated[
    str | None,
    typer.Option(
        help="Where the data comes from: the path of an official file or folder, hub, generated, or auto "
        "(official files under $ATOMMEM_DATA, else the hub's local cache, else generated data).",
        metavar="PATH|hub|generated|auto",
        show_default="auto",
    ),
]
Split = Annotated[
    str | None, typer.Option(help="train, validation or test.", metavar="NAME", show_default="validation")
]
Arguments = Annotated[
    list[str] | None,
    typer.Option(
        "--arg",
        help="An argument of the environment, for example num_docs=50 or num_questions=[1,4]; `atommem envs ID` "
        "lists them. Repeatable.",
        metavar="KEY=VALUE",
    ),
]
PolicyArguments = Annotated[
    list[str] | None,
    typer.Option(
        "--policy-arg",
        help="An argument of a policy, for example rag.k=12. Repeatable.",
        metavar="NAME.KEY=VALUE",
    ),
]
Engine = Annotated[str, typer.Option(help="What does the policies' language work.", metavar="NAME")]
Seed = Annotated[int, typer.Option(help="The policies' seed.", metavar="S")]


def _command(function: _Function) -> _Function:
    """Turn a user's errors into one message and exit status 2, and warnings into notes."""

    @functools.wraps(function)
    def wrapper(*args: Any, **named: Any) -> None:
        try:
            with warnings_as_notes(bool(named.get("quiet"))):
                function(*args, **named)
        except (ValueError, OSError, ImportError, EpisodeError, gym.error.Error) as error:
            if named.get("debug"):
                raise
            complain(str(error) or type(error).__name__)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            say("Stopped.")
            raise typer.Exit(130) from None

    return wrapper  # type: ignore[return-value]


def _version(value: bool) -> None:
    if value:
        print(f"atommem_env {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


# --- atommem envs -----------------------------------------------------------------------------------


@app.command("envs")
@_command
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
        sheet.add_row(f"[bold]{id}[/bold]", *(escape(cell) for cell in _env_cells(id)))
    console.print(sheet)
    console.print(
        "tasks: how many an epoch has with the default arguments. For the arguments: atommem envs ID",
        style="dim",
    )


def _env_cells(id: str) -> tuple[str, ...]:
    if id == "AtomMem-Custom-v0":
        return "your own data, from Python", "", "", "", ""
    try:
        benchmark = getattr(_env_class(find_spec(id)), "benchmark", None)
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
    console.print(f"[bold]{spec.id}[/bold]  {escape(summary[0] if summary else '')}")
    benchmark = getattr(creator, "benchmark", None)
    if benchmark is not None:
        for line in (
            benchmark.citation,
            benchmark.homepage,
            benchmark.licence and f"licence {benchmark.licence}",
        ):
            if line:
                console.print(line, style="dim")
    sheet = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    sheet.add_column("argument", style="bold", no_wrap=True)
    sheet.add_column("default", overflow="fold", max_width=28)
    sheet.add_column("what it does")
    for argument in env_arguments(spec).values():
        sheet.add_row(argument.name, escape(_default(argument)), escape(argument.help))
    console.print(sheet)
    console.print(
        f"For example: atommem run --env {spec.id} --arg num_docs=50 --arg 'num_questions=[1,4]'", style="dim"
    )


def _default(argument: Argument) -> str:
    if argument.default is REQUIRED:
        return "(required)"
    default = argument.default
    return (
        json.dumps(default)
        if isinstance(default, (str, int, float, list, tuple, type(None)))
        else repr(default)
    )


# --- atommem run ------------------------------------------------------------------------------------


@app.command("run")
@_command
def run_command(
    env: Annotated[
        list[str] | None,
        typer.Option(help="An environment's id. Repeatable.", metavar="ID", show_default=DEFAULT_ENV),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="A policy: closed-book, random, write-nothing, write-everything, memagent, rag, oracle, or your "
            "own as module:Class. Repeatable.",
            metavar="NAME",
            show_default=", ".join(DEFAULT_POLICIES),
        ),
    ] = None,
    source: Source = None,
    split: Split = None,
    arg: Arguments = None,
    policy_arg: PolicyArguments = None,
    engine: Engine = "rules",
    episodes: Annotated[int, typer.Option(help="Run the task indices 0 to N-1.", metavar="N")] = 20,
    seed: Seed = 0,
    jobs: Annotated[
        int, typer.Option(help="Processes; 0: one per core. The result is the same.", metavar="J")
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The run's folder. The same command goes on where it stopped.",
            metavar="RUN",
            show_default="runs/<name from the settings>",
        ),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run policies on environments and print the table.

    Ctrl-C stops a run; [bold]the same command goes on with it[/bold].

    [dim]Examples:[/dim]

      atommem run

      atommem run --source hotpot_dev_distractor_v1.json --policy rag --policy oracle --episodes 50

      atommem run --env AtomMem-World-v0 --arg num_docs=50 --policy my_module:MyPolicy --jobs 0 --out runs/mine
    """
    names = list(policy or DEFAULT_POLICIES)
    plan = make_plan(
        list(env or [DEFAULT_ENV]),
        names,
        episodes,
        seed=seed,
        engine=engine,
        policy_arguments=_policy_arguments(policy_arg or (), names),
        env_arguments=_env_arguments(arg or (), source, split),
    )
    for note in plan.notes:
        say(f"Note: {note}", quiet)
    folder = out if out is not None else Path("runs") / plan.name
    run = _execute(plan, jobs, folder, quiet)
    console = output()
    print_lines(terminal_lines([run], width=console.width), console)
    say(f"\nThe run is in {folder}", quiet)


def _execute(plan: Plan, jobs: int, folder: Path, quiet: bool) -> Run:
    try:
        return execute(plan, jobs, folder, not quiet, functools.partial(say, quiet=quiet))
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
    return len(read_episodes(folder)) if folder.is_dir() else 0


def _env_arguments(given: Sequence[str], source: str | None, split: str | None) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for text in given:
        key, value = _key_value("--arg", text, "num_docs=50")
        _add(arguments, key, value, "--arg")
    for name, option in (("source", source), ("split", split)):
        if option is not None:
            _add(arguments, name, option, f"--{name}")
    return arguments


def _policy_arguments(given: Sequence[str], policies: Sequence[str]) -> dict[str, dict[str, Any]]:
    arguments: dict[str, dict[str, Any]] = {}
    for text in given:
        key, value = _key_value("--policy-arg", text, "rag.k=12")
        owner = next((name for name in policies if key.startswith(f"{name}.")), None)
        if owner is None:
            raise RunError(
                f"--policy-arg {text}: expected NAME.KEY=VALUE, NAME being one of {', '.join(policies)}"
            )
        _add(arguments.setdefault(owner, {}), key[len(owner) + 1 :], value, "--policy-arg")
    return arguments


def _key_value(option: str, text: str, example: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RunError(f"{option} {text!r}: expected KEY=VALUE, for example {example}")
    try:
        return key.strip(), json.loads(value)
    except ValueError:
        return key.strip(), value


def _add(arguments: dict[str, Any], key: str, value: Any, option: str) -> None:
    if key in arguments:
        raise RunError(f"{option}: the argument {key!r} was given twice")
    arguments[key] = value


# --- atommem table ----------------------------------------------------------------------------------


@app.command("table")
@_command
def table_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.", metavar="RUN", show_default=False)],
    format: Annotated[
        str | None,
        typer.Option(
            help="terminal, markdown or csv.",
            metavar="FORMAT",
            show_default="terminal, or by the name of --out",
        ),
    ] = None,
    wide: Annotated[bool, typer.Option("--wide", help="Show all columns.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the table to this file.", metavar="FILE")] = None,
    debug: Debug = False,
) -> None:
    """Print one table of one or many runs, finished or not.

    [dim]Example:[/dim]  atommem table runs/a runs/b --format markdown --out results.md
    """
    suffix = "" if out is None else out.suffix.lower()
    chosen = format or {".md": "markdown", ".csv": "csv"}.get(suffix, "terminal")
    if chosen not in FORMATS:
        raise RunError(f"--format {chosen}: expected one of {', '.join(FORMATS)}")
    loaded = [Run.load(folder) for folder in runs]
    if not any(run.episodes for run in loaded):
        raise RunError("there is no finished episode yet: go on with `atommem run`, then ask for the table")
    if out is not None:
        out.write_text(table(loaded, chosen, wide), encoding="utf-8")
        say(f"The table is in {out}")
    elif chosen == "terminal":
        console = output()
        print_lines(terminal_lines(loaded, wide, console.width), console)
    else:
        sys.stdout.write(table(loaded, chosen, wide))


# --- atommem show -----------------------------------------------------------------------------------


@app.command("show")
@_command
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
        typer.Option(help="What does the policy's language work.", metavar="NAME", show_default="rules"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The policy's seed.", metavar="S", show_default="0")
    ] = None,
    debug: Debug = False,
) -> None:
    """Run one episode again and show it step by step.

    [dim]Examples:[/dim]

      atommem show runs/mine --policy rag --task-index 3 --gold

      atommem show --env AtomMem-World-v0 --policy memagent --arg num_docs=20 --steps 2:4
    """
    first, last = parse_steps(steps)
    if task_index < 0:
        raise RunError(f"--task-index {task_index}: expected a whole number of at least 0")
    recorded: Run | None = None
    if run is None:
        name = policy or "rag"
        (env_recipe,) = env_recipes(env or DEFAULT_ENV, _env_arguments(arg or (), source, split))
        (policy_recipe,) = policy_recipes(
            name, engine or "rules", seed or 0, _policy_arguments(policy_arg or (), [name])
        )
    else:
        given = {"--source": source, "--split": split, "--arg": arg, "--policy-arg": policy_arg}
        _refuse_with_run({**given, "--engine": engine, "--seed": seed})
        recorded = Run.load(run)
        env_recipe, policy_recipe = recipes_of(recorded, env, policy)
    _show(env_recipe, policy_recipe, task_index, (first, last), gold, full, recorded)


def _refuse_with_run(options: Mapping[str, object]) -> None:
    for name, value in options.items():
        if value not in (None, []):
            raise RunError(
                f"{name} is not for an episode of a run, whose record says it; leave out one of the two"
            )


def _show(
    env: EnvRecipe,
    policy: PolicyRecipe,
    task_index: int,
    steps: tuple[int, int | None],
    gold: bool,
    full: bool,
    recorded: Run | None,
) -> None:
    policy.make()  # refuses an unknown name before the data is opened
    runner = Runner([env], [policy])
    trace, engine = runner.trace((env.id, policy.name, task_index))
    runner.close()
    title = f"{policy.name} on {env.id}" + (f" with engine {engine}" if engine else "")
    console = output()
    threshold = float(env.arguments.get("evidence_threshold", View.threshold))
    view = View(console.width, full, gold, steps[0], steps[1], threshold)
    print_lines(episode_lines(trace, title, view), console)
    key = (env.id, policy.name, task_index)
    for episode in () if recorded is None else recorded.episodes:
        if (episode["env"], episode["policy"], episode["task_index"]) == key and episode[
            "metrics"
        ] != trace.metrics:
            say(
                "Note: the record of this episode has other metrics: the package, the data or the policy has changed"
            )


# --- atommem bench ----------------------------------------------------------------------------------


@app.command("bench")
@_command
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

    if plot and out is None:
        raise RunError("--plot: say with --out FOLDER where the plots go")
    if plot:
        report.require_matplotlib()
    if "rollouts" in (part or ()) and encoder is None:
        raise RunError("--part rollouts: say with --encoder MODEL what the rollouts encode with")
    found: list[Result] = []

    def keep(result: Result) -> None:
        found[:] = [result]
        if out is not None:
            report.write(result, out, plot)

    try:
        run_suite(
            QUICK if quick else FULL,
            store,
            part or PARTS,
            source,
            seed,
            not quiet,
            encoder=encoder,
            keep=keep,
        )
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
