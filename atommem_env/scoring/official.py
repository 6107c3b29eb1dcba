"""The benchmarks' own scores: one function each, found by the benchmark's name.

What each takes for the same answer is what its authors' evaluation script does. A score that needs a judge, or a file
that the benchmark's own files do not hold, is ``None``: no other number stands in its place.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypedDict

from atommem_env.scoring.answers import SCORES, bag_f1, f1, normalize
from atommem_env.text import PieceTokenizer

OfficialScore: TypeAlias = Callable[[str, Sequence[str], str], float | None]
"""``(prediction, answers, type) -> score``: a float in [0, 1], or ``None`` where it needs more than these."""

SUBSTRING_TOKENS: Final = 10
"""How many tokens of a prediction are looked at where a score asks whether it contains the answer."""

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_LOCOMO_ARTICLES = re.compile(r"\b(?:a|an|the|and)\b")
_LOCOMO_CATEGORIES = {
    "1": "multi-hop",
    "2": "temporal",
    "3": "open-domain",
    "4": "single-hop",
    "5": "adversarial",
}
_LOCOMO_ABSTAINS = ("no information available", "not mentioned")
_ABSTAINS = (
    *_LOCOMO_ABSTAINS,
    "cannot be answered",
    "can not be answered",
    "cant be answered",
    "do not know",
    "dont know",
    "does not say",
    "doesnt say",
    "did not mention",
    "didnt mention",
    "does not mention",
    "doesnt mention",
    "have not mentioned",
    "havent mentioned",
    "insufficient information",
    "no information",
    "not answerable",
    "not enough information",
    "not provided",
    "not specified",
    "unanswerable",
)
_SPACED_ABSTAINS = tuple([f" {phrase} " for phrase in _ABSTAINS])


def official_score(benchmark: str) -> OfficialScore | None:
    """Return the official score of a benchmark by its short name, such as ``musique``.

    Returns:
        ``None`` where it needs a judge for every question, or the name is not a benchmark with its own score.
    """
    return _SCORES.get(benchmark)


def abstained(prediction: str | None, benchmark: str = "") -> bool:
    """Tell whether a prediction says that the question cannot be answered.

    LoCoMo's script accepts two phrases anywhere in the prediction, whatever their case: "no information available"
    and "not mentioned". For every other benchmark the package accepts these and the common ways to say so ("I don't
    know", "not enough information", "unanswerable", ...), anywhere in the prediction without its punctuation; and
    "unknown" or "n/a" alone.

    Args:
        prediction: what was answered; ``None`` where nothing was.
        benchmark: the benchmark's short name.
    """
    if prediction is None:
        return False
    if benchmark == "locomo":
        lower = prediction.lower()
        return any(phrase in lower for phrase in _LOCOMO_ABSTAINS)
    plain = " ".join(prediction.lower().replace("\u2019", "'").translate(_PUNCTUATION).split())
    spaced = f" {plain} "
    return plain in ("unknown", "na") or any(map(spaced.__contains__, _SPACED_ABSTAINS))


def official_reward(benchmark: str) -> OfficialScore:
    """Return the official score of a benchmark as a reward.

    Raises:
        ValueError: where the benchmark has none without a judge.
    """
    score = official_score(benchmark)
    if score is None:
        raise ValueError(
            f"reward='official': {benchmark!r} has no official score without a judge; pass 'em', 'f1' or 'cover_em' "
            f"(there is one for {', '.join(sorted(_SCORES))})"
        )
    return score


class AnswerScores(TypedDict):
    """The scores of one answer."""

    em: float
    f1: float
    cover_em: float
    official: float | None
    abstained: bool


def answer_scores(
    prediction: str | None,
    answers: Sequence[str],
    benchmark: str = "",
    type: str = "",
    answerable: bool = True,
) -> AnswerScores:
    """Return every score of one answer.

    Where the question cannot be answered, ``em``, ``f1`` and ``cover_em`` are 1.0 when the prediction abstains, else
    0.0; where it can, an abstention is scored as any text.

    Args:
        prediction: what was answered; ``None`` where nothing was, which scores 0.
        answers: the gold answer, then its aliases; may be empty where ``answerable`` is false.
        benchmark: the benchmark's short name, for ``official``.
        type: the question's type in the benchmark.
        answerable: whether the question has an answer in the text.
    """
    official = official_score(benchmark)
    away = abstained(prediction, benchmark)
    if prediction is None:
        scores = dict.fromkeys(SCORES, 0.0)
        judged = (
            benchmark in SOME_JUDGED and official is not None and official("", answers or [""], type) is None
        )
        own = None if official is None or judged else 0.0
    else:
        scores = {
            name: score(prediction, answers) if answerable else float(away) for name, score in SCORES.items()
        }
        own = None if official is None else official(prediction, answers or [""], type)
    return {
        "em": scores["em"],
        "f1": scores["f1"],
        "cover_em": scores["cover_em"],
        "official": own,
        "abstained": away,
    }


# --- HotpotQA, 2WikiMultihopQA, MuSiQue -------------------------------------------------------------


def _yes_no_f1(prediction: str, answers: Sequence[str], type: str) -> float:
    return f1(prediction, answers)


def _musique(prediction: str, answers: Sequence[str], type: str) -> float:
    """F1 over bags of words, without a rule for yes and no; two empty bags are equal."""
    predicted = normalize(prediction).split()
    return max(_equal_or_f1(predicted, normalize(answer).split()) for answer in answers)


def _equal_or_f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    return bag_f1(predicted, gold) if predicted and gold else float(predicted == gold)


# --- LoCoMo -----------------------------------------------------------------------------------------


def _locomo(prediction: str, answers: Sequence[str], type: str) -> float:
    """F1 over stems; by category: the mean over the parts of a list, the answer before a semicolon, abstention."""
    category = _LOCOMO_CATEGORIES.get(type, type)
    if category == "adversarial":
        return float(abstained(prediction, "locomo"))
    answer = answers[0]
    if category == "multi-hop":
        parts = [_stems(part.strip()) for part in prediction.split(",")]
        gold = [_stems(part.strip()) for part in answer.split(",")]
        return sum(max(bag_f1(part, wanted) for part in parts) for wanted in gold) / len(gold)
    if category == "open-domain":
        answer = answer.split(";")[0].strip()
    return bag_f1(_stems(prediction), _stems(answer))


def _stems(text: str) -> list[str]:
    plain = text.replace(",", "").lower().translate(_PUNCTUATION)
    stem = _stemmer()
    return [stem(word) for word in _LOCOMO_ARTICLES.sub(" ", plain).split()]


@functools.cache
def _stemmer() -> Callable[[str], str]:
    from nltk.stem.porter import PorterStemmer

    return functools.lru_cache(maxsize=1 << 14)(PorterStemmer().stem)


# --- MemoryAgentBench -------------------------------------------------------------------------------


def _memory_agent_bench(prediction: str, answers: Sequence[str], type: str) -> float | None:
    """By the question's source: whether the answer is contained, or equal; ``None`` where that is not the score."""
    source = type.lower()
    if source.startswith(("factconsolidation", "eventqa", "ruler")):
        return substring_score(prediction, answers)
    if source.startswith(("icl", "detective")):
        parsed = normalize(parsed_answer(prediction))
        return float(any(parsed == normalize(answer) for answer in answers))
    return None  # a judge (LongMemEval, InfBench), or a list of titles that lies elsewhere (ReDial)


def substring_score(prediction: str, answers: Sequence[str], limit: int | None = SUBSTRING_TOKENS) -> float:
    """Return 1.0 when a normalised answer is part of the normalised prediction, else 0.0.

    The larger of the scores of the prediction as it is and of its answer line counts, as in MemoryAgentBench.

    Args:
        prediction: what was answered.
        answers: the gold answers.
        limit: how many of the prediction's first tokens count, so that a long list of guesses does not win;
            ``None``: all.
    """
    forms = [normalize(_first_tokens(form, limit)) for form in (prediction, parsed_answer(prediction))]
    return float(any(normalize(answer) in form for answer in answers for form in forms))


def event_recall(prediction: str, answers: Sequence[str]) -> float:
    """Return EventQA's second score: 1.0 when all answers are in the prediction as it is, whatever their case."""
    lower = prediction.lower()
    return float(bool(answers) and all(answer.lower() in lower for answer in answers))


EVENT_RECALL: Final = "event_recall"
"""The name of EventQA's second score."""


def second_scores(
    benchmark: str, type: str, prediction: str | None, answers: Sequence[str]
) -> dict[str, float]:
    """Return by name what a benchmark reports of an answer besides its own score; mostly nothing.

    Args:
        benchmark: the benchmark's short name.
        type: the question's type.
        prediction: what was answered; ``None`` where nothing was.
        answers: the gold answers.
    """
    if benchmark == "memoryagentbench" and type.lower().startswith("eventqa"):
        return {EVENT_RECALL: event_recall(prediction or "", answers)}
    return {}


def recommendation_recall(
    prediction: str, gold: Sequence[str], titles: Sequence[str], limit: int = 5
) -> float:
    """Return ReDial's recall: the share of the right titles among the first that a prediction lists.

    What stands after its first ``1.`` is a list, an item a line; without one, commas part the items. Each stands for
    the title that is nearest by edit distance, whatever the case, without numbers before it and what is in brackets.

    Args:
        prediction: what was answered.
        gold: the right titles.
        titles: all titles, as the benchmark's ``entity2id.json`` names them (:func:`movie_title`).
        limit: how many items count.
    """
    _, numbered, listed = prediction.partition("1.")
    lines = (listed if numbered else prediction.replace(",", "\n")).split("\n")
    items = [item for item in map(_item, lines) if item][:limit]
    found = {min(titles, key=lambda title: (edit_distance(item, title.lower()), title)) for item in items}
    return sum(title in found for title in gold) / len(gold) if gold else 0.0


def movie_title(name: str) -> str:
    """Return the title in a name of ``entity2id.json``: what follows the last slash, without brackets and marks."""
    plain = re.sub(r"[_>-]", " ", name.rsplit("/", 1)[-1])
    return " ".join(re.sub(r"\([^()]*\)", "", plain).split())


def _item(line: str) -> str:
    plain = re.sub(r"\([^()]*\)", "", line)
    return " ".join(re.sub(r"^\s*(?:\d+[.)]?|[-*])?\s*", "", plain).split()).lower()


def edit_distance(left: str, right: str) -> int:
    """Return the number of single characters to insert, remove or replace that makes one text of the other."""
    row = list(range(len(right) + 1))
    for place, char in enumerate(left, start=1):
        before, row[0] = row[0], place
        for column, other in enumerate(right, start=1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (char != other)),
            )
    return row[-1]


def parsed_answer(prediction: str) -> str:
    """Return what stands after ``Answer:`` in its line, or the whole prediction where that is not there."""
    found = re.search(r"answer\s*:\s*(.+)", prediction, re.IGNORECASE)
    return found.group(1).strip() if found else prediction.strip()


def _first_tokens(text: str, limit: int | None) -> str:
    if limit is None:
        return text
    starts = PieceTokenizer().starts(text)
    return text if len(starts) <= limit else text[: int(starts[limit])]


_SCORES: Final[dict[str, OfficialScore]] = {
    "hotpotqa": _yes_no_f1,
    "2wikimultihopqa": _yes_no_f1,
    "musique": _musique,
    "locomo": _locomo,
    "memoryagentbench": _memory_agent_bench,
}

JUDGED: Final = frozenset({"longmemeval", "beam"})
"""The benchmarks whose own score is a judge's."""

SOME_JUDGED: Final = frozenset({"memoryagentbench"})
"""The benchmarks whose score needs a judge for questions of some types."""
