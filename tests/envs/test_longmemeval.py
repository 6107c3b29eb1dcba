"""LongMemEval's rows: dates, evidence by turn, abstentions, variants."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from atommem_env.data.sources import open_dataset
from atommem_env.envs.longmemeval import LONGMEMEVAL, parse


def row(**changes: Any) -> dict[str, Any]:
    """Return our own row with three sessions that are not in the order of time."""
    return {
        "question_id": "e1",
        "question_type": "single-session-user",
        "question": "What do I own?",
        "answer": "the Lenz Mill",
        "question_date": "2023/05/22 (Mon) 10:00",
        "haystack_dates": ["2023/05/21 (Sun) 09:00", "2023/05/20 (Sat) 23:30", "2023/05/23 (Tue) 08:00"],
        "haystack_session_ids": ["s1", "s2", "s1"],
        "haystack_sessions": [
            [
                {"role": "user", "content": "A list:\n\n- one", "has_answer": False},
                {"role": "assistant", "content": "Yes."},
            ],
            [{"role": "user", "content": "I own the Lenz Mill.", "has_answer": True}],
            [{"role": "user", "content": "Bye."}],
        ],
        "answer_session_ids": ["s2"],
        **changes,
    }


def test_a_row_is_a_history_with_one_dated_question() -> None:
    history = parse(row())
    (question,) = history.questions
    assert (question.date, question.now) == ("2023/05/22 (Mon) 10:00", "2023-05-22T10:00")
    assert [unit[:2] for unit in question.evidence] == [(1, 0)]
    assert [session.now for session in history.in_time().sessions] == [
        "2023-05-20T23:30",
        "2023-05-21T09:00",
        "2023-05-23T08:00",
    ]
    assert [unit[:2] for unit in history.in_time().questions[0].evidence] == [(0, 0)]
    assert history.sessions[0].turns[0] == ("user", "A list:\n\n- one", "s1_1")


def test_without_marked_turns_the_sessions_of_the_answer_are_the_evidence() -> None:
    sessions = [[{**turn, "has_answer": False} for turn in turns] for turns in row()["haystack_sessions"]]
    history = parse(row(haystack_sessions=sessions, answer_session_ids=["s1", "s9"]))
    assert [unit[:2] for unit in history.questions[0].evidence] == [(0, 0), (0, 1), (2, 0)]
    assert history.malformed == 1


def test_an_abstention_keeps_its_explanation() -> None:
    (question,) = parse(row(question_id="e1_abs", answer=7)).questions
    assert (question.answerable, question.answers) == (False, ("7",))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"haystack_dates": []}, "3 haystack_sessions, 3 haystack_session_ids and 0 haystack_dates"),
        ({"question_date": "soon"}, "'question_date' is 'soon'"),
        ({"answer": ""}, "'answer' is ''"),
    ],
)
def test_what_is_wrong_in_a_row_is_said(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(row(**change))


def test_a_variant_is_a_file_and_the_files_name_may_not_contradict(tmp_path: Path) -> None:
    for name, id in (("longmemeval_oracle.json", "o"), ("longmemeval_s_cleaned.json", "s")):
        (tmp_path / name).write_text(json.dumps([row(question_id=id)]))
    assert open_dataset(LONGMEMEVAL, tmp_path, "test", variant="oracle").question(0).id == "o"
    assert open_dataset(LONGMEMEVAL, tmp_path, "test").question(0).id == "s"
    assert open_dataset(LONGMEMEVAL, tmp_path / "longmemeval_oracle.json", "test").question(0).id == "o"
    with pytest.raises(ValueError, match="variant='s' but the file's name says otherwise"):
        open_dataset(LONGMEMEVAL, tmp_path / "longmemeval_oracle.json", "test", variant="s")
    with pytest.raises(FileNotFoundError, match="no LongMemEval file for variant='m'"):
        open_dataset(LONGMEMEVAL, tmp_path, "test", variant="m")
    with pytest.raises(
        ValueError, match="variant='xl': no such variant of LongMemEval; choose from 's', 'm'"
    ):
        open_dataset(LONGMEMEVAL, tmp_path, "test", variant="xl")
    with pytest.raises(FileNotFoundError, match="source='hub' to download it"):
        open_dataset(dataclasses.replace(LONGMEMEVAL, generated=False), split="test")


@pytest.mark.parametrize(
    ("name", "variants"),
    [
        ("longmemeval.sample.json", (None, "s", "m", "oracle")),
        ("chats/mine.json", (None, "s")),
        ("longmemeval_s.sample.json", (None, "s")),
        ("LongMemEval-M.jsonl", ("m",)),
    ],
)
def test_a_file_of_any_name_is_found_in_a_folder_unless_it_names_another_variant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, variants: tuple[str | None, ...]
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(json.dumps(row()) if name.endswith("l") else json.dumps([row()]))
    (tmp_path / "locomo10.json").write_text("[]")
    monkeypatch.setenv("ATOMMEM_DATA", str(tmp_path))
    for variant in variants:
        for source in (tmp_path, "auto"):
            found = open_dataset(LONGMEMEVAL, source, "test", variant=variant).source
            assert found.startswith(f"file:{Path(name).name}#")
    if "s" not in variants:
        for source in (tmp_path, "auto"):
            with pytest.raises(FileNotFoundError, match="no LongMemEval file for variant='s'"):
                open_dataset(LONGMEMEVAL, source, "test", variant="s")


def test_the_samples_rows_are_read(samples: Path) -> None:
    env = gym.make("AtomMem-LongMemEval-v0", source=samples / "longmemeval.sample.json.gz")
    inner: Any = env.unwrapped
    assert inner.num_tasks == 2
    for index in range(2):
        observation, info = env.reset(options={"task_index": index})
        dates = []
        while observation["phase"] == 0:
            dates.append(observation["now"])
            observation, *_ = env.step([])
        assert dates == sorted(dates)
        assert len(observation["questions"]) == 1
        (gold,) = info["gold"]
        assert all(unit["id"].startswith("answer_") for unit in gold["evidence"])
        assert gold["evidence"] or observation["now"]


def test_the_world_in_conversation_stands_in_and_says_so() -> None:
    data = open_dataset(LONGMEMEVAL, "generated", "test")
    assert data.generated
    assert data.source.startswith("generated:chat(seed=0,size=100)#")
    assert data.num_histories == data.num_questions
    assert data.num_paragraphs < data.num_histories * 3
    assert 0 < data.report["unanswerable"] < data.num_questions / 3
    assert data.report["questions_without_gold"] <= data.report["unanswerable"]
