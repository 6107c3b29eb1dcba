"""Carries out one episode of a run after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium as gym

from atommem_env.policies import Policy, Trace, rollout
from atommem_env.runs.engines import unreadable_of, warn_of_nothing_read
from atommem_env.runs.errors import EpisodeError, RunError, Stopped
from atommem_env.runs.forms import EpisodeRecord, TimingRecord
from atommem_env.runs.keys import Key
from atommem_env.runs.traces import store_trace
from atommem_env.runs.variants import EnvVariant, PolicyVariant, data_hash


class Outcome(NamedTuple):
    """The result of an episode.

    Attributes:
        episode: its record.
        timing: its time and costs: ``env``, ``policy``, ``task_index``, ``seconds``, ``reads`` (the accepted
            Reads), and what the policy's ``costs()`` says, if it has that.
        trace: its stored trace; ``None`` when none was wanted.
    """

    episode: EpisodeRecord
    timing: TimingRecord
    trace: bytes | None


class Failure(NamedTuple):
    """An episode in which a policy or an environment raised.

    Attributes:
        key: which.
        message: what was raised, with the policy, the environment and the task.
    """

    key: Key
    message: str


@dataclass(frozen=True)
class Work:
    """What the episodes of a run are made of; it is sent to processes.

    Attributes:
        envs: the environments.
        policies: the policies.
        traces: whether traces are wanted.
        data_hashes: the hash of the data by the environment's name, where it is known; other data is refused.
    """

    envs: tuple[EnvVariant, ...]
    policies: tuple[PolicyVariant, ...]
    traces: bool = True
    data_hashes: Mapping[str, str | None] = field(default_factory=dict)


class Runner:
    """Runs episodes by their keys; keeps the last environment, and makes each named policy for each episode.

    Args:
        work: the environments and policies.
        check: called before each step; what it raises ends the episode.
    """

    def __init__(self, work: Work, check: Callable[[], None] | None = None) -> None:
        self._traces = work.traces
        self._data_hashes = work.data_hashes
        self._envs = {recipe.name: recipe for recipe in work.envs}
        self._policies = {recipe.name: recipe for recipe in work.policies}
        self._check = check
        self._made = ""
        self._env: gym.Env[Any, Any] | None = None

    def run(self, key: Key) -> Outcome | Failure:
        """Run one episode; whatever the policy raises, an exit of the program too, ends this episode alone."""
        self._get(key[0])
        try:
            return self._run(key)
        except EpisodeError as error:
            return Failure(key, str(error))
        except (KeyboardInterrupt, Stopped):
            raise
        except BaseException as error:
            return Failure(key, _told(key, error))

    def _run(self, key: Key) -> Outcome:
        start = time.perf_counter()
        env, name, index = key
        policy, trace = self.trace(key)
        record: EpisodeRecord = {
            "env": env,
            "policy": name,
            "engine": getattr(policy, "engine_name", None),
            "task_id": trace.task_id,
            "task_index": index,
            "source": trace.source,
            "metrics": trace.metrics,
        }
        if "history" in trace.infos[0]:
            record["history"] = trace.infos[0]["history"]
        lacking = getattr(policy, "not_applicable", None)
        if callable(lacking) and (why := lacking()) is not None:
            record["not_applicable"] = why
        unreadable = unreadable_of(policy)
        if unreadable:
            record["unreadable"] = unreadable
            if index == 0:  # one worker has it, whatever their number
                warn_of_nothing_read(name, unreadable)
        stored: bytes | None = None
        if self._traces:
            uses_buffer = bool(getattr(policy, "uses_buffer", False))
            stored = store_trace(self._get(env), trace, env, name, uses_buffer).encode()
        costs = getattr(policy, "costs", None)
        timing: TimingRecord = {
            "env": env,
            "policy": name,
            "task_index": index,
            "seconds": round(time.perf_counter() - start, 6),
            "reads": accepted_reads(trace),
        }
        if callable(costs):
            timing.update(costs())
        return Outcome(record, timing, stored)

    def trace(self, key: Key) -> tuple[Policy, Trace]:
        """Run one episode and return the policy and the trace.

        Raises:
            EpisodeError: when the policy or the environment raises.
        """
        env_name, name, index = key
        env = self._get(env_name)
        try:
            policy = self._policies[name].make()
            return policy, rollout(env, policy, seed=index, options={"task_index": index})
        except (KeyboardInterrupt, Stopped):
            raise
        except BaseException as error:  # a policy may end its program too
            raise EpisodeError(_told(key, error)) from error

    def close(self) -> None:
        """Close the environment that was made here."""
        if self._env is not None and not isinstance(self._envs[self._made].given, gym.Env):
            self._env.close()
        self._env = None

    def _get(self, name: str) -> gym.Env[Any, Any]:
        if self._env is None or self._made != name:
            self.close()
            env = self._envs[name].make()
            self._check_data(name, env)
            self._made, self._env = name, env if self._check is None else _Checked(env, self._check)
        return self._env

    def _check_data(self, name: str, env: gym.Env[Any, Any]) -> None:
        expected = self._data_hashes.get(name)
        found = data_hash(env)
        if expected is not None and found != expected:
            raise RunError(
                f"{name}: the data here has the hash {found}, the run's data {expected}: its source must name the "
                "same data for every worker"
            )


def _told(key: Key, error: BaseException) -> str:
    env, policy, index = key
    try:
        said = str(error)
    except BaseException:
        said = "its message cannot be printed"
    return f"policy {policy!r} on {env}, task index {index}: {type(error).__name__}: {said}"


class _Checked(gym.Wrapper[Any, Any, Any, Any]):
    """Calls a function before each step."""

    def __init__(self, env: gym.Env[Any, Any], check: Callable[[], None]) -> None:
        super().__init__(env)
        self._check = check

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, Any]:
        self._check()
        return self.env.step(action)


def accepted_reads(trace: Trace) -> int:
    """Return how many Reads of an episode were accepted: its calls to retrieval."""
    return sum(
        result.op == "read" and result.ok for info in trace.infos for result in info.get("results", ())
    )
