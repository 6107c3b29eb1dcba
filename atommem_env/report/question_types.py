"""Scores by type of question: each type's mean, the mean over all questions, and the mean of the types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from atommem_env.core.types import QuestionMetrics
from atommem_env.report.summary import Row, applicable
from atommem_env.runs.errors import RunError
from atommem_env.runs.keys import episode_key
from atommem_env.scoring import SCORES

if TYPE_CHECKING:
    from atommem_env.runs.recorded import RecordedRun

NO_TYPE: Final = "(no type)"
"""What questions stand under whose data says no type."""


@dataclass(frozen=True)
class TypeScores:
    """The questions of one type: how many, and by score the mean over them."""

    questions: int
    scores: Mapping[str, float]


@dataclass(frozen=True)
class TypedRow:
    """A row of a table, by type of question.

    Attributes:
        row: the row.
        types: by type, its questions, in the order of the types' names.
        micro: by score, the mean over all questions.
        macro: by score, the mean of the types' means.
        sides: the questions of whatever type that can be answered (``"answerable"``), and the others
            (``"unanswerable"``); nothing where all can.
    """

    row: Row
    types: Mapping[str, TypeScores]
    micro: Mapping[str, float]
    macro: Mapping[str, float]
    sides: Mapping[str, TypeScores]

    def choose(self, score: str | None) -> str:
        """Return the score to show: ``score``, else the benchmark's own where there is one, else exact match.

        Raises:
            RunError: when the questions have no such score.
        """
        if score is None:
            return "official" if "official" in self.micro else "em"
        if score not in self.micro:
            raise RunError(f"score {score!r}: expected one of {', '.join(self.micro)}")
        return score


def by_type(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> list[TypedRow]:
    """Return ``rows``, which are of ``runs``, by type of question."""
    return [_typed(row, runs[row.run]) for row in rows]


def _typed(row: Row, run: RecordedRun) -> TypedRow:
    groups: dict[str, list[dict[str, float]]] = {}
    sides: dict[str, list[dict[str, float]]] = {"answerable": [], "unanswerable": []}
    for episode in applicable(run.episodes):
        if (episode["env"], episode["policy"]) != (row.env, row.policy):
            continue
        verdicts = run.judgements.get(episode_key(episode))
        for number, question in enumerate(episode["metrics"]["questions"]):
            scores = _scores(question)
            if verdicts is not None:
                scores["judge"] = float(verdicts[number])
            groups.setdefault(str(question.get("type") or NO_TYPE), []).append(scores)
            sides["unanswerable" if question.get("answerable") is False else "answerable"].append(scores)
    types = {kind: _type_scores(groups[kind]) for kind in sorted(groups)}
    micro = _means([scores for group in groups.values() for scores in group])
    macro = {
        score: sum(found.scores[score] for found in types.values()) / len(types)
        for score in micro
        if all(score in found.scores for found in types.values())
    }
    split = {side: _type_scores(found) for side, found in sides.items()} if sides["unanswerable"] else {}
    return TypedRow(row, types, micro, macro, split)


def _type_scores(questions: Sequence[Mapping[str, float]]) -> TypeScores:
    return TypeScores(len(questions), _means(questions) if questions else {})


def _scores(question: QuestionMetrics) -> dict[str, float]:
    given = cast("Mapping[str, float | None]", question)
    found = {name: given.get(name) for name in (*SCORES, "official")}
    return {name: value for name, value in found.items() if value is not None}


def _means(questions: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each score that all of the questions have."""
    names = [name for name in questions[0] if all(name in question for question in questions)]
    return {name: sum(question[name] for question in questions) / len(questions) for name in names}
