"""The command ``atommem``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import typer

COMMANDS: Final = (
    "atommem_env.runs.envs_command",
    "atommem_env.runs.run_command",
    "atommem_env.runs.table_command",
    "atommem_env.runs.judge_command",
    "atommem_env.runs.show_command",
    "atommem_env.runs.plot_command",
    "atommem_env.runs.view_command",
    "atommem_env.runs.replay_command",
    "atommem_env.runs.export_command",
    "atommem_env.runs.bench_command",
)
"""The modules of the commands, in the order in which ``atommem --help`` lists them."""


def application() -> typer.Typer:
    """Return the application with all its commands."""
    for module in COMMANDS:
        importlib.import_module(module)
    from atommem_env.runs.commands import app

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
    application()(prog_name="atommem")


if __name__ == "__main__":
    main()
