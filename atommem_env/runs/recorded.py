"""What a run's folder holds: its settings and its episodes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atommem_env.runs.errors import RunError
from atommem_env.runs.folder import read_episodes, read_settings, read_timings
from atommem_env.runs.forms import JUDGEMENTS_FILE, EpisodeRecord, TimingRecord
from atommem_env.runs.keys import Key, in_order, num_planned

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, repr=False)
class RecordedRun:
    """Many episodes of policies on environments, as data: what tables, pictures and pages are made from.

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
    episodes: list[EpisodeRecord]
    folder: Path | None = None
    timings: list[TimingRecord] = field(default_factory=list)
    judgements: Mapping[Key, list[float]] = field(default_factory=dict)
    trust: bool = False
    base_url: str | None = None

    @classmethod
    def load(cls, folder: str | os.PathLike[str], trust: bool = False, base_url: str | None = None) -> Self:
        """Read a run's folder; it may be unfinished, or be written at this moment.

        Args:
            folder: the folder.
            trust: whether its record may name code and addresses that are used when the run is looked at.
            base_url: the address to which a key may be sent, if a policy runs again with the run's engine.

        Raises:
            RunError: when it is not a run's folder, or a file in it is broken.
        """
        settings = read_settings(folder)
        episodes = in_order(settings, read_episodes(folder))
        judgements: Mapping[Key, list[float]] = {}
        if os.path.lexists(Path(folder) / JUDGEMENTS_FILE):
            from atommem_env.runs.judge import read_judgements  # longer to import than most runs are to read

            judgements = read_judgements(folder, episodes)
        return cls(settings, episodes, Path(folder), read_timings(folder), judgements, trust, base_url)

    @property
    def total(self) -> int:
        """The number of episodes that the run has when it is finished."""
        return num_planned(self.settings)

    def select(
        self,
        envs: Sequence[str] = (),
        policies: Sequence[str] = (),
        task_index: int | None = None,
    ) -> list[EpisodeRecord]:
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

    def only(self, envs: Sequence[str] = (), policies: Sequence[str] = ()) -> Self:
        """Return the run as if it were of these environments and policies alone; without names, of all.

        An id stands for all of the run's environments that have it.

        Raises:
            RunError: when the run has no such environment or policy.
        """
        envs = self._with_id(envs)
        episodes = self.select(envs, policies)
        chosen = {
            key: [record for record in self.settings[key] if not names or record["name"] in names]
            for key, names in (("envs", envs), ("policies", policies))
        }
        return replace(self, settings={**self.settings, **chosen}, episodes=episodes)

    def part(self, envs: Sequence[str], policies: Sequence[str]) -> Self | None:
        """Return :meth:`only` those of these environments and policies that the run has, ``None`` when it has none."""
        names = [
            [name for name in wanted if any(record["name"] == name for record in self.settings[key])]
            for key, wanted in (("envs", self._with_id(envs)), ("policies", policies))
        ]
        if (envs and not names[0]) or (policies and not names[1]):
            return None
        return self.only(*names)

    def _with_id(self, names: Sequence[str]) -> list[str]:
        """Return ``names``, in the place of each that is an id the environments that have it."""
        named: dict[str, list[str]] = {}
        for record in self.settings["envs"]:
            named.setdefault(record.get("id", record["name"]), []).append(record["name"])
        known = {name for group in named.values() for name in group}
        return [found for name in names for found in ([name] if name in known else named.get(name, [name]))]

    def __repr__(self) -> str:
        where = "in memory" if self.folder is None else str(self.folder)
        return f"<{type(self).__name__} {where}: {len(self.episodes)} of {self.total} episodes>"
