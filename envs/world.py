"""The generated world as an environment of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atommem_env.data.benchmark import Benchmark
from atommem_env.data.custom import parse_record
from atommem_env.data.dataset import QADataset
from atommem_env.data.sources import open_dataset
from atommem_env.data.world import KINDS, WorldConfig
from atommem_env.env import MemoryEnv

WORLD = Benchmark(
    name="world",
    title="the generated world",
    licence="MIT",
    homepage="",
    citation="",
    parse=parse_record,
)


class WorldEnv(MemoryEnv):
    """A procedural world of people, places, works, organisations and events.

    ## Description
    Multi-hop questions with exact answers over invented, seeded facts: nothing to download, nothing that a
    language model can have seen. With ``revisions`` a later, dated document supersedes an earlier fact, so that
    Update and Delete matter. Scores on it are scores on generated data, and say so.

    ## Action Space, Observation Space, Rewards, Starting State, Episode End, Information
    Those of :class:`atommem_env.MemoryEnv`.

    ## Arguments
    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``: different questions of one world.
        source: ``"auto"`` or ``"generated"``, which are the same here, or a ``QADataset``.
        world_seed: which world.
        world_size: the number of questions of a split.
        hops: the fewest and the most supporting paragraphs of bridge and compositional questions, 2 to 4.
        kinds: the kinds of questions, of ``"bridge"``, ``"compositional"``, ``"inference"``, ``"comparison"``,
            ``"yes_no"`` and ``"bridge_comparison"``.
        paragraphs_per_question: supporting and distractor paragraphs of a question, at most 40.
        revisions: the share of questions, 0 to 1, in which a later document supersedes a fact.
        **kwargs: the arguments of :class:`atommem_env.MemoryEnv`.

    ## References
    None: the world is made by this package.

    ## Version History
    - v0: initial version.
    """

    def __init__(
        self,
        *,
        split: str = "validation",
        source: str | QADataset = "auto",
        world_seed: int = 0,
        world_size: int = 500,
        hops: Sequence[int] = (2, 4),
        kinds: Sequence[str] = tuple(KINDS),
        paragraphs_per_question: int = 10,
        revisions: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if isinstance(source, QADataset):
            dataset = source
        elif source in ("auto", "generated"):
            low, high = hops
            config = WorldConfig(
                seed=world_seed,
                size=world_size,
                hops=(low, high),
                kinds=tuple(kinds),
                num_paragraphs=paragraphs_per_question,
                revisions=revisions,
            )
            dataset = open_dataset(WORLD, "generated", split, config)
        else:
            raise ValueError(
                f"source={source!r}: AtomMem-World-v0 makes its data; leave source out, or pass a QADataset"
            )
        super().__init__(dataset, **kwargs)
