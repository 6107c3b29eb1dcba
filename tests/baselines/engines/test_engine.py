"""Engines are found by name, anything that works like one is taken, and their calls are counted."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.baselines.engines.engine import Engine, get_engine
from atommem_env.baselines.engines.rules.rules import RulesEngine
from atommem_env.llm import ChatSettings
from atommem_env.registration import ENGINES


class Parrot:
    name = "parrot"

    def answer(self, question: str, passages: Sequence[str]) -> str:
        return question

    def compress(self, questions: Sequence[str], memory: str, chunk: str, budget_tokens: int) -> str:
        return chunk


class Metered(Parrot):
    """An engine that knows what it costs."""

    def reset_costs(self) -> None:
        self.tokens = 0

    def answer(self, question: str, passages: Sequence[str]) -> str:
        self.tokens += len(question)
        return question

    def costs(self) -> dict[str, int]:
        return {"calls": 1, "prompt_tokens": self.tokens}


def asked(policy: Any, times: int) -> Any:
    """Return ``policy`` after an episode in which its engine answered so many times."""
    policy.reset({}, {})
    for _ in range(times):
        policy.engine.answer("Who?", ())
    return policy


def test_the_rules_engine_is_made_by_name() -> None:
    engine = get_engine("rules")
    assert isinstance(engine, Engine)
    assert engine.name == "rules"


def test_settings_of_a_chat_endpoint_make_the_llm_engine() -> None:
    engine = get_engine(ChatSettings(model="m", base_url="http://localhost:1/v1"))
    assert isinstance(engine, Engine)
    assert type(engine).__name__ == "LLMEngine"


def test_the_engines_by_name() -> None:
    assert sorted(ENGINES) == ["auto", "llm", "local", "rules", "world"]


def test_an_instance_is_taken_as_it_is() -> None:
    parrot = Parrot()
    assert get_engine(parrot) is parrot


def test_an_unknown_name_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(
        ValueError,
        match=r"engine='rulez' is unknown; choose from \['auto', 'llm', 'local', 'rules', 'world'\]",
    ):
        get_engine("rulez")


def test_what_is_no_engine_is_an_error_that_says_what_one_has() -> None:
    with pytest.raises(ValueError, match="is not an engine: it needs name, answer"):
        get_engine(3)  # type: ignore[arg-type]


def test_a_workflow_refuses_an_engine_that_lacks_what_it_needs() -> None:
    with pytest.raises(
        ValueError, match=r"policy 'mem1' needs an engine that has next_state.*'parrot' has not"
    ):
        make_policy("mem1", engine=Parrot())
    with pytest.raises(ValueError, match="engine='llm' or 'local', on the command line --engine"):
        make_policy("atommem", engine="rules")


def test_the_calls_of_an_episode_are_counted_anew_at_each_reset() -> None:
    policy = asked(make_policy("rag", engine=Parrot()), 2)
    assert policy.costs() == {"calls": 2}
    assert asked(policy, 5).costs() == {"calls": 5}


def test_what_one_ability_asks_of_another_is_one_call() -> None:
    policy: Any = asked(make_policy("memgpt"), 0)
    assert policy.engine.answer_or_search("Who built it?", ["Jo built it."], "") is not None
    assert policy.costs() == {"calls": 1}


def test_two_policies_with_one_engine_count_apart() -> None:
    engine = Parrot()
    first, second = (asked(make_policy("rag", engine=engine), times) for times in (1, 3))
    assert (first.costs(), second.costs()) == ({"calls": 1}, {"calls": 3})


def test_an_engine_that_knows_its_costs_is_asked_for_them() -> None:
    policy = make_policy("rag", engine=Metered())
    assert asked(policy, 3).costs() == {"calls": 1, "prompt_tokens": 12}
    assert asked(policy, 1).costs() == {"calls": 1, "prompt_tokens": 4}


def test_a_policy_survives_copying_and_pickling() -> None:
    policy = asked(make_policy("rag", engine=RulesEngine()), 2)
    for twin in (copy.deepcopy(policy), pickle.loads(pickle.dumps(policy))):
        assert twin.costs() == {"calls": 2}
        assert asked(twin, 1).costs() == {"calls": 1}
    assert policy.costs() == {"calls": 2}
