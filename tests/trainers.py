"""What the tests of adapters share: a trainer's library, or a clean skip where it is not installed."""

from __future__ import annotations

import importlib
import os
import warnings
from types import ModuleType

import pytest

pytestmark = [pytest.mark.trainer, pytest.mark.filterwarnings("default")]
"""The marks of a module that needs a library: left out of the quick suite, and warnings are the library's own."""


def library(name: str, listed: str | None = None) -> ModuleType:
    """Import and return the library ``name``, or a module of it, or skip the module that asks for it.

    Where ``$ATOMMEM_TRAINERS`` (names with spaces between) lists it, it must be there: CI skips nothing in silence.
    It is listed by its own name, or as ``listed``.
    """
    expected = (listed or name.partition(".")[0]) in os.environ.get("ATOMMEM_TRAINERS", "").split()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            if expected:
                raise
            pytest.skip(f"{name} is not installed", allow_module_level=True)
