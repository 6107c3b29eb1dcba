"""The driver of the language model's protocol: which step comes when, and where it goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

CHAIN = Path(__file__).resolve().parents[2] / "examples" / "language_model"

pytestmark = pytest.mark.skipif(not CHAIN.exists(), reason="the examples are not next to the tests")


@pytest.fixture
def protocol(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(CHAIN))
    yield __import__("protocol")
    for name in ("protocol", "setting"):
        sys.modules.pop(name, None)


def test_the_protocol_goes_on_where_it_stopped_and_reads_test_after_validation(
    protocol: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[Sequence[str]] = []

    def run(words: Sequence[str], seconds: float | None) -> bool:
        ran.append(words)
        if "validation" in words and "--static" in words:
            folder = tmp_path / "evaluation" / "validation"
            folder.mkdir(parents=True)
            rows = {"first N": (0.1, 0.2), "merge": (0.1, 0.3), "grpo": (0.5, 0.5), "oracle": (1.0, 1.0)}
            table = {name: {"em": [em], "kept": [kept]} for name, (em, kept) in rows.items()}
            (folder / "report.json").write_text(json.dumps({"table": table}))
        return len(ran) != 4

    words = ["--out", str(tmp_path), "--data", "files", "--workers", "2"]
    assert protocol.main([*words, "--plan"], run) == ran == []
    assert protocol.main([*words, "--minutes", "0"], run) == ran == []
    assert protocol.main(words, run) == ["traces", "sft", "sft-notes"]
    rest = protocol.main(words, run)
    assert rest[0] == "grpo-0"  # it was stopped, and its own checkpoint goes on
    assert rest[-1] == "files"
    assert len(ran) == 4 + len(rest)
    assert [each[3] for each in ran if each[1] == "torch.distributed.run"] == ["2", "2"]  # SFT alone
    test = [number for number, each in enumerate(ran) if "test" in each]
    first = next(number for number, each in enumerate(ran) if "validation" in each)
    assert first < min(test)
    assert "grpo:merge" in ran[min(test)]  # the best static writer on validation
    capsys.readouterr()
    assert protocol.main(words, run) == []
    assert "0.0 h are left" in capsys.readouterr().out


def test_a_step_whose_time_is_up_can_end_its_workers_and_a_failed_one_is_an_error(
    protocol: ModuleType, tmp_path: Path
) -> None:
    script, told = tmp_path / "step.py", tmp_path / "ended"
    script.write_text(
        "import pathlib, signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(pathlib.Path({str(told)!r}).write_text('workers')))\n"
        "time.sleep(60)\n"
    )
    assert not protocol.run([str(script)], 2.0)
    assert told.read_text() == "workers"
    assert protocol.run(["-c", "pass"], None)
    with pytest.raises(subprocess.CalledProcessError):
        protocol.run(["-c", "raise SystemExit(3)"], 60.0)
