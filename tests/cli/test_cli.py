"""The command ``atommem``: what it prints, what it refuses, and that no episode is lost."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import atommem_env
from atommem_env import cli
from atommem_env.cli import application
from atommem_env.registration import POLICIES as POLICY_NAMES
from small_data import hotpot_rows, records

POLICIES = '''
import time


class Slow:
    """Takes its time at each episode."""

    def reset(self, observation, info):
        time.sleep(0.1)

    def act(self, observation, info):
        return [] if observation["phase"] == 0 else [{"op": "answer", "content": "the Ambry"}]


class Broken(Slow):
    def act(self, observation, info):
        raise KeyError("lost")
'''


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of HotpotQA's schema and a module of policies, in the current folder."""
    (tmp_path / "hotpot_dev_distractor_small.json").write_text(json.dumps(hotpot_rows(records(24))))
    (tmp_path / "slow_policies.py").write_text(POLICIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


SMALL = [
    *("--source", "hotpot_dev_distractor_small.json"),
    *(
        "--arg",
        "num_docs=12",
        "--arg",
        "num_questions=2",
        "--arg",
        "chunk_tokens=200",
        "--arg",
        "chunk_overlap=20",
    ),
]


def atommem(*words: str) -> Any:
    return CliRunner().invoke(application(), list(words))


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "atommem_env", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_episodes(folder: str, count: int) -> None:
    path = Path(folder) / "episodes.jsonl"
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline, "no episode ended"
        time.sleep(0.02)


def content(folder: str) -> list[bytes]:
    names = ("run.json", "episodes.jsonl", "traces.jsonl.gz")
    return [(Path(folder) / name).read_bytes() for name in names]


# --- run ----------------------------------------------------------------------------------------------


def test_run_prints_a_table_and_where_the_run_is(data: Path) -> None:
    result = atommem("run", *SMALL, "--policy", "rag", "--policy", "oracle", "--episodes", "3", "--out", "r")
    assert result.exit_code == 0, result.output
    assert re.search(r"^rag +rules +\d+\.\d \[", result.stdout, re.MULTILINE)
    assert "3 episodes, 6 questions for each policy" in result.stdout
    assert "file:hotpot_dev_distractor_small.json#" in result.stdout
    assert "The run is in r" in result.stderr
    assert len((data / "r" / "episodes.jsonl").read_text().splitlines()) == 6


def test_without_out_the_folder_is_named_by_the_settings(data: Path) -> None:
    words = ["run", *SMALL, "--policy", "write-nothing", "--episodes", "1", "--quiet"]
    first = atommem(*words)
    (folder,) = (data / "runs").iterdir()
    assert folder.name.startswith("hotpotqa_write-nothing_1_")
    assert atommem(*words).stdout == first.stdout
    assert first.stderr == ""
    assert len(list((data / "runs").iterdir())) == 1


def test_a_finished_run_says_so(data: Path) -> None:
    words = ["run", *SMALL, "--policy", "rag", "--episodes", "2", "--out", "r"]
    atommem(*words)
    assert "All 2 episodes are in r already: there is nothing left to run" in atommem(*words).stderr


@pytest.mark.heavy
def test_the_same_command_gives_the_same_bytes_whatever_the_jobs(data: Path) -> None:
    words = ["run", *SMALL, "--policy", "random", "--policy", "rag", "--episodes", "3", "--seed", "4"]
    for out, jobs in (("one", "1"), ("two", "2")):
        assert atommem(*words, "--jobs", jobs, "--out", out).exit_code == 0
    assert content("one") == content("two")


def test_without_policies_the_controls_run(data: Path) -> None:
    result = atommem("run", *SMALL, "--episodes", "1", "--out", "r")
    settings = json.loads((data / "r" / "run.json").read_text())
    names = [policy["name"] for policy in settings["policies"]]
    assert names == ["closed-book", "write-nothing", "memagent", "rag", "oracle"]
    assert settings["envs"][0]["id"] == "AtomMem-HotpotQA-v0"
    assert result.exit_code == 0


def test_generated_data_is_marked_wherever_its_scores_are(data: Path) -> None:
    words = ["run", "--source", "generated", "--arg", "num_docs=12", "--arg", "num_questions=1"]
    result = atommem(*words, "--policy", "rag", "--episodes", "1", "--out", "r")
    assert "AtomMem-HotpotQA-v0 (generated)" in result.stdout
    for format in ("terminal", "markdown", "csv"):
        assert "AtomMem-HotpotQA-v0 (generated)" in atommem("table", "r", "--format", format).stdout


def test_arguments_are_json_or_text(data: Path) -> None:
    words = ["--arg", 'operations=["read","create","answer"]', "--arg", "capacity=null", "--arg", "reward=f1"]
    result = atommem("run", *SMALL, *words, "--policy", "rag", "--episodes", "1", "--out", "r")
    assert result.exit_code == 0, result.stderr
    arguments = json.loads((data / "r" / "run.json").read_text())["envs"][0]["arguments"]
    assert (sorted(arguments["operations"]), arguments["reward"]) == (["answer", "create", "read"], "f1")
    assert arguments["capacity"] is None
    assert arguments["source"] == "hotpot_dev_distractor_small.json"


def test_a_policys_argument_goes_to_the_policy(data: Path) -> None:
    name = "atommem_env.baselines.memagent:MemAgent"
    result = atommem("run", *SMALL, "--policy", name, "--policy-arg", f"{name}.nonsense=3", "--episodes", "1")
    assert result.exit_code == 2
    assert "nonsense" in result.stderr


# --- stopping and going on ----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.heavy)])
def test_ctrl_c_keeps_the_episodes_and_says_how_to_go_on(data: Path, jobs: str) -> None:
    words = ["run", *SMALL, "--policy", "slow_policies:Slow", "--episodes", "7"]
    process = start(*words, "--jobs", jobs, "--out", "r")
    wait_for_episodes("r", 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the workers too
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert output == ""
    assert re.search(r"Stopped: \d of 7 episodes are in r\. The same command goes on\.", errors)
    assert "Traceback" not in errors
    assert not (data / "r" / ".lock").exists()
    assert atommem(*words, "--out", "r").exit_code == 0
    assert atommem(*words, "--out", "whole").exit_code == 0
    assert content("r") == content("whole")


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_a_killed_run_goes_on(data: Path) -> None:
    words = ["run", *SMALL, "--policy", "slow_policies:Slow", "--episodes", "6"]
    process = start(*words, "--jobs", "2", "--out", "r")
    wait_for_episodes("r", 1)
    os.killpg(process.pid, signal.SIGSTOP)  # however busy the machine is, it does not end meanwhile
    locked = atommem(*words, "--out", "r")
    assert locked.exit_code == 2
    assert "in use by another process" in locked.stderr
    process.kill()
    os.killpg(process.pid, signal.SIGCONT)
    process.communicate(timeout=60)  # the pipes close once the workers have gone, too
    result = atommem(*words, "--out", "r")
    assert result.exit_code == 0, result.stderr
    assert re.search(r"\d of 6 episodes are in r already; going on", result.stderr)
    assert len((data / "r" / "episodes.jsonl").read_text().splitlines()) == 6


def test_changed_settings_are_refused_with_the_difference(data: Path) -> None:
    words = ["run", *SMALL, "--policy", "write-nothing", "--out", "r"]
    atommem(*words, "--episodes", "1")
    result = atommem(*words, "--episodes", "1", "--seed", "2")
    assert result.exit_code == 2
    assert "seed: 0 there, 2 now" in result.stderr
    assert "choose another folder with --out" in result.stderr


def test_a_policys_error_names_the_episode(data: Path) -> None:
    words = ["run", *SMALL, "--policy", "slow_policies:Broken", "--episodes", "1", "--out", "r"]
    result = atommem(*words)
    assert result.exit_code == 2
    assert (
        "policy 'slow_policies:Broken' on AtomMem-HotpotQA-v0, task index 0: KeyError: 'lost'"
        in result.stderr
    )
    assert "0 of 1 episodes are in r; the same command goes on" in result.stderr
    assert isinstance(atommem(*words, "--debug").exception, RuntimeError)


# --- errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--policy", "rga"], "policy 'rga' is unknown"),
        (["run", "--env", "AtomMem-HotPot-v0"], "did you mean 'AtomMem-HotpotQA-v0'"),
        (["run", *SMALL, "--arg", "num_dosc=3"], "did you mean 'num_docs'"),
        (["run", *SMALL, "--arg", "num_docs"], "expected KEY=VALUE"),
        (["run", *SMALL, "--arg", "source=x"], "'source' was given twice"),
        (["run", *SMALL, "--arg", "top_k=0"], "top_k=0: expected"),
        (["run", *SMALL, "--policy-arg", "x.y=1"], "expected NAME.KEY=VALUE"),
        (["run", *SMALL, "--episodes", "0"], "episodes=0"),
        (["run", *SMALL, "--split", "trian"], "split='trian'"),
        (["run", "--source", "nowhere.json"], "no such file"),
        (["run", *SMALL, "--engine", "abacus"], "engine='abacus' is unknown"),
        (["table", "nowhere"], "nowhere is not a folder"),
        (["table", "."], "holds no run.json"),
        (["table", ".", "--format", "pdf"], "expected one of terminal, markdown, csv"),
        (["show", "nowhere"], "nowhere is not a folder"),
        (["show", "--steps", "x"], "steps 'x'"),
        (["show", "--task-index", "-1"], "--task-index -1"),
        (["show", ".", "--source", "x"], "--source is not for an episode of a run"),
        (["envs", "AtomMem-Nothing-v0"], "no such id"),
    ],
)
def test_a_mistake_is_one_message_and_status_2(data: Path, words: list[str], message: str) -> None:
    result = atommem(*words)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (data / "runs").exists()


def test_without_its_libraries_the_command_says_how_to_install_them() -> None:
    code = (
        "import importlib.util, sys\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'typer' else real(name, *rest)\n"
        "from atommem_env.cli import main\n"
        "main()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "needs typer: pip install 'atommem_env[cli]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_command_imports_no_other_and_a_mistake_knows_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    monkeypatch.setattr(cli.importlib, "import_module", imported.append)
    cli.application("table")
    assert imported == ["atommem_env.cli.table"]
    for word in (None, "--help", "tabel", "common", ""):
        imported.clear()
        cli.application(word)
        assert imported == list(cli.COMMANDS)


# --- the other commands -------------------------------------------------------------------------------


def test_table_puts_runs_together_in_every_form(data: Path) -> None:
    atommem("run", *SMALL, "--policy", "rag", "--episodes", "2", "--out", "a")
    wider = [word.replace("num_docs=12", "num_docs=14") for word in SMALL]
    atommem("run", *wider, "--policy", "rag", "--episodes", "2", "--out", "b")
    shown = atommem("table", "a", "b").stdout
    assert "AtomMem-HotpotQA-v0, num_docs=12" in shown
    assert "AtomMem-HotpotQA-v0, num_docs=14" in shown
    rows = list(csv.DictReader(io.StringIO(atommem("table", "a", "b", "--format", "csv").stdout)))
    scores = [
        json.loads(line)["metrics"]["em"] for line in (data / "a" / "episodes.jsonl").read_text().splitlines()
    ]
    assert float(rows[0]["em"]) == pytest.approx(sum(scores) / 2)
    assert atommem("table", "a", "b", "--out", "t.md").stdout == ""
    assert (data / "t.md").read_text().startswith("| environment")
    assert "cover EM" in atommem("table", "a", "--wide").stdout


def test_table_of_a_run_without_an_episode_says_so(data: Path) -> None:
    atommem("run", *SMALL, "--policy", "rag", "--episodes", "1", "--out", "a")
    (data / "a" / "episodes.jsonl").unlink()
    result = atommem("table", "a")
    assert result.exit_code == 2
    assert "no finished episode" in result.stderr


def test_show_runs_an_episode_of_a_run_again(data: Path) -> None:
    atommem("run", *SMALL, "--policy", "oracle", "--policy", "rag", "--episodes", "2", "--out", "r")
    result = atommem("show", "r", "--policy", "rag", "--task-index", "1", "--gold")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("rag on AtomMem-HotpotQA-v0 with engine rules")
    assert "reading chunk 1 of" in result.stdout
    assert "[e1] " in result.stdout
    assert "prediction " in result.stdout
    assert "Note" not in result.stderr
    path = data / "r" / "episodes.jsonl"
    path.write_text(path.read_text().replace('"steps": ', '"steps": 9'))
    assert "has other metrics" in atommem("show", "r", "--policy", "rag", "--task-index", "1").stderr


def test_show_runs_an_episode_without_a_run(data: Path) -> None:
    result = atommem("show", *SMALL, "--policy", "memagent", "--steps", "1")
    assert result.exit_code == 0, result.stderr
    assert "step 1: reading chunk 1" in result.stdout
    assert "step 2: " not in result.stdout
    assert not (data / "runs").exists()


@pytest.mark.heavy
def test_envs_lists_the_environments_and_their_sources(data: Path) -> None:
    shown = atommem("envs").stdout
    for id in ("AtomMem-HotpotQA-v0", "AtomMem-World-v0", "AtomMem-Custom-v0"):
        assert id in shown
    assert "generated:" in shown
    assert "CC BY-SA 4.0" in shown


def test_envs_with_an_id_shows_its_arguments(data: Path) -> None:
    shown = atommem("envs", "AtomMem-HotpotQA-v0").stdout
    assert re.search(r"num_docs +200 +documents in a task", shown)
    assert "atommem run --env AtomMem-HotpotQA-v0" in shown
    assert ":class:" not in shown


@pytest.mark.parametrize("command", ["envs", "run", "table", "show", "replay", "export"])
def test_help_teaches_by_example(command: str) -> None:
    result = atommem(command, "--help")
    assert result.exit_code == 0
    assert re.search(rf"Examples?:\s+atommem {command}", result.stdout)


def test_the_version_is_shown() -> None:
    assert atommem("--version").stdout == f"atommem_env {atommem_env.__version__}\n"


def test_importing_the_package_needs_none_of_the_commands_libraries() -> None:
    code = "import sys, atommem_env, atommem_env.cli; print(sorted({'typer', 'rich'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# --- traces, recipes, engines -------------------------------------------------------------------------


def test_replay_says_whether_every_trace_still_leads_there(data: Path) -> None:
    atommem("run", *SMALL, "--policy", "oracle", "--policy", "rag", "--episodes", "2", "--out", "r")
    result = atommem("replay", "r")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "4 of 4 episodes end in the same state with the same metrics\n"
    path = data / "r" / "episodes.jsonl"
    path.write_text(path.read_text().replace('"steps": ', '"steps": 9', 1))
    result = atommem("replay", "r")
    assert result.exit_code == 1
    assert "3 of 4 episodes end in the same state with the same metrics; 1 do not" in result.stdout
    assert "policy 'oracle' on AtomMem-HotpotQA-v0, task index 0: the metrics differ" in result.stderr
    assert atommem("replay", "r", "--policy", "rag", "--task-index", "1").exit_code == 0


def test_replay_counts_episodes_without_a_trace_and_a_page_of_outcomes_alone_is_an_error(data: Path) -> None:
    atommem("run", *SMALL, "--policy", "rag", "--episodes", "2", "--no-traces", "--out", "r")
    assert not (data / "r" / "traces.jsonl.gz").exists()
    assert (
        "0 of 2 episodes end in the same state with the same metrics; 2 have no"
        in atommem("replay", "r").stdout
    )
    shown = atommem("view", "r")
    assert (shown.exit_code, "the page shows no episode's steps" in shown.stderr) == (2, True)


def test_show_takes_the_stored_trace_of_a_policy_that_can_no_longer_be_made(data: Path) -> None:
    atommem("run", *SMALL, "--policy", "slow_policies:Slow", "--episodes", "1", "--out", "r")
    path = data / "r" / "run.json"
    path.write_text(path.read_text().replace("slow_policies:Slow", "gone_policies:Slow"))
    for name in ("episodes.jsonl", "timing.jsonl"):
        (data / "r" / name).write_text((data / "r" / name).read_text().replace("slow_", "gone_"))
    assert "--trust" in atommem("show", "r").stderr
    assert "ModuleNotFoundError" in atommem("show", "r", "--trust").stderr
    traces = data / "r" / "traces.jsonl.gz"
    traces.write_bytes(gzip.compress(gzip.decompress(traces.read_bytes()).replace(b"slow_", b"gone_")))
    result = atommem("show", "r")
    assert result.exit_code == 0, result.stderr
    assert "answering question 1 of 2" in result.stdout


def test_export_writes_samples_of_the_episodes_that_were_chosen(data: Path) -> None:
    atommem("run", *SMALL, "--policy", "oracle", "--policy", "rag", "--episodes", "3", "--out", "r")
    result = atommem("export", "r", "--format", "turns", "--policy", "oracle", "--out", "turns.jsonl")
    assert result.exit_code == 0, result.stderr
    assert re.search(r"\d+ rows of 3 episodes are in turns\.jsonl", result.stderr)
    rows = [json.loads(line) for line in (data / "turns.jsonl").read_text().splitlines()]
    assert {"prompt", "completion", "trajectory_id", "return"} <= set(rows[0])
    assert atommem("export", "r", "--format", "parquet", "--out", "x.parquet").exit_code == 0
    assert (
        "a parquet file's name ends in .parquet"
        in atommem("export", "r", "--format", "parquet", "--out", "x.jsonl").stderr
    )
    assert "--format csv" in atommem("export", "r", "--format", "csv", "--out", "x").stderr


def test_one_environment_may_come_with_several_arguments(data: Path) -> None:
    ids = ["--env", "AtomMem-HotpotQA-v0", "--env", "AtomMem-HotpotQA-v0[num_docs=14, top_k=2]"]
    result = atommem("run", *SMALL, *ids, "--policy", "rag", "--episodes", "1", "--out", "r")
    assert result.exit_code == 0, result.stderr
    assert "AtomMem-HotpotQA-v0[num_docs=14, top_k=2]  ·" in result.stdout
    envs = json.loads((data / "r" / "run.json").read_text())["envs"]
    assert [(env["id"], env["arguments"]["num_docs"]) for env in envs] == [
        ("AtomMem-HotpotQA-v0", 12),
        ("AtomMem-HotpotQA-v0", 14),
    ]
    again = atommem("run", *SMALL, *ids[:2], *ids[:2], "--policy", "rag")
    assert "was given twice; tell them apart by their arguments" in again.stderr


@pytest.mark.heavy
def test_a_recipe_runs_on_a_folder_and_stands_beside_the_paper(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atommem_env.report.paper._CONTROLS", ("closed-book",))
    monkeypatch.setattr("atommem_env.report.paper._USES", {"rag": frozenset({"storage"})})
    words = ["run", "--recipe", "paper-table1", "--source", str(samples), "--episodes", "1"]
    result = atommem(*words, "--out", str(tmp_path / "r"))
    assert result.exit_code == 0, result.stderr
    assert "paper-table1, num_docs=800: exact match in percent" in result.stdout
    assert "measured (engine rules, sample)  ·  paper (Qwen3-8B)" in result.stdout
    assert "the prompted agent (atommem) needs --engine llm or local" in result.stderr
    markdown = atommem("table", str(tmp_path / "r"), "--format", "markdown").stdout
    assert "HotpotQA: paper (Qwen3-8B)" in markdown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recipe", "paper-table9"], "expected one of paper-table1"),
        (["--recipe", "paper-table1", "--policy", "rag"], "leave out --env, --policy and --name"),
        (["--recipe", "paper-table1", "--arg", "num_docs=5"], "only source, split, encoder, tokenizer"),
        (["--temperature", "0.1"], "--temperature is for --engine llm or local; the engine is 'auto'"),
        (["--engine", "llm", "--adapter", "a"], "--adapter is for --engine local; the engine is 'llm'"),
        (["--engine", "local", "--model", "m", "--top-p", "none"], "there is no server; give a number"),
        (["--engine", "llm"], "ATOMMEM_MODEL"),
        (["--engine", "llm", "--model", "m", "--top-p", "2"], "top_p=2.0"),
        (["--env", "AtomMem-World-v0[num_docs]"], "expected KEY=VALUE"),
        (["--env", "AtomMem-World-v0[num_dosc=3]"], "did you mean 'num_docs'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    data: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.delenv("ATOMMEM_MODEL", raising=False)
    result = atommem("run", *words)
    assert result.exit_code == 2, result.output
    assert message in result.stderr


def test_a_tables_file_has_the_format_of_its_ending(data: Path) -> None:
    assert (
        atommem("run", *SMALL, "--policy", "rag", "--episodes", "2", "--out", "run", "--quiet").exit_code == 0
    )
    assert atommem("table", "run", "--out", "x.json").exit_code == 0
    assert json.loads((data / "x.json").read_text())["rows"][0]["policy"] == "rag"
    assert atommem("table", "run", "--out", "x.tex", "--by", "type").exit_code == 0
    assert (data / "x.tex").read_text().startswith(r"\begin{tabular}")
    refused = atommem("table", "run", "--out", "x.xlsx")
    assert refused.exit_code == 2
    assert ".json (json)" in refused.output


def test_two_policies_and_two_runs_are_compared(data: Path) -> None:
    both = ("--policy", "rag", "--policy", "closed-book", "--episodes", "3", "--quiet")
    assert atommem("run", *SMALL, *both, "--out", "run").exit_code == 0
    shown = atommem("compare", "run")
    assert shown.exit_code == 0, shown.output
    assert re.search(r"rag \(run\) less closed-book \(run\), on AtomMem-HotpotQA-v0", shown.output)
    assert re.search(r"^em +\d+\.\d +\d+\.\d +[+−]\d+\.\d \[", shown.output, re.MULTILINE)
    again = atommem("compare", "run", "run", "--policy", "rag", "--measure", "em", "--out", "x.json")
    assert again.exit_code == 0, again.output
    (record,) = json.loads((data / "x.json").read_text())
    assert (record["difference"], record["tasks"], record["equal"]) == (0.0, 3, 3)
    for ending, wanted in ((".md", "| em "), (".tex", "\\begin{tabular}{lrrrr}"), (".html", "<td style=")):
        assert atommem("compare", "run", "--out", f"x{ending}").exit_code == 0
        assert wanted in (data / f"x{ending}").read_text(encoding="utf-8")
    assert atommem("compare", "run", "--policy", "rag").exit_code == 2


def test_a_parameter_of_a_model_is_a_number_or_left_out(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        "run",
        "--engine",
        "llm",
        "--model",
        "m",
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--retries",
        "0",
    ]
    result = atommem(*words, "--top-p", "much")
    assert "--top-p much: expected a number, or none to leave it to the server" in result.stderr
    result = atommem(*words, "--extra-body", "{")
    assert "extra_body='{': expected an object of JSON" in result.stderr
    result = atommem(
        *words, *SMALL, "--top-p", "none", "--policy", "rag", "--episodes", "1", "--out", "left-out"
    )
    assert json.loads((data / "left-out" / "run.json").read_text())["engine"]["top_p"] is None


def test_variants_of_a_policy_run_together_under_their_arguments_or_names(data: Path) -> None:
    variants = ("--policy", "rag", "--policy", "rag[second_look=bridge]")
    short = ("--episodes", "1", "--quiet")
    shown = atommem("run", *SMALL, *variants, *short, "--out", "a")
    assert shown.exit_code == 0, shown.output
    assert re.search(r"^rag\[second_look=bridge\] ", shown.output, re.MULTILINE)
    named = atommem("run", *SMALL, *variants, "--name", "plain", "--name", "twice", *short, "--out", "b")
    assert named.exit_code == 0, named.output
    assert re.search(r"^twice ", named.output, re.MULTILINE)
    assert 'twice: second_look="bridge"' in named.output
    record = json.loads((data / "b" / "run.json").read_text())["policies"][1]
    assert (record["name"], record["policy"], record["arguments"]) == (
        "twice",
        "rag",
        {"second_look": "bridge"},
    )
    assert atommem("run", *SMALL, *variants, "--name", "one", *short).exit_code == 2


def test_policies_are_listed_with_their_arguments() -> None:
    listed = atommem("policies")
    assert listed.exit_code == 0, listed.output
    for name in POLICY_NAMES:
        assert re.search(rf"^ *{name} ", listed.output, re.MULTILINE), name
    one = atommem("policies", "keep-best")
    assert "second_look" in one.output
    assert "did you mean 'rag'" in atommem("policies", "rga").output
