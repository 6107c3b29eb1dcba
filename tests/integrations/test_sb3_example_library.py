"""The example for Stable-Baselines3 runs as its documentation says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainers import library
from trainers import pytestmark as pytestmark

library("sb3_contrib")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "trainers" / "sb3_maskable_ppo.py"


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not next to the tests")
@pytest.mark.parametrize("policy", ["slots", "mlp"])
def test_the_example_trains_and_its_policy_can_be_replayed(tmp_path: Path, policy: str) -> None:
    command = [sys.executable, EXAMPLE, "--policy", policy, "--decisions", "1024", "--tensorboard", tmp_path]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "1024 decisions" in done.stdout
    assert ("the same episodes are True" in done.stdout) == (policy == "slots")
    assert list(tmp_path.glob("**/events.out.tfevents.*"))
