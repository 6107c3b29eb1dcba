"""BEIR's HotpotQA (github.com/beir-cellar/beir): ``queries.jsonl``, with ``corpus.jsonl`` in the same folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from atommem_env.data.convert_formats.form import Form, Row, answers
from atommem_env.data.reading import read_rows


def _rows(rows: Iterable[Row], path: Path) -> Iterator[dict[str, Any]]:
    asked = [row for row in rows if "answer" in (row.get("metadata") or {})]
    if not asked:
        raise ValueError("its queries have no 'metadata.answer': only BEIR's HotpotQA has answers")
    corpus = next((path.with_name(name) for name in _CORPUS if path.with_name(name).is_file()), None)
    if corpus is None:
        raise ValueError(f"{_CORPUS[0]} is not in the folder of {path.name}: it holds the paragraphs")
    titles = {title for row in asked for title in _titles(row)}
    texts: dict[str, str] = {}
    for read in read_rows(corpus):
        if read.value["title"] in titles:
            texts.setdefault(read.value["title"], read.value["text"])
    for row in asked:
        named = _titles(row)
        there = [title for title in named if texts.get(title, "").strip()]
        yield {
            "id": str(row["_id"]),
            "question": row["text"],
            "answers": answers(row["metadata"]["answer"]),
            "documents": [{"title": title, "text": texts[title]} for title in there],
            **({"supporting": there} if there == named else {}),
        }


QUERIES = ("queries.jsonl", "queries.jsonl.gz")
_CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")


def _titles(row: Row) -> list[str]:
    return list(dict.fromkeys(fact[0] for fact in row["metadata"].get("supporting_facts", [])))


FORM = Form(
    title="BEIR's HotpotQA",
    fits=lambda row: "_id" in row and isinstance(row["text"], str) and "question" not in row,
    rows=_rows,
    note="a question's documents are its supporting ones alone, so that all others of a task are sampled; whole "
    "paragraphs are evidence, and a question whose paragraphs are not all in the corpus has none",
)
