"""KILT (github.com/facebookresearch/KILT): questions, answers and pages of a Wikipedia that is not in the file."""

from __future__ import annotations

from atommem_env.data.convert_formats.form import Form

FORM = Form(
    title="KILT",
    fits=lambda row: "input" in row and isinstance(row["output"], list),
    note="its files hold no paragraphs (they name pages of KILT's Wikipedia): take the benchmark's own file",
)
