"""Credit by branching: groups of rollouts that go on from one mid-episode state, each against the others.

An episode's return says the same of each of its steps. Where several rollouts go on from one state (same memory, same
chunk), their returns differ by what they did from there on alone, and their advantages against each other are owed to
that (the tree of VinePPO, arXiv 2410.01679, in groups as GRPO takes them). :func:`fork` makes such rollouts of a text
episode, and :func:`branch_advantages` tells each part of each rollout its advantage; where nothing branches that is
GRPO's return less the mean of its group. An adapter plays the episodes and builds the rows; for what one entry has
earned, see :mod:`atommem_env.credit`.

A fork is a copy: an episode with two forks that are played to their ends costs its own steps once, and theirs twice.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from atommem_env.integrations.text_episode import TextEpisode

Episode = TypeVar("Episode", bound=TextEpisode)


def fork(episode: Episode, count: int, make: Callable[[], Episode]) -> list[Episode]:
    """Return ``count`` episodes that go on from where ``episode`` is; ``episode`` itself stays as it is.

    Args:
        episode: an episode in progress.
        count: how many, at least 1.
        make: returns an episode of the same arguments, new or one that is free to be used again.

    Raises:
        ValueError: when ``count`` is less than 1, or the episode is over.
    """
    if count < 1:
        raise ValueError(f"count={count}: expected at least 1, and at least 2 to have something to compare")
    if episode.over:
        raise ValueError(
            "the episode is over: fork it at an earlier step, where the model still has to write"
        )
    state = episode.get_state()
    made = [make() for _ in range(count)]
    for each in made:
        each.set_state(state)
    return made


def branch_advantages(paths: Sequence[Sequence[Hashable]], returns: Sequence[float]) -> list[list[float]]:
    """Return the advantage of each part of each episode of a group.

    A part's value is the mean return of all episodes that share it and what came before it. Its advantage is its value
    less the mean value of the parts that begin where it does, itself among them; no deviation is divided by.

    Args:
        paths: of each episode the names of its parts, in order: episodes that share a beginning share its names.
            ``[("a",), ("b",)]`` is a plain group of two, ``[("a", 0), ("a", 1), ("b", 0), ("b", 1)]`` one in which each
            of two episodes goes on in two ways.
        returns: of each episode its return.

    Returns:
        Of each episode the advantage of each of its parts.

    Raises:
        ValueError: when there are not as many returns as paths, an episode has no part, or two have the same path.
    """
    if len(paths) != len(returns):
        raise ValueError(
            f"{len(paths)} paths and {len(returns)} returns: expected one return for each episode"
        )
    nodes = [[tuple(path[: depth + 1]) for depth in range(len(path))] for path in paths]
    if not all(nodes) or len({own[-1] for own in nodes}) < len(nodes):
        raise ValueError(
            f"paths={list(paths)}: expected at least one name for each episode, and no two paths the same"
        )
    below: dict[tuple[Hashable, ...], list[float]] = {}
    for own, value in zip(nodes, returns, strict=True):
        for node in own:
            below.setdefault(node, []).append(float(value))
    values = {node: sum(found) / len(found) for node, found in below.items()}
    beside: dict[tuple[Hashable, ...], list[float]] = {}
    for node, value in values.items():
        beside.setdefault(node[:-1], []).append(value)
    means = {parent: sum(found) / len(found) for parent, found in beside.items()}
    return [[values[node] - means[node[:-1]] for node in own] for own in nodes]
