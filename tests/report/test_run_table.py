"""A table says the same in each of its forms, and says what its numbers are of."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from atommem_env.report.tables import table, terminal_lines
from atommem_env.runs import Run, RunError


def run(
    source: str = "generated:world(seed=0)#1", total: int = 2, buffer: bool = False, units: int = 1
) -> Run:
    share = None if buffer or not units else 0.5
    shares = dict.fromkeys(("seen", "written", "kept", "read"), share)
    question = {"num_evidence": units, "evidence": {**shares, "answered": 1.0}}
    episodes: list[dict[str, Any]] = [
        {
            "env": "AtomMem-HotpotQA-v0",
            "policy": policy,
            "engine": "rules" if policy == "rag" else None,
            "task_id": str(index),
            "task_index": index,
            "source": source,
            "metrics": {
                "em": float(index),
                "f1": 0.5,
                "cover_em": 1.0,
                "questions": [question],
                "refused": {"empty": 0},
                "memory_peak": 3,
                "entries_shown": 4,
                "steps": 5,
            },
        }
        for policy in ("rag", "random")
        for index in range(2)
    ]
    settings = {
        "atommem_env": "0",
        "envs": [{"name": "AtomMem-HotpotQA-v0", "id": "AtomMem-HotpotQA-v0", "arguments": {}}],
        "policies": [{"name": "rag"}, {"name": "random"}],
        "episodes": total,
        "seed": 0,
    }
    return Run(settings, episodes)


def test_markdown_has_a_row_for_each_policy_with_percentages() -> None:
    lines = table([run()], "markdown").splitlines()
    assert lines[0].startswith("| environment")
    assert set(lines[1]) <= set("|-: ")
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[:6] == [
        "AtomMem-HotpotQA-v0 (generated)",
        "generated:world(seed=0)#1",
        "rag",
        "rules",
        "2",
        "2",
    ]
    assert cells[6:8] == ["50.0 [0.0, 100.0]", "50.0 [50.0, 50.0]"]
    assert len({line.count("|") for line in lines[:4]}) == 1


def test_csv_has_fractions_in_columns_of_their_own() -> None:
    rows = list(csv.DictReader(io.StringIO(table([run()], "csv"))))
    assert [row["policy"] for row in rows] == ["rag", "random"]
    assert (rows[0]["em"], rows[0]["em_low"], rows[0]["em_high"]) == ("0.5", "0.0", "1.0")
    assert (rows[0]["env"], rows[0]["generated"]) == ("AtomMem-HotpotQA-v0 (generated)", "1")
    assert (rows[0]["engine"], rows[1]["engine"]) == ("rules", "")
    assert rows[0]["cover_em"] == "1.0"


def test_csv_leaves_empty_what_is_undefined() -> None:
    (row, _) = csv.DictReader(io.StringIO(table([run(buffer=True)], "csv")))
    assert (row["kept"], row["uses_buffer"], row["answered"]) == ("", "1", "1.0")


@pytest.mark.parametrize("format", ["terminal", "markdown"])
def test_a_reader_is_told_what_the_numbers_are_of(format: str) -> None:
    text = table([run()], format)
    assert "AtomMem-HotpotQA-v0 (generated)" in text
    assert "say nothing about the benchmark" in text
    assert "stand-in for an LLM" in text
    assert "unfinished" not in text
    real = table([run(source="file:dev.json#1")], format)
    assert "(generated)" not in real
    assert "file:dev.json#1" in real


@pytest.mark.parametrize("format", ["terminal", "markdown"])
def test_a_buffer_and_missing_evidence_and_an_unfinished_run_are_marked(format: str) -> None:
    assert "rag †" in table([run(buffer=True)], format)
    assert "† keeps text outside memory" in table([run(buffer=True)], format)
    assert "2 questions of a row have no evidence" in table([run(units=0)], format)
    assert "unfinished: 4 of 10 episodes" in table([run(total=5)], format)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("wide", [False, True])
def test_a_terminal_table_fits_and_shows_every_column(width: int, wide: bool) -> None:
    lines = [text for _, text in terminal_lines([run()], wide, width)]
    table_lines = lines[2:]
    assert max(map(len, table_lines)) <= width
    heads = " ".join(line for line in lines if line.startswith("policy"))
    assert {"engine", "EM", "F1", "kept", "read"} <= set(heads.split())
    assert ("cover" in heads.split()) is wide


def test_at_120_columns_the_plain_table_is_one_block() -> None:
    lines = [text for _, text in terminal_lines([run()], False, 120)]
    assert sum(line.startswith("policy") for line in lines) == 1


def test_a_run_prints_as_its_table() -> None:
    assert str(run()) == table([run()], "terminal")
    assert "50.0 [0.0, 100.0]" in str(run())


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(RunError, match="format 'html': expected one of terminal, markdown, csv"):
        table([run()], "html")
