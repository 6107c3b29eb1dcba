"""A run from a file: the same as from the command line, and nothing that its reader has not agreed to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from atommem_env.cli import application
from atommem_env.runs.config_file import LONGEST, config_demands, over_file, read_config
from atommem_env.runs.errors import RunError
from fake_server import FakeServer

SIZES = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 300, "chunk_overlap": 20}
FILE = """
env: AtomMem-World-v0
policy: [rag, "rag[second_look=bridge]", keep-best]
name: [plain, bridge, kept]
arg: {num_docs: 8, num_questions: 1, chunk_tokens: 300, chunk_overlap: 20}
policy_arg:
  kept: {slots: 3}
episodes: 2
seed: 5
traces: false
"""
LINE = (
    *("--env", "AtomMem-World-v0", "--policy", "rag", "--policy", "rag[second_look=bridge]"),
    *("--policy", "keep-best", "--name", "plain", "--name", "bridge", "--name", "kept"),
    *(word for name, value in SIZES.items() for word in ("--arg", f"{name}={value}")),
    *("--policy-arg", "kept.slots=3", "--episodes", "2", "--seed", "5", "--no-traces"),
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Any:
    return CliRunner().invoke(application("run"), ["run", *words])


def record(folder: str) -> list[bytes]:
    return [(Path(folder) / name).read_bytes() for name in ("run.json", "episodes.jsonl")]


@pytest.mark.usefixtures("here")
def test_a_run_from_a_file_is_the_run_of_the_same_options_and_so_is_one_from_its_record() -> None:
    Path("run.yaml").write_text(FILE)
    assert run("--config", "run.yaml", "--out", "a").exit_code == 0
    assert run(*LINE, "--out", "b").exit_code == 0
    assert run("--config", "a/run.json", "--no-traces", "--out", "c").exit_code == 0
    assert record("a") == record("b") == record("c")
    assert {path.name for path in Path("a").iterdir()} >= {"run.json", "episodes.jsonl"}
    assert not (Path("a") / "traces.jsonl.gz").exists()

    given = {"arg": {"num_docs": 6}, "policy": ["oracle"], "episodes": 1}
    for path, envs in (("run.yaml", ["AtomMem-World-v0"]), ("a/run.json", [])):
        options = over_file(given, read_config(Path(path)))
        assert [env for env in options["env"] if isinstance(env, str)] == envs
        assert options["arg"]["num_docs"] == 6
        assert (options["policy"], options["episodes"], options["seed"]) == (["oracle"], 1, 5)
        assert not options.keys() & {"name", "recipe"}
        assert not options["policy_arg"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("polcy: rag", "polcy: there is no such option (did you mean 'policy'?)"),
        ("episodes: many", "episodes: got 'many'; expected a whole number, for example episodes: 20"),
        ("temperature: warm", "expected a number, or none"),
        ("policy: []", "expected a text, or a list of texts, for example policy: [rag, oracle]"),
        ("policy_arg: {rag: 3}", "expected arguments by name, of each policy by name"),
        ("arg: {day: 2024-01-01}", "put a date in quotes"),
        ("fresh: true", "fresh: this is given on the command line (--fresh)"),
        ("seed: 1\nseed: 2", "line 2: seed was given twice"),
        ("base-url: a\nbase_url: b", "base_url: it was given twice"),
        ("a: &a [x]\nb: *a", "line 2: write it out in place of *"),
        ("policy: [rag", "cannot be read as YAML"),
        ("[" * 400, "cannot be read as YAML"),
        ("seed: 1\n" + "#" * LONGEST, "is longer than"),
        ("- rag", "expected the options of a run"),
        ("on: ray", "YAML reads on, off, yes and no as true and false"),
    ],
)
def test_a_mistake_in_a_file_names_the_file_the_key_and_the_mend(
    here: Path, content: str, message: str
) -> None:
    (here / "run.yaml").write_text(content)
    with pytest.raises(RunError) as raised:
        read_config(Path("run.yaml"))
    assert str(raised.value).startswith("run.yaml")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("content", "demanded"),
    [
        ({"policy": "canary:Policy"}, "canary:Policy"),
        ({"env": "canary:Own-v0"}, "canary:Own-v0"),
        ({"env": "AtomMem-World-v0[reward=canary:score]"}, "canary:score"),
        ({"arg": {"retriever": "canary:find"}}, "canary:find"),
        ({"source": "canary:DATA"}, "canary:DATA"),
        ({"policy": "rag", "policy_arg": {"rag": {"k": "canary:k"}}}, "canary:k"),
        ({"engine": "llm"}, "your own endpoint and cost"),
        ({"engine": "llm", "model": "m", "base_url": "http://elsewhere.example/v1"}, "elsewhere.example"),
        ({"engine": "local", "policy": "rag"}, "local"),
        ({"prompts": "theirs"}, "theirs"),
        ({"out": "../theirs"}, "../theirs"),
        ({"jobs": 10_000}, "10000"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_a_file_names_beyond_this_package_is_listed_and_not_used(
    content: dict[str, Any], demanded: str
) -> None:
    Path("run.json").write_text(json.dumps(content))
    asked = run("--config", "run.json")
    assert asked.exit_code == 2
    assert demanded in asked.stderr
    assert "give --trust" in asked.stderr
    assert list(config_demands(read_config(Path("run.json")).options))
    assert not Path("runs").exists()


@pytest.mark.usefixtures("here")
def test_a_key_goes_to_the_address_of_the_command_line_alone(
    chat_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-own-and-secret")
    address = chat_server.begin().address
    content = {"env": "AtomMem-World-v0", "policy": "closed-book", "episodes": 1, "arg": SIZES}
    Path("run.json").write_text(json.dumps({**content, "engine": "llm", "model": "m", "base_url": address}))
    assert run("--config", "run.json", "--trust", "--out", "a", "--cache", "one").exit_code == 0
    assert set(chat_server.keys) == {"Bearer none"}
    again = ("--config", "a/run.json", "--trust", "--out", "b", "--cache", "other")
    assert run(*again).exit_code == 0
    assert set(chat_server.keys) == {"Bearer none"}
    assert record("a") == record("b")
    assert run(*again, "--fresh", "--cache", "third", "--base-url", address).exit_code == 0
    assert chat_server.keys[-1] == "Bearer sk-own-and-secret"
