"""The released agent's tags."""

from __future__ import annotations

from typing import Any

import pytest

from atommem_env.core.operations import Answer, Create, Delete, Operation, Read, Update
from atommem_env.protocols import ReleasedProtocol

PROTOCOL = ReleasedProtocol()
SHOWN: dict[str, Any] = {
    "retrieved": tuple({"id": id, "content": f"entry {id}", "score": 1.0, "query": 0} for id in (12, 5, 31))
}


def operations(text: str) -> list[Operation]:
    return PROTOCOL.parse(text, SHOWN).operations


def test_each_tag_is_its_operation() -> None:
    text = r"""<think>Entry 2 is old.</think>
<update_memory>1. still open</update_memory>
<update_query>Harbour Bridge; Vantor</update_query>
<add_memory>Vantor lies on the Sill.</add_memory>
<modify_memory>Memory 1: The bridge dates from 1931.</modify_memory>
<delete_memory>Memory 2</delete_memory>
<final_answer>\boxed{Ines Okafor}</final_answer>"""
    assert operations(text) == [
        Update(0, "1. still open"),
        Read("Harbour Bridge; Vantor"),
        Create("Vantor lies on the Sill."),
        Update(12, "The bridge dates from 1931."),
        Delete(5),
        Answer("Ines Okafor"),
    ]


@pytest.mark.parametrize("head", ["Memory 3:", "memory 3 :", "Memory3:", "3:", "#3:"])
def test_a_rank_may_stand_without_its_word(head: str) -> None:
    assert operations(f"<modify_memory>{head} new</modify_memory>") == [Update(31, "new")]


@pytest.mark.parametrize("content", ["Memory 3", "3", "Memory 3: it repeats Memory 1", "Memory 3 and 2"])
def test_what_follows_the_rank_of_a_delete_is_ignored(content: str) -> None:
    assert operations(f"<delete_memory>{content}</delete_memory>") == [Delete(31)]


@pytest.mark.parametrize("rank", ["0", "4", "999999999999"])
@pytest.mark.parametrize(
    "form", ["<modify_memory>Memory {}: x</modify_memory>", "<delete_memory>{}</delete_memory>"]
)
def test_a_rank_that_was_not_shown_is_malformed(form: str, rank: str) -> None:
    parsed = PROTOCOL.parse(form.format(rank), SHOWN)
    assert parsed.operations == []
    assert [piece.reason for piece in parsed.malformed] == [f"there is no memory {rank} among the 3 shown"]


def test_without_an_observation_no_entry_was_shown() -> None:
    assert PROTOCOL.parse("<delete_memory>Memory 1</delete_memory>").operations == []


@pytest.mark.parametrize("content", ["the third", "Memory", "Memory ３", "-1", ""])
def test_an_entry_without_a_rank_is_malformed(content: str) -> None:
    parsed = PROTOCOL.parse(f"<delete_memory>{content}</delete_memory>", SHOWN)
    assert parsed.operations == []
    assert len(parsed.malformed) == 1


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (r"\boxed{1931}", "1931"),
        (r"The answer is \boxed { 1931 }.", "1931"),
        (r"\boxed{f(x) = {a}}", "f(x) = {a}"),
        (r"\boxed{no} and then \boxed{yes}", "yes"),
        (r"\boxed{\text{Ines Okafor}}", "Ines Okafor"),
        (r"\boxed{\text{a} b \text{c}}", r"\text{a} b \text{c}"),
        ("don't know", "don't know"),
        (r"\text{a}", r"\text{a}"),
        (r"\boxed{}", ""),
    ],
)
def test_an_answer_is_what_its_last_box_holds_or_all_of_it(content: str, answer: str) -> None:
    assert operations(f"<final_answer>{content}</final_answer>") == [Answer(answer)]


def test_an_unclosed_box_is_malformed() -> None:
    parsed = PROTOCOL.parse(r"<final_answer>\boxed{1931</final_answer>", SHOWN)
    assert parsed.operations == []
    assert parsed.malformed[0].reason == r"\boxed{ is not closed by }"


def test_an_empty_scratchpad_is_cleared() -> None:
    assert operations("<update_memory></update_memory>") == [Delete(0)]


def test_operations_are_written_with_the_ranks_of_what_was_shown() -> None:
    actions = [Update(31, "new"), Delete(12), Update(0, "s"), Delete(0), Answer("a")]
    text = PROTOCOL.render_operations(actions, SHOWN)
    assert text.splitlines()[:2] == [
        "<modify_memory>Memory 3: new</modify_memory>",
        "<delete_memory>Memory 1</delete_memory>",
    ]
    assert operations(text) == actions


def test_an_entry_that_was_not_shown_cannot_be_written() -> None:
    with pytest.raises(ValueError, match=r"rank among those shown.*\[12, 5, 31\]"):
        PROTOCOL.render_operations([Delete(7)], SHOWN)


@pytest.mark.parametrize("answer", ["a}b", "{", r"\text{x}", r"a \boxed{b} c"])
def test_an_answer_that_no_box_can_hold_is_still_written(answer: str) -> None:
    assert operations(PROTOCOL.render_operations([Answer(answer)], SHOWN)) == [Answer(answer)]
