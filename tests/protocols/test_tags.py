"""What counts as a tag in a text that nobody promised to be well-formed."""

from __future__ import annotations

import pytest

from atommem_env.protocols.base import Malformed
from atommem_env.protocols.tags import Tag, TagScanner, attribute, shield
from atommem_env.protocols.thinking import reasoning_end

SCANNER = TagScanner(["note", "find"])


def contents(text: str) -> list[tuple[str, str]]:
    return [(piece.name, piece.content) for piece in SCANNER.scan(text) if isinstance(piece, Tag)]


def reasons(text: str) -> list[str]:
    return [piece.reason for piece in SCANNER.scan(text) if isinstance(piece, Malformed)]


def test_tags_come_in_the_order_of_the_text_with_white_space_dropped() -> None:
    text = "First <find> who? </find> then <note>\n a\n b \n</note> done."
    assert contents(text) == [("find", "who?"), ("note", "a\n b")]
    assert reasons(text) == []


@pytest.mark.parametrize(
    "text", ["", "plain prose", "a < b and c > d", "< note>a</note", "＜note＞a＜/note＞", "&lt;note&gt;a"]
)
def test_prose_holds_no_tag_and_nothing_malformed(text: str) -> None:
    assert contents(text) == []
    assert reasons(text) == []


@pytest.mark.parametrize(
    "text", ["<NOTE>a</note>", "<Note>a</nOTE >", "<note\n>a</note>", '<note lang="en">a</note>']
)
def test_case_space_and_attributes_of_a_tag_do_not_matter(text: str) -> None:
    assert contents(text) == [("note", "a")]


def test_only_ascii_letters_are_case_insensitive() -> None:
    scanner = TagScanner(["кнопка", "kiss"])
    assert [piece.name for piece in scanner.scan("<кнопка>a</кнопка>") if isinstance(piece, Tag)] == [
        "кнопка"
    ]
    assert list(scanner.scan("<КНОПКА>a</КНОПКА>")) == []
    assert list(scanner.scan("<\u212aiss>a</\u212aiss> <ki\u017fs>a</ki\u017fs>")) == []


def test_a_tag_inside_a_tag_is_content_of_the_outer_one() -> None:
    text = "<note>a <find>b</find> c</note>"
    assert contents(text) == [("note", "a <find>b</find> c")]
    assert reasons(text) == []


def test_the_first_closing_tag_of_its_name_ends_a_tag() -> None:
    text = "<note>a <note>b</note> c</note>"
    assert contents(text) == [("note", "a <note>b")]
    assert reasons(text) == ["</note> closes no tag"]


def test_an_unclosed_tag_is_malformed_and_the_search_goes_on_after_it() -> None:
    text = "<note>a <find>b</find>"
    assert contents(text) == [("find", "b")]
    assert reasons(text) == ["<note> is not closed by </note>"]


def test_crossing_tags_belong_to_the_one_that_opened_first() -> None:
    text = "<note>a <find>b</note> c</find>"
    assert contents(text) == [("note", "a <find>b")]
    assert reasons(text) == ["</find> closes no tag"]


def test_a_self_closing_tag_is_empty() -> None:
    assert contents('<note/><find id="3" />x') == [("note", ""), ("find", "")]


def test_an_opening_tag_that_never_ends_is_prose() -> None:
    assert contents("<note a <find>b</find>") == [("find", "b")]
    assert reasons("<note a") == []


def test_entities_and_other_marks_stay_as_they_are() -> None:
    assert contents("<note>&lt;a&gt; <![CDATA[x]]> <b>y</b></note>") == [
        ("note", "&lt;a&gt; <![CDATA[x]]> <b>y</b>")
    ]


def test_an_unknown_tag_of_any_length_or_script_is_prose() -> None:
    huge = "x" * 300_000
    assert contents(f"<{huge}><note>a</note></{huge}><заметка>b</заметка>") == [("note", "a")]


def test_a_huge_content_is_taken_whole() -> None:
    content = "é" * 300_000
    assert contents(f"<note>{content}</note>") == [("note", content)]


class TestReasoning:
    def test_what_is_thought_is_ignored(self) -> None:
        assert contents("<think>maybe <note>a</note></think><note>b</note>") == [("note", "b")]
        assert reasons("<think>an unclosed <note></think>") == []

    def test_a_reasoning_whose_opening_mark_stood_in_the_prompt_is_ignored(self) -> None:
        assert contents("I could use <note> here. <note>a</note> </THINK > <note>b</note>") == [("note", "b")]

    def test_a_text_that_begins_with_a_reasoning_without_end_is_nothing_else(self) -> None:
        for first in ("", "<think>so</think>\n"):
            assert contents(f"{first}<think> hm <note>a</note>") == []
            assert reasons(f"{first}<think> hm <note>a</note>") == [
                "it is nothing but thinking: what <think> begins never ends"
            ]
        assert contents("Well, <think> hm <note>a</note>") == [("note", "a")]

    def test_within_a_known_tag_the_mark_is_content(self) -> None:
        text = "<note>a <think>b</think> c</note>"
        assert contents(text) == [("note", "a <think>b</think> c")]

    def test_a_shielded_text_loses_nothing(self) -> None:
        text = "<note>a </think> b</note>"
        assert contents(text) == []
        assert contents(shield(text)) == [("note", "a </think> b")]

    def test_only_a_text_that_needs_it_is_shielded(self) -> None:
        assert shield("<think>a</think>b") == "<think>a</think>b"
        assert reasoning_end("a</think>b") == 9


@pytest.mark.parametrize(
    ("attributes", "value"),
    [
        (' id="3"', "3"),
        (" ID = '3 '", "3 "),
        (" id=3", "3"),
        (' x="1" id=7', "7"),
        (" grid=3", None),
        ("", None),
    ],
)
def test_attributes_are_read_with_or_without_quotes(attributes: str, value: str | None) -> None:
    assert attribute(attributes, "id") == value


@pytest.mark.parametrize("names", [["a b"], ["<a>"], [""], ["think"], ["note", "NOTE"]])
def test_unusable_names_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="cannot be a tag's name"):
        TagScanner(names)
