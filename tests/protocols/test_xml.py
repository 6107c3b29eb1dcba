"""The paper's tags."""

from __future__ import annotations

import pytest

from atommem_env.core.operations import Answer, Create, Delete, Operation, Read, Update
from atommem_env.protocols import XMLProtocol

PROTOCOL = XMLProtocol()


def operations(text: str) -> list[Operation]:
    return PROTOCOL.parse(text).operations


def test_each_tag_is_its_operation() -> None:
    text = """I keep two facts.
<create_memory>Vantor lies on the Sill.</create_memory>
<read_memory>Ada Brandt</read_memory>
<update_memory>id: 3
Ada Brandt, painter.</update_memory>
<delete_memory>4</delete_memory>
<scratchpad>1. Vantor?</scratchpad>
<answer>1931</answer>"""
    assert operations(text) == [
        Create("Vantor lies on the Sill."),
        Read("Ada Brandt"),
        Update(3, "Ada Brandt, painter."),
        Delete(4),
        Update(0, "1. Vantor?"),
        Answer("1931"),
    ]
    assert PROTOCOL.parse(text).malformed == []


@pytest.mark.parametrize(
    "text",
    [
        "<update_memory>id: 3\nnew</update_memory>",
        "<update_memory>\n  ID = 3\r\n new </update_memory>",
        "<update_memory>id: 3, new</update_memory>",
        "<update_memory>id:3: new</update_memory>",
        "<update_memory>id: 3 new</update_memory>",
        '<update_memory>id: "3"\nnew</update_memory>',
        "<update_memory>id: [3]\nnew</update_memory>",
        "<update_memory>[id: 3] new</update_memory>",
        "<update_memory>3: new</update_memory>",
        "<update_memory>3\nnew</update_memory>",
        "<update_memory>[3]: new</update_memory>",
        '<update_memory id="3">new</update_memory>',
        "<update_memory id=3>\nnew\n</update_memory>",
    ],
)
def test_an_update_names_its_entry_in_several_ways(text: str) -> None:
    assert operations(text) == [Update(3, "new")]


def test_the_id_in_the_attribute_leaves_the_content_alone() -> None:
    assert operations('<update_memory id="3">id: 4\nnew</update_memory>') == [Update(3, "id: 4\nnew")]


@pytest.mark.parametrize(
    "content",
    [
        "new content",
        "",
        "id: three\nnew",
        "id: 3.5 new",
        "3, 4 and 5 were built",
        "ID3 tags",
        "id: ３\nnew",
        "id:\n",
        f"id: {'9' * 5000}\nx",
    ],
)
def test_an_update_without_an_id_is_malformed(content: str) -> None:
    parsed = PROTOCOL.parse(f"<update_memory>{content}</update_memory>")
    assert parsed.operations == []
    assert len(parsed.malformed) == 1
    assert "id of the entry" in parsed.malformed[0].reason


@pytest.mark.parametrize(
    "text",
    [
        "<delete_memory>3</delete_memory>",
        "<delete_memory> id: 3 </delete_memory>",
        '<delete_memory id="3"/>',
        "<delete_memory>#3</delete_memory>",
    ],
)
def test_a_delete_names_its_entry_in_several_ways(text: str) -> None:
    assert operations(text) == [Delete(3)]


@pytest.mark.parametrize("content", ["", "3 and 4", "the third", "3: it is old"])
def test_a_delete_of_anything_but_one_id_is_malformed(content: str) -> None:
    parsed = PROTOCOL.parse(f"<delete_memory>{content}</delete_memory>")
    assert parsed.operations == []
    assert [piece.reason for piece in parsed.malformed] == ["expected the id of one entry, such as 3"]


def test_an_attribute_that_is_no_id_is_malformed() -> None:
    parsed = PROTOCOL.parse('<update_memory id="x">id: 3\nnew</update_memory>')
    assert parsed.operations == []
    assert parsed.malformed[0].reason == "expected a whole number, got 'x'"


def test_an_empty_scratchpad_is_cleared() -> None:
    assert operations("<scratchpad> \n </scratchpad>") == [Delete(0)]
    assert operations("<scratchpad/>") == [Delete(0)]


def test_k_is_an_attribute() -> None:
    assert operations('<read_memory k="3">who</read_memory>') == [Read("who", 3)]
    for k in ("0", "33", "many"):
        assert len(PROTOCOL.parse(f'<read_memory k="{k}">who</read_memory>').malformed) == 1


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ('<create_memory content="x"/>', Create("x")),
        ('<create_memory content="x"></create_memory>', Create("x")),
        ("<create_memory>\n<content>x <b>y</b></content>\n</create_memory>", Create("x <b>y</b>")),
        ('<create_memory>{"content": "x"}</create_memory>', Create("x")),
        ("<read_memory query='who'/>", Read("who")),
        ('<read_memory>{"query": "who", "k": 3}</read_memory>', Read("who", 3)),
        ("<read_memory><query>who</query><k>3</k></read_memory>", Read("who", 3)),
        ('<update_memory id="3" content="x"/>', Update(3, "x")),
        ('<update_memory id="3"><content>x</content></update_memory>', Update(3, "x")),
        ("<update_memory><id>3</id><content>x</content></update_memory>", Update(3, "x")),
        ('<update_memory>{"id": 3, "content": "x"}</update_memory>', Update(3, "x")),
        ("<delete_memory><id>3</id></delete_memory>", Delete(3)),
        ('<delete_memory>{"id": 3}</delete_memory>', Delete(3)),
        ('<answer text="Paris"/>', Answer("Paris")),
        ('<answer>{"answer": "Paris"}</answer>', Answer("Paris")),
    ],
)
def test_fields_are_told_in_other_forms(text: str, operation: Operation) -> None:
    assert PROTOCOL.parse(text).operations == [operation]
    renamed = XMLProtocol(tags={"create": "keep", "answer": "say"})
    other = text.replace("create_memory", "keep").replace("<answer ", "<say ").replace("answer>", "say>")
    assert renamed.parse(other).operations == [operation]


@pytest.mark.parametrize(
    "content",
    [
        '{"name": "Ada", "born": 1815}', '{"content": "x", "title": "T"}', '{"op": "delete", "id": 3}', '{"id": 3}',
        '{"content": 3, "x": 4}', "{" * 2000, '{"a":' * 2000, "{content: x", "{}", "<b>x</b>",
        "<contents>x</contents>", "<content>x</content> y", "<content>x",
    ],
)  # fmt: skip
def test_a_content_that_is_no_field_is_kept_as_it_is(content: str) -> None:
    assert PROTOCOL.parse(f"<create_memory>{content}</create_memory>").operations == [Create(content)]


@pytest.mark.parametrize(
    "content",
    ['{"content": "x"}', "<content>x</content>", "<content><content>x</content></content>", '{"query": "x"}', '"}',
     '{"content": "{\\"content\\": \\"x\\"}"}', "<id>3</id>", '{"text": "x"}', "{x}", "<content>"],
)  # fmt: skip
def test_a_content_that_looks_like_fields_is_written_so_that_it_is_read_again(content: str) -> None:
    operations = [Create(content), Read(content), Read(content, 3), Update(3, content), Answer(content)]
    assert PROTOCOL.parse(PROTOCOL.render_operations(operations)).operations == operations


def test_what_the_environment_refuses_is_still_well_formed() -> None:
    text = "<create_memory/><update_memory>id: 99\nx</update_memory><delete_memory>-1</delete_memory>"
    assert operations(text) == [Create(""), Update(99, "x"), Delete(-1)]


def test_good_operations_around_a_bad_one_are_kept_in_order() -> None:
    parsed = PROTOCOL.parse(
        "<create_memory>a</create_memory><delete_memory>x</delete_memory><create_memory>b</create_memory>"
        "<create_memory>cut off by the length lim"
    )
    assert parsed.operations == [Create("a"), Create("b")]
    assert [piece.text for piece in parsed.malformed] == [
        "<delete_memory>x</delete_memory>",
        "<create_memory>",
    ]


def test_what_is_malformed_is_quoted_by_its_beginning() -> None:
    parsed = PROTOCOL.parse(f"<delete_memory>{'x' * 1000}</delete_memory>")
    assert len(parsed.malformed[0].text) == 120
    assert parsed.malformed[0].text.startswith("<delete_memory>xxx")


def test_tags_can_have_other_names() -> None:
    protocol = XMLProtocol(tags={"create": "Merke", "read": "поиск"})
    text = protocol.render_operations([Create("a"), Read("b"), Delete(1)])
    assert text == "<Merke>a</Merke>\n<поиск>b</поиск>\n<delete_memory>1</delete_memory>"
    assert protocol.parse(text).operations == [Create("a"), Read("b"), Delete(1)]
    assert protocol.parse("<create_memory>a</create_memory>").operations == []


def test_a_tag_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\['write'\].*choose from"):
        XMLProtocol(tags={"write": "w"})


def test_a_content_with_its_own_closing_tag_cannot_be_written() -> None:
    with pytest.raises(ValueError, match=r"cannot write .*Create.*the tag that would end it"):
        PROTOCOL.render_operations([Read("x"), Create("a </create_memory> b")])
    text = PROTOCOL.render_operations([Read("a </create_memory> b")])
    assert operations(text) == [Read("a </create_memory> b")]


def test_a_text_of_operations_keeps_a_content_that_speaks_of_thinking() -> None:
    text = PROTOCOL.render_operations([Create("use </think> here"), Create("b")])
    assert operations(text) == [Create("use </think> here"), Create("b")]


def test_plain_operations_are_written_too_and_bad_ones_refused() -> None:
    assert (
        PROTOCOL.render_operations([{"op": "create", "content": "a"}]) == "<create_memory>a</create_memory>"
    )
    with pytest.raises(ValueError, match="not a well-formed operation"):
        PROTOCOL.render_operations([{"op": "create"}])
