"""The engine of a run: how its record says it, where a language model's replies are kept, and what could not be read.

An episode's record in ``episodes.jsonl`` has ``unreadable`` where its policy asked a language model: by ability, how
many replies could not be read and how many there were, ``{"extract_facts": [2, 40]}``. A table says so below it, per
policy, where the share is above :data:`MOST_UNREADABLE` (:func:`unreadable_share` over a policy's episodes).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from atommem_env.data.cache import cache_folder
from atommem_env.runs.forms import EpisodeRecord
from atommem_env.runs.jsonable import to_jsonable

if TYPE_CHECKING:
    from atommem_env.llm import ModelSettings


class NamedEngine(Protocol):
    """An engine that is made already, as far as a run knows it."""

    name: str


EngineLike: TypeAlias = "str | ModelSettings | NamedEngine"
"""What a policy is given as its engine: a name, the settings of a language model, or an engine."""

LLM: Final = "llm"
"""The name of the engine that is a chat endpoint."""

LOCAL: Final = "local"
"""The name of the engine that is a language model in this process."""

MODELS: Final = (LLM, LOCAL)
"""The engines that are a language model."""

_NOT_ARGUMENTS: Final = ("name", "prompts", "weights")


def replies_folder() -> Path:
    """Return the folder of replies: ``replies`` in the user's cache (``$ATOMMEM_CACHE``), shared by all runs.

    A reply is kept under all that determines it (address, model, sampling, seed, text), so that a run that
    was killed, a longer run and the same run in another folder pay only for what is new.
    """
    return cache_folder() / "replies"


def settled(engine: EngineLike, seed: int) -> EngineLike:
    """Return ``engine``; for ``"llm"`` and ``"local"`` the settings of the model that the environment variables name.

    Raises:
        ValueError: when no environment variable names a model.
    """
    if engine not in MODELS:
        return engine
    from atommem_env.llm import ChatSettings, LocalSettings

    kind = ChatSettings if engine == LLM else LocalSettings
    return kind.from_environment(seed=seed, cache=replies_folder())


def asks_a_model(engine: EngineLike) -> bool:
    """Return whether ``engine`` waits for a server or for a batch, so that threads serve it, and not processes."""
    return not isinstance(engine, str) and hasattr(engine, "concurrency")


def begin_together(engines: Iterable[EngineLike], askers: int) -> list[Callable[[], None]]:
    """Tell models in this process that so many threads ask them side by side; return what each calls at its end."""
    distinct: list[Any] = []
    for engine in engines:
        if callable(getattr(engine, "begin", None)) and engine not in distinct:
            distinct.append(engine)
    for engine in distinct:
        engine.begin(askers)
    return [engine.end for engine in distinct]


def describe_engine(engine: EngineLike) -> Any:
    """Return what a run's record says of an engine: its name, or a language model with all that determines replies."""
    describe = getattr(engine, "describe", None)
    return to_jsonable(engine) if describe is None else {"name": LLM, **describe()}


def recorded_engine(record: Any) -> str | ModelSettings:
    """Return the engine of a record of :func:`describe_engine`; its replies are kept in the usual folder."""
    if isinstance(record, str):
        return record
    from atommem_env.llm import ChatSettings, LocalSettings

    arguments = {name: value for name, value in record.items() if name not in _NOT_ARGUMENTS}
    if record.get("name") == LOCAL:
        return LocalSettings(**arguments, cache=replies_folder())
    return ChatSettings(**arguments, cache=replies_folder())


MOST_UNREADABLE: Final = 0.01
"""The share of a policy's replies that may be unreadable without a word below the table."""


def unreadable_of(policy: object) -> dict[str, list[int]]:
    """Return how many replies of each ability a policy could not read in its episode, and of how many."""
    told = getattr(policy, "unreadable", None)
    return {ability: list(counts) for ability, counts in told().items()} if callable(told) else {}


def unreadable_share(episodes: Iterable[EpisodeRecord]) -> tuple[dict[str, list[int]], float]:
    """Return the counts of ``unreadable`` summed over episodes' records, and the share of all their replies.

    Args:
        episodes: records of episodes, of one policy say; those without ``unreadable`` count for nothing.

    Returns:
        ``{ability: [unread, replies]}`` and a number in [0, 1]; 0 where there are no replies.
    """
    summed: dict[str, list[int]] = {}
    for episode in episodes:
        for ability, (unread, replies) in episode.get("unreadable", {}).items():
            counts = summed.setdefault(ability, [0, 0])
            counts[0] += unread
            counts[1] += replies
    replies = sum(count for _, count in summed.values())
    return summed, sum(unread for unread, _ in summed.values()) / replies if replies else 0.0


def warn_of_nothing_read(policy: str, unreadable: Mapping[str, Sequence[int]]) -> None:
    """Warn when nothing of what a policy's model wrote in its first episode could be read."""
    unread, replies = (sum(counts[place] for counts in unreadable.values()) for place in (0, 1))
    if replies and unread == replies:
        warnings.warn(
            f"policy {policy!r}: none of the {replies} replies of its model in the first episode could be read "
            f"({', '.join(unreadable)}). Look at what it writes (atommem show, atommem view): the model may not follow "
            "the form, think beyond max_tokens, or be served with another chat template",
            stacklevel=2,
        )
