"""The arguments of an environment are those of its configuration, or of its signatures."""

from __future__ import annotations

import sys
import types
from typing import Any

import gymnasium as gym
import pytest

from atommem_env.core.config import REQUIRED
from atommem_env.registration import ENVS
from atommem_env.runs import RunError
from atommem_env.runs.arguments import (
    check_arguments,
    env_arguments,
    find_spec,
    parse_env,
    without_removed,
)


class Base:
    """A base.

    Args:
        positional: only for subclasses.
        size: the size, which
            takes two lines.
    """

    def __init__(self, positional: int, *, size: int = 3, **kwargs: Any) -> None:
        pass


class Derived(Base):
    """A derived one.

    Args:
        name: a ``name`` of :class:`~package.Thing`.
        **kwargs: the arguments of Base.
    """

    def __init__(self, name: str, other: int = 2, **kwargs: Any) -> None:
        super().__init__(1, **kwargs)


def spec(**kwargs: Any) -> gym.envs.registration.EnvSpec:
    return gym.envs.registration.EnvSpec("Derived-v0", entry_point=Derived, kwargs=kwargs)


def test_a_subclass_has_its_own_arguments_and_its_bases_keyword_only_ones() -> None:
    found = env_arguments(spec())
    assert list(found) == ["name", "other", "size"]
    assert found["name"].default is REQUIRED
    assert (found["other"].default, found["size"].default) == (2, 3)


def test_what_the_specification_sets_is_the_default() -> None:
    assert env_arguments(spec(name="x"))["name"].default == "x"


@pytest.mark.parametrize("id", ENVS)
def test_every_argument_of_our_environments_has_help(id: str) -> None:
    found = env_arguments(find_spec(id))
    assert {"num_docs", "capacity", "source", "split"} <= set(found)
    assert [name for name, argument in found.items() if not argument.help] == []


def test_an_unknown_argument_is_refused_with_the_nearest_and_all_others() -> None:
    with pytest.raises(RunError, match=r"no argument 'siez' \(did you mean 'size'\?\).*name, other, size"):
        check_arguments("Derived-v0", {"name": "x", "siez": 1}, env_arguments(spec()))


def test_a_missing_required_argument_is_refused() -> None:
    with pytest.raises(RunError, match="requires the argument 'name'"):
        check_arguments("Derived-v0", {}, env_arguments(spec()))


def test_an_unknown_environment_is_refused_with_the_nearest() -> None:
    with pytest.raises(RunError, match="did you mean 'AtomMem-HotpotQA-v0'"):
        find_spec("AtomMem-HotPotQA")


def test_an_environment_of_a_module_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "their_module", types.ModuleType("their_module"))
    monkeypatch.setitem(gym.registry, "Theirs-v0", spec())
    assert find_spec("their_module:Theirs-v0").id == "Derived-v0"
    with pytest.raises(RunError, match="module 'no_such_module' cannot be imported"):
        find_spec("no_such_module:Theirs-v0")


@pytest.mark.parametrize(
    ("text", "id", "arguments"),
    [
        ("X-v0", "X-v0", {}),
        ("X-v0[num_docs=800]", "X-v0", {"num_docs": 800}),
        ("my.module:X-v0[size=[1, 4], name=a b]", "my.module:X-v0", {"size": [1, 4], "name": "a b"}),
        ('X-v0[x={"a": [1, 2]},y="p, q",z=null]', "X-v0", {"x": {"a": [1, 2]}, "y": "p, q", "z": None}),
    ],
)
def test_an_id_may_have_arguments_in_brackets(text: str, id: str, arguments: dict[str, Any]) -> None:
    assert parse_env(text) == (id, arguments)


@pytest.mark.parametrize("text", ["X-v0[]", "X-v0[3]", "X-v0[a=1,]", "X-v0[=1]"])
def test_what_is_no_argument_in_brackets_is_refused(text: str) -> None:
    with pytest.raises(RunError, match="expected KEY=VALUE, for example num_docs=800"):
        parse_env(text)


def test_an_old_record_is_read_without_the_arguments_that_are_gone_where_they_changed_nothing() -> None:
    recorded = {"num_docs": 20, "prefetch": False, "evidence_threshold": 0.6}
    assert without_removed(recorded) == {"num_docs": 20}
    assert "prefetch" in recorded
    with pytest.raises(
        RunError, match=r"made with evidence_threshold=0\.5.*use the version that made the run"
    ):
        without_removed({"evidence_threshold": 0.5})
