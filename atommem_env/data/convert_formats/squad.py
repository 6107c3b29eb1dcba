"""SQuAD (rajpurkar.github.io/SQuAD-explorer): articles of paragraphs, each with its questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from atommem_env.data.convert_formats.form import Form, Row, answers
from atommem_env.text import sentence_spans


def _rows(rows: Iterable[Row], path: Path) -> Iterator[dict[str, Any]]:
    for article in rows:
        for paragraph in article["paragraphs"]:
            text = paragraph["context"]
            for asked in paragraph["qas"]:
                given = asked.get("answers") or []
                if not given:  # SQuAD 2.0's questions without an answer
                    continue
                supporting: dict[str, Any] = {"document": 0}
                sentence = _sentence(text, given[0].get("answer_start"), given[0]["text"])
                if sentence:
                    supporting["sentence"] = sentence
                yield {
                    "id": str(asked["id"]),
                    "question": asked["question"],
                    "answers": answers(list(dict.fromkeys(one["text"] for one in given))),
                    "documents": [{"title": article.get("title") or "", "text": text}],
                    "supporting": [supporting],
                }


def _sentence(text: str, start: object, answer: str) -> str:
    """Return the sentence that holds the answer, or ``""`` where the file's position does not have it."""
    if not isinstance(start, int) or not text.startswith(answer, start):
        return ""
    spans = sentence_spans(text)
    return next((text[begin:end].strip() for begin, end in spans if begin <= start < end), "")


FORM = Form(
    title="SQuAD",
    fits=lambda row: "qas" in row["paragraphs"][0],
    rows=_rows,
    note="the evidence is the sentence at 'answer_start', else the paragraph; questions without an answer are left out",
)
