"""Pseudo-random permutations whose elements are computed one by one, so that none is ever laid out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ROUNDS = 6
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)


class Permutation:
    """A permutation of ``range(n)`` that depends on ``key`` alone.

    It is a balanced Feistel network over the next power of four, walked until the value falls below ``n``:
    an element costs the same whatever ``n`` is, and the same bytes come out on every machine and with every
    version of NumPy.

    Args:
        n: the number of elements, at least 1.
        key: 16 bytes, for example of :func:`atommem_env.text.digest`.
    """

    def __init__(self, n: int, key: bytes) -> None:
        if n < 1:
            raise ValueError(f"n={n!r}: a permutation has at least one element")
        self.n = n
        half = max(1, ((n - 1).bit_length() + 1) // 2)
        self._half = np.uint64(half)
        self._mask = np.uint64((1 << half) - 1)
        seeds = np.frombuffer(key[:16], dtype="<u8").tolist()
        steps = [(seeds[i % 2] + 0x9E3779B97F4A7C15 * (i + 1)) % 2**64 for i in range(_ROUNDS)]
        self._keys = _mix(np.array(steps, dtype=np.uint64))

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> int:
        return int(self.take(np.array([index]))[0])

    def take(self, indices: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the elements at ``indices`` (integers in ``[0, n)``, shape ``(m,)``) as int64, shape ``(m,)``."""
        values = np.asarray(indices, dtype=np.uint64)
        if values.size and int(values.max()) >= self.n:
            raise IndexError(f"index {int(values.max())} is outside a permutation of {self.n}")
        values = self._encrypt(values)
        outside = np.flatnonzero(values >= self.n)
        while outside.size:
            values[outside] = self._encrypt(values[outside])
            outside = outside[values[outside] >= self.n]
        return values.astype(np.int64)

    def _encrypt(self, values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        left, right = values >> self._half, values & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mix(right + key) & self._mask)
        joined: npt.NDArray[np.uint64] = (left << self._half) | right
        return joined


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the splitmix64 finaliser of ``values``: every input bit reaches every output bit."""
    values = (values ^ (values >> _S30)) * _MIX[0]
    values = (values ^ (values >> _S27)) * _MIX[1]
    mixed: npt.NDArray[np.uint64] = values ^ (values >> _S31)
    return mixed
