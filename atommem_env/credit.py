"""Credit for one memory entry: what the score of an episode owes to each write, its leave-one-out value.

An episode is run once. Then, for each entry written while reading, it is run again from the step of that write,
with the write refused: the later reading actions are replayed as they were, and the questions are answered again
by the policy as it was at the end of reading. What the score loses by that is the value of the write.

- A write is an accepted Create or Update (of the scratchpad, too) of a reading step. An Update that is refused
  leaves the old content, a Create no entry: later operations on its id are refused as well, and what had been
  refused for want of room, or had pushed another entry out, may now do otherwise. Ids stay what they were.
- What two entries both say is owed to neither, where one of them is enough; what needs two entries is owed to
  both. So the values of an episode need not add up to its score.
- An early answer is a reading action, and is replayed as it was.

AtomMem (arXiv 2601.08323) rewards an episode as a whole, and leaves open what one of its entries has earned.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import gymnasium as gym

from atommem_env.core.checks import one_of
from atommem_env.core.types import Info, Metrics, Observation
from atommem_env.env import EnvState, MemoryEnv
from atommem_env.evidence import mean_share
from atommem_env.policies import Policy, Trace, rollout
from atommem_env.tasks.task import READING

CREDIT_SCORES: Final = ("em", "f1", "cover_em", "kept", "read")
"""The scores by name: those of the answers, and two stages of the evidence funnel; means over the questions."""

EpisodeScore: TypeAlias = "str | Callable[[Metrics], float]"
"""One of :data:`CREDIT_SCORES`, or a function of an episode's metrics."""


@dataclass(frozen=True, slots=True)
class EntryValue:
    """What a write is worth.

    Attributes:
        step: the step, from 0: the write is ``trace.actions[step][position]``.
        position: its place among the operations of the step's action, from 0.
        op: ``"create"`` or ``"update"``.
        id: the entry that it wrote.
        content: what it wrote.
        value: the episode's score less what it is when the write is refused.
    """

    step: int
    position: int
    op: str
    id: int
    content: str
    value: float


def entry_values(
    env: gym.Env[Any, Any],
    policy: Policy,
    options: dict[str, Any] | None = None,
    score: EpisodeScore = "em",
    reading: Trace | None = None,
) -> tuple[Trace, list[EntryValue]]:
    """Run ``policy`` through one episode of ``env``, and return its trace and the value of each write.

    Each variant starts from a copy of the state at its write. With W writes, T reading steps and at most A answering
    steps, that is at most W x (T + A) steps besides the episode itself, about W x (T/2 + A) with writes all along.

    Args:
        env: an environment; it is stepped without its wrappers, and left in the state in which it was.
        policy: the policy, of which ``copy.deepcopy`` makes copies. In a variant it may miss an entry that it wrote,
            and meet one that was refused to it. Values say what each write did as far as the policy is deterministic;
            generators are copied with it.
        options: passed to ``env.reset``, for example ``{"task_index": 3}``.
        score: what the values are differences of: one of :data:`CREDIT_SCORES`, or a function of the metrics.
        reading: a trace of the same task, whose reading actions are taken instead of the policy's, which then only
            answers: for an agent that is driven by another's loop.

    Returns:
        The trace of the episode, and the values in the order of the writes.

    Raises:
        ValueError: when the score is unknown or undefined here, the policy cannot be copied, ``reading`` is of
            another task or environment, the task asks questions between chunks, or the environment is none of this
            package's.
    """
    inner = env.unwrapped
    if not isinstance(inner, MemoryEnv):
        raise ValueError(f"env={env}: expected an environment of this package, such as AtomMem-HotpotQA-v0")
    if not callable(score):
        one_of("score", score, CREDIT_SCORES)
    before = inner.get_state()
    try:
        reader = _Reader(inner, policy, reading)
        trace = rollout(inner, reader, options=options)
        whole = _score(trace.metrics, score)
        values = []
        for step, position, content, result in _writes(trace, len(reader.states)):
            without = _score(reader.metrics_without(trace.actions, step, position), score)
            values.append(EntryValue(step, position, result.op, result.id, content, whole - without))
    finally:
        inner.set_state(before)
    return trace, values


def leave_one_out_rewards(trace: Trace, values: Sequence[EntryValue]) -> list[float]:
    """Return a reward for each step of ``trace``: the sum of the values of its writes.

    The last step gets the rest of the return, so that the sum over the episode is what the environment gave: the
    same return, told earlier. It costs what :func:`entry_values` does.

    Args:
        trace: the episode.
        values: the values of its writes, with the environment's reward as score.
    """
    rewards = [0.0] * len(trace.actions)
    for value in values:
        rewards[value.step] += value.value
    rewards[-1] += trace.episode_return - sum(rewards)
    return rewards


class _Reader:
    """A policy that is watched while it reads: the states before its actions, and itself at the end.

    Attributes:
        states: the environment's state before each reading action.
    """

    def __init__(self, env: MemoryEnv, policy: Policy, reading: Trace | None) -> None:
        self.states: list[EnvState] = []
        self._env = env
        self._policy = policy
        self._reading = reading
        self._at_end: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        if self._env.task.stream:
            raise ValueError(
                f"task {self._env.task.id} asks questions between chunks (stream=True), so that its reading cannot be "
                "replayed apart from them: writes have values where all questions come after reading"
            )
        if self._reading is not None and self._reading.observations[0] != observation:
            raise ValueError(
                f"reading is a trace of task {self._reading.task_id} that begins otherwise than task {info['task_id']} "
                f"here: pass options={{'task_index': {self._reading.task_index}}}, and the environment it was made in"
            )
        self._policy.reset(observation, info)

    def act(self, observation: Observation, info: Info) -> Sequence[Any]:
        """Return the policy's action, or the one of the trace that is given."""
        if observation["phase"] != READING:
            if self._at_end is None:
                self._at_end = _copied(self._policy)
            return self._policy.act(observation, info)
        if self._at_end is not None:
            raise ValueError(
                f"task {info['task_id']} asks questions between chunks, and the value of a write is known only where "
                "all is read before the first question; make the environment without stream"
            )
        self.states.append(self._env.get_state())
        if self._reading is None:
            return self._policy.act(observation, info)
        return self._reading.actions[len(self.states) - 1]

    def metrics_without(self, actions: Sequence[Any], step: int, position: int) -> Metrics:
        """Return the metrics of the episode with one of its operations refused.

        The operation is replayed by its kind alone: the environment refuses that as malformed, by which a Create
        consumes its id and the cursor moves as before.
        """
        env = self._env
        env.set_state(self.states[step])
        changed = list(actions[step])
        changed[position] = {"op": changed[position]["op"]}
        for action in (changed, *actions[step + 1 : len(self.states)]):
            observation, _, terminated, truncated, info = env.step(action)
        policy = copy.deepcopy(self._at_end)
        while not (terminated or truncated):
            observation, _, terminated, truncated, info = env.step(policy.act(observation, info))
        return env.metrics()


def _writes(trace: Trace, num_reading: int) -> Iterator[tuple[int, int, str, Any]]:
    """Yield step, position, content and result of the accepted Creates and Updates of the reading steps."""
    for step, action in enumerate(trace.actions[:num_reading]):
        results = trace.infos[step + 1]["results"]
        operations = cast("list[dict[str, Any]]", action)
        for position, (operation, result) in enumerate(zip(operations, results, strict=True)):
            if result.ok and result.op in ("create", "update"):
                yield step, position, operation["content"], result


def _score(metrics: Metrics, score: EpisodeScore) -> float:
    if callable(score):
        return float(score(metrics))
    if score in metrics:
        return float(cast("Mapping[str, float]", metrics)[score])
    share = mean_share(metrics, score)
    if share is None:
        raise ValueError(
            f"score={score!r} says nothing of this episode: its evidence is not in the data, or the policy keeps text "
            "outside memory; choose one of the answers' scores, such as 'em'"
        )
    return share


def _copied(policy: Policy) -> Policy:
    try:
        return copy.deepcopy(policy)
    except Exception as error:  # whatever the policy holds decides
        raise ValueError(
            f"policy {type(policy).__name__} cannot be copied ({type(error).__name__}: {error}), and its writes so "
            "have no values: give what holds a connection or a lock a __deepcopy__ that returns itself"
        ) from error
