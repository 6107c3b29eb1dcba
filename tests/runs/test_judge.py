"""A language model as the judge of a run's answers: verdicts on disk, next to exact match."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atommem_env import Answer, evaluate
from atommem_env.llm import ChatSettings
from atommem_env.runs.errors import RunError
from atommem_env.runs.judge import Agreement, judge
from atommem_env.runs.run import Run
from fake_server import FakeServer, failed, prompt_of
from small_data import dataset


class Answers:
    """Answers the questions of a task in turn: right, in other words, wrong, not at all."""

    def __init__(self) -> None:
        self.gold: list[Any] = []

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        self.gold = [gold["answers"][0] for gold in info["gold"]]

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Answer]:
        if observation["phase"] == 0:
            return []
        number = observation["cursor"]
        given = [self.gold[number], f"the {self.gold[number]}, of course", "a lake"]
        return [Answer(given[number])] if number < 3 else []


def lenient(prompt: str) -> str:
    """Judge as a reader would: right is what names a right answer."""
    answers = prompt.partition("is enough):\n")[2].partition("\nAnswer given: ")
    given = answers[2].partition("\n")[0]
    right = any(line.removeprefix("- ") in given for line in answers[0].splitlines())
    return json.dumps({"reason": "it names it" if right else "it names something else", "correct": right})


@pytest.fixture
def server(chat_server: FakeServer) -> FakeServer:
    return chat_server.begin(lenient)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    evaluate(
        "AtomMem-Custom-v0",
        {"answers": Answers, "again": Answers},
        episodes=2,
        out=folder,
        source=dataset(),
        num_docs=20,
        num_questions=4,
    )
    return folder


def settings(server: FakeServer, **changes: Any) -> ChatSettings:
    return ChatSettings("m", server.address, **{"retries": 0, "temperature": 0.0, **changes})


def test_every_answer_is_judged_and_a_missing_one_is_wrong_without_a_call(
    server: FakeServer, run: Path
) -> None:
    made = judge(run, settings(server))
    assert [verdict["correct"] for verdict in made.verdicts] == [True, True, False, False] * 4
    assert [verdict["em"] for verdict in made.verdicts] == [1, 0, 0, 0] * 4
    assert made.verdicts[0]["reason"] == "it names it"
    assert made.verdicts[3]["reason"] == "no answer was given"
    assert len(server.asked) == 12
    assert "Answer given: a lake" in prompt_of(server.asked[0]) + prompt_of(server.asked[1]) + "".join(
        map(prompt_of, server.asked)
    )


def test_agreement_with_exact_match_is_told_with_kappa(server: FakeServer, run: Path) -> None:
    lines = judge(run, settings(server)).agreements()
    assert [line.policy for line in lines] == ["answers", "again", "all"]
    # Of 6 answered: 2 right for both, 2 for the judge alone, 2 wrong for both. Chance: 1/3 * 2/3 + 2/3 * 1/3.
    expected = Agreement("answers", 8, 6, 0.25, 0.5, pytest.approx(2 / 3), pytest.approx(0.4), 0)  # type: ignore[arg-type]
    assert lines[0] == expected


def test_kappa_is_undefined_when_both_say_the_same_of_all(server: FakeServer, run: Path) -> None:
    server.reply = lambda prompt: '{"correct": false}'
    path = run / "episodes.jsonl"
    episodes = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for episode in episodes:
        for question in episode["metrics"]["questions"]:
            question["em"] = 0.0
    path.write_text("".join(json.dumps(episode) + "\n" for episode in episodes), encoding="utf-8")
    line = judge(run, settings(server)).agreements()[0]
    assert (line.agreement, line.kappa) == (1.0, None)


def test_verdicts_are_kept_and_the_same_call_asks_nothing_again(server: FakeServer, run: Path) -> None:
    first = judge(run, settings(server))
    written = (run / "judgements.jsonl").read_bytes()
    assert judge(run, settings(server)) == first
    assert (run / "judgements.jsonl").read_bytes() == written
    assert len(server.asked) == 12
    assert set(map(tuple, Run.load(run).judgements.values())) == {(True, True, False, False)}
    assert len(Run.load(run).judgements) == 4


def test_a_judge_that_was_stopped_goes_on(server: FakeServer, run: Path) -> None:
    whole = judge(run, settings(server)).verdicts
    path = run / "judgements.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:7]) + lines[7][:20])  # killed within a write
    del server.asked[:]
    assert judge(run, settings(server)).verdicts == whole
    assert len(server.asked) == sum(verdict["read"] is not None for verdict in whole[7:])
    assert path.read_bytes() == b"".join(lines)


def test_an_endpoint_that_fails_keeps_the_verdicts_so_far(server: FakeServer, run: Path) -> None:
    server.plan = [failed(401, "bad key")]
    with pytest.raises(
        RunError, match=r"OPENAI_API_KEY.*\n.* of 16 verdicts are in .*the same command goes on"
    ):
        judge(run, settings(server, concurrency=1))
    assert len(judge(run, settings(server)).verdicts) == 16


def test_another_judge_is_refused_with_the_difference(server: FakeServer, run: Path) -> None:
    judge(run, settings(server))
    with pytest.raises(RunError, match=r"temperature: 0\.0 there, 0\.5 now.*remove judge\.json"):
        judge(run, settings(server, temperature=0.5))


def test_an_answer_that_changed_is_judged_anew(server: FakeServer, run: Path) -> None:
    judge(run, settings(server))
    path = run / "episodes.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("a lake", "a pond", 1), encoding="utf-8")
    assert len(Run.load(run).judgements) == 3
    del server.asked[:]
    judge(run, settings(server))
    assert len(server.asked) == 1
    assert len(Run.load(run).judgements) == 4


@pytest.mark.parametrize(
    ("reply", "correct", "read"),
    [
        ('```json\n{"reason": "same", "correct": "Yes"}\n```', True, True),
        ('{"correct": false', False, False),
        ('{"correct": false, "reason": "cut of', False, True),
        ("I think so.", False, False),
    ],
)
def test_a_verdict_that_cannot_be_read_is_wrong_and_counted(
    server: FakeServer, run: Path, reply: str, correct: bool, read: bool
) -> None:
    server.reply = lambda prompt: reply
    made = judge(run, settings(server))
    assert (made.verdicts[0]["correct"], made.verdicts[0]["read"]) == (correct, read)
    assert made.agreements()[0].unread == (0 if read else 6)


def test_a_run_without_episodes_and_a_folder_without_a_run_are_errors(
    server: FakeServer, run: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"holds no run\.json"):
        judge(tmp_path, settings(server))
    (run / "episodes.jsonl").write_bytes(b"")
    with pytest.raises(RunError, match="no finished episode yet"):
        judge(run, settings(server))


def test_a_run_that_was_not_judged_has_no_judgements(run: Path) -> None:
    assert Run.load(run).judgements == {}


def test_the_command_prints_the_agreement_and_the_table_has_a_column(
    server: FakeServer, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from atommem_env.cli import application

    monkeypatch.setenv("OPENAI_BASE_URL", server.address)
    shown = CliRunner().invoke(application(), ["judge", str(run), "--model", "m"])
    assert shown.exit_code == 0, shown.output
    assert "66.7" in shown.output
    assert "0.40" in shown.output
    table = CliRunner().invoke(application(), ["table", str(run), "--format", "csv"]).output
    header, row = (line.split(",") for line in table.splitlines()[:2])
    assert float(row[header.index("judge")]) == 0.5
