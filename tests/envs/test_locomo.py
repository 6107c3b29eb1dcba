"""LoCoMo's file: sessions by number, captions, evidence as it is written, errata; and one conversation read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from atommem_env import Answer, rollout
from atommem_env.baselines import make_policy
from atommem_env.data.sources import open_dataset
from atommem_env.envs.locomo import LOCOMO, locomo, read_errata
from atommem_env.tasks.history import HistoryTasks


def conversation(**changes: Any) -> dict[str, Any]:
    """Return our own conversation with eleven sessions."""
    talk: dict[str, Any] = {"speaker_a": "Ann", "speaker_b": "Ben"}
    for number in range(11, 0, -1):
        talk[f"session_{number}_date_time"] = f"1:0{number % 10} pm on {number} May, 2023"
        talk[f"session_{number}"] = [
            {"speaker": "Ann", "dia_id": f"D{number}:1", "text": f"Day {number}."},
            {"speaker": "Ben", "dia_id": f"D{number}:2", "text": "Look!", "blip_caption": "a photo of a cat"},
        ]
    talk["session_12_date_time"] = "1:00 pm on 20 May, 2023"
    qa = [
        {"question": "How many days?", "answer": 11, "category": 1, "evidence": ["D11:1"]},
        {
            "question": "What was shown?",
            "answer": "a cat",
            "category": 4,
            "evidence": ["D2:2; D3:2", "D:4:2", "D05:2"],
        },
        {"question": "When?", "answer": "1 May", "category": 2, "evidence": ["D", "D99:1"]},
        {"question": "Which dog?", "adversarial_answer": "Rex", "category": 5, "evidence": ["D1:1"]},
        {
            "question": "Is it Ben's?",
            "answer": "No",
            "adversarial_answer": "Yes",
            "category": 5,
            "evidence": [],
        },
    ]
    return {"sample_id": "conv-26", "conversation": talk, "qa": qa, **changes}


def test_sessions_come_by_number_and_images_with_their_captions() -> None:
    history = LOCOMO.parse(conversation())
    assert [session.date for session in history.sessions][8:] == [
        "1:09 pm on 9 May, 2023",
        "1:00 pm on 10 May, 2023",
        "1:01 pm on 11 May, 2023",
    ]
    assert history.sessions[9].now == "2023-05-10T13:00"
    assert history.sessions[0].text == "Ann: Day 1.\nBen: Look! [shared a photo of a cat]"
    plain = locomo(captions=False).parse(conversation())
    assert plain.sessions[0].text == "Ann: Day 1.\nBen: Look!"


def test_evidence_is_read_as_far_as_it_can_be_and_the_rest_is_counted() -> None:
    history = LOCOMO.parse(conversation())
    found = [[unit[:2] for unit in question.evidence] for question in history.questions]
    assert found == [[(10, 0)], [(1, 1), (2, 1), (3, 1), (4, 1)], [], [(0, 0)], []]
    assert history.malformed == 2


def test_the_fifth_category_is_not_answerable_whether_or_not_it_has_an_answer() -> None:
    history = LOCOMO.parse(conversation())
    assert [question.type for question in history.questions] == [
        "multi-hop",
        "single-hop",
        "temporal",
        "adversarial",
        "adversarial",
    ]
    assert [question.answers for question in history.questions] == [("11",), ("a cat",), ("1 May",), (), ()]
    assert [question.answerable for question in history.questions] == [True, True, True, False, False]


def test_errata_correct_answers_and_evidence_by_number_and_the_source_says_so(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([conversation(sample_id="conv-30")]))
    items = [
        {"question_id": "locomo_1_qa0", "question": "How  many days?", "correct_answer": "eleven"},
        {"question_id": "locomo_1_qa1", "correct_evidence": ["D7:2"]},
        {"question_id": "locomo_0_qa2", "question": "of another conversation", "correct_answer": "x"},
    ]
    (tmp_path / "errors.json").write_text(json.dumps(items))
    plain = open_dataset(LOCOMO, tmp_path / "rows.json", "test")
    mended = open_dataset(locomo(errata=tmp_path / "errors.json"), tmp_path / "rows.json", "test")
    assert mended.question(0).answers == ("eleven",)
    assert mended.question(0).turns == plain.question(0).turns
    assert mended.question(1).answers == plain.question(1).answers
    assert [unit[:2] for unit in mended.question(1).turns] == [(6, 1)]
    assert mended.question(2) == plain.question(2)
    assert "[errata=" in mended.source
    assert "errata" not in plain.source
    items[0]["question"] = "Something else?"
    (tmp_path / "errors.json").write_text(json.dumps({item.pop("question_id"): item for item in items}))
    with pytest.raises(ValueError, match="the errata are of another file"):
        open_dataset(locomo(errata=tmp_path / "errors.json"), tmp_path / "rows.json", "test")
    (tmp_path / "errors.json").write_text("[")
    with pytest.raises(ValueError, match="not a JSON file"):
        read_errata(tmp_path / "errors.json")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"conversation": {}}, "sessions named session_1"),
        ({"qa": [{"question": "Who?", "answer": "x", "category": 6}]}, "a category from 1 to 5"),
        ({"qa": [{"question": "Who?", "category": 4}]}, "'answer' is missing"),
        ({"conversation": {"session_1": [{"speaker": "A: b", "text": "x"}]}}, "without ':'"),
        (
            {"conversation": {"session_1": [], "session_1_date_time": "one day"}},
            "session_1_date_time' is 'one day'",
        ),
    ],
)
def test_what_is_wrong_in_a_row_is_said(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        LOCOMO.parse(conversation(**change))


def test_a_conversation_of_the_sample_is_read_session_by_session_with_its_questions_unseen(
    samples: Path,
) -> None:
    env = gym.make("AtomMem-LoCoMo-v0", source=samples / "locomo10.sample.json.gz")
    inner: Any = env.unwrapped
    assert (inner.num_tasks, inner.dataset.num_questions) == (7, 1492)
    assert inner.dataset.report["dropped_facts"] == 3
    observation, info = env.reset(options={"task_index": 0})
    dates = []
    while observation["phase"] == 0:
        assert observation["questions"] == ()
        (piece,) = inner.split_documents(observation["chunk"])
        assert piece.number == observation["cursor"] + 1
        assert piece.turns
        dates.append(observation["now"])
        observation, *_ = env.step([])
    assert dates == sorted(dates)
    assert len(dates) == observation["num_chunks"] == len(set(dates))
    assert info["rules"].abstain == "No information available"
    asked = 0
    over = False
    while not over:
        assert len(observation["questions"]) == 1
        asked += 1
        observation, _, over, _, last = env.step([Answer("No information available")])
    assert asked == len(info["gold"])
    assert {question["type"] for question in last["metrics"]["questions"]} == {
        "multi-hop",
        "temporal",
        "open-domain",
        "single-hop",
        "adversarial",
    }


def test_every_unit_of_the_sample_is_a_turn_that_a_chunk_shows(samples: Path) -> None:
    composer = HistoryTasks(open_dataset(LOCOMO, samples / "locomo10.sample.json.gz", "test"))
    for index in range(composer.num_tasks):
        task = composer.build(index)
        for unit in task.units:
            (chunk,) = task.chunks_of(unit)
            turn = task.documents[unit.document].turns[unit.turn]
            assert task.unit_text(unit).replace("\n  ", "\n") in turn.text
            assert task.unit_text(unit) in task.chunk(chunk)


class Mute:
    """An engine that answers nothing."""

    name = "mute"

    def answer(self, question: str, passages: Sequence[str]) -> str:
        return "unknown"

    def compress(self, questions: Sequence[str], memory: str, chunk: str, budget_tokens: int) -> str:
        return ""


@pytest.mark.heavy
@pytest.mark.parametrize(("policy", "kept"), [("oracle", 1.0), ("rag", 0.99), ("abstain", 0.0)])
def test_on_the_sample_the_funnel_finds_what_is_kept_and_abstaining_is_right_where_nothing_answers(
    samples: Path, policy: str, kept: float
) -> None:
    env = gym.make("AtomMem-LoCoMo-v0", source=samples / "locomo10.sample.json.gz")
    questions: list[Any] = []
    for index in range(7):
        trace = rollout(env, make_policy(policy, engine=Mute()), options={"task_index": index})
        questions += trace.metrics["questions"]
    evidence = [question["evidence"] for question in questions if question["num_evidence"]]
    assert len(evidence) == 1488
    assert sum(stages["kept"] for stages in evidence) >= kept * len(evidence)
    if policy == "oracle":
        assert {stages["written"] for stages in evidence} == {1.0}
    assert all(question["abstained"] for question in questions)
    assert [question["em"] for question in questions] == [
        float(not question["answerable"]) for question in questions
    ]
    if policy == "abstain":  # some answers share stems with the phrase
        own = sum(question["official"] for question in questions) / len(questions)
        assert 341 / 1492 < own < 0.24
