"""Scores of one answer against its gold answers: exact match, F1 and cover exact match.

The normalisation, and the rule that a yes/no answer earns no partial F1, are those of the official SQuAD and
HotpotQA evaluation scripts (Rajpurkar et al. 2016; Yang et al. 2018, hotpotqa.github.io). Every function takes
the best score over the gold answer and its aliases. Scores are Python floats in [0, 1].
"""

from __future__ import annotations

import functools
import math
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from atommem_env.core.resolve import resolve

Score: TypeAlias = Callable[[str, Sequence[str]], float]

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_LONG_TEXT = 4096  # characters; longer texts are not remembered
_CLOSED = frozenset({"yes", "no", "noanswer"})


def normalize(text: str) -> str:
    """Return ``text`` in lower case, without ASCII punctuation and articles, with single spaces."""
    return _recently_normalized(text) if len(text) <= _LONG_TEXT else _normalize(text)


def _normalize(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


# Every score of an answer asks for the same few texts.
_recently_normalized = functools.lru_cache(maxsize=64)(_normalize)


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """Return 1.0 when the normalised prediction equals a normalised answer, else 0.0."""
    predicted = normalize(prediction)
    return float(any(predicted == normalize(answer) for answer in _checked(answers)))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """Return the largest token F1 of the normalised prediction with an answer.

    When either side is yes, no or noanswer and they differ, F1 is 0.
    """
    return max(_f1(normalize(prediction), normalize(answer)) for answer in _checked(answers))


def cover_em(prediction: str, answers: Sequence[str]) -> float:
    """Return 1.0 when a normalised answer stands, as whole words, in the normalised prediction, else 0.0."""
    predicted = f" {normalize(prediction)} "
    normal = (normalize(answer) for answer in _checked(answers))
    return float(any(f" {answer} " in predicted if answer else not predicted.strip() for answer in normal))


def _f1(prediction: str, answer: str) -> float:
    if prediction != answer and (prediction in _CLOSED or answer in _CLOSED):
        return 0.0
    return bag_f1(prediction.split(), answer.split())


def bag_f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    """Return the F1 of two bags of words; 0 where they have none in common."""
    if set(predicted).isdisjoint(gold):
        return 0.0
    common = sum((Counter(predicted) & Counter(gold)).values())
    precision, recall = common / len(predicted), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def _checked(answers: Sequence[str]) -> Sequence[str]:
    if isinstance(answers, str) or not answers:
        raise ValueError(
            f"answers={answers!r}: expected a list of at least one gold answer, such as ['Paris']"
        )
    return answers


SCORES: Final[dict[str, Score]] = {"em": exact_match, "f1": f1, "cover_em": cover_em}


def make_reward(spec: str | Score) -> Score:
    """Return the function ``(prediction, answers) -> score`` that ``spec`` names.

    Args:
        spec: ``"em"``, ``"f1"``, ``"cover_em"``, ``"module:function"``, or the function itself.

    Raises:
        ValueError: when ``spec`` is none of these.
    """
    function: object = spec
    if isinstance(spec, str):
        if spec in SCORES:
            return SCORES[spec]
        if ":" not in spec:
            raise ValueError(
                f"reward={spec!r}: expected one of {sorted(SCORES)}, 'module:function', or a function of "
                "(prediction, answers)"
            )
        function = resolve(spec)
    if not callable(function):
        raise ValueError(
            f"reward={spec!r}: expected a function of (prediction, answers), got {type(function).__name__}"
        )

    return _Checked(spec, function)


class _Checked:
    """A user's reward function whose results are checked."""

    def __init__(self, spec: str | Score, function: Callable[..., object]) -> None:
        self._spec = spec
        self._function = function

    def __call__(self, prediction: str, answers: Sequence[str]) -> float:
        found = self._function(prediction, answers)
        try:
            score = math.nan if isinstance(found, (str, bytes)) else float(found)  # type: ignore[arg-type]
        except Exception:  # what an object's own methods raise makes it no number
            score = math.nan
        if not (math.isfinite(score) and 0.0 <= score <= 1.0):
            raise ValueError(
                f"reward={_shown(self._spec)} returned {_shown(found)}; a score is a number that lies in [0, 1], so "
                "that a return does too"
            )
        return score


def _shown(value: object) -> str:
    """Return ``value`` for a message, cut where it is long; its type alone where it cannot be printed."""
    try:
        text = repr(value)
    except Exception:
        return f"an object of {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


_SHOWN: Final = 200
