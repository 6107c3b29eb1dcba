"""Search-R1 (github.com/PeterGriffinJin/Search-R1): questions and answers for an agent that searches."""

from __future__ import annotations

from atommem_env.data.convert_formats.form import Form

FORM = Form(
    title="Search-R1",
    fits=lambda row: "golden_answers" in row and "reward_model" in row and "context" not in row,
    note="its files hold no paragraphs (its agent searches Wikipedia): take the benchmark's own file",
)
