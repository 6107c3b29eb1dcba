"""A run that is killed, at whatever moment and however often, ends with the bytes of one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atommem_env.cli import application
from atommem_env.runs import Run
from atommem_env.runs.keys import planned_keys
from atommem_env.runs.traces import read_traces, replay_run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

FILES = ("run.json", "episodes.jsonl", "traces.jsonl.gz")
WORDS = [
    *("--env", "AtomMem-World-v0", "--env", "AtomMem-World-v0[top_k=2]"),
    *("--arg", "num_docs=12", "--arg", "num_questions=1", "--arg", "chunk_tokens=400"),
    *("--policy", "rag", "--policy", "random", "--seed", "3", "--quiet"),
]


def command(out: Path, episodes: int, jobs: int) -> list[str]:
    words = ["run", *WORDS, "--episodes", str(episodes), "--jobs", str(jobs), "--out", str(out)]
    return [sys.executable, "-m", "atommem_env", *words]


def done(out: Path) -> int:
    path = out / "episodes.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_at_random(out: Path, episodes: int, jobs: int, kills: int, seed: int) -> None:
    """Start the run and kill it ``kills`` times: after some more episodes, or at a moment from its start on.

    Every other time only the parent is killed, so that its workers have to end by themselves.
    """
    chance = random.Random(seed)
    killed = 0
    while killed < kills:
        process = subprocess.Popen(
            command(out, episodes, jobs),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        wanted = done(out) + chance.randint(1, 8)
        deadline = time.monotonic() + (chance.uniform(0.0, 1.5) if chance.random() < 0.25 else 120.0)
        while done(out) < wanted and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.03))
        assert process.poll() is None, (
            f"the run ended after {killed} kills: {process.communicate()[1].decode()}"
        )
        if killed % 2:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()  # the pipes close once the workers have gone, too
        killed += 1


def check(folder: Path, whole: Path) -> None:
    run = Run.load(folder)
    keys = list(planned_keys(run.settings))
    assert [(e["env"], e["policy"], e["task_index"]) for e in run.episodes] == keys
    assert [trace.key for trace in read_traces(folder)] == keys
    timed = [(t["env"], t["policy"], t["task_index"]) for t in run.timings]
    assert len(timed) == len(set(timed))
    assert set(timed) <= set(keys)
    for name in FILES:
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "timing.jsonl"])


def disturbed_as_undisturbed(folder: Path, episodes: int, jobs: int, kills: int, seed: int) -> None:
    kill_at_random(folder / "killed", episodes, jobs, kills, seed)
    for name in ("killed", "whole"):
        result = CliRunner().invoke(application(), command(folder / name, episodes, 1)[3:])
        assert result.exit_code == 0, result.output
    check(folder / "killed", folder / "whole")


@pytest.mark.heavy
@pytest.mark.parametrize("seed", [2, 3])
def test_many_kills_under_load_leave_no_mark(tmp_path: Path, seed: int) -> None:
    disturbed_as_undisturbed(tmp_path, episodes=400, jobs=2, kills=25, seed=seed)
    run = Run.load(tmp_path / "killed")
    sample = run.select(task_index=7)
    assert [replayed.error for replayed in replay_run(run, sample)] == [None] * len(sample)
