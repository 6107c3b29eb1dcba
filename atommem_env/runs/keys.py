"""What an episode of a run is known by, and the order in which a run lists its episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from atommem_env.runs.forms import EpisodeRecord, TimingRecord

Key: TypeAlias = tuple[str, str, int]
"""What an episode is known by: the names of its environment and policy, and its task index."""


def episode_key(episode: EpisodeRecord | TimingRecord) -> Key:
    """Return the key of an episode's record."""
    return episode["env"], episode["policy"], episode["task_index"]


def num_planned(settings: Mapping[str, Any]) -> int:
    """Return how many keys :func:`planned_keys` yields."""
    total = 0
    for env in settings["envs"]:
        policies = [policy for policy in settings["policies"] if _is_for(env, policy)]
        total += len(policies) * _episodes(env, settings)
    return total


def _is_for(env: Mapping[str, Any], policy: Mapping[str, Any]) -> bool:
    chosen = env.get("policies")
    return chosen is None or policy["name"] in chosen


def _episodes(env: Mapping[str, Any], settings: Mapping[str, Any]) -> int:
    own = env.get("episodes")
    return int(settings["episodes"] if own is None else own)


def planned_keys(settings: Mapping[str, Any]) -> Iterator[Key]:
    """Yield the keys of all episodes of a run, in the order in which a finished run lists them.

    An environment may say under ``policies`` which of the run's it is for, and under ``episodes`` how many
    it has; without, all policies are, with the run's number.
    """
    for env in settings["envs"]:
        for policy in settings["policies"]:
            if _is_for(env, policy):
                for index in range(_episodes(env, settings)):
                    yield env["name"], policy["name"], index


def in_order(settings: Mapping[str, Any], episodes: Sequence[EpisodeRecord]) -> list[EpisodeRecord]:
    """Return the records of ``episodes`` in the order in which a finished run lists them."""
    envs = {env["name"]: (number, env) for number, env in enumerate(settings["envs"])}
    policies = {policy["name"]: (number, policy) for number, policy in enumerate(settings["policies"])}
    placed: dict[tuple[int, int, int], EpisodeRecord] = {}
    for episode in episodes:
        name, policy_name, index = episode_key(episode)
        if name in envs and policy_name in policies:
            (first, env), (second, policy) = envs[name], policies[policy_name]
            if _is_for(env, policy) and 0 <= index < _episodes(env, settings):
                placed[first, second, index] = episode
    return [placed[key] for key in sorted(placed)]
