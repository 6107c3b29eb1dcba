"""The environment of one session, with OpenEnv's methods and its task API."""

from __future__ import annotations

import inspect
import uuid
from typing import Any, Final, cast

import gymnasium as gym
from gymnasium.error import InvalidAction, ResetNeeded
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import EnvironmentMetadata

from atommem_env._version import __version__
from atommem_env.core.types import Info
from atommem_env.data.benchmark import resolve_split
from atommem_env.integrations.openenv.models import AtomMemAction, AtomMemObservation, AtomMemState
from atommem_env.protocols import Parsed
from atommem_env.wrappers.text_protocol import TextProtocol

_TOLD: Final = ("task_id", "isolated_question")


class AtomMemEnvironment(Environment):  # type: ignore[misc]
    """Episodes of an environment for an OpenEnv session; one after the other.

    Args:
        env: the environment's id.
        protocol: how a text says operations, see :func:`atommem_env.protocols.get_protocol`.
        prompt_mode: ``"reset"`` or ``"append"``, see :class:`atommem_env.TextProtocol`.
        **arguments: the arguments of ``gym.make``.

    Raises:
        ValueError: when an argument names nothing.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(
        self, env: str, *, protocol: str = "atommem", prompt_mode: str = "reset", **arguments: Any
    ) -> None:
        super().__init__()
        self._env = TextProtocol(gym.make(env, **arguments), protocol, prompt_mode=prompt_mode)
        self._memory: Any = self._env.unwrapped
        self._state = AtomMemState(env=env)

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        task_index: int | None = None,
        split: str | None = None,
        index: int | None = None,
        **unknown: Any,
    ) -> AtomMemObservation:
        """Start an episode.

        Args:
            seed: seeds what draws a task when none is chosen.
            episode_id: a name for the episode; a random one otherwise.
            task_index: the task, any int from 0; the same for all rollouts of a group.
            split: the split that the server serves, as the task API asks for it; another one is refused.
            index: another name of ``task_index``, as the task API has it.
            **unknown: refused, so that a misspelt ``task_index`` does not draw a random task.

        Raises:
            ValueError: when an argument is unknown or out of range, or the task cannot be made.
        """
        if unknown:
            raise ValueError(
                f"reset: unknown arguments {sorted(unknown)}; expected seed, episode_id, task_index, split, index"
            )
        if split is not None:
            self._check_split(split)
        if None not in (task_index, index) and task_index != index:
            raise ValueError(
                f"task_index={task_index!r}, index={index!r}: they name the same; pass one of them"
            )
        chosen = index if task_index is None else task_index
        options = None if chosen is None else {"task_index": chosen}
        _, info = self._env.reset(seed=seed, options=options)
        self._state = AtomMemState(
            env=self._state.env,
            episode_id=uuid.uuid4().hex if episode_id is None else episode_id,
            task_id=info["task_id"],
            task_index=info["task_index"],
            source=info["source"],
        )
        told = {name: value for name, value in info.items() if name in (*_TOLD, "task_index", "source")}
        return self._observation(self._env.render_prompt(), info, metadata=told)

    def step(
        self, action: AtomMemAction, timeout_s: float | None = None, **unused: Any
    ) -> AtomMemObservation:
        """Run an action; what is wrong inside it is refused and told in the observation.

        Args:
            action: its operations, or its text.
            timeout_s: not used: a step takes milliseconds.
            **unused: as OpenEnv's servers may pass more.

        Raises:
            InvalidAction: when it has neither operations nor a text, or both.
            ResetNeeded: before the first reset and after the end of an episode.
        """
        if (action.operations is None) == (action.text is None):
            raise InvalidAction(
                'an action has either a list of operations, {"operations": [{"op": "create", "content": "..."}]}, '
                'or a text, {"text": "..."}; an empty list moves on'
            )
        if self._state.task_id is None:
            raise ResetNeeded(
                "step was called before the first reset: call reset first. Over HTTP every request has a new "
                "environment; an episode is played over the web socket, /ws"
            )
        if action.text is not None:
            shown, reward, terminated, truncated, info = self._env.step(action.text)
        else:
            observation, earned, terminated, truncated, given = self._env.env.step(action.operations)
            shown, reward, terminated, truncated, info = self._env.shown(
                Parsed(), observation, earned, terminated, truncated, cast("Info", given)
            )
        self._state.step_count += 1
        self._state.done = terminated or truncated
        told: dict[str, Any] = {name: value for name, value in info.items() if name in _TOLD}
        if self._state.done:
            told |= {"metrics": info["metrics"], "truncated": truncated}
            messages = []
        elif self._env.prompt_mode == "reset":
            messages = self._env.render_prompt()
        else:
            messages = [{"role": "user", "content": shown}]
        return self._observation(messages, info, metadata=told, reward=reward, done=self._state.done)

    @property
    def state(self) -> AtomMemState:
        """Which episode goes on."""
        return self._state

    def get_metadata(self) -> EnvironmentMetadata:
        """Return what the environment is."""
        about = (inspect.getdoc(type(self._memory)) or "").partition("\n")[0]
        return EnvironmentMetadata(name=self._state.env, description=about, version=__version__)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    # --- OpenEnv's task API: which tasks there are ------------------------------------------------------

    def list_splits(self) -> list[dict[str, str]]:
        """Return the one split that the server serves; another one takes another server."""
        split = self._memory.dataset.split
        return [{"name": split, "type": split}]

    def num_tasks(self, split: str) -> int:
        """Return the number of tasks that use every question at most once; later indices are fresh groupings."""
        self._check_split(split)
        return int(self._memory.num_tasks)

    def get_task(self, split: str, index: int) -> dict[str, Any]:
        """Return what ``reset`` takes for the task ``index`` below :meth:`num_tasks`.

        Raises:
            IndexError: when there is no such task.
        """
        if not 0 <= index < self.num_tasks(split):
            raise IndexError(f"index={index}: expected 0 to {self.num_tasks(split) - 1}")
        return {"split": self._memory.dataset.split, "index": index}

    def list_tasks(self, split: str) -> list[dict[str, Any]]:
        """Return what ``reset`` takes for each task."""
        return self.get_task_range(split)

    def get_task_range(
        self, split: str, start: int | None = None, stop: int | None = None
    ) -> list[dict[str, Any]]:
        """Return what ``reset`` takes for the tasks of a slice."""
        return [self.get_task(split, index) for index in range(self.num_tasks(split))[start:stop]]

    def _check_split(self, split: str) -> None:
        served = self._memory.dataset.split
        if resolve_split(split) != served:
            raise ValueError(
                f"split={split!r}: this server serves {served!r}; start another one with the argument split={split!r}"
            )

    def _observation(self, messages: list[dict[str, str]], info: Info, **told: Any) -> AtomMemObservation:
        memory = self._memory.episode.observe()
        return AtomMemObservation(**memory, messages=messages, malformed=info["malformed"], **told)
