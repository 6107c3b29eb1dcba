"""What crosses the web socket: action, observation and state as OpenEnv's pydantic models."""

from __future__ import annotations

import json
from typing import Annotated, Any

from openenv.core.env_server.types import Action, Observation, State
from pydantic import BeforeValidator, Field


def _as_list(value: Any) -> Any:
    if value is None or isinstance(value, list):
        return value
    return list(value) if isinstance(value, tuple) else [value]


def _as_text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value, default=str)


class AtomMemAction(Action):  # type: ignore[misc]
    """One action: a list of operations, or the text that a model wrote.

    It is permissive, since what a model writes is data: a bad operation is refused by the environment and
    reported in the next observation's ``results``. What is not a list counts as one operation, what is not text as
    its JSON.
    """

    operations: Annotated[list[Any] | None, BeforeValidator(_as_list)] = Field(
        default=None,
        description="Operations in order, each such as {'op': 'create', 'content': '...'}; or give text.",
    )
    text: Annotated[str | None, BeforeValidator(_as_text)] = Field(
        default=None, description="What a model answered to the messages; or give operations."
    )


class AtomMemObservation(Observation):  # type: ignore[misc]
    """The observation of ``MemoryEnv``, and the messages that a model is to answer.

    ``reward`` and ``done`` come with it. ``metadata`` holds ``task_id`` and, where questions are isolated,
    ``isolated_question``, the number of the one that is asked or -1: a conversation that is appended to goes back, when
    it changes, to where reading ended (``atommem_env.protocols.conversation.Conversation``). After a reset it has
    ``task_index`` and ``source``; at the end ``metrics``, and ``truncated``. The gold answers stay on the server until
    then.
    """

    phase: int = Field(description="0: reading; 1: answering.")
    questions: list[str] = Field(description="While reading all questions, while answering the current one.")
    chunk: str = Field(description="The text of this chunk; empty while answering.")
    scratchpad: str = Field(description="Entry 0, shown at every step.")
    queries: list[str] = Field(description="The standing queries.")
    # Dicts of any kind: pydantic takes the standard library's typed ones from Python 3.12 on.
    retrieved: list[dict[str, Any]] = Field(
        description="Entries found: id, content, score, query (an index)."
    )
    results: list[dict[str, Any]] = Field(
        description="One per operation of the last action: op, ok, reason, id, evicted."
    )
    cursor: int = Field(description="Which chunk, or which question, from 0.")
    num_chunks: int
    num_questions: int
    now: str = Field(description="The date of the last document shown, or of the question; empty: none.")
    memory_size: int = Field(description="The number of entries, the scratchpad not counted.")
    capacity: int = Field(description="The largest number of entries; 0: none.")
    looks_left: int
    messages: list[dict[str, str]] = Field(
        description="What to answer (role, content): a complete prompt, or with prompt_mode='append' what to add "
        "to the conversation; empty at the end."
    )
    malformed: list[dict[str, str]] = Field(
        description="What in the last text was meant as an operation and is none: text, reason."
    )


class AtomMemState(State):  # type: ignore[misc]
    """Which episode goes on in a session, besides ``episode_id`` and ``step_count``; null before a reset."""

    env: str
    task_id: str | None = None
    task_index: int | None = None
    source: str | None = None
    done: bool = False
