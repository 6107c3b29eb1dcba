"""The recipe's dry run passes, and skips nothing for which the trainer is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainers import pytestmark  # noqa: F401

DRY_RUN = Path(__file__).resolve().parents[2] / "examples" / "paper_training" / "dry_run.py"
CHECKS = {
    "trl": {"sft_trl.yaml", "grpo_trl.yaml", "TRL's rollouts"},
    "verl": {"grpo_verl.sh", "verl's agent loop"},
}
ALWAYS = {"encoder", "expert.sh", "SFT rows", "tasks_verl.py", "prompts", "evaluate.sh", "released.sh"}
INSTALLED = [name for name in CHECKS if importlib.util.find_spec(name)]

if not INSTALLED:
    pytest.skip("neither trl nor verl is installed", allow_module_level=True)


def test_the_dry_run_passes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, DRY_RUN],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()[1:]]
    passed = {rest.partition(":")[0] for status, rest in lines if status == "OK"}
    assert passed >= ALWAYS.union(*(CHECKS[name] for name in INSTALLED)), done.stdout
