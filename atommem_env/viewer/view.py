"""A run as one HTML page: every episode in a table, and each of them step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import gymnasium as gym

from atommem_env._version import __version__
from atommem_env.core.checks import one_of
from atommem_env.credit import SCORES as CREDITED
from atommem_env.env import MemoryEnv
from atommem_env.evidence import STAGES
from atommem_env.report.summary import Row, share, summarise
from atommem_env.report.tables import footnotes
from atommem_env.runs.errors import RunError
from atommem_env.runs.keys import Key, episode_key
from atommem_env.runs.run import Run
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
_SCORES: Final = ("em", "f1", "cover_em")
_ROW: Final = (
    "policy",
    "engine",
    "episodes",
    "questions",
    "uses_buffer",
    "funnel",
    "memory_peak",
    "steps",
    "refused",
)


def view_page(
    run: Run,
    envs: Sequence[str] = (),
    policies: Sequence[str] = (),
    task_index: int | None = None,
    advance: Callable[[], None] = lambda: None,
    credit: str | None = None,
    without: dict[Key, str] | None = None,
) -> str:
    """Return the page of a run: one HTML document, which needs no other file and no network.

    Each episode is made again from its stored trace. One that cannot be is there without its steps, and the page
    says why.

    Args:
        run: a run in a folder; it may be unfinished.
        envs: the names of the environments to show; none: all.
        policies: the names of the policies to show; none: all.
        task_index: the task to show; ``None``: all.
        advance: called for each episode that was made again.
        credit: the score whose change each write is shown with, one of :data:`atommem_env.credit.SCORES`; the
            policies are run again for it. ``None``: writes are shown without a value.
        without: gets, for each episode that is shown without its steps, why.

    Raises:
        RunError: when the run is in memory only, has no such environment, policy or episode, or its traces are
            damaged.
        ValueError: when there is no such score.
    """
    if credit is not None:
        one_of("credit", credit, CREDITED)
    folder = run.folder
    if folder is None:
        raise RunError("this run is in memory only: a page is made of a run in a folder (out=)")
    run = replace(run, episodes=run.select(envs, policies, task_index))
    if not run.episodes:
        raise RunError(f"{folder} holds no such episode: leave out a filter, or go on with `atommem run`")
    packed = _Packed(run, credit)
    packed.pack(run, advance)
    if without is not None:
        without |= packed.reasons
    name = folder.resolve().name
    return page(f"{name}: atommem", {"name": name, **_table_data(run, packed)}, packed.blobs.items())


class _Packed:
    """The episodes of a run and their tasks, packed for the page.

    Args:
        run: the run.
        credit: the score whose change each write is packed with; ``None``: no value.

    Attributes:
        blobs: the packed tasks and episodes, by name.
        reasons: for each episode that is not packed, why.
    """

    def __init__(self, run: Run, credit: str | None) -> None:
        self._run = run
        self._credit = credit
        self.blobs: dict[str, bytes] = {}
        self.reasons: dict[Key, str] = dict.fromkeys(map(episode_key, run.episodes), _NO_TRACE)
        self._names = {key: f"e{number}" for number, key in enumerate(self.reasons)}
        tasks = dict.fromkeys((env, index) for env, _, index in self.reasons)
        self._task_names = {key: f"t{number}" for number, key in enumerate(tasks)}

    def pack(self, run: Run, advance: Callable[[], None]) -> None:
        """Make the episodes of ``run`` again, and pack each."""
        for env in run.settings["envs"]:
            episodes = [episode for episode in run.episodes if episode["env"] == env["name"]]
            try:
                for replayed in replay_run(run, episodes):
                    self._add(replayed)
                    advance()
            except (
                ValueError,
                OSError,
                ImportError,
                gym.error.Error,
            ) as error:  # its data are not here any more
                for key in map(episode_key, episodes):
                    if key in self.reasons:
                        self.reasons[key] = str(error)

    def episode(self, key: Key) -> str | None:
        """Return the name of an episode's blob."""
        return self._there(self._names[key])

    def task(self, env: str, index: int) -> str | None:
        """Return the name of a task's blob."""
        return self._there(self._task_names[env, index])

    def _there(self, name: str) -> str | None:
        return name if name in self.blobs else None

    def _add(self, replayed: Replayed) -> None:
        key, trace, env = episode_key(replayed.episode), replayed.trace, replayed.env.unwrapped
        if trace is None:
            self.reasons[key] = str(replayed.error)
        elif not isinstance(env, MemoryEnv) or not isinstance(trace.observations[0], Mapping):
            self.reasons[key] = _NO_STEPS
        else:
            name = self._task_names[key[0], key[2]]
            if name not in self.blobs:
                self.blobs[name] = blob(task_data(env.task))
            data = episode_data(
                trace, env.task, env.dataset.word_shares, evidence=not _uses_buffer(replayed.episode)
            )
            if self._credit is not None:
                add_values(data, self._run, replayed.env, trace, key[1], self._credit)
            self.blobs[self._names[key]] = blob(data)
            del self.reasons[key]


def _uses_buffer(episode: Mapping[str, Any]) -> bool:
    """Return whether the policy of an episode keeps text outside memory: its evidence is null in the record."""
    return any(
        question["num_evidence"] and question["evidence"]["seen"] is None
        for question in episode["metrics"]["questions"]
    )


# --- the table's data -------------------------------------------------------------------------------


def _table_data(run: Run, packed: _Packed) -> dict[str, Any]:
    """Return what the page shows before anything is unpacked."""
    rows = summarise([run])
    generated = {row.env for row in rows if row.generated}
    there = {episode["env"] for episode in run.episodes}
    envs = [env for env in run.settings["envs"] if env["name"] in there]
    tasks = {(episode["env"], episode["task_index"]): episode for episode in run.episodes}
    env_numbers = {env["name"]: number for number, env in enumerate(envs)}
    task_numbers = {key: number for number, key in enumerate(tasks)}
    costs = {
        episode_key(timing): {name: timing[name] for name in _COSTS if name in timing}
        for timing in run.timings
    }
    return {
        "version": __version__,
        "notes": footnotes(rows, [run], wide=True),
        "envs": [_env_data(env, env["name"] in generated) for env in envs],
        "summary": [{"env": env_numbers[row.env], **_row_data(row)} for row in rows],
        "tasks": [
            {
                "env": env_numbers[env],
                "index": index,
                "id": episode["task_id"],
                "blob": packed.task(env, index),
                "questions": [
                    {
                        "question": question["question"],
                        "answers": question["answers"],
                        "evidence": question["num_evidence"],
                    }
                    for question in episode["metrics"]["questions"]
                ],
            }
            for (env, index), episode in tasks.items()
        ],
        "episodes": [
            {
                "task": task_numbers[episode["env"], episode["task_index"]],
                "policy": episode["policy"],
                "engine": episode["engine"],
                "blob": packed.episode(episode_key(episode)),
                "why": packed.reasons.get(episode_key(episode)),
                "costs": costs.get(episode_key(episode), {}),
                **_metrics(episode["metrics"]),
            }
            for episode in run.episodes
        ],
    }


def _env_data(env: Mapping[str, Any], generated: bool) -> dict[str, Any]:
    arguments = [
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in env["arguments"].items()
    ]
    return {
        "name": env["name"],
        "label": f"{env['name']} (generated)" if generated else env["name"],
        "generated": generated,
        "source": env["source"] or "",
        "arguments": ", ".join(arguments),
    }


def _row_data(row: Row) -> dict[str, Any]:
    """Return a line of the summary; a score is ``[mean, low, high]``, the bounds null where there is no interval."""
    data = {name: getattr(row, name) for name in _ROW}
    data["scores"] = {name: [score.mean, score.low, score.high] for name, score in row.scores.items()}
    return data


def _metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table shows of an episode's metrics; evidence is ``None`` where it says nothing."""
    questions = [
        {
            "prediction": question["prediction"],
            **_scores(question),
            "evidence": _stages(question["evidence"]),
        }
        for question in metrics["questions"]
    ]
    return {
        **_scores(metrics),
        **{name: metrics[name] for name in ("steps", "looks", "memory_peak")},
        "refused": sum(metrics["refused"].values()),
        "evidence": _stages({stage: share(metrics, stage) for stage in STAGES}),
        "questions": questions,
    }


def _scores(scored: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of an episode or a question: those that it has."""
    return {name: scored[name] for name in (*SCORES, "official") if scored.get(name) is not None}


def _stages(evidence: Mapping[str, float | None]) -> dict[str, float] | None:
    """Return the stages' shares, ``None`` where they say nothing: they are null together."""
    return {stage: value for stage in STAGES if (value := evidence[stage]) is not None} or None
