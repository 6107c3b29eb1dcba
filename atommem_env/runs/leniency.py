"""A judge's leniency: how often it passes answers that are vague and wrong, and fails right ones in other words.

A judge that takes "it came up in passing" for an answer rates a memory that holds the topic and not the fact. Both
shares are measured on questions of the run itself, with answers that are made here without a model, and stand next to
every judged score. Where the run has the policy ``vague``, its own answers are the vague ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from atommem_env.evidence import STOP_WORDS
from atommem_env.runs.criteria import ORDER, Asked
from atommem_env.text import digest, tokens

QUESTIONS: Final = 40
"""How many questions of a run are asked by default."""

_MONTHS: Final = "January|February|March|April|May|June|July|August|September|October|November|December"
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}}) ({_MONTHS}),? (\d{{4}})\b")
_MONTH_FIRST = re.compile(rf"\b({_MONTHS}) (\d{{1,2}}),? (\d{{4}})\b")
_SMALL = re.compile(r"(?<![\w.,:$€£-])([1-9]|1[0-2])(?= [a-z]|$)")
_NUMBERS: Final = "one two three four five six seven eight nine ten eleven twelve".split()


def vague_answer(asked: Asked) -> str:
    """Return an answer that is on the question's topic and does not answer it."""
    gold = {word for answer in asked.answers for word in tokens(answer)}
    words = dict.fromkeys(tokens(asked.question))
    topic = [word for word in words if word not in STOP_WORDS and word not in gold]
    return f"That came up in passing, something about {' '.join(topic) or 'that'}, but nothing definite was settled."


def reworded_answer(asked: Asked) -> str:
    """Return the right answer in other words: dates turned, small numbers spelt, within a sentence.

    Of an order of events, its items, one a line.
    """
    if asked.type == ORDER and asked.rubric:
        return "\n".join(asked.rubric)
    answer = asked.answers[0].strip()
    turned, count = _DAY_FIRST.subn(r"\2 \1, \3", answer)
    if not count:
        turned = _MONTH_FIRST.sub(r"\2 \1 \3", answer)
    turned = _SMALL.sub(lambda match: _NUMBERS[int(match[1]) - 1], turned)
    return f"From what was said, I would put it this way: {turned}"


def chosen(questions: Iterable[Asked], count: int) -> list[Asked]:
    """Return ``count`` of the answerable questions, each once, in the order of the hash of their texts."""
    known = {digest(asked.question, *asked.answers): asked for asked in questions if asked.answerable}
    return [known[key] for key in sorted(known)[:count]]


def leniency(vague: Sequence[Mapping[str, Any]], reworded: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the shares: ``vague_passed`` and ``reworded_failed`` in [0, 1], and of how many answers each is."""
    return {
        "vague_answers": len(vague),
        "vague_passed": _share([verdict["correct"] for verdict in vague]),
        "reworded_answers": len(reworded),
        "reworded_failed": _share([not verdict["correct"] for verdict in reworded]),
    }


def _share(values: list[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def leniency_text(found: dict[str, Any] | None) -> str:
    """Return the shares as a note says them."""
    if not found or found.get("vague_passed") is None:
        return "how lenient the judge is was not measured (`atommem judge --leniency N`)"
    passed, failed = 100 * found["vague_passed"], 100 * (found["reworded_failed"] or 0)
    return (
        f"it passed {passed:.0f} % of {found['vague_answers']} answers that are vague and wrong, and failed "
        f"{failed:.0f} % of {found['reworded_answers']} right ones in other words"
    )
