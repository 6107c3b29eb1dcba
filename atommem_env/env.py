"""The decision process as a Gymnasium environment: reading chunks, editing the memory, answering from it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import gymnasium as gym
from gymnasium.error import InvalidAction, ResetNeeded

from atommem_env.core.checks import at_least
from atommem_env.core.config import BY_SUBSET, RENDER_MODES, BenchmarkConfig, EnvConfig, HistoryConfig
from atommem_env.core.episode import Episode, Process, whole_steps
from atommem_env.core.operations import Operation
from atommem_env.core.render import render_text
from atommem_env.core.spaces import ActionSpace, observation_space
from atommem_env.core.types import Info, Metrics, Observation
from atommem_env.data.benchmark import Benchmark
from atommem_env.data.dataset import QADataset
from atommem_env.data.sources import open_dataset
from atommem_env.retrieval import make_retriever
from atommem_env.scoring import Score, make_reward, official_reward, official_score
from atommem_env.scoring.official import SOME_JUDGED
from atommem_env.tasks.documents import DocumentPiece, split_documents
from atommem_env.tasks.history import HistoryTasks
from atommem_env.tasks.pooled import PooledTasks
from atommem_env.tasks.task import Composer, Task
from atommem_env.text import PieceTokenizer, make_tokenizer

if TYPE_CHECKING:
    from typing_extensions import Self


EPOCHS: Final = 64
"""``reset`` draws a task of this many first epochs."""

POOLED: Final = ("num_docs", "num_questions", "chunk_tokens", "chunk_overlap")
"""The arguments that are about pooled tasks: a composer that is given has its own."""


@dataclass(frozen=True, slots=True)
class EnvState:
    """An episode in progress, as :meth:`MemoryEnv.get_state` copies it. Its content is private."""

    episode: Episode | None
    generator: dict[str, Any]


class _RecentTasks:
    """The tasks that were built last, which the episodes of a group share; vectorised environments share them."""

    def __init__(self, composer: Composer, most: int = 4) -> None:
        self._composer = composer
        self._most = most
        self._tasks: dict[int, Task] = {}

    def build(self, index: int) -> Task:
        task = self._tasks.pop(index, None) or self._composer.build(index)
        self._tasks[index] = task
        if len(self._tasks) > self._most:
            del self._tasks[next(iter(self._tasks))]
        return task


class MemoryEnv(gym.Env[Observation, Sequence[Operation]]):
    """Reading a text far longer than the context, with a memory that the agent edits itself.

    ## Description
    An episode walks a cursor over the chunks of a long text (phase 0, reading), then over the questions (phase
    1, answering). In every step the agent submits one action, a sequence of operations on its memory. All
    questions are visible while reading; while answering, only the current one, and no text: what the agent did
    not keep is gone. The process is that of AtomMem (arXiv 2601.08323, section 3).

    ## Action Space
    A list or tuple of operations, run in order: ``Create(content)``, ``Read(query, k=None)``,
    ``Update(id, content)``, ``Delete(id)``, ``Answer(content)``, as structs or as plain dicts such as
    ``{"op": "create", "content": "..."}``. Entry 0 is the scratchpad. A bad operation inside an action is
    refused, changes nothing and is reported with a reason; reasons are tested in this order: ``malformed``,
    ``disabled``, ``wrong_phase``, ``already_answered``, ``empty``, ``unknown_id``, ``too_long``, ``capacity``.

    Reads only register queries. After the whole action the standing queries are run on the store as it then
    is, and again at every step until the first accepted Read of a later action replaces them.

    While reading, a non-empty action of Reads alone is a look; any other action moves on to the next chunk.
    While answering, an accepted Answer moves on; every other action is a look. A position allows ``max_looks``
    looks; one more is carried out and then moves on, which forfeits the question.

    ## Observation Space
    A dict of plain Python values: ``phase`` (0 reading, 1 answering), ``questions`` (tuple of str), ``chunk``,
    ``scratchpad`` (str), ``queries`` (tuple of str), ``retrieved`` (tuple of dicts: ``id``, ``content``,
    ``score``, ``query``: the index of the query that found it), ``results`` (tuple of dicts, one per operation of
    the last action: ``op``, ``ok``, ``reason``, ``id``, ``evicted``), ``cursor``, ``num_chunks``,
    ``num_questions``, ``now`` (the date of what is shown, or ``""``), ``memory_size``,
    ``capacity`` (0: none), ``looks_left``.

    ## Rewards
    The score of each answer (exact match by default) divided by the number of questions, so that a return lies
    in [0, 1]; all of it on the last step, or at each answer with ``reward_timing="immediate"``.

    ## Starting State
    An empty memory and the first chunk of a task. ``reset`` draws a task of the first 64 epochs from
    ``np_random``; ``reset(options={"task_index": i})`` chooses it.

    ## Episode End
    Terminates after the last question; truncates after ``max_steps`` steps, with the open questions forfeited.

    ## Information
    ``task_id`` and ``results`` always; ``task_index``, ``source``, ``rules`` (what an agent may know and an
    observation does not say, :class:`~atommem_env.core.rules.Rules`) and ``gold`` at reset; ``metrics`` at the
    last step (see :meth:`metrics`).

    ## Arguments
    Args:
        data: what puts tasks together, a :class:`~atommem_env.tasks.task.Composer`; or a ``QADataset``, for the paper's
            tasks over it.
        config: the arguments, checked already; instead of what follows.
        **arguments: the fields of :class:`~atommem_env.core.config.EnvConfig`, which says what each means;
            ``atommem envs`` lists them.

    Raises:
        TypeError: when an argument is unknown.
        ValueError: when an argument is out of range; the message says what to pass.

    ## References
    AtomMem: arXiv 2601.08323, sections 3 and 4.

    ## Version History
    - v0: initial version.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES[1:]), "render_fps": 1}  # noqa: RUF012
    benchmark: ClassVar[Benchmark | None] = None
    """The benchmark by whose own score answers are scored; ``None``: the data's name says which."""
    config_class: ClassVar[type[EnvConfig]] = EnvConfig

    def __init__(
        self, data: Composer | QADataset, *, config: EnvConfig | None = None, **arguments: Any
    ) -> None:
        if config is None:
            config = self.config_class.of(arguments)
        elif arguments:
            raise TypeError(f"{sorted(arguments)}: give arguments or a config, not both")
        tokenizer = make_tokenizer(config.tokenizer)
        if isinstance(data, QADataset):
            self._composer: Composer = pooled_tasks(data, config)
        else:
            stray = [name for name in POOLED if name in arguments]
            if stray:
                raise ValueError(f"{stray}: the composer that was given has its own; give them to it")
            self._composer = data
        self.config: Final = config
        dataset = self._composer.dataset
        benchmark = dataset.name if self.benchmark is None else self.benchmark.name
        self._process: Final = Process(
            config=config,
            rules=config.rules,
            tokenizer=tokenizer,
            make_retriever=make_retriever(
                config.retriever, encoder=config.encoder, fusion_weights=config.fusion_weights
            ),
            reward=_reward(config.reward, benchmark, dataset),
            source=dataset.source,
            benchmark=benchmark,
            official=official_everywhere(benchmark, dataset),
            word_shares=dataset.word_shares,
        )
        self.render_mode = config.render_mode
        self.episode: Episode | None = None
        self._recent = _RecentTasks(self._composer)
        self.action_space = ActionSpace(config.operations, config.scratchpad)
        self.observation_space = observation_space()

    # --- Gymnasium's methods ------------------------------------------------------------------------

    def reset(  # type: ignore[override]  # Gymnasium's infos are any dict
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Start an episode.

        Args:
            seed: seeds ``np_random``, from which tasks are drawn.
            options: ``{"task_index": i}`` chooses the task, any int from 0.

        Raises:
            ValueError: when an option is unknown, or the task cannot be built.
        """
        super().reset(seed=seed)
        episode = Episode(self._recent.build(self._task_index(options)), self._process)
        self.episode = episode
        if self.render_mode == "human":
            self.render()
        return episode.observe(), episode.first_info()

    def step(  # type: ignore[override]  # Gymnasium's infos are any dict
        self, action: Sequence[Operation]
    ) -> tuple[Observation, float, bool, bool, Info]:
        """Run the operations of ``action`` in order, and move the cursor.

        Raises:
            InvalidAction: when ``action`` is not a list or tuple.
            ResetNeeded: before the first reset, and after the end of an episode.
        """
        episode = check_step(self.episode, action)
        planned = episode.plan(action)
        with whole_steps((episode,)):
            episode.carry_out(planned)
            episode.show()
        shown = episode.finish()
        if self.render_mode == "human":
            self.render()
        return shown

    def render(self) -> str | None:
        """Return (``"ansi"``) or print (``"human"``) chunk, memory, looks and results as text."""
        if self.render_mode is None:
            gym.logger.warn(
                "render() was called without a render_mode; pass render_mode='ansi' or 'human' to gym.make"
            )
            return None
        episode = self.episode
        if episode is None:
            raise ResetNeeded("render was called before the first reset: call reset() first")
        text = render_text(episode.observe(), episode.store.entries, colour=self.render_mode == "human")
        if self.render_mode == "ansi":
            return text
        print(text, flush=True)
        return None

    # --- what this environment has besides ----------------------------------------------------------

    @property
    def num_tasks(self) -> int:
        """The number of tasks of an epoch: indices below it use every question at most once (evaluation)."""
        return self._composer.num_tasks

    @property
    def task(self) -> Task:
        """The task of the episode; it never changes.

        Raises:
            ResetNeeded: before the first reset.
        """
        return self._running().task

    @property
    def dataset(self) -> QADataset:
        """Where the questions and paragraphs come from."""
        return self._composer.dataset

    @staticmethod
    def split_documents(chunk: str) -> list[DocumentPiece]:
        """Split a chunk into the documents, and parts of documents, that it shows."""
        return split_documents(chunk)

    def get_state(self) -> EnvState:
        """Return a copy of the episode in progress and of ``np_random``; the store is shared until written."""
        episode = None if self.episode is None else self.episode.fork()
        return EnvState(episode, copy.deepcopy(dict(self.np_random.bit_generator.state)))

    def set_state(self, state: EnvState) -> None:
        """Go back to ``state``, which may be used again."""
        self.episode = None if state.episode is None else state.episode.fork()
        self.np_random.bit_generator.state = copy.deepcopy(state.generator)

    def metrics(self) -> Metrics:
        """Return the metrics of the episode so far, see :meth:`atommem_env.core.episode.Episode.metrics`.

        Raises:
            ResetNeeded: before the first reset.
        """
        return self._running().metrics()

    def _running(self) -> Episode:
        if self.episode is None:
            raise ResetNeeded("there is no episode before the first reset: call reset() first")
        return self.episode

    def _sibling(self) -> Self:
        """Return an environment with the same arguments, not reset yet, with its own generator.

        The two share the composer and its last tasks, the tokenizer, the retriever's settings and the encoder. A
        subclass that keeps something of an episode's own overrides this.
        """
        twin = copy.copy(self)
        twin.episode = None
        twin._np_random = twin._np_random_seed = None
        twin.action_space = ActionSpace(self.config.operations, self.config.scratchpad)
        twin.observation_space = observation_space()
        return twin

    def _task_index(self, options: dict[str, Any] | None) -> int:
        options = options or {}
        unknown = sorted(str(name) for name in options if name != "task_index")
        if unknown:
            raise ValueError(
                f"unknown reset options {unknown}; the one there is is 'task_index', an int from 0"
            )
        if options.get("task_index") is None:
            return int(self.np_random.integers(EPOCHS * self.num_tasks))
        return at_least("task_index", options["task_index"], 0)


def official_everywhere(benchmark: str, dataset: QADataset) -> bool:
    """Tell whether a benchmark's own score needs no judge for any question of ``dataset``."""
    score = official_score(benchmark)
    if score is None or benchmark not in SOME_JUDGED:
        return score is not None
    types = {dataset.question(number).type for number in range(len(dataset))}
    return all(score("", [""], type) is not None for type in types)


def _reward(spec: Any, benchmark: str, dataset: QADataset) -> Score | None:
    """Return the function that ``spec`` names, ``None`` for the benchmark's own score.

    Raises:
        ValueError: when ``spec`` is not a reward, or the benchmark's own score needs a judge.
    """
    if spec != "official":
        return make_reward(spec)
    official_reward(benchmark)
    if not official_everywhere(benchmark, dataset):
        raise ValueError(
            f"reward='official': some questions of {dataset.source} need a judge; pass 'em', 'f1' or 'cover_em', or "
            "choose a subset that needs none"
        )
    return None


def check_step(episode: Episode | None, action: object) -> Episode:
    """Return the episode if it can take ``action``; nothing changes.

    Raises:
        InvalidAction: when ``action`` is not a list or tuple.
        ResetNeeded: before the first reset, and after the end of an episode.
    """
    if episode is None or episode.over:
        when = "before the first reset" if episode is None else "after the end of the episode"
        raise ResetNeeded(f"step was called {when}: call reset() first")
    if not isinstance(action, (list, tuple)):
        raise InvalidAction(
            f"an action is a list or tuple of operations, such as [Create('...'), Read('...')]; got "
            f"{type(action).__name__}. A single operation goes into a list; no operation at all is []"
        )
    return episode


class BenchmarkEnv(MemoryEnv):
    """A :class:`MemoryEnv` over a benchmark; a subclass names it.

    Args:
        **arguments: the fields of :class:`~atommem_env.core.config.BenchmarkConfig`: ``split``, ``source``, and those
            of every environment.
    """

    benchmark: ClassVar[Benchmark]
    config_class = BenchmarkConfig

    def __init__(self, **arguments: Any) -> None:
        config = BenchmarkConfig.of(arguments)
        super().__init__(open_dataset(self.benchmark, config.source, config.split), config=config)


class HistoryEnv(MemoryEnv):
    """A :class:`MemoryEnv` over a benchmark of histories; a subclass names it.

    Args:
        **arguments: the fields of :class:`~atommem_env.core.config.HistoryConfig`, and those of the subclass.
    """

    benchmark: ClassVar[Benchmark]
    config_class: ClassVar[type[HistoryConfig]] = HistoryConfig

    def __init__(self, **arguments: Any) -> None:
        config = self.config_class.of(arguments)
        benchmark = self.read_as(config)
        dataset = open_dataset(
            benchmark, config.source, config.split, variant=getattr(config, "variant", None)
        )
        if config.reward == BY_SUBSET:
            free = official_everywhere(benchmark.name, dataset)
            config = dataclasses.replace(config, reward="official" if free else "f1")
        super().__init__(history_tasks(dataset, config, benchmark.abstain), config=config)

    @classmethod
    def read_as(cls, config: Any) -> Benchmark:
        """Return the benchmark as ``config`` has it read."""
        return cls.benchmark


def pooled_tasks(dataset: QADataset, config: EnvConfig, stream: bool = False) -> PooledTasks:
    """Return the composer of a dataset's pooled tasks, as ``config`` has it.

    Args:
        dataset: questions and paragraphs.
        config: the arguments.
        stream: whether questions are asked between chunks.
    """
    tokenizer = make_tokenizer(config.tokenizer)
    return PooledTasks(
        dataset,
        config.num_docs,
        config.num_questions,
        config.chunk_tokens,
        config.chunk_overlap,
        None if type(tokenizer) is PieceTokenizer else tokenizer,
        stream,
    )


def history_tasks(
    dataset: QADataset, config: HistoryConfig, abstain: str, stream: bool = False
) -> HistoryTasks:
    """Return the composer of a dataset's histories, as ``config`` has it.

    Args:
        dataset: the histories.
        config: the arguments.
        abstain: the phrase that counts as abstaining where some question is not answerable.
        stream: whether each question is asked at its date.
    """
    tokenizer = make_tokenizer(config.tokenizer)
    return HistoryTasks(
        dataset,
        config.num_docs,
        config.num_questions,
        config.chunk_tokens,
        config.chunk_overlap,
        config.chunk_by,
        None if type(tokenizer) is PieceTokenizer else tokenizer,
        abstain,
        stream,
    )
