"""What holds for every protocol: any text is parsed, and what is written is read back."""

from __future__ import annotations

import copy
import pickle
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.core.operations import Answer, Create, Delete, Operation, Read, Update, parse
from atommem_env.protocols import PROTOCOLS, JSONProtocol, Parsed, Protocol, XMLProtocol, get_protocol

NAMES = sorted(PROTOCOLS)
ALL = [get_protocol(name) for name in NAMES]
SHOWN: dict[str, Any] = {
    "retrieved": tuple({"id": id, "content": "x", "score": 1.0, "query": 0} for id in (4, 9, 1))
}
TAGS = sorted({tag for protocol in ALL for tag in getattr(protocol, "tags", {}).values()} | {"think", "b"})
BITS = [
    *(f"<{tag}>" for tag in TAGS),
    *(f"</{tag}>" for tag in TAGS),
    *(f"<{tag.upper()} id='3' k=2/>" for tag in TAGS),
    *("<", ">", "</", "/>", "＜", "＞", "&lt;", "id: 3\n", "3: ", "Memory 2: ", "Memory 9", "k=", "=", "'"),
    *("{", "}", "[", "]", '"', "\\", "\\boxed{", "\\text{", ",", ":", '{"op": "create", "content": "', '"}'),
    *(
        '"arguments": ',
        '{"name": "read", "arguments": {"query": "x"}}',
        '{"op": "delete", "id": 3}',
        "```json\n",
    ),
    *(
        "<tool_call>",
        "null",
        "1e999",
        "NaN",
        "-0",
        "9" * 30,
        "\ud800",
        "\x00",
        "\u2028",
        "İ",
        "ſ",
        "K",
        "東京",
    ),
    *(
        "true",
        " ",
        "\n",
        "\t",
        "ab",
        "ß",
        "🙂",
        "e\u0301",
        "\u202e",
        "'op': 1",
        "[[",
        "]]",
        '{"tool_calls": [',
    ),
]


UNITS = [
    " ",
    *r"""
<create_memory>
</answer>
<create_memory x
<update_memory id=
<final_answer>\boxed{
\boxed{
<think>
[
{
{"a":
{"
\"
[}
{]{
[{"a" 1}]
[{"a":[
9
""".strip().split("\n"),
]


def check(parsed: Parsed) -> None:
    assert all(parse(operation) == operation for operation in parsed.operations)
    assert all(piece.reason and isinstance(piece.text, str) for piece in parsed.malformed)


def test_a_thousand_texts_of_fragments_are_parsed_by_each_protocol() -> None:
    generator = random.Random(20)
    found = malformed = 0
    for _ in range(1000):
        text = "".join(generator.choices(BITS, k=generator.randint(0, 40)))
        for protocol in ALL:
            parsed = protocol.parse(text, SHOWN)
            check(parsed)
            found += len(parsed.operations)
            malformed += len(parsed.malformed)
    assert found > 250
    assert malformed > 250


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from(BITS)).map("".join)))
def test_no_text_raises(text: str) -> None:
    for protocol in ALL:
        check(protocol.parse(text, SHOWN))


@pytest.mark.heavy
@pytest.mark.parametrize("unit", UNITS)
def test_repetition_without_end_is_parsed_all_the_same(unit: str) -> None:
    text = unit * (50_000 // len(unit))
    for protocol in ALL:
        for variant in (
            text,
            f"<answer>{text}</answer>",
            f'{{"{text}',
            f"<update_memory>id{text}</update_memory>",
        ):
            check(protocol.parse(variant, SHOWN))


def operations(
    ids: st.SearchStrategy[int], texts: st.SearchStrategy[str]
) -> st.SearchStrategy[list[Operation]]:
    kinds: list[st.SearchStrategy[Operation]] = [
        st.builds(Create, texts),
        st.builds(Read, texts, st.none() | st.integers(1, 32)),
        st.builds(Update, ids, texts),
        st.builds(Delete, ids),
        st.builds(Answer, texts),
    ]
    return st.lists(st.one_of(kinds), max_size=6)


PLAIN = st.text(alphabet=st.characters(exclude_characters="<\\{}"), min_size=1).map(str.strip).filter(bool)
HOSTILE = st.lists(st.sampled_from(BITS), min_size=1).map("".join).map(str.strip).filter(bool)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_operations_with_ordinary_contents_are_read_back_as_written(name: str, data: st.DataObject) -> None:
    protocol = get_protocol(name)
    ids = st.sampled_from([0, 4, 9, 1]) if name == "released" else st.integers(-5, 10**17)
    actions = data.draw(operations(ids, PLAIN))
    parsed = protocol.parse(protocol.render_operations(actions, SHOWN), SHOWN)
    assert parsed.operations == actions
    assert parsed.malformed == []


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_can_be_written_is_read_back_and_the_rest_is_refused(name: str, data: st.DataObject) -> None:
    protocol = get_protocol(name)
    actions = data.draw(operations(st.sampled_from([0, 4, 7]), HOSTILE))
    try:
        text = protocol.render_operations(actions, SHOWN)
    except ValueError:
        assert name != "json"
        with pytest.raises(ValueError, match="cannot write"):
            protocol.render_operations(actions, SHOWN)
    else:
        assert protocol.parse(text, SHOWN) == Parsed(actions, [])


def test_white_space_around_a_content_is_dropped_by_tags_and_kept_by_json() -> None:
    for protocol in ALL:
        text = protocol.render_operations([Create(" a\n")])
        kept = isinstance(protocol, JSONProtocol)
        assert protocol.parse(text).operations == [Create(" a\n" if kept else "a")]


class _Mute(XMLProtocol):
    name = "atommem"


class TestGetProtocol:
    def test_names_classes_instances_and_references_give_a_protocol(self) -> None:
        assert isinstance(get_protocol(), XMLProtocol)
        assert get_protocol("released").name == "released"
        assert isinstance(get_protocol(_Mute), _Mute)
        assert isinstance(get_protocol("atommem_env.protocols:JSONProtocol"), JSONProtocol)
        mine = XMLProtocol(tags={"create": "keep"})
        assert get_protocol(mine) is mine

    def test_an_unknown_name_lists_the_choices(self) -> None:
        with pytest.raises(ValueError, match=r"'atommem', 'released', 'json'.*module:name"):
            get_protocol("xml")

    def test_something_else_is_refused(self) -> None:
        with pytest.raises(ValueError, match="expected a subclass"):
            get_protocol("atommem_env.core.operations:KINDS")
        with pytest.raises(ValueError, match="expected a subclass"):
            get_protocol(3)  # type: ignore[arg-type]

    def test_a_template_is_for_a_protocol_that_is_made_here(self) -> None:
        made = get_protocol("json", template="Mine.\n\n$turn")
        assert isinstance(made, JSONProtocol)
        with pytest.raises(ValueError, match="its own constructor"):
            get_protocol(made, template="$turn")


@pytest.mark.parametrize("name", NAMES)
def test_protocols_can_be_copied_and_pickled(name: str) -> None:
    protocol = get_protocol(name)
    for other in (copy.deepcopy(protocol), pickle.loads(pickle.dumps(protocol))):
        assert isinstance(other, Protocol)
        text = protocol.render_operations([Create("a"), Answer("b")])
        assert other.parse(text).operations == [Create("a"), Answer("b")]
