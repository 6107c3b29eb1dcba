"""LongMemEval: the chats of a user with an assistant, and one question about each history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from atommem_env.core.config import HistoryConfig, choice, option
from atommem_env.data.benchmark import Benchmark
from atommem_env.data.histories import History, HistoryQuestion, read_date
from atommem_env.data.records import Session, TurnEvidence
from atommem_env.data.rows import as_list, as_mapping, as_text, distinct, require, text_field, wrong
from atommem_env.env import HistoryEnv
from atommem_env.tasks.turns import Turn, speaker_problem

ABSTAIN: Final = "Not enough information"
"""The phrase that counts as abstaining, in few words what the answers to unanswerable questions say."""

VARIANTS: Final = ("s", "m", "oracle")
"""The files: about 50 sessions a question, about 500, and those with the evidence alone."""


def parse(row: Mapping[str, Any]) -> History:
    """Turn a row into a history with one question; see https://github.com/xiaowu0162/LongMemEval.

    Evidence is the turns marked ``has_answer``; where none is, all turns of the sessions in ``answer_session_ids``.
    A question whose id ends in ``_abs`` is not answerable: its answer explains why.

    Raises:
        ValueError: when a field is missing or of the wrong form.
    """
    id = text_field(row, "question_id")
    ids = [as_text(value, "haystack_session_ids") for value in _list(row, "haystack_session_ids")]
    dates, listed = _list(row, "haystack_dates"), _list(row, "haystack_sessions")
    if not len(ids) == len(dates) == len(listed):
        raise ValueError(
            f"there are {len(listed)} haystack_sessions, {len(ids)} haystack_session_ids and {len(dates)} "
            "haystack_dates; expected as many of each"
        )
    sessions, marked = [], []
    for number, (name, day, value) in enumerate(zip(ids, dates, listed, strict=True)):
        field = f"haystack_sessions[{number}]"
        turns = []
        for index, item in enumerate(as_list(value, field)):
            turn = as_mapping(item, f"{field}[{index}]")
            turns.append(_turn(turn, f"{field}[{index}]", f"{name}_{index + 1}"))
            if turn.get("has_answer") is True:
                marked.append(TurnEvidence(number, index))
        date, now = read_date(day, f"haystack_dates[{number}]")
        sessions.append(Session("", tuple(turns), date, now))
    gold = {
        as_text(value, "answer_session_ids") for value in as_list(row.get("answer_session_ids") or (), "")
    }
    if not marked:
        marked = [
            TurnEvidence(number, index)
            for number, (name, session) in enumerate(zip(ids, sessions, strict=True))
            if name in gold
            for index in range(len(session.turns))
        ]
    date, now = read_date(row.get("question_date"), "question_date")
    question = HistoryQuestion(
        question=text_field(row, "question"),
        answers=(_answer(row),),
        id=id,
        type=text_field(row, "question_type"),
        date=date,
        now=now,
        answerable=not id.endswith("_abs"),
        evidence=distinct(marked),
    )
    return History(id, tuple(sessions), (question,), malformed=len(gold - set(ids)))


def _turn(turn: Mapping[str, Any], field: str, id: str) -> Turn:
    speaker = as_text(require(turn, "role"), f"{field}.role")
    problem = speaker_problem(speaker)
    if problem is not None:
        raise wrong(f"{field}.role", speaker, problem)
    return Turn(speaker, as_text(require(turn, "content"), f"{field}.content"), id)


def _list(row: Mapping[str, Any], name: str) -> list[Any]:
    return list(as_list(require(row, name), name))


def _answer(row: Mapping[str, Any]) -> str:
    """Return the answer, which is a number in some rows."""
    value = require(row, "answer")
    text = str(value) if isinstance(value, int | float) else as_text(value, "answer")
    if not text.strip():
        raise wrong("answer", value, "a text that is not blank")
    return text


LONGMEMEVAL = Benchmark(
    name="longmemeval",
    title="LongMemEval",
    licence="MIT",
    homepage="https://github.com/xiaowu0162/LongMemEval",
    citation="Wu et al., LongMemEval: Benchmarking Chat Assistants on Long-Term Interactive Memory, ICLR 2025",
    parse=parse,
    hub_id="xiaowu0162/longmemeval-cleaned",
    hub_revision="98d7416c24c778c2fee6e6f3006e7a073259d48f",
    hub_files={
        "oracle": ("longmemeval_oracle.json",),
        "s": ("longmemeval_s_cleaned.json",),
        "m": ("longmemeval_m_cleaned.json",),
    },
    file_patterns={
        "oracle": ("longmemeval_oracle.json", "longmemeval_oracle*.json*"),
        "s": ("longmemeval_s_cleaned.json", "longmemeval_s.json", "longmemeval_s_*.json*"),
        "m": ("longmemeval_m_cleaned.json", "longmemeval_m.json", "longmemeval_m_*.json*"),
    },
    histories=True,
    variants=VARIANTS,
    abstain=ABSTAIN,
)


@dataclass(frozen=True, kw_only=True)
class LongMemEvalConfig(HistoryConfig):
    """The arguments of :class:`LongMemEvalEnv`."""

    variant: str | None = option(
        None,
        check=choice(*VARIANTS, None),
        help="'s' (about 50 sessions a question), 'm' (about 500) or 'oracle' (those with the evidence alone); None is "
        "'s', and any for the path of a file.",
    )


class LongMemEvalEnv(HistoryEnv):
    """LongMemEval as a memory decision process.

    ## Description
    500 questions, each about its own history of dated chats of a user with an assistant: what was said in one session
    or several, when, what has changed since, what the user prefers, and what was never said (Wu et al., ICLR 2025).

    ## Action Space, Observation Space, Rewards, Starting State, Episode End, Information
    Those of :class:`atommem_env.MemoryEnv`.

    ## Arguments
    Args:
        **arguments: the fields of :class:`LongMemEvalConfig`: ``variant``, those of every history
            (:class:`~atommem_env.core.config.HistoryConfig`) and of every environment.

    ## References
    https://github.com/xiaowu0162/LongMemEval; licence MIT.

    ## Version History
    - v0: initial version.
    """

    benchmark = LONGMEMEVAL
    config_class = LongMemEvalConfig
