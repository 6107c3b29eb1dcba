"""How things are timed: run by run in turn, in one process, with ratios that keep their spread."""

from __future__ import annotations

import contextlib
import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function and its arguments, put together before the clock runs."""


@dataclass
class Rounds:
    """What each thing measured in each round: rates or times, one value per round.

    Attributes:
        values: of each name, its value in each round.
    """

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Add a round's value."""
        self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        """Return the median over the rounds."""
        return statistics.median(self.values[name])

    def ratio(self, over: str, under: str) -> tuple[float, float, float]:
        """Return the median, least and largest over the rounds of one's value divided by the other's."""
        ratios = sorted(a / b for a, b in zip(self.values[over], self.values[under], strict=True))
        return statistics.median(ratios), ratios[0], ratios[-1]


@contextlib.contextmanager
def steady() -> Iterator[None]:
    """Keep what exists already out of the garbage collector's rounds, so that neighbours do not count."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def seconds(calls: Sequence[Call]) -> float:
    """Return how long the calls take together."""
    start = time.perf_counter()
    for function, arguments in calls:
        function(*arguments)
    return time.perf_counter() - start


def number(value: float) -> str:
    """Return ``value`` with three significant digits, in full."""
    if value == 0:
        return "0"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def spread(ratio: tuple[float, float, float]) -> str:
    """Return a ratio as its median, with the least and the largest."""
    middle, least, most = ratio
    return f"{number(middle)}x ({number(least)}-{number(most)})"
