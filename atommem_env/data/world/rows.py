"""The generated world in other shapes: the rows of the three benchmarks, and the package's own records."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from atommem_env.data.records import SUPERSEDED, SUPPORTING, Document, Evidence, Record
from atommem_env.data.world.model import FIXED_HOPS, SupportingFact, WorldConfig, WorldQuestion
from atommem_env.data.world.questions import generate

BENCHMARKS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "hotpotqa": {
            "kinds": ("bridge",) * 6 + ("comparison", "yes_no"),
            "hops": (2, 2),
            "num_paragraphs": 10,
        },
        "2wikimultihopqa": {
            "kinds": ("compositional",) * 4
            + ("bridge_comparison",) * 2
            + ("comparison", "yes_no", "inference"),
            "hops": (2, 2),
            "num_paragraphs": 10,
        },
        "musique": {
            "kinds": ("bridge", "compositional"),
            "hops": (2, 4),
            "num_paragraphs": 20,
        },
    }
)
"""What each benchmark asks of the world: kinds about as often as there, hops, and paragraphs per question."""

_HOTPOTQA_TYPES = {"bridge": "bridge", "comparison": "comparison", "yes_no": "comparison"}
_WIKI2_TYPES = {
    "compositional": "compositional",
    "inference": "inference",
    "comparison": "comparison",
    "yes_no": "comparison",
    "bridge_comparison": "bridge_comparison",
}
_MUSIQUE_TYPES = {("bridge", 2): "2hop", ("bridge", 3): "3hop1", ("bridge", 4): "4hop1"}
_MUSIQUE_TYPES.update({("compositional", hops): name for (_, hops), name in list(_MUSIQUE_TYPES.items())})


def benchmark_config(benchmark: str, config: WorldConfig) -> WorldConfig:
    """Return ``config`` with the kinds, hops and number of paragraphs of ``benchmark``.

    Raises:
        ValueError: when the benchmark is unknown.
    """
    if benchmark not in BENCHMARKS:
        raise ValueError(f"benchmark={benchmark!r}: the world has rows for {', '.join(BENCHMARKS)}.")
    return dataclasses.replace(config, **BENCHMARKS[benchmark])


def rows(benchmark: str, config: WorldConfig, split: str) -> Iterator[dict[str, Any]]:
    """Yield the ``config.size`` rows of a split in the official schema of ``benchmark``.

    Args:
        benchmark: ``"hotpotqa"``, ``"2wikimultihopqa"`` or ``"musique"``.
        config: gives the seed, the size and the share of revisions; the benchmark gives the rest (see
            ``BENCHMARKS``).
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Raises:
        ValueError: when the benchmark or the split is unknown.
    """
    fitted = benchmark_config(benchmark, config)
    render = {"hotpotqa": hotpotqa_row, "2wikimultihopqa": wiki2_row, "musique": musique_row}[benchmark]
    for index in range(fitted.size):
        yield render(generate(fitted, split, index))


def hotpotqa_row(question: WorldQuestion) -> dict[str, Any]:
    """Return ``question`` as a HotpotQA row (hotpotqa.github.io); sentences after the first begin with a space.

    Raises:
        ValueError: when HotpotQA has no such questions: it has bridge (two paragraphs), comparison and yes/no.
    """
    kind = _benchmark_type(question, "HotpotQA", _HOTPOTQA_TYPES, 2)
    return {
        "_id": question.id,
        "answer": question.answer,
        "question": question.question,
        "supporting_facts": _supporting_facts(question),
        "context": [
            [title, [sentences[0], *(" " + sentence for sentence in sentences[1:])]]
            for title, sentences in question.paragraphs
        ],
        "type": kind,
        "level": "hard",
    }


def wiki2_row(question: WorldQuestion) -> dict[str, Any]:
    """Return ``question`` as a 2WikiMultihopQA row (github.com/Alab-NII/2wikimultihop).

    Raises:
        ValueError: when 2WikiMultihopQA has no such questions: it has no bridge questions, and its
            compositional ones rest on two paragraphs.
    """
    kind = _benchmark_type(question, "2WikiMultihopQA", _WIKI2_TYPES, FIXED_HOPS.get(question.kind, 2))
    return {
        "_id": question.id,
        "type": kind,
        "question": question.question,
        "context": [[title, list(sentences)] for title, sentences in question.paragraphs],
        "entity_ids": "_".join(f"Q{question.block * 10 + hop}" for hop in range(question.hops)),
        "supporting_facts": _supporting_facts(question),
        "evidences": [list(triple) for triple in question.evidences],
        "answer": question.answer,
        "evidences_id": [],
        "answer_id": None,
    }


def musique_row(question: WorldQuestion) -> dict[str, Any]:
    """Return ``question`` as a MuSiQue (answerable) row (github.com/StonyBrookNLP/musique).

    Raises:
        ValueError: when MuSiQue has no such questions: it has chains of 2 to 4 hops only.
    """
    kind = _MUSIQUE_TYPES.get((question.kind, question.hops))
    if kind is None:
        raise _misfit(question, "MuSiQue")
    supporting = {fact.paragraph for fact in question.supporting}
    numbers = [question.block * 10 + hop for hop in range(question.hops)]
    return {
        "id": f"{kind}__{'_'.join(map(str, numbers))}",
        "paragraphs": [
            {
                "idx": idx,
                "title": title,
                "paragraph_text": " ".join(sentences),
                "is_supporting": idx in supporting,
            }
            for idx, (title, sentences) in enumerate(question.paragraphs)
        ],
        "question": question.question,
        "question_decomposition": [
            {
                "id": number,
                "question": hop.question,
                "answer": hop.answer,
                "paragraph_support_idx": hop.paragraph,
            }
            for number, hop in zip(numbers, question.decomposition, strict=True)
        ],
        "answer": question.answer,
        "answer_aliases": list(question.aliases),
        "answerable": True,
    }


def world_record(question: WorldQuestion) -> Record:
    """Return ``question`` as a record: any kind, with its supporting sentences, and one that was superseded."""
    evidence = [_evidence(question, fact) for fact in question.supporting]
    old = question.superseded
    if old is not None:
        later = f"{question.paragraphs[old.paragraph].title} ("
        titles = [question.paragraphs[fact.paragraph].title for fact in question.supporting]
        place = next(place for place, title in enumerate(titles) if title.startswith(later))
        evidence.insert(place, _evidence(question, old, SUPERSEDED))
    return Record(
        id=question.id,
        type=question.kind,
        question=question.question,
        answers=(question.answer, *question.aliases),
        documents=tuple(Document(title, " ".join(sentences)) for title, sentences in question.paragraphs),
        gold=tuple(sorted({fact.paragraph for fact in question.supporting})),
        evidence=tuple(evidence),
        former=question.former,
    )


def _evidence(question: WorldQuestion, fact: SupportingFact, role: str = SUPPORTING) -> Evidence:
    sentences = question.paragraphs[fact.paragraph].sentences
    start = sum(len(text) + 1 for text in sentences[: fact.sentence])
    return Evidence(fact.paragraph, start, start + len(sentences[fact.sentence]), role)


def _supporting_facts(question: WorldQuestion) -> list[list[Any]]:
    return [[question.paragraphs[paragraph].title, sentence] for paragraph, sentence in question.supporting]


def _benchmark_type(question: WorldQuestion, benchmark: str, types: Mapping[str, str], hops: int) -> str:
    kind = types.get(question.kind)
    if kind is None or question.hops != hops:
        raise _misfit(question, benchmark)
    return kind


def _misfit(question: WorldQuestion, benchmark: str) -> ValueError:
    return ValueError(
        f"{benchmark} has no {question.kind} questions of {question.hops} hops. Generate with the config that "
        "benchmark_config() returns, or use world_record()."
    )
