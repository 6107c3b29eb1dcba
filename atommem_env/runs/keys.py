"""What an episode of a run is known by, and the order in which a run lists its episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Key: TypeAlias = tuple[str, str, int]
"""What an episode is known by: the names of its environment and policy, and its task index."""


def episode_key(episode: Mapping[str, Any]) -> Key:
    """Return the key of an episode's record."""
    return episode["env"], episode["policy"], episode["task_index"]


def planned_keys(settings: Mapping[str, Any]) -> Iterator[Key]:
    """Yield the keys of all episodes of a run, in the order in which a finished run lists them.

    An environment may say under ``policies`` which of the run's it is for, and under ``episodes`` how many
    it has; without, all policies are, with the run's number.
    """
    for env in settings["envs"]:
        for policy in settings["policies"]:
            if policy["name"] in env.get("policies", (policy["name"],)):
                for index in range(env.get("episodes", settings["episodes"])):
                    yield env["name"], policy["name"], index


def in_order(settings: Mapping[str, Any], episodes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of ``episodes`` in the order in which a finished run lists them."""
    by_key = {episode_key(episode): episode for episode in episodes}
    return [by_key[key] for key in planned_keys(settings) if key in by_key]
