"""How a row of a table is measured: the fixture ``row``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pytest


class Row(Protocol):
    """Measures one row of one table, see :func:`row`."""

    def __call__(
        self,
        run: Callable[..., Any],
        setup: Callable[[], tuple[Any, ...]] = ...,
        *,
        table: str,
        name: str,
        column: str = ...,
        than: str = ...,
        unit: str = ...,
        per: int = ...,
        rounds: int = ...,
    ) -> Any: ...


@pytest.fixture
def row(benchmark: Any) -> Row:
    """Return what measures ``run(*setup())``, of which ``setup`` is not timed, and says where the figure goes.

    In ``tables.py`` the median over ``rounds`` becomes the cell of ``column`` in the row ``name`` of ``table``, in
    ``unit``: ``"ms"``, or ``"operations/s"`` or ``"steps/s"`` of ``per`` in a round, or another unit, in which the
    test itself puts a ``value`` into ``benchmark.extra_info``. ``than`` is the row that this one is compared with.
    Returns the last round's result.
    """

    def measure(
        run: Callable[..., Any],
        setup: Callable[[], tuple[Any, ...]] = tuple,
        *,
        table: str,
        name: str,
        column: str = "",
        than: str = "",
        unit: str = "ms",
        per: int = 1,
        rounds: int = 10,
    ) -> Any:
        benchmark.group = f"{table}: {column}" if column else table
        benchmark.extra_info.update(table=table, row=name, column=column, than=than, unit=unit, per=per)
        return benchmark.pedantic(
            run, setup=lambda: (setup(), {}), rounds=rounds if benchmark.enabled else 1, iterations=1
        )

    return measure
