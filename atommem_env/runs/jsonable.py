"""Values as JSON data for a run's record."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any


def to_jsonable(value: Any) -> Any:
    """Return ``value`` as JSON data for a record: an object without a plain form by what it is.

    A class or function becomes ``"module:name"``, which environments take again; a dataset or any other
    object becomes a dict with one key, ``object``, which only says what was there.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else {"object": repr(value)}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return [to_jsonable(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # a NumPy number or array
        return to_jsonable(value.tolist())
    if (isinstance(value, type) or inspect.isfunction(value)) and "<" not in value.__qualname__:
        return f"{value.__module__}:{value.__qualname__}"
    source = getattr(value, "source", None)
    kind = type(value)
    return {"object": source if isinstance(source, str) else f"{kind.__module__}:{kind.__qualname__}"}


def given_as_objects(value: Any) -> bool:
    """Return whether ``value``, from a record, stands for objects that it cannot bring back."""
    if isinstance(value, Mapping):
        return "object" in value or any(given_as_objects(item) for item in value.values())
    return isinstance(value, list) and any(given_as_objects(item) for item in value)
