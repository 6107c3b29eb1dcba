"""What the benchmarks share: how a row is measured, one thread for linear algebra, and quiet libraries."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from measuring import row

__all__ = ["row"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Let linear algebra use one thread: rollouts share a machine's cores with each other and with the model."""
    limits: Any = nullcontext()
    if importlib.util.find_spec("threadpoolctl") is not None:
        from threadpoolctl import threadpool_limits

        limits = threadpool_limits(limits=1)
    with limits:
        yield


@pytest.fixture(autouse=True)
def _quiet_libraries() -> Iterator[None]:
    """Hide the deprecation warnings that some libraries give on import and use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield
