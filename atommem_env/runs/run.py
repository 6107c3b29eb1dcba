"""A run as Python sees it: its settings and its episodes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atommem_env.runs.errors import RunError
from atommem_env.runs.folder import read_episodes, read_settings, read_timings
from atommem_env.runs.keys import Key, in_order, num_planned

if TYPE_CHECKING:
    from atommem_env.report.frames import Frames


@dataclass(frozen=True, repr=False)
class Run:
    """Many episodes of policies on environments.

    Attributes:
        settings: everything needed to repeat it, as in ``run.json``.
        episodes: the records of its episodes, as in ``episodes.jsonl``: ``env``, ``policy``, ``engine``,
            ``task_id``, ``task_index``, ``source`` and ``metrics``.
        folder: where it is, ``None`` when it is in memory only.
        timings: times and costs of its episodes, as in ``timing.jsonl``, as far as they are known, in any order.
        judgements: by episode, a judge's score of each answer in [0, 1] (see :mod:`atommem_env.runs.judge`), as far
            as it was asked.
        trust: whether its record may name more than this package's own, code and addresses, when it is looked at
            (see :mod:`atommem_env.runs.trust`).
        base_url: the address to which a key may be sent when a policy of it runs again; ``None``: none is sent.
    """

    settings: Mapping[str, Any]
    episodes: list[dict[str, Any]]
    folder: Path | None = None
    timings: list[dict[str, Any]] = field(default_factory=list)
    judgements: Mapping[Key, list[float]] = field(default_factory=dict)
    trust: bool = False
    base_url: str | None = None

    @classmethod
    def load(cls, folder: str | os.PathLike[str], trust: bool = False, base_url: str | None = None) -> Run:
        """Read a run's folder; it may be unfinished, or be written at this moment.

        Args:
            folder: the folder.
            trust: whether its record may name code and addresses that are used when the run is looked at.
            base_url: the address to which a key may be sent, if a policy runs again with the run's engine.

        Raises:
            RunError: when it is not a run's folder, or a file in it is broken.
        """
        from atommem_env.runs.judge import read_judgements

        settings = read_settings(folder)
        episodes = in_order(settings, read_episodes(folder))
        timings, judgements = read_timings(folder), read_judgements(folder, episodes)
        return cls(settings, episodes, Path(folder), timings, judgements, trust, base_url)

    @property
    def total(self) -> int:
        """The number of episodes that the run has when it is finished."""
        return num_planned(self.settings)

    def select(
        self,
        envs: Sequence[str] = (),
        policies: Sequence[str] = (),
        task_index: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return the records of the episodes of these environments and policies; without names, of all.

        Raises:
            RunError: when the run has no such environment or policy.
        """
        for what, records, names in (
            ("environment", self.settings["envs"], envs),
            ("policy", self.settings["policies"], policies),
        ):
            known = [record["name"] for record in records]
            for name in names:
                if name not in known:
                    raise RunError(f"{what} {name!r} is not in this run; it has {', '.join(known)}")
        return [
            episode
            for episode in self.episodes
            if (not envs or episode["env"] in envs)
            and (not policies or episode["policy"] in policies)
            and task_index in (None, episode["task_index"])
        ]

    def only(self, envs: Sequence[str] = (), policies: Sequence[str] = ()) -> Run:
        """Return the run as if it were of these environments and policies alone; without names, of all.

        Raises:
            RunError: when the run has no such environment or policy.
        """
        episodes = self.select(envs, policies)
        chosen = {
            key: [record for record in self.settings[key] if not names or record["name"] in names]
            for key, names in (("envs", envs), ("policies", policies))
        }
        return replace(self, settings={**self.settings, **chosen}, episodes=episodes)

    def part(self, envs: Sequence[str], policies: Sequence[str]) -> Run | None:
        """Return :meth:`only` those of these environments and policies that the run has, ``None`` when it has none."""
        names = [
            [name for name in wanted if any(record["name"] == name for record in self.settings[key])]
            for key, wanted in (("envs", envs), ("policies", policies))
        ]
        if (envs and not names[0]) or (policies and not names[1]):
            return None
        return self.only(*names)

    def table(self, format: str = "terminal", wide: bool = False) -> str:
        """Return the run's table.

        Args:
            format: ``"terminal"`` (plain text of 120 columns), ``"markdown"``, ``"latex"``, ``"html"``, ``"csv"`` or
                ``"json"``.
            wide: whether to show all columns.

        Raises:
            ValueError: when there is no such format.
        """
        from atommem_env.report.tables import table

        return table([self], format, wide)

    def plot(
        self,
        out: str | os.PathLike[str],
        kinds: Sequence[str] = (),
        formats: Sequence[str] = ("png",),
        bare: bool = False,
    ) -> list[Path]:
        """Draw the run's pictures, and return their files; see :func:`atommem_env.report.plots.plot`.

        Args:
            out: the folder they go to.
            kinds: ``"scores"``, ``"funnel"``, ``"operations"``, ``"memory"``, ``"calls"``, ``"documents"``,
                ``"operation-frequencies"``; without, all for which the run has data.
            formats: some of ``"png"``, ``"svg"`` and ``"pdf"``.
            bare: whether to leave out titles and notes, for a text that has its own.

        Raises:
            ValueError: when there is nothing to draw, or no such picture or format.
            ImportError: when Matplotlib is not installed; names the pip command.
        """
        from atommem_env.report.plots import plot

        return plot([self], out, kinds, formats, bare).files

    def to_pandas(self) -> Frames:
        """Return the run as tidy data frames: ``episodes``, ``questions`` and ``operations``.

        Raises:
            ImportError: when pandas is not installed.
        """
        from atommem_env.report.frames import frames

        return frames(self)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        where = "in memory" if self.folder is None else str(self.folder)
        return f"<Run {where}: {len(self.episodes)} of {self.total} episodes>"

    def _repr_html_(self) -> str:
        return self.table("html")
