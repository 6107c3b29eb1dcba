"""2WikiMultihopQA: its row schema and where its data comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from atommem_env.data.benchmark import Benchmark
from atommem_env.data.reading import read_rows
from atommem_env.data.records import Record
from atommem_env.data.rows import as_list, as_mapping, as_text, distinct, sentence_record, text_field
from atommem_env.env import BenchmarkEnv


def parse(row: Mapping[str, Any]) -> Record:
    """Turn a 2WikiMultihopQA row, from the official file or the hub, into a record.

    The fields are those of HotpotQA; ``evidences`` (triples) tells the two apart and is not used. Columns
    that hold JSON text are accepted. See https://github.com/Alab-NII/2wikimultihop and
    :func:`~atommem_env.data.rows.sentence_record`.

    Raises:
        ValueError: when a field is missing or of the wrong form, or when the row is one of HotpotQA, which
            alone has ``level``.
    """
    if "level" in row and "evidences" not in row:
        raise ValueError(
            "field 'level' belongs to HotpotQA, expected a 2WikiMultihopQA row; "
            "use AtomMem-HotpotQA-v0 for this file"
        )
    return sentence_record(row)


def read_aliases(path: Path) -> Callable[[Record, Mapping[str, Any]], Record]:
    """Read ``id_aliases.json`` of the official archive, and return what adds a row's aliases to its record.

    A line is ``{"Q_id": ..., "aliases": [...], "demonyms": [...]}``. The official scorer takes both for the row's
    ``answer_id``.
    """
    known: dict[str, list[str]] = {}
    for line in read_rows(path):
        entry = as_mapping(line.value, line.place)
        names = [
            *as_list(entry.get("aliases") or (), "aliases"),
            *as_list(entry.get("demonyms") or (), "demonyms"),
        ]
        known[text_field(entry, "Q_id")] = [as_text(name, "aliases") for name in names]

    def add(record: Record, row: Mapping[str, Any]) -> Record:
        names = [name for name in known.get(str(row.get("answer_id")), ()) if name.strip()]
        return replace(record, answers=distinct((*record.answers, *names)))

    return add


WIKI2 = Benchmark(
    name="2wikimultihopqa",
    title="2WikiMultihopQA",
    licence="Apache-2.0",
    homepage="https://github.com/Alab-NII/2wikimultihop",
    citation=(
        "Ho et al., Constructing A Multi-hop QA Dataset for Comprehensive Evaluation of Reasoning Steps, "
        "COLING 2020"
    ),
    parse=parse,
    fields=("_id|id", "question", "answer", "context", "supporting_facts"),
    aliases="id_aliases.json",
    with_aliases=read_aliases,
    hub_id="framolfese/2WikiMultihopQA",
    hub_revision="fe713bfbd1afbca1a65246741a75890405d56a3a",
    hub_files={
        "train": ("data/train-*.parquet",),
        "validation": ("data/validation-*.parquet",),
    },
    file_patterns={
        "train": ("2wiki*train*.json*", "*2wiki*/train.json*", "data_ids*/train.json*", "./train.json"),
        "validation": (
            "2wiki*dev*.json*",
            "2wiki*validation*.json*",
            "*2wiki*/dev.json*",
            "data_ids*/dev.json*",
            "./dev.json",
            "2wikimultihopqa.json*",
        ),
        "test": ("2wiki*test*.json*", "*2wiki*/test.json*", "./test.json"),
    },
)


class TwoWikiMultihopQAEnv(BenchmarkEnv):
    """2WikiMultihopQA as a memory decision process.

    ## Description
    Questions of two to four hops over Wikipedia, of the types *comparison*, *bridge_comparison*, *compositional* and
    *inference* (Ho et al., COLING 2020). A task's documents are its questions' ten paragraphs each, and others of
    the dataset.

    ## Action Space, Observation Space, Rewards, Starting State, Episode End, Information
    Those of :class:`atommem_env.MemoryEnv`.

    ## Arguments
    Args:
        split: ``"validation"`` (12,576 questions) or ``"train"`` (167,454).
        source: ``"auto"``, ``"hub"``, ``"generated"``, the path of an official file or folder, or a ``QADataset``.
        **kwargs: the arguments of :class:`atommem_env.MemoryEnv`.

    ## References
    https://github.com/Alab-NII/2wikimultihop; licence Apache-2.0.

    ## Version History
    - v0: initial version.
    """

    benchmark = WIKI2
