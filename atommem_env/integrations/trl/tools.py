"""TRL's ``GRPOTrainer`` with an environment as tools: its ``environment_factory``, and the rows that go with it.

Route: ``environment_factory``, tested with TRL 1.16.0 and transformers 5.23.0. An episode is one conversation that
is appended to (there is no context reset here: for that, see :mod:`atommem_env.integrations.trl.rollouts`), and its
environment is the reward: no reward function is needed. For example::

    GRPOTrainer(
        model,
        args=GRPOConfig(num_generations=8, max_completion_length=8192, ...),
        train_dataset=Dataset.from_list(tool_rows(range(1000))),
        environment_factory=make_environment_factory("AtomMem-HotpotQA-v0", num_docs=20),
    )

:class:`MemoryTools` has six tools, which a model calls in its own form (JSON, for most). For a model that writes a text
protocol's tags see :mod:`atommem_env.integrations.trl.text`. Nothing here imports TRL.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import gymnasium as gym

from atommem_env.core.operations import KINDS
from atommem_env.core.rules import Rules
from atommem_env.integrations.text_episode import TextEpisode, Trajectory
from atommem_env.protocols.tags import shield
from atommem_env.protocols.tool_calls import NEXT, ToolProtocol

OVER: Final = "The episode is over."
"""What every tool returns from the end on. TRL knows no end: it asks until a message has no call."""


class EnvironmentTools:
    """What the tools are methods of: episodes, one after the other. TRL makes a tool of each public method.

    An episode is one conversation: a task that asks several isolated questions is refused.
    """

    goes_back = False
    """Whether the caller goes back to where reading ended at each isolated question; TRL does not."""

    def __init__(self, env: str | gym.Env[Any, Any], **arguments: Any) -> None:
        self._episode = TextEpisode(env, prompt_mode="append", **arguments)

    @property
    def trajectory(self) -> Trajectory:
        """The record of the episode so far."""
        return self._episode.trajectory

    def reset(self, task_index: int | None = None, **row: Any) -> str:
        """Start the episode of a dataset's row and return its prompt; TRL appends it to the row's last message.

        Args:
            task_index: the task, which the rollouts of a group share.
            **row: the row's other columns, which are the caller's own.

        Raises:
            ValueError: when the row names no task, the task cannot be made, or it asks several isolated questions.
        """
        if task_index is None:
            raise ValueError(
                f"the row has no task_index; it has {sorted(row)}. Rows are made by "
                "atommem_env.integrations.trl.tools.tool_rows"
            )
        prompt = self._episode.reset(task_index)[-1]["content"]
        if not self.goes_back:
            self._episode.refuse_isolated(
                "pass atommem_env.integrations.trl.rollouts, whose contexts are reset"
            )
        return prompt

    def get_reward(self) -> float:
        """Return the episode's return, in [0, 1].

        A model that stops before the end forfeits what is open: with the rewards on the last step (the paper's), that
        is everything.
        """
        return self.trajectory.episode_return

    def _act(self, text: str) -> str:
        """Carry out the action ``text`` and return what is new; after the end, do nothing."""
        if not self.trajectory.over:
            self._episode.step(text)
        return OVER if self.trajectory.over else str(self.trajectory.trace.observations[-1])


class MemoryTools(EnvironmentTools):
    """An environment as six tools: the five operations, and ``next``.

    A call that changes memory is kept, and said to wait. ``read``, ``answer`` and ``next`` send what waits, followed
    by themselves, as one action, and return what is new. So ``read`` is a look when nothing waits, and moves on to
    the next chunk otherwise. The scratchpad is the entry 0. A bad call is refused, and the next turn says why.

    Args:
        env: an environment's id, or an environment.
        template: the complete prompt in other words, as a file's path or as text.
        **arguments: the arguments of ``gym.make``, when ``env`` is an id.

    Raises:
        ValueError: when an argument names nothing.
    """

    def __init__(
        self, env: str | gym.Env[Any, Any], *, template: str | None = None, **arguments: Any
    ) -> None:
        super().__init__(env, protocol=ToolProtocol(template=template), **arguments)
        self._waiting: list[dict[str, Any]] = []

    def reset(self, task_index: int | None = None, **row: Any) -> str:
        """Start the episode of a dataset's row and return its prompt, see :meth:`EnvironmentTools.reset`."""
        self._waiting = []
        return super().reset(task_index, **row)

    def create(self, content: str) -> str:
        """Store a new memory entry. It waits.

        Args:
            content: What the entry says; it must be understood by itself.
        """
        return self._wait(op="create", content=content)

    def read(self, query: str, k: int | None = None) -> str:
        """Carry out what waits, search the memory, and show the entries found.

        Args:
            query: What to look for.
            k: How many entries to show at most, 1 to 32.
        """
        return self._send({"op": "read", "query": query, "k": k})

    def update(self, id: int, content: str) -> str:
        """Replace what a memory entry, or the scratchpad, says. It waits.

        Args:
            id: The entry's id; 0 is the scratchpad.
            content: The whole of the new content.
        """
        return self._wait(op="update", id=id, content=content)

    def delete(self, id: int) -> str:
        """Remove a memory entry, or clear the scratchpad. It waits.

        Args:
            id: The entry's id; 0 is the scratchpad.
        """
        return self._wait(op="delete", id=id)

    def answer(self, content: str) -> str:
        """Carry out what waits, and answer the question that is asked.

        Args:
            content: The answer alone, as short as it can be exact.
        """
        return self._send({"op": "answer", "content": content})

    def next(self) -> str:
        """Carry out what waits, and go on."""
        return self._send()

    def _wait(self, **call: Any) -> str:
        if self.trajectory.over:
            return OVER
        self._waiting.append(call)
        return f"Waiting: {len(self._waiting)}."

    def _send(self, *call: dict[str, Any]) -> str:
        calls, self._waiting = [*self._waiting, *call], []
        return self._act(shield(json.dumps(calls, ensure_ascii=False)))


# --- what a trainer is given --------------------------------------------------------------------------


def make_environment_factory(
    env: str | Mapping[str, str], *, tools: type[EnvironmentTools] = MemoryTools, **arguments: Any
) -> Any:
    """Return an ``environment_factory`` for ``trl.GRPOTrainer``; it can be pickled.

    Args:
        env: an environment's id; or several ids by name, such as
            :data:`atommem_env.integrations.text_episode.BENCHMARKS`. Then a row's column ``environment``
            chooses, and each name has its own column of rewards, ``rewards/<name>``.
        tools: :class:`MemoryTools`, or :class:`atommem_env.integrations.trl.text.TextTools`.
        **arguments: the arguments of ``tools``. The model is not shown the tools of operations that they disable.

    Returns:
        A factory, or a dict of factories by name.

    Raises:
        ValueError: when ``env`` is an environment, which the rollouts would share.
    """
    if isinstance(env, Mapping):
        return {name: _factory(id, tools, name, arguments) for name, id in env.items()}
    return _factory(env, tools, tools.__name__, arguments)


def _factory(
    env: str, tools: type[EnvironmentTools], name: str, arguments: dict[str, Any]
) -> Callable[[], EnvironmentTools]:
    if not isinstance(env, str):
        raise ValueError(f"env={env!r}: expected an environment's id, since each rollout makes its own")
    return functools.partial(_make, env, tools, name, arguments)


def _make(env: str, tools: type[EnvironmentTools], name: str, arguments: dict[str, Any]) -> EnvironmentTools:
    hidden: Sequence[str] = ()
    if issubclass(tools, MemoryTools):
        rules = {
            rule: arguments[rule] for rule in ("operations", "scratchpad", "storage") if rule in arguments
        }
        shown = {tool["function"]["name"] for tool in ToolProtocol().tools(Rules(**rules))}
        hidden = [kind for kind in (*KINDS, NEXT) if kind not in shown]
    return _named(tools, name, tuple(hidden))(env, **arguments)  # type: ignore[arg-type]  # a class is hashable


@functools.lru_cache(maxsize=256)
def _named(tools: type[EnvironmentTools], name: str, hidden: tuple[str, ...]) -> type[EnvironmentTools]:
    """Return ``tools`` as a separate class, since TRL logs rewards by the class's name and shows its methods."""
    return type(name, (tools,), {"__doc__": tools.__doc__, **dict.fromkeys(hidden)})


def tool_rows(task_indices: Iterable[int], environments: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return the rows of a dataset: tasks by their index. The environment says all the rest, the prompt too.

    Args:
        task_indices: the tasks.
        environments: the names in a dict of factories (the dict itself will do); the tasks of all of them take turns.
    """
    names = [{"environment": name} for name in environments] or [{}]
    empty = [{"role": "user", "content": ""}]
    return [{"prompt": empty, **name, "task_index": index} for index in task_indices for name in names]


def log_scores(
    environments: Sequence[EnvironmentTools], log_metric: Callable[[str, float], None], **_: Any
) -> list[float]:
    """Log the means of the finished episodes' scores and counts, as ``env/em`` and so on, and the share ``env/over``.

    It goes into the trainer's ``reward_funcs`` and adds nothing to a reward.
    """
    scores = [tools.trajectory.scores() for tools in environments if tools.trajectory.over]
    log_metric("env/over", len(scores) / len(environments))
    for name in scores[0] if scores else ():
        log_metric(f"env/{name}", sum(score[name] for score in scores) / len(scores))
    return [0.0] * len(environments)
