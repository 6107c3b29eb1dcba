"""The released AtomMem's data: as MemAgent's training rows, with several questions about one text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from atommem_env.data.convert_formats.form import Form, Row, answers, history
from atommem_env.data.convert_formats.memagent import NOTE


def _rows(rows: Iterable[Row], path: Path) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows):
        asked = row["prompt"][-1]["content"]
        gold = row["reward_model"]["ground_truth"]
        if len(asked) != len(gold):
            raise ValueError(f"row {number} has {len(asked)} questions and answers to {len(gold)}")
        questions = [
            {"question": question, "answers": answers(given)}
            for question, given in zip(asked, gold, strict=True)
        ]
        yield history(number, row["context"], questions)


FORM = Form(
    title="the released AtomMem's",
    fits=lambda row: isinstance(row["context"], str) and isinstance(row["prompt"][-1]["content"], list),
    rows=_rows,
    kind="histories",
    note=NOTE,
)
