"""Operations have one plain form, and only well-formed ones parse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env.core.operations import (
    KINDS,
    Answer,
    Create,
    Delete,
    Operation,
    Read,
    Update,
    from_json,
    kind_of,
    parse,
    to_dict,
    to_json,
    tool_definitions,
)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Create, TEXTS),
    st.builds(Read, TEXTS, st.none() | st.integers(1, 32)),
    st.builds(Update, st.integers(-5, 10**6), TEXTS),
    st.builds(Delete, st.integers(-5, 10**6)),
    st.builds(Answer, TEXTS),
)


@given(st.lists(OPERATIONS, max_size=5))
def test_json_both_ways(action: list[Operation]) -> None:
    assert from_json(to_json(action)) == action
    assert [parse(to_dict(operation)) for operation in action] == action
    assert [parse(operation) for operation in action] == action
    assert all(to_dict(operation)["op"] == operation.op == kind_of(operation) for operation in action)


@pytest.mark.parametrize(
    "item",
    [
        None,
        42,
        "create",
        [],
        {},
        {"op": "create"},
        {"op": "create", "content": 3},
        {"op": "create", "content": "x", "id": 1},
        {"op": "forget", "id": 1},
        {"op": ["create"], "content": "x"},
        {"op": "read", "query": "x", "k": 0},
        {"op": "read", "query": "x", "k": 33},
        {"op": "read", "query": "x", "k": True},
        {"op": "read", "query": "x", "k": 2.0},
        {"op": "update", "id": "3", "content": "x"},
        {"op": "update", "id": True, "content": "x"},
        {"op": "update", "id": np.bool_(True), "content": "x"},
        {"op": "delete", "id": None},
        {"op": "delete", "id": 1.0},
        {"op": "answer", "content": b"x"},
        Create(3),  # type: ignore[arg-type]
        Update("1", "x"),  # type: ignore[arg-type]
        Read(None),  # type: ignore[arg-type]
    ],
)
def test_malformed(item: Any) -> None:
    assert parse(item) is None


def test_an_id_is_anything_with_index_but_a_bool() -> None:
    for id in (3, np.int64(3), np.uint8(3), np.array(3)):
        assert parse({"op": "delete", "id": id}) == Delete(3)
        assert type(parse(Delete(id)).id) is int  # type: ignore[arg-type, union-attr]


def test_bad_json_says_where() -> None:
    with pytest.raises(ValueError, match=r"\$\[0\]"):
        from_json('[{"op": "create", "content": 1}]')


def test_operations_are_frozen_and_hashable() -> None:
    with pytest.raises(AttributeError):
        Create("x").content = "y"  # type: ignore[misc]
    assert len({Create("x"), Create("x"), Answer("x")}) == 2


def test_tool_definitions_describe_every_kind() -> None:
    tools = tool_definitions()
    assert tuple(tool["function"]["name"] for tool in tools) == KINDS
    examples: dict[str, dict[str, Any]] = {
        "create": {"content": "x"},
        "read": {"query": "x"},
        "update": {"id": 1, "content": "x"},
        "delete": {"id": 1},
        "answer": {"content": "x"},
    }
    for tool in tools:
        function = tool["function"]
        assert set(function["parameters"]["required"]) == set(examples[function["name"]])
        assert parse({"op": function["name"], **examples[function["name"]]}) is not None
    with pytest.raises(ValueError, match="forget"):
        tool_definitions(["forget"])
