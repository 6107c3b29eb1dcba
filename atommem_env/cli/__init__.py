"""The command ``atommem``."""

from __future__ import annotations

import atexit
import gc
import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import typer

COMMANDS: Final = (
    "atommem_env.cli.envs",
    "atommem_env.cli.policies",
    "atommem_env.cli.run",
    "atommem_env.cli.table",
    "atommem_env.cli.compare",
    "atommem_env.cli.judge",
    "atommem_env.cli.show",
    "atommem_env.cli.leaderboard",
    "atommem_env.cli.plot",
    "atommem_env.cli.view",
    "atommem_env.cli.replay",
    "atommem_env.cli.export",
    "atommem_env.cli.convert",
    "atommem_env.cli.model",
)
"""The modules of the commands, in the order in which ``atommem --help`` lists them."""


def application(command: str | None = None) -> typer.Typer:
    """Return the application with all its commands, or with ``command`` alone where there is one of that name."""
    own = f"{__name__}.{command}"
    for module in (own,) if own in COMMANDS else COMMANDS:
        importlib.import_module(module)
    from atommem_env.cli.common import app

    return app


def main() -> None:
    """Run the command line; without its libraries, say how to install them.

    Raises:
        SystemExit: always; the status is 0, 2 after an error, 130 after Ctrl-C.
    """
    missing = [name for name in ("typer", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"atommem: the command line needs {' and '.join(missing)}: pip install 'atommem_env[cli]'",
            file=sys.stderr,
        )
        raise SystemExit(2)
    # A process that ends need not look through all that it has for what nobody needs.
    atexit.register(gc.freeze)
    # The modules and options of the other commands take longer than a short command.
    command = next(iter(sys.argv[1:]), None)
    application(command)(prog_name="atommem")
