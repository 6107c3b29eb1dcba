"""HippoRAG (github.com/OSU-NLP-Group/HippoRAG): ``paragraphs`` with ``text`` and ``is_supporting``, several answers.

Its ``hotpotqa.json``, ``2wikimultihopqa.json`` and ``musique.json`` have the benchmarks' own rows and need no
conversion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from atommem_env.data.convert_formats.form import Form, Row, answers


def _rows(rows: Iterable[Row], path: Path) -> Iterator[dict[str, Any]]:
    for row in rows:
        paragraphs = row["paragraphs"]
        yield {
            "id": str(row["id"]),
            "question": row["question"],
            "answers": answers(row["answer"]),
            "documents": [{"title": one["title"], "text": one["text"]} for one in paragraphs],
            "supporting": [position for position, one in enumerate(paragraphs) if one.get("is_supporting")],
        }


FORM = Form(
    title="HippoRAG",
    fits=lambda row: "question" in row and "answer" in row and "text" in row["paragraphs"][0],
    rows=_rows,
    note="whole paragraphs are marked as supporting, so that each is one unit of evidence",
)
