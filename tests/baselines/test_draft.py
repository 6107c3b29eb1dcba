"""A draft follows what its own operations do to the entries, and picks the nearest."""

from __future__ import annotations

from typing import Any

from atommem_env.baselines.draft import Draft
from atommem_env.core.operations import Create, Delete, Update


def shown(id: int, content: str, query: int) -> dict[str, Any]:
    return {"id": id, "content": content, "score": 1.0, "query": query}


def test_operations_are_kept_in_order_and_a_new_entry_has_its_id_at_once() -> None:
    draft = Draft(7, [shown(2, "old", 0)])
    assert draft.create("first") == 7
    assert draft.create("second") == 8
    draft.update(7, "first, better")
    draft.update(2, "new")
    draft.delete(8)
    assert draft.operations == [
        Create("first"),
        Create("second"),
        Update(7, "first, better"),
        Update(2, "new"),
        Delete(8),
    ]
    assert {id: draft[id] for id in draft.ids} == {2: "new", 7: "first, better"}
    assert draft.num_created == 2


def test_an_operation_on_an_unknown_entry_is_kept_for_the_environment_to_refuse() -> None:
    draft = Draft(1)
    draft.update(5, "x")
    draft.delete(6)
    assert draft.operations == [Update(5, "x"), Delete(6)]
    assert draft.ids == []


def test_the_nearest_share_the_largest_part_of_their_words() -> None:
    entries = [
        shown(1, "mill", 0),
        shown(2, "mill river stone bridge harbour", 0),
        shown(3, "mill river", 0),
    ]
    draft = Draft(4, entries)
    assert draft.nearest(0, "The mill on the river", 2) == [3, 1]
    assert draft.nearest(0, "The mill on the river", 9) == [3, 1, 2]


def test_hits_of_the_own_query_are_candidates_without_a_shared_word_others_are_not() -> None:
    draft = Draft(9, [shown(1, "a painter", 0), shown(2, "an artist", 1), shown(3, "a mill", 0)])
    assert draft.nearest(1, "mill", 9) == [3, 2]


def test_what_only_a_later_query_found_is_not_near() -> None:
    draft = Draft(9, [shown(1, "a mill", 0), shown(2, "the mill", 1)])
    assert draft.nearest(0, "mill", 9) == [1]


def test_entries_made_or_changed_in_the_same_action_count_as_they_now_stand() -> None:
    draft = Draft(9, [shown(1, "a mill", 0)])
    made = draft.create("the river")
    assert draft.nearest(0, "river", 9) == [made, 1]
    draft.update(1, "a river")
    assert draft.nearest(0, "river", 9) == [1, made]
    draft.delete(1)
    assert draft.nearest(0, "river", 9) == [made]
    assert draft.nearest(0, "stone", 9) == []
