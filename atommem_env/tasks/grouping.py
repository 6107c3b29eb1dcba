"""How many questions the tasks of an epoch have."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from atommem_env.tasks.permutation import Permutation


def group_sizes(key: bytes, count: int, low: int, high: int) -> npt.NDArray[np.int64]:
    """Return the sizes of ``count`` groups: low with probability 0.5, the others share 0.5 evenly.

    Args:
        key: what the draws depend on.
        count: the number of groups.
        low: the smallest size.
        high: the largest size; ``low`` itself for groups that are all alike.
    """
    if low == high:
        return np.full(count, low, dtype=np.int64)
    draws = Permutation(2**40, key).take(np.arange(count)) / 2**40
    others = low + 1 + np.floor((draws - 0.5) * 2 * (high - low)).astype(np.int64)
    return np.where(draws < 0.5, low, others)
