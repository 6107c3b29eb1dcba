"""Passages are read from entries and chunks, and found again by name."""

from __future__ import annotations

from atommem_env.baselines.engines.rules.passages import lookup, mentions, read_passages


def test_an_entry_is_a_title_and_a_text() -> None:
    (passage,) = read_passages(["Lola (1981 film)\nLola is a film. It is long."])
    assert (passage.title, passage.name) == ("Lola (1981 film)", "Lola")
    assert [sentence.text for sentence in passage.sentences] == ["Lola is a film.", "It is long."]


def test_a_text_without_a_title_is_a_passage_too() -> None:
    (passage,) = read_passages(["Just a sentence."])
    assert (passage.title, passage.text) == ("", "Just a sentence.")


def test_a_chunk_is_split_into_its_documents_and_repeats_are_dropped() -> None:
    chunk = "Document 7:\nOne\nFirst text.\n\nDocument 8:\nTwo\nSecond text."
    assert [passage.title for passage in read_passages([chunk, "Two\nSecond text."])] == ["One", "Two"]


def test_the_longest_name_is_mentioned_and_plain_words_are_not() -> None:
    passages = read_passages(["York\nA city.", "New York\nA city.", "It\nA film.", "Dirt\nAn album."])
    found = mentions("Is it dirt that made New York?", passages)
    assert [mention.passage.title for mention in found] == ["New York"]


def test_a_whole_title_is_preferred_among_passages_of_one_name() -> None:
    passages = read_passages(["Lola (song)\nA song.", "Lola (1981 film)\nA film."])
    assert [found.passage.title for found in mentions("Who directed Lola (1981 Film)?", passages)] == [
        "Lola (1981 film)"
    ]


def test_lookup_takes_titles_then_names_then_parts() -> None:
    passages = read_passages(["Ada Maria Holm\nA poet.", "Bo Lark (singer)\nA singer."])
    assert lookup("bo lark", passages) is passages[1]
    assert lookup("Ada Holm", passages) is passages[0]
    assert lookup("Ida Holm", passages) is None
