"""MemAgent (github.com/BytedTsinghua-SIA/MemAgent): a long text of ``Document i:`` and a question about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from atommem_env.data.convert_formats.form import Form, Row, answers, history

NOTE = "the file does not say which documents hold the answer: there is no evidence, and the funnel is null"


def _evaluation(rows: Iterable[Row], path: Path) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows):
        question = {"question": row["input"], "answers": answers(row["answers"])}
        yield history(row.get("index", number), row["context"], [question])


def _training(rows: Iterable[Row], path: Path) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows):
        extra = row.get("extra_info") or {}
        asked = extra.get("question") or row["prompt"][-1]["content"]
        question = {"question": asked, "answers": answers(row["reward_model"]["ground_truth"])}
        yield history(extra.get("index", number), row["context"], [question])


EVALUATION = Form(
    title="MemAgent's evaluation (eval_50.json and its like)",
    fits=lambda row: {"context", "input", "answers", "num_docs"} <= set(row),
    rows=_evaluation,
    kind="histories",
    note=NOTE,
)

TRAINING = Form(
    title="MemAgent's training",
    fits=lambda row: isinstance(row["context"], str) and "ground_truth" in row["reward_model"],
    rows=_training,
    kind="histories",
    note=NOTE,
)
