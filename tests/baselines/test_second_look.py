"""A second look around any policy: what it asks for, what it notes, and what the policy is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.baselines.full_store import KeepBestRule
from atommem_env.baselines.second_look import SecondLook
from atommem_env.core.operations import Answer, Create, Delete, Operation, Read, Update
from atommem_env.policies import Trace
from scripted import named, operations, play

RIVER = "Nidra\nThe Nidra is a river that flows through Port Ilva."
TOWN = "Port Ilva\nIt has 300 people."


class Scripted:
    """Writes as it is told at the first chunk; asks as it is told; answers with what is shown."""

    uses_buffer = False
    engine_name = "none"

    def __init__(self, writes: Sequence[Operation], query: str | None = "Nidra") -> None:
        self.writes, self.query = list(writes), query

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        self.begun, self.asked, self.told = False, -1, []

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Any]:
        self.told.append([(result["op"], result["ok"]) for result in observation["results"]])
        if not observation["phase"]:
            first, self.begun = not self.begun, True
            return self.writes if first else []
        if self.query is not None and self.asked != observation["cursor"]:
            self.asked = observation["cursor"]
            return [Read(self.query, 1)]
        return [Answer(" / ".join(entry["content"] for entry in observation["retrieved"]))]


def answers(trace: Trace) -> list[str]:
    return [operation["content"] for operation in operations(trace, "answer")]


def looks(trace: Trace) -> list[list[str]]:
    return [
        [item["query"] for item in action] for action in trace.actions if action and action[0]["op"] == "read"
    ]


def test_it_asks_for_the_entry_that_the_one_shown_mentions() -> None:
    policy = Scripted([Create(RIVER), Create(TOWN), Create("Ilva Cup\nA race on the Nidra.")])
    trace = play(SecondLook(policy), num_questions=1)
    assert looks(trace) == [["Nidra"], ["Nidra", "Port Ilva"]]
    assert RIVER in answers(trace)[0]
    assert TOWN in answers(trace)[0]


def test_the_policy_is_told_that_its_answer_was_not_taken() -> None:
    policy = Scripted([Create(RIVER), Create(TOWN)])
    play(SecondLook(policy), num_questions=1)
    assert policy.told[-1] == [("answer", False)]


@pytest.mark.parametrize(
    ("writes", "query", "what"),
    [
        ([Create(RIVER)], "Nidra", "nothing else is stored"),
        (
            [Create(RIVER), Create("Nidra (bridge)\nIt crosses.")],
            "Nidra",
            "an entry's own name leads nowhere new",
        ),
        ([Create("Nidra\nIt flows."), Create(TOWN)], "Nidra", "nothing is mentioned"),
        ([Create(RIVER), Create(TOWN), Delete(2)], "Nidra", "the entry is gone"),
        (
            [Create(RIVER), Create(TOWN), Update(2, "Port Elva\nIt has 300.")],
            "Nidra",
            "it has another title now",
        ),
        ([Create(RIVER), Create(TOWN)], None, "nothing is shown"),
    ],
)
def test_there_is_no_second_look_where_it_would_show_nothing_new(
    writes: list[Operation], query: str | None, what: str
) -> None:
    plain, twice = Scripted(writes, query), SecondLook(Scripted(writes, query))
    assert play(twice, num_questions=1).actions == play(plain, num_questions=1).actions, what


def test_a_new_title_is_found() -> None:
    writes = [Create(RIVER), Create("Old town\nIt has 300."), Update(2, TOWN)]
    assert looks(play(SecondLook(Scripted(writes)), num_questions=1))[1] == ["Nidra", "Port Ilva"]


def test_a_refused_update_changes_no_title() -> None:
    writes = [Create(RIVER), Create(TOWN), Update(2, "x " * 500)]
    trace = play(SecondLook(Scripted(writes)), num_questions=1, entry_tokens=60)
    assert looks(trace)[1] == ["Nidra", "Port Ilva"]


def test_without_looks_nothing_changes() -> None:
    writes = [Create(RIVER), Create(TOWN)]
    trace = play(SecondLook(Scripted(writes)), num_questions=1, max_looks=1)
    assert looks(trace) == [["Nidra"]]


@pytest.mark.parametrize(
    "name", ["rag", "keep-best", "mem0", "a-mem", "memory-bank", "memgpt", "learned", "oracle"]
)
def test_every_policy_takes_it_and_the_rule_for_a_full_store(name: str) -> None:
    changes = {"num_docs": 30, "num_questions": 4, "capacity": 6}
    policy = named(name, full_store="keep-best", second_look="bridge")
    assert isinstance(policy, KeepBestRule)
    assert isinstance(policy.policy, SecondLook)
    trace = play(policy, **changes)
    assert len(answers(trace)) == 4
    assert trace.metrics["looks"] >= play(named(name, full_store="keep-best"), **changes).metrics["looks"]


def test_what_it_shows_is_never_less() -> None:
    changes = {"num_docs": 30, "num_questions": 4}
    read = []
    for look in (None, "bridge"):
        metrics = play(make_policy("rag", second_look=look), **changes).metrics
        read.append([question["evidence"]["read"] for question in metrics["questions"]])
    assert all(more >= less for less, more in zip(*read, strict=True))


def test_an_unknown_look_is_named() -> None:
    with pytest.raises(ValueError, match="second_look"):
        make_policy("rag", second_look="third")
