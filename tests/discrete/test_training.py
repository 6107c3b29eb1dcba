"""What a training needs besides a trainer: held-out questions, lessons and scores."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from atommem_env import DiscreteOperations, QADataset
from atommem_env.discrete.training import (
    is_held_out,
    lessons,
    operations_per_step,
    play,
    scores,
    split,
)
from small_data import dataset, records


def make(source: QADataset, reward: str = "evidence") -> DiscreteOperations:
    env = gym.make(
        "AtomMem-Custom-v0", source=source, capacity=4, num_docs=12, num_questions=2, chunk_tokens=150
    )
    return DiscreteOperations(env, reward=reward)


def first(_: object, masks: np.ndarray) -> int:
    """Skip while reading, and look before an answer."""
    return int(np.flatnonzero(masks)[0])


def eager(_: object, masks: np.ndarray) -> int:
    """Create while there is room."""
    return 1 if masks[1] else int(np.flatnonzero(masks)[0])


def ids(part: QADataset) -> set[str]:
    return {part.question(row).id for row in range(part.num_questions)}


def test_a_fifth_of_the_questions_is_held_out_by_the_hash_of_their_ids() -> None:
    whole = dataset(60)
    fit, held_out = split(whole)
    assert ids(fit) | ids(held_out) == ids(whole)
    assert ids(held_out) == {id for id in ids(whole) if is_held_out(id)}
    assert 4 <= held_out.num_questions <= 20
    assert not is_held_out("q0")
    assert is_held_out("q28")


def test_a_part_has_the_paragraphs_of_its_questions_alone_and_says_what_it_is() -> None:
    whole = dataset(60)
    fit, held_out = split(whole)
    assert fit.source.startswith("records:towns[fit]#")
    assert held_out.source.startswith("records:towns[held-out]#")
    assert (fit.name, fit.split) == (whole.name, whole.split)
    assert fit.hash != held_out.hash != whole.hash
    own = {
        document
        for row in range(held_out.num_questions)
        for document in held_out.documents(held_out.question(row).documents)
    }
    assert {held_out.document(row) for row in range(held_out.num_paragraphs)} == own
    assert held_out.part(range(held_out.num_questions), "again").hash == held_out.hash


def test_too_few_questions_to_hold_some_out_are_an_error() -> None:
    few = QADataset.from_records([record for record in records() if not is_held_out(record["id"])][:2])
    with pytest.raises(ValueError, match="2 questions are too few"):
        split(few)
    with pytest.raises(ValueError, match="expected the positions of questions"):
        few.part([], "none")
    with pytest.raises(IndexError):
        few.part([7], "none")


def test_a_lesson_tells_what_each_text_there_is_good_for() -> None:
    env = make(dataset())
    given = list(lessons(env, eager, 0))
    assert len(given) == 12
    questions = 2
    documents = np.array([lesson.serves[0] for lesson in given])
    assert documents.shape == (12, questions)
    assert (documents.sum(0) >= 2).all(), "each question rests on two documents"
    assert documents.sum() < 8
    for number, lesson in enumerate(given):
        assert lesson.there.tolist() == [1, *[float(slot < number) for slot in range(4)]]
        stored = documents[: min(number, 4)]
        np.testing.assert_array_equal(lesson.serves[1 : 1 + len(stored)], stored)
        assert not lesson.serves[1 + len(stored) :].any()
        assert env.observation_space.contains(lesson.view)


def test_scores_are_means_over_the_first_tasks() -> None:
    env = make(dataset())
    found = scores(env, eager, 3)
    episodes = [play(env, eager, index) for index in range(3)]
    assert found["tasks"] == 3
    assert found["kept"] == pytest.approx(np.mean([episode.share("kept") for episode in episodes]))
    assert found["return"] == pytest.approx(found["kept"])
    assert found["em"] == pytest.approx(np.mean([episode.metrics["em"] for episode in episodes]))
    assert scores(env, first, 3)["kept"] == 0
    assert scores(env, first, 1000)["tasks"] == env.get_wrapper_attr("num_tasks")


def test_operations_are_counted_by_step() -> None:
    episode = play(make(dataset()), eager, 0)
    counted = operations_per_step(episode.metrics)
    steps = episode.metrics["steps"]
    assert {kind: round(share * steps, 6) for kind, share in counted.items()} == {
        "create": 4,
        "read": 2,
        "update": 0,
        "delete": 0,
        "answer": 2,
    }
