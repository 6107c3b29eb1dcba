"""The tasks of a training with verl, as its dataset: ``python tasks_verl.py --source FOLDER [KEY=VALUE ...]``.

It writes ``train.parquet`` (the train splits, the benchmarks in turns) and ``validation.parquet``. Rows hold no text:
the rollout's environment makes a task's documents again. ``KEY=VALUE`` changes the task of ``task.yaml``.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from task import read_task

from atommem_env.integrations.verl import write_dataset


def main() -> None:
    """Write both files and say how many rows they have."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/paper/verl"))
    parser.add_argument("--source", default="hub", help="a folder with the official files, hub, or generated")
    parser.add_argument("--train", type=int, default=2048, help="tasks of each benchmark")
    parser.add_argument("--validation", type=int, default=50, help="tasks of each benchmark")
    parser.add_argument("change", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    envs, arguments = read_task(options.change)
    source = os.path.abspath(options.source) if os.path.exists(options.source) else options.source
    options.out.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", options.train), ("validation", options.validation)):
        path = options.out / f"{split}.parquet"
        rows = write_dataset(path, envs, range(count), split=split, source=source, **arguments)
        print(f"{path}: {rows} tasks")


if __name__ == "__main__":
    main()
