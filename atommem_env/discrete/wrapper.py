"""An environment for classic reinforcement learning: numbers to see, one of a fixed number of actions to take."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, Final, SupportsIndex, cast

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import InvalidAction, ResetNeeded

from atommem_env.core.checks import one_of
from atommem_env.core.operations import to_dict
from atommem_env.core.types import Info, Observation
from atommem_env.core.words import content_stems
from atommem_env.discrete.decisions import (
    SLOT_FEATURES,
    STATE_FEATURES,
    Answerer,
    Compressor,
    Decisions,
)
from atommem_env.discrete.gold import EvidenceHeld
from atommem_env.discrete.notes import Array
from atommem_env.env import MemoryEnv
from atommem_env.text import sentences

REWARDS: Final = ("score", "evidence", "read")


class ChoiceInfo(Info, total=False):
    """The info of the environment, and the operations that it was given; empty after a choice that did not step it."""

    operations: list[dict[str, Any]]


class DiscreteOperations(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Goes through each chunk document by document, and turns each choice into the environment's operations.

    The action is one flat ``Discrete``: skip, create, replace slot j, delete slot j, query q (see
    :mod:`atommem_env.discrete.decisions`); :meth:`action_masks` tells which are possible, and one that is not counts
    as the first that is: skip, or a query where one must come before the answer. The choices over a chunk are
    submitted as one action at its end. The observation is a dict of arrays in [0, 1]:

    ==============  ===============  ==================================================================
    key             shape            what
    ==============  ===============  ==================================================================
    ``candidate``   (Q, F)           how well the candidate serves each question
    ``slots``       (S, Q, F)        the same of each entry, with the choices so far
    ``slot_state``  (S, 3)           whether the slot is filled, since when, whether its entry is shown
    ``questions``   (Q,)             which questions there are; while answering, which is asked
    ``state``       (9,)             where the episode stands
    ==============  ===============  ==================================================================

    F is the number of :data:`~atommem_env.discrete.features.TEXT_FEATURES`; where the questions are not shown while
    reading, that of :data:`~atommem_env.discrete.blind.BLIND_FEATURES`, and Q is 1: what the texts say without any
    question. Nothing in it comes from gold. Questions are answered from the entries shown. An info has
    the environment's keys when the environment was stepped, and then ``operations``: what it was given, as plain
    dicts; between, it is empty.

    Args:
        env: a ``MemoryEnv``, wrapped or not, whose configuration the defaults are taken from.
        slots: S, the most entries to hold; ``None``: the environment's capacity.
        max_questions: Q; ``None``: the most that the environment asks. With ``questions_shown="when_asked"`` it is 1.
        queries: the query generator's: ``"question"``, ``"bridge"``.
        answer: answers a question from the entries shown: a function of both, such as an engine's ``answer``;
            ``None``: the best entry's best sentence.
        compress: writes each chunk into the scratchpad (as MemAgent does), next to what is chosen: a function of the
            questions, the scratchpad, the chunk and a number of tokens, such as an engine's ``compress``;
            ``None``: the scratchpad stays empty.
        reward: ``"score"``: the environment's. ``"evidence"``, for training: at each choice the change in the
            evidence that the entries hold, the mean over the questions, which sums to the share held in the
            end. ``"read"``, for training, too: the change in the share that was shown with its question, or, of
            questions still to be answered, that a look with the question would show.

    Attributes:
        decisions: the choices of the episode in progress.
        gold: what its texts hold of the evidence; ``None`` with ``reward="score"``.

    Raises:
        ValueError: when an argument is out of range, or ``slots`` is not given and there is no capacity.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        slots: int | None = None,
        max_questions: int | None = None,
        queries: Sequence[str] = ("question",),
        answer: Answerer | None = None,
        compress: Compressor | None = None,
        reward: str = "score",
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(
            self,
            slots=slots,
            max_questions=max_questions,
            queries=queries,
            answer=answer,
            compress=compress,
            reward=reward,
        )
        super().__init__(env)
        inner = env.unwrapped
        if not isinstance(inner, MemoryEnv):
            raise TypeError(
                f"env={env!r}: expected a MemoryEnv, wrapped or not; got a {type(inner).__name__}"
            )
        config = inner.config
        slots = config.capacity if slots is None else slots
        if slots is None:
            raise ValueError(
                "slots=None and the environment has no capacity: give either, for example capacity=20 to gym.make"
            )
        blind = config.questions_shown == "when_asked"
        if blind:
            max_questions = 1
        elif max_questions is None:
            max_questions = _most_questions(config.num_questions)
        self.decisions = Decisions(slots, answer or best_sentence, max_questions, queries, compress, blind)
        self.reward = one_of("reward", reward, REWARDS)
        shapes = {
            "candidate": (max_questions, len(self.decisions.features)),
            "slots": (slots, max_questions, len(self.decisions.features)),
            "slot_state": (slots, len(SLOT_FEATURES)),
            "questions": (max_questions,),
            "state": (len(STATE_FEATURES),),
        }
        self.observation_space = spaces.Dict({key: spaces.Box(0, 1, shape) for key, shape in shapes.items()})
        self.action_space = spaces.Discrete(self.decisions.num_actions)
        self.gold: EvidenceHeld | None = None
        self._value = 0.0
        self._over = True

    def reset(  # type: ignore[override]  # Gymnasium's infos are any dict
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], ChoiceInfo]:
        """Start an episode; see the environment's own ``reset``."""
        observation, info = self.env.reset(seed=seed, options=options)
        rules = info["rules"]
        self.decisions.begin(observation, rules)
        self._value = 0.0
        if self.reward != "score":
            self.gold = EvidenceHeld(
                info["gold"],
                [question.question for question in self.env.get_wrapper_attr("episode").task.questions],
                self.env.get_wrapper_attr("dataset").word_shares,
                rules.top_k,
            )
            self._take()
        self._over = False
        return self.decisions.view(), cast("ChoiceInfo", {**info, "operations": []})

    def step(  # type: ignore[override]  # Gymnasium's infos are any dict
        self, action: SupportsIndex
    ) -> tuple[dict[str, Array], float, bool, bool, ChoiceInfo]:
        """Make one choice.

        Raises:
            InvalidAction: when the action is outside the action space.
            ResetNeeded: before the first reset, and after the end.
        """
        if self._over:
            raise ResetNeeded("there is no episode in progress: call reset() first")
        number, masks = _int(action), self.action_masks()
        if not 0 <= number < len(masks):
            raise InvalidAction(f"action {action!r}: expected an int from 0 to {len(masks) - 1}")
        operations = self.decisions.choose(number if masks[number] else int(masks.argmax()))
        reward, terminated, truncated = 0.0, False, False
        info = cast("ChoiceInfo", {})
        if operations is not None:
            observation, score, terminated, truncated, told = self.env.step(operations)
            reward = float(score)
            info = cast(
                "ChoiceInfo", {**told, "operations": [to_dict(operation) for operation in operations]}
            )
            self.decisions.observe(observation)
            self._over = terminated or truncated
            self._see(observation)
        if self.gold is not None:
            self._take()
            value = self._worth(self.gold)
            reward, self._value = value - self._value, value
        return self.decisions.view(), reward, terminated, truncated, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which actions are possible, of shape (``action_space.n``,)."""
        return self.decisions.action_masks()

    def _worth(self, gold: EvidenceHeld) -> float:
        """Return the share of the evidence that the reward is about."""
        notes = self.decisions.notes
        if self.reward == "evidence":
            return gold.held(notes)
        return gold.read(notes, gold.num_questions if self._over else self.decisions.answered)

    def _take(self) -> None:
        """Tell what the candidate holds."""
        note, text = self.decisions.candidate_note, self.decisions.candidate
        if self.gold is not None and note is not None and text is not None:
            self.gold.take(note, text)

    def _see(self, observation: Observation) -> None:
        """Tell what is shown with a question."""
        if self.gold is not None and observation["phase"] and observation["questions"]:
            ids = {entry["id"] for entry in observation["retrieved"]}
            held = zip(self.decisions.slots, self.decisions.notes, strict=True)
            self.gold.see(
                observation["cursor"], [note for id, note in held if note is not None and id in ids]
            )


def _most_questions(size: int | Sequence[int] | None) -> int:
    if size is None:
        raise ValueError(
            "max_questions=None and the environment asks all questions of a history at once: give either, for example "
            "num_questions=4 to gym.make, or leave the questions unseen (questions_shown='when_asked')"
        )
    return size if isinstance(size, int) else size[1]


def best_sentence(question: str, shown: Sequence[str]) -> str:
    """Return the sentence of the first text that shares the most content words with the question.

    It is what answers where nothing else was given: no model, and nothing that knows of a benchmark. Where nothing is
    shown it says ``unknown``.
    """
    asked = set(content_stems(question))
    parts = sentences(shown[0]) if shown else []
    return max(parts, key=lambda part: len(asked & set(content_stems(part))), default="unknown")


def _int(action: SupportsIndex) -> int:
    """Return ``action`` as an int, -1 when it is none."""
    try:
        return index(action)
    except TypeError:
        return -1
