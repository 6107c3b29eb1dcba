"""The application ``atommem``, and what its commands share: options, and errors as messages.

Each command is a module ``<name>_command`` next to this one, listed in :mod:`atommem_env.cli`.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import gymnasium as gym
import typer

from atommem_env._version import __version__
from atommem_env.cli.console import complain, say, warnings_as_notes
from atommem_env.runs.arguments import parse_argument
from atommem_env.runs.errors import EpisodeError, ReplayError, RunError

if TYPE_CHECKING:
    from atommem_env.runs.run import Run

DEFAULT_ENV: Final = "AtomMem-HotpotQA-v0"
DEFAULT_POLICIES: Final = ("closed-book", "write-nothing", "memagent", "rag", "oracle")

app = typer.Typer(
    name="atommem",
    help="Policies that read a long text, edit their own memory, and answer from it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they hold keys
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_Function = TypeVar("_Function", bound=Callable[..., None])


def repeatable(name: str, help: str, metavar: str, default: str | None = None) -> Any:
    """Return an option that may be given several times, and says so.

    Args:
        name: the option's.
        help: what it is.
        metavar: what stands for its value.
        default: what holds without it, as the help says it.
    """
    return typer.Option(name, help=f"{help} Repeatable.", metavar=metavar, show_default=default or True)


RunFolder = Annotated[Path, typer.Argument(help="The folder of a run.", metavar="RUN", show_default=False)]
RunFolders = Annotated[list[Path], typer.Argument(help="Folders of runs.", metavar="RUN", show_default=False)]
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
    repeatable(
        "--arg",
        "An argument of the environment, for example num_docs=50 or num_questions=[1,4]; `atommem envs ID` lists them.",
        "KEY=VALUE",
    ),
]
PolicyArguments = Annotated[
    list[str] | None,
    repeatable("--policy-arg", "An argument of a policy, for example rag.k=12.", "NAME.KEY=VALUE"),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Let the run's record name code (module:name), models and addresses, and use them. Without it, looking "
        "at a run uses this package's own names alone.",
    ),
]
RecordedAddress = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        help="With --trust: the address of the run's engine, if $OPENAI_API_KEY may be sent there.",
        metavar="URL",
        show_default="no key is sent",
    ),
]
OnlyEnvs = Annotated[
    list[str] | None,
    repeatable("--env", "Only this environment of the run, or all with this id.", "NAME", default="all"),
]
OnlyPolicies = Annotated[
    list[str] | None, repeatable("--policy", "Only this policy of the run.", "NAME", default="all")
]

PriceFile = Annotated[
    Path | None,
    typer.Option(
        "--prices",
        help="A JSON file with your prices of a million tokens by model, for a column of costs: "
        '{"my-model": {"in": 0.15, "out": 0.6, "cached": 0.075}}.',
        metavar="FILE",
    ),
]
OnlyTask = Annotated[
    int | None, typer.Option("--task-index", help="Only this task.", metavar="I", show_default="all")
]


def command(name: str) -> Callable[[_Function], _Function]:
    """Make a function the command ``name``: a user's errors become one message and exit status 2, warnings notes."""

    def register(function: _Function) -> _Function:
        @functools.wraps(function)
        def wrapper(*args: Any, **named: Any) -> None:
            try:
                with warnings_as_notes(bool(named.get("quiet"))):
                    function(*args, **named)
            except (ValueError, OSError, ImportError, EpisodeError, ReplayError, gym.error.Error) as error:
                from atommem_env.llm.secrets import mask, mask_error

                if named.get("debug"):
                    raise mask_error(error) from error.__cause__
                complain(mask(str(error)) or type(error).__name__)
                raise typer.Exit(2) from None
            except KeyboardInterrupt:
                say("Stopped.")
                raise typer.Exit(130) from None

        app.command(name)(wrapper)
        return function

    return register


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


def read_env_arguments(given: Sequence[str], source: str | None, split: str | None) -> dict[str, Any]:
    """Return the environments' arguments that the options ``--arg``, ``--source`` and ``--split`` give.

    Raises:
        RunError: when one has another form, or comes twice.
    """
    arguments: dict[str, Any] = {}
    for text in given:
        key, value = parse_argument("--arg", text, "num_docs=50")
        _add(arguments, key, value, "--arg")
    for name, option in (("source", source), ("split", split)):
        if option is not None:
            _add(arguments, name, option, f"--{name}")
    return arguments


def read_policy_arguments(given: Sequence[str], policies: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the arguments by policy that the option ``--policy-arg`` gives.

    Raises:
        RunError: when one has another form, comes twice, or is for none of ``policies``.
    """
    arguments: dict[str, dict[str, Any]] = {}
    for text in given:
        key, value = parse_argument("--policy-arg", text, "rag.k=12")
        owner = next((name for name in policies if key.startswith(f"{name}.")), None)
        if owner is None:
            raise RunError(
                f"--policy-arg {text}: expected NAME.KEY=VALUE, NAME being one of {', '.join(policies)}"
            )
        _add(arguments.setdefault(owner, {}), key[len(owner) + 1 :], value, "--policy-arg")
    return arguments


def choose(runs: Sequence[Run], envs: Sequence[str] | None, policies: Sequence[str] | None) -> list[Run]:
    """Return ``runs`` as if they were of these environments and policies alone; those that have none are left out.

    Raises:
        RunError: when there is a name that no run has, or none has both an environment and a policy of these.
    """
    if len(runs) == 1:
        return [runs[0].only(envs or (), policies or ())]
    for what, key, names in (("environment", "envs", envs), ("policy", "policies", policies)):
        known = {
            text
            for run in runs
            for record in run.settings[key]
            for text in (record["name"], record.get("id"))
        }
        for name in names or ():
            if name not in known:
                raise RunError(f"{what} {name!r} is in none of these runs")
    parts = [part for run in runs if (part := run.part(envs or (), policies or ())) is not None]
    if not parts:
        raise RunError("no run has such an environment and policy: leave out a filter")
    return parts


def use_working_folder() -> None:
    """Let ``module:name`` find modules in the working folder, after all that is installed."""
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


def _add(arguments: dict[str, Any], key: str, value: Any, option: str) -> None:
    if key in arguments:
        raise RunError(f"{option}: the argument {key!r} was given twice")
    arguments[key] = value
