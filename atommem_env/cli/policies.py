"""``atommem policies``: the policies, and their arguments."""

from __future__ import annotations

import inspect
import json
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.table import Table

from atommem_env.cli.common import Debug, command
from atommem_env.cli.console import output
from atommem_env.core.config import close_match
from atommem_env.core.resolve import is_reference, resolve
from atommem_env.core.safe_text import markup, one_line
from atommem_env.registration import POLICIES
from atommem_env.runs.errors import RunError

_SHARED: Final = {
    "full_store": 'what a Create does when the store is full: null, what the environment says; "keep-best", makes '
    "room by that policy's rule",
    "second_look": 'what it does before an answer: null, nothing of its own; "bridge", looks once more for what its '
    "entries mention",
}
"""The arguments that every policy takes, and what they are."""

_RUNS: Final = ("engine", "seed")
"""What a policy gets from the run's own options."""


@command("policies")
def policies_command(
    name: Annotated[
        str | None, typer.Argument(help="Show this policy's arguments.", show_default=False)
    ] = None,
    debug: Debug = False,
) -> None:
    """List the policies, what they do, and their arguments.

    With a [bold]NAME[/bold], or module:Class of your own: its arguments, their defaults, and what it does.

    [dim]Examples:[/dim]

      atommem policies rag

      atommem run --policy rag --policy 'rag\\[second_look=bridge]'
    """
    if name is None:
        _list()
    else:
        _describe(name)


def _list() -> None:
    console = output()
    sheet = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("policy", "engine", "arguments", "what it does"):
        sheet.add_column(title, no_wrap=title == "policy")
    for name in POLICIES:
        made = _policy(name)
        parameters = _parameters(made)
        arguments = ", ".join(key for key in parameters if key not in _RUNS)
        sheet.add_row(
            f"[bold]{markup(name)}[/bold]",
            "yes" if "engine" in parameters else "",
            markup(arguments),
            markup(_summary(made)),
        )
    console.print(sheet)
    console.print(
        markup(
            f"All take {' and '.join(_SHARED)}. As in --policy 'rag[second_look=bridge]', or --policy-arg "
            "rag.second_look=bridge. For one: atommem policies NAME"
        ),
        style="dim",
    )


def _describe(name: str) -> None:
    if name not in POLICIES and not is_reference(name):
        raise RunError(
            f"policy {name!r}: no such policy{close_match(name, POLICIES)}; expected one of {', '.join(POLICIES)}, or "
            "your own as module:Class"
        )
    made = _policy(name)
    console = output()
    console.print(f"[bold]{markup(one_line(name))}[/bold]  {markup(_summary(made))}")
    about = inspect.getdoc(inspect.getmodule(made)) or ""
    for paragraph in about.split("\n\n")[1:]:
        console.print(markup(paragraph), style="dim")
    sheet = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    sheet.add_column("argument", style="bold", no_wrap=True)
    sheet.add_column("default", overflow="fold", max_width=28)
    sheet.add_column("what it does")
    help = _help(made)
    for key, parameter in _parameters(made).items():
        if key not in _RUNS:
            sheet.add_row(markup(key), markup(_default(parameter)), markup(help.get(key, "")))
    for key, text in _SHARED.items() if name in POLICIES else ():
        sheet.add_row(key, "null", markup(text))
    console.print(sheet)


def _policy(name: str) -> Any:
    return resolve(POLICIES.get(name, name))


def _parameters(made: Any) -> dict[str, inspect.Parameter]:
    """Return what a policy is made with; of one that is an object already, nothing."""
    if not callable(made):
        return {}
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(made).parameters
    return {name: parameter for name, parameter in found.items() if parameter.kind not in kinds}


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return "(required)"
    try:
        return json.dumps(parameter.default)
    except TypeError:
        return repr(parameter.default)


def _summary(made: Any) -> str:
    return (inspect.getdoc(made) or "").partition("\n")[0]


def _help(made: Any) -> dict[str, str]:
    """Return what the ``Args:`` section of a policy's docstring says of each argument, on one line."""
    lines = (inspect.getdoc(made) or "").splitlines()
    help: dict[str, str] = {}
    name = ""
    for line in lines[lines.index("Args:") + 1 :] if "Args:" in lines else []:
        if line.strip() and not line.startswith("    "):
            break
        head, colon, text = line.strip().partition(":")
        if colon and not line.startswith("     ") and head.isidentifier():
            name = head
            help[name] = text.strip()
        elif name:
            help[name] = f"{help[name]} {line.strip()}"
    return {key: text.replace("``", "") for key, text in help.items()}
