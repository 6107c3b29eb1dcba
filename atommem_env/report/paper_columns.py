"""What a recipe's run measured next to what the paper reports, in columns that never mix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atommem_env.report.paper import CITATION, MODEL, figures
from atommem_env.report.summary import Row, summarise

if TYPE_CHECKING:
    from atommem_env.runs.recorded import RecordedRun


@dataclass(frozen=True)
class Comparison:
    """A table of policies by environments, each with what was measured and what the paper reports.

    Attributes:
        recipe: the recipe's name.
        variant: what its environments have in common, for example ``"num_docs=200"``.
        engine: the engine of what was measured.
        envs: the environments' names.
        lines: for each policy its name and, for each environment, what was measured (``None``: not run) and
            the paper's figure in [0, 1] (``None``: it reports none).
    """

    recipe: str
    variant: str
    engine: str
    envs: tuple[str, ...]
    lines: list[tuple[str, list[tuple[Row | None, float | None]]]]

    @property
    def reference(self) -> str:
        """Where the paper's figures are from."""
        return f"{CITATION}; {MODEL}"

    @property
    def measured(self) -> str:
        """What heads a column of measured scores."""
        return f"measured (engine {self.engine}, sample)"

    @property
    def paper(self) -> str:
        """What heads a column of the paper's figures."""
        return f"paper ({MODEL})"


def comparisons(run: RecordedRun) -> list[Comparison]:
    """Return the comparisons of a run of a recipe, one for each of its variants of which the paper reports something.

    Scores on generated data are never compared.
    """
    recipe = run.settings.get("recipe")
    if recipe is None:
        return []
    rows = {(row.env, row.policy): row for row in summarise([run]) if not row.generated}
    variants: dict[str, list[str]] = {}
    for env in run.settings["envs"]:
        name = env["name"]
        if any(key[0] == name for key in rows) and figures(recipe, name):
            variants.setdefault(name.partition("[")[2].removesuffix("]"), []).append(name)
    return [
        Comparison(
            recipe,
            variant,
            _engine(run.settings["engine"]),
            tuple(envs),
            _lines(recipe, envs, rows, run.settings),
        )
        for variant, envs in variants.items()
    ]


def _engine(record: Any) -> str:
    """Return the name of a run's engine, with its model where it has one; ``auto`` is ``rules`` on real data."""
    if isinstance(record, str):
        return "rules" if record == "auto" else record
    return f"{record.get('name', 'llm')}, {record['model']}" if "model" in record else str(record["object"])


def _lines(
    recipe: str, envs: list[str], rows: Mapping[tuple[str, str], Row], settings: Mapping[str, Any]
) -> list[tuple[str, list[tuple[Row | None, float | None]]]]:
    reported = {env: figures(recipe, env) for env in envs}
    names = [policy["name"] for policy in settings["policies"]]
    names += [name for env in envs for name in reported[env]]
    lines = []
    for name in dict.fromkeys(names):
        cells = [(rows.get((env, name)), reported[env].get(name)) for env in envs]
        if any(cell != (None, None) for cell in cells):
            lines.append((name, cells))
    return lines
