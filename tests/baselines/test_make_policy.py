"""Policies are made by name, the user's own included, and wrong names and arguments say what is right."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.policies import Policy
from atommem_env.registration import POLICIES
from scripted import named


class Mine:
    """A user's own policy."""

    def __init__(self, seed: int, size: int = 1) -> None:
        self.seed, self.size = seed, size

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None: ...

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Any]:
        return []


READY = Mine(7)
NOT_A_POLICY = dict


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_name_makes_a_policy(name: str) -> None:
    assert isinstance(named(name, seed=3), Policy)


def test_a_users_own_class_gets_what_it_takes() -> None:
    policy: Any = make_policy(f"{__name__}:Mine", seed=5, size=2)
    assert (policy.seed, policy.size) == (5, 2)


def test_a_users_own_object_is_taken_as_it_is() -> None:
    assert make_policy(f"{__name__}:READY") is READY


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(
        ValueError, match=r"policy 'ragg' is unknown; choose from .*'rag'.* or give 'module:Class'"
    ):
        make_policy("ragg")


def test_an_unknown_argument_lists_the_arguments() -> None:
    with pytest.raises(
        ValueError, match=r"'memagent' takes no argument budget; it takes \['budget_tokens'\]"
    ):
        make_policy("memagent", budget=3)


def test_a_bad_argument_says_what_was_expected() -> None:
    with pytest.raises(ValueError, match="budget_tokens=0: expected 1 or more"):
        make_policy("memagent", budget_tokens=0)


def test_what_is_no_policy_is_an_error() -> None:
    with pytest.raises(ValueError, match="made a dict: a policy has reset and act"):
        make_policy(f"{__name__}:NOT_A_POLICY")


def test_an_unknown_engine_is_an_error() -> None:
    with pytest.raises(ValueError, match="engine='gpt' is unknown"):
        make_policy("rag", engine="gpt")


def test_importing_the_baselines_loads_none_of_them() -> None:
    program = (
        "import sys, atommem_env.baselines\n"
        "print([name for name in sys.modules if name.startswith('atommem_env.baselines.') or name == 'rank_bm25'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
