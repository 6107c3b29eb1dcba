"""How often each operation is made per step while reading, with and without a limit on memory.

The paper's figure 6 compares these for its agent (arXiv 2601.08323). From stored traces, as the picture of the
operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from atommem_env.report.footnotes import data_notes
from atommem_env.report.panels import Panel, label_of, panel_of
from atommem_env.report.plots.operations import OPERATION_COLOURS, Profile, profile_of, profiles
from atommem_env.report.plots.style import INK, QUIET, engines_differ, head, name_of, panels
from atommem_env.report.summary import Row, bootstrap
from atommem_env.runs.errors import RunError
from atommem_env.runs.recorded import RecordedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALWAYS: Final = ("create", "read", "update", "delete")
"""What is shown even where it was never done."""

_GROUP: Final = 0.8
"""The share of an operation's place that its bars take."""

_ByCapacity = dict[int | None, Row]


def draw(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> Figure:
    """Return the picture: a panel for each environment and policy, for each operation a bar by capacity.

    Raises:
        RunError: when no policy ran with two capacities, or these runs have no traces.
    """
    groups: dict[tuple[Panel, str], _ByCapacity] = {}
    engines = engines_differ(rows)
    for row in rows:
        panel, capacity = panel_of(row, runs[row.run], "capacity")
        groups.setdefault((panel, name_of(row, engines)), {})[capacity] = row
    groups = {key: group for key, group in groups.items() if len(group) > 1}
    if not groups:
        raise RunError(
            "no policy ran with and without a limit on memory: run one with both, as in "
            "--env 'AtomMem-HotpotQA-v0[capacity=20]' --env AtomMem-HotpotQA-v0"
        )
    found = profiles(runs)
    shown = [row for group in groups.values() for row in group.values()]
    figure, drawn = panels(
        len(groups), "Operations with and without a limit on memory", _notes(shown, runs, found)
    )
    for axes, ((panel, name), group) in zip(drawn, groups.items(), strict=True):
        _draw_panel(axes, {capacity: profile_of(row, found) for capacity, row in group.items()})
        label = label_of(panel, [other for other, _ in groups])
        head(axes, f"{label}, {name}", list(group.values()))
    drawn[0].set_ylabel("operations per step while reading")
    return figure


def _draw_panel(axes: Any, group: Mapping[int | None, Profile | None]) -> None:
    from matplotlib.colors import to_rgb

    by_capacity = sorted(group.items(), key=lambda item: item[0] or float("inf"))
    kinds = [
        kind
        for kind in OPERATION_COLOURS
        if kind in _ALWAYS or any(any(profile.per_step(kind)) for _, profile in by_capacity if profile)
    ]
    width = _GROUP / len(by_capacity)
    highest = 0.0
    for place, kind in enumerate(kinds):
        for number, (capacity, profile) in enumerate(by_capacity):
            if profile is None:
                continue
            x = place + width * (number - (len(by_capacity) - 1) / 2)
            often = bootstrap(profile.per_step(kind))
            shade = 1 - 0.65 * number / (len(by_capacity) - 1)
            colour = [1 - shade * (1 - part) for part in to_rgb(OPERATION_COLOURS[kind])]
            axes.bar(x, often.mean, 0.92 * width, color=colour, linewidth=0)
            low, high = often.bounds or (often.mean, often.mean)
            axes.plot([x, x], [low, high], color=INK, lw=0.8)
            highest = max(highest, high)
            for text, y, up, ink, size in (
                (f"{often.mean:.2g}", high, 2, INK, 7),
                (capacity or "none", 0, -3, QUIET, 6),
            ):
                axes.annotate(
                    text,
                    (x, y),
                    xytext=(0, up),
                    textcoords="offset points",
                    ha="center",
                    va="bottom" if up > 0 else "top",
                    size=size,
                    color=ink,
                )
    axes.set_xlim(-0.55, len(kinds) - 0.45)
    axes.set_ylim(0, 1.12 * highest or 1)
    axes.set_xticks(range(len(kinds)), kinds, size=8, color=INK)
    axes.tick_params(axis="x", length=0, pad=11)
    axes.grid(True, axis="y")


def _notes(
    rows: Sequence[Row], runs: Sequence[RecordedRun], found: Mapping[tuple[int, str, str], Profile]
) -> list[str]:
    episodes = max(len(profile.chunks) for profile in found.values())
    return [
        "Accepted operations, and all that were refused, per step of the environment while reading (a step is a chunk, "
        f"or a look at it): the mean over up to {episodes} episodes with its 95 % bootstrap interval over episodes; "
        "below each bar the capacity in entries.",
        *data_notes(rows, runs),
    ]
