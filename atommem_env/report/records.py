"""The rows of a table as data: CSV and JSON, with all columns and scores as fractions."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from atommem_env.core import safe_text
from atommem_env.evidence import READ_DOCUMENTS, STAGES, STALE_STAGES
from atommem_env.report.paper_columns import Comparison
from atommem_env.report.question_types import TypedRow
from atommem_env.report.summary import Row

_COUNTS: Final = ("memory_peak", "entries_shown", "steps", "refused", "calls", "reads")
_TOKENS: Final = ("prompt_tokens", "completion_tokens", "cached_tokens", "cost")
_CELLS: Final = {
    "answerable_answered": (True, False),
    "answerable_abstained": (True, True),
    "unanswerable_answered": (False, False),
    "unanswerable_abstained": (False, True),
}


def csv_records(rows: Sequence[Row], typed: Sequence[TypedRow], paper: Sequence[Comparison]) -> str:
    """Return a table as CSV, a line for each row; by type, for each row and type.

    Figures of the paper have their own lines, so that none passes for a measured one.
    """
    if typed:
        return _csv([line for row in typed for line in _type_lines(row)])
    lines = [_line(row) for row in rows]
    for comparison in paper:
        for policy, cells in comparison.lines:
            for env, (_, figure) in zip(comparison.envs, cells, strict=True):
                if figure is not None:
                    lines.append(
                        {"env": env, "policy": policy, "paper_em": figure, "paper": comparison.reference}
                    )
    return _csv(lines)


def json_records(
    rows: Sequence[Row], typed: Sequence[TypedRow], paper: Sequence[Comparison], notes: Sequence[str]
) -> str:
    """Return a table as a JSON object in ASCII: ``rows``, ``notes``, and ``paper`` with the paper's figures."""
    lines = [_object(row) for row in rows]
    for line, kinds in zip(lines, typed, strict=False):
        line["types"] = {kind: asdict(found) for kind, found in kinds.types.items()}
        line["micro"], line["macro"] = kinds.micro, kinds.macro
        line |= {side: found.scores for side, found in kinds.sides.items()}
    data: dict[str, Any] = {"rows": lines, "notes": list(notes)}
    if paper:
        data["paper"] = [
            {"env": env, "policy": policy, "em": figure, "reference": comparison.reference}
            for comparison in paper
            for policy, cells in comparison.lines
            for env, (_, figure) in zip(comparison.envs, cells, strict=True)
            if figure is not None
        ]
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def _place(row: Row) -> dict[str, Any]:
    return {
        "env": f"{row.env} (generated)" if row.generated else row.env,
        "generated": int(row.generated),
        "source": row.source,
        "settings": "; ".join(row.settings),
        "questions_shown": row.questions_shown,
        "policy": row.name,
        "engine": row.engine or "",
        "episodes": row.episodes,
        "questions": row.questions,
    }


def _object(row: Row) -> dict[str, Any]:
    """Return a row as JSON data."""
    found = row.abstention
    return {
        **_place(row),
        "generated": row.generated,
        "settings": list(row.settings),
        "engine": row.engine,
        "histories": row.histories,
        "scores": {name: asdict(score) for name, score in row.scores.items()},
        "funnel": dict(row.funnel),
        "stale": dict(row.stale),
        "documents": dict(row.documents),
        "abstention": None
        if found is None
        else {
            "answerable": found.answerable,
            "unanswerable": found.unanswerable,
            **{name: found.counts[cell] for name, cell in _CELLS.items()},
        },
        "without_evidence": row.without_evidence,
        "uses_buffer": row.uses_buffer,
        **{name: getattr(row, name) for name in (*_COUNTS, *_TOKENS)},
        "unread": row.unread,
    }


def _line(row: Row) -> dict[str, Any]:
    """Return a row as one flat line."""
    line = _place(row)
    for name, score in row.scores.items():
        line |= {name: score.mean, f"{name}_low": score.low, f"{name}_high": score.high}
    line |= {stage: row.funnel[stage] for stage in STAGES}
    line |= {stage: row.stale[stage] for stage in STALE_STAGES}
    line |= {name: row.documents[name] for name in READ_DOCUMENTS}
    line |= {"without_evidence": row.without_evidence, "uses_buffer": int(row.uses_buffer)}
    line |= {name: getattr(row, name) for name in (*_COUNTS, *_TOKENS)}
    line["unread"] = row.unread
    if row.abstention is not None:
        line |= {"answerable": row.abstention.answerable, "unanswerable": row.abstention.unanswerable}
        line |= {name: row.abstention.counts[cell] for name, cell in _CELLS.items()}
    return line


def _type_lines(typed: TypedRow) -> list[dict[str, Any]]:
    lines = [
        {"type": kind, "questions": found.questions, **found.scores} for kind, found in typed.types.items()
    ]
    lines.append({"type": "micro", **typed.micro})
    lines.append({"type": "macro", **typed.macro})
    for side, found in typed.sides.items():
        lines.append({"type": side, "questions": found.questions, **found.scores})
    return [{**_place(typed.row), **line} for line in lines]


def _csv(lines: Sequence[Mapping[str, Any]]) -> str:
    file = io.StringIO()
    heads = dict.fromkeys(name for line in lines for name in line)
    writer = csv.DictWriter(file, list(heads), restval="", lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({name: _cell(value) for name, value in line.items()})
    return file.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return safe_text.csv(value)
    if isinstance(value, float):
        return repr(round(value, 6))
    return "" if value is None else str(value)
