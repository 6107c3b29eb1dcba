"""Documents are found in chunks and put together again across them."""

from __future__ import annotations

import itertools
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.data.dataset import QADataset
from atommem_env.data.records import Document
from atommem_env.tasks.chunking import cut_chunks
from atommem_env.tasks.documents import (
    DocumentPiece,
    DocumentStitcher,
    StitchedDocument,
    escape,
    escape_offset,
    in_parts,
    join_documents,
    overlap,
    session_header,
    split_documents,
    unescape,
)
from atommem_env.tasks.history import HistoryTasks
from atommem_env.tasks.turns import Turn, read_turns, speaker_problem, turn_offset, turn_spans, write_turns
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
        DocumentPiece(3, "", "end of one", False, True),
        DocumentPiece(4, "River", "It flows.", True, True),
        DocumentPiece(5, "Hi", "", True, False),
    ]


def test_a_chunk_inside_one_document_has_no_number() -> None:
    assert split_documents("just some words") == [DocumentPiece(None, "", "just some words", False, False)]
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
    assert stitcher.feed("a", final=True) == [StitchedDocument(1, "A", "aaaaaaaaa")]


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


# Lines that are, or look like, headers; and what may stand around them.
_LINE = st.one_of(
    st.sampled_from(
        [
            "Document 1:", "Document 2:", "Document 3:", "\\Document 2:", "\\\\Document 12:", "Document 1: x",
            "Session 1:", "Session 2 (9 May 2023):", "\\Session 2:", "", "  ", " Document 2:", "Document 02:",
            "Document ٣:", "\\", "Ann: hello", "12. A fact.",
        ]
    ),
    st.text(max_size=12).map(lambda text: text.replace("\n", "")),
)  # fmt: skip
_ANY_TEXT = st.lists(_LINE, max_size=6).map("\n".join)
_ANY_SPEAKER = st.one_of(
    st.just(""), st.text(max_size=9).filter(lambda name: not speaker_problem(name)), st.just("Ann")
)
_ANY_SESSION = st.tuples(
    st.text(max_size=12).map(lambda date: date.replace("\n", "")),
    st.lists(st.builds(Turn, _ANY_SPEAKER, _ANY_TEXT, st.just("")), max_size=5).map(tuple),
)


@given(st.lists(st.tuples(_LINE, _ANY_TEXT), min_size=1, max_size=5))
def test_any_documents_are_found_in_their_text(documents: list[tuple[str, str]]) -> None:
    text, starts = join_documents(documents)
    pieces = split_documents(text)
    assert [(piece.number, piece.title, piece.text) for piece in pieces] == [
        (number, *document) for number, document in enumerate(documents, 1)
    ]
    assert all(text[start:].startswith(f"Document {n}:\n") for n, start in enumerate(starts, 1))


@given(st.lists(_ANY_SESSION, min_size=1, max_size=5))
def test_any_sessions_are_found_in_their_text(sessions: list[tuple[str, tuple[Turn, ...]]]) -> None:
    text = "\n\n".join(
        session_header(number, date) + write_turns(turns) for number, (date, turns) in enumerate(sessions, 1)
    )
    pieces = split_documents(text)
    assert [(piece.number, piece.date, piece.turns) for piece in pieces] == [
        (number, *session) for number, session in enumerate(sessions, 1)
    ]
    assert [piece.title for piece in pieces] == [f"Session {n + 1}" for n in range(len(sessions))]


@given(st.lists(st.builds(Turn, _ANY_SPEAKER, _ANY_TEXT, st.just("")), max_size=5))
def test_a_turns_span_is_its_own_text(turns: list[Turn]) -> None:
    text = write_turns(turns)
    for turn, (start, end) in zip(turns, turn_spans(turns), strict=True):
        assert read_turns(text[start:end] or "\\") == (turn,)
        for offset, sign in enumerate(turn.text):
            assert text[start + turn_offset(turn, offset)] == sign


@given(_ANY_TEXT, st.data())
def test_an_offset_is_moved_by_the_backslashes_before_it(text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    place = escape_offset(text, offset)
    assert unescape(escape(text)) == text
    assert unescape(escape(text)[:place]).startswith(text[:offset].rpartition("\n")[0])
    assert offset == len(text) or escape(text)[place] == text[offset]


def test_a_text_without_a_header_keeps_its_bytes() -> None:
    text = "See Document 2: it says so.\nDocument 3: no.\n\\Not one\nSession 4 was long."
    assert escape(text) == text


def test_a_header_of_five_thousand_digits_is_text() -> None:
    line = f"Document {'7' * 5000}:"
    text, _ = join_documents([("A", f"{line}\n\n{line}\nx"), (line, "b")])
    assert text.count("\\") == 0
    assert [(piece.title, piece.text) for piece in split_documents(text)] == [
        ("A", f"{line}\n\n{line}\nx"),
        (line, "b"),
    ]


def test_a_false_header_in_a_title_makes_no_document() -> None:
    text, _ = join_documents([("Document 2:", "a"), ("B", "Document 3:\nb")])
    assert text == "Document 1:\n\\Document 2:\na\n\nDocument 2:\nB\n\\Document 3:\nb"
    assert len(split_documents(text)) == 2


def test_the_parts_of_a_session_that_was_cut() -> None:
    first = split_documents("Session 3 (9 May 2023):\nAnn: hi\nBen: a list\n  - one\n")
    assert first == [
        (3, "Session 3", "Ann: hi\nBen: a list\n- one\n", True, False, "9 May 2023",
         (Turn("Ann", "hi"), Turn("Ben", "a list\n- one\n"))),
    ]  # fmt: skip
    (rest,) = split_documents("Ann: bye\nBen: see you\n\n")
    assert (rest.number, rest.start_complete, rest.end_complete) == (None, False, True)
    assert rest.turns == (Turn("Ann", "bye"), Turn("Ben", "see you"))


def test_sessions_are_complete_when_their_chunk_ends_them() -> None:
    stitcher = DocumentStitcher()
    (one,) = stitcher.feed("Session 1 (May 9):\nAnn: hi\n\n", final=False)
    assert one == (1, "Session 1", "Ann: hi", "May 9", (Turn("Ann", "hi"),))
    assert stitcher.feed("Session 2:\nAnn: a\n", final=False) == []
    (two,) = stitcher.feed("Ben: b", final=True)
    assert two.turns == (Turn("Ann", "a"), Turn("Ben", "b"))


WORDS = st.text("ab c\n", min_size=1, max_size=12).filter(lambda text: text == text.strip())


@settings(max_examples=10)
@given(st.lists(WORDS, min_size=1, max_size=9), st.integers(20, 60))
def test_turns_are_handed_out_as_they_are_complete(texts: list[str], size: int) -> None:
    turns = [f"{number}. {text}" for number, text in enumerate(texts)]
    asked = [{"question": "?", "answer": "x"}]
    history = {"id": "facts", "sessions": [{"turns": turns}, {"turns": turns}], "questions": asked}
    task = HistoryTasks(QADataset.from_histories([history], name="facts"), chunk_tokens=size).build(0)
    stitcher = DocumentStitcher(turns=True)
    told = []
    for number in range(len(task.chunks)):
        documents = stitcher.feed(task.chunk(number), number == len(task.chunks) - 1)
        told.append([turn.text for document in documents for turn in document.turns])
    assert [text for chunk in told for text in chunk] == turns + turns
