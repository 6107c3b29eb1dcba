"""An episode that an asynchronous caller plays, and the record that a trace keeps of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypedDict

from atommem_env.core.types import QuestionMetrics
from atommem_env.integrations.text_episode import Message, TextEpisode

Reply = Callable[[list[Message]], Awaitable[str]]
"""Answers messages with a text."""


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


EpisodeSummary = TypedDict(
    "EpisodeSummary",
    {
        "task_id": str,
        "source": str,
        "over": bool,
        "return": float,
        "scores": dict[str, float],
        "questions": list[QuestionMetrics],
    },
)
"""What a trace keeps of an episode, see :func:`summarize`."""


def summarize(episode: TextEpisode) -> EpisodeSummary:
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
