"""The world in conversation: what its histories hold, and that only a memory of what matters answers them."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.baselines.engines.engine import UNKNOWN
from atommem_env.baselines.engines.world import WorldEngine
from atommem_env.data.histories import parse_history
from atommem_env.data.world.chat import CHAT_TYPES, ChatConfig, ChatHistory, ChatQuestion, generate_chat
from atommem_env.data.world.chat_reading import ChatFacts, lines, said
from atommem_env.data.world.chat_rows import beam_row, locomo_row, longmemeval_rows
from atommem_env.envs.beam import parse as parse_beam
from atommem_env.scoring import exact_match

ENGINE = WorldEngine()


@functools.cache
def history(index: int, revisions: float = 0.5) -> ChatHistory:
    return generate_chat(ChatConfig(sessions=14, turns=8, questions=8, revisions=revisions), "test", index)


def entries(chat: ChatHistory) -> dict[str, str]:
    """Return the turns as entries hold them, by id: with the date and the speaker."""
    return {
        turn["id"]: f"{session['date']} {turn['speaker']}: {turn['text']}"
        for session in chat["sessions"]
        for turn in session["turns"]
    }


def sessions(chat: ChatHistory) -> list[str]:
    """Return the sessions as a task's text has them."""
    found = []
    for number, session in enumerate(chat["sessions"], start=1):
        turns = [f"{turn['speaker']}: {turn['text']}" for turn in session["turns"]]
        found.append("\n".join([f"Session {number} ({session['date']}):", *turns]))
    return found


def right(question: ChatQuestion, answer: str) -> float:
    return exact_match(answer, question["answers"]) if question["answerable"] else float(answer == UNKNOWN)


def score(chat: ChatHistory, kept: Collection[str]) -> float:
    held = [text for id, text in entries(chat).items() if id in kept]
    asked = chat["questions"]
    return sum(right(item, ENGINE.answer(item["question"], held)) for item in asked) / len(asked)


histories = st.builds(history, st.integers(0, 40), st.sampled_from((0.0, 1.0)))


@settings(max_examples=5)
@given(histories)
def test_a_perfect_memory_answers_everything(chat: ChatHistory) -> None:
    assert score(chat, entries(chat)) == 1.0
    facts = ChatFacts(sessions(chat))
    for asked in chat["questions"]:
        assert right(asked, facts.answer(asked["question"]) or UNKNOWN) == 1.0


@settings(max_examples=10)
@given(histories)
def test_the_evidence_is_enough_and_all_of_it_is_needed(chat: ChatHistory) -> None:
    texts = entries(chat)
    for asked in chat["questions"]:
        held = [texts[id] for id in asked["evidence"]]
        assert right(asked, ENGINE.answer(asked["question"], held)) == 1.0
        for place in range(len(held)):
            assert ENGINE.answer(asked["question"], held[:place] + held[place + 1 :]) == UNKNOWN


@settings(max_examples=10)
@given(histories)
def test_what_was_replaced_gives_another_answer(chat: ChatHistory) -> None:
    texts = entries(chat)
    for asked in chat["questions"]:
        stale = [texts[id] for id in asked["superseded"]]
        later = [texts[id] for id in asked["evidence"]]
        if stale:
            assert right(asked, ENGINE.answer(asked["question"], [*stale, *later[1:]])) == 0.0


@pytest.mark.parametrize("capacity", [20, 40])
def test_under_a_capacity_keeping_what_matters_wins(capacity: int) -> None:
    wins = dict.fromkeys(("first", "last", "nothing", "matters"), 0.0)
    for index in range(6):
        chat = history(index)
        ids = list(entries(chat))
        needed = [id for asked in chat["questions"] for id in asked["evidence"]]
        wins["first"] += score(chat, ids[:capacity])  # what a full store that refuses has of everything
        wins["last"] += score(chat, ids[-capacity:])
        wins["nothing"] += score(chat, ())
        wins["matters"] += score(chat, needed[:capacity])
    best = wins.pop("matters")
    assert best == 6.0
    assert all(other < 0.7 * best for other in wins.values())


@settings(max_examples=10)
@given(histories)
def test_without_memory_only_what_was_never_said_is_right(chat: ChatHistory) -> None:
    for asked in chat["questions"]:
        assert right(asked, ENGINE.answer(asked["question"], ())) == (0.0 if asked["answerable"] else 1.0)


@settings(max_examples=10)
@given(histories)
def test_no_answer_to_a_question_of_order_stands_in_the_question(chat: ChatHistory) -> None:
    for asked in chat["questions"]:
        if asked["type"] == "order" and asked["answerable"]:
            places = asked["answers"][0].split(", ")
            assert sorted(places, key=asked["question"].index) != places


def test_every_type_is_asked_and_dates_rise() -> None:
    chat = history(3)
    assert {asked["type"] for asked in chat["questions"]} == set(CHAT_TYPES)
    days = [datetime.datetime.fromisoformat(session["date"]) for session in chat["sessions"]]
    assert days == sorted(set(days))
    assert all(asked["date"] > chat["sessions"][-1]["date"] for asked in chat["questions"])
    assert all(
        asked["superseded"]
        for asked in chat["questions"]
        if asked["type"] == "update" and asked["answerable"]
    )


def test_an_item_is_a_function_of_its_arguments() -> None:
    config = ChatConfig(sessions=8, turns=6, questions=6)
    assert generate_chat(config, "train", 5) == generate_chat(config, "train", 5)
    assert generate_chat(config, "train", 5) != generate_chat(config, "test", 5)
    assert generate_chat(config, "train", 5) != generate_chat(
        ChatConfig(1, 100, 8, 6, questions=6), "train", 5
    )


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 2), (1.0, 8)])
def test_the_share_of_what_was_never_said(share: float, count: int) -> None:
    chat = generate_chat(ChatConfig(sessions=14, turns=8, questions=8, unanswerable=share), "test", 0)
    assert sum(not asked["answerable"] for asked in chat["questions"]) == count


@settings(max_examples=25)
@given(
    st.integers(4, 9),
    st.integers(1, 8),
    st.integers(1, 12),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_any_valid_configuration_gives_its_sessions_turns_and_questions(
    sessions: int, pairs: int, questions: int, noise: float, revisions: float, index: int
) -> None:
    questions = min(questions, sessions * pairs // 4)
    config = ChatConfig(0, 10, sessions, 2 * pairs, noise, revisions, 0.2, questions)
    chat = generate_chat(config, "train", index)
    assert [len(session["turns"]) for session in chat["sessions"]] == [2 * pairs] * sessions
    assert len(chat["questions"]) == questions
    assert {id for asked in chat["questions"] for id in asked["evidence"]} <= set(entries(chat))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"turns": 5}, "turns=5: expected an even number"),
        ({"noise": 2}, "noise=2: expected a share"),
        ({"sessions": 4, "turns": 2, "questions": 9}, "9 questions need 36 exchanges, and there are 4"),
        ({"questions": 99}, "at most 40"),
    ],
)
def test_knobs_out_of_range_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChatConfig(**arguments)


@pytest.mark.parametrize(
    ("passage", "when"),
    [
        ("Session 3 (2023-05-30 18:40):\nuser: My dentist is Ada Worth.", "2023-05-30 18:40"),
        ("Session 3 (2023/05/30 (Tue) 18:40):\nuser: My dentist is Ada Worth.", "2023-05-30 18:40"),
        ("1:56 pm on 8 May, 2023\nuser: My dentist is Ada Worth.", "2023-05-08"),
        ("2023-05-30 user: My dentist is Ada Worth.", "2023-05-30"),
        ("user: My dentist is Ada Worth.", ""),
        ("My dentist is Ada Worth.", ""),
    ],
)
def test_the_day_of_what_is_said_stands_before_it(passage: str, when: str) -> None:
    line = list(lines(passage))[-1]
    assert (line.text, line.when) == ("My dentist is Ada Worth.", when)


def test_the_latest_value_counts_and_a_tie_is_not_known() -> None:
    ask = "Who is my dentist now?"
    old, new = "2023-05-01 user: My dentist is Ada Worth.", "2023-06-01 user: My dentist is Otto Man."
    assert ChatFacts([new, old]).answer(ask) == "Otto Man"
    assert ChatFacts(["My dentist is Ada Worth.", "My dentist is Otto Man."]).answer(ask) is None
    assert ChatFacts(["My dentist is Ada Worth.", "My new dentist is Otto Man."]).answer(ask) == "Otto Man"
    assert ChatFacts([old]).answer("Who is my doctor now?") is None


def test_a_visit_of_today_needs_a_day() -> None:
    ask = "On which date did I visit the Alex Bridge?"
    assert ChatFacts(["I visited the Alex Bridge today."]).answer(ask) is None
    assert (
        ChatFacts(["2023-05-01 user: I went to see the Alex Bridge yesterday."]).answer(ask)
        == "30 April 2023"
    )
    assert ChatFacts(["I visited the Alex Bridge on 3 May 2023."]).answer(ask) == "3 May 2023"
    assert said("I visited the Alex Bridge tomorrow.") == ()


def test_the_schemas_of_longmemeval_and_locomo() -> None:
    chat = history(1)
    rows = longmemeval_rows(chat)
    assert len(rows) == len(chat["questions"])
    for row, asked in zip(rows, chat["questions"], strict=True):
        assert row["question_id"].endswith("_abs") == (not asked["answerable"])
        marked = sum(turn.get("has_answer", False) for turns in row["haystack_sessions"] for turn in turns)
        assert marked == len({*asked["evidence"], *asked["superseded"]})
        assert len(row["haystack_dates"]) == len(row["haystack_sessions"]) == len(chat["sessions"])
    conversation = locomo_row(chat)
    assert conversation["conversation"]["session_2"][0]["dia_id"] == "D2:1"
    assert {asked["category"] for asked in conversation["qa"]} <= {1, 2, 3, 4, 5}
    assert all(("answer" in asked) == (asked["category"] != 5) for asked in conversation["qa"])


def test_a_history_is_ones_own_data() -> None:
    chat = history(2)
    read = parse_history(chat)
    assert [len(session.turns) for session in read.sessions] == [8] * 14
    assert [asked.answerable for asked in read.questions] == [
        asked["answerable"] for asked in chat["questions"]
    ]
    assert read.malformed == 0
    assert [len(asked.evidence) for asked in read.questions] == [
        len(asked["evidence"]) + len(asked["superseded"]) for asked in chat["questions"]
    ]


def test_a_chat_in_beams_schema_has_its_questions_evidence_and_dates() -> None:
    chat = generate_chat(ChatConfig(unanswerable=0.25), "test", 0)
    history = parse_beam(beam_row(chat, 7))
    assert history.id == "100K/7"
    assert history.malformed == 0
    assert [session.now for session in history.sessions] == [
        session["date"][:10] for session in chat["sessions"]
    ]
    assert [turn.text for turn in history.sessions[3].turns] == [
        turn["text"] for turn in chat["sessions"][3]["turns"]
    ]
    by_text = {asked["question"]: asked for asked in chat["questions"]}
    for question in history.questions:
        asked = by_text[question.question]
        found = [history.sessions[unit.session].turns[unit.turn].text for unit in question.evidence]
        said = {turn["id"]: turn["text"] for session in chat["sessions"] for turn in session["turns"]}
        assert sorted(found) == sorted(said[id] for id in (*asked["evidence"], *asked["superseded"]))
        assert sum(unit.role == "superseded" for unit in question.evidence) == len(asked["superseded"])
        assert question.answerable is asked["answerable"]
        assert (len(question.rubric) == 3) is (question.type == "event_ordering")
