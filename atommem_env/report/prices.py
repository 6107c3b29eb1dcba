"""What a language model's tokens cost, by a file of prices that its user keeps.

The file is a JSON object: for each model the prices of a million tokens, ``{"my-model": {"in": 0.15, "out": 0.6,
"cached": 0.075}}``, in whatever currency. ``cached`` is for tokens of prompts that the server had cached; without it
they cost what the others do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from atommem_env.runs.errors import RunError
from atommem_env.runs.forms import read_json

if TYPE_CHECKING:
    from atommem_env.report.summary import Row
    from atommem_env.runs.recorded import RecordedRun

_MILLION: Final = 1_000_000
_Amount = Annotated[float, msgspec.Meta(ge=0)]


class _PriceForm(msgspec.Struct, rename={"input": "in", "output": "out"}, forbid_unknown_fields=True):
    input: _Amount
    output: _Amount
    cached: _Amount | None = None


@dataclass(frozen=True)
class Prices:
    """Prices by model.

    Attributes:
        path: the file that they are from.
        models: by the model's name, the prices of a million tokens: ``in``, ``out`` and ``cached``.
    """

    path: Path
    models: Mapping[str, Mapping[str, float]]

    def cost(self, model: str, prompt: float, completion: float, cached: float = 0.0) -> float | None:
        """Return what tokens cost; ``None`` where the file does not know the model.

        Args:
            model: the model's name.
            prompt: the tokens of prompts, cached ones included.
            completion: the tokens of replies.
            cached: those of the prompts' that the server had cached.
        """
        price = self.models.get(model)
        if price is None:
            return None
        spent = (prompt - cached) * price["in"] + cached * price["cached"] + completion * price["out"]
        return spent / _MILLION


def read_prices(path: Path) -> Prices:
    """Return the prices of a file.

    Raises:
        RunError: when there is none, or it has another form.
    """
    mend = 'expected, for each model, prices of a million tokens: {"my-model": {"in": 0.15, "out": 0.6}}'
    try:
        content = read_json(path, dict[str, _PriceForm], mend)
    except FileNotFoundError:
        raise RunError(f"--prices {path}: there is no such file") from None
    return Prices(path, {model: {"cached": price["in"], **_known(price)} for model, price in content.items()})


def _known(price: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in price.items() if value is not None}


def model_of(run: RecordedRun) -> str | None:
    """Return the language model that was the engine of a run."""
    engine: Any = run.settings.get("engine")
    return str(engine["model"]) if isinstance(engine, Mapping) and "model" in engine else None


def priced(rows: Sequence[Row], runs: Sequence[RecordedRun], prices: Prices | None) -> list[Row]:
    """Return ``rows``, which are of ``runs``, with what each costs.

    Raises:
        RunError: when there are prices, and none of them is for a model of these rows.
    """
    if prices is None:
        return list(rows)
    found = [replace(row, cost=_cost(row, model_of(runs[row.run]), prices)) for row in rows]
    if all(row.cost is None for row in found):
        models = ", ".join(dict.fromkeys(filter(None, map(model_of, runs)))) or "no language model"
        raise RunError(
            f"{prices.path}: none of its prices is for what these runs asked: they asked {models}, and it has "
            f"{', '.join(prices.models) or 'none'}"
        )
    return found


def _cost(row: Row, model: str | None, prices: Prices) -> float | None:
    if model is None or row.prompt_tokens is None or row.completion_tokens is None:
        return None
    return prices.cost(model, row.prompt_tokens, row.completion_tokens, row.cached_tokens or 0.0)


def price_notes(rows: Sequence[Row], runs: Sequence[RecordedRun], prices: Prices | None) -> list[str]:
    """Return what there is to say of costs: at which prices, and what all of them are together."""
    if prices is None:
        return []
    models = dict.fromkeys(filter(None, (model_of(runs[row.run]) for row in rows)))
    said = [
        f"{model}: {', '.join(f'{prices.models[model][name]:g} {name}' for name in ('in', 'out', 'cached'))}"
        for model in models
        if model in prices.models
    ]
    total = sum(row.cost * row.episodes for row in rows if row.cost is not None)
    notes = [
        f"cost: of the tokens of all replies, kept ones included, at the prices of {prices.path.name} for a million "
        f"({'; '.join(said)}); mean per episode, together {total:.4g}."
    ]
    unknown = [model for model in models if model not in prices.models]
    return [*notes, *([f"No price is known of {', '.join(unknown)}."] if unknown else [])]
