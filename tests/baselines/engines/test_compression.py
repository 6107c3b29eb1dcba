"""Compression keeps what the questions ask about, in reading order, within the budget."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.baselines.engines.rules.compression import compress
from atommem_env.text import PieceTokenizer

TOKENIZER = PieceTokenizer()
CHUNK = (
    "Document 1:\nOld Mill\nThe old mill grinds barley. It was built by Jonas Falk in 1820. It rains often.\n\n"
    "Document 2:\nJonas Falk\nJonas Falk was a mason. He liked tea.\n\n"
    "Document 3:\nTea\nTea is a drink."
)


def test_the_sentences_about_a_question_stay_under_their_titles() -> None:
    memory = compress(["Who built the old mill?"], "", CHUNK, 60, TOKENIZER)
    assert memory.startswith("Old Mill\n")
    assert "It was built by Jonas Falk in 1820." in memory
    assert "Tea is a drink." not in memory


def test_what_shares_no_word_with_a_question_is_left_out_even_where_there_is_room() -> None:
    assert compress(["Where is Zanzibar?"], "", CHUNK, 1000, TOKENIZER) == ""


def test_a_small_budget_keeps_the_best_sentence_alone() -> None:
    memory = compress(["Who was the mason Jonas Falk?"], "", CHUNK, 11, TOKENIZER)
    assert memory == "Jonas Falk\nJonas Falk was a mason."


def test_memory_and_chunk_are_one_text_in_reading_order() -> None:
    first = compress(["Who built the old mill?", "What is tea?"], "", CHUNK, 200, TOKENIZER)
    later = "Document 4:\nNew Mill\nThe new mill was built in 1900."
    second = compress(["Who built the old mill?", "What is tea?"], first, later, 300, TOKENIZER)
    assert second.index("Old Mill") < second.index("Tea is a drink.") < second.index("New Mill")
    assert second.count("The old mill grinds barley.") == 1


def test_reading_the_same_chunk_again_changes_nothing() -> None:
    questions = ["Who built the old mill?"]
    once = compress(questions, "", CHUNK, 200, TOKENIZER)
    assert compress(questions, once, CHUNK, 200, TOKENIZER) == once


lines = st.lists(
    st.sampled_from(["Old mill.", "A tea. And more tea.", "Jonas\nFalk built 20 mills.", "", "\n\n"]),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(lines.map("\n\n".join), st.one_of(lines.map("\n\n".join), st.text(max_size=80)), st.integers(0, 40))
def test_the_budget_is_never_exceeded(memory: str, chunk: str, budget: int) -> None:
    kept = compress(["Who built the old mill?", "tea"], memory, chunk, budget, TOKENIZER)
    assert TOKENIZER.count(kept) <= budget
