"""Choosing what to keep while no question is known: what is seen of a text, and histories turn by turn."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env import DiscreteOperations, QADataset
from atommem_env.discrete.blind import BLIND_FEATURES, BlindComparison, BlindNote, BlindNotes
from atommem_env.discrete.decisions import Decisions
from atommem_env.discrete.gold import EvidenceHeld
from atommem_env.discrete.training import lessons, play
from atommem_env.discrete.wrapper import best_sentence
from atommem_env.tasks.turns import Turn
from atommem_env.text import PieceTokenizer
from small_data import chats, dataset

SAID = [
    ("Ann", "By the way, my dentist is Karl Rim."),
    ("assistant", "That sounds good. Tell me more!"),
    ("Ann", "What is the weather like?"),
    ("Ann", "My new dentist is Mirza Holm since May 2023."),
    ("assistant", "That sounds good. Tell me more!"),
]


def make(**kwargs: Any) -> DiscreteOperations:
    """Return an environment over small chats whose questions are not shown; rewards are for evidence."""
    reward = kwargs.pop("reward", "evidence")
    source = QADataset.from_histories(chats(4), name="chats")
    env = gym.make("AtomMem-Custom-v0", **{"source": source, "capacity": 4, **kwargs})
    return DiscreteOperations(env, reward=reward)


def eager(view: Any, masks: Any) -> int:
    return 1 if masks[1] else int(masks.argmax())


def seen(said: list[tuple[str, str]] = SAID) -> tuple[dict[str, list[float]], list[BlindNote]]:
    """Return the features of turns that are compared with one another, all held, by name."""
    notes = BlindNotes()
    taken = [notes.take("", f"{who}: {text}", Turn(who, text)) for who, text in said]
    every = range(len(taken))
    found = BlindComparison(notes, taken).beside(every, every)[:, 0]
    return {name: found[:, place].tolist() for place, name in enumerate(BLIND_FEATURES)}, taken


def test_a_fact_stands_out_from_small_talk_and_a_newer_one_contradicts_it() -> None:
    found, taken = seen()
    assert min(found["told"][0], found["told"][3]) > max(found["told"][place] for place in (1, 2, 4))
    assert found["contradicted"][0] > 0.2 > max(found["contradicted"][1:])
    assert found["contradicts"][3] > 0.2 > max(found["contradicts"][:3])
    assert taken[0].contradicted == pytest.approx(found["contradicted"][0])
    assert found["like_held"][1] == found["like_held"][4] == pytest.approx(1)
    assert (found["like_newer"][1], found["like_newer"][4] < 1) == (pytest.approx(1), True)
    assert found["least_familiar"][4] == 1
    assert [place for place, value in enumerate(found["first_person"]) if value] == [0, 1, 3, 4]
    assert [place for place, value in enumerate(found["asks"]) if value] == [2]
    assert [place for place, value in enumerate(found["assistant"]) if value] == [1, 4]
    assert found["unread_words"][0] == 1 > found["unread_words"][3] > found["unread_words"][4] == 0
    assert found["since"][0] > found["since"][2] == 0
    assert found["change"][3] == 1
    assert found["numbers"][3] == pytest.approx(1 / 3)


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "Ann", "assistant"]), st.text(max_size=40) | st.just("Ada met Bo.")),
        max_size=8,
    )
)
@settings(max_examples=30, deadline=None)
def test_whatever_is_said_its_features_are_numbers_from_0_to_1(said: list[tuple[str, str]]) -> None:
    found, taken = seen(said)
    values = np.array(list(found.values()))
    assert values.shape == (len(BLIND_FEATURES), len(said))
    assert ((values >= 0) & (values <= 1)).all()
    assert all(
        note.size == PieceTokenizer().count(f"{who}: {text}")
        for note, (who, text) in zip(taken, said, strict=True)
    )


def test_a_note_is_numbers() -> None:
    """No word of a text can be found in its note."""
    note = seen()[1][3]
    for value in (
        note.words,
        note.known,
        *(part for one in note.statements for part in (one.plain, one.values)),
    ):
        assert all(isinstance(number, int) for number in np.ravel(value).tolist())
    assert all(isinstance(value, float) for value in note.own.values())


def test_each_turn_is_offered_once_with_who_said_it_and_when() -> None:
    env = make()
    view, info = env.reset(options={"task_index": 0})
    found = []
    over = False
    while not over:
        assert env.observation_space.contains(view)
        if env.decisions.candidate is not None:
            found.append(env.decisions.candidate)
        view, _, over, _, info = env.step(eager(view, env.action_masks()))
    assert sum(info["metrics"]["refused"].values()) == 0
    sessions = env.env.unwrapped.episode.task.documents
    turns = [(session.date, turn) for session in sessions for turn in session.turns]
    assert found == [f"[{date}] {turn.speaker}: {turn.text}" for date, turn in turns]
    assert view["slots"].shape == (4, 1, len(BLIND_FEATURES))


FACTS = [f"{number}. Ada met Bo{number} of Velden." for number in range(24)]


def offered(limit: int | None) -> list[list[str]]:
    """Return, chunk by chunk, what is offered of a list of facts in the middle of which somebody says something."""
    said = {"speaker": "Ann", "text": "Bo is well.", "id": "a"}
    turns = [{"text": text, "id": str(number)} for number, text in enumerate(FACTS)]
    asked = {"question": "Who?", "answer": "Bo3", "evidence": ["3"]}
    history = {"id": "h", "sessions": [{"turns": [*turns[:12], said, *turns[12:]]}], "questions": [asked]}
    source = QADataset.from_histories([history], name="facts")
    env = gym.make("AtomMem-Custom-v0", source=source, capacity=4, entry_tokens=limit, chunk_tokens=100)
    decisions = Decisions(4, best_sentence, blind=True)
    observation, info = env.reset(options={"task_index": 0})
    decisions.begin(observation, info["rules"])
    found: list[list[str]] = []
    while not decisions.answering:
        found.append([])
        operations = None
        while operations is None:
            found[-1] += [] if decisions.candidate is None else [decisions.candidate]
            operations = decisions.choose(0)
        observation = env.step(operations)[0]
        decisions.observe(observation)
    return found


@pytest.mark.parametrize(("limit", "most"), [(None, 1), (40, 4)])
def test_facts_are_offered_when_they_are_read_as_many_as_fit_an_entry(limit: int | None, most: int) -> None:
    chunks = offered(limit)
    assert len(chunks) > 2
    assert all(chunks), "a list is one document: its facts are not kept back until it ends"
    texts = [text for chunk in chunks for text in chunk]
    assert all(text.startswith("Session 1\n") is ("\n" in text) for text in texts), "several have a title"
    texts = [text.removeprefix("Session 1\n") for text in texts]
    assert "\n".join(texts).split("\n") == [*FACTS[:12], "Ann: Bo is well.", *FACTS[12:]]
    assert "Ann: Bo is well." in texts, "what somebody says is offered alone"
    assert max(text.count("\n") + 1 for text in texts) == most
    assert all(PieceTokenizer().count(text) <= (limit or 100) for text in texts)


def test_the_number_of_a_fact_says_nothing_of_it() -> None:
    found, _ = seen([("", "7. Ada lives in Ulm."), ("", "81. Ada lives in Ulm.")])
    assert found["numbers"] == [0, 0]
    assert max(found["contradicts"]) == 0


@pytest.mark.parametrize(("reward", "stage"), [("evidence", "kept"), ("read", "read")])
def test_the_rewards_of_an_episode_add_up_to_its_share_of_the_funnel(reward: str, stage: str) -> None:
    for index in range(2):
        episode = play(make(reward=reward), eager, index)
        assert episode.reward == pytest.approx(episode.share(stage))


def test_a_lesson_tells_of_each_text_whether_any_question_needs_it() -> None:
    given = list(lessons(make(), eager, 1))
    assert {lesson.serves.shape for lesson in given} == {(5, 1)}
    assert 0 < sum(lesson.serves[0, 0] for lesson in given) < len(given)


def test_what_is_superseded_is_not_worth_keeping() -> None:
    units = [
        {"title": "", "text": text, "sentence": text, "chunks": [0], "id": id, "role": role}
        for id, role, text in (
            ("1", "superseded", "Ann lives in Corvane."),
            ("2", "supporting", "Ann has moved to Ambry."),
        )
    ]
    known, notes = (
        EvidenceHeld([{"answers": ["Ambry"], "evidence": units}], ["Where does Ann live?"]),
        BlindNotes(),
    )
    taken = [notes.take("", unit["text"], Turn("", unit["text"])) for unit in units]
    for note, unit in zip(taken, units, strict=True):
        known.take(note, unit["text"])
    assert [known.held([note]) for note in taken] == [0, 1]


def test_histories_whose_questions_are_shown_need_a_bound_of_them() -> None:
    with pytest.raises(ValueError, match=r"max_questions=None.*num_questions=4"):
        make(questions_shown="always")
    env = make(questions_shown="always", num_questions=2)
    assert play(env, eager, 0).metrics["refused"] == dict.fromkeys(play(env, eager, 0).metrics["refused"], 0)


def test_pooled_tasks_are_read_without_their_questions_too() -> None:
    env = DiscreteOperations(
        gym.make(
            "AtomMem-Custom-v0",
            source=dataset(),
            num_docs=20,
            num_questions=3,
            capacity=4,
            questions_shown="when_asked",
        ),
        reward="read",
    )
    episode = play(env, eager, 0)
    assert episode.reward == pytest.approx(episode.share("read"))
