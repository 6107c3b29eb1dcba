"""HotpotQA: its row schema and where its data comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atommem_env.data.benchmark import Benchmark
from atommem_env.data.records import Record
from atommem_env.data.rows import sentence_record
from atommem_env.env import BenchmarkEnv


def parse(row: Mapping[str, Any]) -> Record:
    """Turn a HotpotQA row, from the official file or the hub, into a record.

    The fields are ``_id`` (``id`` on the hub), ``question``, ``answer``, ``type``, ``context`` and
    ``supporting_facts``; see https://github.com/hotpotqa/hotpot and
    :func:`~atommem_env.data.rows.sentence_record`. The files write titles with HTML entities (``&amp;``), here
    and in the supporting facts alike; answers and texts have none.

    Raises:
        ValueError: when a field is missing or of the wrong form, or when the row is one of
            2WikiMultihopQA, which alone has ``evidences``.
    """
    if "evidences" in row:
        raise ValueError(
            "field 'evidences' belongs to 2WikiMultihopQA, expected a HotpotQA row; "
            "use AtomMem-2WikiMultihopQA-v0 for this file"
        )
    return sentence_record(row, unescape_titles=True)


HOTPOTQA = Benchmark(
    name="hotpotqa",
    title="HotpotQA",
    licence="CC BY-SA 4.0",
    homepage="https://hotpotqa.github.io",
    citation=(
        "Yang et al., HotpotQA: A Dataset for Diverse, Explainable Multi-hop Question Answering, EMNLP 2018"
    ),
    parse=parse,
    fields=("_id|id", "question", "answer", "context", "supporting_facts"),
    hub_id="hotpotqa/hotpot_qa",
    hub_revision="1908d6afbbead072334abe2965f91bd2709910ab",
    hub_files={
        "train": ("distractor/train-*.parquet",),
        "validation": ("distractor/validation-*.parquet",),
    },
    file_patterns={
        "train": ("hotpot_train_v1.1.json", "hotpot_train*.json", "hotpot*train*.json*"),
        "validation": (
            "hotpot_dev_distractor_v1.json",
            "hotpot_dev_distractor*.json",
            "hotpot*dev*distractor*.json*",
            "hotpot_dev_fullwiki*.json",
            "hotpot*dev*.json*",
            "hotpot*validation*.json*",
            "hotpotqa.json*",
        ),
        "test": ("hotpot*test*.json*",),
    },
)


class HotpotQAEnv(BenchmarkEnv):
    """HotpotQA as a memory decision process.

    ## Description
    Two-hop questions over Wikipedia paragraphs, of the types *bridge* and *comparison* (Yang et al., EMNLP 2018).
    A task's documents are its questions' ten paragraphs each, and others of the dataset. In a folder the
    distractor setting wins over fullwiki, in whose rows most gold paragraphs are missing.

    ## Action Space, Observation Space, Rewards, Starting State, Episode End, Information
    Those of :class:`atommem_env.MemoryEnv`.

    ## Arguments
    Args:
        split: ``"validation"`` (7,405 questions) or ``"train"`` (90,447).
        source: ``"auto"``, ``"hub"``, ``"generated"``, the path of an official file or folder, or a ``QADataset``.
        **kwargs: the arguments of :class:`atommem_env.MemoryEnv`.

    ## References
    https://hotpotqa.github.io; licence CC BY-SA 4.0.

    ## Version History
    - v0: initial version.
    """

    benchmark = HOTPOTQA
