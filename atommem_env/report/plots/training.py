"""What changes while a policy is trained: the operations that it makes, and what it reaches on held-out tasks.

The paper's figures 3 and 4 show these of its agent (arXiv 2601.08323). Trainings of one label and several seeds
are one line, their mean, in a band from the least to the greatest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from atommem_env.report.plots.labels import Point, beside_ends
from atommem_env.report.plots.operations import OPERATION_COLOURS
from atommem_env.report.plots.style import QUIET, panels, write_below_title
from atommem_env.report.trainings import Training
from atommem_env.runs.errors import RunError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURES: Final = {"read": "evidence read, percent", "em": "exact match, percent"}
"""What is drawn of held-out tasks, with its name."""

_STORED: Final = ("create", "read", "update", "delete")
_COLOURS: Final = ("#aa3377", "#0072b2", "#e69f00", "#009e73", "#332288", "#882255", "#5d6670")
_NAMES_INCHES = 1.25

_Measure = Callable[[Mapping[str, Any]], "float | None"]


class Band(NamedTuple):
    """Some curves as one: at each number of decisions their mean, the least and the greatest."""

    decisions: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


def draw_operations(trainings: Sequence[Training]) -> Figure:
    """Return the picture of operations per step over training, a panel for each label.

    Raises:
        RunError: when no training has measured them, or two have one label and seed.
    """
    groups = {
        label: bands
        for label, group in _by_label(trainings).items()
        if (bands := {kind: band for kind in _STORED if (band := _band(group, _operations(kind)))})
    }
    if not groups:
        raise RunError("the trainings have no operations_per_step in their progress.jsonl")
    notes = [
        "Operations submitted per step of the environment, reading and answering, in the episodes that were trained "
        "on, in which choices are drawn, not always the best. Updates of the scratchpad count as updates.",
        *_notes(trainings),
    ]
    figure, drawn = panels(len(groups), "Operations over training", notes, right=_NAMES_INCHES)
    highest = max(float(band.high.max()) for bands in groups.values() for band in bands.values())
    for axes, (label, bands) in zip(drawn, groups.items(), strict=True):
        axes.set_ylim(0, 1.05 * highest or 1)
        group = _by_label(trainings)[label]
        _draw_bands(
            figure, axes, {kind: (band, OPERATION_COLOURS[kind]) for kind, band in bands.items()}, group
        )
        _head(axes, label, group)
    drawn[0].set_ylabel("operations per step")
    return figure


def draw_curves(trainings: Sequence[Training]) -> Figure:
    """Return the picture of the learning curves: a row for each held-out data, a panel for each measure.

    Raises:
        RunError: when no training has measured anything on held-out tasks, or two have one label and seed.
    """
    groups = _by_label(trainings)
    colours = {label: _COLOURS[number % len(_COLOURS)] for number, label in enumerate(groups)}
    names = list(
        dict.fromkeys(
            name for training in trainings for record in training.records for name in record["held_out"] or ()
        )
    )
    shown = {
        (name, measure): bands
        for name in names
        for measure in MEASURES
        if (
            bands := {
                label: (band, colours[label])
                for label, group in groups.items()
                if (band := _band(group, _held_out(name, measure), 100.0))
            }
        )
    }
    if not shown:
        raise RunError("the trainings have no held_out in their progress.jsonl")
    notes = [
        "On tasks whose questions were not trained on; the best choice is made each time. Evidence read: the share in "
        "view when its question was asked, the mean over questions.",
        *_notes(trainings),
    ]
    figure, drawn = panels(len(shown), "Learning curves", notes, right=_NAMES_INCHES, across=len(MEASURES))
    for axes, ((name, measure), bands) in zip(drawn, shown.items(), strict=True):
        axes.set_ylim(0, 100)
        _draw_bands(figure, axes, bands, [each for label in bands for each in groups[label]])
        axes.set_ylabel(MEASURES[measure])
        tasks = max(
            (record["held_out"] or {}).get(name, {}).get("tasks", 0)
            for training in trainings
            for record in training.records
        )
        sources = [training.sources.get(name, "") for training in trainings]
        generated = any(source.startswith("generated") for source in sources)
        _title(axes, f"{name} (generated)" if generated else name, f"{tasks} held-out tasks")
    return figure


def band_of(curves: Sequence[Mapping[int, float]]) -> Band:
    """Return curves as one, over the decisions that all of them reach; between its own a curve is straight.

    Raises:
        RunError: when they have no stretch in common.
    """
    low, high = max(map(min, curves)), min(map(max, curves))
    grid = np.array(sorted({x for curve in curves for x in curve if low <= x <= high}), np.float64)
    if not len(grid):
        raise RunError("trainings of one label have no stretch of training in common: plot them apart")
    lines = [sorted(curve.items()) for curve in curves]
    values = np.array([np.interp(grid, *np.array(line, np.float64).T) for line in lines])
    return Band(grid, values.mean(0), values.min(0), values.max(0))


def _band(group: Sequence[Training], measure: _Measure, scale: float = 1.0) -> Band | None:
    """Return a measure of trainings of one label as one curve; ``None`` where none has it."""
    curves = [training.curve(measure) for training in group]
    scaled = [{x: scale * y for x, y in curve.items()} for curve in curves if curve]
    return band_of(scaled) if scaled else None


def _operations(kind: str) -> _Measure:
    def measure(record: Mapping[str, Any]) -> float | None:
        found = ((record["train"] or {}).get("operations_per_step") or {}).get(kind)
        return None if found is None else float(found)

    return measure


def _held_out(name: str, key: str) -> _Measure:
    def measure(record: Mapping[str, Any]) -> float | None:
        found = (record["held_out"] or {}).get(name, {}).get(key)
        return None if found is None else float(found)

    return measure


def _by_label(trainings: Sequence[Training]) -> dict[str, list[Training]]:
    groups: dict[str, list[Training]] = {}
    for training in trainings:
        group = groups.setdefault(training.label, [])
        if training.seed in [other.seed for other in group]:
            raise RunError(
                f"two trainings are labelled {training.label!r} with seed {training.seed}: give one of them another "
                "label or seed"
            )
        group.append(training)
    return groups


def _draw_bands(
    figure: Figure, axes: Any, bands: Mapping[str, tuple[Band, str]], trainings: Sequence[Training]
) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    most = max(float(band.decisions[-1]) for band, _ in bands.values())
    axes.set_xlim(0, most or 1)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.set_xlabel("decisions trained on")
    axes.grid(True, axis="y")
    for border in sorted({border for training in trainings if (border := _border(training)) is not None}):
        axes.axvline(border, color=QUIET, lw=0.7, ls=(0, (3, 2)), zorder=1)
    ends = []
    for name, (band, colour) in bands.items():
        axes.fill_between(band.decisions, band.low, band.high, color=colour, alpha=0.18, lw=0)
        axes.plot(band.decisions, band.mean, color=colour, lw=1.4, clip_on=False)
        ends.append(Point(float(band.decisions[-1]), float(band.mean[-1]), name, colour))
    beside_ends(figure, axes, ends)


def _border(training: Training) -> int | None:
    """Return after how many decisions a warm start gave way to reinforcement learning."""
    warm = [record["decisions"] for record in training.records if record["phase"] == "warm-start"]
    both = any(record["phase"] == "rl" for record in training.records)
    return max(warm) if warm and both else None


def _head(axes: Any, label: str, group: Sequence[Training]) -> None:
    seeds = sorted(training.seed for training in group)
    _title(axes, label, f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}")


def _title(axes: Any, title: str, below: str) -> None:
    axes.set_title(title, pad=17)
    write_below_title(axes, below)


def _notes(trainings: Sequence[Training]) -> list[str]:
    found = dict.fromkeys(
        f"{name}: {source}" for training in trainings for name, source in training.sources.items()
    )
    notes = [f"Trained on {'; '.join(found)}."] if found else []
    if any(len(group) > 1 for group in _by_label(trainings).values()):
        notes.append("Line and band: the mean over seeds, from the least to the greatest.")
    if any(_border(training) is not None for training in trainings):
        notes.append("Dashed: where the supervised warm start ends and reinforcement learning begins.")
    return notes
