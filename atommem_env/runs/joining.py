"""A run's folder and what a call asks of it: what is added, what is done again, and what does not go together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from atommem_env.runs.errors import RunError

_MOST: Final = 8
_PLAN: Final = ("envs", "policies", "episodes")
_OWN: Final = ("policies", "episodes", "made_of", "unhashed")  # of an environment or policy: compared apart


@dataclass(frozen=True)
class Joined:
    """The record of a folder after a call.

    Attributes:
        settings: the environments, policies and episodes of both, those that were there first.
        redo: the names of environments and of policies whose episodes are done again.
        notes: what is done again and why, a sentence each.
    """

    settings: dict[str, Any]
    redo: tuple[frozenset[str], frozenset[str]]
    notes: tuple[str, ...]


def join(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> Joined:
    """Join the settings of a call to those of a folder.

    Args:
        path: the folder.
        old: what its ``run.json`` holds.
        new: the settings of the call.

    Raises:
        RunError: when they are of different runs; lists where.
    """
    differences = [
        line
        for key in dict.fromkeys([*old, *new])
        if key not in _PLAN
        for line in _differences(old.get(key), new.get(key), key)
    ]
    joined: dict[str, list[dict[str, Any]]] = {}
    redo: dict[str, set[str]] = {}
    notes: list[str] = []
    for what, word in (("envs", "environment"), ("policies", "policy")):
        there = {record["name"]: record for record in old[what]}
        now = {record["name"]: record for record in new[what]}
        joined[what], redo[what] = [dict(now.get(name, record)) for name, record in there.items()], set()
        joined[what] += [dict(record) for name, record in now.items() if name not in there]
        for name in filter(now.__contains__, there):
            before, after = _compared(there[name]), _compared(now[name])
            differences += _differences(before, after, f"{what}[{name}]")
            why = _changed(there[name], now[name])
            if why:
                redo[what].add(name)
                notes.append(f"{word} {name!r}: its episodes are done again, since {why}")
    if differences:
        raise RunError(_refusal(path, differences))
    settings = {**new, "episodes": max(old["episodes"], new["episodes"])}
    for env in joined["envs"]:
        _join_plan(env, old, new, joined["policies"], settings["episodes"])
    settings |= joined
    return Joined(settings, (frozenset(redo["envs"]), frozenset(redo["policies"])), tuple(sorted(notes)))


def _compared(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has to be the same of two records of one name."""
    return {key: value for key, value in record.items() if key not in _OWN}


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return why what two records of one name stand for is not the same, ``""`` when it is."""
    before, after = old.get("made_of", {}), new.get("made_of", {})
    if before is None or after is None:
        why = new.get("unhashed") or old.get("unhashed") or "it is unknown what it was made of"
        return f"they cannot be compared ({why})"
    names = [name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]
    shown = ["its functions or values" if name == "values" else name for name in sorted(names)]
    return f"{', '.join(shown)} changed" if shown else ""


def _join_plan(
    env: dict[str, Any],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    policies: Sequence[Mapping[str, Any]],
    episodes: int,
) -> None:
    """Set for which of all policies an environment is, and how many episodes it has, where both are not all."""
    chosen: set[str] = set()
    number = 0
    for settings in (old, new):
        for record in settings["envs"]:
            if record["name"] == env["name"]:
                own = record.get("policies")
                chosen |= {policy["name"] for policy in settings["policies"]} if own is None else set(own)
                own_number = record.get("episodes")
                number = max(number, settings["episodes"] if own_number is None else own_number)
    names = [policy["name"] for policy in policies]
    for key in ("policies", "episodes"):
        env.pop(key, None)
    if chosen != set(names):
        env["policies"] = [name for name in names if name in chosen]
    if number != episodes:
        env["episodes"] = number


def _differences(old: Any, new: Any, name: str) -> Iterator[str]:
    """Yield where two records differ, a line each."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(key), new.get(key), f"{name}.{key}")
    elif old != new:
        yield f"{name}: {_short(old)} there, {_short(new)} now"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _refusal(path: Path, differences: Sequence[str]) -> str:
    shown = [f"  {line}" for line in differences[:_MOST]]
    if len(differences) > len(shown):
        shown.append(f"  and {len(differences) - len(shown)} more")
    return "\n".join(
        [
            f"{path} holds a run with other settings:",
            *shown,
            "Repeat its settings to go on with it, choose another folder with --out, or have --fresh do the run again.",
        ]
    )
