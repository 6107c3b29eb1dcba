"""What each policy does when: accepted operations for each chunk while reading, and at each step of a question.

From stored traces, which hold the actions alone: each is stepped through its environment again.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from atommem_env.core.operations import SCRATCHPAD, OperationResult
from atommem_env.policies import Trace
from atommem_env.report.footnotes import data_notes
from atommem_env.report.plots.sheet import sheet
from atommem_env.report.plots.style import FAINT, QUIET
from atommem_env.report.summary import Row
from atommem_env.runs.errors import RunError
from atommem_env.runs.keys import planned_keys
from atommem_env.runs.recorded import RecordedRun
from atommem_env.runs.traces import StoredTrace, read_traces, replay
from atommem_env.runs.variants import recorded_env

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OPERATION_COLOURS: Final = {
    "create": "#0072b2",
    "read": "#e6a000",
    "update": "#009e73",
    "delete": "#b5338a",
    "scratchpad": "#8fd0bb",
    "refused": "#b9bfc6",
}
"""What is told apart, in the order in which it is stacked, with its colour."""

_MOST_EPISODES = 10
_MOST_BINS = 12
_PANEL, _ROW, _HEAD = 4.6, 0.84, 1.0
_READING, _ANSWERING = (0.05, 0.62), (0.72, 0.97)
"""Where the phases stand in a column, as shares of its width."""

_BASE = 0.2
"""The share of a row below its bars."""


@dataclass
class Profile:
    """What a policy did over some episodes.

    Attributes:
        chunks: for each episode, what was done at each chunk that was read.
        questions: for each question, what was done at each of its steps.
        reading_steps: for each episode, how many steps were spent on reading.
    """

    chunks: list[list[Counter[str]]] = field(default_factory=list)
    questions: list[list[Counter[str]]] = field(default_factory=list)
    reading_steps: list[int] = field(default_factory=list)

    def add(self, trace: Trace) -> None:
        """Add an episode.

        Raises:
            RunError: when its observations are texts, which do not say at which chunk they are.
        """
        chunks: dict[int, Counter[str]] = {}
        questions: dict[int, list[Counter[str]]] = {}
        reading_steps = 0
        for observation, info in zip(trace.observations[:-1], trace.infos[1:], strict=True):
            if not isinstance(observation, Mapping):
                raise RunError("the run's observations are texts: there is no picture of its operations")
            done = Counter(kind for kind in map(kind_of_result, info["results"]) if kind)
            if observation["phase"] == 0:
                reading_steps += 1
                chunks[observation["cursor"]] = chunks.get(observation["cursor"], Counter()) + done
            else:
                questions.setdefault(observation["cursor"], []).append(done)
        self.chunks.append(list(chunks.values()))
        self.questions += questions.values()
        self.reading_steps.append(reading_steps)

    def reading(self) -> list[dict[str, float]]:
        """Return the mean for each chunk, by the chunk's place: as many places as the shortest episode has chunks."""
        bins = min([_MOST_BINS, *map(len, self.chunks)])
        sums = [Counter[str]() for _ in range(bins)]
        counts = [0] * bins
        for episode in self.chunks:
            for number, done in enumerate(episode):
                place = number * bins // len(episode)
                sums[place].update(done)
                counts[place] += 1
        return [_mean(done, count) for done, count in zip(sums, counts, strict=True)]

    def per_step(self, kind: str) -> list[float]:
        """Return for each episode how often an operation was made per step while reading."""
        return [
            sum(done[kind] for done in chunks) / steps
            for chunks, steps in zip(self.chunks, self.reading_steps, strict=True)
        ]

    def answering(self) -> list[dict[str, float]]:
        """Return the mean for each question at its first, second, ... step; one that was not taken is nothing."""
        steps = max(map(len, self.questions), default=0)
        sums = [Counter[str]() for _ in range(steps)]
        for question in self.questions:
            for step, done in enumerate(question):
                sums[step].update(done)
        return [_mean(done, len(self.questions)) for done in sums]


def kind_of_result(result: OperationResult) -> str:
    """Return as what an operation is shown: one of :data:`OPERATION_COLOURS`, or nothing for an accepted Answer."""
    if not result.ok:
        return "refused"
    if result.op == "answer":
        return ""
    return "scratchpad" if result.op in ("update", "delete") and result.id == SCRATCHPAD else str(result.op)


def profiles(runs: Sequence[RecordedRun]) -> dict[tuple[int, str, str], Profile]:
    """Return what the policies of ``runs`` did, by the run's place, environment and policy.

    Raises:
        RunError: when no run has traces.
        ReplayError: when a trace does not lead to where it led.
    """
    found: dict[tuple[int, str, str], Profile] = {}
    for number, run in enumerate(runs):
        chosen: dict[str, list[StoredTrace]] = {}
        wanted = set(planned_keys(run.settings))
        for stored in () if run.folder is None else read_traces(run.folder):
            if stored.task_index < _MOST_EPISODES and stored.key in wanted:
                chosen.setdefault(stored.env, []).append(stored)
        for name, traces in chosen.items():
            with contextlib.closing(recorded_env(run.settings, name, run.trust).make()) as env:
                for stored in traces:
                    found.setdefault((number, name, stored.policy), Profile()).add(replay(env, stored))
    if not found:
        raise RunError(
            "the run has no traces, which say what was done when: run it again without --no-traces"
        )
    return found


def draw(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> Figure:
    """Return the picture.

    Raises:
        RunError: when no run has traces.
    """
    found = profiles(runs)
    drawn = sheet(rows, "What each policy does, and when", _notes(rows, runs, found), _PANEL, _ROW, _HEAD)
    for column, by_name in enumerate(drawn.columns):
        _draw_head(drawn.heading(column))
        for place, name in enumerate(drawn.names):
            profile = profile_of(by_name[name], found) if name in by_name else None
            if profile is not None:
                means = profile.reading()
                ends = ["first", *[""] * (len(means) - 2), "last"][: len(means)]
                _draw_bars(drawn.cell(place, column, *_READING), means, ends)
                means = profile.answering()
                steps = [f"step {step + 1}" for step in range(len(means))]
                _draw_bars(drawn.cell(place, column, *_ANSWERING), means, steps)
    for place in range(len(drawn.names)):
        drawn.name(place, 1 - _BASE - 0.3)
    return drawn.figure


def profile_of(row: Row, found: Mapping[tuple[int, str, str], Profile]) -> Profile | None:
    """Return a row's among those that :func:`profiles` found."""
    return found.get((row.run, row.env, row.policy))


def _draw_head(axes: Any) -> None:
    for (left, _), text in ((_READING, "at each chunk"), (_ANSWERING, "at each question")):
        axes.text(left * _PANEL, 0.3, text, size=8.5, va="center")
    x = _READING[0] * _PANEL
    for kind, colour in OPERATION_COLOURS.items():
        axes.add_patch(_chip(x, colour))
        axes.text(x + 0.13, 0.08, kind, size=7, color=QUIET, va="center")
        x += 0.22 + 0.063 * len(kind)


def _chip(x: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, 0.035), 0.09, 0.09, color=colour, lw=0)


def _draw_bars(axes: Any, means: Sequence[Mapping[str, float]], labels: Sequence[str]) -> None:
    most = max((sum(mean.values()) for mean in means), default=0.0)
    top = most or 1.0
    axes.set_xlim(0, max(1, len(means)))
    axes.set_ylim(-_BASE / (1 - _BASE) * 1.3 * top, 1.3 * top)
    axes.axis("off")
    axes.plot(axes.get_xlim(), [0, 0], color="#9aa3ad", lw=0.7, clip_on=False)
    for place, (mean, label) in enumerate(zip(means, labels, strict=True)):
        axes.text(place + 0.5, -0.04 * top, label, size=6, color=QUIET, ha="center", va="top")
        bottom = 0.0
        for kind, colour in OPERATION_COLOURS.items():
            axes.bar(place + 0.5, mean.get(kind, 0.0), 0.88, bottom, color=colour, linewidth=0)
            bottom += mean.get(kind, 0.0)
    if most:
        axes.plot([0, len(means)], [most, most], color=FAINT, lw=0.6, zorder=0)
        axes.text(
            -0.012 * len(means),
            most,
            f"{most:.2g}" if most < 100 else f"{most:.0f}",
            size=7,
            ha="right",
            va="center",
        )
    else:
        axes.text(len(means) / 2, 0.1 * top, "none", size=7, color=QUIET, ha="center", style="italic")


def _notes(
    rows: Sequence[Row], runs: Sequence[RecordedRun], found: Mapping[tuple[int, str, str], Profile]
) -> list[str]:
    episodes = max(len(profile.chunks) for profile in found.values())
    return [
        f"Operations that were accepted, and all that were refused, by their mean over up to {episodes} episodes; the "
        "number is that of the highest bar. On the left for each chunk, from the first of the text to the last; on the "
        "right for each question, at its first step, its second, and so on; the Answer is left out.",
        *data_notes(rows, runs),
    ]


def _mean(sums: Counter[str], count: int) -> dict[str, float]:
    return {kind: total / count for kind, total in sums.items()}
