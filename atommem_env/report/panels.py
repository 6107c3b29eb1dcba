"""Rows that are alike in everything but one argument of their environment, such as the number of documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from atommem_env.report.summary import Row
from atommem_env.runs.recorded import RecordedRun


class Panel(NamedTuple):
    """Where a row belongs: everything that its environment and run are, but for one argument.

    Attributes:
        id: the environment's.
        source: where the data came from.
        generated: whether generated data stands in for the benchmark.
        settings: its other arguments and the policies' seed, each with its value as JSON.
    """

    id: str
    source: str
    generated: bool
    settings: tuple[tuple[str, str], ...]


def panel_of(row: Row, run: RecordedRun, argument: str) -> tuple[Panel, Any]:
    """Return where a row belongs, and what ``argument`` was; ``None`` where its environment has none such."""
    env: Mapping[str, Any] = next(env for env in run.settings["envs"] if env["name"] == row.env)
    settings = {**env["arguments"], "policy_seed": run.settings["seed"]}
    value = settings.pop(argument, None)
    plain = tuple((name, json.dumps(value, ensure_ascii=False)) for name, value in settings.items())
    return Panel(env["id"], row.source, row.generated, plain), value


def label_of(panel: Panel, others: Sequence[Panel]) -> str:
    """Return a panel's label, with the settings in which panels of its environment differ."""
    like: list[set[tuple[str, str]]] = [set(other.settings) for other in others if other.id == panel.id]
    differing = like[0].union(*like) - like[0].intersection(*like)
    name = f"{panel.id} (generated)" if panel.generated else panel.id
    return ", ".join(
        [name, *(f"{key}={value}" for key, value in panel.settings if (key, value) in differing)]
    )
