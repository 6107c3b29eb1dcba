"""The engine of a run: how its record says it, and where a language model's replies are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from atommem_env.data.cache import cache_folder
from atommem_env.runs.jsonable import plain

if TYPE_CHECKING:
    from atommem_env.llm import ChatSettings


class NamedEngine(Protocol):
    """An engine that is made already, as far as a run knows it."""

    name: str


EngineLike: TypeAlias = "str | ChatSettings | NamedEngine"
"""What a policy is given as its engine: a name, the settings of a chat endpoint, or an engine."""

LLM: Final = "llm"
"""The name of the engine that is a chat endpoint."""

_NOT_ARGUMENTS: Final = ("name", "prompts")


def replies_folder() -> Path:
    """Return the folder of replies: ``replies`` in the user's cache (``$ATOMMEM_CACHE``), shared by all runs.

    A reply is kept under all that determines it (address, model, sampling, seed, text), so that a run that
    was killed, a longer run and the same run in another folder pay only for what is new.
    """
    return cache_folder() / "replies"


def settled(engine: EngineLike, seed: int) -> EngineLike:
    """Return ``engine``; for ``"llm"`` the settings of a chat endpoint that the environment variables name.

    Raises:
        ValueError: when no environment variable names a model.
    """
    if engine != LLM:
        return engine
    from atommem_env.llm import ChatSettings

    return ChatSettings.from_environment(seed=seed, cache=replies_folder())


def is_remote(engine: EngineLike) -> bool:
    """Return whether ``engine`` waits for a server, so that threads serve it better than processes."""
    return not isinstance(engine, str) and hasattr(engine, "base_url")


def describe_engine(engine: EngineLike) -> Any:
    """Return what a run's record says of an engine: its name, or a chat endpoint's model, address and sampling."""
    describe = getattr(engine, "describe", None)
    return plain(engine) if describe is None else {"name": LLM, **describe()}


def recorded_engine(record: Any) -> str | ChatSettings:
    """Return the engine of a record of :func:`describe_engine`; its replies are kept in the usual folder."""
    if isinstance(record, str):
        return record
    from atommem_env.llm import ChatSettings

    arguments = {name: value for name, value in record.items() if name not in _NOT_ARGUMENTS}
    return ChatSettings(**arguments, cache=replies_folder())
