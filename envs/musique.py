"""MuSiQue (answerable): its row schema and where its data comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from atommem_env.data.benchmark import Benchmark
from atommem_env.data.records import Evidence, Record
from atommem_env.data.rows import (
    DocumentList,
    answer_field,
    as_bool,
    as_index,
    as_label,
    as_list,
    as_mapping,
    as_text,
    distinct,
    label_field,
    require,
    text_field,
)
from atommem_env.env import BenchmarkEnv
from atommem_env.text import sentence_spans


def parse(row: Mapping[str, Any]) -> Record:
    """Turn a MuSiQue row into a record.

    The fields are ``id``, ``question``, ``answer``, ``answer_aliases``, ``paragraphs`` and
    ``question_decomposition``; see https://github.com/StonyBrookNLP/musique. MuSiQue marks paragraphs, not
    sentences: a hop's unit of evidence is the first sentence of its paragraph that contains the hop's
    answer, or the whole paragraph when none does.

    Raises:
        ValueError: when a field is missing or of the wrong form, or when the row is unanswerable.
    """
    if row.get("answerable") in (False, "False"):
        raise ValueError(
            "field 'answerable' is False, expected answerable questions: take the musique_ans files"
        )
    answers = (answer_field(row), *_aliases(row))
    documents = DocumentList()
    positions: dict[int, int] = {}
    gold: list[int] = []
    for index, value in enumerate(as_list(require(row, "paragraphs"), "paragraphs")):
        field = f"paragraphs[{index}]"
        paragraph = as_mapping(value, field)
        title = as_text(require(paragraph, "title"), f"{field}.title")
        text = as_text(require(paragraph, "paragraph_text"), f"{field}.paragraph_text").strip()
        position = documents.add(title, text)
        positions[as_index(require(paragraph, "idx"), f"{field}.idx")] = position
        if as_bool(require(paragraph, "is_supporting"), f"{field}.is_supporting"):
            gold.append(position)
    merged = documents.documents()
    evidence: list[Evidence] = []
    missing = False
    for index, value in enumerate(as_list(require(row, "question_decomposition"), "question_decomposition")):
        field = f"question_decomposition[{index}]"
        hop = as_mapping(value, field)
        number = as_index(require(hop, "paragraph_support_idx"), f"{field}.paragraph_support_idx")
        if number not in positions:
            missing = True
            continue
        position = positions[number]
        gold.append(position)
        start, end = _unit(merged[position].text, as_text(require(hop, "answer"), f"{field}.answer"))
        if end > start:
            evidence.append(Evidence(position, start, end))
    identity = label_field(row, "id")
    return Record(
        id=identity,
        type=identity.partition("__")[0] if "__" in identity else "",
        question=text_field(row, "question"),
        answers=distinct(answers),
        documents=merged,
        gold=distinct(gold),
        evidence=() if missing else distinct(evidence),
        missing=missing,
    )


def _aliases(row: Mapping[str, Any]) -> list[str]:
    aliases = row.get("answer_aliases")
    values = as_list(() if aliases is None else aliases, "answer_aliases")
    texts = [as_label(value, f"answer_aliases[{index}]") for index, value in enumerate(values)]
    return [text for text in texts if text.strip()]


def _unit(text: str, answer: str) -> tuple[int, int]:
    """Return the span of the first sentence of ``text`` that contains ``answer``, else of all of it."""
    answer = answer.strip()
    if answer:
        spans = sentence_spans(text)
        for pattern in (rf"(?<!\w){re.escape(answer)}(?!\w)", re.escape(answer)):
            contains = re.compile(pattern, re.IGNORECASE)
            for start, end in spans:
                if contains.search(text, start, end):
                    return start, end
    return 0, len(text)


MUSIQUE = Benchmark(
    name="musique",
    title="MuSiQue",
    licence="CC BY 4.0",
    homepage="https://github.com/StonyBrookNLP/musique",
    citation="Trivedi et al., MuSiQue: Multihop Questions via Single-hop Question Composition, TACL 2022",
    parse=parse,
    fields=("id", "question", "answer", "paragraphs", "question_decomposition"),
    hub_id="dgslibisey/MuSiQue",
    hub_revision="c8f4f8c9465fb69d31a8eae894c3fd509c4ca321",
    hub_files={
        "train": ("musique_ans_v1.0_train.jsonl",),
        "validation": ("musique_ans_v1.0_dev.jsonl",),
    },
    file_patterns={
        "train": ("musique_ans_v1.0_train.jsonl", "musique_ans*train*.json*", "musique*train*.json*"),
        "validation": (
            "musique_ans_v1.0_dev.jsonl",
            "musique_ans*dev*.json*",
            "musique*dev*.json*",
            "musique.json*",
        ),
        "test": ("musique_ans*test*.json*", "musique*test*.json*"),
    },
)


class MuSiQueEnv(BenchmarkEnv):
    """MuSiQue as a memory decision process.

    ## Description
    Answerable questions of two to four hops, composed of single-hop questions (Trivedi et al., TACL 2022). A task's
    documents are its questions' twenty paragraphs each, and others of the dataset. Answers have aliases.

    ## Action Space, Observation Space, Rewards, Starting State, Episode End, Information
    Those of :class:`atommem_env.MemoryEnv`.

    ## Arguments
    Args:
        split: ``"validation"`` (2,417 questions) or ``"train"`` (19,938).
        source: ``"auto"``, ``"hub"``, ``"generated"``, the path of an official file or folder, or a ``QADataset``.
        **kwargs: the arguments of :class:`atommem_env.MemoryEnv`.

    ## References
    https://github.com/StonyBrookNLP/musique; licence CC BY 4.0.

    ## Version History
    - v0: initial version.
    """

    benchmark = MUSIQUE
