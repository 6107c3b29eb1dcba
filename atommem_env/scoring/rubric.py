"""BEAM's scores from a judge's marks: rubrics, and the order of events. No model is asked here.

There are two variants. ``"paper"``: a mark of 0.5 counts as that, and the score of an order is the F1 of what it names
times how well it is ordered. ``"code"``, what the authors' released script computes: a mark is cut to a whole number,
so that 0.5 is 0, and the score of an order is how well it is ordered alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

VARIANTS: Final = ("paper", "code")
"""How marks become a score."""


def check_variant(variant: str) -> None:
    """Refuse a name that is not a variant.

    Raises:
        ValueError: when it is none; lists them.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant={variant!r}: expected one of {', '.join(map(repr, VARIANTS))}")


def rubric_score(marks: Sequence[float], variant: str = "paper") -> float:
    """Return the mean of the marks, each 0, 0.5 or 1, of a rubric's items; 0.0 without any.

    Raises:
        ValueError: when the variant is unknown.
    """
    check_variant(variant)
    counted = [float(int(mark)) if variant == "code" else mark for mark in marks]
    return sum(counted) / len(counted) if counted else 0.0


class Order(NamedTuple):
    """How well a reply names and orders what was asked for.

    Attributes:
        f1: of the items that it names.
        tau: (tau-b + 1) / 2 of the two rankings, in [0, 1].
    """

    f1: float
    tau: float

    def score(self, variant: str = "paper") -> float:
        """Return F1 times tau (``"paper"``), or tau alone (``"code"``)."""
        check_variant(variant)
        return self.tau if variant == "code" else self.f1 * self.tau


def align(lines: Sequence[str], items: Sequence[str], same: Callable[[str, str], bool]) -> list[int | None]:
    """Return for each line the number of the item that it names: the first that is the same and not yet taken.

    Args:
        lines: those of a reply.
        items: those of the right reply.
        same: tells whether an item and a line are the same; called at most ``len(lines) * len(items)`` times.
    """
    taken: set[int] = set()
    found: list[int | None] = []
    for line in lines:
        match = next(
            (number for number, item in enumerate(items) if number not in taken and same(item, line)), None
        )
        if match is not None:
            taken.add(match)
        found.append(match)
    return found


def order_of(num_items: int, aligned: Sequence[int | None]) -> Order:
    """Return how well the lines of a reply name and order the items.

    Items and lines that match none are ranked in both replies; what one of them lacks comes last there, all at the same
    rank. Where a ranking has one rank alone, tau-b is not defined: it counts as 1 where the reply is the right one, and
    else as -1.

    Args:
        num_items: the number of items of the right reply, which are in its order.
        aligned: for each line the number of the item that it names, or ``None``; see :func:`align`.
    """
    named = [item for item in aligned if item is not None]
    extra = len(aligned) - len(named)
    if not num_items or not named:
        f1 = 0.0
    else:
        precision, recall = len(named) / len(aligned), len(named) / num_items
        f1 = 2 * precision * recall / (precision + recall)
    last = num_items + extra + 1
    places = {item: place for place, item in enumerate(aligned, start=1) if item is not None}
    strangers = [place for place, item in enumerate(aligned, start=1) if item is None]
    right = [*range(1, num_items + 1), *[last] * extra]
    given = [*(places.get(item, last) for item in range(num_items)), *strangers]
    tau = tau_b(right, given)
    if tau is None:
        tau = 1.0 if named == list(range(num_items)) and not extra and named else -1.0
    return Order(f1, (tau + 1) / 2)


def tau_b(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Kendall's tau-b of two rankings of the same things; ``None`` where one of them has one rank alone."""
    concordant = discordant = tied_first = tied_second = pairs = 0
    for place in range(len(first)):
        for other in range(place):
            pairs += 1
            left, right = first[place] - first[other], second[place] - second[other]
            tied_first += left == 0
            tied_second += right == 0
            concordant += left * right > 0
            discordant += left * right < 0
    scale = math.sqrt((pairs - tied_first) * (pairs - tied_second))
    return (concordant - discordant) / scale if scale else None
