"""Tasks are functions of data and index: grouping, sampling, shuffling, chunking."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env import QADataset
from atommem_env.tasks.chunking import cut_chunks
from atommem_env.tasks.pooled import PooledTasks
from atommem_env.tasks.task import check_num_questions
from atommem_env.text import PieceTokenizer
from small_data import dataset, records

DATA = dataset(40)
BIG = dataset(3000, distractors=0)


def tasks(data: QADataset = DATA, **kwargs: Any) -> PooledTasks:
    return PooledTasks(
        data, **{"num_docs": 30, "num_questions": 3, "chunk_tokens": 100, "chunk_overlap": 10, **kwargs}
    )


def test_an_epoch_uses_every_question_at_most_once_and_the_next_regroups_them() -> None:
    sequence = tasks(BIG, num_questions=(1, 10), num_docs=40)
    epochs = []
    for epoch in range(2):
        first = epoch * sequence.num_tasks
        groups = [
            tuple(question.row for question in sequence._questions(index))
            for index in range(first, first + sequence.num_tasks)
        ]
        rows = [row for group in groups for row in group]
        assert len(rows) == len(set(rows))
        assert len(rows) > 3000 - 10
        epochs.append(groups)
    assert [len(group) for group in epochs[0]] == [len(group) for group in epochs[1]]
    assert epochs[0] != epochs[1]
    assert len({*epochs[0]} & {*epochs[1]}) < 0.3 * len(epochs[0])


def test_the_papers_weights() -> None:
    sequence = tasks(BIG, num_questions=(1, 10), num_docs=40)
    sizes = Counter(len(sequence._questions(index)) for index in range(sequence.num_tasks))
    assert 0.44 < sizes[1] / sequence.num_tasks < 0.56
    assert set(sizes) == set(range(1, 11))
    for size in range(2, 11):
        assert 0.02 < sizes[size] / sequence.num_tasks < 0.10


@given(st.integers(1, 40), st.integers(1, 10), st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_a_last_group_that_falls_short_is_dropped(count: int, low: int, more: int) -> None:
    high = min(10, low + more)
    data = _OF_SIZE(count)
    if count < low:
        with pytest.raises(ValueError, match=f"only {count} questions"):
            tasks(data, num_docs=1, num_questions=(low, high))
        return
    sequence = tasks(data, num_docs=1, num_questions=(low, high))
    used = int(sequence._offsets[-1])
    assert sequence.num_tasks >= 1
    assert used <= count
    assert all(low <= size <= high for size in np.diff(sequence._offsets))
    assert count - used < high


class _Sizes:
    """Datasets of a wanted number of questions, made once."""

    def __init__(self) -> None:
        self._made: dict[int, QADataset] = {}

    def __call__(self, count: int) -> QADataset:
        if count not in self._made:
            self._made[count] = dataset(count, distractors=0)
        return self._made[count]


_OF_SIZE = _Sizes()


def test_an_int_means_always_that_many() -> None:
    assert {len(tasks(num_questions=4).build(index).questions) for index in range(20)} == {4}


@pytest.mark.parametrize(
    "wrong", [0, 11, -1, True, 1.5, "2", None, (1,), (1, 2, 3), (3, 2), (0, 4), (1, 11), [1, None]]
)
def test_num_questions_is_checked(wrong: object) -> None:
    with pytest.raises(ValueError, match="num_questions="):
        check_num_questions(wrong)
    assert check_num_questions([2, 5]) == (2, 5)


def test_documents_hold_the_questions_own_and_no_title_or_text_twice() -> None:
    sequence = tasks()
    for index in range(30):
        task = sequence.build(index)
        assert len(task.documents) == 30
        rows = dict.fromkeys(task.documents)
        for question in task.questions:
            assert all(DATA.document(row) in rows for row in question.documents)
        assert len({document.title for document in task.documents}) == 30
        assert len({document.text for document in task.documents}) == 30


def test_more_documents_contain_the_fewer() -> None:
    for index in range(10):
        small, medium, large = (set(tasks(num_docs=n).build(index).documents) for n in (8, 30, 120))
        assert small <= medium <= large
        assert tasks(num_docs=8).build(index).questions == tasks(num_docs=120).build(index).questions


def test_distractors_are_dropped_before_gold() -> None:
    for index in range(20):
        task = tasks(num_docs=6).build(index)
        for question in task.questions:
            assert {DATA.document(row) for row in question.gold} <= set(task.documents)


def test_own_paragraphs_that_share_a_title_stay_and_sampled_ones_do_not() -> None:
    rows = records(20, distractors=0)
    rows[0]["documents"].append(
        {"title": rows[0]["documents"][0]["title"], "text": "Another text of that title."}
    )
    others = [
        {"title": row["documents"][0]["title"], "text": f"Same title, text {n}."}
        for n, row in enumerate(rows)
    ]
    others += [{"title": f"New title {n}", "text": row["documents"][0]["text"]} for n, row in enumerate(rows)]
    data = QADataset.from_records(rows, documents=others, name="titles")
    sequence = tasks(data, num_questions=1, num_docs=20)
    repeats = 0
    for index in range(sequence.num_tasks):
        task = sequence.build(index)
        titles = Counter(document.title for document in task.documents)
        own = task.questions[0].row == 0
        assert sum(count - 1 for count in titles.values()) == (1 if own else 0)
        assert len({document.text for document in task.documents}) == 20
        repeats += own
    assert repeats == 1


def test_a_pool_that_is_too_small_is_an_error_with_the_numbers() -> None:
    rows = records(3, distractors=0)
    data = QADataset.from_records(rows, documents=[{"title": "Same", "text": f"Text {n}."} for n in range(9)])
    with pytest.raises(ValueError, match="has only 15 paragraphs"):
        tasks(data, num_docs=16, num_questions=1)
    with pytest.raises(ValueError, match=r"num_docs=12: .* pass num_docs=7 or less"):
        tasks(data, num_docs=12, num_questions=1).build(0)
    assert len(tasks(data, num_docs=7, num_questions=1).build(0).documents) == 7


def test_positions_of_gold_vary() -> None:
    sequence = tasks(num_docs=30, num_questions=1)
    places = [unit.document for index in range(60) for unit in sequence.build(index).units]
    assert len(set(places)) > 20


def test_units_are_where_they_say() -> None:
    for index in range(10):
        task = tasks().build(index)
        assert len(task.units) == 6
        for unit in task.units:
            title, text = task.documents[unit.document]
            assert task.unit_text(unit) in text
            assert f"Document {unit.document + 1}:\n{title}\n{text}" in task.text


def test_the_text_is_the_documents_joined_by_blank_lines() -> None:
    task = tasks().build(0)
    expected = "\n\n".join(
        f"Document {n}:\n{title}\n{text}" for n, (title, text) in enumerate(task.documents, 1)
    )
    assert task.text == expected


def test_the_stored_token_counts_equal_counting_the_text() -> None:
    built_in, counted = tasks(), tasks(tokenizer=PieceTokenizer())
    for index in range(10):
        ours, theirs = built_in.build(index), counted.build(index)
        assert (ours.chunks, ours.chunk_sizes) == (theirs.chunks, theirs.chunk_sizes)
        for number, size in enumerate(ours.chunk_sizes):
            assert PieceTokenizer().count(ours.chunk(number)) == size


@given(st.integers(1, 200), st.integers(1, 50), st.data())
def test_chunks_follow_the_rule(total: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    starts = np.arange(0, 3 * total, 3, dtype=np.int32)
    spans, sizes = cut_chunks(starts, 3 * total, size, overlap)
    for number, ((start, end), count) in enumerate(zip(spans, sizes, strict=True)):
        first = number * (size - overlap)
        assert start == 3 * first
        assert end == min(3 * (first + size), 3 * total)
        assert 1 <= count <= size
    assert spans[-1][1] == 3 * total
    assert len(spans) == 1 or spans[-2][1] < 3 * total


def test_the_same_bytes_for_the_same_index() -> None:
    first, second = tasks().build(17), tasks(dataset(40)).build(17)
    assert (first.id, first.text, first.units) == (second.id, second.text, second.units)
    assert tasks(dataset(41)).build(17).id != first.id
    with pytest.raises(ValueError, match="task_index=-1"):
        tasks().build(-1)
