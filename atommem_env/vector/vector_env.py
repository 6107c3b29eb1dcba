"""Many episodes in lock-step: Gymnasium's vector API with shared data and one encoder call per step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.error import ClosedEnvironmentError, InvalidAction
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from atommem_env.core.operations import as_index
from atommem_env.core.resolve import is_reference, resolve
from atommem_env.env import MemoryEnv
from atommem_env.protocols import Protocol
from atommem_env.registration import ENVS
from atommem_env.vector.lockstep import Episodes

EnvMaker: TypeAlias = Callable[..., MemoryEnv]


class MemoryVectorEnv(VectorEnv[Any, Any, npt.NDArray[Any]]):
    """Runs ``num_envs`` episodes in lock-step and returns what ``SyncVectorEnv`` over the same would, faster.

    It is what ``gym.make_vec("AtomMem-HotpotQA-v0", num_envs=64, num_docs=50)`` makes. The episodes of a process
    share the dataset, the tokenizer, the retriever's settings and the encoder. In each step all episodes run
    their operations, then everything that their searches need is encoded in one call, then each goes on from
    the encoder's cache.

    ## Actions, observations, infos
    An action is a sequence of ``num_envs`` actions of the single environment. When one of them is not a list
    or tuple (with ``protocol``: no str), ``InvalidAction`` names the environment, and nothing has been carried
    out. Observations and infos are batched as ``SyncVectorEnv`` batches them: a dict of tuples, and arrays with
    their masks.

    ## Reset
    ``seed`` is an int (environment i gets ``seed + i``), a sequence of one seed or ``None`` each, or ``None``.
    ``options={"task_index": i}`` gives all episodes one task (a group), and a sequence gives each its own,
    ``None`` meaning that one is drawn. ``options={"reset_mask": mask}``, a bool array, resets some. When one
    reset raises, none has happened.

    Args:
        num_envs: how many episodes.
        autoreset_mode: when an ended episode is reset: ``"next_step"``, ``"same_step"``, ``"disabled"``,
            Gymnasium's spelling of these (``"NextStep"``), or an ``AutoresetMode``.
        max_episode_steps: truncates after so many steps, as the ``TimeLimit`` wrapper does: open questions
            are not forfeited and there are no metrics (the argument ``max_steps`` is the process's own
            limit). ``None`` or -1: no limit.
        protocol: ``None`` for operations; what ``TextProtocol`` takes (``"atommem"``, ``"released"``,
            ``"json"``, ``"module:name"``, an instance) for prompts and texts; or a mapping of all its
            arguments, such as ``{"protocol": "json", "prompt_mode": "append"}``.
        env: which environment: a registered id, ``"module:Class"``, or a class or function that returns a
            ``MemoryEnv``; the class itself by default, which takes ``data=...``.
        **kwargs: the arguments of the environment.

    Raises:
        ValueError: when an argument is out of range; the message says what to pass.
        TypeError: when ``env`` makes anything but a ``MemoryEnv``.

    Attributes:
        envs: the single environments (``TextProtocol`` over them with ``protocol``).
    """

    _episodes: Episodes | None = None

    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        protocol: str | Protocol | Mapping[str, Any] | None = None,
        *,
        env: str | EnvMaker = MemoryEnv,
        **kwargs: Any,
    ) -> None:
        self.num_envs = _count("num_envs", num_envs, 1)
        mode = make_autoreset_mode(autoreset_mode)
        limit = (
            None
            if max_episode_steps in (None, -1)
            else _count("max_episode_steps", max_episode_steps, 1, ", or None for no limit")
        )
        self._episodes = Episodes(_maker(env, kwargs), self.num_envs, mode, limit, protocol)
        self.envs: list[gym.Env[Any, Any]] = self._episodes.envs
        first = self.envs[0]
        self.single_observation_space, self.single_action_space = first.observation_space, first.action_space
        self.render_mode = first.render_mode
        self.metadata = {**first.metadata, "autoreset_mode": mode}
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    # --- Gymnasium's methods ------------------------------------------------------------------------

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start all episodes, or those of ``options["reset_mask"]``; see the class.

        Returns:
            The batch of observations (those of the others are shown again) and the batch of infos.

        Raises:
            TypeError: when ``reset_mask`` is not a bool array.
            ValueError: when seeds, tasks or mask are not one for each environment, the mask has no True, an
                option is unknown or a task cannot be built.
            ResetNeeded: when the mask leaves out an environment that has never been reset.
        """
        options = dict(options or {})
        mask = self._mask(options.pop("reset_mask", None))
        seeds = self._seeds(seed)
        each = self._options(options)
        shown = self._open("reset").reset(seeds, each, mask)
        infos: dict[str, Any] = {}
        for number, (_, info) in enumerate(shown):
            if info is not None:
                infos = self._add_info(infos, cast("dict[str, Any]", info), number)
        return self._batch([observation for observation, _ in shown]), infos

    def step(
        self, actions: Any
    ) -> tuple[Any, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        """Take one action in each environment; an ended episode is reset as ``autoreset_mode`` says.

        Returns:
            The batches of observations, rewards (float64), terminations and truncations (bool), of shape
            (num_envs,), and of infos.

        Raises:
            InvalidAction: when there is not one action for each environment, or one is of the wrong type.
            Exception: what a reward function raises, or the reset of an ended episode; no environment has then
                carried out anything.
            ResetNeeded: before the first reset, and, without autoreset, after the end of an episode.
        """
        given = self._actions(actions)
        steps = self._open("step").step(given)
        infos: dict[str, Any] = {}
        for number, step in enumerate(steps):
            if step.final is not None:
                infos = self._add_info(infos, step.final, number)
            infos = self._add_info(infos, cast("dict[str, Any]", step.info), number)
        return (
            self._batch([step.observation for step in steps]),
            np.array([step.reward for step in steps], dtype=np.float64),
            np.array([step.terminated for step in steps], dtype=np.bool_),
            np.array([step.truncated for step in steps], dtype=np.bool_),
            infos,
        )

    def render(self) -> tuple[Any, ...]:
        """Return what each environment renders."""
        return self.call("render")

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return, for each environment, its attribute ``name``, or what it returns when it is a method."""
        return tuple(self._open(name).call(name, args, kwargs))

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return the attribute ``name`` of each environment."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set the attribute ``name`` of each environment.

        Args:
            name: the attribute.
            values: a list or tuple of one value for each, or one value for all.

        Raises:
            ValueError: when a list or tuple has another length.
        """
        if not isinstance(values, (list, tuple)):
            values = [values] * self.num_envs
        if len(values) != self.num_envs:
            raise ValueError(
                f"set_attr({name!r}): {len(values)} values for {self.num_envs} environments; pass one for each, "
                "or a single value that is not a list or tuple"
            )
        self._open("set_attr").set_attr(name, values)

    @property  # type: ignore[misc]  # nothing to set, as in SyncVectorEnv
    def np_random(self) -> Any:
        """The generator of each environment, a tuple."""
        return self.get_attr("np_random")

    @property
    def np_random_seed(self) -> Any:
        """The seed of each environment, a tuple."""
        return self.get_attr("np_random_seed")

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments."""
        if self._episodes is not None:
            self._episodes.close()

    # --- the parts ----------------------------------------------------------------------------------

    def _open(self, method: str) -> Episodes:
        """Return the episodes, for ``method``."""
        if self.closed or self._episodes is None:
            raise ClosedEnvironmentError(f"{method} was called after close(); make a new environment")
        return self._episodes

    def _batch(self, observations: list[Any]) -> Any:
        space = self.single_observation_space
        return concatenate(space, observations, create_empty_array(space, self.num_envs))  # type: ignore[arg-type]

    # --- arguments of reset and step ----------------------------------------------------------------

    def _mask(self, mask: Any) -> list[bool]:
        if mask is None:
            return [True] * self.num_envs
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(
                f"options['reset_mask'] is {mask!r}: expected a NumPy array of bool, such as terminated | truncated"
            )
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"options['reset_mask'] is {mask!r}: expected shape ({self.num_envs},) and at least one True"
            )
        return [bool(value) for value in mask]

    def _seeds(self, seed: Any) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        first = as_index(seed)
        if first is not None:
            return [first + number for number in range(self.num_envs)]
        seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(
                f"seed has {len(seeds)} elements for {self.num_envs} environments: pass one for each, or an int"
            )
        return [None if value is None else int(value) for value in seeds]

    def _options(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the options of each environment."""
        tasks = options.get("task_index")
        if not isinstance(tasks, (list, tuple, np.ndarray)):
            return [options] * self.num_envs
        if len(tasks) != self.num_envs:
            raise ValueError(
                f"options['task_index'] has {len(tasks)} elements for {self.num_envs} environments: pass one for "
                "each, or an int for the same task in all"
            )
        return [{**options, "task_index": index} for index in tasks]

    def _actions(self, actions: Any) -> list[Any]:
        wrong = isinstance(actions, (str, bytes, Mapping))
        given = [] if wrong else list(iterate(self.action_space, actions))
        if wrong or len(given) != self.num_envs:
            found = type(actions).__name__ if wrong else f"{len(given)}"
            raise InvalidAction(
                f"expected a tuple or list of {self.num_envs} actions, one for each environment; got {found}"
            )
        return given


def make_autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """Return the mode that ``mode`` names: ``"next_step"``, ``"NextStep"``, ``"NEXT_STEP"``, or the mode itself.

    Raises:
        ValueError: when there is no such mode; lists them.
    """
    if isinstance(mode, AutoresetMode):
        return mode
    if isinstance(mode, str):
        for known in AutoresetMode:
            if mode.replace("_", "").replace("-", "").lower() == known.value.lower():
                return known
    names = ", ".join(repr(known.name.lower()) for known in AutoresetMode)
    raise ValueError(f"autoreset_mode={mode!r}: expected one of {names}, or an AutoresetMode")


def _count(name: str, value: Any, low: int, otherwise: str = "") -> int:
    number = as_index(value)
    if number is None or number < low:
        raise ValueError(f"{name}={value!r}: expected an int of at least {low}{otherwise}")
    return number


def _maker(env: str | EnvMaker, kwargs: dict[str, Any]) -> EnvMaker:
    """Return a callable without arguments that makes the single environment; it pickles if ``kwargs`` does."""
    maker: Any = env
    if isinstance(env, str):
        if not is_reference(env):
            spec = gym.spec(env)
            maker, kwargs = spec.entry_point, {**spec.kwargs, **kwargs}
        if isinstance(maker, str):
            maker = resolve(maker)
    if not callable(maker):
        raise TypeError(
            f"env={env!r}: expected a registered id, 'module:Class', or a class or function that returns a MemoryEnv"
        )
    return partial(maker, **kwargs)


def __getattr__(name: str) -> Any:
    """Return, for an id of the package, what ``gym.make_vec`` calls: :class:`MemoryVectorEnv` over its class."""
    if name in ENVS:
        return partial(MemoryVectorEnv, env=ENVS[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
