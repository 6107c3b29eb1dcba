"""The generated world as a separate environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atommem_env.core.config import (
    BenchmarkConfig,
    flag,
    no_early_answer,
    option,
    pair,
    share,
    subset,
    whole,
)
from atommem_env.data.benchmark import Benchmark
from atommem_env.data.custom import parse_record
from atommem_env.data.sources import open_generated
from atommem_env.data.world import QUESTION_KINDS, WorldConfig
from atommem_env.env import MemoryEnv, pooled_tasks

WORLD = Benchmark(
    name="world",
    title="the generated world",
    licence="MIT",
    homepage="",
    citation="",
    parse=parse_record,
)


@dataclass(frozen=True, kw_only=True)
class WorldEnvConfig(BenchmarkConfig):
    """The arguments of :class:`WorldEnv`."""

    world_seed: int = option(0, check=whole(0), help="which world.")
    world_size: int = option(500, check=whole(1), help="the number of questions of a split.")
    hops: tuple[int, int] = option(
        (2, 4),
        check=pair(2, 4),
        help="the fewest and the most supporting paragraphs of bridge and compositional questions, 2 to 4; an int is "
        "both.",
    )
    kinds: tuple[str, ...] = option(
        tuple(QUESTION_KINDS),
        check=subset(tuple(QUESTION_KINDS)),
        help=f"the kinds of questions, of {', '.join(map(repr, QUESTION_KINDS))}.",
    )
    paragraphs_per_question: int = option(
        10, check=whole(1, 40), help="supporting and distractor paragraphs of a question, at most 40."
    )
    revisions: float = option(
        0.0, check=share, help="the share of questions, 0 to 1, in which a later document supersedes a fact."
    )
    stream: bool = option(
        False,
        check=flag,
        help="whether questions are asked between chunks, some time after their evidence, and some again after a "
        "revision changed the answer.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        no_early_answer(self.stream, self.early_answer)


class WorldEnv(MemoryEnv):
    """A procedural world of people, places, works, organisations and events.

    ## Description
    Multi-hop questions with exact answers over invented, seeded facts: nothing to download, nothing that a
    language model can have seen. With ``revisions`` a later, dated document supersedes an earlier fact, so that
    Update and Delete matter. With ``stream`` questions are asked between chunks, some of them before and after a
    revision, with the answer that holds then. Scores on it are scores on generated data, and say so.

    ## Action Space, Observation Space, Rewards, Starting State, Episode End, Information
    Those of :class:`atommem_env.MemoryEnv`.

    ## Arguments
    Args:
        **arguments: the fields of :class:`WorldEnvConfig`: what the world is like, and those of every environment. The
            data is generated: ``source`` may only be a ``QADataset`` in its place.

    ## References
    None: the world is made by this package.

    ## Version History
    - v0: initial version.
    """

    config_class = WorldEnvConfig

    def __init__(self, **arguments: Any) -> None:
        config = WorldEnvConfig.of(arguments)
        world = WorldConfig(
            seed=config.world_seed,
            size=config.world_size,
            hops=config.hops,
            kinds=config.kinds,
            num_paragraphs=config.paragraphs_per_question,
            revisions=config.revisions,
        )
        dataset = open_generated(WORLD, config.source, config.split, world)
        super().__init__(pooled_tasks(dataset, config, config.stream), config=config)
