"""What a judge is asked of an answer: the criteria of each benchmark, by the question's type.

- LongMemEval: the answer is equivalent to the right one; off by one is forgiven in numbers of days, weeks and months
  (temporal-reasoning); the old value may be told next to the new one (knowledge-update); what the user said
  of themselves is used (single-session-preference).
- BEAM: every item of a question's rubric gets 0, 0.5 or 1; for the order of events the lines of the answer are matched
  with the items (:mod:`atommem_env.scoring.rubric`).
- MemoryAgentBench's summaries (InfBench): 0 where the language is broken, else the F1 of the share of key points that
  are said and the share of sentences that the expert's summary bears out (:func:`summary_score`).
- Where a question has no answer, the answer says so.
- Everything else: the answer means the same as a right one.

The criteria stand in ``llm/prompts/judge.txt`` and ``llm/prompts/judge/``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from atommem_env.data.records import Question
from atommem_env.llm import Chat
from atommem_env.llm.json_reply import read_object
from atommem_env.llm.prompts import Prompts
from atommem_env.scoring.rubric import align, order_of, rubric_score

ORDER: Final = "event_ordering"
"""The type of question whose score is an order's."""

SUMMARIES: Final = "infbench"
"""How the types of questions begin whose answers are summaries."""

MOST_LINES: Final = 40
"""The lines of an answer that are matched with the items of an order; later ones name nothing."""

PASSES: Final = 0.5
"""The score from which an answer counts as right."""

_LONGMEMEVAL: Final = {
    "temporal-reasoning": "judge/temporal",
    "knowledge-update": "judge/update",
    "single-session-preference": "judge/preference",
}
_TRUE: Final = ("true", "yes", "correct", "right")
_FALSE: Final = ("false", "no", "incorrect", "wrong")
_EXCERPT: Final = 80
_BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d{1,3}[.):])\s*")


class Asked(NamedTuple):
    """A question and the answer to be judged.

    Attributes:
        question: the question.
        answers: the right answers, or why there is none.
        prediction: the answer.
        answerable: whether the question has an answer.
        type: its type in the benchmark.
        benchmark: the benchmark's short name.
        rubric: what an answer has to say, item by item; empty where it is not scored so.
    """

    question: str
    answers: tuple[str, ...]
    prediction: str | None
    answerable: bool = True
    type: str = ""
    benchmark: str = ""
    rubric: tuple[str, ...] = ()

    @property
    def summary(self) -> bool:
        """Whether the answer is a summary that is held against key points."""
        return self.benchmark == "memoryagentbench" and self.type.startswith(SUMMARIES)

    @property
    def criterion(self) -> str:
        """The name of the template that asks the judge, the first where it is asked several things."""
        if self.summary:
            return "judge/summary_fluent"
        if self.rubric:
            return "judge/same_event" if self.type == ORDER else "judge/rubric"
        if not self.answerable:
            return "judge/abstain"
        if self.benchmark == "longmemeval":
            return _LONGMEMEVAL.get(self.type, "judge/equivalent")
        return "judge"


@dataclass(frozen=True)
class Judge:
    """Asks a language model for verdicts.

    Args:
        chat: the model.
        prompts: the templates.
        variant: how marks become BEAM's score, ``"paper"`` or ``"code"``.
    """

    chat: Chat
    prompts: Prompts
    variant: str = "paper"

    def verdict(self, asked: Asked) -> dict[str, Any]:
        """Return a verdict: ``correct``, ``score`` in [0, 1], ``reason``, ``read``, ``criterion``, ``calls``.

        ``read`` says whether all of the judge's replies could be read, and is ``None`` where it was not asked: an
        answer that is missing is wrong. A rubric's verdict has ``marks``, one for each item (for the order of events,
        for each line of the answer the number of the item that it names, from 0, or null).

        Raises:
            ChatError: when the judge cannot be asked.
        """
        if asked.prediction is None or not asked.prediction.strip():
            found = _made(0.0, "no answer was given", None, 0)
        elif asked.summary:
            found = self._summary(asked)
        elif not asked.rubric:
            found = self._correct(asked)
        elif asked.type == ORDER:
            found = self._order(asked)
        else:
            found = self._rubric(asked)
        return {**found, "criterion": asked.criterion}

    def _correct(self, asked: Asked) -> dict[str, Any]:
        answers = "\n".join(f"- {answer}" for answer in asked.answers) or "- it was never said"
        reply = self._ask(
            asked.criterion, question=asked.question, answers=answers, prediction=asked.prediction
        )
        found = read_object(reply, "correct") or {}
        said = _truth(found.get("correct"))
        if said is None:
            return _made(0.0, f"the verdict cannot be read: {reply[:_EXCERPT]!r}", False, 1)
        return _made(float(said), str(found.get("reason") or ""), True, 1)

    def _rubric(self, asked: Asked) -> dict[str, Any]:
        marks: list[float | None] = []
        reasons = []
        for item in asked.rubric:
            reply = self._ask(
                asked.criterion, question=asked.question, item=item, prediction=asked.prediction
            )
            found = read_object(reply, "score") or {}
            marks.append(read_mark(found.get("score")))
            reasons.append(str(found.get("reason") or ""))
        score = rubric_score([mark or 0.0 for mark in marks], self.variant)
        found = _made(score, " | ".join(filter(None, reasons)), None not in marks, len(marks))
        return {**found, "marks": marks}

    def _summary(self, asked: Asked) -> dict[str, Any]:
        points = asked.rubric or asked.answers
        listed = "\n".join(f"- {point}" for point in points)
        said = {
            **self._counts("judge/summary_fluent", asked, ("fluent",)),
            **self._counts("judge/summary_recall", asked, ("covered",), answers=listed, count=len(points)),
            **self._counts(
                "judge/summary_precision", asked, ("sentences", "supported"), answers="\n".join(asked.answers)
            ),
        }
        read = None not in said.values()
        marks = [said["fluent"], said["covered"], len(points), said["supported"], said["sentences"]]
        score = summary_score(*(mark or 0 for mark in marks))
        reason = f"fluent {marks[0]}, points {marks[1]} of {len(points)}, sentences {marks[3]} of {marks[4]}"
        return {**_made(score, reason, read, 3), "marks": marks}

    def _counts(
        self, template: str, asked: Asked, names: tuple[str, ...], **values: object
    ) -> dict[str, int | None]:
        """Return whole numbers of a reply by name, true as 1; ``None`` for what cannot be read."""
        found = read_object(self._ask(template, prediction=asked.prediction, **values), names[0]) or {}
        return {name: _count(found.get(name)) for name in names}

    def _order(self, asked: Asked) -> dict[str, Any]:
        lines = answer_lines(str(asked.prediction))
        calls, unread = 0, 0

        def same(item: str, line: str) -> bool:
            nonlocal calls, unread
            calls += 1
            found = read_object(
                self._ask(asked.criterion, question=asked.question, item=item, prediction=line), "same"
            )
            said = _truth((found or {}).get("same"))
            unread += said is None
            return bool(said)

        aligned = align(lines[:MOST_LINES], asked.rubric, same) + [None] * len(lines[MOST_LINES:])
        order = order_of(len(asked.rubric), aligned)
        reason = (
            f"F1 {order.f1:.2f}, tau {order.tau:.2f}; {calls} calls, at most "
            f"{min(len(lines), MOST_LINES)} lines x {len(asked.rubric)} items"
        )
        return {**_made(order.score(self.variant), reason, not unread, calls), "marks": aligned}

    def _ask(self, template: str, **values: object) -> str:
        content = self.prompts.render(template, **values)
        return self.chat.complete([{"role": "user", "content": content}]).text


def answer_lines(prediction: str) -> list[str]:
    """Return the lines of an answer that lists something, without bullets, numbers and blank lines."""
    lines = (_BULLET.sub("", line, count=1).strip() for line in prediction.splitlines())
    return [line for line in lines if line]


def read_mark(value: object) -> float | None:
    """Return a mark, 0, 0.5 or 1, given as a number or as text; ``None`` for anything else."""
    try:
        number = float(str(value).strip().replace(",", "."))
    except ValueError:
        return None
    return number if number in (0.0, 0.5, 1.0) and not isinstance(value, bool) else None


def summary_score(fluent: float, covered: float, points: float, supported: float, sentences: float) -> float:
    """Return the score of a summary, in [0, 1]: 0 where it is not fluent, else the F1 of recall and precision.

    Args:
        fluent: 1 or 0.
        covered: how many of the key points are said.
        points: how many there are.
        supported: how many of the sentences are borne out.
        sentences: how many there are.
    """
    recall = min(covered / points, 1.0) if points else 0.0
    precision = min(supported / sentences, 1.0) if sentences else 0.0
    f1 = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
    return f1 if fluent else 0.0


def _count(value: object) -> int | None:
    truth = _truth(value) if isinstance(value, bool) else None
    if truth is not None:
        return int(truth)
    try:
        number = int(str(value).strip())
    except ValueError:
        said = _truth(value)
        return None if said is None else int(said)
    return number if number >= 0 else None


def _truth(value: object) -> bool | None:
    said = str(value).strip().lower()
    return True if said in _TRUE else False if said in _FALSE else None


def _made(score: float, reason: str, read: bool | None, calls: int) -> dict[str, Any]:
    return {"correct": score >= PASSES, "score": score, "reason": reason, "read": read, "calls": calls}


def asked_of(question: Mapping[str, Any], benchmark: str, known: Question | None = None) -> Asked:
    """Return what is to be judged.

    Args:
        question: what the metrics of an episode say of it.
        benchmark: the benchmark's short name.
        known: the question as it stands in the data; ``None`` where there is no need for it.
    """
    answerable = question.get("answerable") is not False
    return Asked(
        question["question"],
        tuple(question["answers"]),
        question["prediction"],
        answerable and (known is None or known.answerable),
        str(question.get("type") or ""),
        benchmark,
        () if known is None else known.rubric,
    )
