"""BEAM's chats: the forms of the repository, the hub and a list; markers, dates, evidence, rubrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atommem_env.data.sources import open_dataset
from atommem_env.envs.beam import BEAM, BEAMEnv, parse, read_evidence


def message(id: int, content: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant" if id % 2 else "user", "id": id, "content": content, **more}


BATCHES: list[Any] = [
    {
        "batch_number": 1,
        "time_anchor": None,
        "turns": [
            [
                message(0, "My mill has 3 wheels. ->-> 1,1", time_anchor="March-15-2024"),
                message(1, "Good.  ->-> 1,1"),
            ],
            [message(2, "Always answer in verse. ->-> 1,N/A"), message(3, "I will.")],
        ],
    },
    {
        "batch_number": 2,
        "time_anchor": None,
        "turns": [
            [message(4, "It has 5 wheels now. ->-> 2,1", time_anchor="April-02-2024"), message(5, "Fine.")]
        ],
    },
]
QUESTIONS: dict[str, Any] = {
    "abstention": [
        {
            "question": "Which car?",
            "ideal_response": "There is no information about it.",
            "rubric": ["no information"],
        }
    ],
    "knowledge_update": [
        {
            "question": "How many wheels?",
            "answer": "5",
            "rubric": "['LLM response should state: 5 wheels']",
            "source_chat_ids": {"original_info": [0], "updated_info": [4]},
        }
    ],
    "instruction_following": [
        {
            "question": "How is my mill?",
            "expected_compliance": "It is in verse.",
            "rubric": ["verse"],
            "source_chat_ids": [[2, [2]], 99],
        }
    ],
}


def row(**changes: Any) -> dict[str, Any]:
    return {
        "chat_size": "100K",
        "conversation_id": "7",
        "chat": BATCHES,
        "probing_questions": QUESTIONS,
        **changes,
    }


def test_a_chat_is_a_history_of_dated_batches() -> None:
    history = parse(row())
    assert history.id == "100K/7"
    assert [(session.date, session.now) for session in history.sessions] == [
        ("March-15-2024", "2024-03-15"),
        ("April-02-2024", "2024-04-02"),
    ]
    assert [turn.text for turn in history.sessions[0].turns] == [
        "My mill has 3 wheels.",
        "Good.",
        "Always answer in verse.",
        "I will.",
    ]
    away, update, order = history.questions
    assert (away.answerable, away.type, away.evidence) == (False, "abstention", ())
    assert [tuple(unit) for unit in update.evidence] == [
        (0, 0, "superseded", False),
        (1, 0, "supporting", False),
    ]
    assert update.rubric == ("LLM response should state: 5 wheels",)
    assert [tuple(unit) for unit in order.evidence] == [(0, 2, "supporting", True)]
    assert order.answers == ("It is in verse.",)
    assert history.malformed == 1


def test_the_hubs_rows_and_plans_are_the_same_chat() -> None:
    plain = [[reply for turn in batch["turns"] for reply in turn] for batch in BATCHES]
    assert parse(row(chat=plain, probing_questions=repr(QUESTIONS))) == parse(row())
    plans = [{"plan-1": BATCHES[:1], "plan-2": None}, {"plan-1": None, "plan-2": plain[1:]}]
    assert parse(row(chat=plans, probing_questions=json.dumps(QUESTIONS))) == parse(row())


@pytest.mark.parametrize(
    ("value", "units", "unknown"),
    [
        (None, [], 0),
        (3, ["a"], 0),
        ([[3, 3], [4]], ["a", "b"], 0),
        ({"first_event": [3], "second_event": [3]}, ["a"], 0),
        ({"original_info": [3], "updated_info": [4]}, ["a-", "b"], 0),
        ({"original_info": [3, 4], "updated_info": [4]}, ["a-", "b"], 0),
        ({"original_info": [3], "updated_info": []}, ["a"], 0),
        (["x", 4], ["b"], 1),
    ],
)
def test_evidence_in_every_form(value: object, units: list[str], unknown: int) -> None:
    found, lost = read_evidence(value, {"3": (0, 0), "4": (0, 1)})
    assert ["ab"[unit.turn] + ("-" if unit.role == "superseded" else "") for unit in found] == units
    assert lost == unknown


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"probing_questions": "__import__('os')"}, "Python literal or of JSON"),
        ({"probing_questions": "[" * 3_000_000}, "3,000,000 characters"),
        ({"probing_questions": "[" * 100_000}, "Python literal or of JSON"),
        ({"chat": []}, "a list of batches"),
        ({"chat": [[{"role": "user"}]]}, "'content' is missing"),
        ({"probing_questions": {"abstention": [{"question": "Which?"}]}}, "neither an answer"),
    ],
)
def test_what_is_wrong_in_a_row_is_said(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(row(**changes))


def folder_form(root: Path) -> Path:
    for number, name in ((10, "chat.json"), (9, "chat_trunecated.json")):
        folder = root / "chats" / "100K" / str(number)
        (folder / "probing_questions").mkdir(parents=True)
        (folder / name).write_text(json.dumps(BATCHES))
        (folder / "probing_questions" / "probing_questions.json").write_text(json.dumps(QUESTIONS))
    (root / "chats" / "100K" / "9" / "chat.json").write_text("[]")  # the other one counts
    return root


def test_the_repositorys_folders_are_read_in_the_order_of_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder_form(tmp_path / "BEAM")
    for place in (root, root / "chats", root / "chats" / "100K"):
        data = open_dataset(BEAM, place, "test", variant="100K")
        assert [data.history(number).id for number in range(data.num_histories)] == ["100K/9", "100K/10"]
        assert data.source.startswith(f"file:{place.name}/100K#")
    assert open_dataset(BEAM, root / "chats" / "100K" / "9", "test").num_histories == 1
    assert (
        open_dataset(BEAM, root / "chats" / "100K" / "9" / "chat_trunecated.json", "test").num_histories == 1
    )
    with pytest.raises(FileNotFoundError, match="no BEAM file for variant='1M'"):
        open_dataset(BEAM, root, "test", variant="1M")
    monkeypatch.setenv("ATOMMEM_DATA", str(root))
    assert open_dataset(BEAM, "auto", "test").num_histories == 2


def test_the_hubs_parquet_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    plain = [
        [{**reply, "time_anchor": reply.get("time_anchor")} for turn in batch["turns"] for reply in turn]
        for batch in BATCHES
    ]
    table = pa.Table.from_pylist(
        [{"conversation_id": "7", "chat": plain, "probing_questions": repr(QUESTIONS)}]
    )
    pq.write_table(table, tmp_path / "data" / "500K-00000-of-00001.parquet")
    data = open_dataset(BEAM, tmp_path, "test", variant="500K")
    assert data.num_questions == 3
    assert data.question(1).rubric == ("LLM response should state: 5 wheels",)
    assert BEAMEnv.read_as(BEAMEnv.config_class.of({"variant": "10M"})).hub_id == "Mohammadta/BEAM-10M"


def test_a_whole_message_is_a_unit_and_the_older_fact_has_its_role(tmp_path: Path) -> None:
    env: Any = gym.make("AtomMem-BEAM-v0", source=folder_form(tmp_path))
    observation, info = env.reset(options={"task_index": 0})
    assert observation["questions"] == ()
    assert info["rules"].abstain == "There is no information"
    away, update, order = info["gold"]
    assert away["evidence"] == []
    assert [(unit["id"], unit["role"]) for unit in update["evidence"]] == [
        ("0", "superseded"),
        ("4", "supporting"),
    ]
    assert [unit["sentence"] for unit in order["evidence"]] == ["Always answer in verse."]


def test_the_samples_chats_open(samples: Path) -> None:
    for name, chats in (("beam_100k", 6), ("beam_500k", 1)):
        data = open_dataset(BEAM, samples / f"{name}.sample.json.gz", "test")
        assert (data.num_histories, data.num_questions) == (chats, 20 * chats)
        assert data.report["unanswerable"] == 2 * chats
        questions = [data.question(number) for number in range(data.num_questions)]
        assert all(question.rubric for question in questions)
        assert any(unit.role == "superseded" for question in questions for unit in question.turns)
        assert all(data.history(number).nows == sorted(data.history(number).nows) for number in range(chats))
