"""Keep-best's rule for a full store, around any policy: what makes room for what, and what the policy is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.baselines import make_policy
from atommem_env.baselines.full_store import KeepBestRule
from atommem_env.baselines.keep_best import Relevance
from atommem_env.core.ledger import Ledger
from atommem_env.core.operations import Answer, Create, Delete, Read, Update, kind_of
from atommem_env.core.rules import Rules
from atommem_env.policies import Trace
from scripted import make_env, named, operations, play

STORING = ("rag", "mem0", "a-mem", "memory-bank", "generative-agents")
TIGHT = {"capacity": 4, "num_docs": 30}


class Scripted:
    """Does as it is told while reading, and follows its entries by what it is told of them."""

    uses_buffer = True
    engine_name = "none"

    def __init__(self, actions: Sequence[Sequence[Any]]) -> None:
        self.actions = actions

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        self.waiting = iter(self.actions)
        self.ledger: Ledger[bool] = Ledger()
        self.sent = 0

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Sequence[Any]:
        assert len(observation["results"]) == self.sent
        self.ledger.follow(observation)
        action = [Answer("so")] if observation["phase"] else next(self.waiting, [])
        self.ledger.expect([True for item in action if kind_of(item) == "create"])
        self.sent = len(action)
        return action


def held(trace: Trace) -> dict[int, str]:
    """Return the entries at the end of an episode without Updates, by what it was told."""
    entries: dict[int, str] = {}
    for action, info in zip(trace.actions, trace.infos[1:], strict=True):
        for item, result in zip(action, info["results"], strict=True):
            entries.pop(result.evicted, None)
            if result.op == "delete":
                entries.pop(result.id, None)
            elif result.op == "create" and result.ok:
                entries[result.id] = item["content"]  # type: ignore[index]
    return entries


def test_rag_with_the_rule_holds_what_keep_best_holds() -> None:
    ruled = play(make_policy("rag", full_store="keep-best"), **TIGHT)
    best = play(make_policy("keep-best"), **TIGHT)
    assert sorted(held(ruled).values()) == sorted(held(best).values())
    assert len(held(ruled)) == 4


@pytest.mark.parametrize("name", STORING)
def test_what_is_held_fits_the_questions_no_worse_than_under_refusal(name: str) -> None:
    ruled, refused = (play(named(name, full_store=rule), **TIGHT) for rule in ("keep-best", None))
    relevance = Relevance(ruled.observations[0]["questions"])
    worth = []
    for trace in (ruled, refused):
        shown = [relevance.count(text) for text in held(trace).values()]
        worth.append([relevance.score(profile) for profile in shown])
    assert sum(worth[0]) >= sum(worth[1]) - 1e-9
    assert ruled.metrics["memory_peak"] <= 4


def test_without_a_capacity_nothing_changes() -> None:
    assert play(make_policy("rag", full_store="keep-best")).actions == play(make_policy("rag")).actions


def question_of(trace: Trace) -> str:
    return str(trace.observations[0]["questions"][0])


GOOD = question_of(play(make_policy("closed-book")))


def act(*actions: Sequence[Any], **changes: Any) -> Trace:
    return play(KeepBestRule(Scripted(actions)), **{"capacity": 1, **changes})


def test_the_worst_entry_makes_room_for_a_better_content() -> None:
    trace = act([Create("nothing")], [Create(GOOD)])
    assert trace.actions[1] == [{"op": "delete", "id": 1}, {"op": "create", "content": GOOD}]
    assert held(trace) == {2: GOOD}


@pytest.mark.parametrize("content", ["nothing", " ", f"{GOOD} " * 20], ids=["worse", "blank", "too long"])
def test_what_is_worse_or_cannot_be_stored_makes_no_room(content: str) -> None:
    trace = act([Create("Some town")], [Create(content)], entry_tokens=60)
    assert operations(trace, "delete") == []
    assert held(trace) == {1: "Some town"}


def test_what_is_as_long_as_a_refused_content_makes_no_room() -> None:
    long = f"{GOOD} " * 20
    policy = KeepBestRule(Scripted([[Create(long)], [Create("nothing")], [Create(long)]]))
    env = make_env(capacity=1, entry_tokens=60)
    observation, info = env.reset(options={"task_index": 0})
    policy.reset(observation, {**info, "rules": Rules()})
    for _ in range(3):
        action = policy.act(observation, info)
        assert not any(isinstance(item, Delete) for item in action)
        observation, *_, info = env.step(action)


def test_an_updated_entry_is_scored_by_what_it_says_now() -> None:
    trace = act([Create("one"), Create("two")], [Update(2, GOOD)], [Create("Some town")], capacity=2)
    assert operations(trace, "delete") == [{"op": "delete", "id": 1}]


def test_the_policys_own_delete_makes_room_enough() -> None:
    trace = act([Create("nothing")], [Delete(1), Create(GOOD)])
    assert operations(trace, "delete") == [{"op": "delete", "id": 1}]


def test_it_passes_on_what_the_policy_says_of_itself() -> None:
    ruled = KeepBestRule(Scripted([]))
    assert (ruled.uses_buffer, ruled.engine_name, ruled.name, ruled.costs()) == (True, "none", None, {})
    made: Any = make_policy("mem0", full_store="keep-best", variant="code")
    assert (made.name, made.engine_name, made.uses_buffer) == ("mem0", "rules", False)
    play(made, **TIGHT)
    assert made.costs()["calls"] > 0


def test_an_unknown_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="full_store='best': expected None or 'keep-best'"):
        make_policy("rag", full_store="best")


TEXTS = st.lists(st.sampled_from([*GOOD.split(), "nothing", "more", "tea"]), max_size=8).map(" ".join)
IDS = st.integers(0, 8)
ITEMS = st.one_of(
    st.builds(Create, TEXTS),
    st.builds(Create, st.just(f"{GOOD} " * 20)),
    st.builds(Update, IDS, TEXTS),
    st.builds(Delete, IDS),
    st.just(Read("tea")),
    st.sampled_from([{"op": "create"}, {"op": "create", "content": "tea"}, 7]),
)

ENV = {capacity: make_env(capacity=capacity, entry_tokens=60) for capacity in (1, 2, 3)}


@given(st.lists(st.lists(ITEMS, max_size=6), max_size=3), st.integers(1, 3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_both_ledgers_hold_the_entries_that_exist(
    actions: list[list[Any]], capacity: int, told: bool
) -> None:
    env = ENV[capacity]
    inner = Scripted(actions)
    policy = KeepBestRule(inner)
    observation, info = env.reset(options={"task_index": 0})
    policy.reset(observation, info if told else {**info, "rules": Rules()})
    over = False
    while not over:
        action = policy.act(observation, info)
        assert list(policy._entries.records) == list(inner.ledger.records)
        assert len(inner.ledger.records) == observation["memory_size"] <= capacity
        observation, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
