"""Histories: documents in the order of time, made of turns, and questions about all of them; and a user's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from atommem_env.data.dates import iso_date
from atommem_env.data.records import SUPERSEDED, SUPPORTING, Session, TurnEvidence
from atommem_env.data.rows import (
    as_list,
    as_mapping,
    as_text,
    check_fields,
    distinct,
    optional_text,
    read_answers,
    read_each,
    text_field,
    wrong,
)
from atommem_env.tasks.turns import Turn, speaker_problem
from atommem_env.text import clean


@dataclass(frozen=True, slots=True)
class HistoryQuestion:
    """A question about a history.

    Attributes:
        question: the question.
        answers: the gold answer, then its aliases; where it is not answerable the benchmark's explanation, or none.
        id: its id in the benchmark; ``""`` where there is none.
        type: its type in the benchmark.
        date: when it is asked, in the benchmark's own words.
        now: the same in ISO 8601.
        answerable: whether the history answers it.
        evidence: the turns that support the answer, and those that a later one has replaced.
        rubric: what an answer has to say, item by item, where a judge scores it so.
    """

    question: str
    answers: tuple[str, ...]
    id: str = ""
    type: str = ""
    date: str = ""
    now: str = ""
    answerable: bool = True
    evidence: tuple[TurnEvidence, ...] = ()
    rubric: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """What conversational and update benchmarks have: sessions in time, and questions about all of them.

    Attributes:
        id: its id in the benchmark.
        sessions: a chat's sessions, or a list of facts, or a text.
        questions: the questions about it, in the file's order.
        malformed: how many references to evidence name no turn, and were left out.
        shared: names what several histories have in common (one text with two sets of questions): they are one unit
            of resampling; ``""``: the history is one by itself.
    """

    id: str
    sessions: tuple[Session, ...]
    questions: tuple[HistoryQuestion, ...]
    malformed: int = 0
    shared: str = ""

    def in_time(self) -> History:
        """Return it with its sessions sorted by date, stably; one without a date stays after the one before."""
        keys: list[str] = []
        for session in self.sessions:
            keys.append(sortable(session.now) if session.now else keys[-1] if keys else "")
        order = sorted(range(len(keys)), key=keys.__getitem__)
        if order == list(range(len(keys))):
            return self
        place = {old: new for new, old in enumerate(order)}
        questions = tuple(
            replace(
                question,
                evidence=tuple(unit._replace(session=place[unit.session]) for unit in question.evidence),
            )
            for question in self.questions
        )
        return replace(self, sessions=tuple(self.sessions[old] for old in order), questions=questions)


def sortable(now: str) -> str:
    """Return an ISO date to the minute, so that dates with and without a time are sorted as time; ``""`` as it is."""
    return now if "T" in now or not now else f"{now}T00:00"


def read_date(value: object, field: str) -> tuple[str, str]:
    """Return a date in its own words, on one line, and in ISO 8601; both ``""`` for ``None`` and ``""``."""
    if value is None or value == "":
        return "", ""
    words = " ".join(as_text(value, field).split())
    now = iso_date(words)
    if now is None:
        raise wrong(
            field, value, "a date such as '2023-05-08', '2023-05-08T13:56' or '1:56 pm on 8 May, 2023'"
        )
    return words, now


# --- a user's own -----------------------------------------------------------------------------------

_HISTORY: Final = ("id", "sessions", "questions")
_SESSION: Final = ("date", "turns", "id")
_TURN: Final = ("speaker", "text", "id")
_QUESTION: Final = (
    "question", "answer", "answers", "date", "type", "answerable", "evidence", "superseded", "id",
)  # fmt: skip


def is_history(row: object) -> bool:
    """Return whether a row is meant as a history rather than as a question with its documents."""
    return isinstance(row, Mapping) and "sessions" in row


def parse_history(row: Mapping[str, Any]) -> History:
    """Turn a user's mapping into a history.

    It has ``sessions``, each ``{date, turns: [{speaker, text, id}]}``, and ``questions``, each ``{question, answers
    (or answer), date, type, answerable, evidence: [turn ids], superseded: [turn ids]}``. Only ``turns``, ``text``,
    ``question`` and the answers of answerable questions are required; a turn may be a text alone.

    Raises:
        ValueError: when a field is missing, unknown or of the wrong form.
    """
    check_fields(row, _HISTORY)
    places: dict[str, tuple[int, int]] = {}
    sessions = []
    for number, value in enumerate(as_list(row.get("sessions", ()), "sessions")):
        field = f"sessions[{number}]"
        session = as_mapping(value, field)
        check_fields(session, _SESSION, f"{field}.")
        turns = []
        for position, item in enumerate(as_list(session.get("turns", ()), f"{field}.turns")):
            turn = _turn(item, f"{field}.turns[{position}]")
            if turn.id:
                if turn.id in places:
                    raise wrong(
                        f"{field}.turns[{position}].id",
                        turn.id,
                        "an id that no other turn of the history has",
                    )
                places[turn.id] = (number, position)
            turns.append(turn)
        date, now = read_date(session.get("date"), f"{field}.date")
        sessions.append(Session("", tuple(turns), date, now))
    if not any(session.turns for session in sessions):
        raise ValueError(
            "field 'sessions' has no turn; expected a list of {date, turns: [{speaker, text, id}]}"
        )
    questions = [
        _question(value, f"questions[{number}]", places)
        for number, value in enumerate(as_list(row.get("questions", ()), "questions"))
    ]
    return History(_id(row), tuple(sessions), tuple(questions))


def _turn(value: object, field: str) -> Turn:
    if isinstance(value, str):
        return Turn("", clean(value))
    turn = as_mapping(value, field)
    check_fields(turn, _TURN, f"{field}.")
    speaker = optional_text(turn, "speaker")
    problem = speaker_problem(speaker)
    if problem is not None:
        raise wrong(f"{field}.speaker", speaker, problem)
    if turn.get("text") is None:
        raise ValueError(f"field '{field}.text' is missing; expected what was said")
    return Turn(speaker, as_text(turn["text"], f"{field}.text"), _id(turn))


def _question(value: object, field: str, places: Mapping[str, tuple[int, int]]) -> HistoryQuestion:
    row = as_mapping(value, field)
    check_fields(row, _QUESTION, f"{field}.")
    answerable = row.get("answerable", True)
    if not isinstance(answerable, bool):
        raise wrong(f"{field}.answerable", answerable, "true or false")
    evidence = []
    for name, role in (("evidence", SUPPORTING), ("superseded", SUPERSEDED)):
        listed = row.get(name)
        for number, item in enumerate(as_list(() if listed is None else listed, f"{field}.{name}")):
            if str(item) not in places:
                raise wrong(f"{field}.{name}[{number}]", item, "the id of a turn of this history")
            evidence.append(TurnEvidence(*places[str(item)], role))
    date, now = read_date(row.get("date"), f"{field}.date")
    try:
        text = text_field(row, "question")
        answers = read_answers(row, required=answerable)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error
    return HistoryQuestion(
        question=text,
        answers=answers,
        id=_id(row),
        type=optional_text(row, "type"),
        date=date,
        now=now,
        answerable=answerable,
        evidence=distinct(evidence),
    )


def _id(row: Mapping[str, Any]) -> str:
    """Return the field ``id``, a text or a number, as text; ``""`` when it is absent."""
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return optional_text(row, "id")


def read_histories(histories: Iterable[Mapping[str, Any] | History]) -> list[History]:
    """Read a user's histories.

    Raises:
        ValueError: when one is bad; names its number, from 0.
    """
    fields = "'sessions' and 'questions'"
    result = read_each(histories, History, parse_history, ("history", "histories"), fields)
    if not any(history.questions for history in result):
        raise ValueError("histories has no question; expected at least one history with questions")
    return result
