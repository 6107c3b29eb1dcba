"""A run as one HTML page: every episode in a table, and each of them step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias, cast

import gymnasium as gym

from atommem_env._version import __version__
from atommem_env.core.checks import one_of
from atommem_env.core.types import Metrics
from atommem_env.credit import CREDIT_SCORES
from atommem_env.env import MemoryEnv
from atommem_env.evidence import STAGES, mean_share
from atommem_env.report.summary import Row, by_environment, summarise
from atommem_env.report.tables import footnotes
from atommem_env.runs.errors import RunError
from atommem_env.runs.forms import EpisodeRecord
from atommem_env.runs.keys import episode_key
from atommem_env.runs.recorded import RecordedRun
from atommem_env.runs.traces import Replayed, replay_run
from atommem_env.scoring import SCORES
from atommem_env.viewer.credit import add_values
from atommem_env.viewer.page import blob, page
from atommem_env.viewer.steps import episode_data, task_data

_COSTS: Final = ("calls", "prompt_tokens", "completion_tokens", "cached")
_NO_TRACE: Final = (
    "The run's folder has no trace of this episode. A run keeps traces unless it is told not to: repeat its command "
    "without --no-traces into another folder, and view that one."
)
_NO_STEPS: Final = (
    "Its actions are texts, or its environment is not one of this package's: the page can show its outcome only. "
    "Its trace is in the run's folder."
)
_ROW: Final = (
    "engine",
    "episodes",
    "questions",
    "uses_buffer",
    "funnel",
    "memory_peak",
    "steps",
    "refused",
)


PageKey: TypeAlias = "tuple[int, str, str, int]"
"""What an episode of several runs is known by: its run's place among them, and its key in its run."""


def view_page(
    runs: RecordedRun | Sequence[RecordedRun],
    envs: Sequence[str] = (),
    policies: Sequence[str] = (),
    task_index: int | None = None,
    advance: Callable[[], None] = lambda: None,
    credit: str | None = None,
    without: dict[PageKey, str] | None = None,
    uncredited: dict[PageKey, str] | None = None,
) -> str:
    """Return the page of one or several runs: one HTML document, which needs no other file and no network.

    Each episode is made again from its stored trace. One that cannot be is there without its steps, and the page
    says why. Episodes of several runs on one task, of the same data, can be set side by side.

    Args:
        runs: runs in folders; they may be unfinished.
        envs: the names of the environments to show; none: all.
        policies: the names of the policies to show; none: all.
        task_index: the task to show; ``None``: all.
        advance: called for each episode that was made again.
        credit: the score whose change each write is shown with, one of :data:`atommem_env.credit.CREDIT_SCORES`; the
            policies are run again for it. ``None``: writes are shown without a value.
        without: gets, for each episode that is shown without its steps, why.
        uncredited: gets, for each episode whose writes are shown without the values that ``credit`` asks for, why.

    Raises:
        RunError: when a run is in memory only, has no such environment, policy or episode, or its traces are
            damaged.
        ValueError: when there is no such score.
    """
    if credit is not None:
        one_of("credit", credit, CREDIT_SCORES)
    chosen = [
        replace(run, episodes=run.select(envs, policies, task_index))
        for run in ([runs] if isinstance(runs, RecordedRun) else runs)
    ]
    for run in chosen:
        if run.folder is None:
            raise RunError("this run is in memory only: a page is made of a run in a folder (out=)")
        if not run.episodes:
            raise RunError(
                f"{run.folder} holds no such episode: leave out a filter, or go on with `atommem run`"
            )
    sheet = _Sheet(chosen)
    packed = _Packed(sheet, credit)
    packed.pack(advance)
    if without is not None:
        without |= packed.reasons
    if uncredited is not None:
        uncredited |= packed.uncredited
    name = ", ".join(run.folder.resolve().name for run in chosen if run.folder is not None)
    return page(f"{name}: atommem", {"name": name, **_table_data(sheet, packed)}, packed.blobs.items())


class _Sheet:
    """The episodes of several runs as one table has them.

    Attributes:
        runs: the runs.
        groups: the rows of each environment, of one source and with questions shown at the same time.
        episodes: the episodes by what they are known by.
    """

    def __init__(self, runs: Sequence[RecordedRun]) -> None:
        self.runs = runs
        self.groups = by_environment(summarise(runs))
        self._rows = {
            (row.run, row.env, row.policy): (number, row)
            for number, group in enumerate(self.groups)
            for row in group
        }
        self.episodes: dict[PageKey, EpisodeRecord] = {
            (number, *episode_key(episode)): episode
            for number, run in enumerate(runs)
            for episode in run.episodes
        }

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        return [row for group in self.groups for row in group]

    def row(self, key: PageKey) -> Row:
        """Return the row of an episode."""
        return self._rows[key[:3]][1]

    def task(self, key: PageKey) -> tuple[int, int]:
        """Return what an episode's task is known by: the place of its group, and its index."""
        return self._rows[key[:3]][0], key[3]


class _Packed:
    """The episodes of a sheet and their tasks, packed for the page.

    Args:
        sheet: the episodes.
        credit: the score whose change each write is packed with; ``None``: no value.

    Attributes:
        blobs: the packed tasks and episodes, by name.
        reasons: for each episode that is not packed, why.
        uncredited: for each episode that is packed without the values of its writes, why, where they are asked for.
    """

    def __init__(self, sheet: _Sheet, credit: str | None) -> None:
        self._sheet = sheet
        self._credit = credit
        self.blobs: dict[str, bytes] = {}
        self.reasons: dict[PageKey, str] = dict.fromkeys(sheet.episodes, _NO_TRACE)
        self.uncredited: dict[PageKey, str] = {}
        self._names = {key: f"e{number}" for number, key in enumerate(sheet.episodes)}
        tasks = dict.fromkeys(map(sheet.task, sheet.episodes))
        self._task_names = {key: f"t{number}" for number, key in enumerate(tasks)}

    def pack(self, advance: Callable[[], None]) -> None:
        """Make the episodes again, and pack each."""
        for number, run in enumerate(self._sheet.runs):
            for env in run.settings["envs"]:
                episodes = [episode for episode in run.episodes if episode["env"] == env["name"]]
                try:
                    for replayed in replay_run(run, episodes):
                        self._add((number, *episode_key(replayed.episode)), replayed)
                        advance()
                except (ValueError, OSError, ImportError, gym.error.Error) as error:  # its data are gone
                    for key in ((number, *episode_key(episode)) for episode in episodes):
                        if key in self.reasons:
                            self.reasons[key] = str(error)

    def episode(self, key: PageKey) -> str | None:
        """Return the name of an episode's blob."""
        return self._there(self._names[key])

    def task(self, key: tuple[int, int]) -> str | None:
        """Return the name of a task's blob."""
        return self._there(self._task_names[key])

    def _there(self, name: str) -> str | None:
        return name if name in self.blobs else None

    def _add(self, key: PageKey, replayed: Replayed) -> None:
        trace, env = replayed.trace, replayed.env.unwrapped
        if trace is None:
            self.reasons[key] = str(replayed.error)
        elif not isinstance(env, MemoryEnv) or not isinstance(trace.observations[0], Mapping):
            self.reasons[key] = _NO_STEPS
        else:
            name = self._task_names[self._sheet.task(key)]
            if name not in self.blobs:
                self.blobs[name] = blob(task_data(env.task))
            data = episode_data(
                trace, env.task, env.dataset.word_shares, evidence=not _uses_buffer(replayed.episode)
            )
            if self._credit is not None:
                add_values(data, self._sheet.runs[key[0]], replayed.env, trace, key[2], self._credit)
                if "why" in data["credit"]:
                    self.uncredited[key] = data["credit"]["why"]
            self.blobs[self._names[key]] = blob(data)
            del self.reasons[key]


def _uses_buffer(episode: EpisodeRecord) -> bool:
    """Return whether the policy of an episode keeps text outside memory: its evidence is null in the record."""
    return any(
        question["num_evidence"] and question["evidence"]["seen"] is None
        for question in episode["metrics"]["questions"]
    )


# --- the table's data -------------------------------------------------------------------------------


def _table_data(sheet: _Sheet, packed: _Packed) -> dict[str, Any]:
    """Return what the page shows before anything is unpacked."""
    tasks = {sheet.task(key): episode for key, episode in sheet.episodes.items()}
    task_numbers = {key: number for number, key in enumerate(tasks)}
    costs = {
        (number, *episode_key(timing)): {name: timing[name] for name in _COSTS if name in timing}
        for number, run in enumerate(sheet.runs)
        for timing in run.timings
    }
    return {
        "version": __version__,
        "notes": footnotes(sheet.rows, sheet.runs, wide=True),
        "envs": _envs(sheet),
        "summary": [
            {"env": number, **_row_data(row)} for number, group in enumerate(sheet.groups) for row in group
        ],
        "tasks": [
            {
                "env": env,
                "index": index,
                "id": episode["task_id"],
                "blob": packed.task((env, index)),
                "questions": [
                    {
                        "question": question["question"],
                        "answers": question["answers"],
                        "evidence": question["num_evidence"],
                        **({"type": question["type"]} if question.get("type") else {}),
                        **({"unanswerable": True} if question.get("answerable") is False else {}),
                    }
                    for question in episode["metrics"]["questions"]
                ],
            }
            for (env, index), episode in tasks.items()
        ],
        "episodes": [
            {
                "task": task_numbers[sheet.task(key)],
                "policy": sheet.row(key).name,
                "engine": episode["engine"],
                "blob": packed.episode(key),
                "why": packed.reasons.get(key),
                "costs": costs.get(key, {}),
                **_metrics(episode["metrics"]),
            }
            for key, episode in sheet.episodes.items()
        ],
    }


def _envs(sheet: _Sheet) -> list[dict[str, Any]]:
    """Return what the page says of each group: a name that no other has, and its data."""
    labels = [group[0].label for group in sheet.groups]
    made = []
    for label, group in zip(labels, sheet.groups, strict=True):
        first = group[0]
        alone = labels.count(label) == 1
        record = next(env for env in sheet.runs[first.run].settings["envs"] if env["name"] == first.env)
        settings = ", ".join([first.env, *first.settings])
        made.append(
            {
                "name": settings if alone else f"{settings}, {first.source}, {first.questions_shown}",
                "label": label if alone else f"{label}, {first.source}",
                "generated": first.generated,
                "source": first.source,
                "shown": first.questions_shown,
                "arguments": ", ".join(
                    f"{name}={json.dumps(value, ensure_ascii=False)}"
                    for name, value in record["arguments"].items()
                ),
            }
        )
    return made


def _row_data(row: Row) -> dict[str, Any]:
    """Return a line of the summary; a score is ``[mean, low, high]``, the bounds null where there is no interval."""
    data = {name: getattr(row, name) for name in _ROW}
    data["policy"] = row.name
    data["scores"] = {name: [score.mean, score.low, score.high] for name, score in row.scores.items()}
    return data


def _metrics(metrics: Metrics) -> dict[str, Any]:
    """Return what the table shows of an episode's metrics; evidence is ``None`` where it says nothing."""
    questions = [
        {
            "prediction": question["prediction"],
            **_scores(question),
            "evidence": _stages(cast("Mapping[str, float | None]", question["evidence"])),
        }
        for question in metrics["questions"]
    ]
    return {
        **_scores(metrics),
        **{name: metrics[name] for name in ("steps", "looks", "memory_peak")},
        "refused": sum(metrics["refused"].values()),
        "evidence": _stages({stage: mean_share(metrics, stage) for stage in STAGES}),
        "questions": questions,
    }


def _scores(scored: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of an episode or a question: those that it has."""
    return {name: scored[name] for name in (*SCORES, "official") if scored.get(name) is not None}


def _stages(evidence: Mapping[str, float | None]) -> dict[str, float] | None:
    """Return the stages' shares, ``None`` where they say nothing: they are null together."""
    return {stage: value for stage in STAGES if (value := evidence[stage]) is not None} or None
