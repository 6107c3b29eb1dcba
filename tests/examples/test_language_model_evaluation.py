"""The protocol of the language model's evaluation: what a comparison is, and when it holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

CHAIN = Path(__file__).resolve().parents[2] / "examples" / "language_model"

pytestmark = pytest.mark.skipif(not CHAIN.exists(), reason="the examples are not next to the tests")


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(CHAIN))
    yield __import__("evaluate")
    for name in ("evaluate", "expert", "setting"):
        sys.modules.pop(name, None)


def seed(*right: int) -> dict[str, dict[str, float]]:
    return {"em": {f"task {number}": float(number in right) for number in range(40)}}


def test_a_difference_is_that_of_each_task_averaged_over_the_seeds(evaluation: ModuleType) -> None:
    trained = [seed(*range(30)), seed(*range(28)), seed(*range(32))]
    found = evaluation.compare(trained, [seed(*range(10))])
    assert found["difference"] == pytest.approx(0.5)
    assert found["by_seed"] == pytest.approx([0.5, 0.45, 0.55])
    assert 0 < found["low"] < 0.5 < found["high"] < 1
    assert (found["tasks"], found["p"]) == (40, pytest.approx(2 / evaluation.RESAMPLES))
    assert evaluation.compare(trained[:1], trained[:1])["p"] == 1.0


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"low": -0.01}, False),  # the interval has 0 in it
        ({"by_seed": [0.2, 0.1, -0.1]}, False),  # the seeds disagree
        ({"by_seed": [0.2, 0.1, 0.0]}, False),
        ({"p": 0.03}, False),  # twice that is too much for two comparisons
    ],
)
def test_a_claim_holds_when_interval_seeds_and_correction_agree(
    evaluation: ModuleType, changes: dict[str, object], holds: bool
) -> None:
    plain = {"low": 0.1, "high": 0.3, "p": 0.01, "by_seed": [0.2, 0.1, 0.3]}
    pair = [{**plain, **changes}, {**plain, "p": 0.04}]
    evaluation.holm(pair)
    assert pair[0]["holds"] is holds
    assert pair[1]["p_holm"] == max(0.04, pair[0]["p_holm"])
