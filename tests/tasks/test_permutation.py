"""A permutation hits everything once, and depends on its key alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env.tasks.permutation import Permutation
from atommem_env.text import digest


@given(st.integers(1, 3000), st.integers())
def test_it_is_a_permutation(n: int, key: int) -> None:
    values = Permutation(n, digest(key)).take(np.arange(n))
    assert sorted(values.tolist()) == list(range(n))


@given(st.integers(1, 3000), st.integers(), st.integers(1, 40))
def test_few_many_and_all_elements_are_computed_alike(n: int, key: int, step: int) -> None:
    permutation = Permutation(n, digest(key))
    values = permutation.take(np.arange(n))
    assert permutation.take(np.arange(0, n, step)).tolist() == values[::step].tolist()
    assert permutation[n - 1] == values[-1]


def test_the_same_values_on_every_machine() -> None:
    assert Permutation(10, digest("x")).take(range(10)).tolist() == [8, 5, 4, 1, 7, 3, 0, 6, 2, 9]


def test_positions_are_even() -> None:
    counts = np.zeros((6, 6))
    for key in range(1500):
        counts[np.arange(6), Permutation(6, digest("even", key)).take(np.arange(6))] += 1
    assert np.abs(counts / 1500 - 1 / 6).max() < 0.04


def test_an_index_outside_is_an_error() -> None:
    with pytest.raises(IndexError, match="outside a permutation of 5"):
        Permutation(5, digest("x")).take([5])
    with pytest.raises(ValueError, match="at least one"):
        Permutation(0, digest("x"))
