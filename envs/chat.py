"""The generated world in conversation as a separate environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atommem_env.core.config import HistoryConfig, anything, flag, no_early_answer, option, share, whole
from atommem_env.data.benchmark import Benchmark
from atommem_env.data.histories import parse_history
from atommem_env.data.sources import open_generated
from atommem_env.data.world.chat import MOST_QUESTIONS, ChatConfig
from atommem_env.env import MemoryEnv, history_tasks

CHAT = Benchmark(
    name="chat",
    title="the generated world in conversation",
    licence="MIT",
    homepage="",
    citation="",
    parse=parse_history,
    histories=True,
    abstain="Not enough information",
)


@dataclass(frozen=True, kw_only=True)
class ChatEnvConfig(HistoryConfig):
    """The arguments of :class:`ChatEnv`."""

    world_seed: int = option(0, check=whole(0), help="which world.")
    histories: int = option(100, check=whole(1), help="the number of histories.")
    sessions: int = option(20, check=whole(4), help="sessions of a history, spread over months.")
    turns: int = option(
        10, check=whole(2), help="turns of a session, an even number: every other one is the user's."
    )
    questions: int = option(16, check=whole(1, MOST_QUESTIONS), help="questions about a history.")
    noise: float = option(0.5, check=share, help="the share of exchanges, 0 to 1, that are small talk.")
    revisions: float = option(
        0.3, check=share, help="the share of facts that can change, 0 to 1, that a later session corrects."
    )
    unanswerable: float = option(
        0.1, check=share, help="the share of questions, 0 to 1, about what was never said."
    )
    stream: bool = option(
        False,
        check=flag,
        help="whether questions are asked between sessions, each at its date, and again after a correction.",
    )
    reward: Any = option(
        "em",
        check=anything,
        help="'em', 'f1', 'cover_em', 'module:function' or a function of (prediction, answers).",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        no_early_answer(self.stream, self.early_answer)


class ChatEnv(MemoryEnv):
    """Dated chats of a user with an assistant, asked about afterwards.

    ## Description
    Facts about the user's life and about an invented world are stated in passing over months, between small talk, and
    some are corrected later. The questions are of the kinds that LongMemEval asks: a fact of one session by user or
    assistant, facts of several, order and duration in time, updated facts, preferences, and what was never said. Each
    has an exact answer. With ``stream`` they are asked while the chats go on, some time after the evidence, and those
    about a fact that is corrected before and after that, with the answer that holds then. Scores on it are scores on
    generated data, and say so.

    ## Action Space, Observation Space, Rewards, Starting State, Episode End, Information
    Those of :class:`atommem_env.MemoryEnv`.

    ## Arguments
    Args:
        **arguments: the fields of :class:`ChatEnvConfig`: what the chats are like, those of every history
            (:class:`~atommem_env.core.config.HistoryConfig`) and of every environment. The data is generated:
            ``source`` may only be a ``QADataset`` of histories in its place.

    Raises:
        ValueError: when an argument is out of range, or the chats are too short for their questions.

    ## References
    None: the world is made by this package.

    ## Version History
    - v0: initial version.
    """

    config_class = ChatEnvConfig

    def __init__(self, **arguments: Any) -> None:
        config = ChatEnvConfig.of(arguments)
        chats = ChatConfig(
            seed=config.world_seed,
            size=config.histories,
            sessions=config.sessions,
            turns=config.turns,
            noise=config.noise,
            revisions=config.revisions,
            unanswerable=config.unanswerable,
            questions=config.questions,
            stream=config.stream,
        )
        dataset = open_generated(CHAT, config.source, config.split, chats)
        super().__init__(history_tasks(dataset, config, CHAT.abstain, config.stream), config=config)
