"""The command ``atommem``."""

from __future__ import annotations

import importlib.util
import sys


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
    from atommem_env.runs.commands import app

    app(prog_name="atommem")


if __name__ == "__main__":
    main()
