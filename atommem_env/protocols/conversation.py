"""One conversation of an episode: it grows step by step, and each isolated question goes on from the end of reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium as gym

Message = dict[str, str]
"""A chat message: ``role`` and ``content``."""


class Conversation:
    """The messages of an episode so far: of an isolated question those that were there before it, and its own.

    Attributes:
        messages: the messages; a new list where the conversation has gone back.
        question: the number of the isolated question that is being asked, -1: none.
    """

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.question = -1
        self._before: list[Any] = []

    def show(self, messages: Iterable[Any], info: Mapping[str, Any]) -> None:
        """Add the messages of an observation, and first go back where the question that is asked is another.

        Args:
            messages: what is shown.
            info: the info that came with the observation.
        """
        asked = info.get("isolated_question", -1)
        if asked != self.question:
            if self.question < 0:
                self._before = self.messages
            self.question = asked
            self.messages = list(self._before)
        self.messages += messages

    def ends(self, info: Mapping[str, Any]) -> bool:
        """Tell whether the next observation, which comes with ``info``, goes back behind these messages."""
        return self.question >= 0 and info.get("isolated_question", -1) != self.question


def one_conversation(env: gym.Env[Any, Any], info: Mapping[str, Any], mend: str) -> None:
    """Refuse several isolated questions where an episode can only be one conversation, which grows.

    Args:
        env: the environment, at the beginning of an episode.
        info: the info of its reset.
        mend: what to do instead, besides what holds everywhere.

    Raises:
        ValueError: when the task asks several questions, and they are isolated.
    """
    if "isolated_question" not in info:
        return
    count = len(env.get_wrapper_attr("task").questions)
    if count > 1:
        raise ValueError(
            f"isolate_questions=True: the {count} questions of {info['task_id']} are asked apart from each other, and "
            f"here an episode is one conversation; {mend}, num_questions=1 or isolate_questions=False"
        )
