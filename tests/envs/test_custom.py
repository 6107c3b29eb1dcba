"""A user's own data: records and histories, from Python, from files, by reference."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from atommem_env import Answer, Create, QADataset, rollout
from atommem_env.baselines import make_policy
from atommem_env.runs.arguments import check_arguments, env_arguments
from small_data import chats, dataset, records

SMALL: dict[str, Any] = {"num_docs": 20, "num_questions": 2, "chunk_tokens": 400}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as JSON Lines, or as a JSON list."""
    lines = "\n".join(map(json.dumps, rows)) if path.suffix == ".jsonl" else json.dumps(rows)
    path.write_text(lines)
    return path


@pytest.mark.parametrize("name", ["mine.json", "mine.jsonl", "train.jsonl"])
def test_a_file_of_records_is_what_from_records_makes(tmp_path: Path, name: str) -> None:
    env: Any = gym.make("AtomMem-Custom-v0", source=write(tmp_path / name, records(30)), **SMALL).unwrapped
    assert env.dataset.hash == QADataset.from_records(records(30)).hash
    assert env.dataset.split == "validation"
    assert not env.config.isolate_questions


@pytest.mark.parametrize("name", ["chats.json", "chats.jsonl"])
def test_a_file_of_histories_is_read_with_the_defaults_of_histories(tmp_path: Path, name: str) -> None:
    env: Any = gym.make("AtomMem-Custom-v0", source=str(write(tmp_path / name, chats(3)))).unwrapped
    assert env.dataset.hash == QADataset.from_histories(chats(3)).hash
    assert (env.dataset.split, env.num_tasks) == ("test", 3)
    observation, info = env.reset(options={"task_index": 0})
    assert (observation["questions"], observation["now"][:7]) == ((), "2023-05")
    assert info["rules"].abstain
    while observation["phase"] == 0:
        observation, *_ = env.step([Create(observation["chunk"])])
    over = False
    while not over:
        unknown = "drive" in observation["questions"][0]
        answer = info["rules"].abstain if unknown else info["gold"][observation["cursor"]]["answers"][0]
        observation, reward, over, _, last = env.step([Answer(answer)])
    assert reward == pytest.approx(1.0)
    stages = [q["evidence"]["kept"] for q in last["metrics"]["questions"] if q["num_evidence"]]
    assert stages
    assert set(stages) == {1.0}


def test_a_reference_names_a_dataset_or_what_makes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("my_data")
    module.DATA = dataset(30)  # type: ignore[attr-defined]
    module.make = lambda: module.DATA  # type: ignore[attr-defined]
    module.other = 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_data", module)
    for name in ("DATA", "make"):
        env: Any = gym.make("AtomMem-Custom-v0", source=f"my_data:{name}", **SMALL).unwrapped
        assert env.dataset is module.DATA
    with pytest.raises(ValueError, match="expected a QADataset or a function that returns one"):
        gym.make("AtomMem-Custom-v0", source="my_data:other", **SMALL)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs your data"):
        gym.make("AtomMem-Custom-v0")
    with pytest.raises(FileNotFoundError, match="no such file"):
        gym.make("AtomMem-Custom-v0", source="nowhere.json")
    with pytest.raises(ValueError, match="row 1 is of another kind than the first"):
        gym.make(
            "AtomMem-Custom-v0", source=write(tmp_path / "a.json", [records(1)[0], chats(1)[0]]), **SMALL
        )
    with pytest.raises(ValueError, match=r"b.json: row 0: field 'sessions' has no turn"):
        gym.make("AtomMem-Custom-v0", source=write(tmp_path / "b.json", [{"sessions": []}]))
    with pytest.raises(ValueError, match="num_docs=20: a history is read whole"):
        gym.make("AtomMem-Custom-v0", source=QADataset.from_histories(chats(2)), num_docs=20)
    with pytest.raises(ValueError, match="split='train': the dataset's split is 'validation'"):
        gym.make("AtomMem-Custom-v0", source=dataset(30), split="train", **SMALL)


def test_the_command_line_takes_the_arguments_of_records_and_of_histories() -> None:
    known = env_arguments(gym.spec("AtomMem-Custom-v0"))
    given = {"source": "chats.json", "num_questions": 50, "chunk_by": "document", "isolate_questions": "no"}
    assert check_arguments("AtomMem-Custom-v0", given, known) == {**given, "isolate_questions": False}
    unset = {"num_docs": None, "num_questions": None, "chunk_by": None, "reward": None}
    env: Any = gym.make("AtomMem-Custom-v0", source=QADataset.from_histories(chats(2)), **unset).unwrapped
    assert (env.config.num_questions, env.config.chunk_by, env.config.reward) == (None, "document", "f1")
    env = gym.make("AtomMem-Custom-v0", source=dataset(), **{**unset, "num_docs": 20}).unwrapped
    assert (env.config.num_questions, env.config.chunk_by, env.config.reward) == ((1, 10), "tokens", "em")


def test_the_chats_of_the_page_about_histories_are_read_and_answered(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "histories.md"
    if not page.is_file():
        pytest.skip("the tests stand without the pages")
    text = page.read_text(encoding="utf-8").partition("```json\n")[2].partition("```")[0]
    env = gym.make("AtomMem-Custom-v0", source=write(tmp_path / "chats.json", json.loads(text)))
    metrics = rollout(env, make_policy("rag", engine="rules"), options={"task_index": 0}).metrics
    assert [question["prediction"] for question in metrics["questions"]] == [
        "the week before 8 May 2023",
        "Hull",
        "No information available",
    ]
    assert metrics["f1"] == 1.0
