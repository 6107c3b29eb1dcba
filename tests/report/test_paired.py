"""Two policies on the same tasks: values by task, and the interval of their difference."""

from __future__ import annotations

from typing import Any

import pytest

from atommem_env.report.comparisons import by_task, difference, interval
from atommem_env.report.summary import bootstrap


def episode(task: int, em: float, *reads: float | None) -> dict[str, Any]:
    questions = [{"evidence": {"read": read}} for read in reads]
    return {"task_id": f"t{task}", "metrics": {"em": em, "questions": questions}}


def test_a_stage_is_the_mean_over_a_tasks_questions_with_evidence() -> None:
    episodes = [episode(0, 0.5, 1.0, None, 0.5), episode(1, 1.0, 0.25), episode(2, 0.0, None)]
    assert by_task(episodes, "read") == {"t0": 0.75, "t1": 0.25}
    assert by_task(episodes, "em") == {"t0": 0.5, "t1": 1.0, "t2": 0.0}


def test_an_unknown_measure_lists_what_there_is() -> None:
    with pytest.raises(ValueError, match="measure 'recall': expected one of seen, written, kept, read, em"):
        by_task([], "recall")


def test_an_interval_of_ten_tasks_of_which_one_differs() -> None:
    # The resampled mean is a tenth of a binomial count (10 draws, 0.1 each): it is at most 0.2 in 93.0 % of the
    # resamples and at most 0.3 in 98.7 %, so that the 97.5th percentile is 0.3.
    better = {f"t{number}": float(number == 0) for number in range(10)}
    found = difference(better, dict.fromkeys(better, 0.0))
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((0.1, 0.0, 0.3))


def test_what_all_tasks_have_in_common_takes_no_part_in_a_difference() -> None:
    values = {f"t{number}": number / 20 for number in range(10)}
    found = difference({task: value + 0.25 for task, value in values.items()}, values)
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    alone = interval(values)
    assert alone is not None
    assert alone.high - alone.low > 0.1


def test_only_tasks_that_both_have_count() -> None:
    found = difference({"a": 1.0, "b": 0.0}, {"a": 0.5, "c": 1.0})
    assert found is not None
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)
    assert difference({"a": 1.0}, {"b": 1.0}) is None
    assert interval({}) is None


def test_more_resamples_move_an_interval_little() -> None:
    values = [number % 7 / 7 for number in range(40)]
    few, many = bootstrap(values), bootstrap(values, 10_000)
    assert (few.low, few.high) == pytest.approx((many.low, many.high), abs=0.02)
