"""RULER's question answering (github.com/NVIDIA/RULER): ``qa_1`` and ``qa_2``, one prompt with everything in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from atommem_env.data.convert_formats.form import Form, Row, answers, history
from atommem_env.data.convert_formats.memagent import NOTE

_QUESTION: Final = re.compile(r"\n\s*Question:\s*(?P<question>.+?)(?:\s*Answer:\s*)?\s*\Z", re.DOTALL)
_INSTRUCTION: Final = re.compile(r"\n+Answer the question based on the given documents\.[^\n]*\s*\Z")


def _rows(rows: Iterable[Row], path: Path) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows):
        prompt = row["input"]
        begin = prompt.rfind("\nQuestion:")
        asked = _QUESTION.match(prompt, begin) if begin >= 0 else None
        if asked is None:
            raise ValueError(
                f"row {number} has no line 'Question: ...' at its end: only qa_1 and qa_2 are read"
            )
        question = {"question": asked["question"].strip(), "answers": answers(row["outputs"])}
        yield history(row.get("index", number), _INSTRUCTION.sub("", prompt[:begin]), [question])


FORM = Form(
    title="RULER (qa_1, qa_2)",
    fits=lambda row: isinstance(row["input"], str) and isinstance(row["outputs"], list),
    rows=_rows,
    kind="histories",
    note=NOTE,
)
