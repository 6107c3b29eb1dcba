"""`AtomMem-Custom-v0` reads a file of records and a module's dataset, and its runs replay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from typer.testing import CliRunner

from atommem_env.cli import application
from small_data import records

SIZES = [word for pair in ("num_docs=8", "num_questions=1", "chunk_tokens=300") for word in ("--arg", pair)]
OVERLAP = ["--arg", "chunk_overlap=20"]


def atommem(*words: str) -> Any:
    return CliRunner().invoke(application(), list(words))


@pytest.mark.parametrize("name", ["mine.json", "mine.jsonl"])
def test_a_file_of_records_runs_and_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = records(24)
    whole = json.dumps(rows) if name.endswith(".json") else "".join(f"{json.dumps(row)}\n" for row in rows)
    Path(name).write_text(whole)
    command = ["run", "--env", "AtomMem-Custom-v0", "--source", name, "--policy", "rag", "--episodes", "2"]
    made = atommem(*command, "--out", "run", *SIZES, *OVERLAP)
    assert made.exit_code == 0, made.stderr
    for look in (
        ["show", "run"],
        ["replay", "run"],
        ["export", "run", "--out", "rows.jsonl"],
        ["view", "run"],
    ):
        assert atommem(*look).exit_code == 0, look


def test_a_modules_dataset_runs_and_replays_with_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from atommem_env import QADataset\nimport json\nfrom pathlib import Path\n"
    text += "DATA = QADataset.from_records(json.loads(Path(__file__).with_name('mine.json').read_text()))\n"
    (tmp_path / "my_data_module.py").write_text(f"{text}\ndef make():\n    return DATA\n")
    (tmp_path / "mine.json").write_text(json.dumps(records(24)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("my_data_module:DATA",):
        out = name.replace(":", "-")
        command = [
            "run",
            "--env",
            "AtomMem-Custom-v0",
            "--source",
            name,
            "--policy",
            "rag",
            "--episodes",
            "1",
        ]
        made = atommem(*command, "--out", out, *SIZES, *OVERLAP)
        assert made.exit_code == 0, made.stderr
        assert atommem("replay", out).exit_code == 2
        assert atommem("replay", out, "--trust").exit_code == 0


@pytest.mark.parametrize("source", [None, "auto", "hub", 3, "no_such_file.json"])
def test_a_source_that_is_none_is_named(source: Any) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match="source="):
        gym.make("AtomMem-Custom-v0", source=source)


def test_a_bad_row_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(
        '{"question": "q?", "answer": "a", "documents": []}\n{"question": 3}\n'
    )
    with pytest.raises(ValueError, match=r"mine\.jsonl: row 1 \(line 2\)"):
        gym.make("AtomMem-Custom-v0", source=str(tmp_path / "mine.jsonl"))
