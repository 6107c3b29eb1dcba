"""One episode of the decision process: every rule of it, without Gymnasium.

An episode walks a cursor over the positions of its task, chunks to read and questions to answer. A step is
:meth:`Episode.plan` (read the action, score its Answer: nothing changes yet), then, under :func:`whole_steps` (all of
it or nothing), :meth:`Episode.carry_out` (run the operations, move the cursor) and :meth:`Episode.show` (run the
standing queries, count what is shown); :meth:`Episode.observe` returns what the agent sees.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from atommem_env.core.memory import MemoryStore
from atommem_env.core.operations import (
    KINDS,
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
from atommem_env.core.rules import Rules
from atommem_env.core.types import Info, Metrics, Observation, QuestionMetrics
from atommem_env.data.records import SUPERSEDED
from atommem_env.evidence import WordShares, evidence_of
from atommem_env.retrieval.base import Retriever
from atommem_env.scoring import AnswerScores, Score, answer_scores
from atommem_env.tasks.task import ANSWERING, READING, Task
from atommem_env.text import PieceTokenizer, Tokenizer, clean

if TYPE_CHECKING:
    from atommem_env.core.config import EnvConfig
    from atommem_env.retrieval.encoders import CachedEncoder, Kind


_OWN_RETRIEVERS: Final = ("bm25", "random")


@dataclass(frozen=True, slots=True)
class Process:
    """What the episodes of an environment share.

    Attributes:
        config: the arguments.
        rules: what of them an agent may know.
        tokenizer: what counts tokens.
        make_retriever: returns an empty retriever for the episode of a task's id.
        reward: the score of an answer; ``None``: the benchmark's own.
        source: where the data comes from.
        benchmark: the benchmark's short name, by which its own score and its way to abstain are known.
        official: whether the benchmark's own score needs no judge for any question of the data.
        word_shares: the share of the data's documents that have each word.
        may_raise: whether a step runs a tokenizer, a retriever or an encoder that is not this package's own arithmetic.
    """

    config: EnvConfig
    rules: Rules
    tokenizer: Tokenizer
    make_retriever: Callable[[str], Retriever]
    reward: Score | None
    source: str
    benchmark: str
    official: bool
    word_shares: WordShares | None
    may_raise: bool = field(init=False)

    def __post_init__(self) -> None:
        retriever = self.config.retriever
        own = isinstance(retriever, str) and retriever in _OWN_RETRIEVERS
        object.__setattr__(self, "may_raise", not own or type(self.tokenizer) is not PieceTokenizer)


@dataclass(slots=True)
class Outcome:
    """What became of one question."""

    prediction: str | None = None
    forfeited: bool = False
    scores: AnswerScores | None = None
    reward: float = 0.0

    @property
    def open(self) -> bool:
        """Whether it is still to be answered."""
        return self.prediction is None and not self.forfeited


@dataclass(slots=True)
class _Memory:
    """What an isolated question starts from: the memory, and what of it is shown and held."""

    store: MemoryStore
    holding: dict[int, list[int]]
    queries: list[tuple[str, int]]
    retrieved: tuple[tuple[int, str, float, int], ...]
    sizes: dict[int, int]
    stale: bool

    def fork(self) -> _Memory:
        """Return an independent copy."""
        return replace(
            self,
            store=self.store.fork(),
            holding=dict(self.holding),
            queries=list(self.queries),
            sizes=dict(self.sizes),
        )


@dataclass(slots=True)
class _Step:
    """What one action has done so far, and the scores and the reward of its Answer."""

    scores: tuple[AnswerScores, float] | None = None
    answered: bool = False
    read: bool = False
    changed: dict[int, None] = field(default_factory=dict)


Planned: TypeAlias = tuple[list[tuple[str | None, Operation | None]], tuple[AnswerScores, float] | None]
"""The kinds and operations of an action, and the scores and the reward of its Answer."""


class Episode:
    """An episode in progress.

    Args:
        task: its questions and text; never changed.
        process: what it shares with the other episodes of its environment.

    Attributes:
        phase: 0 while reading, 1 while answering and at the end.
        cursor: the number of the chunk, or of the question; at the end the number of questions.
        terminated: whether it ended after its last position.
        truncated: whether it was cut off after ``max_steps``.
        results: the results of the last action.

    Raises:
        ValueError: when the task is a stream and ``early_answer`` is on.
    """

    def __init__(self, task: Task, process: Process) -> None:
        config = process.config
        if task.stream and config.early_answer:
            raise ValueError(
                f"early_answer=True: task {task.id} asks questions between chunks, so that there is no end of reading "
                "to bring forward; leave early_answer out"
            )
        self.task: Final = task
        self.process: Final = process
        self.store = MemoryStore(partial(process.make_retriever, task.id), config.capacity, config.overflow)
        self.evidence = evidence_of(task, process.word_shares)
        self.outcomes = [Outcome() for _ in task.questions]
        self.terminated = self.truncated = False
        self.results: tuple[OperationResult, ...] = ()
        self.looks_left = config.max_looks
        self._positions = task.positions
        self._place = 0
        self.phase, self.cursor = self._positions[0]
        self._queries: list[tuple[str, int]] = []
        self._retrieved: tuple[tuple[int, str, float, int], ...] = ()
        self._stale = False
        self._told: tuple[OperationResult, ...] = ()
        self._told_reading: tuple[OperationResult, ...] = ()
        self._sizes: dict[int, int] = {}
        self._before_question: _Memory | None = None
        self._kinds: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._refused: dict[str, int] = dict.fromkeys(REASONS, 0)
        self._memory_peak = self._entries_shown = self._steps = self._looks = 0
        self._tokens_shown = self._tokens_written = 0
        self._paid = 0.0
        if self.phase == ANSWERING:
            self._enter_question()
        self.show()

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.terminated or self.truncated

    def fork(self) -> Episode:
        """Return an independent copy; the store is shared until one of the two writes."""
        twin = copy.copy(self)
        twin.store = self.store.fork()
        twin.evidence = self.evidence.copy()
        twin.outcomes = [replace(outcome) for outcome in self.outcomes]
        twin._queries = list(self._queries)
        twin._sizes = dict(self._sizes)
        twin._kinds = dict(self._kinds)
        twin._refused = dict(self._refused)
        if self._before_question is not None:
            twin._before_question = self._before_question.fork()
        return twin

    # --- a step ---------------------------------------------------------------------------------------

    def plan(self, action: Sequence[Any]) -> Planned:
        """Return ``action`` read, and its Answer scored; nothing changes, whatever raises."""
        elements = list.__iter__(action) if isinstance(action, list) else iter(action)
        items = [(kind_of(item), parse(item)) for item in elements]
        return items, self._scores(items)

    def will_end(self, planned: Planned) -> bool:
        """Tell whether the episode ends with the step."""
        items, scores = planned
        if self._steps + 1 == self.process.config.max_steps:
            return True
        if self.looks_left > 0 and self._is_look([kind for kind, _ in items], scores is not None):
            return False
        return self._place_after(scores is not None) == len(self._positions)

    def carry_out(self, planned: Planned) -> None:
        """Run the operations of an action in order and move the cursor; nothing is shown yet."""
        items, scores = planned
        step = _Step(scores=scores)
        self.results = self._told = tuple([self._run(step, kind, operation) for kind, operation in items])
        if self.phase == READING:
            self._told_reading = self.results
        self._steps += 1
        store = self.store
        self.evidence.write(
            [(id, store.scratchpad if id == SCRATCHPAD else store.get(id)) for id in step.changed],
            None if self._before_question is None else self.cursor,
        )
        if step.changed or step.read:
            self._stale = True
        self._move(step)
        if not self.over and self._steps == self.process.config.max_steps:
            self._end(truncated=True)

    def show(self) -> None:
        """Run the standing queries, and count what the coming observation shows."""
        if self.over:
            self._retrieved = ()
            return
        if self._stale:
            self._retrieved = self._retrieve()
            self._stale = False
        if self.phase == READING:
            self.evidence.show(self.task.chunks[self.cursor][1])
            self._tokens_shown += self.task.chunk_sizes[self.cursor]
        else:
            self._ask(self.cursor)
        sizes = self._sizes
        self._tokens_shown += sizes.get(SCRATCHPAD, 0) + sum([sizes[row[0]] for row in self._retrieved])
        self._entries_shown += len(self._retrieved)

    def pending_texts(self) -> list[tuple[CachedEncoder, Kind, str]]:
        """Return what :meth:`show` will have encoded: encoder, kind and text of each, none without a Read.

        A retriever of another make than this package's, without ``pending_texts``, is not asked.
        """
        if self.over or not self._stale or not self._queries:
            return []
        return self.store.pending_texts([query for query, _ in self._queries])

    def pay(self) -> float:
        """Return the reward of the step: what has been earned and was not paid yet.

        Rewards are differences of the sum so far, so that they add up to exactly the terminal reward.
        """
        if not (self.over or self.process.config.reward_timing == "immediate"):
            return 0.0
        earned = sum([outcome.reward for outcome in self.outcomes]) / len(self.outcomes)
        reward, self._paid = earned - self._paid, earned
        return reward

    def finish(self) -> tuple[Observation, float, bool, bool, Info]:
        """Return the result of the action, once it is shown: observation, reward, terminated, truncated, info."""
        return self.observe(), self.pay(), self.terminated, self.truncated, self.info()

    def _snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what :meth:`_restore` takes; the episode goes on with copies of what a step writes in."""
        kept, store = dict(self.__dict__), self.store.snapshot()
        self.evidence = self.evidence.copy()
        self.outcomes = [replace(outcome) for outcome in self.outcomes]
        for name in ("_queries", "_sizes", "_kinds", "_refused"):
            setattr(self, name, copy.copy(kept[name]))
        return kept, store

    def _restore(self, kept: tuple[dict[str, Any], dict[str, Any]]) -> None:
        self.__dict__.update(kept[0])
        self.store.restore(kept[1])
        if self._before_question is not None:  # it may have been asked already
            self._before_question.store.restore({})

    # --- one operation --------------------------------------------------------------------------------

    def _scores(
        self, items: Sequence[tuple[str | None, Operation | None]]
    ) -> tuple[AnswerScores, float] | None:
        """Return the scores and the reward of the Answer in an action that will be accepted, if there is one."""
        if self.phase == READING and not self.process.config.early_answer:
            return None
        for kind, operation in items:
            if kind == "answer" and isinstance(operation, Answer):
                content = clean(operation.content)
                if content.strip():
                    scores = self._score(self._asked, content)
                    return scores, self._reward(self._asked, content, scores)
        return None

    def _score(self, number: int, prediction: str | None) -> AnswerScores:
        question = self.task.questions[number]
        return answer_scores(
            prediction, question.answers, self.process.benchmark, question.type, question.answerable
        )

    def _reward(self, number: int, prediction: str, scores: AnswerScores) -> float:
        """Return the reward of an answer; where the question has none, whether it abstains."""
        question, reward = self.task.questions[number], self.process.reward
        if not question.answerable:
            return float(scores["abstained"])
        if reward is not None:
            return reward(prediction, question.answers)
        return scores["official"] or 0.0

    @property
    def _asked(self) -> int:
        """The question that an Answer is about."""
        return self.cursor if self.phase == ANSWERING else 0

    def _run(self, step: _Step, kind: str | None, operation: Operation | None) -> OperationResult:
        """Carry out one element of an action, or say why not."""
        if kind is not None:
            self._kinds[kind] += 1
        id: int | None = None
        evicted: int | None = None
        reason: Reason | None
        if operation is None:
            reason = "malformed"
            if kind == "create":
                self.store.skip_id()
        elif isinstance(operation, Create):
            id, evicted, reason = self._create(step, operation)
        elif isinstance(operation, Read):
            reason = self._read(step, operation)
        elif isinstance(operation, Answer):
            reason = self._answer(step, operation)
        else:
            id, reason = operation.id, self._edit(step, operation)
        if reason is not None:
            self._refused[reason] += 1
        return OperationResult(kind, reason is None, reason, id, evicted)

    def _create(self, step: _Step, operation: Create) -> tuple[int | None, int | None, Reason | None]:
        store, rules = self.store, self.process.rules
        content = clean(operation.content)
        size = 0
        reason: Reason | None = None
        if not rules.storage or "create" not in rules.operations:
            reason = "disabled"
        elif not content.strip():
            reason = "empty"
        else:
            size = self.process.tokenizer.count(content)
            if rules.entry_tokens is not None and size > rules.entry_tokens:
                reason = "too_long"
        if reason is not None:
            store.skip_id()
            return None, None, reason
        id, evicted, reason = store.create(content)
        if id is not None:
            if evicted is not None:
                step.changed[evicted] = None
                del self._sizes[evicted]
            step.changed[id] = None
            self._sizes[id] = size
            self._tokens_written += size
            self._memory_peak = max(self._memory_peak, len(store))
        return id, evicted, reason

    def _read(self, step: _Step, operation: Read) -> Reason | None:
        rules = self.process.rules
        if not rules.allows("read"):
            return "disabled"
        query = clean(operation.query)
        if not query.strip():
            return "empty"
        if self._too_long(query, rules.query_tokens):
            return "too_long"
        if not step.read:
            self._queries = []
            step.read = True
        self._queries.append((query, operation.k or rules.top_k))
        return None

    def _too_long(self, text: str, limit: int | None) -> bool:
        """Tell whether ``text`` has more than ``limit`` tokens; a token of the built-in counter has a character."""
        tokenizer = self.process.tokenizer
        if limit is None or (len(text) <= limit and type(tokenizer) is PieceTokenizer):
            return False
        return tokenizer.count(text) > limit

    def _edit(self, step: _Step, operation: Update | Delete) -> Reason | None:
        store, rules, id = self.store, self.process.rules, operation.id
        if id == SCRATCHPAD:
            if not rules.scratchpad:
                return "disabled"
            limit = rules.scratchpad_tokens
        else:
            if not rules.allows("update" if isinstance(operation, Update) else "delete"):
                return "disabled"
            limit = rules.entry_tokens
        if isinstance(operation, Delete):
            if id == SCRATCHPAD:
                store.scratchpad = ""
            elif store.delete(id) is not None:
                return "unknown_id"
            self._sizes.pop(id, None)
            step.changed[id] = None
            return None
        content = clean(operation.content)
        if not content.strip():
            return "empty"
        if id != SCRATCHPAD and id not in store:
            return "unknown_id"
        size = self.process.tokenizer.count(content)
        if limit is not None and size > limit:
            return "too_long"
        if id == SCRATCHPAD:
            store.scratchpad = content
        else:
            store.update(id, content)
        self._sizes[id] = size
        self._tokens_written += size
        step.changed[id] = None
        return None

    def _answer(self, step: _Step, operation: Answer) -> Reason | None:
        if self.phase == READING and not self.process.rules.early_answer:
            return "wrong_phase"
        if step.answered:
            return "already_answered"
        content = clean(operation.content)
        if not content.strip() or step.scores is None:
            return "empty"
        if self.phase == READING:  # the observation that is answered from is the one that asks
            self._ask(0)
        outcome = self.outcomes[self._asked]
        outcome.prediction = content
        outcome.scores, outcome.reward = step.scores
        step.answered = True
        return None

    # --- the cursor -----------------------------------------------------------------------------------

    def _move(self, step: _Step) -> None:
        """Move the cursor by the operations as submitted (docs/process.md, "The cursor")."""
        reading = self.phase == READING
        if self._is_look([result.op for result in self.results], step.answered):
            self._looks += 1
            if self.looks_left > 0:
                self.looks_left -= 1
                return
            if not reading:
                self.outcomes[self.cursor].forfeited = True
        if reading and step.answered:
            self.evidence.close(0)
        isolated, place = self._before_question is not None, self._place_after(step.answered)
        if not reading:
            self._leave_question()
        self._place = place
        if self._place == len(self._positions):
            self._end(truncated=False)
            return
        self.looks_left = self.process.config.max_looks
        self.phase, self.cursor = self._positions[self._place]
        if self.phase == ANSWERING:
            self._enter_question()
        elif isolated:  # reading goes on as if nothing had been asked
            self._told = self._told_reading

    def _is_look(self, kinds: Sequence[str | None], answered: bool) -> bool:
        return not answered and (self.phase != READING or set(kinds) == {"read"})

    def _place_after(self, answered: bool) -> int:
        """Return the place of the next position; after an early answer that of the second question."""
        return 1 + (len(self.task.chunks) if self.phase == READING and answered else self._place)

    def _end(self, truncated: bool) -> None:
        if self.phase == ANSWERING:
            self._leave_question()
        self.truncated, self.terminated = truncated, not truncated
        self.phase, self.cursor, self.looks_left = ANSWERING, len(self.outcomes), 0
        for outcome in self.outcomes:
            if outcome.open:
                outcome.forfeited = True

    # --- isolated questions -----------------------------------------------------------------------------

    def _enter_question(self) -> None:
        """Keep what the memory is before an isolated question, which is shown no results of what came before."""
        if self.process.config.isolate_questions:
            self._told = ()
            self._before_question = _Memory(
                self.store.fork(),
                self.evidence.holding(),
                list(self._queries),
                self._retrieved,
                dict(self._sizes),
                self._stale,
            )

    def _leave_question(self) -> None:
        """Go back to the memory as it was before an isolated question; what comes later does not count for it."""
        self.evidence.close(self.cursor)
        before, self._before_question = self._before_question, None
        if before is not None:
            self.evidence.restore(before.holding)
            self.store = before.store
            self._queries, self._retrieved = before.queries, before.retrieved
            self._sizes, self._stale = before.sizes, before.stale

    # --- what is shown --------------------------------------------------------------------------------

    def _retrieve(self) -> tuple[tuple[int, str, float, int], ...]:
        found: dict[int, tuple[int, str, float, int]] = {}
        for number, (query, k) in enumerate(self._queries):
            for hit in self.store.search(query, k):
                if hit.id not in found:
                    found[hit.id] = (hit.id, hit.content, hit.score, number)
        return tuple(found.values())

    def _ask(self, question: int) -> None:
        self.evidence.ask(question, {SCRATCHPAD, *(row[0] for row in self._retrieved)})

    def _questions_shown(self) -> list[str]:
        questions = self.task.questions
        if self.over:
            return []
        if self.phase == ANSWERING:
            return [questions[self.cursor].question]
        if self.process.config.questions_shown == "when_asked":
            return []
        if not self.task.stream:  # none is answered before all is read
            return [question.question for question in questions]
        return [
            question.question
            for question, outcome in zip(questions, self.outcomes, strict=True)
            if outcome.open
        ]

    def observe(self) -> Observation:
        """Return what the agent sees, as a new object."""
        reading = self.phase == READING
        return {
            "phase": self.phase,
            "questions": tuple(self._questions_shown()),
            "chunk": self.task.chunk(self.cursor) if reading else "",
            "scratchpad": self.store.scratchpad,
            "queries": tuple([query for query, _ in self._queries]),
            "retrieved": tuple(
                [
                    {"id": id, "content": content, "score": score, "query": query}
                    for id, content, score, query in self._retrieved
                ]
            ),
            "results": tuple([result.as_dict() for result in self._told]),
            "cursor": self.cursor,
            "num_chunks": len(self.task.chunks),
            "num_questions": len(self.outcomes),
            "now": "" if self.over else self.task.now(self._positions[self._place]),
            "memory_size": len(self.store),
            "capacity": self.process.config.capacity or 0,
            "looks_left": self.looks_left,
        }

    def first_info(self) -> Info:
        """Return what comes with the first observation."""
        task, rules = self.task, self.process.rules
        own = task.abstain or task.stream
        info: Info = {
            **self._any_info(()),
            "task_index": task.index,
            "source": self.process.source,
            "rules": replace(rules, abstain=task.abstain, stream=bool(task.stream)) if own else rules,
            "gold": task.gold(),
        }
        if task.history:
            info["history"] = task.history
        return info

    def info(self) -> Info:
        """Return what comes with a later observation."""
        info = self._any_info(self.results)
        if self.over:
            info["metrics"] = self.metrics()
        return info

    def _any_info(self, results: tuple[OperationResult, ...]) -> Info:
        info: Info = {"task_id": self.task.id, "results": results}
        if self.process.config.isolate_questions:
            info["isolated_question"] = self.cursor if self.phase == ANSWERING and not self.over else -1
        return info

    def metrics(self) -> Metrics:
        """Return the metrics of the episode so far: fixed keys, scores as floats, counts as ints.

        ``em``, ``f1``, ``cover_em`` and ``official`` (the benchmark's own score, ``None`` where it needs a judge) are
        means over the questions. ``questions`` lists, for each, ``id``, ``type``, ``question``, ``answers``,
        ``prediction`` (``None``: none), its scores, ``answerable``, ``abstained``, ``forfeited``, ``num_evidence``,
        ``num_superseded``, and under ``evidence`` the share of its units that reached each stage of the funnel
        (``None`` when its gold is absent from the data) and ``answered``. ``operations`` counts the
        submitted operations by kind, ``refused`` the refused ones by reason; ``tokens_shown`` counts the tokens of
        chunks, scratchpad and entries shown, ``tokens_written`` those of accepted Creates and Updates.
        """
        questions = [self._question_metrics(number) for number in range(len(self.outcomes))]
        count = len(questions)
        return {
            "em": sum([question["em"] for question in questions]) / count,
            "f1": sum([question["f1"] for question in questions]) / count,
            "cover_em": sum([question["cover_em"] for question in questions]) / count,
            "questions": questions,
            "official": sum([question["official"] or 0.0 for question in questions]) / count
            if self.process.official
            else None,
            "operations": dict(self._kinds),
            "refused": dict(self._refused),
            "memory_size": len(self.store),
            "memory_peak": self._memory_peak,
            "entries_shown": self._entries_shown,
            "steps": self._steps,
            "looks": self._looks,
            "tokens_shown": self._tokens_shown,
            "tokens_written": self._tokens_written,
            "source": self.process.source,
        }

    def _question_metrics(self, number: int) -> QuestionMetrics:
        question, outcome = self.task.questions[number], self.outcomes[number]
        scores = outcome.scores or self._score(number, None)
        return {
            "id": question.id,
            "type": question.type,
            "question": question.question,
            "answers": list(question.answers),
            "prediction": outcome.prediction,
            "em": scores["em"],
            "f1": scores["f1"],
            "cover_em": scores["cover_em"],
            "official": scores["official"],
            "answerable": question.answerable,
            "abstained": scores["abstained"],
            "forfeited": outcome.forfeited,
            "num_evidence": self.evidence.count(number),
            "num_superseded": self.evidence.count(number, SUPERSEDED),
            "evidence": {**self.evidence.shares(number), "answered": scores["em"]},  # type: ignore[typeddict-item]
        }


def whole_steps(episodes: Sequence[Episode]) -> contextlib.AbstractContextManager[None]:
    """Leave all of ``episodes`` as they were when something of the user's raises while they take a step.

    A tokenizer, a retriever or an encoder of the user's may raise in the middle of an action, and when its result is
    shown. Episodes that have none are not kept, as nothing in them raises.
    """
    keep = [episode for episode in episodes if episode.process.may_raise]
    return _restored(keep) if keep else _AS_THEY_ARE


_AS_THEY_ARE: Final = contextlib.nullcontext()


@contextlib.contextmanager
def _restored(episodes: Sequence[Episode]) -> Iterator[None]:
    kept = [(episode, episode._snapshot()) for episode in episodes]
    try:
        yield
    except BaseException:
        for episode, snapshot in kept:
            episode._restore(snapshot)
        raise
