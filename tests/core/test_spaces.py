"""The spaces sample, contain, compare, and go through JSON."""

from __future__ import annotations

import copy
import json
import pickle

import gymnasium as gym
import pytest

from atommem_env.core.operations import Create, Delete, Read
from atommem_env.core.spaces import (
    ActionSpace,
    CountSpace,
    ResultsSpace,
    RetrievedSpace,
    TextSpace,
    TextTupleSpace,
    observation_space,
)

SPACES = [
    TextSpace(),
    TextTupleSpace(),
    CountSpace(),
    CountSpace(3),
    RetrievedSpace(),
    ResultsSpace(),
    ActionSpace(),
    ActionSpace(("create", "answer"), scratchpad=False),
    observation_space(),
]


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_samples_are_contained_and_go_through_json(space: gym.Space) -> None:
    space.seed(3)
    samples = [space.sample() for _ in range(50)]
    assert all(space.contains(sample) for sample in samples)
    again = space.from_jsonable(json.loads(json.dumps(space.to_jsonable(samples))))
    assert again == samples


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_a_seed_decides_the_samples_and_copies_are_equal(space: gym.Space) -> None:
    twin = pickle.loads(pickle.dumps(space))
    assert twin == space == copy.deepcopy(space)
    space.seed(7)
    twin.seed(7)
    assert [space.sample() for _ in range(10)] == [twin.sample() for _ in range(10)]


def test_spaces_of_different_kinds_or_settings_differ() -> None:
    assert TextSpace() != TextTupleSpace()
    assert CountSpace() != CountSpace(1)
    assert ActionSpace() != ActionSpace(("answer",))
    assert hash(CountSpace(1)) == hash(CountSpace(1))


def test_text_is_any_str() -> None:
    space = TextSpace()
    assert "" in space
    assert "Ünï, 東京\n" * 10_000 in space
    assert b"x" not in space
    assert None not in space


def test_an_action_is_a_list_or_tuple_of_well_formed_operations() -> None:
    space = ActionSpace(("answer",))
    assert [Create("x"), {"op": "read", "query": "y"}] in space
    assert () in space
    assert Create("x") not in space
    assert "create" not in space
    assert [Create("x"), 3] not in space
    assert [{"op": "create"}] not in space


def test_an_action_space_samples_what_is_enabled() -> None:
    space = ActionSpace(("read", "delete"), scratchpad=False)
    space.seed(0)
    operations = [operation for _ in range(200) for operation in space.sample()]
    assert {type(operation) for operation in operations} == {Read, Delete}
    assert all(operation.id > 0 for operation in operations if isinstance(operation, Delete))


def test_sampling_with_a_mask_is_an_error() -> None:
    with pytest.raises(gym.error.Error, match="takes no mask"):
        TextSpace().sample(mask=1)
