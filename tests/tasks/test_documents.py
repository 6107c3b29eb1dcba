"""Documents are found in chunks and put together again across them."""

from __future__ import annotations

import itertools
import string

from hypothesis import given
from hypothesis import strategies as st

from atommem_env.data.records import Document
from atommem_env.tasks.documents import DocumentStitcher, in_parts, overlap, split_documents
from atommem_env.tasks.pooled import cut_chunks, join_documents
from atommem_env.text import PieceTokenizer

_TEXT = st.text(alphabet=string.ascii_letters + "  .,é東1", min_size=1, max_size=400).map(
    lambda text: " ".join(text.split()) or "x"
)
_LETTERS = st.text(alphabet=string.ascii_lowercase, min_size=3, max_size=8)
_WORDS = st.tuples(
    st.lists(_LETTERS, min_size=1, max_size=3),
    st.lists(_LETTERS, min_size=1, max_size=60),
)


def _distinct(documents: list[tuple[list[str], list[str]]]) -> list[tuple[str, str]]:
    """Return titles and texts in which no word comes twice, so that no 16 characters do."""
    codes = map("".join, itertools.product(string.ascii_lowercase, repeat=3))
    return [
        (" ".join([word + next(codes) for word in title]), " ".join([word + next(codes) for word in text]))
        for title, text in documents
    ]


def test_a_chunk_in_the_middle_of_documents() -> None:
    pieces = split_documents("end of one\n\nDocument 4:\nRiver\nIt flows.\n\nDocument 5:\nHi")
    assert pieces == [
        (3, "", "end of one", False, True),
        (4, "River", "It flows.", True, True),
        (5, "Hi", "", True, False),
    ]


def test_a_chunk_inside_one_document_has_no_number() -> None:
    assert split_documents("just some words") == [(None, "", "just some words", False, False)]
    assert split_documents("") == []


def test_a_line_that_looks_like_a_header_out_of_order_is_text() -> None:
    pieces = split_documents("Document 1:\nA\nsee\n\nDocument 7:\nnot one\n\nDocument 2:\nB\nb")
    assert [(piece.number, piece.title) for piece in pieces] == [(1, "A"), (2, "B")]
    assert pieces[0].text == "see\n\nDocument 7:\nnot one"


@given(st.lists(_WORDS, min_size=1, max_size=8).map(_distinct), st.integers(12, 90), st.data())
def test_stitching_gives_back_every_document_once(
    documents: list[tuple[str, str]], size: int, data: st.DataObject
) -> None:
    overlapping = data.draw(st.sampled_from([0, 6, size // 2, size - 1]))
    text, _ = join_documents([Document(*document) for document in documents])
    chunks, _ = cut_chunks(PieceTokenizer().starts(text), len(text), size, overlapping)
    stitcher = DocumentStitcher()
    found = []
    for number, (start, end) in enumerate(chunks):
        found += stitcher.feed(text[start:end], final=number == len(chunks) - 1)
    assert [(document.title, document.text) for document in found] == documents
    assert [document.number for document in found] == list(range(1, len(documents) + 1))


def test_a_last_chunk_of_one_letter_is_new_text_though_the_text_before_ends_in_it() -> None:
    stitcher = DocumentStitcher()
    assert stitcher.feed("Document 1:\nA\naaaaaaaa", final=False) == []
    assert stitcher.feed("a", final=True) == [(1, "A", "aaaaaaaaa")]


@given(_TEXT, _TEXT)
def test_overlap_is_a_suffix_and_a_prefix(left: str, right: str) -> None:
    length = overlap(left, right)
    assert length == 0 or left.endswith(right[:length])
    assert length < len(right)
    assert overlap(left + right, right + "x") == (len(right) if len(right) >= 16 else 0)


def test_a_text_that_fits_stays_whole_and_another_is_cut_between_sentences() -> None:
    text = "One is short.  Two is short. Three is a little longer. Four."
    assert in_parts(text, lambda part: len(part) <= 100) == [text]
    parts = in_parts(text, lambda part: len(part) <= 27)
    assert parts == ["One is short. Two is short.", "Three is a little longer.", "Four."]
    assert in_parts(text, lambda part: False) == [
        "One is short.",
        "Two is short.",
        "Three is a little longer.",
        "Four.",
    ]
