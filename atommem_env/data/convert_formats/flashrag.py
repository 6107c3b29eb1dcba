"""FlashRAG (github.com/RUC-NLPIR/FlashRAG): ``golden_answers``, and the original row's context in ``metadata``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from atommem_env.data.convert_formats.form import Form, Row, answers, with_sentences
from atommem_env.data.rows import pairs


def _rows(rows: Iterable[Row], path: Path) -> Iterator[dict[str, Any]]:
    for row in rows:
        metadata = row["metadata"] or {}
        if "context" not in metadata:
            raise ValueError(
                f"question {row.get('id')!r} has no paragraphs: FlashRAG keeps them in 'metadata' for HotpotQA and "
                "2WikiMultihopQA alone; take the benchmark's own file"
            )
        context = pairs(metadata["context"], "metadata.context", "title", ("sentences", "content"))
        facts = pairs(
            metadata.get("supporting_facts") or [], "metadata.supporting_facts", "title", ("sent_id",)
        )
        yield {
            "id": str(row["id"]),
            "question": row["question"],
            "answers": answers(row["golden_answers"]),
            "type": str(metadata.get("type") or ""),
            **with_sentences(context, facts),
        }


FORM = Form(
    title="FlashRAG",
    fits=lambda row: "golden_answers" in row and isinstance(row["metadata"], dict),
    rows=_rows,
    note="documents and supporting sentences come from the field 'metadata'",
)
