"""The task of the recipe, read from ``task.yaml``, with changes: ``python task.py num_docs=800 encoder=null``.

It prints options of ``atommem run``, one word to a line: ``--env`` for each benchmark, ``--arg`` for each argument.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent


def read_task(changes: Sequence[str] = ()) -> tuple[list[str], dict[str, Any]]:
    """Return the environments and their arguments.

    Args:
        changes: ``KEY=VALUE`` each, the value being JSON, else text; ``null`` leaves the argument to its default.
    """
    task = yaml.safe_load((FOLDER / "task.yaml").read_text(encoding="utf-8"))
    arguments = task["arguments"]
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise SystemExit(f"{change!r}: expected KEY=VALUE, for example num_docs=800")
        try:
            arguments[key] = json.loads(value)
        except ValueError:
            arguments[key] = value
    return task["envs"], {key: value for key, value in arguments.items() if value is not None}


def main() -> None:
    """Print the task as options of ``atommem run``."""
    envs, arguments = read_task(sys.argv[1:])
    for env in envs:
        print(f"--env\n{env}")
    for key, value in arguments.items():
        print(f"--arg\n{key}={value if isinstance(value, str) else json.dumps(value)}")


if __name__ == "__main__":
    main()
