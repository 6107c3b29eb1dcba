"""SkyRL: episodes as a text environment of skyrl-gym, and the rows of its dataset.

In a conversation that grows (SkyRL's own generator) the environment is in the prompt mode ``"append"``. The context
resets of the paper need a generator that forgets: :mod:`atommem_env.integrations.skyrl.trainer` has it, and sets the
mode to ``"reset"``. Tested with skyrl-gym 0.4.0. ``AtomMemEnv`` (a ``BaseTextEnv``) is made from
:class:`SkyRLEpisode` when it is first asked for.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from gymnasium.error import ResetNeeded

from atommem_env.integrations.text_episode import (
    Message,
    TextEpisode,
    Trajectory,
    load_library,
    row_episode,
    task_rows,
)

ENV_CLASS: Final = "atommem"
"""The environment's id in skyrl-gym, and the value of the rows' column ``env_class``."""

_OPTIONS: Final = ("protocol", "template", "prompt_mode")


def register() -> None:
    """Register the environment with skyrl-gym; calling it again does nothing.

    The registry is the process's own: call it in every process that makes environments.

    Raises:
        ImportError: when skyrl-gym is missing.
    """
    registration = _gym_module("skyrl_gym.envs.registration")
    if ENV_CLASS not in registration.registry:
        registration.register(id=ENV_CLASS, entry_point=f"{__name__}:AtomMemEnv")


def dataset_rows(
    envs: str | Iterable[str], task_indices: Iterable[int], *, protocol: str = "atommem", **arguments: Any
) -> Iterator[dict[str, Any]]:
    """Yield the rows of SkyRL's dataset: ``prompt``, ``env_class``, and what becomes the environment's extras.

    The rollouts of a group share a row, and so a task. ``data_source``, under which SkyRL reports an evaluation,
    names the environment and where its data came from. Arguments and errors are those of
    :func:`atommem_env.integrations.text_episode.task_rows`; ``protocol`` is the name of one.
    """
    for row in task_rows(envs, task_indices, protocol=protocol, **arguments):
        label = f"{row['env']} ({row['source']})"
        yield {**row, "env_class": ENV_CLASS, "data_source": label, "protocol": protocol}


def write_dataset(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write ``rows`` as a Parquet file, which SkyRL's ``data.train_data`` can name; return how many they are.

    Raises:
        ValueError: when there are none, or the path does not end in ``.parquet``, by which SkyRL knows it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if Path(path).suffix != ".parquet":
        raise ValueError(
            f"path={str(path)!r}: expected one that ends in .parquet, by which SkyRL knows the format"
        )
    table = pa.Table.from_pylist([dict(row) for row in rows])
    if not table.num_rows:
        raise ValueError("there are no rows to write: give at least one task index")
    pq.write_table(table, path)
    return int(table.num_rows)


class SkyRLEpisode:
    """One episode behind the methods of skyrl-gym's ``BaseTextEnv``: what ``AtomMemEnv`` does.

    Args:
        env_config: options of the conversation: ``protocol``, ``template``, ``prompt_mode`` (default
            ``"append"``, which is what SkyRL's own generator does; ``ContextResetGenerator`` sets ``"reset"``).
        extras: a row of :func:`dataset_rows` (``env``, ``env_arguments``, ``task_index`` are needed); the options
            may stand here too, and hold then. ``max_turns``, SkyRL's ``generator.max_turns``, ends the episode
            as the argument ``max_steps`` does; 1, which is SkyRL's default, sets no limit.

    Attributes:
        turns: the number of steps taken.
        max_turns: the greatest number of steps that the episode can take, known after :meth:`init`.

    Raises:
        ValueError: when ``env_config`` has another key.
    """

    def __init__(
        self, env_config: Mapping[str, Any] | None = None, extras: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        told = dict(env_config or {})
        unknown = sorted(set(told) - set(_OPTIONS))
        if unknown:
            raise ValueError(
                f"env_config has {', '.join(unknown)}: expected {', '.join(_OPTIONS)}. The arguments of the "
                "environment belong to the rows: dataset_rows(..., num_docs=200)"
            )
        self._row = dict(extras or {})
        given = {name: self._row[name] for name in _OPTIONS if self._row.get(name) is not None}
        self._options = {"prompt_mode": "append", **told, **given}
        self._episode: TextEpisode | None = None
        self.turns = 0
        self.max_turns = 1

    def init(self, prompt: list[Message]) -> tuple[list[Message], dict[str, Any]]:
        """Start the row's task, and return the messages to answer, and which task it is.

        Args:
            prompt: not read: the row's prompt was made from the same task.

        Raises:
            ValueError: when the extras are not a row of :func:`dataset_rows`, the task cannot be made, or, in the
                prompt mode ``"append"``, it asks several isolated questions.
        """
        self.close()
        episode = self._episode = row_episode(self._limited_row(), **self._options)
        messages = episode.reset(int(self._row["task_index"]))
        if episode.prompt_mode == "append":
            episode.refuse_isolated("use ContextResetGenerator (prompt_mode='reset')")
        env: Any = episode.env.unwrapped
        trace = episode.trajectory.trace
        positions = len(env.task.chunks) + len(env.task.questions)
        longest = positions * (trace.infos[0]["rules"].max_looks + 1)
        self.turns, self.max_turns = 0, min(longest, self._limit() or longest)
        return messages, {"task_id": trace.task_id, "task_index": trace.task_index, "source": trace.source}

    def step(self, action: str) -> dict[str, Any]:
        """Run the operations of the text ``action``; return a ``BaseTextEnvStepOutput``.

        ``observations`` are the messages to answer next, in the prompt mode ``"append"`` the new one alone; at
        the end there are none. ``metadata`` has ``task_id``, ``operations``, ``malformed`` and ``results``.

        Raises:
            ResetNeeded: before :meth:`init`, and after the end.
        """
        episode = self._running()
        messages = episode.step(action)
        self.turns += 1
        turn = episode.trajectory.turns[-1]
        return {
            "observations": messages if episode.prompt_mode == "reset" else messages[-1:],
            "reward": turn.reward,
            "done": episode.over,
            "metadata": {
                "task_id": episode.trajectory.trace.task_id,
                "operations": turn.operations,
                "malformed": turn.malformed,
                "results": turn.results,
            },
            "postprocessed_action": None,
        }

    def get_metrics(self) -> dict[str, float]:
        """Return the episode's scores and counts as floats: those so far when it was given up, none before it."""
        if self._episode is None:
            return {}
        trajectory = self._episode.trajectory
        if not trajectory.over:  # SkyRL gives a conversation up when it is too long
            so_far: Any = self._episode.env.get_wrapper_attr("metrics")
            trace = dataclasses.replace(trajectory.trace, metrics=so_far())
            trajectory = Trajectory(trajectory.turns, trace)
        return trajectory.scores()

    def close(self) -> None:
        """Close the environment; its metrics stay."""
        if self._episode is not None:
            self._episode.close()

    def _running(self) -> TextEpisode:
        if self._episode is None:
            raise ResetNeeded("there is no episode before init(prompt)")
        return self._episode

    def _limited_row(self) -> dict[str, Any]:
        limit = self._limit()
        if limit is None:
            return self._row
        arguments = {**json.loads(self._row["env_arguments"]), "max_steps": limit}
        return {**self._row, "env_arguments": json.dumps(arguments)}

    def _limit(self) -> int | None:
        """Return the smaller one of the limits on steps, if there is any."""
        arguments = json.loads(self._row.get("env_arguments") or "{}")
        turns = self._row.get("max_turns") or 1
        limits = [arguments.get("max_steps"), int(turns) if turns > 1 else None]
        return min((limit for limit in limits if limit is not None), default=None)


def _gym_module(name: str) -> ModuleType:
    return load_library(name, "skyrl", "the SkyRL adapter")


def __getattr__(name: str) -> Any:
    if name != "AtomMemEnv":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in globals():
        bases = (SkyRLEpisode, _gym_module("skyrl_gym.envs.base_text_env").BaseTextEnv)
        globals()[name] = type(name, bases, {"__module__": __name__, "__doc__": SkyRLEpisode.__doc__})
    return globals()[name]
