"""Names written next to what they name, none over another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE: Final = 7.5
_DISTANCES: Final = (6.0, 10.0, 15.0, 21.0, 28.0, 36.0, 46.0, 58.0)
_LEADER: Final = 8.0
"""A name further from its point than this, in typographic points, is tied to it by a line."""

_DIRECTIONS: Final = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.6), (0.8, -0.6), (-0.8, 0.6), (-0.8, -0.6))

_Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in pixels."""


class Point(NamedTuple):
    """What is to be named: its place in the data, its name and its colour."""

    x: float
    y: float
    name: str
    colour: str


def beside_points(figure: Figure, axes: Any, points: Sequence[Point]) -> None:
    """Name scattered points, each as near to its point as there is room in the panel, else on its right."""
    from matplotlib.patheffects import withStroke

    scale = figure.dpi / 72
    panel = tuple(axes.get_window_extent().extents)
    places = [tuple(axes.transData.transform((point.x, point.y))) for point in points]
    taken = [(x - 4 * scale, y - 4 * scale, x + 4 * scale, y + 4 * scale) for x, y in places]
    for point, (x, y) in sorted(zip(points, places, strict=True), key=lambda item: (-item[1][1], item[1][0])):
        width, height = _text_size(figure, point.name)
        for distance, across, up in _ways():
            left = x + distance * across * scale - (0 if across > 0 else width / 2 if across == 0 else width)
            bottom = y + distance * up * scale - (0 if up > 0 else height / 2 if up == 0 else height)
            box = left, bottom, left + width, bottom + height
            if _within(box, panel) and not any(_overlap(box, other) for other in taken):
                break
        else:
            distance, across, up = _DISTANCES[0], 1.0, 0.0
            box = x, y - height / 2, x + width, y + height / 2
        taken.append(box)
        axes.annotate(
            point.name,
            (point.x, point.y),
            xytext=(distance * across, distance * up),
            textcoords="offset points",
            size=_SIZE,
            color=point.colour,
            ha="left" if across > 0 else "center" if across == 0 else "right",
            va="bottom" if up > 0 else "center" if up == 0 else "top",
            arrowprops=_line_to(point) if distance > _LEADER else None,
            path_effects=[withStroke(linewidth=2, foreground="white")],
            zorder=5,
        )


def beside_ends(figure: Figure, axes: Any, points: Sequence[Point]) -> None:
    """Name the ends of lines in a column on the right of a panel, in their order from above, none over another."""
    scale = figure.dpi / 72
    ordered = sorted(points, key=lambda point: (point.y, point.name))
    lines = [1.2 * _text_size(figure, point.name)[1] for point in ordered]
    wanted = [float(axes.transData.transform((point.x, point.y))[1]) for point in ordered]
    low, high = axes.get_window_extent().extents[[1, 3]]
    for point, place, y in zip(ordered, spread(wanted, lines, low, high), wanted, strict=True):
        axes.annotate(
            point.name,
            (point.x, point.y),
            xytext=(12, (place - y) / scale),
            textcoords="offset points",
            size=_SIZE,
            color=point.colour,
            va="center",
            arrowprops=_line_to(point),
            annotation_clip=False,
        )


def spread(wanted: Sequence[float], sizes: Sequence[float], low: float, high: float) -> list[float]:
    """Return places near the ``wanted`` ones, which ascend, that are ``sizes`` apart and not below ``low``.

    Nor are they above ``high`` where there is room for all.
    """
    places: list[float] = []
    for place, size in zip(wanted, sizes, strict=True):
        places.append(max(place, places[-1] + size if places else low))
    above = high
    for number in reversed(range(len(places))):
        places[number] = max(min(places[number], above), low)
        above = places[number] - sizes[number]
    return places


def _line_to(point: Point) -> dict[str, Any]:
    return {"arrowstyle": "-", "color": point.colour, "lw": 0.5, "alpha": 0.6, "shrinkA": 1, "shrinkB": 3}


def _ways() -> Iterator[tuple[float, float, float]]:
    """Yield where a name may stand: a distance in points, and the way there; the nearest first."""
    for distance in _DISTANCES:
        for across, up in _DIRECTIONS:
            yield distance, across, up


def _text_size(figure: Figure, text: str) -> tuple[float, float]:
    """Return a line's width and height in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.font_manager import FontProperties

    canvas: Any = FigureCanvasAgg(figure)
    measure, font = canvas.get_renderer().get_text_width_height_descent, FontProperties(size=_SIZE)
    return float(measure(text, font, False)[0]), float(measure("lp", font, False)[1])


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _within(box: _Box, outer: Sequence[float]) -> bool:
    return outer[0] <= box[0] and outer[1] <= box[1] and box[2] <= outer[2] and box[3] <= outer[3]
