"""Credit by branching: rollouts that go on from one state, and what each part of them is owed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atommem_env.integrations.branching import branch_advantages, fork
from atommem_env.integrations.text_episode import TextEpisode
from atommem_env.runs import traces
from scripted import make_env

GOOD, BAD = "<create_memory>a note</create_memory>", "<create_memory>nonsense</create_memory>"


def make() -> TextEpisode:
    return TextEpisode(make_env(capacity=4))


def played(episode: TextEpisode, text: str) -> TextEpisode:
    while not episode.over:
        episode.step(text)
    return episode


def test_forks_share_the_past_and_nothing_of_the_future() -> None:
    stem = make()
    stem.reset(task_index=0)
    stem.step(GOOD)
    shown, turns = stem.messages, len(stem.trajectory.turns)
    left, right = fork(stem, 2, make)
    assert left.messages == right.messages == shown
    played(left, BAD)
    assert (right.messages, len(right.trajectory.turns), stem.messages) == (shown, turns, shown)
    played(right, GOOD)
    alone = make()
    alone.reset(task_index=0)
    assert traces.state_digest(played(alone, GOOD).env) == traces.state_digest(right.env)
    assert right.trajectory.trace.actions == alone.trajectory.trace.actions
    assert left.trajectory.trace.actions[:1] == alone.trajectory.trace.actions[:1]
    with pytest.raises(ValueError, match="the episode is over"):
        fork(right, 2, make)
    with pytest.raises(ValueError, match="count=0"):
        fork(stem, 0, make)


@pytest.mark.parametrize(
    ("paths", "returns", "expected"),
    [
        ([("a",), ("b",), ("c",)], [1, 0, 0.5], [[0.5], [-0.5], [0.0]]),  # GRPO without a deviation
        (
            [("a", 0), ("a", 1), ("b", 0), ("b", 1)],
            [1, 0, 0, 0],
            [[0.25, 0.5], [0.25, -0.5], [-0.25, 0.0], [-0.25, 0.0]],
        ),
        ([("a", 0), ("a", 1), ("b",)], [1, 0, 1], [[-0.25, 0.5], [-0.25, -0.5], [0.25]]),  # not all branch
    ],
)
def test_each_part_is_compared_with_those_that_begin_where_it_does(
    paths: Any, returns: list[float], expected: list[list[float]]
) -> None:
    assert branch_advantages(paths, returns) == expected


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: branch_advantages([("a",)], [1, 0]), "1 paths and 2 returns"),
        (lambda: branch_advantages([("a",), ()], [1, 0]), "at least one name"),
        (lambda: branch_advantages([("a",), ("a",)], [1, 0]), "no two paths the same"),
    ],
)
def test_what_is_no_group_is_refused(ask: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ask()
