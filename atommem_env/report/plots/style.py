"""One look for all pictures: colours by policy, fonts, a page with title and notes, and files without a date."""

from __future__ import annotations

import contextlib
import contextvars
import importlib.util
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from atommem_env.core.safe_text import plot
from atommem_env.report.footnotes import BUFFER_MARK
from atommem_env.report.summary import Interval, Row
from atommem_env.text import digest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK: Final = "#1d2733"
QUIET: Final = "#66707c"
FAINT: Final = "#dfe3e8"

COLUMNS: Final = 3
"""How many environments stand side by side, at most."""

Rect = tuple[float, float, float, float]
"""Left, bottom, width and height, as shares of a figure."""

_SETTINGS: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib, so that pictures are the same everywhere
    "font.size": 8,
    "axes.edgecolor": "#9aa3ad",
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "figure.dpi": 160,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.7,
    "pdf.fonttype": 42,  # letters stay letters that other programs can edit
    "svg.hashsalt": "atommem_env",  # without it an SVG's ids are drawn at random
    "text.color": INK,
    "text.parse_math": False,  # dollars in names and questions are dollars
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "ytick.major.pad": 6,
}

SCORES_NOTE: Final = (
    "Exact match: the mean over episodes, of each the mean over its questions, with its 95 % bootstrap interval over "
    "episodes."
)

_HEAD_INCHES = 0.56
_FOOT_INCHES = 0.5
_TITLE_INCHES = 0.44
_NOTE_INCHES = 0.135
_MARGIN_INCHES = 0.12
_LETTERS_PER_INCH = 19


@dataclass(frozen=True)
class Look:
    """How a policy is drawn: its colour and marker, the same in every picture."""

    colour: str
    marker: str = "o"

    def mark(self, axes: Any, x: float, y: float) -> None:
        """Draw the marker at a place; it may reach over the panel's border."""
        size = 9 if self.marker == "*" else 6  # as large to the eye
        axes.plot(
            x, y, self.marker, color=self.colour, ms=size, mec="white", mew=0.6, zorder=4, clip_on=False
        )


LOOKS: Final = {
    "closed-book": Look("#8b939c", "v"),
    "write-nothing": Look("#8b939c", "<"),
    "write-everything": Look("#8b939c", ">"),
    "random": Look("#8b939c", "X"),
    "oracle": Look("#1d2733", "*"),
    "full-context": Look("#5d6670", "s"),
    "rag": Look("#0072b2"),
    "keep-best": Look("#4aa3df", "D"),
    "memagent": Look("#d55e00", "s"),
    "mem1": Look("#e69f00", "P"),
    "generative-agents": Look("#cc79a7", "^"),
    "mem0": Look("#009e73"),
    "a-mem": Look("#882255", "D"),
    "memory-bank": Look("#44aa99", "s"),
    "memgpt": Look("#8a8a2a", "^"),
    "atommem": Look("#332288", "P"),
    "learned": Look("#aa3377", "*"),
}
_OTHERS: Final = ("#117733", "#6699cc", "#994455", "#997700", "#004488", "#a56aa0")


def look_of(policy: str) -> Look:
    """Return how a policy is drawn; one that is not known gets one of a few colours by its name."""
    name = policy.partition("[")[0].strip()
    return LOOKS.get(name) or Look(_OTHERS[digest(name)[0] % len(_OTHERS)], "h")


def name_of(row: Row, engines: bool) -> str:
    """Return a row's policy as a picture names it, with its engine where ``engines`` differ."""
    name = f"{row.name}, {row.engine}" if engines and row.engine else row.name
    return line_of(f"{name} {BUFFER_MARK}" if row.uses_buffer else name)


def line_of(text: str) -> str:
    """Return ``text`` as a picture may write it, on one line."""
    return " ".join(plot(text).split())


def engines_differ(rows: Sequence[Row]) -> bool:
    """Return whether rows have more than one engine, so that names must say which."""
    alike = {(row.label, row.source, row.questions_shown, row.name) for row in rows}
    return len({row.engine for row in rows if row.engine}) > 1 or len(alike) < len(rows)


_LIMITS: Final = (5, 10, 20, 30, 40, 60, 80, 100)


def percent_limit(intervals: Iterable[Interval]) -> int:
    """Return where an axis of percent ends, the same in all panels of a page: just above all that it shows."""
    most = max((100 * (interval.high or interval.mean) for interval in intervals), default=100.0)
    return next((limit for limit in _LIMITS if most <= limit), 100)


def names_inches(names: Sequence[str]) -> float:
    """Return how wide a column of names is, in inches."""
    return max(1.0, 0.25 + 0.083 * max(map(len, names)))


def subtitle_of(group: Sequence[Row], inches: float) -> str:
    """Return how much a panel of ``inches`` shows, its engine and its source, in two lines that fit."""
    episodes, questions = ({row.episodes for row in group}, {row.questions for row in group})
    engines = list(dict.fromkeys(row.engine for row in group if row.engine))
    first = f"{_range(episodes)} episodes, {_range(questions)} questions per policy"
    first += f", engine {', '.join(engines)}" if engines else ""
    return f"{line_of(first)}\n{_shorten(line_of(group[0].source), int(_LETTERS_PER_INCH * inches))}"


def label_size(label: str, inches: float) -> float:
    """Return the size at which an environment's label fits in ``inches``, in typographic points."""
    return min(9.0, 9.0 * inches / (0.085 * len(label)))


def _range(numbers: set[int]) -> str:
    return f"{min(numbers)} to {max(numbers)}" if len(numbers) > 1 else str(min(numbers))


def _shorten(source: str, most: int) -> str:
    """Return a source in at most ``most`` letters, with its end, which tells data apart."""
    return source if len(source) <= most else f"{source[: most - 10]}…{source[-9:]}"


def require_matplotlib() -> None:
    """Check that plots can be drawn.

    Raises:
        ImportError: when Matplotlib is not installed; names the pip command.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError("plots need matplotlib: pip install 'atommem_env[plot]'")


_BARE: Final[contextvars.ContextVar[bool]] = contextvars.ContextVar("bare", default=False)


@contextlib.contextmanager
def look(bare: bool = False) -> Iterator[None]:
    """Let Matplotlib draw in this look while the context lasts, whatever the user's own settings are.

    Args:
        bare: whether pages have neither title nor notes, for a text that has its own.
    """
    import matplotlib

    token = _BARE.set(bare)
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            parameters: Any = matplotlib.rcParams
            parameters.update(_SETTINGS)
            yield
    finally:
        _BARE.reset(token)


def page(width: float, height: float, title: str, notes: Sequence[str]) -> tuple[Figure, Rect]:
    """Return a new figure with a title above and notes below (neither where it is bare), and the place between them.

    Args:
        width: the figure's, in inches.
        height: that of what is to be drawn, in inches.
        title: one line.
        notes: what a reader must know, a sentence or two each.
    """
    from matplotlib.figure import Figure

    if _BARE.get():
        total = height + 2 * _MARGIN_INCHES
        return Figure(figsize=(width, total)), (0.0, _MARGIN_INCHES / total, 1.0, height / total)
    lines = [
        line
        for note in notes
        for line in textwrap.wrap(line_of(note), int(_LETTERS_PER_INCH * (width - 0.2))) or [""]
    ]
    below = _MARGIN_INCHES + _NOTE_INCHES * len(lines) + 0.1
    total = below + height + _TITLE_INCHES
    figure = Figure(figsize=(width, total))
    figure.text(0.1 / width, 1 - 0.1 / total, title, size=11, weight="bold", va="top")
    figure.text(
        0.1 / width,
        _MARGIN_INCHES / total,
        "\n".join(lines),
        size=6.5,
        color=QUIET,
        va="bottom",
        linespacing=1.35,
    )
    return figure, (0.0, below / total, 1.0, height / total)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as its file's suffix says, ``.png``, ``.svg`` or ``.pdf``: the same figure, the same bytes."""
    by_suffix: dict[str, dict[str, Any]] = {
        ".png": {"pil_kwargs": {"optimize": True}},
        ".svg": {"metadata": {"Date": None}},
        ".pdf": {"metadata": {"CreationDate": None}},
    }
    figure.savefig(path, facecolor="white", **by_suffix[path.suffix])


def panels(
    count: int,
    heading: str,
    notes: Sequence[str],
    size: tuple[float, float] = (4.1, 3.1),
    left: float = 0.6,
    right: float = 0.25,
    names: float = 0.0,
    across: int = COLUMNS,
) -> tuple[Figure, list[Any]]:
    """Return a page of panels of one size, and their axes, row by row.

    Args:
        count: the number of panels.
        heading: the page's title.
        notes: what a reader must know.
        size: a panel's width and height, in inches.
        left: what is left free on the left of each panel, in inches.
        right: the same on its right.
        names: what is left free on the left of each row of panels, in inches.
        across: how many stand side by side, at most.
    """
    across = min(across, count)
    down = -(-count // across)
    step, drop = left + size[0] + right, _HEAD_INCHES + size[1] + _FOOT_INCHES
    width, height = names + step * across, drop * down
    figure, (_, bottom, _, share) = page(width, height, heading, notes)
    scale = share / height
    axes = [
        figure.add_axes(
            (
                (names + left + step * (number % across)) / width,
                bottom + (drop * (down - 1 - number // across) + _FOOT_INCHES) * scale,
                size[0] / width,
                size[1] * scale,
            )
        )
        for number in range(count)
    ]
    return figure, axes


class PolicyPanels(NamedTuple):
    """Panels whose rows are policies, the same ones in the same order in each.

    Attributes:
        figure: the page.
        names: of the policies, from the top; a row's place is its number.
        panels: of each environment its axes, and by policy its row of the table.
    """

    figure: Figure
    names: list[str]
    panels: list[tuple[Any, dict[str, Row]]]


def policy_panels(
    groups: Sequence[Sequence[Row]],
    heading: str,
    notes: Sequence[str],
    width: float,
    row_height: float,
    left: float,
    right: float,
) -> PolicyPanels:
    """Return a page with a panel for each environment; its policies are named on the left of each line of panels.

    Args:
        groups: the rows of each environment.
        heading: the page's title.
        notes: what a reader must know.
        width: a panel's, in inches.
        row_height: a policy's, in inches.
        left: what is left free on the left of each panel, in inches.
        right: the same on its right.
    """
    rows = [row for group in groups for row in group]
    engines = engines_differ(rows)
    names = list(dict.fromkeys(name_of(row, engines) for row in rows))
    size = (width, row_height * len(names))
    figure, drawn = panels(
        len(groups), heading, notes, size, left=left, right=right, names=names_inches(names)
    )
    found = []
    for number, (group, axes) in enumerate(zip(groups, drawn, strict=True)):
        named = names if number % COLUMNS == 0 else [""] * len(names)
        axes.set_yticks(range(len(names)), named, size=8.5, color=INK)
        axes.set_ylim(len(names) - 0.5, -0.5)
        head(axes, group[0].label, group)
        found.append((axes, {name_of(row, engines): row for row in group}))
    return PolicyPanels(figure, names, found)


def head(axes: Any, label: str, group: Sequence[Row]) -> None:
    """Head a panel with its environment, and with the size and the source of what it shows."""
    inches = axes.get_position().width * axes.figure.get_figwidth()
    axes.set_title(line_of(label), pad=27, size=label_size(label, inches + 0.4))
    write_below_title(axes, subtitle_of(group, inches))


def write_below_title(axes: Any, text: str) -> None:
    """Write small lines between a panel and its title, which has to be padded for them."""
    axes.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 6),
        textcoords="offset points",
        size=6.5,
        color=QUIET,
        linespacing=1.3,
    )
