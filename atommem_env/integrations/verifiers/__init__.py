"""verifiers 0.4 (its API ``verifiers.v1``), and prime-rl, which trains on its environments.

The route: a taskset whose rows hold a task's index and no text; a harness that plays the episode in this process,
each model call through the interception endpoint; and the environment that seats the two. verifiers finds them
under the id ``atommem_env``, as in ``vf-eval atommem_env``, since it looks a plugin up by the name of an installed
package and in that package's ``__all__``. The classes are in :mod:`atommem_env.integrations.verifiers.plugin`, made
from the library's own when one of them is first asked for.

A context reset is a branch: a trace is a graph of messages, a prompt that extends no other starts a new branch, and
a trainer makes one sample of each branch, all with the trace's advantage. ``prompt_mode="append"`` is one branch.

Tested with verifiers 0.4.0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from atommem_env.integrations.text_episode import Message, TextEpisode, load_library

PLUGINS: Final = ("VerifiersEnv", "VerifiersHarness", "VerifiersTaskset")
"""What the package lists in ``__all__`` where verifiers is installed; exactly one class of each kind."""

Reply = Callable[[list[Message]], Awaitable[str]]
"""Answers messages with a text."""


def __getattr__(name: str) -> Any:
    """Return one of :data:`PLUGINS`.

    Raises:
        ImportError: when verifiers is missing; names the extra.
    """
    if name not in PLUGINS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    load_library("verifiers.v1", "verifiers", name)
    from atommem_env.integrations.verifiers import plugin as verifiers_plugin

    return getattr(verifiers_plugin, name)


async def play(episode: TextEpisode, task_index: int, reply: Reply, info: dict[str, Any]) -> None:
    """Run ``reply`` through an episode; the environment's work leaves the event loop free.

    Args:
        episode: the episode.
        task_index: the task.
        reply: the model.
        info: gets the record of the episode as ``info["episode"]``, also where ``reply`` raises.

    Raises:
        ValueError: when the task cannot be made.
    """
    messages = await _aside(episode.reset, task_index)
    try:
        while messages:
            messages = await _aside(episode.step, await reply(messages))
    finally:
        info["episode"] = summarize(episode)


async def _aside(function: Callable[..., list[Message]], *arguments: Any) -> list[Message]:
    """Run ``function`` in a thread; a cancelled caller leaves when it is done, so that no step runs on behind it."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def summarize(episode: TextEpisode) -> dict[str, Any]:
    """Return what a trace keeps of an episode, over or cut short, as plain data.

    ``task_id``, ``source``, ``over``, ``return`` (the reward so far), ``scores`` (see
    :meth:`~atommem_env.integrations.text_episode.Trajectory.scores`) and ``questions`` (as in the metrics; an open
    question has no prediction and scores 0).
    """
    trajectory = episode.trajectory
    if not trajectory.over:
        trajectory.trace.metrics = episode.env.get_wrapper_attr("metrics")()
    return {
        "task_id": trajectory.trace.task_id,
        "source": trajectory.trace.source,
        "over": trajectory.over,
        "return": trajectory.episode_return,
        "scores": trajectory.scores(),
        "questions": trajectory.metrics["questions"],
    }
