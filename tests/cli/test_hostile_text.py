"""Signs that steer a terminal, in data, names, replies and mistakes: no command lets one through."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from atommem_env.cli import application
from fake_server import FakeServer, failed
from small_data import hotpot_rows, records

NASTY = "\x1b[2J\x1b]52;c;eA==\x07\x9b31m\u202eexe.\u2066 [k=12] [/] $\\frac{$ | =cmd() <script>alert()</script> \r\x08"
SIZES = (
    "--arg",
    "num_docs=8",
    "--arg",
    "num_questions=1",
    "--arg",
    "chunk_tokens=300",
    "--arg",
    "chunk_overlap=20",
)


def spoiled(value: Any) -> Any:
    """Return JSON data with every text in it, but for ids and kinds, made hostile."""
    if isinstance(value, str):
        return f"{value} {NASTY}"
    if isinstance(value, Mapping):
        return {key: item if key in ("_id", "type") else spoiled(item) for key, item in value.items()}
    return [spoiled(item) for item in value] if isinstance(value, list | tuple) else value


def steering(text: str) -> set[str]:
    return {
        sign
        for sign in text
        if (unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\n\t")
        or sign in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068"
    }


class Home:
    """A folder with hostile data and a run on it, and the commands there; ``tried`` counts them."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address, self.tried = folder, address, 0
        rows = spoiled(json.loads(json.dumps(hotpot_rows(records(12)))))
        (folder / "hotpot_dev_distractor_v1.json").write_text(json.dumps(rows))
        (folder / "spoiled.jsonl").write_text(f'{{"question": "{NASTY}"}}\n'.replace("\x1b", "\\u001b"))

    def __call__(self, *words: str, status: int | None = 0) -> Any:
        result = CliRunner().invoke(application(), list(words))
        assert isinstance(result.exception, SystemExit | None), (words, result.exception)
        assert status is None or result.exit_code == status, (words, result.output)
        assert not steering(result.stdout), words
        assert not steering(result.stderr), words
        self.tried += 1
        return result


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chat_server: FakeServer) -> Home:
    address = chat_server.begin(lambda prompt: json.dumps({"correct": True, "reason": NASTY})).address
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return Home(tmp_path, address)


def test_nothing_hostile_in_data_names_or_replies_reaches_the_terminal(home: Home) -> None:
    source = ("--source", "hotpot_dev_distractor_v1.json", *SIZES)
    names = ("--policy", "rag", "--name", f"a{NASTY}", "--policy", "write-nothing", "--name", f"b{NASTY}")
    home("run", *source, *names, "--episodes", "1", "--out", "r")
    for more in (("--wide",), ("--format", "markdown"), ("--format", "csv")):
        home("table", "r", *more)
    home("show", "r")
    home("show", *source, "--policy", "rag")
    home("compare", "r", "--tasks")
    home("judge", "r", "--model", f"m{NASTY}", "--base-url", home.address, "--leniency", "0")
    home("replay", "r")
    home("view", "r")
    home("export", "r", "--out", "rows.jsonl")
    assert "<script>alert" not in (home.folder / "r" / "view.html").read_text()
    assert home.tried == 11


@pytest.mark.heavy
def test_no_mistake_repeats_a_hostile_word_as_it_was(home: Home, chat_server: FakeServer) -> None:
    for words in (
        ("run", "--env", NASTY), ("run", "--policy", f"{NASTY}:x"), ("run", "--arg", f"num_docs={NASTY}"),
        ("run", "--arg", f"{NASTY}=3"), ("run", "--source", NASTY), ("run", "--engine", NASTY),
        ("run", "--source", "spoiled.jsonl"), ("show", NASTY), ("table", ".", "--format", NASTY),
        ("plot", NASTY, "--kind", NASTY), ("export", NASTY, "--out", NASTY), ("policies", NASTY), ("envs", NASTY),
        ("convert", NASTY, "--to", NASTY), (NASTY,),
    ):  # fmt: skip
        home(*words, status=2)
    chat_server.plan = [failed(400, NASTY, code=NASTY)] * 9
    llm = ("--engine", "llm", "--model", "m", "--base-url", home.address, "--retries", "0")
    source = ("--source", "hotpot_dev_distractor_v1.json", *SIZES)
    home("run", *source, "--policy", "closed-book", *llm, "--episodes", "1", "--out", "w", status=2)
