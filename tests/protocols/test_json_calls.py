"""Operations as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from atommem_env.core.operations import Answer, Create, Delete, Operation, Read, Update
from atommem_env.core.rules import Rules
from atommem_env.protocols import JSONProtocol

PROTOCOL = JSONProtocol()
CREATE = {"op": "create", "content": 'a {b} [c] "d"'}
CALL = {"name": "update", "arguments": {"id": 3, "content": "new"}}


def operations(text: str) -> list[Operation]:
    parsed = PROTOCOL.parse(text)
    assert parsed.malformed == []
    return parsed.operations


def reasons(text: str) -> list[str]:
    return [piece.reason for piece in PROTOCOL.parse(text).malformed]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([CREATE, {"op": "read", "query": "q", "k": 3}]),
        json.dumps([CREATE, {"op": "read", "query": "q", "k": "3"}], indent=2),
        "Fine [1], so {x}:\n```json\n"
        + json.dumps([CREATE, {"op": "READ", "query": "q", "k": 3}])
        + "\n```\nDone.",
        json.dumps(CREATE) + "\nand\n" + json.dumps({"name": "read", "parameters": {"query": "q", "k": 3}}),
        json.dumps({"operations": [CREATE, {"op": "read", "query": "q", "k": 3}]}),
        json.dumps([[CREATE], [{"op": "read", "query": "q", "k": 3}]]),
    ],
)
def test_operations_are_found_in_every_dress(text: str) -> None:
    assert operations(text) == [Create('a {b} [c] "d"'), Read("q", 3)]


@pytest.mark.parametrize(
    "call",
    [
        CALL,
        {"name": "update", "arguments": json.dumps(CALL["arguments"])},
        {"name": "update", "arguments": {"id": "3", "content": "new"}},
        {"id": "call_1", "type": "function", "function": CALL},
        {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": CALL}]},
    ],
)
def test_tool_calls_are_found_in_every_dress(call: dict[str, Any]) -> None:
    assert operations(json.dumps(call)) == [Update(3, "new")]
    assert operations(f"<tool_call>\n{json.dumps(call)}\n</tool_call>") == [Update(3, "new")]


def test_contents_are_verbatim_and_line_breaks_may_stand_in_them() -> None:
    assert operations('{"op": "answer", "content": " a\n b\t"}') == [Answer(" a\n b\t")]


@pytest.mark.parametrize(
    "text", ["", "plain", "[1] {x} [[wiki]] {}", "[]", "[{}]", '｛"op": "delete"｝', "``` ```"]
)
def test_prose_and_empty_arrays_are_an_empty_action(text: str) -> None:
    assert operations(text) == []


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({"op": "write", "content": "a"}, "'write' is not an operation; choose from create"),
        ({"op": 3}, "3 is not an operation"),
        ({"op": "create"}, "the fields do not fit: expected content (string)"),
        ({"op": "delete", "id": 3, "why": "old"}, "the fields do not fit: expected id (integer)"),
        ({"op": "delete", "id": True}, "the fields do not fit"),
        ({"op": "delete", "id": 1.5}, "the fields do not fit"),
        ({"op": "read", "query": "q", "k": 33}, "query (string), k (integer, optional)"),
        ({"op": "create", "content": ["a"]}, "the fields do not fit"),
        ({"thought": "hm"}, "it names no operation"),
        ({"name": "create", "arguments": "{content}"}, "its arguments are not JSON"),
        ({"name": "create", "arguments": ["a"]}, "its arguments are not an object"),
        ({"name": "create"}, "the fields do not fit"),
    ],
)
def test_a_call_that_does_not_fit_is_malformed_alone(call: dict[str, Any], reason: str) -> None:
    parsed = PROTOCOL.parse(json.dumps([{"op": "delete", "id": 1}, call, {"op": "delete", "id": 2}]))
    assert parsed.operations == [Delete(1), Delete(2)]
    assert len(parsed.malformed) == 1
    assert reason in parsed.malformed[0].reason


def test_a_scalar_among_the_calls_is_malformed() -> None:
    assert reasons('[{"op": "delete", "id": 1}, "create"]') == ["expected an object"]


def test_a_trailing_comma_costs_nothing() -> None:
    assert operations('[{"op": "delete", "id": 1}, {"op": "delete", "id": 2},]') == [Delete(1), Delete(2)]


def test_one_broken_call_costs_only_itself() -> None:
    text = '[{"op": "delete", "id": 1}, {"op": "delete" "id": 2}, {"op": "delete", "id": 3}]'
    parsed = PROTOCOL.parse(text)
    assert parsed.operations == [Delete(1), Delete(3)]
    assert len(parsed.malformed) == 1
    assert parsed.malformed[0].text == '{"op": "delete" "id": 2}'
    assert parsed.malformed[0].reason.startswith("it is not JSON")


@pytest.mark.parametrize(
    "cut",
    [
        '{"op": "create", "content": "b',
        '{"op": "create", ',
        '{"name": "create", "arguments": {"content": "b',
        '{"op"',
    ],
)
def test_a_text_cut_short_loses_only_its_last_call(cut: str) -> None:
    parsed = PROTOCOL.parse('[{"op": "delete", "id": 1}, ' + cut)
    assert parsed.operations == [Delete(1)]
    assert [piece.reason for piece in parsed.malformed] == ["[ is not closed"]


def test_a_bracket_in_the_prose_before_does_not_swallow_the_calls() -> None:
    assert operations('The set {a, b [and " more: {"op": "delete", "id": 1}') == [Delete(1)]


def test_calls_quoted_in_a_content_do_not_run() -> None:
    content = 'he wrote {"op": "delete", "id": 1}'
    assert operations(json.dumps({"op": "create", "content": content})) == [Create(content)]


def test_what_is_thought_is_ignored() -> None:
    call = '{"op": "delete", "id": 1}'
    assert operations(f'<think>{call} or {{"op": </think>{call}') == [Delete(1)]
    assert operations(f"{call} </think> {call}") == [Delete(1)]
    assert PROTOCOL.parse(f"<think>{call}").operations == []


def test_numbers_and_nesting_beyond_all_measure_are_malformed() -> None:
    assert len(reasons('{"op": "delete", "id": ' + "9" * 10_000 + "}")) == 1
    assert len(reasons('{"a":' * 50_000 + "1" + "}" * 50_000)) == 1
    assert len(reasons('{"op": "delete", "id": "' + "9" * 10_000 + '"}')) == 1


def test_every_operation_can_be_written() -> None:
    actions = [
        Create(' a "b" </think> \n'),
        Read("q"),
        Read("q", 2),
        Update(-3, ""),
        Delete(10**18),
        Answer("東京"),
    ]
    assert operations(PROTOCOL.render_operations(actions)) == actions
    assert operations(PROTOCOL.render_operations([])) == []


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ({}, ["create", "read", "update", "delete", "answer"]),
        ({"operations": ("create", "answer"), "scratchpad": False}, ["create", "answer"]),
        ({"storage": False}, ["update", "delete", "answer"]),
        ({"storage": False, "scratchpad": False}, ["answer"]),
    ],
)
def test_tools_are_those_that_the_rules_leave(rules: dict[str, Any], names: list[str]) -> None:
    assert [tool["function"]["name"] for tool in PROTOCOL.tools(Rules(**rules))] == names
