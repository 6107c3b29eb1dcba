"""LongBench (github.com/THUDM/LongBench): ``context`` of ``Passage i:``, or one long text, and a question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from atommem_env.data.convert_formats.form import Form, Row, answers, history
from atommem_env.data.convert_formats.memagent import NOTE


def _rows(rows: Iterable[Row], path: Path) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows):
        question = {"question": row["input"], "answers": answers(row["answers"])}
        yield history(row.get("_id", number), row["context"], [question])


FORM = Form(
    title="LongBench",
    fits=lambda row: {"context", "input", "answers", "dataset"} <= set(row) and bool(row["input"].strip()),
    rows=_rows,
    kind="histories",
    note=NOTE,
)
