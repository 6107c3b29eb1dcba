"""GEM: the environments as text environments with GEM's methods, for ``gem.make`` and ``gem.make_vec``.

An observation is a complete prompt (``prompt_mode="reset"``, as in the paper): give GEM no observation wrapper
then. With a wrapper that joins the history, give ``prompt_mode="append"``. Tested with gem-llm 0.1.0.
``AtomMemEnv`` (a ``gem.Env``) is made from :class:`GemEpisodes` when it is first asked for.

The rollouts of a group need one task: ``task_index`` at ``gem.make`` or ``gem.make_vec`` fixes it for every reset,
and resets with equal seeds draw equal tasks.
"""

from __future__ import annotations

from typing import Any, Final, cast

import gymnasium as gym

from atommem_env.core.types import Info, Metrics
from atommem_env.integrations.text_episode import load_library
from atommem_env.protocols.conversation import one_conversation
from atommem_env.registration import ENVS
from atommem_env.wrappers.text_protocol import TextProtocol

IDS: Final = {f"atommem:{id.removeprefix('AtomMem-')}": id for id in ENVS}
"""GEM's ids, ``"atommem:HotpotQA-v0"`` and so on, and Gymnasium's."""


def register() -> None:
    """Register every id of :data:`IDS` with GEM; calling it again does nothing.

    Raises:
        ImportError: when GEM is missing.
    """
    registration = load_library("gem.envs.registration", "gem", "the GEM adapter")
    for id, env in IDS.items():
        if id not in registration.ENV_REGISTRY:
            registration.register(id, f"{__name__}:AtomMemEnv", env=env)


class GemInfo(Info, total=False):
    """The info of a reset: ``last_metrics`` are those of the episode before, empty where it did not end."""

    last_metrics: Metrics


class GemEpisodes:
    """Episodes behind GEM's methods, one after the other: what ``AtomMemEnv`` does.

    Args:
        env: the environment's id in Gymnasium.
        task_index: the task of every episode; ``None`` draws one at each reset.
        seed: seeds these draws until a reset has its own seed (``gem.make_vec`` gives each environment
            another), and the random actions.
        protocol: as in :class:`atommem_env.TextProtocol`.
        template: as there.
        prompt_mode: as there.
        **arguments: the arguments of ``gym.make``.

    Raises:
        ValueError: when an argument names nothing.
    """

    def __init__(
        self,
        env: str = "AtomMem-HotpotQA-v0",
        *,
        task_index: int | None = None,
        seed: int | None = None,
        protocol: str = "atommem",
        template: str | None = None,
        prompt_mode: str = "reset",
        **arguments: Any,
    ) -> None:
        super().__init__()
        self._made_with = {
            "env": env,
            "task_index": task_index,
            "seed": seed,
            "protocol": protocol,
            "template": template,
            "prompt_mode": prompt_mode,
            **arguments,
        }
        self._task_index, self._seed = task_index, seed
        self._env = TextProtocol(gym.make(env, **arguments), protocol, template, prompt_mode)
        self._env.unwrapped.action_space.seed(seed)
        self._last_metrics = cast("Metrics", {})

    def reset(self, seed: int | None = None, task_index: int | None = None) -> tuple[str, GemInfo]:
        """Start an episode, and return the first prompt and the info.

        The info has one more key, ``last_metrics``: the metrics of the episode before if it came to its end, since
        a vector of GEM resets an environment before anybody has seen its last info; else an empty dict.

        Args:
            seed: seeds what draws the task: equal seeds, equal tasks, at this reset and the ones after it.
            task_index: the task of this episode, when the environment was made without one.

        Raises:
            ValueError: when the task cannot be made, or, with ``prompt_mode="append"``, asks several isolated
                questions.
        """
        index = self._task_index if task_index is None else task_index
        seed, self._seed = self._seed if seed is None else seed, None
        observation, info = self._env.reset(
            seed=seed, options=None if index is None else {"task_index": index}
        )
        if self._env.prompt_mode == "append":
            one_conversation(self._env, info, "pass prompt_mode='reset'")
        first: GemInfo = {**info, "last_metrics": self._last_metrics}
        self._last_metrics = cast("Metrics", {})
        return observation, first

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        """Run the operations of the text ``action``; see :class:`atommem_env.TextProtocol`.

        Raises:
            InvalidAction: when ``action`` is not a str.
            ResetNeeded: before the first reset, and after the end of an episode.
        """
        observation, reward, terminated, truncated, info = self._env.step(action)
        self._last_metrics = info.get("metrics", cast("Metrics", {}))
        return observation, reward, terminated, truncated, info

    def sample_random_action(self) -> str:
        """Return a text of random operations."""
        return self._env.protocol.render_operations(self._env.unwrapped.action_space.sample())

    def spawn(self, same_state: bool = False, **arguments: Any) -> GemEpisodes:
        """Return another environment that was made with the same arguments.

        Args:
            same_state: whether it goes on from where this one is.
            **arguments: arguments that replace this one's.
        """
        twin = type(self)(**{**self._made_with, **arguments})
        if same_state:
            twin.set_state(self.get_state())
        return twin

    def get_state(self) -> dict[str, Any]:
        """Return a copy of the episode in progress.

        Raises:
            ResetNeeded: before the first reset.
        """
        task: Any = self._env.get_wrapper_attr("task")
        return {
            "task_index": task.index,
            "text": self._env.get_state(),
            "last_metrics": self._last_metrics,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to ``state``, which may be used again and in an environment that was made with the same arguments."""
        self._env.reset(options={"task_index": state["task_index"]})  # Gymnasium's wrappers ask for one
        self._env.set_state(state["text"])
        self._last_metrics, self._seed = state["last_metrics"], None

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def __getattr__(name: str) -> Any:
    if name != "AtomMemEnv":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in globals():
        bases = (GemEpisodes, load_library("gem", "gem", "the GEM adapter").Env)
        globals()[name] = type(name, bases, {"__module__": __name__, "__doc__": GemEpisodes.__doc__})
    return globals()[name]
