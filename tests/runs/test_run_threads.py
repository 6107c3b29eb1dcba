"""Runs with a language model: threads, costs, replies that are paid for once, and errors that lose nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atommem_env.llm import ChatSettings
from atommem_env.runs import EpisodeError, Run, evaluate
from atommem_env.runs.engines import describe_engine, recorded_engine, replies_folder
from fake_server import Answer, FakeServer, failed, said, serving

WORLD = "AtomMem-World-v0"
TINY = {"num_docs": 12, "num_questions": 2, "chunk_tokens": 800, "chunk_overlap": 20}
FILES = ("run.json", "episodes.jsonl", "traces.jsonl.gz")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving(lambda prompt: f"place {len(prompt) % 7}") as made:
        yield made


def settings(server: FakeServer, **changes: Any) -> ChatSettings:
    return ChatSettings("m", server.address, **{"pause": 0.001, "retries": 1, "concurrency": 3, **changes})


def run(server: FakeServer, out: Path | None, jobs: int | None = None, **changes: Any) -> Run:
    engine = settings(server, **changes)
    return evaluate(WORLD, ["rag", "memagent"], 4, jobs, engine=engine, out=out, progress=False, **TINY)


def content(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def test_the_bytes_are_the_same_however_many_threads(server: FakeServer, tmp_path: Path) -> None:
    for jobs in (1, 3, None):
        run(server, tmp_path / str(jobs), jobs)
    assert content(tmp_path / "1") == content(tmp_path / "3") == content(tmp_path / "None")


def test_the_record_says_which_model_and_how_it_was_asked(server: FakeServer, tmp_path: Path) -> None:
    found = run(server, tmp_path / "r", temperature=0.3, cache=tmp_path / "replies")
    engine = found.settings["engine"]
    assert (engine["name"], engine["model"], engine["temperature"]) == ("llm", "m", 0.3)
    assert engine["base_url"] == server.address
    assert {episode["engine"] for episode in found.episodes} != {"rules"}
    again = recorded_engine(engine)
    assert isinstance(again, ChatSettings)
    assert describe_engine(again) == engine
    assert again.cache == str(replies_folder())


def test_costs_are_beside_the_times(server: FakeServer, tmp_path: Path) -> None:
    run(server, tmp_path / "r")
    timings = [json.loads(line) for line in (tmp_path / "r" / "timing.jsonl").read_text().splitlines()]
    by_policy = {
        policy: [timing for timing in timings if timing["policy"] == policy] for policy in ("rag", "memagent")
    }
    assert all(timing["calls"] == timing["reads"] == 2 for timing in by_policy["rag"])
    assert all(timing["calls"] > 2 and timing["reads"] == 0 for timing in by_policy["memagent"])
    assert all(timing["prompt_tokens"] == 11 * timing["calls"] for timing in timings)
    assert sum(timing["calls"] for timing in timings) == len(server.asked)
    wide = Run.load(tmp_path / "r").table(wide=True)
    assert "calls" in wide
    assert "reads" in wide


def test_kept_replies_cost_nothing_in_another_run(server: FakeServer, tmp_path: Path) -> None:
    first = run(server, tmp_path / "a", cache=tmp_path / "replies")
    asked = len(server.asked)
    second = run(server, tmp_path / "b", cache=tmp_path / "replies")
    assert len(server.asked) == asked
    assert second.episodes == first.episodes
    assert all(timing["cached"] == timing["calls"] for timing in second.timings)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_refusal_stops_the_run_with_what_to_do_and_loses_nothing(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    whole = run(server, None, 1)
    answer, asked = server.answer, len(server.asked)
    monkeypatch.setattr(
        server,
        "answer",
        lambda request: failed(401, "no") if len(server.asked) >= asked + 9 else answer(request),
    )
    engine = settings(server)
    arguments: dict[str, Any] = {"engine": engine, "out": tmp_path / "r", "progress": False, **TINY}
    with pytest.raises(EpisodeError, match="Set OPENAI_API_KEY to a key that may use this model"):
        evaluate(WORLD, ["rag", "memagent"], 4, jobs, **arguments)
    kept = Run.load(tmp_path / "r").episodes
    assert 0 < len(kept) < 8
    monkeypatch.undo()
    found = evaluate(WORLD, ["rag", "memagent"], 4, jobs, **arguments)
    assert found.episodes == whole.episodes


def test_a_policy_given_as_an_object_is_copied_for_each_thread(server: FakeServer) -> None:
    from atommem_env.baselines import make_policy

    policies = {"object": make_policy("memagent", engine=settings(server)), "name": "memagent"}
    found = evaluate(WORLD, policies, 4, 3, engine=settings(server), progress=False, **TINY)
    by_policy = {
        name: [e["metrics"] for e in found.episodes if e["policy"] == name] for name in ("object", "name")
    }
    assert by_policy["object"] == by_policy["name"]


def test_the_model_may_be_named_by_the_environment(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOMMEM_MODEL", "m")
    monkeypatch.setenv("OPENAI_BASE_URL", server.address)
    found = evaluate(WORLD, "rag", 1, engine="llm", progress=False, **TINY)
    assert found.settings["engine"]["model"] == "m"
    monkeypatch.delenv("ATOMMEM_MODEL")
    with pytest.raises(ValueError, match="ATOMMEM_MODEL"):
        evaluate(WORLD, "rag", 1, engine="llm", **TINY)


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_ctrl_c_does_not_wait_for_the_server_and_keeps_the_episodes(tmp_path: Path) -> None:
    with serving(lambda prompt: "Paris", *[said("Paris")] * 6, *[Answer(hangs=True)] * 99) as server:
        words = ["run", "--env", WORLD, "--policy", "rag", "--episodes", "9", "--out", str(tmp_path / "r")]
        words += [word for name, value in TINY.items() for word in ("--arg", f"{name}={value}")]
        words += ["--engine", "llm", "--model", "m", "--base-url", server.address, "--concurrency", "3"]
        command = [sys.executable, "-m", "atommem_env", *words]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        deadline = time.monotonic() + 60
        while len(server.asked) < 8:
            assert time.monotonic() < deadline, "nothing was asked"
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert re.search(r"Stopped: [1-3] of 9 episodes are in .*The same command goes on", errors)
    assert "Traceback" not in errors
