"""What every adapter is made of: an episode as messages and texts, its record, and a dataset's rows.

A trainer holds a model, and a model maps a conversation to a text. :class:`TextEpisode` is the other side: it
shows what the model is to answer, takes the text, and keeps the record. In the mode ``"reset"`` the messages
at each step are a complete prompt that needs no history, as in the paper (AtomMem, arXiv 2601.08323,
section 3); one episode then is several training rows that share one advantage. In the mode ``"append"`` they
are the conversation so far; of an isolated question that until the end of reading, and its own.

A group of rollouts starts from one task: give all of them the same ``task_index``.
"""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Final

import gymnasium as gym
from gymnasium.error import ResetNeeded

from atommem_env.core.operations import ResultDict, to_dict
from atommem_env.core.types import MalformedText, Metrics, score_of
from atommem_env.policies import Trace
from atommem_env.protocols import Protocol
from atommem_env.protocols.conversation import Conversation, one_conversation
from atommem_env.protocols.conversation import Message as Message
from atommem_env.registration import PAPER_ENVS, short_name
from atommem_env.wrappers.text_protocol import TextProtocol

TextPolicy = Callable[[list[Message]], str]
"""Anything that maps a conversation to a text: a model, an endpoint, a script."""

BENCHMARKS: Final = {short_name(id): id for id in PAPER_ENVS}
"""The paper's benchmarks: a short name, and the environment's id."""


@dataclass
class Turn:
    """One step of an episode, as a model sees it.

    Attributes:
        messages: what the model was shown: in the mode ``"append"`` the whole conversation.
        text: what it answered.
        operations: the well-formed operations in it, as plain dicts.
        malformed: what else was meant as an operation: ``{"text", "reason"}`` for each.
        results: the result of each operation, as plain dicts (``op``, ``ok``, ``reason``, ``id``, ``evicted``).
        reward: the step's reward.
    """

    messages: list[Message]
    text: str
    operations: list[dict[str, Any]]
    malformed: list[MalformedText]
    results: list[ResultDict]
    reward: float


@dataclass
class Trajectory:
    """The record of a text episode.

    Attributes:
        turns: the steps.
        trace: the same episode as :func:`atommem_env.rollout` records it; it can be replayed.
    """

    turns: list[Turn]
    trace: Trace = field(repr=False)

    @property
    def episode_return(self) -> float:
        """The sum of the rewards, in [0, 1]."""
        return self.trace.episode_return

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.trace.over

    @property
    def metrics(self) -> Metrics:
        """The episode's metrics; empty while it goes on."""
        return self.trace.metrics

    def scores(self) -> dict[str, float]:
        """Return what a trainer logs of an episode, as floats: its scores, its counts, what it did."""
        metrics = self.metrics
        counts = {name: score_of(metrics, name) or 0 for name in ("steps", "looks", "memory_peak")}
        done = {f"num_{kind}": count for kind, count in metrics["operations"].items()}
        refused = {
            "num_refused": sum(metrics["refused"].values()),
            "num_malformed": sum(len(turn.malformed) for turn in self.turns),
        }
        scores = {name: score_of(metrics, name) or 0.0 for name in ("em", "f1", "cover_em")}
        return {name: float(value) for name, value in {**scores, **counts, **done, **refused}.items()}


class TextEpisode:
    """Episodes of an environment for a model that answers messages with text; one after the other.

    For example::

        episode = TextEpisode("AtomMem-HotpotQA-v0", source="generated", num_docs=50)
        messages = episode.reset(task_index=7)
        while messages:
            messages = episode.step(model(messages))
        print(episode.trajectory.episode_return)

    Args:
        env: an environment's id, an environment, or a ``TextProtocol`` (then ``protocol``, ``template`` and
            ``prompt_mode`` are its own).
        protocol: how operations are written, see :func:`atommem_env.protocols.get_protocol`.
        template: the complete prompt in other words, as a file's path or as text.
        prompt_mode: ``"reset"`` or ``"append"``, see above.
        **arguments: the arguments of ``gym.make``, when ``env`` is an id.

    Raises:
        ValueError: when an argument names nothing.
    """

    def __init__(
        self,
        env: str | gym.Env[Any, Any],
        *,
        protocol: str | Protocol = "atommem",
        template: str | None = None,
        prompt_mode: str = "reset",
        **arguments: Any,
    ) -> None:
        if isinstance(env, str):
            env = gym.make(env, **arguments)
        elif arguments:
            raise ValueError(
                f"{sorted(arguments)}: the environment is made already; give arguments with an id"
            )
        self.env = (
            env if isinstance(env, TextProtocol) else TextProtocol(env, protocol, template, prompt_mode)
        )
        self._conversation = Conversation()
        self._trajectory: Trajectory | None = None

    @property
    def prompt_mode(self) -> str:
        """``"reset"`` or ``"append"``."""
        return self.env.prompt_mode

    @property
    def messages(self) -> list[Message]:
        """What the model is to answer now; empty when the episode is over."""
        return [dict(message) for message in self._conversation.messages]

    @property
    def trajectory(self) -> Trajectory:
        """The record of the episode so far.

        Raises:
            ResetNeeded: before the first reset.
        """
        if self._trajectory is None:
            raise ResetNeeded("there is no episode before the first reset: call reset() first")
        return self._trajectory

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.trajectory.over

    def reset(self, task_index: int | None = None, seed: int | None = None) -> list[Message]:
        """Start an episode and return the messages to answer.

        Args:
            task_index: the task, the same for all rollouts of a group; ``None`` draws one.
            seed: seeds what draws it.

        Raises:
            ValueError: when the task cannot be made.
        """
        options = None if task_index is None else {"task_index": task_index}
        prompt, info = self.env.reset(seed=seed, options=options)
        self._trajectory = Trajectory([], Trace.begin(prompt, info))
        self._conversation = Conversation()
        self._conversation.show(self.env.messages, info)
        return self.messages

    def step(self, text: str) -> list[Message]:
        """Run the operations in ``text`` and return the messages to answer next; none at the end.

        Raises:
            InvalidAction: when ``text`` is not a str.
            ResetNeeded: before the first reset, and after the end.
        """
        trajectory = self.trajectory
        operations = [to_dict(operation) for operation in self.env.parse_action(text).operations]
        shown, reward, terminated, truncated, info = self.env.step(text)
        trajectory.trace.add(text, shown, reward, terminated, truncated, info)
        results = [result.as_dict() for result in info["results"]]
        trajectory.turns.append(Turn(self.messages, text, operations, info["malformed"], results, reward))
        if trajectory.over:
            trajectory.trace.metrics = info["metrics"]
        if trajectory.over or self.prompt_mode == "reset":
            self._conversation.messages = [] if trajectory.over else self.env.messages
        else:
            self._conversation.messages.append({"role": "assistant", "content": text})
            self._conversation.show([{"role": "user", "content": shown}], info)
        return self.messages

    def get_state(self) -> Any:
        """Return a copy of the episode in progress: the environment's, what was shown last, and the record so far."""
        trajectory = self.trajectory
        return self.env.get_state(), copy.deepcopy(self._conversation), _copied(trajectory)

    def set_state(self, state: Any) -> None:
        """Go on from ``state``, which may be used again, also that of another episode of the same arguments."""
        inner, conversation, trajectory = state
        if self._trajectory is None:
            self.env.reset(
                options={"task_index": trajectory.trace.task_index}
            )  # an environment begins with a reset
        self.env.set_state(inner)
        self._conversation = copy.deepcopy(conversation)
        self._trajectory = _copied(trajectory)

    def refuse_isolated(self, mend: str) -> None:
        """Refuse a task that asks several isolated questions, for a trainer whose episode is one conversation.

        Args:
            mend: what to do instead.

        Raises:
            ValueError: when it is one.
        """
        one_conversation(self.env, self.trajectory.trace.infos[0], mend)

    def play(self, policy: TextPolicy, task_index: int | None = None) -> Trajectory:
        """Run ``policy`` through an episode and return its record."""
        messages = self.reset(task_index)
        while messages:
            messages = self.step(policy(messages))
        return self.trajectory

    def close(self) -> None:
        """Close the environment."""
        self.env.close()


def _copied(trajectory: Trajectory) -> Trajectory:
    """Return a record to which steps can be added without a change to ``trajectory``."""
    trace = trajectory.trace
    lists: dict[str, Any] = {
        name: list(value) for name, value in vars(trace).items() if isinstance(value, list)
    }
    return Trajectory(list(trajectory.turns), replace(trace, **lists))


# --- a dataset's rows ---------------------------------------------------------------------------------


def task_rows(
    envs: str | Iterable[str],
    task_indices: Iterable[int],
    *,
    protocol: str | Protocol = "atommem",
    **arguments: Any,
) -> Iterator[dict[str, Any]]:
    """Yield a row for each task: what a trainer's dataset holds of it, which is not its text.

    A row has ``env`` (the id), ``env_arguments`` (the arguments of ``gym.make`` as a JSON text, since Arrow
    would merge dicts of different keys), ``task_index``, ``task_id``, ``source`` and ``prompt`` (the messages of
    the first step). The environment makes the documents again from the index.

    Args:
        envs: one or several ids; the tasks of all of them take turns.
        task_indices: the tasks.
        protocol: how operations are written.
        **arguments: the arguments of ``gym.make``; they must be plain data.

    Raises:
        ValueError: when an argument is not plain data, or a task cannot be made.
    """
    told = _arguments_text(arguments)
    ids = [envs] if isinstance(envs, str) else list(envs)
    episodes = {name: TextEpisode(name, protocol=protocol, **arguments) for name in ids}
    try:
        for index in task_indices:
            for name, episode in episodes.items():
                prompt = episode.reset(index)
                trace = episode.trajectory.trace
                yield {
                    "env": name,
                    "env_arguments": told,
                    "task_index": index,
                    "task_id": trace.task_id,
                    "source": trace.source,
                    "prompt": prompt,
                }
    finally:
        for episode in episodes.values():
            episode.close()


def row_episode(row: Mapping[str, Any], **options: Any) -> TextEpisode:
    """Return the episodes that a row of :func:`task_rows` is of; ``reset(row["task_index"])`` starts its own.

    Args:
        row: the row, or any mapping with its ``env`` and ``env_arguments``.
        **options: ``protocol``, ``template``, ``prompt_mode``.

    Raises:
        ValueError: when the row has no such key.
    """
    missing = [name for name in ("env", "env_arguments", "task_index") if row.get(name) is None]
    if missing:
        raise ValueError(
            f"the row has no {', '.join(missing)}; it has {sorted(row)}. Rows are made by "
            "atommem_env.integrations.text_episode.task_rows"
        )
    return TextEpisode(row["env"], **options, **json.loads(row["env_arguments"]))


def _arguments_text(arguments: Mapping[str, Any]) -> str:
    try:
        return json.dumps(arguments, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the arguments {arguments!r} must be plain data, as rows are stored ({error}); pass paths, ids and "
            "'module:name' rather than objects"
        ) from error


# --- libraries ----------------------------------------------------------------------------------------


def load_library(name: str, extra: str, what: str) -> ModuleType:
    """Import and return the library ``name``.

    Raises:
        ImportError: when it is missing; ``what`` needs it, and the extra ``extra`` brings it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        raise ImportError(f"{what} needs {name}: pip install 'atommem_env[{extra}]'") from error
