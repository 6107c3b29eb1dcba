"""Checks of a user's arguments: an error names the value, what was expected, and the mend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atommem_env.core.operations import as_index


def at_least(name: str, value: Any, low: int, otherwise: str = "") -> int:
    """Return ``value`` as an int when it is one (a NumPy integer too, no bool) of at least ``low``.

    Raises:
        ValueError: when it is not; ``otherwise`` says what else would do.
    """
    number = as_index(value)
    if number is None or number < low:
        raise ValueError(f"{name}={value!r}: expected an int of at least {low}{otherwise}")
    return number


def between(name: str, value: Any, low: int, high: int) -> int:
    """Return ``value`` as an int when it is one from ``low`` to ``high``.

    Raises:
        ValueError: when it is not.
    """
    number = as_index(value)
    if number is None or not low <= number <= high:
        raise ValueError(f"{name}={value!r}: expected an int from {low} to {high}")
    return number


def positive_or_none(name: str, value: Any) -> int | None:
    """Return ``value`` as an int of at least 1, or ``None`` for no bound.

    Raises:
        ValueError: when it is neither.
    """
    return None if value is None else at_least(name, value, 1, ", or None for no bound")


def one_of(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return ``value`` when it is among ``choices``.

    Raises:
        ValueError: when it is not; lists the choices.
    """
    if value not in choices:
        raise ValueError(f"{name}={value!r}: expected {' or '.join(map(repr, choices))}")
    return value
