"""The project's own forms, which need no conversion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from atommem_env.data.convert_formats.form import Form, Row


def _as_they_are(rows: Iterable[Row], path: Path) -> Iterator[dict[str, Any]]:
    yield from map(dict, rows)


RECORDS = Form(
    title="records of this package",
    fits=lambda row: "question" in row and "documents" in row,
    rows=_as_they_are,
    note="these are records already: AtomMem-Custom-v0 reads them as they are",
)

HISTORIES = Form(
    title="histories of this package",
    fits=lambda row: "sessions" in row and "questions" in row,
    rows=_as_they_are,
    kind="histories",
    note="these are histories already: AtomMem-Custom-v0 reads them as they are",
)
