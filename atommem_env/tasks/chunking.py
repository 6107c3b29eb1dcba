"""Cutting a text into chunks of so many tokens."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt


class TokenStarts(Protocol):
    """Where each token of a text starts, as character offsets that are put together when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, token: int, /) -> int: ...


def cut_chunks(
    starts: npt.NDArray[np.int32] | TokenStarts, length: int, size: int, overlap: int
) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Return the chunks' character spans and sizes in tokens: chunk j starts at token j * (size - overlap).

    Args:
        starts: where each token starts.
        length: the length of the text in characters.
        size: the largest number of tokens of a chunk, overlap included.
        overlap: how many tokens of a chunk the one before shows already.
    """
    total = len(starts)
    spans, sizes = [], []
    first = 0
    while True:
        last = min(first + size, total)
        spans.append((int(starts[first]) if first else 0, int(starts[last]) if last < total else length))
        sizes.append(last - first)
        if last == total:
            return tuple(spans), tuple(sizes)
        first += size - overlap
