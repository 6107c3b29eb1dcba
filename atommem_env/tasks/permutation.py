"""Pseudo-random permutations whose elements are computed one by one, so that none is ever laid out."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

_ROUNDS: Final = 6
_STEP: Final = 0x9E3779B97F4A7C15
_FACTORS: Final = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_WORD_FACTORS: Final = tuple(map(np.uint64, _FACTORS))
_SHIFTS: Final = (np.uint64(30), np.uint64(27), np.uint64(31))
_WORD: Final = (1 << 64) - 1
_FEW: Final = 8
"""Up to so many elements, Python's numbers take less time than NumPy's."""

Words = npt.NDArray[np.uint64]


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
        self._half = max(1, ((n - 1).bit_length() + 1) // 2)
        seeds = (int.from_bytes(key[:8], "little"), int.from_bytes(key[8:16], "little"))
        self._keys = [_mix_one(seeds[i % 2] + _STEP * (i + 1) & _WORD) for i in range(_ROUNDS)]

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> int:
        return int(self.take(np.array([index]))[0])

    def take(self, indices: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the elements at ``indices`` (integers in ``[0, n)``, shape ``(m,)``) as int64, shape ``(m,)``."""
        values = np.array(indices, dtype=np.uint64)
        if values.size and int(values.max()) >= self.n:
            raise IndexError(f"index {int(values.max())} is outside a permutation of {self.n}")
        size = 1 << 2 * self._half
        if 4 * values.size > size:  # most of the network: once through all of it
            table, few = self._encrypt(np.arange(size, dtype=np.uint64)), 0
        else:
            table, few = None, _FEW
        walking = np.arange(values.size)
        while walking.size > few:
            now = values[walking]
            values[walking] = self._encrypt(now) if table is None else table[now]
            walking = walking[values[walking] >= self.n]
        for place in walking.tolist():
            values[place] = self._walk(int(values[place]))
        return values.astype(np.int64)

    def _encrypt(self, values: Words) -> Words:
        half, mask = np.uint64(self._half), np.uint64((1 << self._half) - 1)
        left, right = values >> half, values & mask
        for key in self._keys:
            left, right = right, left ^ (_mix(right + np.uint64(key)) & mask)
        joined: Words = (left << half) | right
        return joined

    def _walk(self, value: int) -> int:
        """Return what follows ``value`` below ``n``: :meth:`_encrypt` of one number, as often as it takes."""
        half, mask = self._half, (1 << self._half) - 1
        while True:
            left, right = value >> half, value & mask
            for key in self._keys:
                left, right = right, left ^ (_mix_one(right + key & _WORD) & mask)
            value = left << half | right
            if value < self.n:
                return value


def _mix(values: Words) -> Words:
    """Return the splitmix64 finaliser of ``values``: every input bit reaches every output bit."""
    shifts, factors = _SHIFTS, _WORD_FACTORS
    values ^= values >> shifts[0]
    values *= factors[0]
    values ^= values >> shifts[1]
    values *= factors[1]
    values ^= values >> shifts[2]
    return values


def _mix_one(value: int) -> int:
    """Return :func:`_mix` of one number of 64 bits."""
    value = (value ^ value >> 30) * _FACTORS[0] & _WORD
    value = (value ^ value >> 27) * _FACTORS[1] & _WORD
    return value ^ value >> 31
