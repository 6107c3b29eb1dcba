"""The workflows in the environment: what they keep, what they score, and that every episode ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import atommem_env  # noqa: F401  (registers the environments)
from atommem_env.baselines import make_policy
from atommem_env.data.dataset import QADataset
from atommem_env.policies import Trace, rollout
from atommem_env.registration import POLICIES
from scripted import named
from small_data import dataset


def make(**changes: Any) -> gym.Env[Any, Any]:
    arguments = {"num_docs": 40, "num_questions": 3, "chunk_tokens": 160, "chunk_overlap": 20, **changes}
    return gym.make("AtomMem-Custom-v0", source=dataset(), **arguments)


def run(name: str, **changes: Any) -> Trace:
    return rollout(make(**changes), named(name), options={"task_index": 1})


def shares(trace: Trace, stage: str) -> list[float]:
    return [question["evidence"][stage] for question in trace.metrics["questions"]]


@pytest.mark.heavy
@pytest.mark.parametrize("name", sorted(POLICIES))
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"capacity": 2},
        {"capacity": 2, "overflow": "evict_oldest"},
        {"max_looks": 0},
        {"entry_tokens": 10, "scratchpad_tokens": 10},
        {"storage": False},
        {"scratchpad": False},
        {"operations": ("create", "answer")},
        {"early_answer": True},
    ],
    ids=str,
)
def test_every_episode_ends_under_every_switch(name: str, changes: dict[str, Any]) -> None:
    trace = run(name, **changes)
    assert trace.terminated
    assert all(question["prediction"] for question in trace.metrics["questions"] if not question["forfeited"])
    if name != "random":
        assert not any(question["forfeited"] for question in trace.metrics["questions"])


@pytest.mark.parametrize("name", ["oracle", "rag"])
def test_storing_the_documents_keeps_all_evidence(name: str) -> None:
    trace = run(name)
    assert shares(trace, "written") == [1.0] * 3
    assert shares(trace, "kept") == [1.0] * 3


def films() -> QADataset:
    """Return questions that the rules engine can answer from two documents each."""
    makers = ("Tove Lind", "Hugh Marlow", "Ira Stone", "Clara Wren", "Olaf Berg", "Eva Falk")
    works = ("Glass Harbour", "Red Orchard", "Tin Meadow", "Salt Lantern", "Grey Violin", "Paper Comet")
    return QADataset.from_records(
        {
            "question": f"When was the director of film {work} born?",
            "answer": f"{day} May 1902",
            "documents": [
                {"title": work, "text": f"{work} is a drama film directed by {maker} and shot in one week."},
                {
                    "title": maker,
                    "text": f"{maker} (born {day} May 1902) is a director. {maker} lives alone.",
                },
            ],
            "supporting": [0, 1],
        }
        for day, (maker, work) in enumerate(zip(makers, works, strict=True), 10)
    )


@pytest.mark.parametrize("name", ["oracle", "rag", "write-everything", "memagent"])
def test_what_is_kept_and_found_is_answered(name: str) -> None:
    env = gym.make(
        "AtomMem-Custom-v0",
        source=films(),
        num_docs=12,
        num_questions=3,
        chunk_tokens=80,
        chunk_overlap=20,
        top_k=12,
    )
    assert rollout(env, named(name), options={"task_index": 0}).metrics["em"] == 1.0


def test_rag_stores_every_document_verbatim() -> None:
    env = make()
    trace = rollout(env, named("rag"), options={"task_index": 1})
    assert trace.metrics["memory_size"] == 40
    created = {
        operation["content"]
        for action in trace.actions
        for operation in action
        if operation["op"] == "create"
    }  # type: ignore[index]
    gold = {
        f"{unit['title']}\n{unit['text']}"
        for question in trace.infos[0]["gold"]
        for unit in question["evidence"]
    }
    assert gold <= created


@pytest.mark.parametrize("name", ["rag", "keep-best", "oracle", "memory-bank", "mem1", "generative-agents"])
def test_a_document_over_the_limit_of_an_entry_is_stored_in_parts(name: str) -> None:
    trace = run(name, entry_tokens=30)
    assert trace.metrics["refused"]["too_long"] == 0
    assert shares(trace, "written") == [1.0] * 3


def test_a_mem_leaves_room_for_what_a_note_adds() -> None:
    sizes = [run("a-mem", entry_tokens=limit).metrics["operations"]["create"] for limit in (400, 32)]
    assert sizes[0] == 40 < sizes[1]


def test_oracle_may_store_the_sentences_of_evidence_alone() -> None:
    trace = rollout(make(), make_policy("oracle", engine="rules", unit="sentence"), options={"task_index": 1})
    written = [item["content"] for action in trace.actions for item in action if item["op"] == "create"]
    units = [unit for question in trace.infos[0]["gold"] for unit in question["evidence"]]
    assert written
    assert set(written) == {f"{unit['title']}\n{unit['sentence']}" for unit in units}
    assert trace.metrics["questions"][0]["evidence"]["kept"] == 1.0


def test_oracle_stores_the_gold_and_nothing_else() -> None:
    trace = run("oracle")
    created = [
        operation["content"]
        for action in trace.actions
        for operation in action
        if operation["op"] == "create"
    ]  # type: ignore[index]
    gold = {
        f"{unit['title']}\n{unit['text']}"
        for question in trace.infos[0]["gold"]
        for unit in question["evidence"]
    }
    assert sorted(created) == sorted(gold)


def test_those_that_write_nothing_keep_nothing_and_score_the_same() -> None:
    closed, nothing = run("closed-book"), run("write-nothing")
    assert shares(closed, "written") == shares(nothing, "written") == [0.0] * 3
    assert closed.metrics["em"] == nothing.metrics["em"] == 0.0


def test_memagent_writes_the_scratchpad_alone() -> None:
    trace = run("memagent")
    assert trace.metrics["memory_peak"] == 0
    assert trace.metrics["operations"]["update"] > 0
    assert trace.metrics["looks"] == 0
    assert max(shares(trace, "kept")) > 0


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_an_episode_is_the_same_whatever_ran_before_it(name: str) -> None:
    env, policy = make(), named(name)
    rollout(env, policy, options={"task_index": 0})
    again = rollout(env, policy, options={"task_index": 1})
    assert again.actions == run(name).actions


@pytest.mark.parametrize("name", sorted(set(POLICIES) - {"random", "abstain", "vague"}))
def test_costs_are_those_of_the_last_episode(name: str) -> None:
    arguments = {"capacity": 5, "entry_tokens": 30, "scratchpad_tokens": 30}
    policy = named(name)
    rollout(make(), policy, options={"task_index": 0})
    rollout(make(**arguments), policy, options={"task_index": 1})
    alone = named(name)
    rollout(make(**arguments), alone, options={"task_index": 1})
    assert policy.costs() == alone.costs()
    assert policy.costs()["calls"] >= 3  # one for each question at least


def test_rag_answers_questions_of_a_real_sample(samples: Path) -> None:
    env = gym.make(
        "AtomMem-2WikiMultihopQA-v0",
        source=str(samples / "2wikimultihopqa_train.sample.json.gz"),
        split="train",
    )
    closed, rag = (
        [rollout(env, named(name), options={"task_index": index}).metrics for index in range(3)]
        for name in ("closed-book", "rag")
    )
    assert sum(metrics["em"] for metrics in rag) > sum(metrics["em"] for metrics in closed)
    assert all(question["evidence"]["kept"] == 1.0 for metrics in rag for question in metrics["questions"])
