"""The viewer's data: the memory can be made again from it, and it says where each unit of evidence went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import gymnasium as gym
import pytest

from atommem_env import Answer, Create, Delete, MemoryEnv, QADataset, Read, Trace, Update, rollout
from atommem_env.baselines import make_policy
from atommem_env.evidence import STAGES
from atommem_env.viewer.evidence import Event, EvidenceHistory
from atommem_env.viewer.steps import episode_data, task_data
from small_data import dataset, records

SMALL = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 150, "chunk_overlap": 10}

Act = Callable[[dict[str, Any], int], list[Any]]


class Scripted:
    """Reads on until all evidence was shown, then does what a function of the observation and the step says.

    The step counts from 1 at the observation that shows the last of the evidence, ``late`` steps into the episode.
    """

    def __init__(self, act: Act, late: int | None = None) -> None:
        self._act = act
        self._late = late

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        self.step = 0
        units = [unit for answer in info["gold"] for unit in answer["evidence"]]
        self.gold = [unit["sentence"] for unit in units]
        last = max(chunk for unit in units for chunk in unit["chunks"])
        self.late = last if self._late is None else self._late

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Any]:
        self.step += 1
        return self._act(observation, self.step - self.late) if self.step > self.late else []


def run(policy: Any, room: int = 1, **arguments: Any) -> tuple[Trace, MemoryEnv]:
    """Run a task that shows its last evidence ``room`` chunks before the last or earlier."""
    env = gym.make("AtomMem-Custom-v0", **{"source": dataset(), **SMALL, **arguments})
    inner = env.unwrapped
    assert isinstance(inner, MemoryEnv)
    for index in range(inner.num_tasks):
        observation, info = env.reset(options={"task_index": index})
        shown = [chunk for answer in info["gold"] for unit in answer["evidence"] for chunk in unit["chunks"]]
        if observation["num_chunks"] - max(shown) >= room:
            break
    return rollout(env, policy, options={"task_index": index}), inner


def history(trace: Trace, env: MemoryEnv) -> EvidenceHistory:
    return EvidenceHistory(trace, env.task, env.dataset.word_shares)


def kinds(events: Sequence[Event]) -> list[tuple[str, int]]:
    return [(event.kind, event.step) for event in events]


def utf16(text: str, start: int, length: int) -> str:
    """What JavaScript's ``text.slice(start, start + length)`` is."""
    return text.encode("utf-16-le")[2 * start : 2 * (start + length)].decode("utf-16-le")


def final_memory(data: dict[str, Any], text: str) -> dict[int, str]:
    """The memory that the page makes of an episode, the scratchpad under 0."""
    contents: dict[int, str] = {}
    for operation in (operation for step in data["steps"] for operation in step["action"]):
        if "refused" in operation or operation["op"] in ("read", "answer"):
            continue
        contents.pop(operation.get("evicted"), None)
        if operation["op"] == "delete":
            contents.pop(operation["id"], None)
        else:
            content = operation["content"]
            contents[operation["id"]] = content if isinstance(content, str) else utf16(text, *content)
    return contents


@pytest.mark.parametrize("name", ["random", "rag", "memagent", "write-everything", "oracle", "closed-book"])
@pytest.mark.parametrize("arguments", [{}, {"capacity": 3, "overflow": "evict_oldest"}, {"max_steps": 4}])
def test_stages_reached_in_the_history_are_those_of_the_metrics(name: str, arguments: dict[str, Any]) -> None:
    for index in range(3):
        env = gym.make("AtomMem-Custom-v0", source=dataset(), **{**SMALL, "num_questions": 3, **arguments})
        trace = rollout(env, make_policy(name), options={"task_index": index})
        task = env.unwrapped.task  # type: ignore[attr-defined]
        found = EvidenceHistory(trace, task, env.unwrapped.dataset.word_shares)  # type: ignore[attr-defined]
        for number, question in enumerate(trace.metrics["questions"]):
            units = [
                events
                for unit, events in zip(task.units, found.events, strict=True)
                if unit.question == number
            ]
            for stage in STAGES:
                reached = sum(any(event.kind == stage for event in events) for events in units)
                assert reached / len(units) == question["evidence"][stage]


@pytest.mark.parametrize("name", ["random", "rag", "memagent"])
def test_the_memory_is_made_again_from_operations_alone(name: str) -> None:
    trace, env = run(make_policy(name), capacity=5, overflow="evict_oldest", num_questions=3)
    memory = final_memory(episode_data(trace, env.task), env.task.text)
    state = env.get_state().episode
    assert state is not None
    assert {id: text for id, text in memory.items() if id} == state.store.entries
    assert memory.get(0, "") == state.store.scratchpad


def test_a_lost_unit_names_the_step_the_entry_and_the_operation() -> None:
    def act(observation: dict[str, Any], step: int) -> list[Any]:
        if observation["phase"] == 1:
            return [Answer("nothing")]
        if step == 1:
            return [Create("some other words"), Create(" ".join(policy.gold))]
        return [Update(1, "still other words"), Delete(2)] if step == 2 else []

    policy = Scripted(act)
    trace, env = run(policy, room=2)
    for events in history(trace, env).events:
        assert Event("written", policy.late + 1, 2, 1) in events
        assert Event("lost", policy.late + 2, 2, 1) in events
        assert "kept" not in dict(kinds(events))


def test_a_unit_pushed_out_was_lost_to_the_create_that_did_it() -> None:
    def act(observation: dict[str, Any], step: int) -> list[Any]:
        if observation["phase"] == 1:
            return [Answer("nothing")]
        return [Create(" ".join(policy.gold))] if step == 1 else [Create("others"), Create(f"words {step}")]

    policy = Scripted(act)
    trace, env = run(policy, room=2, capacity=2, overflow="evict_oldest")
    assert [event for event in history(trace, env).events[0] if event.kind == "lost"] == [
        Event("lost", policy.late + 2, 1, 1)
    ]


def test_a_unit_in_two_entries_is_lost_with_the_last_and_may_be_written_again() -> None:
    def act(observation: dict[str, Any], step: int) -> list[Any]:
        if observation["phase"] == 1:
            return [Answer("nothing")]
        gold = " ".join(policy.gold)
        actions = {1: [Create(gold), Create(gold)], 2: [Delete(1)], 3: [Delete(2)], 4: [Update(0, gold)]}
        return actions.get(step, [])

    policy = Scripted(act)
    trace, env = run(policy, room=4, chunk_tokens=60)
    asked = len(env.task.chunks) + 1
    events = [event for event in history(trace, env).events[0] if event.kind != "seen"]
    assert kinds(events) == [
        ("written", policy.late + 1),
        ("lost", policy.late + 3),
        ("written", policy.late + 4),
        ("kept", asked),
        ("read", asked),
    ]
    assert events[-1].id == 0


def test_an_early_answer_asks_at_its_own_step() -> None:
    def act(observation: dict[str, Any], step: int) -> list[Any]:
        return [Update(0, " ".join(policy.gold))] if step == 1 else [Answer("nothing")]

    policy = Scripted(act)
    trace, env = run(policy, room=2, early_answer=True, chunk_tokens=60)
    assert ("read", policy.late + 2) in kinds(history(trace, env).events[0])


def test_an_entry_says_which_units_it_holds_whenever_that_changes() -> None:
    def act(observation: dict[str, Any], step: int) -> list[Any]:
        if observation["phase"] == 1:
            return [Answer("nothing")]
        return [Update(0, policy.gold[0])] if step == 1 else [Update(0, policy.gold[0] + " Also this.")]

    policy = Scripted(act)
    trace, env = run(policy)
    assert history(trace, env).holds == [(policy.late + 1, 0, [0])]


def test_contents_copied_from_the_text_are_references_also_beyond_the_basic_plane() -> None:
    made = records(12)
    for record in made:
        for document in record["documents"]:
            document["text"] = f"\U0001f40c {document['text']} \U0001f40c"
    trace, env = run(make_policy("rag"), source=QADataset.from_records(made))
    data = episode_data(trace, env.task)
    contents = [
        operation["content"]
        for step in data["steps"]
        for operation in step["action"]
        if operation["op"] == "create"
    ]
    assert contents
    assert all(isinstance(content, list) for content in contents)
    task = task_data(env.task)
    assert final_memory(data, task["text"]) == env.get_state().episode.store.entries  # type: ignore[union-attr]
    for (_, _, start, end, _), unit in zip(task["units"], env.task.units, strict=True):
        assert utf16(task["text"], start, end - start) == env.task.unit_text(unit)
    for (start, end, _), number in zip(task["chunks"], range(99), strict=False):
        assert utf16(task["text"], start, end - start) == env.task.chunk(number)


def test_a_refused_operation_keeps_what_it_wanted_and_says_why() -> None:
    def act(observation: dict[str, Any], step: int) -> list[Any]:
        return [Update(9, "no such entry"), {"op": "create"}, Answer("now")]

    trace, env = run(Scripted(act, late=0), max_steps=1)
    assert episode_data(trace, env.task)["steps"][0]["action"] == [
        {"op": "update", "id": 9, "content": "no such entry", "refused": "unknown_id"},
        {"op": "create", "refused": "malformed"},
        {"op": "answer", "content": "now", "refused": "wrong_phase"},
    ]


def test_queries_and_hits_are_given_where_they_change() -> None:
    def act(observation: dict[str, Any], step: int) -> list[Any]:
        if observation["phase"] == 1:
            return [Answer("nothing")]
        return [Create("a harbour in the north"), Read("harbour")] if step == 1 else []

    trace, env = run(Scripted(act, late=0), chunk_tokens=60)
    steps = episode_data(trace, env.task)["steps"]
    assert [number for number, step in enumerate(steps, 1) if "queries" in step] == [2]
    assert steps[1]["queries"] == ["harbour"]
    assert [row[0] for row in steps[1]["retrieved"]] == [1]


def test_without_evidence_the_data_say_nothing_of_it() -> None:
    trace, env = run(make_policy("rag"))
    data = episode_data(trace, env.task, evidence=False)
    assert data["events"] is None
    assert data["holds"] == []


class Isolated:
    """A policy that writes the gold down, and changes its memory while it is asked."""

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        self.gold = [unit["sentence"] for answer in info["gold"] for unit in answer["evidence"]]
        self.looked = -1

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Any]:
        if observation["phase"] == 0:
            last = observation["cursor"] == observation["num_chunks"] - 1
            return [Create(" ".join(self.gold))] if last else []
        if self.looked != observation["cursor"]:
            self.looked = observation["cursor"]
            return [Delete(1)]
        return [Answer("nothing")]


def test_where_questions_are_isolated_each_begins_with_the_memory_of_reading() -> None:
    trace, env = run(Isolated(), num_questions=2)
    rules = replace(trace.infos[0]["rules"], isolate_questions=True)
    trace.infos[0]["rules"] = rules
    made = EvidenceHistory(trace, env.task, None)
    second = [events for events, unit in zip(made.events, env.task.units, strict=True) if unit.question == 1]
    asked = next(
        n for n, seen in enumerate(trace.observations, 1) if seen["phase"] == 1 and seen["cursor"] == 1
    )
    assert second
    for events in second:  # the first question's Delete is not there when the second is asked
        assert ("kept", asked) in [(event.kind, event.step) for event in events]
    assert episode_data(trace, env.task)["isolated"] is True
