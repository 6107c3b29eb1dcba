"""A-Mem: every document becomes a note, linked to its neighbours, which it may rewrite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.baselines.engines.engine import Evolution, NeighbourEdit, NoteDescription
from atommem_env.baselines.notes import Link, Note, link_to, read_note
from scripted import ScriptedEngine, operations, play


def describe(text: str) -> NoteDescription:
    return NoteDescription(("key",), ("tag",), "About " + text.partition("\n")[0] + ".")


def leave(note: str, neighbours: Sequence[str]) -> Evolution:
    return Evolution()


def a_mem(evolve: Any = leave, **arguments: Any) -> tuple[Any, ScriptedEngine]:
    engine = ScriptedEngine(
        describe_note=describe, evolve=evolve, keyword_query=lambda question: "town river", answer=["so"]
    )
    return make_policy("a-mem", engine=engine, **arguments), engine


def title_of(entry: str) -> str:
    return entry.partition("\n")[0]


def test_each_document_is_described_and_stored_as_a_note_in_order() -> None:
    policy, engine = a_mem()
    trace = play(policy)
    notes = [read_note(item["content"]) for item in operations(trace, "create")]
    assert len(notes) == 10
    assert [(note.content,) for note in notes] == engine.calls["describe_note"]
    assert all(note.keywords == ("key",) and note.tags == ("tag",) and not note.links for note in notes)
    assert {note.context for note in notes} == {f"About {title_of(note.content)}." for note in notes}
    assert operations(trace, "update", "delete") == []


def test_one_look_asks_for_the_neighbours_of_all_documents_that_a_chunk_completes() -> None:
    policy, _ = a_mem()
    trace = play(policy)
    assert all(item["op"] == "create" for item in trace.actions[0])  # type: ignore[index]
    look, write = trace.actions[1:3]
    documents = [read_note(item["content"]).content for item in write if item["op"] == "create"]  # type: ignore[index]
    assert look == [{"op": "read", "query": document, "k": 5} for document in documents]


def test_a_note_meets_at_most_k_neighbours_and_those_made_before_it_in_the_chunk() -> None:
    policy, engine = a_mem(k=2)
    trace = play(policy)
    met = [neighbours for _, neighbours in engine.calls["evolve"]]
    assert all(1 <= len(neighbours) <= 2 for neighbours in met)
    first_chunk = [item["content"] for item in trace.actions[0]]  # type: ignore[index]
    assert set(met[0]) <= set(first_chunk)


def test_strengthening_links_a_note_to_living_entries_and_changes_its_tags() -> None:
    policy, _ = a_mem(lambda note, neighbours: Evolution((0, 0, 9, -1), ("new",)))
    trace = play(policy)
    created = [item["content"] for item in operations(trace, "create")]
    linked = [read_note(content) for content in created if read_note(content).links]
    assert linked
    for note in linked:
        (link,) = note.links
        assert link.title == title_of(created[link.id - 1])
        assert note.tags == ("new",)


def test_without_a_link_the_tags_stay() -> None:
    policy, _ = a_mem(lambda note, neighbours: Evolution((), ("new",)))
    assert all(read_note(item["content"]).tags == ("tag",) for item in operations(play(policy), "create"))


def test_a_neighbour_is_rewritten_with_its_content_and_links_kept() -> None:
    edits = {0: NeighbourEdit(("newer",), "In another light."), 7: NeighbourEdit(("nowhere",), "")}
    policy, _ = a_mem(lambda note, neighbours: Evolution((0,), (), edits))
    trace = play(policy)
    assert sum(trace.metrics["refused"].values()) == 0
    now = {}
    number = 0
    for item in operations(trace, "create", "update"):
        if item["op"] == "create":
            number += 1
            now[number] = item["content"]
        else:
            before, after = read_note(now[item["id"]]), read_note(item["content"])
            assert (after.content, after.links, after.keywords) == (
                before.content,
                before.links,
                before.keywords,
            )
            assert (after.tags, after.context) == (("newer",), "In another light.")
            now[item["id"]] = item["content"]
    assert operations(trace, "update")


def test_an_empty_edit_updates_nothing() -> None:
    policy, _ = a_mem(lambda note, neighbours: Evolution((), (), {0: NeighbourEdit()}))
    assert operations(play(policy), "update") == []


def link_towns(note: str, neighbours: Sequence[str]) -> Evolution:
    """Link to every neighbour."""
    return Evolution(tuple(range(len(neighbours))))


def test_a_question_is_searched_with_keywords_and_then_its_hits_links_are_followed() -> None:
    policy, engine = a_mem(link_towns, answer_k=1)
    trace = play(policy)
    first, second, last = trace.actions[-3:]
    assert first == [{"op": "read", "query": "town river", "k": 1}]
    (hit,) = trace.observations[-3]["retrieved"]
    links = read_note(hit["content"]).links
    assert links
    assert second == first + [{"op": "read", "query": link.title, "k": 3} for link in links]
    assert last == [{"op": "answer", "content": "so"}]
    ((_, passages),) = engine.calls["answer"]
    assert passages[0] == hit["content"]
    followed = {title_of(passage) for passage in passages[1:]}
    assert followed == {link.title for link in links}


def test_a_link_to_a_note_that_was_refused_is_not_followed() -> None:
    policy, _ = a_mem(link_towns, answer_k=10)
    trace = play(policy, capacity=2)
    assert trace.metrics["refused"]["capacity"] == 8
    created = [item["content"] for item in operations(trace, "create")]
    assert {link.id for content in created for link in read_note(content).links} - {1, 2}
    answering = [item for action in trace.actions[-2:] for item in action]
    assert [item["op"] for item in answering] == ["read", "answer"]  # both living notes are hits


def test_without_links_one_look_is_enough() -> None:
    policy, _ = a_mem()
    trace = play(policy)
    assert [item["op"] for action in trace.actions[-2:] for item in action] == ["read", "answer"]  # type: ignore[index]


def test_without_looks_it_stores_notes_and_answers_from_what_is_shown() -> None:
    policy, engine = a_mem(link_towns)
    trace = play(policy, max_looks=0)
    assert trace.metrics["memory_size"] == 10
    assert operations(trace, "read") == []
    assert [passages for _, passages in engine.calls["answer"]] == [[]]


def test_with_one_look_it_answers_without_following_links() -> None:
    policy, engine = a_mem(link_towns, answer_k=1)
    trace = play(policy, max_looks=1)
    assert trace.actions[-2:] == [
        [{"op": "read", "query": "town river", "k": 1}],
        [{"op": "answer", "content": "so"}],
    ]
    assert len(engine.calls["answer"][0][1]) == 1


def test_a_question_without_keywords_is_searched_as_it_is() -> None:
    engine = ScriptedEngine(describe_note=describe, evolve=leave, keyword_query=[" "])
    trace = play(make_policy("a-mem", engine=engine))
    assert trace.actions[-2] == [{"op": "read", "query": trace.observations[0]["questions"][0], "k": 10}]


@pytest.mark.parametrize(
    "note",
    [
        Note("Mill\nThe mill.", "About a mill.", ("mill", "river"), ("place",), (Link(3, "River (Orlen)"),)),
        Note("Mill\nContext: of old\nKeywords: a\nTags: b", "It is.", (), ("x",)),
        Note("", "", (), ()),
        Note("Two\n\nparts\r\n", "c", ("k",), (), (Link(1, "a"), Link(12, "b, c"))),
    ],
)
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    assert read_note(note.render()) == note


def test_a_note_keeps_its_lines_and_items_apart() -> None:
    note = read_note(Note("Mill", "One\nline.", ("a; b", " ", "c\nd"), ()).render())
    assert (note.context, note.keywords) == ("One line.", ("a, b", "c d"))


def test_a_text_that_is_no_note_is_a_content() -> None:
    assert read_note("Mill\nThe mill.") == Note("Mill\nThe mill.")


def test_a_link_is_called_by_the_first_words_of_its_note() -> None:
    assert link_to(4, "River Orlen\nIt flows.") == Link(4, "River Orlen")
    assert link_to(4, " ".join("abcdefghijklmnop")).title == "a b c d e f g h i j k l"


def test_bad_arguments_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match="k=-1: expected an int from 0 to 32"):
        a_mem(k=-1)
    with pytest.raises(ValueError, match="answer_k=0: expected an int from 1 to 32"):
        a_mem(answer_k=0)
