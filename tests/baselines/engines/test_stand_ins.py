"""What the rules engine does where systems ask a language model: simple, stated rules."""

from __future__ import annotations

import pytest

from atommem_env.baselines.engines.engine import Abilities, CoreEdit, Edit, NeighbourEdit, State
from atommem_env.baselines.engines.rules.rules import RulesEngine
from atommem_env.baselines.notes import Note
from atommem_env.text import PieceTokenizer

RULES: Abilities = RulesEngine()  # type: ignore[assignment]  # it has all but chat

MILL = "Mill\nThe mill was built by Jo Falk. It has a wheel."
FALK = "Jo Falk\nJo Falk was born in Duluth. He painted harbours."
TEA = "Tea\nTea is a drink."
CHUNK = f"Document 1:\n{MILL}\n\nDocument 2:\n{FALK}\n\nDocument 3:\n{TEA}"


# --- Generative Agents ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "importance"),
    [
        ("it rained a little", 1),
        ("the mill of Jo Falk has 2 wheels", 3),
        ("Ada Bram Cleo Dirk Elin Finn Gwen Hugo Iris Joss 1 2 3", 10),
    ],
)
def test_importance_counts_capitals_and_digits_from_1_to_10(text: str, importance: int) -> None:
    assert RULES.rate_importance(text) == importance


def test_focal_questions_are_about_the_names_that_most_texts_hold() -> None:
    assert RULES.focal_questions([MILL, FALK, TEA], 2) == [
        "What is known about Jo Falk?",
        "What is known about Mill?",
    ]


def test_insights_are_sentences_that_overlap_with_the_question_and_name_their_text() -> None:
    (insight,) = RULES.insights("What is known about Duluth?", [MILL, FALK, TEA], 5)
    assert insight.text == "Jo Falk\nJo Falk was born in Duluth."
    assert insight.evidence == (1,)
    assert len(RULES.insights("What about Jo Falk?", [MILL, FALK, TEA], 1)) == 1
    assert RULES.insights("What is known about Zanzibar?", [MILL, FALK], 5) == []


# --- Mem0 -------------------------------------------------------------------------------------------


def test_facts_are_the_sentences_under_their_titles_each_once() -> None:
    assert RULES.extract_facts([], CHUNK + "\n\nDocument 4:\nTea\nTea is a drink.") == [
        "Mill\nThe mill was built by Jo Falk.",
        "Mill\nIt has a wheel.",
        "Jo Falk\nJo Falk was born in Duluth.",
        "Jo Falk\nHe painted harbours.",
        "Tea\nTea is a drink.",
    ]
    assert RULES.extract_facts([], "the end of a sentence. And another.") == [
        "the end of a sentence.",
        "And another.",
    ]


ENTRIES = ["Tea\nTea is a drink.", "Jo Falk\nJo Falk was born in Duluth in 1900."]


@pytest.mark.parametrize(
    ("fact", "kind", "entry"),
    [
        ("jo falk: Jo Falk was born in DULUTH, in 1900!", "none", 1),  # the same, normalised
        ("Jo Falk was born in Duluth in about 1900.", "none", 1),  # 7 of 8 words: Jaccard above 0.8
        ("Jo Falk\nJo Falk was born in Oslo.", "update", 1),  # the same relation, another place
        ("Jo Falk\nHe was born in Oslo.", "update", 1),  # a pronoun stands for the title
        ("Jo Falk was not born in Duluth in 1900.", "delete", 1),  # denied
        ("Jo Falk was never born in Duluth in 1900.", "delete", 1),
        ("Jo Falk died in Duluth in 1980.", "add", None),  # another relation
        ("Ada Vale\nAda Vale was born in Oslo.", "add", None),  # of another thing
        ("Tea\nTea is a Chinese plant.", "add", None),  # "is a" says nothing yet
        ("Jo Falk was not born in Oslo.", "add", None),  # denies what nobody said
    ],
)
def test_a_fact_is_added_updates_deletes_or_changes_nothing(fact: str, kind: str, entry: int | None) -> None:
    assert RULES.decide_edits([fact], ENTRIES) == [Edit(kind, fact, entry)]  # type: ignore[arg-type]


def test_there_is_one_decision_for_each_fact_and_without_entries_all_are_added() -> None:
    assert [edit.kind for edit in RULES.decide_edits(["Tea\nTea is a drink.", "New."], ENTRIES)] == [
        "none",
        "add",
    ]
    assert RULES.decide_edits([MILL, FALK], []) == [Edit("add", MILL), Edit("add", FALK)]
    assert RULES.decide_edits([], ENTRIES) == []


@pytest.mark.parametrize("fact", ["", "  ", "...", "x", "\n\n", "The", "Mill\n"])
def test_any_text_is_a_fact(fact: str) -> None:
    (edit,) = RULES.decide_edits([fact], [fact])
    assert edit.kind in ("none", "add")


# --- A-Mem ------------------------------------------------------------------------------------------


def test_a_note_is_described_by_its_names_its_frequent_words_and_its_first_sentence() -> None:
    described = RULES.describe_note(
        "Falk\nJo Falk was born in Duluth. A harbour painter, he left Duluth in 1920."
    )
    assert described.keywords[:3] == ("Falk", "Jo Falk", "Duluth")
    assert described.tags == ("falk", "duluth", "born")
    assert described.context == "Jo Falk was born in Duluth."


def test_a_note_is_linked_to_those_it_names_and_they_are_told() -> None:
    note = Note(MILL, "A mill.", ("Mill",), ("mill",))
    neighbours = [Note(TEA, "Tea.", (), ("drink",)), Note(FALK, "A painter.", (), ("painter",))]
    evolution = RULES.evolve(note.render(), [neighbour.render() for neighbour in neighbours])
    assert evolution.strengthen == (1,)
    assert evolution.tags == ("mill", "painter")
    assert evolution.neighbours == {1: NeighbourEdit(("painter", "mill"), "A painter. See also Mill.")}


def test_a_question_becomes_its_names_and_its_other_content_words() -> None:
    assert RULES.keyword_query("On which river lies the town where Jo Falk was born?") == (
        "Jo Falk river lies town born"
    )
    assert RULES.keyword_query("who is it") == "who is it"


# --- MemoryBank, MEM1, MemGPT -----------------------------------------------------------------------


def test_a_summary_has_sentences_in_order_and_at_most_the_words_asked_for() -> None:
    for words in (0, 5, 12, 40):
        summary = RULES.summarize(CHUNK, words)
        assert len(summary.split()) <= words
        places = [CHUNK.index(line) for line in summary.split("\n") if line]
        assert places == sorted(places)
    assert RULES.summarize(CHUNK, 1000).split() == " ".join([MILL, FALK, TEA]).split()
    assert RULES.summarize(RULES.summarize(CHUNK, 1000), 1000) == RULES.summarize(CHUNK, 1000)


def test_while_reading_the_state_is_what_overlaps_with_the_questions() -> None:
    state = RULES.next_state(None, ["Where was Jo Falk born?"], "", "", [CHUNK], False)
    assert state == State(
        "Mill\nThe mill was built by Jo Falk.\n\nJo Falk\nJo Falk was born in Duluth. He painted harbours."
    )


def test_while_answering_it_searches_for_the_question_then_for_the_names_found_then_answers() -> None:
    question = "Where was the builder of the mill born?"
    first = RULES.next_state(question, [question], "Old\nA line.", "", [], True)
    assert first == State("Old\nA line.", query=question)
    second = RULES.next_state(question, [question], first.state, question, [MILL], True)
    assert second == State(f"{MILL}\n\nOld\nA line.", query="Jo Falk")
    third = RULES.next_state(question, [question], second.state, "Jo Falk", [FALK], True)
    assert third.query is None
    assert third.answer == "Duluth"
    assert RULES.next_state(question, [question], "", "", [], False).answer


def test_core_memory_is_what_overlaps_with_the_questions_and_the_rest_is_archived_verbatim() -> None:
    edit = RULES.manage_core(["What is tea?"], "", CHUNK, 20)
    assert edit == CoreEdit(TEA, (MILL, FALK, TEA))
    assert RULES.manage_core(["What is tea?"], TEA, f"Document 1:\n{MILL}", 20).core is None
    assert PieceTokenizer().count(RULES.manage_core(["Jo Falk mill?"], "", CHUNK, 12).core or "") <= 12


def test_it_answers_once_most_of_the_question_is_covered_and_else_turns_the_page() -> None:
    question = "Where was Jo Falk born?"
    assert RULES.answer_or_search(question, [MILL], "") is None
    assert RULES.answer_or_search(question, [], "") is None
    assert RULES.answer_or_search(question, [MILL, FALK], "") == "Duluth"
    assert RULES.answer_or_search(question, [], FALK) == "Duluth"
