"""Histories as tasks: sessions in time, chunks that end where sessions and turns do, questions in groups."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env import QADataset
from atommem_env.tasks.documents import DocumentStitcher, split_documents
from atommem_env.tasks.history import HistoryTasks
from atommem_env.tasks.pooled import PooledTasks
from atommem_env.tasks.task import ANSWERING, READING, Position
from atommem_env.text import PieceTokenizer
from small_data import chats

DATA = QADataset.from_histories(chats(4), name="chats")


def tasks(data: QADataset = DATA, **arguments: Any) -> HistoryTasks:
    return HistoryTasks(data, **arguments)


def history(*sessions: list[str], **question: Any) -> dict[str, Any]:
    return {
        "sessions": [
            {"turns": [{"speaker": "Ann", "text": text, "id": f"{n}:{m}"} for m, text in enumerate(texts)]}
            for n, texts in enumerate(sessions)
        ],
        "questions": [{"question": "Who?", "answer": "Ann", **question}],
    }


def test_a_session_is_a_chunk_and_all_questions_are_asked_in_the_files_order() -> None:
    task = tasks().build(0)
    number = next(n for n in range(4) if chats(4)[n]["id"] == task.history)
    made = chats(4)[number]
    assert len(task.chunks) == len(made["sessions"]) == len(task.documents)
    assert [question.question for question in task.questions] == [q["question"] for q in made["questions"]]
    assert "".join(task.chunk(chunk) for chunk in range(len(task.chunks))) == task.text
    for chunk in range(len(task.chunks)):
        (piece,) = split_documents(task.chunk(chunk))
        assert piece.number == chunk + 1
        assert piece.title == task.documents[chunk].title == f"Session {chunk + 1}"
        assert piece.date == task.documents[chunk].date
        assert [turn[:2] for turn in piece.turns] == [turn[:2] for turn in task.documents[chunk].turns]
        assert PieceTokenizer().count(task.chunk(chunk)) == task.chunk_sizes[chunk]


def test_sessions_are_sorted_as_time_and_stably() -> None:
    made = history(["first"], ["second"], ["third"], ["fourth"], evidence=["0:0", "2:0"])
    dates = ["9 May 2023", "10:00 am on 9 May, 2023", "2:00 am on 9 May, 2023", "2023-05-09"]
    for session, date in zip(made["sessions"], dates, strict=True):
        session["date"] = date
    task = tasks(QADataset.from_histories([made])).build(0)
    assert [document.text for document in task.documents] == [
        "Ann: first",
        "Ann: fourth",
        "Ann: third",
        "Ann: second",
    ]
    assert [task.now(Position(READING, number)) for number in range(4)] == [
        "2023-05-09",
        "2023-05-09",
        "2023-05-09T02:00",
        "2023-05-09T10:00",
    ]
    assert [entry["id"] for entry in task.gold()[0]["evidence"]] == ["0:0", "2:0"]  # type: ignore[attr-defined]
    assert [task.unit_text(unit) for unit in task.units] == ["first", "third"]
    assert task.chunk(2).startswith("Session 3 (2:00 am on 9 May, 2023):\nAnn: third")


def test_gold_has_the_turn_its_id_and_its_role() -> None:
    made = history(
        ["I own a cat.", "And\n\na dog."], ["Now I own a fox."], evidence=["1:0"], superseded=["0:1"]
    )
    task = tasks(QADataset.from_histories([made])).build(0)
    evidence: Any = task.gold()[0]["evidence"]
    assert evidence == [
        {
            "title": "Session 2",
            "text": "Now I own a fox.",
            "sentence": "Now I own a fox.",
            "chunks": [1],
            "id": "1:0",
            "role": "supporting",
        },
        {
            "title": "Session 1",
            "text": "And\n\na dog.",
            "sentence": "And\n  \n  a dog.",
            "chunks": [0],
            "id": "0:1",
            "role": "superseded",
        },
    ]


def test_a_long_session_is_cut_between_turns_and_a_long_turn_at_white_space() -> None:
    long = " ".join(f"word{n}" for n in range(60))
    made = history([f"one two three {n}" for n in range(9)], ["short", long, "after"])
    task = tasks(QADataset.from_histories([made]), chunk_tokens=24).build(0)
    assert max(task.chunk_sizes) <= 24
    assert "".join(task.chunk(chunk) for chunk in range(len(task.chunks))) == task.text
    chunks = [task.chunk(chunk) for chunk in range(len(task.chunks))]
    first = [chunk for chunk in chunks if "two" in chunk]
    assert all(
        chunk.startswith(("Session 1:\n", "Ann: ")) and re.search(r"three \d\n$", chunk)
        for chunk in first[:-1]
    )
    middle = [chunk for chunk in chunks if "word" in chunk and "Ann:" not in chunk]
    assert middle
    assert all(chunk.startswith(" word") for chunk in middle)
    for chunk, size in zip(chunks, task.chunk_sizes, strict=True):
        assert PieceTokenizer().count(chunk) == size
    stitcher = DocumentStitcher()
    found = [
        document for n, chunk in enumerate(chunks) for document in stitcher.feed(chunk, n == len(chunks) - 1)
    ]
    assert [document.text for document in found] == [document.text for document in task.documents]


def test_a_long_turn_is_evidence_by_the_sentences_that_its_question_is_about() -> None:
    chat = "I was out all day and then it rained.\n" * 12
    made = history(
        ["hi", f"{chat}My dentist is Doctor Alma Brook. {chat}"], answer="Doctor Alma Brook", evidence=["0:1"]
    )
    task = tasks(QADataset.from_histories([made])).build(0)
    assert [task.unit_text(unit) for unit in task.units] == ["My dentist is Doctor Alma Brook."]


_TEXTS = st.lists(st.text(alphabet="ab \n:é東1.", max_size=60), min_size=1, max_size=6)


@given(st.lists(_TEXTS, min_size=1, max_size=4), st.integers(9, 60), st.sampled_from(["tokens", "document"]))
@settings(deadline=None, max_examples=60)
def test_any_history_is_cut_into_chunks_that_are_its_text(texts: list[list[str]], size: int, by: str) -> None:
    data = QADataset.from_histories([history(*texts)])
    built_in = tasks(data, chunk_tokens=size, chunk_by=by).build(0)
    counted = tasks(data, chunk_tokens=size, chunk_by=by, tokenizer=PieceTokenizer()).build(0)
    assert (built_in.chunks, built_in.chunk_sizes) == (counted.chunks, counted.chunk_sizes)
    chunks = [built_in.chunk(number) for number in range(len(built_in.chunks))]
    assert "".join(chunks) == built_in.text
    assert [PieceTokenizer().count(chunk) for chunk in chunks] == list(built_in.chunk_sizes)
    assert max(built_in.chunk_sizes) <= size
    pieces = split_documents(built_in.text)
    assert [[turn.text for turn in piece.turns] for piece in pieces] == texts


def test_questions_in_groups_that_never_cross_histories() -> None:
    composer = tasks(num_questions=3)
    rows: dict[int, list[int]] = {0: [], 1: []}
    for epoch, found in rows.items():
        for index in range(epoch * composer.num_tasks, (epoch + 1) * composer.num_tasks):
            task = composer.build(index)
            assert len({question.history for question in task.questions}) == 1
            assert 1 <= len(task.questions) <= 3
            found += [question.row for question in task.questions]
    assert sorted(rows[0]) == sorted(rows[1]) == list(range(DATA.num_questions))
    assert rows[0] != rows[1]


def test_a_pair_of_sizes_asks_every_question_once_in_every_epoch() -> None:
    composer = tasks(num_questions=(2, 50))
    for epoch in range(3):
        built = [
            composer.build(index)
            for index in range(epoch * composer.num_tasks, (epoch + 1) * composer.num_tasks)
        ]
        assert sorted(question.row for task in built for question in task.questions) == list(
            range(DATA.num_questions)
        )


def test_the_order_of_an_epoch_is_of_the_histories() -> None:
    orders = {tuple(tasks().build(4 * epoch + n).history for n in range(4)) for epoch in range(20)}
    assert len(orders) > 5
    assert all(sorted(order) == sorted(row["id"] for row in chats(4)) for order in orders)


def test_train_and_validation_are_tenths_and_test_is_all() -> None:
    many = chats(30)
    found = {}
    for split in ("test", "train", "validation"):
        composer = tasks(QADataset.from_histories(many, split=split))
        found[split] = {composer.build(index).history for index in range(composer.num_tasks)}
    assert len(found["test"]) == 30
    assert len(found["train"]) == len(found["validation"]) == 3
    assert not found["train"] & found["validation"]
    with pytest.raises(ValueError, match=r"split='train': .* has only 1 histories"):
        tasks(QADataset.from_histories(chats(1), split="train"))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"num_docs": 50}, "num_docs=50: a history is read whole"),
        ({"chunk_overlap": 5}, "chunk_overlap=5: chunks that are documents have none"),
        ({"chunk_overlap": 5, "chunk_tokens": 5, "chunk_by": "tokens"}, "expected less than chunk_tokens=5"),
        ({"num_questions": 0}, "num_questions=0: expected an int from 1, .*None"),
        ({"chunk_by": "page"}, "chunk_by='page'"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        tasks(**arguments)


def test_a_history_is_not_pooled_and_a_pool_is_no_history() -> None:
    with pytest.raises(ValueError, match="never pooled"):
        PooledTasks(DATA)
    with pytest.raises(ValueError, match="no histories"):
        tasks(QADataset.from_records([{"question": "Who?", "answer": "Ann", "documents": [("A", "Ann")]}]))


def test_a_question_that_is_not_answerable_has_no_answers_and_its_own_date() -> None:
    made = history(["I own a cat."], date="1 June 2023", answerable=False, answer=None)
    task = tasks(QADataset.from_histories([made]), abstain="not mentioned").build(0)
    (question,) = task.questions
    assert (question.answerable, question.answers, question.date) == (False, (), "1 June 2023")
    assert task.now(Position(ANSWERING, 0)) == "2023-06-01"
    assert task.now(Position(READING, 0)) == ""
    assert task.abstain == "not mentioned"
    assert task.positions == ((READING, 0), (ANSWERING, 0))


def test_the_same_in_another_process_and_in_a_part() -> None:
    other = pickle.loads(pickle.dumps(DATA))
    assert (tasks(other).build(1).text, tasks(other).build(1).id) == (
        tasks().build(1).text,
        tasks().build(1).id,
    )
    payload = DATA._payload
    from atommem_env.data.dataset import _from_payload

    assert _from_payload(payload, "chats", "test").hash == DATA.hash
    part = DATA.part([0, 1], "two")
    assert (part.num_questions, part.num_histories) == (2, 1)
    assert part.question(1).turns == DATA.question(1).turns
    assert pickle.loads(pickle.dumps(tasks())).build(2).units == tasks().build(2).units


def test_a_session_that_two_histories_share_is_kept_once() -> None:
    shared = chats(1)[0]["sessions"]
    data = QADataset.from_histories([{**chats(1)[0], "id": str(n), "sessions": shared} for n in range(5)])
    assert data.num_histories == 5
    assert data.num_paragraphs == len(shared)


def test_sizes_of_groups_stay_near_the_papers_weights() -> None:
    many = chats(1)[0]
    many["questions"] = [{"question": f"Q{n}?", "answer": "x"} for n in range(4000)]
    composer = tasks(QADataset.from_histories([many]), num_questions=(1, 4))
    sizes = np.array([len(composer.build(index).questions) for index in range(0, composer.num_tasks, 7)])
    assert 0.4 < (sizes == 1).mean() < 0.6
    assert set(sizes) <= {1, 2, 3, 4}
