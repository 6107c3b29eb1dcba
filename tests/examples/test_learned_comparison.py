"""The program that sets learned policies next to the static ones: its numbers, its tables, and that it goes on."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from atommem_env.discrete.decisions import STATE_FEATURES
from atommem_env.discrete.network import ACTION_KINDS, INPUTS, Network
from atommem_env.runs.run import Run
from small_data import hotpot_rows, records

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "learned_memory" / "compare.py"

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="the examples are not next to the tests")


def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["compare"] = importlib.util.module_from_spec(spec)  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


def checkpoint(path: Path) -> Path:
    """Write a network that never was trained."""
    draw = np.random.default_rng(0).normal
    shapes = {
        "text.0.weight": (8, INPUTS), "text.0.bias": (8,), "text.1.weight": (8, 8), "text.1.bias": (8,),
        "text.2.weight": (1, 8), "text.2.bias": (1,),
        "bias.weight": (len(ACTION_KINDS) + 1, len(STATE_FEATURES)), "bias.bias": (len(ACTION_KINDS) + 1,),
    }  # fmt: skip
    Network({name: draw(size=shape) for name, shape in shapes.items()}).save(path)
    return path


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    rows = tmp_path / "hotpot_dev_distractor_v1.json"
    rows.write_text(json.dumps(hotpot_rows(records(60))), encoding="utf-8")
    network = checkpoint(tmp_path / "mine.npz")
    return [
        "--data", f"hotpotqa={rows}", "--checkpoint", f"mine={network}", "--questions", "10", "4", "--tasks", "2",
        "--world-tasks", "0", "--jobs", "1", "--out", str(tmp_path / "out"),
        "--statics", "keep-best, documents", "rag, evict oldest", "rag, keep-best",
    ]  # fmt: skip


def test_the_learned_policy_is_set_beside_the_best_static(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = program().main
    main(command)
    record = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    ten, four = record["compared"]
    assert (ten["questions"], ten["tasks"], four["questions"], four["tasks"]) == (10, 2, 4, 2)
    assert list(four["policies"]) == [
        "keep-best, documents",
        "rag, evict oldest",
        "rag, keep-best",
        "oracle",
        "mine",
    ]
    read = {label: measured["read"][0] for label, measured in four["policies"].items()}
    assert read["rag, keep-best"] == read["keep-best, documents"] == read[four["best_static"]]
    assert read["oracle"] >= read[four["best_static"]] > read["rag, evict oldest"]
    mean, low, high = four["differences"]["mine"]["read"]
    assert mean == pytest.approx(read["mine"] - read[four["best_static"]], abs=1e-5)
    assert low <= mean <= high
    (folder,) = (tmp_path / "out" / "runs" / "hotpotqa-4-questions-2-tasks").glob("learned-*")
    arguments = Run.load(folder).settings["envs"][0]["arguments"]
    assert (arguments["num_docs"], arguments["capacity"], arguments["entry_tokens"]) == (200, 20, 256)
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert text.count("(best static)") == 2

    def fail(*_: object) -> None:
        raise AssertionError("an episode was run again")

    monkeypatch.setattr("atommem_env.runs.evaluation.Runner.run", fail)
    main(command)
    assert (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("option", "value"),
    [("--data", "squad=x.json"), ("--checkpoint", "mine=none.npz"), ("--statics", "best")],
)
def test_a_wrong_argument_says_what_was_expected(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        program().main(["--out", "out", option, value])
    assert value in capsys.readouterr().err


def test_a_checkpoint_cannot_take_a_statics_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program().main(["--out", "out", "--checkpoint", f"memagent={checkpoint(tmp_path / 'x.npz')}"])
    assert "choose another name" in capsys.readouterr().err


def test_the_page_counts_the_static_policies() -> None:
    page = PROGRAM.parents[2] / "docs" / "learned.md"
    if not page.is_file():
        pytest.skip("the tests stand without the pages")
    text = " ".join(page.read_text(encoding="utf-8").split())
    assert f"best of {len(program().STATICS)} static workflows" in text
