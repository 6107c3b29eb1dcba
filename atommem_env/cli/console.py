"""How the command line speaks: results on standard output; notes and errors on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from atommem_env.core.safe_text import terminal
from atommem_env.data.sources import GeneratedDataWarning


def output(width: int | None = None) -> Console:
    """Return the console of results: as wide as the terminal, and 120 columns where there is none."""
    if width is None and not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        width = 120
    return Console(width=width, highlight=False, soft_wrap=False)


def table_width(console: Console) -> int | None:
    """Return into how many columns a table is to fit; ``None``, any number, where no terminal shows it."""
    return console.width if sys.stdout.isatty() or "COLUMNS" in os.environ else None


def print_lines(lines: Iterable[tuple[str, str]], console: Console) -> None:
    """Print pairs (style, text), one a line; a line is never broken."""
    for style, text in lines:
        console.print(Text(terminal(text), style=style), soft_wrap=True)


def say(text: str, quiet: bool = False) -> None:
    """Print a note on standard error, unless ``quiet``."""
    if not quiet:
        Console(stderr=True, highlight=False).print(Text(terminal(text), style="dim"), soft_wrap=True)


def complain(text: str) -> None:
    """Print an error on standard error."""
    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("Error: ", "bold red"), terminal(text)), soft_wrap=True)


@contextlib.contextmanager
def warnings_as_notes(quiet: bool = False) -> Iterator[None]:
    """Show warnings as notes, one line each, while the context lasts."""

    def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        say(f"Note: {message}", quiet)

    with warnings.catch_warnings():
        warnings.simplefilter("default", GeneratedDataWarning)
        warnings.showwarning = show
        yield
