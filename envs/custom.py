"""A user's own questions and documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atommem_env.core.config import EnvConfig, anything, option
from atommem_env.data.custom import CUSTOM
from atommem_env.data.dataset import QADataset
from atommem_env.data.sources import open_dataset
from atommem_env.env import MemoryEnv


@dataclass(frozen=True, kw_only=True)
class CustomConfig(EnvConfig):
    """The arguments of :class:`CustomEnv`."""

    source: Any = option(
        check=anything,
        help="your data: a QADataset, the path of a JSON or JSON Lines file, or 'module:name' of a QADataset.",
    )
    split: str | None = option(
        None,
        check=anything,
        help="the split of the data; a dataset has one, so that another name is an error.",
    )


class CustomEnv(MemoryEnv):
    """The decision process over a user's own data.

    ## Description
    ``gym.make("AtomMem-Custom-v0", source=dataset)`` with ``dataset = QADataset.from_records(records)``. A record
    is a mapping with ``question``, ``answer`` (or ``answers``), ``documents`` and, for the evidence funnel,
    ``supporting``. Small data wants a small ``num_docs`` too.

    ## Action Space, Observation Space, Rewards, Starting State, Episode End, Information
    Those of :class:`atommem_env.MemoryEnv`.

    ## Arguments
    Args:
        **arguments: the fields of :class:`CustomConfig`: ``source``, a ``QADataset``, the path of a JSON or JSON Lines
            file of records, or ``"module:name"`` of a dataset; ``split``; and those of every environment.

    Raises:
        ValueError: without data, or when it cannot be read.

    ## References
    None: the data is yours.

    ## Version History
    - v0: initial version.
    """

    config_class = CustomConfig

    def __init__(self, **arguments: Any) -> None:
        config = CustomConfig.of({"source": None, **arguments})
        source, split = config.source, config.split
        if source is None:
            raise ValueError(
                f"source={source!r}: AtomMem-Custom-v0 needs your data: the path of a file of records, 'module:name' "
                "of a QADataset, or one, such as "
                "gym.make('AtomMem-Custom-v0', source=QADataset.from_records(records), num_docs=20)"
            )
        if not isinstance(source, QADataset):
            source = open_dataset(CUSTOM, source, split or "validation")
        if split is not None and split != source.split:
            raise ValueError(f"split={split!r}: the dataset's split is {source.split!r}; leave split out")
        super().__init__(source, config=config)
