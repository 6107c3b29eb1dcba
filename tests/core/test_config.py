"""The arguments of an environment: one place says what they are and which values they take."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from atommem_env import MemoryEnv
from atommem_env.core.config import BenchmarkConfig, EnvConfig
from atommem_env.core.rules import Rules
from atommem_env.envs.custom import CustomConfig
from atommem_env.envs.world import WorldEnvConfig
from atommem_env.registration import ENVS
from atommem_env.runs import RunError
from atommem_env.runs.arguments import check_arguments, env_arguments
from small_data import dataset

COUNT = (0, -1, True, "many", 2.5, None, [3], "10")
BOUND = (0, -1, True, "many", 2.5, [3])
FLAG = (0, 1, "maybe", None, 2.5, "")
NAME = ("other", 3, [], True, "REFUSE")
WRONG: dict[str, tuple[Any, ...]] = {
    "num_docs": COUNT,
    "num_questions": (0, 11, True, "many", None, (), (1,), (3, 2), (1, 2, 3), (0, 4), (1, 11), 2.5, {1: 2}),
    "chunk_tokens": COUNT,
    "chunk_overlap": (-1, True, "some", 2.5, None, 4096, 5000),
    "chunk_by": ("document", *NAME, None),
    "top_k": (*COUNT, 33),
    "capacity": BOUND,
    "overflow": NAME,
    "entry_tokens": BOUND,
    "scratchpad_tokens": BOUND,
    "query_tokens": BOUND,
    "operations": ((), ("create",), ("answer", "forget"), "answer", None, 3, [[]], {"answer": 1}),
    "scratchpad": FLAG,
    "storage": FLAG,
    "max_looks": (-1, True, "many", 2.5, None),
    "max_steps": BOUND,
    "early_answer": FLAG,
    "reward_timing": NAME,
    "questions_shown": (*NAME, None),
    "isolate_questions": FLAG,
    "render_mode": ("rgb_array", 3, True),
}
MADE_ELSEWHERE = {
    "tokenizer": (3, "no.such:thing", object()),
    "retriever": (3, None, "google", "no.such:thing"),
    "encoder": (3,),
    "fusion_weights": ((1,), ("a", "b")),
    "reward": (3, None, "bleu", "no.such:thing"),
}
WORLD: dict[str, tuple[Any, ...]] = {
    "world_seed": (-1, "first", 2.5),
    "world_size": COUNT,
    "hops": (1, 5, (1, 2), (4, 2), "two", None),
    "kinds": ((), ("bridge", "unknown"), "bridge", None),
    "paragraphs_per_question": (*COUNT, 41),
    "revisions": (-0.1, 1.1, "some", None, True),
    "stream": FLAG,
    "split": (None, 3),
}


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        *((EnvConfig, name, value) for name, values in WRONG.items() for value in values),
        *((WorldEnvConfig, name, value) for name, values in WORLD.items() for value in values),
    ],
)
def test_a_wrong_value_is_an_error_that_names_argument_and_value(
    config: type[EnvConfig], name: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        config(**{name: value})
    assert repr(value) in str(caught.value)


def test_every_argument_has_a_test_of_its_wrong_values() -> None:
    assert {*WRONG, *MADE_ELSEWHERE} == set(EnvConfig.arguments())
    assert {*WORLD, "source"} == set(WorldEnvConfig.arguments()) - set(EnvConfig.arguments())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, values in MADE_ELSEWHERE.items()
        for value in values
        if name not in ("encoder", "fusion_weights")
    ],
)
def test_what_names_a_part_is_refused_when_the_part_is_made(name: str, value: Any) -> None:
    with pytest.raises((ValueError, ImportError, TypeError)):
        MemoryEnv(
            dataset(), num_docs=12, num_questions=2, chunk_tokens=120, chunk_overlap=20, **{name: value}
        )


@pytest.mark.parametrize("name", ["encoder", "fusion_weights"])
def test_a_hybrid_retrievers_parts_are_refused_when_it_is_made(name: str) -> None:
    for value in MADE_ELSEWHERE[name]:
        with pytest.raises((ValueError, TypeError), match=name.replace("_", ".")):
            MemoryEnv(
                dataset(), num_docs=12, num_questions=2, retriever="hybrid", **{"encoder": len, name: value}
            )


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        *(("early_answer", text, True) for text in ("True", "true", "YES", "on", np.True_)),
        *(("scratchpad", text, False) for text in ("False", "false", "no", "Off", np.False_)),
        ("capacity", "None", None),
        ("capacity", "null", None),
        ("capacity", np.int64(3), 3),
        ("num_questions", 2, (2, 2)),
        ("num_questions", [1, 4], (1, 4)),
        ("operations", ["answer", "create"], ("create", "answer")),
        ("render_mode", "none", None),
    ],
)
def test_words_are_read_by_the_arguments_type(name: str, text: Any, value: Any) -> None:
    found = getattr(EnvConfig(**{name: text}), name)
    assert (found, type(found)) == (value, type(value))


def test_an_int_of_hops_is_both_ends() -> None:
    assert WorldEnvConfig(hops=2).hops == (2, 2)  # type: ignore[arg-type]


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ValueError, match=r"early_answer=True with questions_shown='when_asked'"):
        EnvConfig(early_answer=True, questions_shown="when_asked")
    with pytest.raises(ValueError, match=r"chunk_overlap=50: expected less than chunk_tokens=50"):
        EnvConfig(chunk_tokens=50, chunk_overlap=50)


def test_an_unknown_argument_is_an_error_with_the_nearest() -> None:
    with pytest.raises(TypeError, match=r"unknown argument 'capasity' \(did you mean 'capacity'\?\)"):
        MemoryEnv(dataset(), capasity=3)
    with pytest.raises(TypeError, match="give arguments or a config, not both"):
        MemoryEnv(dataset(), config=EnvConfig(), capacity=3)


@pytest.mark.parametrize("id", ENVS)
def test_every_argument_has_help_on_one_line(id: str) -> None:
    arguments = env_arguments(gym.spec(id))
    assert all(argument.help and "\n" not in argument.help for argument in arguments.values())
    assert {"source", "split", "num_docs", "capacity", "render_mode"} <= set(arguments)


def test_the_command_line_reads_values_as_gym_make_does() -> None:
    known = BenchmarkConfig.arguments()
    read = check_arguments("X-v0", {"early_answer": "False", "storage": "no", "capacity": 3}, known)
    assert read == {"early_answer": False, "storage": False, "capacity": 3}
    with pytest.raises(RunError, match="X-v0: scratchpad='never': expected True or False"):
        check_arguments("X-v0", {"scratchpad": "never"}, known)


def test_the_rules_are_those_of_the_configuration() -> None:
    config = EnvConfig(capacity=4, top_k=2, operations=("read", "answer"), storage=False)
    assert config.rules == Rules(capacity=4, top_k=2, operations=("read", "answer"), storage=False)
    assert EnvConfig().rules == Rules()
    assert {field.name for field in dataclasses.fields(Rules)} - {"abstain", "stream"} <= set(
        EnvConfig.arguments()
    )


def test_an_environment_tells_its_configuration_however_it_was_made() -> None:
    env = MemoryEnv(dataset(), num_docs=12, num_questions=2, capacity=5)
    assert (env.config.capacity, env.config.num_questions) == (5, (2, 2))
    made = gym.make("AtomMem-Custom-v0", source=dataset(), num_docs=12, capacity=5)
    assert made.unwrapped.config == CustomConfig(source=made.unwrapped.dataset, num_docs=12, capacity=5)  # type: ignore[attr-defined]
