"""A run as Python sees it: its settings and its episodes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atommem_env.runs.folder import in_order, read_episodes, read_settings


@dataclass(frozen=True)
class Run:
    """Many episodes of policies on environments.

    Attributes:
        settings: everything needed to repeat it, as in ``run.json``.
        episodes: the records of its episodes, as in ``episodes.jsonl``: ``env``, ``policy``, ``engine``,
            ``task_id``, ``task_index``, ``source`` and ``metrics``.
        folder: where it is, ``None`` when it is in memory only.
    """

    settings: Mapping[str, Any]
    episodes: list[dict[str, Any]]
    folder: Path | None = None

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Run:
        """Read a run's folder; it may be unfinished, or be written at this moment.

        Raises:
            RunError: when it is no run's folder, or a file in it is broken.
        """
        settings = read_settings(folder)
        return cls(settings, in_order(settings, read_episodes(folder)), Path(folder))

    @property
    def total(self) -> int:
        """The number of episodes that the run has when it is finished."""
        settings = self.settings
        return len(settings["envs"]) * len(settings["policies"]) * int(settings["episodes"])

    def table(self, format: str = "terminal", wide: bool = False) -> str:
        """Return the run's table.

        Args:
            format: ``"terminal"`` (plain text of 120 columns), ``"markdown"`` or ``"csv"``.
            wide: whether to show all columns.

        Raises:
            ValueError: when there is no such format.
        """
        from atommem_env.runs.table import table

        return table([self], format, wide)

    def __str__(self) -> str:
        return self.table()
