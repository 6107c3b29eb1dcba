"""The suite and its command: every table, written where it was asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import atommem_env.bench
from atommem_env.bench import Settings, environments, report, run_suite
from atommem_env.bench.rollouts import ROLLOUTS, measure_rollouts
from atommem_env.bench.suite import PARTS
from atommem_env.bench.timing import Rounds, number, spread
from atommem_env.cli import application
from atommem_env.retrieval import FunctionEncoder

LITTLE = Settings(
    rollouts=(1, 2),
    sizes=(20, 40),
    questions=20,
    docs=(20, 40, 100_000),
    step_sizes=(5,),
    num_envs=(1, 2),
    vector=("memory", "sync", "store"),
    vector_steps=16,
    resident=(),
    entries=30,
    rounds=1,
    scripts=1,
    limit=0.05,
)
STORES = ["ours-bm25", "rank-bm25", "ours-dense", "matrix"]


@pytest.mark.heavy
def test_the_command_measures_prints_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atommem_env.bench, "QUICK", LITTLE)
    options = [option for name in STORES for option in ("--store", name)]
    options += ["--encoder", "atommem_env.bench.environments:given_embeddings"]
    found = CliRunner().invoke(application(), ["bench", "--quick", "--out", str(tmp_path / "out"), *options])
    assert found.exit_code == 0, found.output
    assert "Operations per second in the mix" in found.output
    written = json.loads((tmp_path / "out" / "benchmarks.json").read_text())
    assert [table["name"] for table in written["tables"]] == list(PARTS)
    assert written["about"]["stores"] == ["ours-bm25", "rank-bm25", "ours-dense", "matrix"]
    for table in written["tables"]:
        assert table["rows"]
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    text = (tmp_path / "out" / "benchmarks.md").read_text()
    assert "| rank_bm25, rebuilt when dirty |" in text
    assert "A rollout is 28 steps" in text


def test_an_interrupted_command_keeps_what_it_has_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atommem_env.bench, "QUICK", LITTLE)
    monkeypatch.setattr(atommem_env.bench.memories, "bytes_per_entry", interrupted)
    parts = ["--part", "resets", "--part", "memory"]
    found = CliRunner().invoke(
        application(), ["bench", "--quick", "--out", str(tmp_path), "--store", "matrix", *parts]
    )
    assert found.exit_code == 130
    assert "A reset, by documents" in found.output
    written = json.loads((tmp_path / "benchmarks.json").read_text())
    assert [table["name"] for table in written["tables"]] == ["resets"]
    assert "## A reset, by documents" in (tmp_path / "benchmarks.md").read_text()


def test_a_group_is_encoded_once_in_one_call_a_step() -> None:
    pool = environments.pool("generated", 20)
    found = measure_rollouts(pool, FunctionEncoder(environments.given_embeddings))
    together, alone = found["together"], found["alone"]
    assert together.calls == together.batches == together.steps / ROLLOUTS > 1
    assert together.texts == together.asked
    assert alone.calls == alone.batches == alone.steps == together.steps
    assert alone.texts >= ROLLOUTS * together.texts


def test_the_bar_gets_as_many_ticks_as_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import contextlib

    import atommem_env.runs.progress

    promised, ticks = [], []

    @contextlib.contextmanager
    def bar(total: int, done: int, show: bool, what: str) -> Any:
        promised.append(total)
        yield lambda: ticks.append(1)

    monkeypatch.setattr(atommem_env.runs.progress, "progress_bar", bar)
    run_suite(LITTLE, ["ours-bm25"], ["reads", "steps", "throughput"])
    assert promised == [len(ticks)]


def test_plots_are_drawn_from_a_result(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    data = {
        "reads": {"10": {"read": {"ours-bm25": [1.0, 1.2], "rank-bm25": [5.0, 4.0]}}},
        "throughput": {"2": {"without_resets": {"memory": [900.0], "sync": [500.0]}}},
    }
    drawn = report.plot(data, tmp_path)
    assert {name: path.name for name, path in drawn.items()} == report.PLOTS
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn.values())


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match=r"parts \['speed'\]: expected some of mix"):
        run_suite(LITTLE, None, ["speed"])
    found = CliRunner().invoke(application(), ["bench", "--plot"])
    assert found.exit_code == 2
    found = CliRunner().invoke(application(), ["bench", "--part", "rollouts"])
    assert found.exit_code == 2
    assert "--encoder MODEL" in found.output


def test_ratios_are_taken_round_by_round() -> None:
    rounds = Rounds({"ours": [10.0, 30.0, 20.0], "theirs": [5.0, 10.0, 20.0]})
    assert rounds.ratio("ours", "theirs") == (2.0, 1.0, 3.0)
    assert spread(rounds.ratio("ours", "theirs")) == "2.00x (1.00-3.00)"
    assert [number(value) for value in (0, 0.0123, 0.5, 3.14159, 31.4, 31415.9)] == [
        "0",
        "0.012",
        "0.50",
        "3.14",
        "31.4",
        "31,416",
    ]
