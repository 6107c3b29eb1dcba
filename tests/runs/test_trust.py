"""Looking at a run resolves this package's own names alone: a hostile record does nothing."""

from __future__ import annotations

import copy
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from atommem_env.cli import application
from atommem_env.runs import Run, RunError, evaluate
from atommem_env.runs.variants import recorded_env, recorded_policy
from fake_server import FakeServer, serving

Edit = Callable[[dict[str, Any], str], None]

CANARY = """
from pathlib import Path
Path(__file__).with_name("sung").touch()


def score(prediction, answers):
    return 1.0
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one episode."""
    folder = tmp_path_factory.mktemp("made") / "run"
    sizes = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 300, "chunk_overlap": 20}
    evaluate("AtomMem-World-v0", ["rag", "write-nothing"], 1, out=folder, progress=False, **sizes)
    return folder


@pytest.fixture
def judge_address(chat_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The judge that its user names; a record has no say in it."""
    address = chat_server.begin(lambda prompt: '{"correct": true, "reason": "r"}').address
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    return address


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module on the path that leaves a file next to itself when it is imported; returns that file."""
    (tmp_path / "canary.py").write_text(CANARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "canary", raising=False)
    return tmp_path / "sung"


def argument(name: str) -> Edit:
    return lambda settings, value: settings["envs"][0]["arguments"].update({name: value})


def policy_argument(name: str) -> Edit:
    return lambda settings, value: settings["policies"][0]["arguments"].update({name: value})


def wrapper(settings: dict[str, Any], value: str) -> None:
    settings["envs"][0]["wrappers"] = [{"name": "W", "entry_point": value, "arguments": {}}]


def wrapper_argument(settings: dict[str, Any], value: str) -> None:
    own = "atommem_env.wrappers.text_protocol:TextProtocol"
    settings["envs"][0]["wrappers"] = [{"name": "T", "entry_point": own, "arguments": {"protocol": value}}]


ENV_FIELDS: dict[str, Edit] = {
    "id": lambda settings, value: settings["envs"][0].update(id=value),
    "reward": argument("reward"),
    "tokenizer": argument("tokenizer"),
    "retriever": argument("retriever"),
    "encoder": argument("encoder"),
    "source": argument("source"),
    "overflow": argument("overflow"),
    "nested": lambda settings, value: settings["envs"][0]["arguments"].update(world_seed={"a": [value]}),
    "wrapper": wrapper,
    "wrapper argument": wrapper_argument,
}
POLICY_FIELDS: dict[str, Edit] = {
    "policy": lambda settings, value: settings["policies"][0].update(policy=value),
    "k": policy_argument("k"),
    "protocol": policy_argument("protocol"),
    "template": policy_argument("template"),
    "engine": lambda settings, value: settings.update(engine=value),
}
LOOKS = (
    ("show", "RUN"),
    ("view", "RUN", "--credit", "em"),
    ("replay", "RUN"),
    ("export", "RUN", "--out", "RUN/out.jsonl"),
    ("plot", "RUN", "--kind", "operations"),
    ("table", "RUN"),
    ("compare", "RUN"),
    ("judge", "RUN", "--model", "m", "--leniency", "0"),
    ("run", "--config", "RUN/run.json", "--out", "RUN-again"),
)
UNMADE = ("table", "compare", "judge")
"""The commands that make no environment of a run, but for a judge's rubrics."""


def hostile(made: Path, tmp_path: Path, edit: Edit, value: str) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(made, folder)
    settings = json.loads((folder / "run.json").read_text())
    edit(settings, value)
    (folder / "run.json").write_text(json.dumps(settings))
    return folder


def look(folder: Path, *command: str) -> Any:
    words = [word.replace("RUN", str(folder)) for word in command]
    return CliRunner().invoke(application(), words)


@pytest.mark.heavy
@pytest.mark.parametrize("field", ENV_FIELDS)
@pytest.mark.usefixtures("judge_address")
def test_no_field_of_an_environment_is_code(made: Path, tmp_path: Path, canary: Path, field: str) -> None:
    folder = hostile(made, tmp_path, ENV_FIELDS[field], "canary:score")
    for command in LOOKS:
        result = look(folder, *command)
        assert isinstance(result.exception, SystemExit | None), (command, result.exception)
        if command[0] not in UNMADE:
            assert result.exit_code == 2, command
            assert "canary:score" in result.stderr, command
            assert "--trust" in result.stderr, command
    assert not canary.exists()
    assert "canary" not in sys.modules


@pytest.mark.heavy
@pytest.mark.parametrize("field", POLICY_FIELDS)
@pytest.mark.usefixtures("judge_address")
def test_no_field_of_a_policy_is_code(made: Path, tmp_path: Path, canary: Path, field: str) -> None:
    folder = hostile(made, tmp_path, POLICY_FIELDS[field], "canary:score")
    (folder / "traces.jsonl.gz").rename(tmp_path / "traces")  # so that `show` would run the policy
    result = look(folder, "show", "RUN")
    assert result.exit_code == 2
    assert "--trust" in result.stderr
    (tmp_path / "traces").rename(folder / "traces.jsonl.gz")
    for command in LOOKS:
        result = look(folder, *command)
        assert isinstance(result.exception, SystemExit | None), command
        if "--credit" in command or "--config" in command:
            assert "canary:score" in result.stderr, result.stderr
            assert "--trust" in result.stderr
    with pytest.raises(RunError, match="canary:score"):
        recorded_policy(Run.load(folder).settings)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reward", "shutil:rmtree"),
        ("reward", "os:execvp"),
        ("tokenizer", "os:abort"),
        ("tokenizer", "someone/remote-tokenizer"),
        ("encoder", "someone/pickled-weights"),
        ("encoder", "openai:text-embedding-3-small"),
        ("retriever", "antigravity:fly"),
        ("id", "antigravity:AtomMem-World-v0"),
        ("id", "CartPole-v1"),
        ("wrapper", "gymnasium.wrappers:RecordVideo"),
        ("wrapper", "atommem_env.wrappers.record_trace:RecordTrace"),
    ],
)
def test_what_would_act_is_refused_by_its_name(made: Path, tmp_path: Path, field: str, value: str) -> None:
    folder = hostile(made, tmp_path, ENV_FIELDS[field], value)
    with pytest.raises(RunError, match="looking at a run uses none of it") as caught:
        recorded_env(Run.load(folder).settings)
    assert value in str(caught.value)


def test_numbers_that_would_take_over_the_machine_are_refused(made: Path, tmp_path: Path) -> None:
    def edit(settings: dict[str, Any], value: str) -> None:
        settings["envs"][0]["arguments"]["size"] = 10**12

    with pytest.raises(RunError, match="more than this machine"):
        recorded_env(Run.load(hostile(made, tmp_path, edit, "")).settings)


@pytest.mark.usefixtures("judge_address")
def test_a_recorded_server_is_not_called_and_gets_no_key(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    monkeypatch.setenv("SECRET_OF_MINE", "sk-other")

    def edit(settings: dict[str, Any], address: str) -> None:
        settings["engine"] = {
            "name": "llm",
            "model": "m",
            "base_url": address,
            "route": "chat",
            "temperature": 0.0,
            "top_p": 1.0,
            "max_tokens": 9,
            "seed": 0,
            "api_key_variable": "SECRET_OF_MINE",
        }

    with serving() as recorded:
        address = recorded.address
        folder = hostile(made, tmp_path, edit, address)
        for command in LOOKS:
            assert isinstance(look(folder, *command).exception, SystemExit | None), command
        assert not recorded.asked
    run = Run.load(folder, trust=True)
    engine: Any = recorded_policy(run.settings, None, True).engine
    assert engine.base_url == address
    assert engine.api_key_variable not in os.environ
    named: Any = recorded_policy(run.settings, None, True, address).engine
    assert named.api_key_variable == "OPENAI_API_KEY"
    with pytest.raises(RunError, match="this run's engine is at"):
        recorded_policy(run.settings, None, True, "http://other.example/v1")


def test_trust_is_given_in_one_word(made: Path, tmp_path: Path, canary: Path) -> None:
    folder = hostile(made, tmp_path, ENV_FIELDS["reward"], "canary:score")
    result = look(folder, "replay", "RUN", "--trust")
    assert result.exit_code in (0, 1)  # it runs; the reward is another
    assert canary.exists()
    recorded_env(Run.load(folder, trust=True).settings, trust=True).make().close()


def test_a_data_file_is_read_as_data_and_compared_without_trust(tmp_path: Path) -> None:
    from small_data import hotpot_rows, records

    file = tmp_path / "hotpot_dev_distractor_v1.json"
    file.write_text(json.dumps(hotpot_rows(records(24))))
    folder = tmp_path / "run"
    sizes = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 300, "chunk_overlap": 20}
    evaluate("AtomMem-HotpotQA-v0", "rag", 1, out=folder, progress=False, source=str(file), **sizes)
    assert look(folder, "replay", "RUN").exit_code == 0
    assert look(folder, "show", "RUN").exit_code == 0
    assert look(folder, "view", "RUN").exit_code == 0
    file.write_text(json.dumps(hotpot_rows(copy.deepcopy(records(25)))))
    for command in ("replay", "show", "view"):
        result = look(folder, command, "RUN")
        assert result.exit_code == 2
        assert "the run's data is file:hotpot_dev_distractor_v1.json#" in result.stderr
    file.unlink()
    assert "there is no such file" in look(folder, "view", "RUN").stderr


def test_data_found_under_a_variable_is_named_when_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from small_data import hotpot_rows, records

    data = tmp_path / "data"
    data.mkdir()
    (data / "hotpot_dev_distractor_v1.json").write_text(json.dumps(hotpot_rows(records(24))))
    monkeypatch.setenv("ATOMMEM_DATA", str(data))
    folder = tmp_path / "run"
    sizes = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 300, "chunk_overlap": 20}
    evaluate("AtomMem-HotpotQA-v0", "rag", 1, out=folder, progress=False, **sizes)
    monkeypatch.delenv("ATOMMEM_DATA")
    for command in ("replay", "show", "view"):
        result = look(folder, command, "RUN")
        assert result.exit_code == 2
        assert "the run's data is file:hotpot_dev_distractor_v1.json#" in result.stderr
        assert "set ATOMMEM_DATA" in result.stderr
