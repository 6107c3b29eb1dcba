"""What a trainer knows of the texts: which hold the evidence, what memory holds of it, what a look would show."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from atommem_env import DiscreteOperations
from atommem_env.discrete.gold import EvidenceHeld
from atommem_env.discrete.notes import Note, Notes
from atommem_env.discrete.training import play
from small_data import dataset

QUESTIONS = ["Who built the tower of Ambry?", "Where was Elin Vale born?", "Which hall is oldest?"]
TEXTS = [
    ("Ambry", "The tower of Ambry was built by Hugo Marsh in 1850."),
    ("Elin Vale", "Elin Vale was born in Corvane."),
    ("Hugo Marsh", "This mason came from Glenmoor to raise a tower of granite."),
    ("Farrowby", "Farrowby is a market town."),
]


def evidence(*sentences: str) -> dict[str, Any]:
    return {"answers": ["-"], "evidence": [{"title": "", "text": text, "sentence": ""} for text in sentences]}


def taken(top_k: int = 6) -> tuple[EvidenceHeld, list[Note]]:
    gold = [evidence(TEXTS[0][1], TEXTS[2][1]), evidence(TEXTS[1][1]), evidence()]
    known, notes = EvidenceHeld(gold, QUESTIONS, top_k=top_k), Notes(QUESTIONS)
    made = [notes.take(title, text) for title, text in TEXTS]
    for note, (title, text) in zip(made, TEXTS, strict=True):
        known.take(note, f"{title}\n{text}")
    return known, made


def test_a_text_serves_the_questions_whose_evidence_it_holds() -> None:
    known, notes = taken()
    assert [known.serves(note).tolist() for note in notes] == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_what_is_held_is_the_mean_over_the_questions_that_have_evidence() -> None:
    known, (ambry, elin, hugo, farrowby) = taken()
    assert known.held([]) == known.held([None, farrowby]) == 0
    assert known.held([ambry, None]) == 0.25
    assert known.held([ambry, hugo]) == 0.5
    assert known.held([elin, hugo]) == 0.75
    assert known.held([ambry, elin, hugo, farrowby]) == 1


def test_what_a_look_would_show_depends_on_what_else_is_held() -> None:
    known, (ambry, elin, hugo, farrowby) = taken(top_k=1)
    assert known.read([hugo, farrowby]) == 0.25
    assert known.read([ambry, hugo]) == 0.25, "one entry is shown, and the question has two"
    assert known.read([ambry, elin, hugo]) == 0.75
    assert known.read([None, elin]) == 0.5


def test_what_was_not_shown_of_an_answered_question_is_lost() -> None:
    known, (ambry, elin, hugo, _) = taken()
    held = [ambry, elin, hugo]
    known.see(0, [ambry])
    assert [known.read(held, answered) for answered in range(3)] == [1, 0.75, 0.25]


@pytest.mark.parametrize(("reward", "stage"), [("evidence", "kept"), ("read", "read")])
def test_the_rewards_of_an_episode_add_up_to_its_share_of_the_funnel(reward: str, stage: str) -> None:
    env = gym.make(
        "AtomMem-Custom-v0", source=dataset(), capacity=6, num_docs=12, num_questions=2, chunk_tokens=150
    )
    wrapped = DiscreteOperations(env, reward=reward)
    generator = np.random.default_rng(0)
    for index in range(5):
        episode = play(wrapped, lambda _, masks: int(generator.choice(np.flatnonzero(masks))), index)
        assert episode.share(stage) == pytest.approx(episode.reward, abs=1e-9)
