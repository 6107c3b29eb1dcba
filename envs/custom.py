"""A user's own questions and documents, or conversations."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from atommem_env.core.config import (
    EnvConfig,
    HistoryConfig,
    any_number,
    anything,
    choice,
    flag,
    option,
    optional,
    whole,
)
from atommem_env.core.resolve import is_reference
from atommem_env.data.custom import CUSTOM
from atommem_env.data.dataset import QADataset
from atommem_env.data.histories import is_history
from atommem_env.data.reading import read_rows
from atommem_env.data.sources import open_dataset
from atommem_env.env import MemoryEnv, history_tasks


@dataclass(frozen=True, kw_only=True)
class CustomConfig(EnvConfig):
    """The arguments of :class:`CustomEnv` over records."""

    source: Any = option(
        check=anything,
        help="your data: a QADataset, 'module:name' of one, or the path of a JSON or JSON Lines file of records or "
        "of histories.",
    )
    split: str | None = option(
        None,
        check=anything,
        help="the split of the data; a dataset has one, so that another name is an error.",
    )


@dataclass(frozen=True, kw_only=True)
class CustomArguments(CustomConfig):
    """The arguments of :class:`CustomEnv`; ``None`` stands for the default of records or of histories."""

    num_docs: Any = option(
        None, check=optional(whole(1)), help="documents in a task (records: 200); not for histories."
    )
    num_questions: Any = option(
        None,
        check=optional(any_number),
        help="questions in a task, an int or (low, high); None: (1, 10) of records, all of a history's.",
    )
    chunk_overlap: Any = option(
        None,
        check=optional(whole(0)),
        help="how many tokens of a chunk the one before showed already; None: 100, histories 0.",
    )
    chunk_by: Any = option(
        None,
        check=choice("document", "tokens", None),
        help="of histories 'document' (None): a session is a chunk; 'tokens': so many tokens are, as of records.",
    )
    questions_shown: Any = option(
        None,
        check=choice("always", "when_asked", None),
        help="'always' (None: of records), or 'when_asked' (None: of histories).",
    )
    isolate_questions: Any = option(
        None,
        check=optional(flag),
        help="whether every question starts from the memory as it was when reading ended; None: of histories.",
    )
    reward: Any = option(
        None,
        check=anything,
        help="'em' (None: of records), 'f1' (None: of histories), 'cover_em', 'module:function' or a function of "
        "(prediction, answers).",
    )


_OF_KIND: Final = frozenset(CustomArguments.__annotations__)


class CustomEnv(MemoryEnv):
    """The decision process over a user's own data.

    ## Description
    ``gym.make("AtomMem-Custom-v0", source=...)``. The source is a ``QADataset`` (``QADataset.from_records``,
    ``QADataset.from_histories``), or a file of what these take: a JSON list, or an object a line.

    A *record* is an object with ``question``, ``answer`` (or ``answers``), ``documents`` and, for the evidence funnel,
    ``supporting``; its documents are pooled as the paper does, and small data wants a small ``num_docs`` too. A
    *history* is an object with ``sessions``, each ``{date, turns: [{speaker, text, id}]}``, and ``questions``, each
    ``{question, answers, date, type, answerable, evidence: [turn ids]}``; it is read whole, in the order of time, with
    the defaults of :class:`~atommem_env.core.config.HistoryConfig`.

    ## Action Space, Observation Space, Rewards, Starting State, Episode End, Information
    Those of :class:`atommem_env.MemoryEnv`.

    ## Arguments
    Args:
        **arguments: the fields of :class:`CustomConfig`: ``source``, ``split``; and those of every environment, or of
            every history.

    Raises:
        ValueError: without a source, or when it cannot be read.

    ## References
    None: the data is yours.

    ## Version History
    - v0: initial version.
    """

    config_class = CustomArguments

    def __init__(self, **arguments: Any) -> None:
        source, split = arguments.get("source"), arguments.get("split")
        if source is None:
            raise ValueError(
                "source=None: AtomMem-Custom-v0 needs your data: a QADataset, 'module:name' of one, or the path of a "
                "file of records or histories, such as gym.make('AtomMem-Custom-v0', "
                "source=QADataset.from_records(records), num_docs=20)"
            )
        dataset = open_custom(source, split)
        if split is not None and split != dataset.split:
            raise ValueError(f"split={split!r}: the dataset's split is {dataset.split!r}; leave split out")
        given = {
            name: value for name, value in arguments.items() if value is not None or name not in _OF_KIND
        }
        if dataset.num_histories:
            config = HistoryConfig.of({**given, "split": dataset.split})
            super().__init__(history_tasks(dataset, config, CUSTOM.abstain), config=config)
        else:
            super().__init__(dataset, config=CustomConfig.of(given))


def open_custom(source: Any, split: str | None = None) -> QADataset:
    """Open a user's data: a dataset, ``"module:name"`` of one, or a file of records or of histories.

    Args:
        source: what to open.
        split: the split that a file stands for; ``None`` for ``"validation"``, or for ``"test"`` of histories.

    Raises:
        ValueError: when it cannot be read.
        FileNotFoundError: when there is no such file.
    """
    benchmark = CUSTOM
    if isinstance(source, str | os.PathLike) and not is_reference(source):
        path = Path(source).expanduser()
        if path.is_file() and is_history(next(iter(read_rows(path))).value):
            benchmark = dataclasses.replace(CUSTOM, histories=True)
    return open_dataset(benchmark, source, split or ("test" if benchmark.histories else "validation"))
