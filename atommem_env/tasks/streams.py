"""Streams: tasks that ask their questions between chunks."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from atommem_env.data.records import SUPERSEDED, SUPPORTING, Evidence, Question
from atommem_env.tasks.task import ANSWERING, READING, Position


class Shown(NamedTuple):
    """Which chunk shows the first of a document, and which one all of it."""

    first: int
    whole: int


def interleaved(num_chunks: int, after: Sequence[int]) -> tuple[Position, ...]:
    """Return the order of chunks and questions.

    Args:
        num_chunks: the number of chunks.
        after: for each question the chunk after which it is asked, ascending; -1: before the first.
    """
    positions = [Position(READING, number) for number in range(num_chunks)]
    for question in reversed(range(len(after))):
        positions.insert(after[question] + 1, Position(ANSWERING, question))
    return tuple(positions)


def put_replacements_last(rows: list[int], questions: Sequence[Question]) -> None:
    """Move documents about, so that what replaces a fact stands behind all other evidence of its question.

    Args:
        rows: the documents of a task, in their order; changed in place.
        questions: its questions.
    """
    place = {row: number for number, row in enumerate(rows)}
    for question in questions:
        later = _replacement(question)
        own = sorted({place[unit.document] for unit in question.evidence if unit.document in place})
        if later is None or not own or place[later.document] == own[-1]:
            continue
        held = [rows[number] for number in own if rows[number] != later.document]
        for number, row in zip(own, [*held, later.document], strict=True):
            rows[number], place[row] = row, number


def _replacement(question: Question) -> Evidence | None:
    """Return the evidence that replaces a superseded one, which stands before it."""
    units = question.evidence
    for number, unit in enumerate(units[:-1]):
        if unit.role == SUPERSEDED:
            return units[number + 1]
    return None


def _before(question: Question) -> Question | None:
    """Return a question as it is before its fact is replaced; ``None`` where its answer then is not known."""
    later = _replacement(question)
    if later is None or not question.former:
        return None
    evidence = tuple(unit._replace(role=SUPPORTING) for unit in question.evidence if unit is not later)
    return replace(
        question, id=f"{question.id}-before", answers=question.former, evidence=evidence, former=()
    )


def in_stream(
    questions: Sequence[Question], shown: Mapping[int, Shown], num_chunks: int, key: bytes
) -> tuple[tuple[Question, ...], tuple[Position, ...]]:
    """Return questions in the order in which they are asked, and the order of chunks and questions.

    A question is asked at least one chunk after the one that completes its evidence, where there is one.

    Args:
        questions: the questions.
        shown: where the text shows each document, by its row.
        num_chunks: the number of chunks.
        key: what the places are drawn by.
    """
    draw = random.Random(int.from_bytes(key, "little"))
    asked: list[tuple[int, Question]] = []
    for question in questions:
        before, later = _before(question), _replacement(question)
        if before is not None and later is not None:
            _ask(asked, before, shown, shown[later.document].first - 1, draw)
        _ask(asked, question, shown, num_chunks - 1, draw)
    asked.sort(key=lambda pair: pair[0])
    return tuple(question for _, question in asked), interleaved(num_chunks, [place for place, _ in asked])


def _ask(
    asked: list[tuple[int, Question]],
    question: Question,
    shown: Mapping[int, Shown],
    last: int,
    draw: random.Random,
) -> None:
    """Add a question after a chunk up to ``last``, unless its evidence comes later or not at all."""
    rows = [unit.document for unit in question.evidence if unit.role == SUPPORTING] or question.gold
    if any(row not in shown for row in rows):
        return
    known = max((shown[row].whole for row in rows), default=0)
    if known <= last:
        asked.append((draw.randint(min(known + 1, last), last), question))
