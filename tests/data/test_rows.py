"""How a row's fields are checked and its sentences joined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env.data.benchmark import resolve_split
from atommem_env.data.rows import DocumentList, join_sentences, pairs, shorten, structured, text_field


def test_sentences_that_bring_their_own_space_are_joined_as_they_are() -> None:
    paragraph = join_sentences(["Ambry is a town.", " It has a mill.", " The mill is old."])
    assert paragraph.text == "Ambry is a town. It has a mill. The mill is old."


def test_sentences_without_space_are_not_glued() -> None:
    paragraph = join_sentences(["Ambry is a town.", "It has a mill.", "The mill is old."])
    assert paragraph.text == "Ambry is a town. It has a mill. The mill is old."


def test_a_space_on_the_left_of_a_join_is_enough() -> None:
    assert join_sentences(["One. ", "Two.\n", "Three."]).text == "One. Two.\nThree."


def test_blank_sentences_keep_their_number_and_have_no_span() -> None:
    paragraph = join_sentences(["", "One.", "", "  ", "Two."])
    assert paragraph.text == "One.  Two."
    assert [paragraph.text[start:end] for start, end in paragraph.spans] == ["", "One.", "", "", "Two."]


def test_no_sentence_at_all_is_an_empty_paragraph() -> None:
    assert join_sentences([]) == ("", ())


@given(st.lists(st.text(alphabet="ab. \n\t\u00a0\u3042", max_size=6), max_size=6))
def test_a_span_is_the_stripped_sentence_in_the_stripped_text(sentences: list[str]) -> None:
    text, spans = join_sentences(sentences)
    assert text == text.strip()
    assert [text[start:end] for start, end in spans] == [sentence.strip() for sentence in sentences]
    assert text.split() == " ".join(sentences).split()


def test_a_document_is_title_and_text() -> None:
    documents = DocumentList()
    assert [documents.add("A", "x"), documents.add("A", "y"), documents.add("A", "x")] == [0, 1, 0]
    assert documents.documents() == (("A", "x"), ("A", "y"))


@pytest.mark.parametrize(
    "value",
    [
        [["A", 1], ["B", 2]],
        {"title": ["A", "B"], "sent_id": [1, 2]},
        [{"title": "A", "sent_id": 1}, {"title": "B", "sent_id": 2}],
    ],
)
def test_list_form_and_column_forms_say_the_same(value: object) -> None:
    assert pairs(value, "facts", "title", ("sent_id",)) == [("A", 1), ("B", 2)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([["A", 1], ["B"]], r"facts\[1\].*expected a pair \[title, sent_id\]"),
        ({"title": ["A"], "sent_id": [1, 2]}, "1 values in 'title' but 2 in 'sent_id'"),
        ({"title": ["A"]}, r"'facts.sent_id' is missing"),
        ({"title": "A", "sent_id": [1]}, r"'facts.title' is 'A' \(str\), expected a list"),
        (7, r"'facts' is 7 \(int\), expected a list"),
    ],
)
def test_a_bad_structured_field_names_the_place(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pairs(value, "facts", "title", ("sent_id",))


def test_a_column_of_json_text_is_decoded() -> None:
    assert structured({"context": '[["A", ["x"]]]'}, "context") == [["A", ["x"]]]
    with pytest.raises(ValueError, match="JSON text"):
        structured({"context": "[[oops"}, "context")


def test_texts_are_cleaned_of_lone_surrogates() -> None:
    assert text_field({"question": "Who\ud800?"}, "question") == "Who\ufffd?"


def test_values_are_shortened_in_errors() -> None:
    assert len(shorten("x" * 10_000)) <= 80
    assert len(shorten(["x" * 10_000] * 100)) <= 80
    assert shorten(["a", 1]) == "['a', 1]"


def test_splits_and_the_name_dev() -> None:
    assert [resolve_split(name) for name in ("train", "dev", "validation", "test")] == [
        "train",
        "validation",
        "validation",
        "test",
    ]
    with pytest.raises(ValueError, match=r"split='eval'.*'train'.*'validation'.*'test'"):
        resolve_split("eval")
