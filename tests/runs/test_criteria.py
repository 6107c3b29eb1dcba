"""Criteria by benchmark and type, rubrics from the data, and the judge's leniency, with a scripted judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atommem_env import Answer, evaluate
from atommem_env.llm import Chat, ChatSettings
from atommem_env.llm.prompts import Prompts
from atommem_env.report.question_types import by_type
from atommem_env.report.summary import summarise
from atommem_env.report.tables import table
from atommem_env.runs.criteria import Asked, Judge, answer_lines, read_mark
from atommem_env.runs.errors import RunError
from atommem_env.runs.judge import judge, read_leniency
from atommem_env.runs.leniency import chosen, reworded_answer, vague_answer
from atommem_env.runs.run import Run
from fake_server import FakeServer, prompt_of

QUESTION = Asked("When was the mill built?", ("8 May 1931",), "in spring")


def settings(server: FakeServer) -> ChatSettings:
    return ChatSettings("m", server.address, retries=0, temperature=0.0, concurrency=1)


def asks(server: FakeServer, asked: Asked, variant: str = "paper") -> tuple[dict[str, Any], list[str]]:
    """Return the verdict, and what the judge was asked for it."""
    found = Judge(Chat(settings(server)), Prompts(), variant).verdict(asked)
    return found, [prompt_of(request) for request in server.asked]


@pytest.mark.parametrize(
    ("type", "answerable", "criterion", "says"),
    [
        ("single-session-user", True, "judge/equivalent", "only a part"),
        ("multi-session", True, "judge/equivalent", "only a part"),
        ("temporal-reasoning", True, "judge/temporal", "off by one"),
        ("knowledge-update", True, "judge/update", "present value"),
        ("single-session-preference", True, "judge/preference", "need not take every point"),
        ("temporal-reasoning", False, "judge/abstain", "cannot be told"),
    ],
)
def test_longmemevals_criteria_by_type(
    chat_server: FakeServer, type: str, answerable: bool, criterion: str, says: str
) -> None:
    server = chat_server.begin(lambda prompt: '{"reason": "so", "correct": true}')
    asked = QUESTION._replace(type=type, answerable=answerable, benchmark="longmemeval")
    found, prompts = asks(server, asked)
    assert (found["criterion"], found["score"], found["calls"], len(prompts)) == (criterion, 1.0, 1, 1)
    assert says in prompts[0]
    assert all(text in prompts[0] for text in (QUESTION.question, "8 May 1931", "in spring"))


def marks(prompt: str) -> str:
    """Give the mark that stands in the item."""
    return json.dumps({"reason": "", "score": prompt.partition("asked of the reply: ")[2].split()[0]})


def test_a_rubric_is_marked_item_by_item_in_both_variants(chat_server: FakeServer) -> None:
    rubric = ("1 date", "0.5 place", "0 name", "many wheels")
    asked = QUESTION._replace(benchmark="beam", type="information_extraction", rubric=rubric)
    found, prompts = asks(chat_server.begin(marks), asked)
    assert found["marks"] == [1.0, 0.5, 0.0, None]
    assert (found["score"], found["correct"], found["read"], found["calls"]) == (1.5 / 4, False, False, 4)
    assert all(QUESTION.question in prompt for prompt in prompts)
    assert asks(chat_server.begin(marks), asked, "code")[0]["score"] == 0.25


def same(prompt: str) -> str:
    item = prompt.partition("right reply: ")[2].partition("\n")[0]
    line = prompt.partition("reply given: ")[2].partition("\n")[0]
    return json.dumps({"same": item in line})


def test_the_order_of_events_is_matched_line_by_line_within_a_bound_of_calls(chat_server: FakeServer) -> None:
    reply = "1) first the roof\n\n- then the doors\n* at last the walls"
    asked = QUESTION._replace(
        benchmark="beam", type="event_ordering", rubric=("walls", "roof", "stairs"), prediction=reply
    )
    found, prompts = asks(chat_server.begin(same), asked)
    assert found["marks"] == [1, None, 0]
    # Ranks of walls, roof, stairs and the doors: 1, 2, 3, 5 as it should be; 3, 1, 5, 2 as it is. Three pairs of six
    # are in order and three are not, so that tau-b is 0; two of three lines and two of three items match.
    assert found["score"] == pytest.approx(2 / 3 * 1 / 2)
    assert asks(chat_server.begin(same), asked, "code")[0]["score"] == pytest.approx(1 / 2)
    assert found["calls"] == len(prompts) <= 9
    assert "3 lines x 3 items" in found["reason"]


def test_lines_and_marks_are_read_as_they_are_written() -> None:
    assert answer_lines("1. a\n\n  (2) b\n- c") == ["a", "b", "c"]
    assert [read_mark(value) for value in (1, "0.5", "0,5", 0.7, True, None)] == [
        1.0,
        0.5,
        0.5,
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("8 May 1931", "May 8, 1931"),
        ("May 8, 1931", "8 May 1931"),
        ("3 wheels", "three wheels"),
        ("$3 or 3.5", "$3 or 3.5"),
        ("Ulm", "Ulm"),
    ],
)
def test_a_right_answer_in_other_words(answer: str, said: str) -> None:
    assert reworded_answer(QUESTION._replace(answers=(answer,))).endswith(f": {said}")


def test_a_vague_answer_is_on_topic_and_does_not_name_the_answer() -> None:
    said = vague_answer(Asked("Is the mill or the bridge older?", ("the bridge",), None))
    assert "mill" in said
    assert "bridge" not in said
    away = QUESTION._replace(answerable=False)
    assert chosen([QUESTION, QUESTION, away], 5) == [QUESTION]


class Says:
    """Answers every question with one text."""

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        pass

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Answer]:
        return [Answer("three wheels")] if observation["phase"] else []


@pytest.fixture
def run(tmp_path: Path) -> Path:
    chat = [[{"role": "user", "id": 0, "content": "My mill has 3 wheels."}]]
    asked = {
        "information_extraction": [
            {
                "question": "How many wheels has my mill?",
                "answer": "3 wheels",
                "rubric": ["1 wheels", "0.5 mill"],
            }
        ],
        "abstention": [{"question": "Which car?", "ideal_response": "There is none.", "rubric": ["0 car"]}],
    }
    file = tmp_path / "beam_100k.json"
    file.write_text(json.dumps([{"conversation_id": "1", "chat": chat, "probing_questions": asked}]))
    evaluate("AtomMem-BEAM-v0", {"says": Says}, episodes=1, out=tmp_path / "run", source=file)
    return tmp_path / "run"


ORDERS = {
    "In which order was it built?": "1) first the roof\n\n- then the doors\n* at last the walls",
    "In which order did it fall?": "the roof",
}


class Orders(Says):
    """Answers as :class:`Says`, and questions of orders with lines."""

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Answer]:
        if not observation["phase"]:
            return []
        return [Answer(ORDERS.get(observation["questions"][0], "three wheels"))]


@pytest.mark.parametrize(
    ("variant", "extraction", "order"),
    [
        # By item 1 and .5, and .5 alone. The first order is as above, F1 2/3 and tau-b 0; of the other one of three
        # items is named, two are missing and tie: F1 1/2, tau-b 2 of the root of 3 x 2.
        ("paper", [0.75, 0.5], [2 / 3 * 1 / 2, 1 / 2 * (1 + 2 / 6**0.5) / 2]),
        ("code", [0.5, 0.0], [1 / 2, (1 + 2 / 6**0.5) / 2]),
    ],
)
def test_beams_score_is_the_mean_over_abilities(
    chat_server: FakeServer, tmp_path: Path, variant: str, extraction: list[float], order: list[float]
) -> None:
    def question(text: str, *rubric: str) -> dict[str, Any]:
        return {"question": text, "answer": "so", "rubric": list(rubric)}

    asked = {
        "information_extraction": [
            question("How many?", "1 wheels", "0.5 mill"),
            question("What?", "0.5 roof"),
        ],
        "event_ordering": [
            question(text, *items)
            for text, items in zip(
                ORDERS, (("walls", "roof", "stairs"), ("roof", "stairs", "walls")), strict=True
            )
        ],
        "abstention": [question("Which car?", "0 car")],
    }
    chat = [[{"role": "user", "id": 0, "content": "My mill has 3 wheels."}]]
    file, folder = tmp_path / "beam_100k.json", tmp_path / "run"
    file.write_text(json.dumps([{"conversation_id": "1", "chat": chat, "probing_questions": asked}]))
    evaluate("AtomMem-BEAM-v0", {"orders": Orders}, episodes=1, out=folder, source=file)
    server = chat_server.begin(lambda prompt: same(prompt) if "right reply: " in prompt else marks(prompt))
    judge(folder, settings(server), variant=variant)
    run = Run.load(folder)
    (row,) = by_type(summarise([run]), [run])
    means = {
        "abstention": 0.0,
        "event_ordering": sum(order) / 2,
        "information_extraction": sum(extraction) / 2,
    }
    assert {kind: found.scores["judge"] for kind, found in row.types.items()} == pytest.approx(means)
    assert row.macro["judge"] == pytest.approx(sum(means.values()) / 3)
    assert row.micro["judge"] == pytest.approx(sum(extraction + order) / 5)
    assert f"BEAM's score by the variant {variant}" in table([run], "markdown", by="type", score="judge")


def longmemeval_row(id: str, type: str, answer: str) -> dict[str, Any]:
    return {
        "question_id": id, "question_type": type, "question": f"What of {id}?", "answer": answer,
        "question_date": "2023/05/22 (Mon) 10:00", "haystack_dates": ["2023/05/20 (Sat) 23:30"],
        "haystack_session_ids": ["s"], "answer_session_ids": ["s"],
        "haystack_sessions": [[{"role": "user", "content": f"The mill of {id} is {answer}.", "has_answer": True}]],
    }  # fmt: skip


def test_longmemevals_score_is_overall_by_type_and_over_abstentions(
    chat_server: FakeServer, tmp_path: Path
) -> None:
    rows = [
        longmemeval_row("a", "multi-session", "three wheels"),
        longmemeval_row("b", "multi-session", "three big wheels"),
        longmemeval_row("c", "multi-session", "five doors"),
        longmemeval_row("d", "knowledge-update", "three wheels"),
        longmemeval_row("e_abs", "knowledge-update", "Nobody told."),
    ]
    file = tmp_path / "longmemeval_s.json"
    file.write_text(json.dumps(rows))
    folder = tmp_path / "run"
    evaluate("AtomMem-LongMemEval-v0", {"says": Says}, episodes=5, out=folder, source=file)
    server = chat_server.begin(
        lambda prompt: json.dumps({"correct": "wheels" in prompt.partition("Answer given")[0]})
    )
    made = judge(folder, settings(server))
    assert sorted(verdict["criterion"] for verdict in made.verdicts) == [
        "judge/abstain", *["judge/equivalent"] * 3, "judge/update",
    ]  # fmt: skip
    run = Run.load(folder)
    (row,) = by_type(summarise([run]), [run])
    assert {kind: found.scores["judge"] for kind, found in row.types.items()} == {
        "knowledge-update": 0.5,
        "multi-session": pytest.approx(2 / 3),
    }
    assert (row.micro["judge"], row.macro["judge"]) == (3 / 5, pytest.approx((1 / 2 + 2 / 3) / 2))
    assert row.sides["unanswerable"].scores["judge"] == 0.0
    shown = table([run], "markdown", by="type", score="judge")
    assert "EM, F1 and cover EM are none." in shown


def test_rubrics_come_from_the_data_that_the_run_names(chat_server: FakeServer, run: Path) -> None:
    made = judge(run, settings(chat_server.begin(marks)))
    assert [(verdict["score"], verdict["criterion"]) for verdict in made.verdicts] == [
        (0.75, "judge/rubric"),
        (0.0, "judge/rubric"),
    ]
    assert list(Run.load(run).judgements.values()) == [[0.75, 0.0]]
    assert "BEAM's score by the variant paper" in table([Run.load(run)], "markdown", by="type", score="judge")
    recorded = json.loads((run / "judge.json").read_text())
    assert recorded["criteria"] == {"beam": ["judge/rubric"]}
    assert (recorded["model"], recorded["variant"], recorded["prompts"]) == ("m", "paper", Prompts().digest)
    with pytest.raises(RunError, match="variant: 'paper' there, 'code' now"):
        judge(run, settings(chat_server), variant="code")


def test_data_that_changed_is_an_error(chat_server: FakeServer, run: Path) -> None:
    file = run.parent / "beam_100k.json"
    file.write_text(file.read_text().replace("1 wheels", "1 wheel"))
    with pytest.raises(RunError):
        judge(run, settings(chat_server.begin(marks)))


def test_leniency_is_measured_once_and_printed_beside_the_judged_score(
    chat_server: FakeServer, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from atommem_env.cli import application

    server = chat_server.begin(lambda prompt: json.dumps({"score": 1 if "in passing" in prompt else 0}))
    assert read_leniency(run) is None
    monkeypatch.setenv("OPENAI_BASE_URL", server.address)
    shown = CliRunner().invoke(application(), ["judge", str(run), "--model", "m", "--leniency", "5"])
    assert shown.exit_code == 0, shown.output
    assert read_leniency(run) == {
        "vague_answers": 1,
        "vague_passed": 1.0,
        "reworded_answers": 1,
        "reworded_failed": 1.0,
    }
    table = CliRunner().invoke(application(), ["table", str(run), "--format", "markdown"]).output
    for text in (shown.output, table):
        assert "passed 100 % of 1 answers that are vague and wrong" in " ".join(text.split())


@pytest.mark.parametrize(
    ("replies", "marks", "score"),
    [
        # Three of four points are said, and two of five sentences are borne out: F1 of 0.75 and 0.4.
        (
            ('{"fluent": true}', '{"covered": 3}', '{"sentences": 5, "supported": 2}'),
            [1, 3, 4, 2, 5],
            2 * 0.3 / 1.15,
        ),
        (('{"fluent": false}', '{"covered": 4}', '{"sentences": 1, "supported": 1}'), [0, 4, 4, 1, 1], 0.0),
        (('{"fluent": "yes"}', '{"covered": "4"}', '{"sentences": 3, "supported": 3}'), [1, 4, 4, 3, 3], 1.0),
        (('{"fluent": true}', '{"covered": 0}', '{"sentences": 3, "supported": 3}'), [1, 0, 4, 3, 3], 0.0),
        (('{"fluent": true}', '{"covered": 9}', '{"sentences": 2, "supported": 3}'), [1, 9, 4, 3, 2], 1.0),
        (('{"fluent": true}', "no idea", '{"sentences": 2, "supported": 2}'), [1, None, 4, 2, 2], 0.0),
    ],
)
def test_a_summary_is_scored_by_key_points_and_sentences(
    chat_server: FakeServer, replies: tuple[str, str, str], marks: list[int | None], score: float
) -> None:
    def reply(prompt: str) -> str:
        return (
            replies[0]
            if "language alone" in prompt
            else replies[1]
            if "Key points, 4" in prompt
            else replies[2]
        )

    asked = Asked(
        "Summarise.", ("An expert's.",), "A reader's.", type="infbench_sum_eng", benchmark="memoryagentbench",
        rubric=("a", "b", "c", "d"),
    )  # fmt: skip
    found, prompts = asks(chat_server.begin(reply), asked)
    assert (found["marks"], found["calls"], len(prompts)) == (marks, 3, 3)
    assert found["score"] == pytest.approx(score)
    assert found["read"] is (None not in marks)
    assert "- a\n- b\n- c\n- d" in prompts[1]
    assert "An expert's." in prompts[2]
