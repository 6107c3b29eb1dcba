"""What a policy is, and how one runs through one episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast, runtime_checkable

import gymnasium as gym

from atommem_env.core.operations import kind_of, parse, to_dict
from atommem_env.core.types import Info, Metrics, Observation
from atommem_env.evidence import READ_DOCUMENTS, STAGES, STALE_STAGES


@runtime_checkable
class Policy(Protocol):
    """Anything that maps an observation to an action.

    A policy that keeps text outside memory, beyond the current chunk and one unfinished document, sets
    ``uses_buffer = True``: its evidence funnel says nothing, and is reported as null. What it may know of the
    environment and an observation does not say is in ``info["rules"]`` at reset
    (:class:`atommem_env.core.rules.Rules`).
    """

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode. ``info["gold"]`` is there for declared oracles alone."""
        ...

    def act(self, observation: Observation, info: Info) -> Sequence[Any]:
        """Return the action for ``observation``: a list or tuple of operations."""
        ...


@dataclass
class Trace:
    """The record of an episode.

    Attributes:
        task_id: the task.
        task_index: its index.
        source: where its data came from.
        actions: each step's operations as plain dicts (a malformed one by its kind alone), or its text.
        observations: the observation before each action, and the last one.
        infos: the info that came with each observation.
        rewards: each step's reward.
        said: what a language model said for each step, as it came, one object a call (``ability``, ``reply``,
            ``reasoning``, ``prompt_tokens``, ``completion_tokens``, ...); empty where the policy asked none, or where
            the action is the text itself.
        terminated: whether the episode ended after its last question.
        truncated: whether it was cut off.
        metrics: the metrics at its end; the funnel's stages are ``None`` for a policy that uses a buffer.
    """

    task_id: str
    task_index: int
    source: str
    actions: list[list[dict[str, Any]] | str] = field(default_factory=list)
    observations: list[Any] = field(default_factory=list)
    infos: list[Info] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    said: list[list[dict[str, Any]]] = field(default_factory=list)
    terminated: bool = False
    truncated: bool = False
    metrics: Metrics = field(default_factory=lambda: cast("Metrics", {}))

    @classmethod
    def begin(cls, observation: Any, info: Info) -> Trace:
        """Return the trace of an episode that has just been reset."""
        return cls(
            info["task_id"], info["task_index"], info["source"], observations=[observation], infos=[info]
        )

    def add(
        self,
        action: list[dict[str, Any]] | str,
        observation: Any,
        reward: float,
        terminated: bool,
        truncated: bool,
        info: Info,
        said: list[dict[str, Any]] | None = None,
    ) -> None:
        """Add one step."""
        self.actions.append(action)
        self.observations.append(observation)
        self.infos.append(info)
        self.rewards.append(reward)
        self.said.append(said or [])
        self.terminated, self.truncated = terminated, truncated

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.terminated or self.truncated

    @property
    def episode_return(self) -> float:
        """The sum of the rewards, in [0, 1]."""
        return float(sum(self.rewards))


def rollout(
    env: gym.Env[Any, Any], policy: Policy, seed: int | None = None, options: dict[str, Any] | None = None
) -> Trace:
    """Run ``policy`` through one episode of ``env`` and return its trace.

    Args:
        env: an environment whose actions are lists of operations, wrapped or not.
        policy: the policy.
        seed: passed to ``env.reset``.
        options: passed to ``env.reset``, for example ``{"task_index": 3}``.
    """
    observation, first = env.reset(seed=seed, options=options)
    trace = Trace.begin(observation, cast("Info", first))
    policy.reset(observation, trace.infos[-1])
    take = getattr(policy, "take_said", None)
    while not trace.over:
        action = policy.act(observation, trace.infos[-1])
        observation, reward, terminated, truncated, told = env.step(action)
        info = cast("Info", told)
        said = take() if callable(take) else []
        trace.add(plain_action(action), observation, float(reward), terminated, truncated, info, said)
    last = trace.infos[-1]
    trace.metrics = last["metrics"] if "metrics" in last else env.get_wrapper_attr("metrics")()
    if getattr(policy, "uses_buffer", False):
        trace.metrics = without_funnel(trace.metrics)
    return trace


def without_funnel(metrics: Metrics) -> Metrics:
    """Return ``metrics`` with every stage of the funnel null, as for a policy that uses a buffer."""
    hidden = dict.fromkeys((*STAGES, *STALE_STAGES, *READ_DOCUMENTS))
    questions = [
        {**question, "evidence": {**question["evidence"], **hidden}} for question in metrics["questions"]
    ]
    return cast("Metrics", {**metrics, "questions": questions})


def plain_action(action: Any) -> list[dict[str, Any]] | str:
    """Return ``action`` in plain form: a text as it is, an operation as a dict, anything else by its kind."""
    return action if isinstance(action, str) else [_plain(item) for item in action]


def _plain(item: object) -> dict[str, Any]:
    operation = parse(item)
    return {"op": kind_of(item)} if operation is None else to_dict(operation)
