"""The stored traces of a run, and making an episode again from one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import gymnasium as gym
from gymnasium.error import InvalidAction

from atommem_env.env import MemoryEnv
from atommem_env.policies import Trace, without_funnel
from atommem_env.runs.errors import ReplayError, RunError
from atommem_env.runs.folder import read_settings
from atommem_env.runs.forms import EpisodeRecord
from atommem_env.runs.keys import Key, episode_key
from atommem_env.runs.trace_file import TRACES_FILE, StoredTrace, stored_traces
from atommem_env.runs.variants import recorded_env
from atommem_env.text import digest

if TYPE_CHECKING:
    from atommem_env.core.types import Info
    from atommem_env.runs.recorded import RecordedRun

__all__ = [
    "ReplayError",
    "Replayed",
    "StoredTrace",
    "find_trace",
    "read_traces",
    "replay",
    "replay_run",
    "state_digest",
    "store_trace",
]


def read_traces(folder: str | os.PathLike[str]) -> Iterator[StoredTrace]:
    """Yield the traces of a run's folder one by one, in the order of the file; none when there is no file.

    Raises:
        RunError: when the file is damaged.
    """
    for _, stored in stored_traces(Path(folder) / TRACES_FILE):
        yield stored


def find_trace(folder: str | os.PathLike[str], key: Key) -> StoredTrace | None:
    """Return the trace of the episode ``key`` (environment, policy, task index), or ``None``.

    Raises:
        RunError: when the file is damaged.
    """
    return next((stored for stored in read_traces(folder) if stored.key == key), None)


def state_digest(env: gym.Env[Any, Any]) -> str:
    """Return what the state of ``env`` is recognised by: entries with their ids, scratchpad, and all metrics.

    The same state gives the same 32 hexadecimal digits in every process.
    """
    state: dict[str, Any] = {"metrics": env.get_wrapper_attr("metrics")()}
    inner = env.unwrapped
    episode = inner.get_state().episode if isinstance(inner, MemoryEnv) else None
    if episode is not None:
        store = episode.store
        state |= {"entries": store.entries, "scratchpad": store.scratchpad, "next_id": store.next_id}
    return digest(json.dumps(state, sort_keys=True, default=repr)).hex()


def store_trace(
    env: gym.Env[Any, Any], trace: Trace, env_name: str, policy_name: str, uses_buffer: bool
) -> StoredTrace:
    """Return what to store of ``trace``, of an episode that has just ended in ``env``.

    Args:
        env: the environment, as the episode left it.
        trace: the episode's trace.
        env_name: the environment's name within the run.
        policy_name: the policy's name within the run.
        uses_buffer: whether the policy keeps text outside memory.
    """
    return StoredTrace(
        env_name,
        policy_name,
        trace.task_index,
        trace.actions,
        trace.rewards,
        state_digest(env),
        uses_buffer,
        trace.said,
    )


def replay(
    where: str | os.PathLike[str] | Mapping[str, Any] | gym.Env[Any, Any],
    stored: StoredTrace,
    trust: bool = False,
) -> Trace:
    """Step an environment through a stored trace, and return the trace with all observations and metrics.

    Args:
        where: the run's folder, its settings, or the environment (not closed then, for many traces of one).
        stored: what the policy did.
        trust: whether the run's record may name more than this package's own.

    Raises:
        ReplayError: when the episode does not end in the same state with the same rewards: the data, the
            package or the environment's arguments have changed.
        RunError: when the folder is none of a run, or the environment was given as an object.
    """
    if not isinstance(where, gym.Env):
        settings = where if isinstance(where, Mapping) else read_settings(where)
        env = recorded_env(settings, stored.env, trust).make()
        try:
            return replay(env, stored)
        finally:
            env.close()
    try:
        observation, told = where.reset(seed=stored.task_index, options={"task_index": stored.task_index})
    except ValueError as error:
        raise ReplayError(f"{_name(stored)}: the task cannot be made ({error}){_CAUSE}") from error
    trace = Trace.begin(observation, cast("Info", told))
    for number, action in enumerate(stored.actions, 1):
        if trace.over:
            raise ReplayError(
                f"{_name(stored)}: the episode ends after {number - 1} of {len(stored.actions)} steps{_CAUSE}"
            )
        try:
            observation, reward, terminated, truncated, told = where.step(action)
        except InvalidAction as error:
            raise ReplayError(
                f"{_name(stored)}: step {number} is refused by the environment ({error}); replay the trace in the "
                "environment, with the wrappers, that the run was given"
            ) from error
        except Exception as error:  # a stored trace may hold anything
            raise ReplayError(
                f"{_name(stored)}: step {number} fails ({type(error).__name__}: {error}): the trace is damaged, or "
                "the environment has changed"
            ) from error
        trace.add(action, observation, float(reward), terminated, truncated, cast("Info", told))
    last = trace.infos[-1]
    trace.metrics = last["metrics"] if "metrics" in last else where.get_wrapper_attr("metrics")()
    if not trace.over or trace.rewards != stored.rewards or state_digest(where) != stored.state_digest:
        raise ReplayError(f"{_name(stored)}: the episode ends in another state{_CAUSE}")
    if len(stored.said) == len(trace.actions):
        trace.said = stored.said
    if stored.uses_buffer:
        trace.metrics = without_funnel(trace.metrics)
    return trace


@dataclass(frozen=True)
class Replayed:
    """An episode of a run that was made again.

    Attributes:
        episode: its record.
        env: the environment, as the episode left it.
        trace: its trace; ``None`` when it could not be made again.
        error: why not.
    """

    episode: EpisodeRecord
    env: gym.Env[Any, Any]
    trace: Trace | None
    error: ReplayError | None = None


def replay_run(run: RecordedRun, episodes: Sequence[EpisodeRecord]) -> Iterator[Replayed]:
    """Make episodes of a run again, one by one, in the order of its traces; those without a trace are left out.

    Args:
        run: a run in a folder.
        episodes: the records of those wanted.

    Raises:
        RunError: when the run is in memory only, or an environment was given as an object.
    """
    if run.folder is None:
        raise RunError("this run is in memory only: traces are kept where a run has a folder (out=)")
    wanted = {episode_key(episode): episode for episode in episodes}
    name, env = "", None
    try:
        for stored in read_traces(run.folder):
            if stored.key not in wanted:
                continue
            if env is None or stored.env != name:
                if env is not None:
                    env.close()
                name, env = stored.env, recorded_env(run.settings, stored.env, run.trust).make()
            episode = wanted[stored.key]
            try:
                yield Replayed(episode, env, _checked(replay(env, stored), stored, episode))
            except ReplayError as error:
                yield Replayed(episode, env, None, error)
    finally:
        if env is not None:
            env.close()


def _checked(trace: Trace, stored: StoredTrace, episode: EpisodeRecord) -> Trace:
    if trace.metrics != episode["metrics"]:
        raise ReplayError(f"{_name(stored)}: the metrics differ from the record of the episode")
    return trace


_CAUSE = ": the data, the package or the environment has changed since the run"


def _name(stored: StoredTrace) -> str:
    return f"policy {stored.policy!r} on {stored.env}, task index {stored.task_index}"
