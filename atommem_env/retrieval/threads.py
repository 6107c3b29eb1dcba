"""Threads of the numerical libraries: several processes on one machine share its cores."""

from __future__ import annotations

import os
import sys
from typing import Final

_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


def share_cores(processes: int) -> int | None:
    """Let this process use its share of the cores, so that ``processes`` workers do not fight over them.

    To be called once in each worker, before it encodes or searches. Without it every worker starts as many
    threads as there are cores, in torch, in the tokenizer and in the linear algebra under numpy. The limit
    holds for libraries that are loaded later, and for torch and (with ``threadpoolctl``, which comes with
    the extra ``dense``) linear algebra that are loaded already. A user's ``$OMP_NUM_THREADS`` stands.

    Args:
        processes: how many processes compute at once.

    Returns:
        The number of threads from now on, at least 1; ``None`` when the user's own number stands.

    Raises:
        ValueError: when ``processes`` is below 1.
    """
    if processes < 1:
        raise ValueError(f"share_cores({processes!r}): expected at least 1 process")
    if os.environ.get("OMP_NUM_THREADS"):
        return None
    threads = max(1, _cores() // processes)
    for name in _VARIABLES:
        os.environ.setdefault(name, str(threads))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return threads
    threadpool_limits(limits=threads)
    return threads


def _cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
