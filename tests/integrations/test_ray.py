"""Runs on Ray, as far as they need no Ray: what is asked for, and what a worker refuses."""

from __future__ import annotations

import json
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from atommem_env._version import __version__
from atommem_env.cli import application
from atommem_env.integrations.ray import _Worker
from atommem_env.runs import RunError, evaluate
from atommem_env.runs.evaluation import make_plan
from atommem_env.runs.execution import Failure, Work
from small_data import hotpot_rows, records

WORLD = "AtomMem-World-v0"
TINY = {"num_docs": 12, "num_questions": 1, "chunk_tokens": 400}


def atommem(*words: str) -> Any:
    return CliRunner().invoke(application(), ["run", "--env", WORLD, "--arg", "num_docs=12", *words])


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """The work of a run on a file in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("hotpot_dev_distractor_small.json").write_text(json.dumps(hotpot_rows(records(24))))
    plan = make_plan(
        "AtomMem-HotpotQA-v0",
        "rag",
        2,
        env_arguments={"source": "hotpot_dev_distractor_small.json", **TINY},
    )
    hashes = {env["name"]: env["data_hash"] for env in plan.settings["envs"]}
    return Work(plan.envs, plan.policies, True, hashes)


def opened(work: Work, folder: Path | str = ".", version: str = __version__) -> _Worker:
    worker = _Worker()
    worker.open(version, str(folder), [], pickle.dumps(work))
    return worker


KEY = ("AtomMem-HotpotQA-v0", "rag", 1)


def test_a_place_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="on='mars': expected 'local' or 'ray'"):
        evaluate(WORLD, "rag", 1, on="mars", out=tmp_path / "r", **TINY)
    assert "expected 'local' or 'ray'" in atommem("--on", "mars", "--out", str(tmp_path / "r")).output
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("words", [("--on", "ray"), ("--engine", "ray")])
def test_without_ray_the_command_says_what_to_install(
    no_ray: None, tmp_path: Path, words: tuple[str, ...]
) -> None:
    result = atommem(*words, "--out", str(tmp_path / "r"))
    assert result.exit_code == 2
    assert "a run on Ray needs ray: pip install 'atommem_env[ray]'" in " ".join(result.output.split())
    assert not (tmp_path / "r").exists()


def test_without_ray_evaluate_says_what_to_install(no_ray: None) -> None:
    with pytest.raises(ImportError, match=r"pip install 'atommem_env\[ray\]'"):
        evaluate(WORLD, "rag", 1, on="ray", **TINY)


def test_the_engine_ray_takes_no_options_of_a_model() -> None:
    result = atommem("--engine", "ray", "--model", "m")
    assert result.exit_code == 2
    assert "--model is for --engine llm or local; the engine is 'auto'" in " ".join(result.output.split())


def test_a_worker_finds_the_data_from_the_runs_folder(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    outcome = opened(work, tmp_path).run(KEY)
    assert (outcome.episode["policy"], outcome.episode["task_index"]) == ("rag", 1)
    assert outcome.trace is not None


def test_a_worker_without_the_data_says_where_and_what_is_missing(work: Work) -> None:
    os.remove("hotpot_dev_distractor_small.json")
    with pytest.raises(RunError, match=r"the worker on .*no such file.*Every node needs the run's data"):
        opened(work, "no/such/folder").run(KEY)


def test_a_worker_with_other_data_refuses_it(work: Work) -> None:
    worker = opened(replace(work, data_hashes={"AtomMem-HotpotQA-v0": "other"}))
    with pytest.raises(RunError, match="the run's data other: its source must name the same data"):
        worker.run(KEY)


def test_a_worker_with_another_version_says_so(work: Work) -> None:
    with pytest.raises(RunError, match=f"atommem_env {__version__}, the run's own process 0.0"):
        opened(work, version="0.0")


def test_a_worker_without_a_module_of_the_run_says_so() -> None:
    with pytest.raises(RunError, match="ModuleNotFoundError: No module named 'not_here'"):
        _Worker().open(__version__, ".", [], b"cnot_here\nMissing\n.")


def test_an_error_of_a_policy_stays_one(work: Work) -> None:
    (policy,) = work.policies
    worker = opened(replace(work, policies=(replace(policy, arguments={"k": "many"}),)))
    outcome = worker.run(KEY)
    assert isinstance(outcome, Failure)
    assert "policy 'rag' on AtomMem-HotpotQA-v0, task index 1" in outcome.message
