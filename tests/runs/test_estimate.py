"""Before a run asks somebody else's server very often, its user is told how often, and is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from atommem_env.cli import application
from atommem_env.report.prices import read_prices
from atommem_env.report.tables import table
from atommem_env.runs import Run, RunError
from atommem_env.runs import estimate as estimating
from fake_server import FakeServer

SMALL = [
    word
    for name, value in {"num_docs": 8, "num_questions": 1, "chunk_tokens": 200, "chunk_overlap": 20}.items()
    for word in ("--arg", f"{name}={value}")
]


@pytest.mark.parametrize(
    ("address", "elsewhere"),
    [
        (None, True),
        ("https://api.openai.com/v1", True),
        ("http://10.0.0.7:8000/v1", True),
        ("http://localhost:8000/v1", False),
        ("http://127.0.0.1:1/v1", False),
        ("http://[::1]:8000/v1", False),
    ],
)
def test_a_server_on_this_machine_is_not_elsewhere(address: str | None, elsewhere: bool) -> None:
    assert estimating.is_elsewhere(address) is elsewhere


def test_a_long_run_elsewhere_is_estimated_and_asked_for_and_its_tokens_cost_what_the_prices_say(
    chat_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = chat_server.begin().address
    monkeypatch.setattr(estimating, "is_elsewhere", lambda address: True)
    monkeypatch.setattr(estimating, "MOST_CALLS", 3)
    prices, run = tmp_path / "prices.json", tmp_path / "run"
    prices.write_text('{"m": {"in": 1000, "out": 2000}, "n": {"in": 1, "out": 1, "cached": 0.5}}')
    words = ["run", "--env", "AtomMem-World-v0", *SMALL, "--policy", "memagent", "--policy", "rag"]
    words += [
        "--engine",
        "llm",
        "--model",
        "m",
        "--base-url",
        address,
        "--episodes",
        "2",
        "--cache",
        str(tmp_path),
    ]
    words += ["--prices", str(prices), "--out", str(run)]

    refused = CliRunner().invoke(application("run"), words)
    assert refused.exit_code == 2
    assert "Give --yes to go on" in refused.stderr
    assert not chat_server.asked
    assert not run.exists()
    calls = int(refused.stderr.partition("make about ")[2].partition(" calls")[0])

    assert CliRunner().invoke(application("run"), [*words, "--yes"]).exit_code == 0
    assert calls == pytest.approx(len(chat_server.asked), abs=2)
    done = Run.load(run)
    rows = {
        row["policy"]: row for row in json.loads(table([done], "json", prices=read_prices(prices)))["rows"]
    }
    tokens = [(row["prompt_tokens"], row["completion_tokens"], row["calls"]) for row in rows.values()]
    assert all((prompt, completion) == (11 * asked, 3 * asked) for prompt, completion, asked in tokens)
    assert rows["rag"]["cost"] == pytest.approx(17e-3 * rows["rag"]["calls"])
    together = sum(2 * row["cost"] for row in rows.values())
    assert f"together {together:.4g}" in table([done], prices=read_prices(prices))

    assert CliRunner().invoke(application("run"), words).exit_code == 0  # nothing is missing
    assert read_prices(prices).cost("n", 2_000_000, 0, 1_000_000) == 1.5
    done.settings["engine"]["model"] = "unknown"
    with pytest.raises(RunError, match="they asked unknown, and it has m, n"):
        table([done], prices=read_prices(prices))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"m": {"in": "cheap", "out": 1}}', "Expected `float`, got `str`"),
        ('{"m": {"in": 1}}', "missing required field `out`"),
        ('{"m": {"in": -1, "out": 1}}', "Expected `float` >= 0"),
        ('{"m": {"in": 1, "out": 1, "per": "token"}}', "unknown field `per`"),
        ("[]", "prices of a million tokens"),
    ],
)
def test_a_file_of_prices_has_one_form(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "prices.json").write_text(content)
    with pytest.raises(RunError, match=r"prices\.json") as raised:
        read_prices(tmp_path / "prices.json")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "usage",
    [{"prompt_tokens_details": {"cached_tokens": 8}}, {"prompt_cache_hit_tokens": 8}],
    ids=["openai", "deepseek"],
)
def test_tokens_that_a_server_had_cached_are_counted(usage: dict[str, Any]) -> None:
    from atommem_env.llm.chat import read_reply

    body = {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 11, **usage}}
    assert read_reply(body).cached_tokens == 8
