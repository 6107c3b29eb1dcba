"""MemoryAgentBench's rows: lists of facts and what replaces what, other texts, subsets, hops and lengths."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from atommem_env import Answer, evaluate, rollout
from atommem_env.baselines import make_policy
from atommem_env.core.config import HistoryConfig
from atommem_env.data.sources import open_dataset
from atommem_env.env import history_tasks
from atommem_env.envs.memoryagentbench import MEMORYAGENTBENCH, MemoryAgentBenchRows, memoryagentbench
from atommem_env.evidence import mean_share
from atommem_env.report.summary import summarise
from atommem_env.report.tables import table
from atommem_env.tasks.documents import split_documents
from atommem_env.tasks.history import HistoryTasks

FACTS = """Here is a list of facts:
0. The author of Grey Hills is Ilse Marn.
1. Karo Bridge is located in the city of Velden.
2. Otto Lenz was born in the city of Ulm.
3. The author of Grey Hills is Otto Lenz Jr..
4. The author of Red Hills is Otto Lenz Jr..
5. Otto Lenz was born in the city of Velden.
6. The author of Grey Hills is Otto Lenz Jr..
"""


def row(source: str = "factconsolidation_sh_6k", **changes: Any) -> dict[str, Any]:
    asked = {
        "Who is the author of Grey Hills?": ["Otto Lenz Jr."],
        "Which city is Karo Bridge located in?": ["velden"],
        "Where was Otto Lenz born?": ["Ulm"],
        "Which sport is rowing?": ["Judo"],
    }
    metadata = {"source": source, "qa_pair_ids": [f"{source}_no{number}" for number in range(4)]}
    return {
        "context": FACTS,
        "questions": list(asked),
        "answers": list(asked.values()),
        "metadata": metadata,
        **changes,
    }


def test_the_last_fact_that_answers_is_the_evidence_and_replaces_those_of_its_key() -> None:
    history = MemoryAgentBenchRows()(row())
    units = [[(unit.turn - 1, unit.role) for unit in question.evidence] for question in history.questions]
    # Fact 3 says what fact 6 says, so that it is neither replaced nor replaces; Otto Lenz's birth is told again later.
    assert units == [[(6, "supporting"), (0, "superseded")], [(1, "supporting")], [], []]
    assert history.malformed == 2
    assert [question.type.removeprefix("factconsolidation_sh_6k") for question in history.questions] == [
        "_conflicted",
        "_unconflicted",
        "_conflicted",
        "",
    ]
    assert history.questions[0].id == "factconsolidation_sh_6k_no0"


def test_questions_of_several_hops_have_no_evidence_and_share_the_unit_of_resampling() -> None:
    history = MemoryAgentBenchRows()(row("factconsolidation_mh_6k"))
    assert not any(question.evidence for question in history.questions)
    assert history.malformed == 0
    assert history.shared == MemoryAgentBenchRows()(row()).shared == "factconsolidation_6k"
    assert history.id != MemoryAgentBenchRows()(row()).id


def test_another_text_has_its_paragraphs_as_turns_and_a_long_one_its_sentences() -> None:
    long = "The mill stood still. " * 600
    history = MemoryAgentBenchRows()(row("eventqa_full", context=f"One\nline.\n\n\nTwo.\n\n{long}"))
    turns = [turn.text for turn in history.sessions[0].turns]
    assert turns[:2] == ["One\nline.", "Two."]
    assert turns[2:] == ["The mill stood still."] * 600
    assert history.questions[0].type == "eventqa_full"


def write(path: Path) -> Path:
    sources = [f"factconsolidation_{hop}_{length}" for hop in ("sh", "mh") for length in ("6k", "32k")]
    path.write_text(json.dumps([row(source) for source in sources]))
    return path


def tasks_of(file: Path, hop: str | None = None) -> HistoryTasks:
    return history_tasks(open_dataset(memoryagentbench(hop), file, "test"), HistoryConfig.of({}), "")


def test_hop_and_length_choose_lists_and_the_source_says_so(tmp_path: Path) -> None:
    file = write(tmp_path / "Conflict_Resolution.json")
    assert open_dataset(MEMORYAGENTBENCH, tmp_path, "test").num_questions == 16
    chosen = open_dataset(memoryagentbench("single", "6k"), file, "test")
    assert chosen.num_questions == 4
    assert "[hop=single,length=6k]" in chosen.source
    env: Any = gym.make("AtomMem-MemoryAgentBench-v0", source=file, hop="multi").unwrapped
    assert env.num_tasks == 2
    with pytest.raises(ValueError, match="subset='test_time_learning' but the file's name says otherwise"):
        gym.make("AtomMem-MemoryAgentBench-v0", source=file, subset="test_time_learning")
    with pytest.raises(ValueError, match="length"):
        gym.make("AtomMem-MemoryAgentBench-v0", source=file, length="7k")


def test_chunks_end_where_facts_end_and_tasks_of_one_text_are_one_unit(tmp_path: Path) -> None:
    env: Any = gym.make(
        "AtomMem-MemoryAgentBench-v0", source=write(tmp_path / "conflict_resolution.json"), chunk_tokens=40
    )
    observation, _ = env.reset(options={"task_index": 0})
    read = []
    while observation["phase"] == 0:
        (document,) = split_documents(observation["chunk"])
        read += [turn.text.removesuffix("\n") for turn in document.turns]
        observation, *_ = env.step([])
    assert read == FACTS.splitlines()
    tasks = tasks_of(tmp_path / "conflict_resolution.json")
    assert {tasks.build(index).history for index in range(4)} == {
        "factconsolidation_6k",
        "factconsolidation_32k",
    }


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"answers": [["x"]]}, "4 questions and 1 answers"),
        ({"context": "no fact"}, "a list of numbered facts"),
        ({"metadata": {}}, "field 'source' is missing"),
    ],
)
def test_what_is_wrong_in_a_row_is_said(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        MemoryAgentBenchRows()(row(**changes))


def test_the_samples_facts_conflict_as_often_as_was_counted(samples: Path) -> None:
    file = samples / "memoryagentbench_conflict_resolution.sample.json.gz"
    tasks, found = tasks_of(file, "single"), {}
    for index in range(2):
        task = tasks.build(index)
        replaced = {unit.question for unit in task.units if unit.role == "superseded"}
        found[task.history] = len(replaced), len({unit.question for unit in task.units})
    assert found == {"factconsolidation_6k": (74, 100), "factconsolidation_64k": (64, 98)}


def test_the_reward_is_the_benchmarks_own_score_where_no_question_needs_a_judge(tmp_path: Path) -> None:
    made = {}
    for source in ("factconsolidation_sh_6k", "infbench_sum_eng", "eventqa_full"):
        (file := tmp_path / f"{source}.json").write_text(json.dumps([row(source)]))
        made[source] = gym.make("AtomMem-MemoryAgentBench-v0", source=file).unwrapped.config.reward  # type: ignore[attr-defined]
    assert made == {
        "factconsolidation_sh_6k": "official",
        "infbench_sum_eng": "f1",
        "eventqa_full": "official",
    }
    assert gym.make("AtomMem-MemoryAgentBench-v0", source=file, reward="em").unwrapped.config.reward == "em"  # type: ignore[attr-defined]


class Says:
    """Answers every question with one text."""

    def reset(self, observation: Any, info: Any) -> None:
        pass

    def act(self, observation: Any, info: Any) -> list[Answer]:
        return [Answer("Velden, or otto lenz jr.")] if observation["phase"] else []


def test_eventqas_recall_is_a_column_of_its_own(tmp_path: Path) -> None:
    asked = {"Who?": ["Otto Lenz Jr.", "Velden"], "Where?": ["Velden"], "What?": ["Velden", "Ulm"]}
    rows = [
        row("eventqa_full", questions=list(asked), answers=list(asked.values())),
        row(),
    ]
    (file := tmp_path / "accurate_retrieval.json").write_text(json.dumps(rows))
    env = "AtomMem-MemoryAgentBench-v0"
    run = evaluate(env, {"says": Says}, episodes=2, out=tmp_path / "run", source=file)
    (shown,) = summarise([run])
    assert shown.scores["event_recall"].mean == pytest.approx(2 / 3)  # both answers; one; one of two
    assert shown.scores["official"].mean == pytest.approx((1 + 2 / 4) / 2)  # one of the answers is enough
    page = table([run], "markdown")
    assert "event recall" in page
    assert "all answers are in the reply" in page


@pytest.mark.parametrize(("source", "said"), [("recsys_redial_full", True), ("eventqa_full", False)])
def test_a_source_whose_score_needs_another_file_says_so(tmp_path: Path, source: str, said: bool) -> None:
    (file := tmp_path / "test_time_learning.json").write_text(json.dumps([row(source)]))
    data = open_dataset(MEMORYAGENTBENCH, file, "test", variant="test_time_learning")
    assert (" without entity2id.json#" in data.source) is said
    assert pickle.loads(pickle.dumps(data)).source == data.source


def test_a_summarys_key_points_are_its_rubric() -> None:
    history = MemoryAgentBenchRows()(row(metadata={"source": "infbench_sum_eng", "keypoints": ["a", "b"]}))
    assert {question.rubric for question in history.questions} == {("a", "b")}
    assert not any(question.rubric for question in MemoryAgentBenchRows()(row()).questions)


def test_the_worlds_facts_stand_in_for_the_lists_and_for_nothing_else() -> None:
    env: Any = gym.make(
        "AtomMem-MemoryAgentBench-v0", source="generated", hop="single", length="6k"
    ).unwrapped
    _, info = env.reset(options={"task_index": 0})
    assert info["source"].startswith("generated:world(seed=0)[hop=single,length=6k]")
    facts = env.task.text.splitlines()
    assert 455 <= len(facts) <= 520
    assert facts[2].startswith("0. ")
    replaced = {unit.question for unit in env.task.units if unit.role == "superseded"}
    assert 25 <= len(replaced) <= 50
    assert len({unit.question for unit in env.task.units}) == len(env.task.questions) == 100
    metrics = {
        name: rollout(env, make_policy(name), options={"task_index": 0}).metrics for name in ("rag", "merge")
    }
    assert metrics["merge"]["official"] == 1.0
    rag, merge = (mean_share(metrics[name], "stale_read") or 0.0 for name in ("rag", "merge"))
    assert merge < rag / 4
    with pytest.raises(ValueError, match="cannot write MemoryAgentBench's subset 'accurate_retrieval'"):
        gym.make("AtomMem-MemoryAgentBench-v0", source="generated", subset="accurate_retrieval")
