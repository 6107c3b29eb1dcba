"""Engines are found by name, and anything that works like one is taken."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from atommem_env.baselines.engine import ENGINES, Engine, get_engine


class Parrot:
    name = "parrot"

    def answer(self, question: str, passages: Sequence[str]) -> str:
        return question

    def compress(self, questions: Sequence[str], memory: str, chunk: str, budget_tokens: int) -> str:
        return chunk


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_an_engine_is_made_by_name_and_says_it(name: str) -> None:
    engine = get_engine(name)
    assert isinstance(engine, Engine)
    assert engine.name == name


def test_an_instance_is_taken_as_it_is() -> None:
    parrot = Parrot()
    assert get_engine(parrot) is parrot


def test_an_unknown_name_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(ValueError, match=r"engine='rulez' is unknown; choose from \['rules'\]"):
        get_engine("rulez")


def test_what_is_no_engine_is_an_error_that_says_what_one_has() -> None:
    with pytest.raises(ValueError, match="is no engine: it needs name, answer"):
        get_engine(3)  # type: ignore[arg-type]
