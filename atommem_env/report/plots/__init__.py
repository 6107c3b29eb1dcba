"""Pictures of runs, such as scores and the evidence funnel, and of trainings, such as learning curves.

Matplotlib (the extra ``plot``) is imported when something is drawn, not before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from atommem_env.core.resolve import resolve
from atommem_env.report.summary import summarise
from atommem_env.runs.errors import ReplayError, RunError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from atommem_env.report.trainings import Training
    from atommem_env.runs.recorded import RecordedRun

PICTURES: Final = {
    "scores": "atommem_env.report.plots.scores:draw",
    "types": "atommem_env.report.plots.question_types:draw",
    "funnel": "atommem_env.report.plots.funnel:draw",
    "operations": "atommem_env.report.plots.operations:draw",
    "memory": "atommem_env.report.plots.costs:draw_memory",
    "calls": "atommem_env.report.plots.costs:draw_calls",
    "documents": "atommem_env.report.plots.documents:draw",
    "operation-frequencies": "atommem_env.report.plots.frequencies:draw",
}
"""The pictures of runs, and what draws each from rows and their runs.

It raises RunError when they lack what it shows.
"""

TRAINING_PICTURES: Final = {
    "training-operations": "atommem_env.report.plots.training:draw_operations",
    "learning-curves": "atommem_env.report.plots.training:draw_curves",
}
"""The pictures of trainings, and what draws each from them, likewise."""

FORMATS: Final = ("png", "svg", "pdf")


class Plots(NamedTuple):
    """What was drawn.

    Attributes:
        files: the pictures' files.
        left_out: for each picture that could not be drawn, why.
    """

    files: list[Path]
    left_out: dict[str, str]


def plot(
    runs: Sequence[RecordedRun],
    out: str | os.PathLike[str],
    kinds: Sequence[str] = (),
    formats: Sequence[str] = ("png",),
    bare: bool = False,
) -> Plots:
    """Draw pictures of ``runs`` into a folder: the same runs, the same bytes.

    Args:
        runs: the runs; policies on one environment and source stand together.
        out: the folder, which is made if need be.
        kinds: some of :data:`PICTURES`; without, all for which the runs have data.
        formats: some of :data:`FORMATS`.
        bare: whether to leave out titles and notes, for a text that has its own.

    Raises:
        RunError: when a kind or format is unknown, when there is nothing to draw, or when the runs lack what a
            picture shows that was asked for by name.
        ImportError: when Matplotlib is not installed; names the pip command.
    """
    rows = summarise(runs)
    if not rows:
        raise RunError("there is nothing to plot: no episode has ended yet; go on with `atommem run`")
    return _plot(PICTURES, (rows, runs), out, kinds, formats, bare)


def plot_trainings(
    trainings: Sequence[Training],
    out: str | os.PathLike[str],
    kinds: Sequence[str] = (),
    formats: Sequence[str] = ("png",),
    bare: bool = False,
) -> Plots:
    """Draw pictures of ``trainings`` into a folder: the same trainings, the same bytes.

    Args:
        trainings: the trainings; those of one label and several seeds are drawn as one.
        out, formats, bare: as in :func:`plot`.
        kinds: some of :data:`TRAINING_PICTURES`; without, all for which the trainings have data.

    Raises:
        RunError, ImportError: as :func:`plot` does.
    """
    return _plot(TRAINING_PICTURES, (trainings,), out, kinds, formats, bare)


def _plot(
    known: Mapping[str, str],
    data: tuple[Any, ...],
    out: str | os.PathLike[str],
    kinds: Sequence[str],
    formats: Sequence[str],
    bare: bool,
) -> Plots:
    from atommem_env.report.plots.style import look, require_matplotlib, save

    _refuse_unknown("kind", kinds, list(known))
    _refuse_unknown("format", formats, FORMATS)
    require_matplotlib()
    folder = Path(out)
    made = Plots([], {})
    for kind in dict.fromkeys(kinds or known):
        draw = cast("Callable[..., Figure]", resolve(known[kind]))
        with look(bare):
            try:
                figure = draw(*data)
            except (RunError, ReplayError) as error:
                if kinds:
                    raise RunError(f"{kind}: {error}") from error
                made.left_out[kind] = str(error)
                continue
            folder.mkdir(parents=True, exist_ok=True)
            for format in dict.fromkeys(formats):
                made.files.append(folder / f"{kind}.{format}")
                save(figure, made.files[-1])
    return made


def _refuse_unknown(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise RunError(f"{what} {name!r}: expected one of {', '.join(known)}")
