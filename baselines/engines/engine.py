"""What does a baseline's language work: what an engine can do, and how one is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, cast, runtime_checkable

from atommem_env.registration import ENGINES

if TYPE_CHECKING:
    from atommem_env.llm import ModelSettings

UNKNOWN: Final = "unknown"
"""What an engine answers when what it is shown does not say; where the task has a phrase for that, workflows say it."""

EngineSpec: TypeAlias = "str | Engine | ModelSettings"
"""A name (:data:`~atommem_env.registration.ENGINES`), an engine, or the settings of a language model."""


# --- what abilities return --------------------------------------------------------------------------


@dataclass(frozen=True)
class Insight:
    """A conclusion (Generative Agents).

    Attributes:
        text: what it says.
        evidence: the texts it rests on, as indices into those that were shown; a language model may name
            some that do not exist.
    """

    text: str
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True)
class Edit:
    """What to do about one fact (Mem0).

    Attributes:
        kind: ``"add"`` a new entry, ``"update"`` or ``"delete"`` the one named, or ``"none"``.
        text: the fact, or the new content of the entry.
        entry: the entry meant, as an index into those that were shown; ``None`` for an addition. A language
            model may name one that does not exist.
    """

    kind: Literal["add", "update", "delete", "none"]
    text: str
    entry: int | None = None


@dataclass(frozen=True)
class NoteDescription:
    """What is said about a note besides its content (A-Mem): keywords, tags, and its context in a sentence."""

    keywords: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    context: str = ""


@dataclass(frozen=True)
class NeighbourEdit:
    """The new tags and the new context of a neighbour of a note (A-Mem)."""

    tags: tuple[str, ...] = ()
    context: str = ""


@dataclass(frozen=True)
class Evolution:
    """What a new note changes (A-Mem); neighbours are indices into those shown, and may not exist.

    Attributes:
        strengthen: the neighbours that the note links to.
        tags: the note's tags from now on; empty: as they were.
        neighbours: the neighbours to rewrite.
    """

    strengthen: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    neighbours: dict[int, NeighbourEdit] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """A turn of MEM1: the new internal state, then a query, an answer, or neither.

    Attributes:
        state: all that is carried over to the next turn.
        query: what to search for, or ``None``.
        answer: the answer, or ``None``.
    """

    state: str
    query: str | None = None
    answer: str | None = None


@dataclass(frozen=True)
class CoreEdit:
    """What a memory-pressure turn does (MemGPT).

    Attributes:
        core: the new core memory; ``None`` leaves it.
        archive: what goes into archival memory, one entry each.
    """

    core: str | None = None
    archive: tuple[str, ...] = ()


# --- what an engine can do --------------------------------------------------------------------------


@runtime_checkable
class Engine(Protocol):
    """The language work that every static workflow may ask for.

    An engine whose calls cost something may also have ``reset_costs()`` and ``costs() -> dict[str, int]``
    (see :meth:`CountedEngine.costs`), and one that depends on where a task comes from ``suit(source)``. What only
    some workflows ask for is in :class:`Abilities`.

    Attributes:
        name: the name shown next to every score.
    """

    name: str

    def answer(self, question: str, passages: Sequence[str]) -> str:
        """Answer ``question`` from ``passages``, best passage first; never empty, short as an answer is.

        Args:
            question: the question.
            passages: texts shown to the engine, usually a title, a line break and a text; may be empty.
        """
        ...

    def compress(self, questions: Sequence[str], memory: str, chunk: str, budget_tokens: int) -> str:
        """Return a new memory of at most ``budget_tokens`` tokens, made of ``memory`` and ``chunk``.

        Args:
            questions: what the memory will be asked.
            memory: the memory so far, ``""`` at first.
            chunk: what was just read.
            budget_tokens: the size the new memory must not exceed, in tokens.
        """
        ...


class Abilities(Engine, Protocol):
    """All that a workflow may ask of an engine. An engine may lack some: a workflow names what it needs."""

    def rate_importance(self, text: str) -> int:
        """Return how important ``text`` is, from 1 (mundane) to 10 (Generative Agents)."""
        ...

    def focal_questions(self, texts: Sequence[str], count: int) -> list[str]:
        """Return at most ``count`` questions that ``texts`` raise (Generative Agents: where to reflect)."""
        ...

    def insights(self, question: str, texts: Sequence[str], count: int) -> list[Insight]:
        """Return at most ``count`` conclusions about ``question`` from ``texts`` (Generative Agents)."""
        ...

    def extract_facts(self, questions: Sequence[str], chunk: str) -> list[str]:
        """Return the facts of ``chunk`` worth keeping for ``questions``, each on its own (Mem0)."""
        ...

    def decide_edits(self, facts: Sequence[str], entries: Sequence[str]) -> list[Edit]:
        """Return what to do about ``facts``, given the ``entries`` found for them (Mem0)."""
        ...

    def describe_note(self, text: str) -> NoteDescription:
        """Return the keywords, the tags and the context of a note that says ``text`` (A-Mem)."""
        ...

    def evolve(self, note: str, neighbours: Sequence[str]) -> Evolution:
        """Return what the new ``note`` changes among its ``neighbours`` (A-Mem)."""
        ...

    def keyword_query(self, question: str) -> str:
        """Return the keywords to search for when asked ``question`` (A-Mem)."""
        ...

    def summarize(self, text: str, budget_words: int) -> str:
        """Return a summary of ``text`` of at most ``budget_words`` words (MemoryBank, MemGPT)."""
        ...

    def next_state(
        self,
        question: str | None,
        questions: Sequence[str],
        state: str,
        last_query: str,
        information: Sequence[str],
        may_search: bool,
    ) -> State:
        """Return the next internal state, and a query or an answer (MEM1).

        Args:
            question: the question to answer; ``None`` while reading, when the state is all that is asked for.
            questions: all questions while reading, else the current one.
            state: the state so far, ``""`` at first.
            last_query: the last query, ``""`` when there was none.
            information: what was just read, or what the last query found.
            may_search: whether a query can be carried out; if not, an answer is due.
        """
        ...

    def manage_core(self, questions: Sequence[str], core: str, recent: str, budget_tokens: int) -> CoreEdit:
        """Return what to keep of ``recent`` before it is gone, in core and in archival memory (MemGPT).

        Args:
            questions: what the memory will be asked.
            core: the core memory so far.
            recent: what is about to leave the window.
            budget_tokens: the most tokens of the core memory.
        """
        ...

    def answer_or_search(self, question: str, passages: Sequence[str], core: str) -> str | None:
        """Answer ``question`` from core memory and the ``passages`` so far, or ``None``: turn the page (MemGPT)."""
        ...

    def chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return a language model's reply to ``messages`` (``role`` and ``content`` each)."""
        ...


class CountedEngine:
    """An engine as one workflow uses it: it passes everything on, and counts the calls of an episode.

    Args:
        engine: the engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # while it is copied or unpickled there is no engine to ask
            raise AttributeError(name)
        found = getattr(self._engine, name)
        return self._counting(found) if callable(found) else found

    def _counting(self, ability: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._calls += 1
            return ability(*args, **kwargs)

        return call

    def unreadable(self) -> dict[str, list[int]]:
        """Return how many replies of each ability could not be read, and of how many; none where nobody counts."""
        told = getattr(self._engine, "unreadable", None)
        return {} if told is None else dict(told())

    def take_said(self) -> list[dict[str, Any]]:
        """Return what the engine's model has said since this was last called, if it has one."""
        take = getattr(self._engine, "take_said", None)
        return [] if take is None else list(take())

    def begin(self, source: str) -> None:
        """Start an episode whose data comes from ``source``: start counting from zero."""
        suit = getattr(self._engine, "suit", None)
        if suit is not None:
            suit(source)
        self._calls = 0
        reset = getattr(self._engine, "reset_costs", None)
        if reset is not None:
            reset()

    def costs(self) -> dict[str, int]:
        """Return what the episode has cost: the engine's own count if it has one, else the number of calls."""
        costs = getattr(self._engine, "costs", None)
        return {"calls": self._calls} if costs is None else dict(costs())


def counted(engine: Engine, needs: Sequence[str], policy: str) -> tuple[Abilities, CountedEngine]:
    """Return ``engine`` with its calls counted, twice: as what it can do, and as what it has cost.

    Args:
        engine: the engine.
        needs: the abilities that will be asked of it, by name.
        policy: the name of the policy that asks.

    Raises:
        ValueError: when the engine lacks one of ``needs``.
    """
    missing = [ability for ability in needs if not callable(getattr(engine, ability, None))]
    if missing:
        raise ValueError(
            f"policy {policy!r} needs an engine that has {', '.join(missing)}; engine {engine.name!r} has not. "
            "Use a language model (engine='llm' or 'local', on the command line --engine), or an engine of your own "
            "with these methods (atommem_env.baselines.engines.engine.Abilities says what each is to do)"
        )
    counting = CountedEngine(engine)
    return cast(Abilities, counting), counting


def get_engine(engine: EngineSpec) -> Engine:
    """Return ``engine`` itself, a new engine of that name, or the one of a language model with those settings.

    Raises:
        ValueError: when there is no engine of that name; lists the names.
    """
    from atommem_env.core.resolve import resolve

    if isinstance(engine, str):
        if engine not in ENGINES:
            raise ValueError(
                f"engine={engine!r} is unknown; choose from {sorted(ENGINES)}, or give an Engine"
            )
        made = cast(Callable[[], Engine], resolve(ENGINES[engine]))()
    elif isinstance(engine, Engine):
        return engine
    else:
        from atommem_env.llm import ChatSettings, LocalSettings

        if not isinstance(engine, (ChatSettings, LocalSettings)):
            raise ValueError(
                f"engine={engine!r} is not an engine: it needs name, answer(question, passages) and "
                f"compress(questions, memory, chunk, budget_tokens), or give one of {sorted(ENGINES)}, or "
                "ChatSettings or LocalSettings"
            )
        name = "local" if isinstance(engine, LocalSettings) else "llm"
        made = cast(Callable[["ModelSettings"], Engine], resolve(ENGINES[name]))(engine)
    return made
