"""The decision process: reading chunks, editing the memory, answering from it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gymnasium as gym
from gymnasium.error import InvalidAction, ResetNeeded

from atommem_env.core.checks import at_least, bound, one_of
from atommem_env.core.memory import OVERFLOWS, MemoryStore
from atommem_env.core.operations import (
    KINDS,
    MAX_K,
    REASONS,
    SCRATCHPAD,
    Answer,
    Create,
    Delete,
    Operation,
    OperationResult,
    Read,
    Reason,
    Update,
    kind_of,
    parse,
)
from atommem_env.core.render import render_text
from atommem_env.core.rules import Rules
from atommem_env.core.spaces import ActionSpace, observation_space
from atommem_env.data.benchmark import Benchmark
from atommem_env.data.records import SUPERSEDED
from atommem_env.data.sources import open_dataset
from atommem_env.evidence import EvidenceTracker, evidence_units
from atommem_env.prefetch import Prefetcher
from atommem_env.retrieval import Retriever, make_retriever
from atommem_env.scoring import SCORES, Score, make_reward
from atommem_env.tasks.documents import DocumentPiece, split_documents
from atommem_env.tasks.pooled import PooledTasks
from atommem_env.tasks.task import Task
from atommem_env.text import PieceTokenizer, Tokenizer, clean, make_tokenizer

if TYPE_CHECKING:
    from typing_extensions import Self

    from atommem_env.data.dataset import QADataset
    from atommem_env.retrieval.encoders import CachedEncoder, Kind

READING: Final = 0
ANSWERING: Final = 1

EPOCHS: Final = 64
"""``reset`` draws a task of this many first epochs."""


@dataclass(slots=True)
class _Question:
    """What became of one question."""

    prediction: str | None = None
    forfeited: bool = False
    scores: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SCORES, 0.0))
    reward: float = 0.0

    @property
    def open(self) -> bool:
        return self.prediction is None and not self.forfeited


@dataclass(slots=True)
class _Episode:
    """Everything about an episode that changes while it runs."""

    task: Task
    store: MemoryStore
    evidence: EvidenceTracker
    looks_left: int
    questions: list[_Question]
    phase: int = READING
    cursor: int = 0
    terminated: bool = False
    truncated: bool = False
    queries: list[tuple[str, int]] = field(default_factory=list)
    retrieved: tuple[tuple[int, str, float, int], ...] = ()
    stale: bool = False
    results: tuple[OperationResult, ...] = ()
    sizes: dict[int, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    refused: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    memory_peak: int = 0
    entries_shown: int = 0
    steps: int = 0
    looks: int = 0
    tokens_shown: int = 0
    tokens_written: int = 0
    paid: float = 0.0

    @property
    def over(self) -> bool:
        return self.terminated or self.truncated

    def fork(self) -> _Episode:
        return replace(
            self,
            store=self.store.fork(),
            evidence=self.evidence.copy(),
            questions=[replace(question, scores=dict(question.scores)) for question in self.questions],
            queries=list(self.queries),
            sizes=dict(self.sizes),
            kinds=dict(self.kinds),
            refused=dict(self.refused),
        )


@dataclass(frozen=True, slots=True)
class EnvState:
    """An episode in progress, as :meth:`MemoryEnv.get_state` copies it. Its content is private."""

    episode: _Episode | None
    generator: dict[str, Any]


@dataclass(slots=True)
class _Step:
    """What one action has done so far."""

    answered: bool = False
    read: bool = False
    changed: dict[int, None] = field(default_factory=dict)


class MemoryEnv(gym.Env[dict[str, Any], Sequence[Operation]]):
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
    ``num_questions``, ``memory_size``, ``capacity`` (0: none), ``looks_left``.

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
        dataset: the questions and paragraphs.
        num_docs: documents in a task.
        num_questions: questions in a task: an int from 1 to 10, or ``(low, high)``: low with probability 0.5,
            the others share 0.5 evenly.
        chunk_tokens: the largest number of tokens of a chunk, overlap included.
        chunk_overlap: how many tokens of a chunk the one before showed already.
        tokenizer: ``None`` for the built-in counter, a Hugging Face tokenizer's name or path,
            ``"module:name"``, an instance or a factory.
        retriever: ``"bm25"``, ``"dense"``, ``"hybrid"``, ``"random"``, ``"module:name"``, an instance or a factory.
        encoder: what a dense retriever embeds with.
        fusion_weights: the weights of a hybrid retriever's parts.
        top_k: the number of entries that a Read without ``k`` asks for.
        capacity: the largest number of entries, or ``None``.
        overflow: ``"refuse"`` or ``"evict_oldest"``.
        entry_tokens: the largest number of tokens of an entry, or ``None``.
        scratchpad_tokens: the largest number of tokens of the scratchpad, or ``None``.
        query_tokens: the largest number of tokens of a Read's query, or ``None``.
        operations: the kinds of operations allowed on stored entries, and ``"answer"``.
        scratchpad: whether the scratchpad may be written.
        storage: whether there is a store besides the scratchpad.
        max_looks: the looks that a position allows.
        max_steps: the number of steps after which an episode is truncated, or ``None``.
        early_answer: whether an Answer while reading answers question 0 and ends reading.
        reward: ``"em"``, ``"f1"``, ``"cover_em"``, ``"module:function"`` or a function of (prediction, answers).
        reward_timing: ``"terminal"`` or ``"immediate"``.
        prefetch: whether the next task is put together in the background; the bytes are the same.
        render_mode: ``None``, ``"ansi"`` or ``"human"``.

    Raises:
        ValueError: when an argument is out of range; the message says what to pass.

    ## References
    AtomMem: arXiv 2601.08323, sections 3 and 4.

    ## Version History
    - v0: initial version.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "human"], "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        dataset: QADataset,
        *,
        num_docs: int = 200,
        num_questions: int | Sequence[int] = (1, 10),
        chunk_tokens: int = 4096,
        chunk_overlap: int = 100,
        tokenizer: str | Tokenizer | Callable[[], Tokenizer] | None = None,
        retriever: str | Retriever | Callable[[], Retriever] = "bm25",
        encoder: Any = None,
        fusion_weights: Sequence[float] | None = None,
        top_k: int = 6,
        capacity: int | None = None,
        overflow: str = "refuse",
        entry_tokens: int | None = None,
        scratchpad_tokens: int | None = 1024,
        query_tokens: int | None = 1024,
        operations: Sequence[str] = KINDS,
        scratchpad: bool = True,
        storage: bool = True,
        max_looks: int = 3,
        max_steps: int | None = None,
        early_answer: bool = False,
        reward: str | Score = "em",
        reward_timing: str = "terminal",
        prefetch: bool = False,
        render_mode: str | None = None,
    ) -> None:
        self._tokenizer = make_tokenizer(tokenizer)
        built_in = type(self._tokenizer) is PieceTokenizer
        self._tasks = PooledTasks(
            dataset,
            num_docs,
            num_questions,
            chunk_tokens,
            chunk_overlap,
            None if built_in else self._tokenizer,
        )
        self._make_retriever = make_retriever(retriever, encoder=encoder, fusion_weights=fusion_weights)
        self._reward = make_reward(reward)
        self._top_k = at_least("top_k", top_k, 1)
        if top_k > MAX_K:
            raise ValueError(f"top_k={top_k!r}: expected an int from 1 to {MAX_K}")
        self._capacity = bound("capacity", capacity)
        self._overflow = one_of("overflow", overflow, OVERFLOWS)
        self._entry_tokens = bound("entry_tokens", entry_tokens)
        self._scratchpad_tokens = bound("scratchpad_tokens", scratchpad_tokens)
        self._query_tokens = bound("query_tokens", query_tokens)
        self._operations = _check_operations(operations)
        self._scratchpad = bool(scratchpad)
        self._storage = bool(storage)
        self._max_looks = at_least("max_looks", max_looks, 0)
        self._max_steps = bound("max_steps", max_steps)
        self._early_answer = bool(early_answer)
        self._immediate = one_of("reward_timing", reward_timing, ("terminal", "immediate")) == "immediate"
        self._rules = Rules(
            capacity=self._capacity,
            overflow=self._overflow,
            entry_tokens=self._entry_tokens,
            scratchpad_tokens=self._scratchpad_tokens,
            query_tokens=self._query_tokens,
            top_k=self._top_k,
            max_looks=self._max_looks,
            operations=self._operations,
            scratchpad=self._scratchpad,
            storage=self._storage,
            early_answer=self._early_answer,
        )
        self.render_mode = one_of("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        self._prefetcher = Prefetcher() if prefetch else None
        self._next: tuple[int, Future[Task]] | None = None
        self._offered: Task | None = None
        self._episode: _Episode | None = None
        self.action_space = ActionSpace(self._operations, self._scratchpad)
        self.observation_space = observation_space()

    # --- Gymnasium's methods ------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: seeds ``np_random``, from which tasks are drawn.
            options: ``{"task_index": i}`` chooses the task, any int from 0.

        Raises:
            ValueError: when an option is unknown, or the task cannot be built.
        """
        super().reset(seed=seed)
        index = self._task_index(options)
        task = self._build(index)
        shares = self._tasks.dataset.word_shares
        self._episode = episode = _Episode(
            task=task,
            store=MemoryStore(partial(self._make_retriever, task.id), self._capacity, self._overflow),
            evidence=EvidenceTracker(evidence_units(task, shares), shares),
            looks_left=self._max_looks,
            questions=[_Question() for _ in task.questions],
        )
        self._show(episode)
        self._start_prefetch()
        info = {
            "task_id": task.id,
            "results": (),
            "task_index": task.index,
            "source": self._tasks.dataset.source,
            "rules": self._rules,
            "gold": task.gold(),
        }
        if self.render_mode == "human":
            self.render()
        return self._observation(episode), info

    def step(self, action: Sequence[Operation]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Run the operations of ``action`` in order, and move the cursor.

        Raises:
            InvalidAction: when ``action`` is not a list or tuple.
            ResetNeeded: before the first reset, and after the end of an episode.
        """
        self.begin_step(action)
        return self.end_step()

    def begin_step(self, action: Sequence[Operation]) -> None:
        """Carry out the first half of :meth:`step`: run the operations and move the cursor, show nothing yet.

        A vector environment begins all its episodes' steps, encodes their :meth:`pending_texts` in one call,
        and ends them.

        Raises:
            InvalidAction: when ``action`` is not a list or tuple.
            ResetNeeded: before the first reset, and after the end of an episode.
        """
        episode = self.check_action(action)
        step = _Step()
        episode.results = tuple([self._run(episode, step, item) for item in action])
        episode.steps += 1
        self._move(episode, step)
        store = episode.store
        episode.evidence.write(
            [(id, store.scratchpad if id == SCRATCHPAD else store.get(id)) for id in step.changed]
        )
        if step.changed or step.read:
            episode.stale = True
        if not episode.over and episode.steps == self._max_steps:
            self._end(episode, truncated=True)

    def end_step(self) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Carry out the second half of :meth:`step`: run the standing queries, and return what step returns."""
        episode = self._running()
        self._show(episode)
        info: dict[str, Any] = {"task_id": episode.task.id, "results": episode.results}
        if episode.over:
            info["metrics"] = self.metrics()
        reward = 0.0
        if self._immediate or episode.over:
            # Differences of the sum so far, so that they add up to exactly the terminal reward.
            earned = self._earned(episode)
            reward, episode.paid = earned - episode.paid, earned
        if self.render_mode == "human":
            self.render()
        return self._observation(episode), reward, episode.terminated, episode.truncated, info

    def check_action(self, action: object) -> _Episode:
        """Return the episode in progress if it can take ``action``; nothing changes.

        Raises:
            InvalidAction: when ``action`` is not a list or tuple.
            ResetNeeded: before the first reset, and after the end of an episode.
        """
        episode = self._episode
        if episode is None or episode.over:
            when = "before the first reset" if episode is None else "after the end of the episode"
            raise ResetNeeded(f"step was called {when}: call reset() first")
        if not isinstance(action, (list, tuple)):
            raise InvalidAction(
                f"an action is a list or tuple of operations, such as [Create('...'), Read('...')]; got "
                f"{type(action).__name__}. A single operation goes into a list; no operation at all is []"
            )
        return episode

    def observation(self) -> dict[str, Any]:
        """Return the current observation once more, as a new object.

        Raises:
            ResetNeeded: before the first reset.
        """
        return self._observation(self._running())

    def pending_texts(self) -> list[tuple[CachedEncoder, Kind, str]]:
        """Return what :meth:`end_step` will have encoded: encoder, kind and text of each, none without a Read.

        A retriever of another make than this package's, without ``pending_texts``, is not asked.
        """
        episode = self._episode
        if episode is None or episode.over or not episode.stale or not episode.queries:
            return []
        return episode.store.pending_texts([query for query, _ in episode.queries])

    def sibling(self) -> Self:
        """Return an environment with the same arguments, not reset yet, with a generator of its own.

        The two share the dataset, the tokenizer, the retriever's settings and the encoder. A subclass that
        keeps something of an episode's own overrides this.
        """
        twin = copy.copy(self)
        twin._episode = twin._offered = twin._next = None
        twin._np_random = twin._np_random_seed = None
        twin.action_space = ActionSpace(self._operations, self._scratchpad)
        twin.observation_space = observation_space()
        return twin

    def offer_task(self, task: Task) -> None:
        """Let the next reset take ``task`` (of this environment or a sibling) if it is the one to build."""
        self._offered = task

    def render(self) -> str | None:
        """Return (``"ansi"``) or print (``"human"``) chunk, memory, looks and results as text."""
        if self.render_mode is None:
            gym.logger.warn(
                "render() was called without a render_mode; pass render_mode='ansi' or 'human' to gym.make"
            )
            return None
        episode = self._episode
        if episode is None:
            raise ResetNeeded("render was called before the first reset: call reset() first")
        text = render_text(
            self._observation(episode), episode.store.entries, colour=self.render_mode == "human"
        )
        if self.render_mode == "ansi":
            return text
        print(text, flush=True)
        return None

    def close(self) -> None:
        """Stop the background thread, if there is one and no sibling uses it."""
        self._next = None
        if self._prefetcher is not None:
            self._prefetcher.leave(self)

    # --- what this environment has besides ----------------------------------------------------------

    @property
    def num_tasks(self) -> int:
        """The number of tasks of an epoch: indices below it use every question at most once (evaluation)."""
        return self._tasks.num_tasks

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
        return self._tasks.dataset

    @staticmethod
    def split_documents(chunk: str) -> list[DocumentPiece]:
        """Split a chunk into the documents, and parts of documents, that it shows."""
        return split_documents(chunk)

    def get_state(self) -> EnvState:
        """Return a copy of the episode in progress and of ``np_random``; the store is shared until written."""
        episode = None if self._episode is None else self._episode.fork()
        return EnvState(episode, copy.deepcopy(dict(self.np_random.bit_generator.state)))

    def set_state(self, state: EnvState) -> None:
        """Go back to ``state``, which may be used again."""
        self._episode = None if state.episode is None else state.episode.fork()
        self.np_random.bit_generator.state = copy.deepcopy(state.generator)

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of the episode so far: fixed keys, scores as floats, counts as ints.

        ``em``, ``f1`` and ``cover_em`` are means over the questions. ``questions`` lists, for each, ``id``,
        ``type``, ``question``, ``answers``, ``prediction`` (``None``: none), its scores, ``forfeited``,
        ``num_evidence``, ``num_superseded``, and under ``evidence`` the share of its units that reached each stage
        of the funnel (``None`` when its gold is absent from the data) and ``answered``. ``operations`` counts the
        submitted operations by kind, ``refused`` the refused ones by reason; ``tokens_shown`` counts the tokens of
        chunks, scratchpad and entries shown, ``tokens_written`` those of accepted Creates and Updates.

        Raises:
            ResetNeeded: before the first reset.
        """
        episode = self._episode
        if episode is None:
            raise ResetNeeded("there are no metrics before the first reset: call reset() first")
        questions = [self._question_metrics(episode, number) for number in range(len(episode.questions))]
        means = {name: sum(question[name] for question in questions) / len(questions) for name in SCORES}
        return {
            **means,
            "questions": questions,
            "operations": dict(episode.kinds),
            "refused": dict(episode.refused),
            "memory_size": len(episode.store),
            "memory_peak": episode.memory_peak,
            "entries_shown": episode.entries_shown,
            "steps": episode.steps,
            "looks": episode.looks,
            "tokens_shown": episode.tokens_shown,
            "tokens_written": episode.tokens_written,
            "source": self._tasks.dataset.source,
        }

    def _running(self) -> _Episode:
        if self._episode is None:
            raise ResetNeeded("there is no episode before the first reset: call reset() first")
        return self._episode

    # --- one operation ------------------------------------------------------------------------------

    def _run(self, episode: _Episode, step: _Step, item: object) -> OperationResult:
        """Carry out one element of an action, or say why not."""
        kind = kind_of(item)
        if kind is not None:
            episode.kinds[kind] += 1
        operation = parse(item)
        id: int | None = None
        evicted: int | None = None
        reason: Reason | None
        if operation is None:
            reason = "malformed"
            if kind == "create":
                episode.store.skip_id()
        elif isinstance(operation, Create):
            id, evicted, reason = self._create(episode, step, operation)
        elif isinstance(operation, Read):
            reason = self._read(episode, step, operation)
        elif isinstance(operation, Answer):
            reason = self._answer(episode, step, operation)
        else:
            id, reason = operation.id, self._edit(episode, step, operation)
        if reason is not None:
            episode.refused[reason] += 1
        return OperationResult(kind, reason is None, reason, id, evicted)

    def _create(
        self, episode: _Episode, step: _Step, operation: Create
    ) -> tuple[int | None, int | None, Reason | None]:
        store = episode.store
        content = clean(operation.content)
        size = 0
        reason: Reason | None = None
        if not self._storage or "create" not in self._operations:
            reason = "disabled"
        elif not content.strip():
            reason = "empty"
        else:
            size = self._tokenizer.count(content)
            if self._entry_tokens is not None and size > self._entry_tokens:
                reason = "too_long"
        if reason is not None:
            store.skip_id()
            return None, None, reason
        id, evicted, reason = store.create(content)
        if id is not None:
            if evicted is not None:
                step.changed[evicted] = None
                del episode.sizes[evicted]
            step.changed[id] = None
            episode.sizes[id] = size
            episode.tokens_written += size
            episode.memory_peak = max(episode.memory_peak, len(store))
        return id, evicted, reason

    def _read(self, episode: _Episode, step: _Step, operation: Read) -> Reason | None:
        if not self._storage or "read" not in self._operations:
            return "disabled"
        query = clean(operation.query)
        if not query.strip():
            return "empty"
        if self._query_tokens is not None and self._tokenizer.count(query) > self._query_tokens:
            return "too_long"
        if not step.read:
            episode.queries = []
            step.read = True
        episode.queries.append((query, operation.k or self._top_k))
        return None

    def _edit(self, episode: _Episode, step: _Step, operation: Update | Delete) -> Reason | None:
        store, id = episode.store, operation.id
        if id == SCRATCHPAD:
            if not self._scratchpad:
                return "disabled"
            limit = self._scratchpad_tokens
        else:
            kind = "update" if isinstance(operation, Update) else "delete"
            if not self._storage or kind not in self._operations:
                return "disabled"
            limit = self._entry_tokens
        if isinstance(operation, Delete):
            if id == SCRATCHPAD:
                store.scratchpad = ""
            elif store.delete(id) is not None:
                return "unknown_id"
            episode.sizes.pop(id, None)
            step.changed[id] = None
            return None
        content = clean(operation.content)
        if not content.strip():
            return "empty"
        if id != SCRATCHPAD and id not in store:
            return "unknown_id"
        size = self._tokenizer.count(content)
        if limit is not None and size > limit:
            return "too_long"
        if id == SCRATCHPAD:
            store.scratchpad = content
        else:
            store.update(id, content)
        episode.sizes[id] = size
        episode.tokens_written += size
        step.changed[id] = None
        return None

    def _answer(self, episode: _Episode, step: _Step, operation: Answer) -> Reason | None:
        if episode.phase == READING and not self._early_answer:
            return "wrong_phase"
        if step.answered:
            return "already_answered"
        content = clean(operation.content)
        if not content.strip():
            return "empty"
        number = episode.cursor if episode.phase == ANSWERING else 0
        if episode.phase == READING:  # the observation that is answered from is the one that asks
            self._ask(episode, number)
        answers = episode.task.questions[number].answers
        question = episode.questions[number]
        question.prediction = content
        question.scores = {name: score(content, answers) for name, score in SCORES.items()}
        question.reward = self._reward(content, answers)
        step.answered = True
        return None

    @staticmethod
    def _earned(episode: _Episode) -> float:
        """Return the return so far: the sum of the answers' scores over the number of questions."""
        return sum([question.reward for question in episode.questions]) / len(episode.questions)

    # --- the cursor ---------------------------------------------------------------------------------

    def _move(self, episode: _Episode, step: _Step) -> None:
        """Move the cursor by the operations as submitted (DESIGN section 2, "When the cursor moves")."""
        reading = episode.phase == READING
        look = not step.answered and (not reading or {result.op for result in episode.results} == {"read"})
        if look:
            episode.looks += 1
            if episode.looks_left > 0:
                episode.looks_left -= 1
                return
            if not reading:
                episode.questions[episode.cursor].forfeited = True
        episode.looks_left = self._max_looks
        if reading and step.answered:
            episode.phase, episode.cursor = ANSWERING, 1
        else:
            episode.cursor += 1
            if reading and episode.cursor == len(episode.task.chunks):
                episode.phase, episode.cursor = ANSWERING, 0
        if episode.phase == ANSWERING and episode.cursor == len(episode.questions):
            self._end(episode, truncated=False)

    def _end(self, episode: _Episode, truncated: bool) -> None:
        episode.truncated, episode.terminated = truncated, not truncated
        episode.phase, episode.cursor, episode.looks_left = ANSWERING, len(episode.questions), 0
        for question in episode.questions:
            if question.open:
                question.forfeited = True

    # --- what is shown ------------------------------------------------------------------------------

    def _show(self, episode: _Episode) -> None:
        """Run the standing queries, and count what the coming observation shows."""
        if episode.over:
            episode.retrieved = ()
            return
        if episode.stale:
            episode.retrieved = self._retrieve(episode)
            episode.stale = False
        if episode.phase == READING:
            episode.evidence.show(episode.task.chunks[episode.cursor][1])
            episode.tokens_shown += episode.task.chunk_sizes[episode.cursor]
        else:
            self._ask(episode, episode.cursor)
        sizes = episode.sizes
        episode.tokens_shown += sizes.get(SCRATCHPAD, 0) + sum(sizes[row[0]] for row in episode.retrieved)
        episode.entries_shown += len(episode.retrieved)

    def _retrieve(self, episode: _Episode) -> tuple[tuple[int, str, float, int], ...]:
        found: dict[int, tuple[int, str, float, int]] = {}
        for number, (query, k) in enumerate(episode.queries):
            for hit in episode.store.search(query, k):
                if hit.id not in found:
                    found[hit.id] = (hit.id, hit.content, hit.score, number)
        return tuple(found.values())

    @staticmethod
    def _ask(episode: _Episode, question: int) -> None:
        episode.evidence.ask(question, {SCRATCHPAD, *(row[0] for row in episode.retrieved)})

    def _observation(self, episode: _Episode) -> dict[str, Any]:
        questions = episode.task.questions
        shown: Sequence[Any]
        if episode.over:
            shown = ()
        else:
            shown = questions if episode.phase == READING else questions[episode.cursor : episode.cursor + 1]
        return {
            "phase": episode.phase,
            "questions": tuple([question.question for question in shown]),
            "chunk": episode.task.chunk(episode.cursor) if episode.phase == READING else "",
            "scratchpad": episode.store.scratchpad,
            "queries": tuple([query for query, _ in episode.queries]),
            "retrieved": tuple(
                [
                    {"id": id, "content": content, "score": score, "query": query}
                    for id, content, score, query in episode.retrieved
                ]
            ),
            "results": tuple([result.as_dict() for result in episode.results]),
            "cursor": episode.cursor,
            "num_chunks": len(episode.task.chunks),
            "num_questions": len(questions),
            "memory_size": len(episode.store),
            "capacity": self._capacity or 0,
            "looks_left": episode.looks_left,
        }

    def _question_metrics(self, episode: _Episode, number: int) -> dict[str, Any]:
        question, outcome = episode.task.questions[number], episode.questions[number]
        return {
            "id": question.id,
            "type": question.type,
            "question": question.question,
            "answers": list(question.answers),
            "prediction": outcome.prediction,
            **outcome.scores,
            "forfeited": outcome.forfeited,
            "num_evidence": episode.evidence.count(number),
            "num_superseded": episode.evidence.count(number, SUPERSEDED),
            "evidence": {**episode.evidence.shares(number), "answered": outcome.scores["em"]},
        }

    # --- tasks --------------------------------------------------------------------------------------

    def _task_index(self, options: dict[str, Any] | None) -> int:
        options = options or {}
        unknown = sorted(str(name) for name in options if name != "task_index")
        if unknown:
            raise ValueError(
                f"unknown reset options {unknown}; the one there is is 'task_index', an int from 0"
            )
        if options.get("task_index") is None:
            return int(self.np_random.integers(EPOCHS * self._tasks.num_tasks))
        return at_least("task_index", options["task_index"], 0)

    def _build(self, index: int) -> Task:
        prefetched, self._next = self._next, None
        offered, self._offered = self._offered, None
        if prefetched is not None:
            prefetched[1].cancel()  # what has not begun would wait for the tasks of siblings
        if offered is not None and offered.index == index:
            return offered
        if prefetched is not None and prefetched[0] == index and not prefetched[1].cancelled():
            return prefetched[1].result()
        return self._tasks.build(index)

    def _start_prefetch(self) -> None:
        if self._prefetcher is not None:
            index = int(copy.deepcopy(self.np_random).integers(EPOCHS * self._tasks.num_tasks))
            self._next = index, self._prefetcher.start(self, self._tasks.build, index)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_next": None}


def _check_operations(operations: Sequence[str]) -> tuple[str, ...]:
    unknown = (
        [kind for kind in operations if kind not in KINDS]
        if not isinstance(operations, str)
        else [operations]
    )
    if unknown:
        raise ValueError(f"operations={operations!r}: {unknown} is not among {KINDS}; pass a list of these")
    if "answer" not in operations:
        raise ValueError(f"operations={operations!r}: 'answer' cannot be removed, add it")
    return tuple(kind for kind in KINDS if kind in operations)


class BenchmarkEnv(MemoryEnv):
    """A :class:`MemoryEnv` over a benchmark; a subclass names it.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        source: ``"auto"``, ``"hub"``, ``"generated"``, the path of an official file or folder, or a ``QADataset``.
        **kwargs: the arguments of :class:`MemoryEnv`.
    """

    benchmark: Benchmark

    def __init__(
        self, *, split: str = "validation", source: str | Path | QADataset = "auto", **kwargs: Any
    ) -> None:
        super().__init__(open_dataset(self.benchmark, source, split), **kwargs)
