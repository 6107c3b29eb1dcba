"""BEAM's scores from marks: rows worked by hand, in both variants, with ties and missing items of an order."""

from __future__ import annotations

import math

import pytest

from atommem_env.scoring.rubric import align, order_of, rubric_score, tau_b


@pytest.mark.parametrize(
    ("marks", "paper", "code"),
    [([1, 0.5, 0], 0.5, 1 / 3), ([0.5, 0.5], 0.5, 0.0), ([1, 1], 1.0, 1.0), ([], 0.0, 0.0)],
)
def test_a_half_counts_in_the_paper_and_not_in_the_code(
    marks: list[float], paper: float, code: float
) -> None:
    assert rubric_score(marks) == pytest.approx(paper)
    assert rubric_score(marks, "code") == pytest.approx(code)


@pytest.mark.parametrize(
    ("num_items", "aligned", "f1", "tau"),
    [
        (3, [0, 1, 2], 1.0, 1.0),
        (3, [2, 1, 0], 1.0, -1.0),
        # The middle one is missing and comes last: of the pairs two are in order and one is not.
        (3, [0, 2], 0.8, 1 / 3),
        # Two are missing and tie: two pairs are in order, one of three is tied on one side.
        (3, [0], 0.5, 2 / math.sqrt(6)),
        # A line that is not an item comes last in the right reply: one pair of three is out of order.
        (2, [0, None, 1], 0.8, 1 / 3),
        # Nothing is named: items tie in the reply; the line comes before them there and after them in the right one.
        (2, [None], 0.0, -2 / math.sqrt(6)),
        # Two lines that are not items tie in the right reply.
        (1, [0, None, None], 0.5, 2 / math.sqrt(6)),
        # With one rank alone tau-b is not defined.
        (1, [0], 1.0, 1.0),
        (2, [], 0.0, -1.0),
    ],
)
def test_an_orders_score(num_items: int, aligned: list[int | None], f1: float, tau: float) -> None:
    order = order_of(num_items, aligned)
    assert order.f1 == pytest.approx(f1)
    assert order.tau == pytest.approx((tau + 1) / 2)
    assert order.score("code") == order.tau
    assert order.score("paper") == pytest.approx(order.f1 * order.tau)


def test_tau_b_of_rankings_with_ties() -> None:
    assert tau_b([1, 2, 3, 4], [1, 1, 2, 2]) == pytest.approx(4 / math.sqrt(6 * 4))
    assert tau_b([1, 2], [3, 3]) is None
    assert tau_b([1], [1]) is None


def test_each_line_takes_the_first_item_that_is_not_taken_yet() -> None:
    calls = []

    def same(item: str, line: str) -> bool:
        calls.append((item, line))
        return item[0] == line[0]

    assert align(["b", "a", "a", "x"], ["a1", "a2", "b1"], same) == [2, 0, 1, None]
    assert len(calls) <= 4 * 3


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="'paper', 'code'"):
        rubric_score([1], "papers")
