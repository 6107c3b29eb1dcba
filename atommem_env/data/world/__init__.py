"""The generated world: a seeded, unlimited corpus of multi-hop questions with exact answers.

A question comes with its own invented people, places, works, organisations and events, and with paragraphs
about them: those that the answer rests on, and distractors about their namesakes. No two questions share a
full name, so any number of them may be pooled. It needs no download and has no licence but the package's.

    >>> question = generate(WorldConfig(seed=0), "train", 0)
    >>> len(question.paragraphs)
    10

The parts: ``model`` (the types), ``names``, ``relations`` and ``templates`` (names, facts and wordings), ``entities``
(paragraphs), ``questions`` (questions), ``rows`` (the benchmarks' schemas). ``statements`` and ``asked`` read sentences
and questions back. ``chat`` writes the world as conversations, ``chat_rows`` in the schemas of their benchmarks, and
``chat_reading`` reads them back.
"""

from __future__ import annotations

from atommem_env.data.world.model import (
    FIXED_HOPS,
    QUESTION_KINDS,
    SPLITS,
    SupportingFact,
    Triple,
    WorldConfig,
    WorldHop,
    WorldParagraph,
    WorldQuestion,
)
from atommem_env.data.world.questions import generate
from atommem_env.data.world.rows import (
    BENCHMARKS,
    benchmark_config,
    hotpotqa_row,
    musique_row,
    rows,
    wiki2_row,
    world_record,
)

GENERATOR = tuple(
    f"{__name__}.{part}"
    for part in ("entities", "model", "names", "questions", "relations", "rows", "templates")
)
"""The modules that decide what the paragraphs and questions of the world say: converted data depends on them."""

__all__ = [
    "BENCHMARKS",
    "FIXED_HOPS",
    "GENERATOR",
    "QUESTION_KINDS",
    "SPLITS",
    "SupportingFact",
    "Triple",
    "WorldConfig",
    "WorldHop",
    "WorldParagraph",
    "WorldQuestion",
    "benchmark_config",
    "generate",
    "hotpotqa_row",
    "musique_row",
    "rows",
    "wiki2_row",
    "world_record",
]
