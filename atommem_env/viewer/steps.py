"""A task and an episode as the JSON data from which the viewer's page shows every step.

An episode holds no snapshot of the memory: the page carries the operations out again. A content that is a part of
the task's text is stored as ``[start, length]`` in it. Offsets and lengths count UTF-16 units, as JavaScript does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias, cast

from atommem_env.data.records import Session
from atommem_env.evidence import WordShares
from atommem_env.policies import Trace
from atommem_env.tasks.task import Task
from atommem_env.text import clean
from atommem_env.viewer.evidence import EvidenceHistory

_SHORTEST: Final = 16
"""A content with fewer characters is stored as it is."""

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")

Reference: TypeAlias = "list[int] | str"
"""A text: itself, or ``[start, length]`` in the task's text."""


def task_data(task: Task) -> dict[str, Any]:
    """Return what the page needs of a task: ``text``, ``chunks`` and ``units``.

    A chunk is ``[start, end, tokens]``, a unit of evidence ``[question, title, start, end, role]``. Where there are
    dates, ``dates`` has one for each chunk, and ``asked`` one for each question. Where questions are asked between
    chunks, ``stream`` is the order of both, ``[phase, number]``.
    """
    text = task.text
    at = _utf16_offsets(text)
    asked = [question.now for question in task.questions]
    return {
        "text": text,
        **({"dates": list(task.dates)} if any(task.dates) else {}),
        **({"asked": asked} if any(asked) else {}),
        **({"stream": [list(position) for position in task.stream]} if task.stream else {}),
        **({"turns": True} if any(isinstance(document, Session) for document in task.documents) else {}),
        "chunks": [
            [at(start), at(end), size]
            for (start, end), size in zip(task.chunks, task.chunk_sizes, strict=True)
        ],
        "units": [
            [unit.question, task.documents[unit.document].title, at(unit.start), at(unit.end), unit.role]
            for unit in task.units
        ],
    }


def episode_data(
    trace: Trace, task: Task, word_shares: WordShares | None = None, evidence: bool = True
) -> dict[str, Any]:
    """Return what the page needs of an episode: ``steps``, and ``events`` and ``holds`` of its evidence.

    A step has the cursor's place (``phase``, ``cursor``, ``looks``: looks left), the ``action`` with the result of
    each operation, its ``reward``, what a language model ``said`` where one was asked, and, where they are not those
    of the step before, ``queries`` and ``retrieved`` (``[id, score, query]``). ``events`` and ``holds`` are those of
    :class:`EvidenceHistory`; ``isolated`` is there where every question begins with the memory as it was before it.

    Args:
        trace: an episode that has ended, whose observations are the environment's own.
        task: its task.
        word_shares: the environment's, or ``None``: every word is rare.
        evidence: whether the funnel says something; else ``events`` is ``None``.
    """
    refer = _References(task)
    steps: list[dict[str, Any]] = []
    queries: list[str] = []
    retrieved: list[list[Any]] = []
    for number, action in enumerate(trace.actions):
        observation, results = trace.observations[number], trace.infos[number + 1]["results"]
        chunk = observation["cursor"] if observation["phase"] == 0 else len(task.chunks) - 1
        step: dict[str, Any] = {
            "phase": observation["phase"],
            "cursor": observation["cursor"],
            "looks": observation["looks_left"],
            "action": [
                _operation(operation, result, partial(refer, chunk))
                for operation, result in zip(cast("list[dict[str, Any]]", action), results, strict=True)
            ],
            "reward": trace.rewards[number],
        }
        if number < len(trace.said) and trace.said[number]:
            step["said"] = trace.said[number]
        asked = list(observation["queries"])
        found = [[row["id"], round(row["score"], 4), row["query"]] for row in observation["retrieved"]]
        if (asked, found) != (queries, retrieved):
            step["queries"], step["retrieved"] = queries, retrieved = asked, found
        steps.append(step)
    history = EvidenceHistory(trace, task, word_shares) if evidence else None
    rules = trace.infos[0].get("rules")
    return {
        "steps": steps,
        **({"isolated": True} if getattr(rules, "isolate_questions", False) else {}),
        "events": None if history is None else history.events,
        "holds": [] if history is None else history.holds,
    }


def _operation(
    operation: Mapping[str, Any], result: Any, refer: Callable[[str], Reference]
) -> dict[str, Any]:
    """Return an operation and its result as one object, without what is not there."""
    data = {
        "op": operation["op"],
        "id": operation.get("id", result.id),
        "content": refer(clean(operation["content"])) if "content" in operation else None,
        "query": operation.get("query"),
        "k": operation.get("k"),
        "refused": result.reason,
        "evicted": result.evicted,
    }
    return {name: value for name, value in data.items() if value is not None}


class _References:
    """Finds contents in a task's text; most are near the chunk that was read last."""

    def __init__(self, task: Task) -> None:
        self._text = task.text
        self._chunks = task.chunks
        self._at = _utf16_offsets(self._text)

    def __call__(self, chunk: int, content: str) -> Reference:
        if len(content) < _SHORTEST:
            return content
        text, chunks = self._text, self._chunks
        start = text.find(content, chunks[max(0, chunk - 1)][0], chunks[chunk][1])
        if start < 0:
            start = text.find(content)
        if start < 0:
            return content
        first = self._at(start)
        return [first, self._at(start + len(content)) - first]


def _utf16_offsets(text: str) -> Callable[[int], int]:
    """Return what turns an offset in ``text`` into one in UTF-16 units."""
    if text.isascii() or not (wide := [match.start() for match in _ASTRAL.finditer(text)]):
        return lambda offset: offset
    from bisect import bisect_left

    return lambda offset: offset + bisect_left(wide, offset)
