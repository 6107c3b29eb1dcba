"""What training a policy for ``DiscreteOperations`` needs besides a trainer: held-out questions, lessons, scores.

Held out is a fifth of the questions, chosen by the hash of their ids and nothing else, so that every training on
the same data holds out the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from atommem_env.core.operations import KINDS
from atommem_env.core.types import Metrics
from atommem_env.data.dataset import QADataset
from atommem_env.discrete.wrapper import DiscreteOperations
from atommem_env.evidence import mean_share

HELD_OUT: Final = 5
"""One question of this many is held out."""

View = Mapping[str, npt.NDArray[np.floating[Any]]]
Choice = Callable[[View, npt.NDArray[np.bool_]], int]
"""Chooses an action from what can be known and what is possible, as ``Network.choose`` does."""


def is_held_out(id: str) -> bool:
    """Return whether the question with this id is held out from training."""
    return int(hashlib.sha256(id.encode()).hexdigest(), 16) % HELD_OUT == 0


def split(dataset: QADataset) -> tuple[QADataset, QADataset]:
    """Return the part of a dataset to train on and the part that is held out; no question is in both.

    Raises:
        ValueError: when one would be empty.
    """
    rows: tuple[list[int], list[int]] = ([], [])
    for row in range(dataset.num_questions):
        rows[is_held_out(dataset.question(row).id)].append(row)
    if not all(rows):
        raise ValueError(
            f"{dataset.source}: {dataset.num_questions} questions are too few to hold some out from training"
        )
    return dataset.part(rows[False], "fit"), dataset.part(rows[True], "held-out")


@dataclass(frozen=True, slots=True)
class Episode:
    """The result of one episode.

    Attributes:
        metrics: the environment's.
        reward: the sum of the wrapper's rewards.
        choices: how many were made.
    """

    metrics: Metrics
    reward: float
    choices: int

    def share(self, stage: str) -> float | None:
        """Return the share of the evidence that reached a stage of the funnel; ``None`` where none is known."""
        return mean_share(self.metrics, stage)


def play(env: DiscreteOperations, choose: Choice, task_index: int) -> Episode:
    """Play one episode."""
    view, _ = env.reset(options={"task_index": task_index})
    total, choices, over = 0.0, 0, False
    while not over:
        view, reward, terminated, truncated, info = env.step(choose(view, env.action_masks()))
        total, choices, over = total + reward, choices + 1, terminated or truncated
    return Episode(info["metrics"], total, choices)


def scores(env: DiscreteOperations, choose: Choice, tasks: int) -> dict[str, float]:
    """Return how a policy does on the first ``tasks`` tasks, at most an epoch of them.

    Returns:
        ``kept`` and ``read`` (shares of the evidence), ``em`` and ``return`` (the wrapper's), each the mean over
        tasks, and how many ``tasks`` there were.
    """
    most = min(tasks, env.get_wrapper_attr("num_tasks"))
    episodes = [play(env, choose, index) for index in range(most)]
    found: dict[str, list[float | None]] = {
        "kept": [episode.share("kept") for episode in episodes],
        "read": [episode.share("read") for episode in episodes],
        "em": [episode.metrics["em"] for episode in episodes],
        "return": [episode.reward for episode in episodes],
    }
    means = {name: [value for value in values if value is not None] for name, values in found.items()}
    return {name: float(np.mean(values)) if values else 0.0 for name, values in means.items()} | {
        "tasks": most
    }


def operations_per_step(metrics: Metrics) -> dict[str, float]:
    """Return how many operations of each kind an episode had for each of its steps."""
    return {kind: metrics["operations"][kind] / max(metrics["steps"], 1) for kind in KINDS}


@dataclass(frozen=True, slots=True, eq=False)
class ImitationSample:
    """What a choice was about, and what the oracle knows of it.

    Attributes:
        view: what could be known.
        serves: whether the candidate (first) and each slot's text hold evidence of each question, (1 + S, Q); of any
            where the questions are not shown.
        there: whether there is such a text, (1 + S,).
    """

    view: View
    serves: npt.NDArray[np.floating[Any]]
    there: npt.NDArray[np.floating[Any]]

    def halved(self) -> ImitationSample:
        """Return the same in half precision, for keeping many."""
        view = {key: value.astype(np.float16) for key, value in self.view.items()}
        return ImitationSample(view, self.serves.astype(np.float16), self.there.astype(np.float16))


def lessons(env: DiscreteOperations, choose: Choice, task_index: int) -> Iterator[ImitationSample]:
    """Play one episode and yield a lesson for each candidate, in the states that ``choose`` itself gets into.

    Args:
        env: with ``reward="evidence"`` or ``"read"``.
        choose: what plays.
        task_index: the task.
    """
    view, _ = env.reset(options={"task_index": task_index})
    over = False
    while not over:
        gold, note = env.gold, env.decisions.candidate_note
        if gold is not None and note is not None:
            texts = [note, *env.decisions.notes]
            serves = np.zeros((len(texts), view["questions"].size), np.float32)
            for number, text in enumerate(texts):
                if text is not None:
                    served = gold.serves(text)
                    if env.decisions.blind:
                        serves[number] = served.max(initial=0)
                    else:
                        serves[number, : served.size] = served
            yield ImitationSample(view, serves, np.array([text is not None for text in texts], np.float32))
        view, _, terminated, truncated, _ = env.step(choose(view, env.action_masks()))
        over = terminated or truncated
