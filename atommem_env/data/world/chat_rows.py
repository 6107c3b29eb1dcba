"""The chats of the world in the schemas of LongMemEval, LoCoMo and BEAM, so that they stand in for each."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final

from atommem_env.data.world.chat import ChatHistory, ChatQuestion
from atommem_env.data.world.templates import MONTHS

_LONGMEMEVAL: Final = {
    "user": "single-session-user",
    "assistant": "single-session-assistant",
    "multi": "multi-session",
    "order": "temporal-reasoning",
    "span": "temporal-reasoning",
    "date": "temporal-reasoning",
    "update": "knowledge-update",
    "preference": "single-session-preference",
}
_LOCOMO: Final = {"multi": 1, "order": 2, "span": 2, "date": 2, "preference": 3}
_BEAM: Final = {
    "user": "information_extraction",
    "assistant": "information_extraction",
    "multi": "multi_session_reasoning",
    "order": "event_ordering",
    "span": "temporal_reasoning",
    "date": "temporal_reasoning",
    "update": "knowledge_update",
    "preference": "preference_following",
}
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SINGLE_HOP: Final = 4
_ADVERSARIAL: Final = 5


def longmemeval_rows(history: ChatHistory) -> list[dict[str, Any]]:
    """Return a row of LongMemEval (github.com/xiaowu0162/LongMemEval) for each question of ``history``.

    The turns that a question rests on, those that were replaced among them, have ``has_answer``; the id of an
    unanswerable question ends in ``_abs``.
    """
    return [
        _longmemeval_row(history, number, question) for number, question in enumerate(history["questions"])
    ]


def _longmemeval_row(history: ChatHistory, number: int, question: ChatQuestion) -> dict[str, Any]:
    marked = {*question["evidence"], *question["superseded"]}
    sessions = history["sessions"]
    ids = [f"{history['id']}_{place}" for place in range(1, len(sessions) + 1)]
    return {
        "question_id": f"{history['id']}_{number}{'' if question['answerable'] else '_abs'}",
        "question_type": _LONGMEMEVAL[question["type"]],
        "question": question["question"],
        "answer": question["answers"][0],
        "question_date": _slashed(question["date"]),
        "haystack_dates": [_slashed(session["date"]) for session in sessions],
        "haystack_session_ids": ids,
        "haystack_sessions": [
            [
                {"role": turn["speaker"], "content": turn["text"]}
                | ({"has_answer": True} if turn["id"] in marked else {})
                for turn in session["turns"]
            ]
            for session in sessions
        ],
        "answer_session_ids": [
            id
            for id, session in zip(ids, sessions, strict=True)
            if any(turn["id"] in marked for turn in session["turns"])
        ],
    }


def locomo_row(history: ChatHistory) -> dict[str, Any]:
    """Return ``history`` as a conversation of LoCoMo (github.com/snap-research/locomo).

    The speakers are the user and the assistant; a question without an answer is adversarial (category 5).
    """
    conversation: dict[str, Any] = {"speaker_a": "user", "speaker_b": "assistant"}
    for number, session in enumerate(history["sessions"], start=1):
        conversation[f"session_{number}_date_time"] = _spoken(session["date"])
        conversation[f"session_{number}"] = [
            {"speaker": turn["speaker"], "dia_id": turn["id"], "text": turn["text"]}
            for turn in session["turns"]
        ]
    return {
        "sample_id": history["id"],
        "conversation": conversation,
        "qa": [_locomo_question(question) for question in history["questions"]],
    }


def _locomo_question(question: ChatQuestion) -> dict[str, Any]:
    asked = {"question": question["question"], "evidence": list(question["evidence"])}
    if not question["answerable"]:
        return {**asked, "category": _ADVERSARIAL, "adversarial_answer": question["answers"][0]}
    return {**asked, "answer": question["answers"][0], "category": _LOCOMO.get(question["type"], _SINGLE_HOP)}


def beam_row(history: ChatHistory, number: int) -> dict[str, Any]:
    """Return ``history`` as a chat of BEAM (github.com/mohammadtavakoli78/BEAM), its ``number`` as that of the chat.

    A question's rubric is its answer; of an order, the places in it.
    """
    ids: dict[str, int] = {}
    batches = []
    for place, session in enumerate(history["sessions"], start=1):
        turns = []
        for turn in session["turns"]:
            ids[turn["id"]] = len(ids)
            turns.append({"role": turn["speaker"], "id": ids[turn["id"]], "content": turn["text"]})
        moment = datetime.datetime.fromisoformat(session["date"])
        turns[0]["time_anchor"] = f"{MONTHS[moment.month - 1]}-{moment.day}-{moment.year}"
        batches.append({"batch_number": place, "time_anchor": None, "turns": [turns]})
    asked: dict[str, list[dict[str, Any]]] = {}
    for question in history["questions"]:
        ability = _BEAM[question["type"]] if question["answerable"] else "abstention"
        asked.setdefault(ability, []).append(_beam_question(question, ability, ids))
    return {
        "chat_size": "100K",
        "conversation_id": str(number),
        "chat": batches,
        "probing_questions": dict(sorted(asked.items())),
    }


def _beam_question(question: ChatQuestion, ability: str, ids: Mapping[str, int]) -> dict[str, Any]:
    evidence = [ids[id] for id in question["evidence"]]
    replaced = [ids[id] for id in question["superseded"]]
    answer = question["answers"][0]
    listed = ability == "event_ordering"
    return {
        "question": question["question"],
        "answer": answer,
        "rubric": answer.split(", ") if listed else [f"The reply says: {answer}"],
        "source_chat_ids": {"original_info": replaced, "updated_info": evidence} if replaced else evidence,
    }


def _slashed(date: str) -> str:
    """Return ``2023-05-30 23:40`` as LongMemEval writes it, ``2023/05/30 (Tue) 23:40``."""
    moment = datetime.datetime.fromisoformat(date)
    return f"{moment:%Y/%m/%d} ({_DAYS[moment.weekday()]}) {moment:%H:%M}"


def _spoken(date: str) -> str:
    """Return ``2023-05-08 13:56`` as LoCoMo writes it, ``1:56 pm on 8 May, 2023``."""
    moment = datetime.datetime.fromisoformat(date)
    half = "am" if moment.hour < 12 else "pm"
    return f"{moment.hour % 12 or 12}:{moment:%M} {half} on {moment.day} {MONTHS[moment.month - 1]}, {moment.year}"
