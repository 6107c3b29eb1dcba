"""The program that sets the learned policy next to the statics where nobody has asked yet."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from atommem_env.data.world.chat import ChatConfig, generate_chat
from atommem_env.data.world.chat_rows import locomo_row

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "learned_memory" / "compare_unseen.py"

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="the examples are not next to the tests")


def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_unseen", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["compare_unseen"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_learned_policy_is_set_beside_the_best_static_history_by_history(tmp_path: Path) -> None:
    config = ChatConfig(sessions=4, turns=4, questions=2)
    rows = [locomo_row(generate_chat(config, "test", number)) for number in range(2)]
    (tmp_path / "locomo10.json").write_text(json.dumps(rows), encoding="utf-8")
    program().main(
        [
            "--no-generated", "--data", f"locomo={tmp_path / 'locomo10.json'}", "--capacity", "4",
            "--entry-tokens", "64", "--statics", "recency", "rag, refuse", "rag, evict oldest",
            "--out", str(tmp_path / "out"),
        ]
    )  # fmt: skip
    (part,) = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert list(part["policies"]) == ["learned", "recency", "rag, refuse", "rag, evict oldest", "oracle"]
    read = {label: means["read"] for label, means in part["policies"].items()}
    best = part["best_static"]
    assert read["recency"] == read["rag, evict oldest"]
    assert read[best] == max(read[label] for label in ("recency", "rag, refuse")) <= read["oracle"]
    found = {one["measure"]: one for one in part["differences"]}
    assert found["read"]["difference"] == pytest.approx(read["learned"] - read[best])
    assert (len(found["read"]["each"]), sum(found["read"]["signs"])) == (2, 2)
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert "[" not in text.splitlines()[2], "two histories are too few for an interval"


def test_a_wrong_file_says_what_was_expected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program().main(["--out", "out", "--data", "squad=x.json"])
    assert "squad=x.json" in capsys.readouterr().err
