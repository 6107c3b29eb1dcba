"""Scores of one answer against its gold answers: the package's own, and each benchmark's."""

from atommem_env.scoring.answers import SCORES, Score, cover_em, exact_match, f1, make_reward, normalize
from atommem_env.scoring.official import (
    AnswerScores,
    OfficialScore,
    abstained,
    answer_scores,
    official_reward,
    official_score,
    substring_score,
)

__all__ = [
    "SCORES",
    "AnswerScores",
    "OfficialScore",
    "Score",
    "abstained",
    "answer_scores",
    "cover_em",
    "exact_match",
    "f1",
    "make_reward",
    "normalize",
    "official_reward",
    "official_score",
    "substring_score",
]
