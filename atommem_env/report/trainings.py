"""A training's folder as Python sees it: its settings, and what was measured on the way."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from atommem_env.core.safe_text import one_line
from atommem_env.runs.errors import RunError

CONFIG_FILE: Final = "config.json"
PROGRESS_FILE: Final = "progress.jsonl"

_FIELDS = ("phase", "decisions", "label", "seed", "train", "held_out")


@dataclass(frozen=True)
class Training:
    """What a training wrote into its folder.

    Attributes:
        folder: where it is.
        sources: by name, where the data came from that it was trained on, as in ``config.json``.
        records: what was measured, as in ``progress.jsonl``: ``phase`` (``"warm-start"`` or ``"rl"``),
            ``decisions`` (how many it had been trained on), ``label``, ``seed``, ``train`` (of the episodes that it
            was trained on: ``reward``, ``operations_per_step``) and ``held_out`` (by data, of episodes that it was
            not: ``kept``, ``read``, ``em``, ``return``, ``tasks``), in the order of ``decisions``.
    """

    folder: Path
    sources: Mapping[str, str]
    records: list[dict[str, Any]]

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Training:
        """Read a training's folder; it may be written at this moment.

        Raises:
            RunError: when it is not a training's folder, or a file in it is broken.
        """
        path = Path(folder)
        try:
            parts = json.loads((path / CONFIG_FILE).read_bytes())["sources"]
            sources = {one_line(name): one_line(str(part["fit"])) for name, part in parts.items()}
            lines = (path / PROGRESS_FILE).read_bytes().split(b"\n")[:-1]
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise RunError(
                f"{path} is not a training's folder ({type(error).__name__}: {error}): name one that a training wrote"
            ) from error
        records = [_record(path, number, line) for number, line in enumerate(lines, 1)]
        if not records:
            raise RunError(f"{path} has nothing to plot yet: wait until the training has measured something")
        return cls(path, sources, records)

    @property
    def label(self) -> str:
        """What was trained, such as ``"no scratchpad"``."""
        return one_line(str(self.records[-1]["label"]))

    @property
    def seed(self) -> int:
        """The seed of its training."""
        return int(self.records[-1]["seed"])

    def curve(self, measure: Callable[[Mapping[str, Any]], float | None]) -> dict[int, float]:
        """Return a measure of the records by the number of decisions, where it was taken."""
        values = {record["decisions"]: measure(record) for record in self.records}
        return {decisions: value for decisions, value in values.items() if value is not None}


def is_training(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder is a training's."""
    return (Path(folder) / PROGRESS_FILE).exists()


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
        complete = all(name in record for name in _FIELDS)
    except (ValueError, TypeError):
        complete = False
    if not complete:
        raise RunError(
            f"{path / PROGRESS_FILE}, line {number} is not a record of a training: expected a JSON object with "
            f"{', '.join(_FIELDS)}"
        )
    return dict(record)
