"""Vague: the control whose answers are on topic and say nothing.

Reading: an empty action at every chunk. Answering: with the plain words of the question, without its names, numbers
and dates. A judge that accepts such an answer accepts anything; a score counts for what it is above this one's.
"""

from __future__ import annotations

import re
from typing import Final

from atommem_env.baselines.common import Observation, Operations, Workflow
from atommem_env.core.operations import Answer
from atommem_env.core.words import STOP_WORDS

_WORD: Final = re.compile(r"(?<![\w'])[^\W\d_A-Z]+(?:-[^\W\d_A-Z]+)*(?![\w'])")
_MOST: Final = 6


class Vague(Workflow):
    """Answers every question with its own words.

    Args:
        engine: not used.
    """

    name = "vague"

    def answer_question(self, observation: Observation) -> Operations:
        """Answer with the question's plain words."""
        return [Answer(vague_answer(observation["questions"][0]))]


def vague_answer(question: str) -> str:
    """Return an answer to ``question`` that states no fact."""
    found = [word for word in _WORD.findall(question) if word == word.lower() and word not in STOP_WORDS]
    words = " ".join(list(dict.fromkeys(found))[:_MOST])
    return f"Something to do with {words}" if words else "Something of that kind"
