"""Reflection without a model: a stand-in for Generative Agents' prompts, which is not the published system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from atommem_env.baselines.engines.engine import Insight
from atommem_env.baselines.engines.rules.compression import Line, line_scores, write_lines
from atommem_env.baselines.engines.rules.passages import read_passages
from atommem_env.baselines.engines.rules.spans import names
from atommem_env.text import sentences


def rate_importance(text: str) -> int:
    """Return the number of words of ``text`` that open with a capital or hold a digit, from 1 to 10."""
    count = sum(word[:1].isupper() or any(map(str.isdigit, word)) for word in text.split())
    return min(10, max(1, count))


def focal_questions(texts: Sequence[str], count: int) -> list[str]:
    """Ask about the ``count`` names that most of ``texts`` hold, the first to appear first among equals."""
    held: Counter[str] = Counter()
    for text in texts:
        held.update(list(dict.fromkeys(name.text for name in names(text))))
    return [f"What is known about {name}?" for name, _ in held.most_common(count)]


def insights(question: str, texts: Sequence[str], count: int) -> list[Insight]:
    """Return the ``count`` sentences of ``texts`` with the highest question overlap, none without any.

    Each is put under the title of its document, and rests on the text that it stands in.
    """
    found: dict[tuple[str, str], Line] = {}
    for place, text in enumerate(texts):
        for passage in read_passages([text]):
            for sentence in sentences(passage.text):
                found.setdefault((passage.title, sentence), Line(place, sentence, passage.title))
    lines = list(found.values())
    scores = line_scores([question], lines)
    order = sorted(range(len(lines)), key=lambda number: (-scores[number], number))
    return [
        Insight(write_lines([lines[number]]), (lines[number].block,))
        for number in order[:count]
        if scores[number] > 0
    ]
