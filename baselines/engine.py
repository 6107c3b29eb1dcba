"""What does a baseline's language work: the engine protocol, and how an engine is found by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

ENGINES: Final[dict[str, str]] = {"rules": "atommem_env.baselines.rules:RulesEngine"}
"""The engines by name, as entry points. Every result names the engine it was made with."""


@runtime_checkable
class Engine(Protocol):
    """The language work that static workflows ask for.

    Attributes:
        name: the name shown beside every score.
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


def get_engine(engine: str | Engine) -> Engine:
    """Return ``engine`` itself, or a new engine of that name.

    Raises:
        ValueError: when there is no engine of that name; lists the names.
    """
    if not isinstance(engine, str):
        if isinstance(engine, Engine):
            return engine
        raise ValueError(
            f"engine={engine!r} is no engine: it needs name, answer(question, passages) and "
            f"compress(questions, memory, chunk, budget_tokens), or give one of {sorted(ENGINES)}"
        )
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r} is unknown; choose from {sorted(ENGINES)}, or give an Engine")
    from atommem_env.resolve import resolve

    found = resolve(ENGINES[engine])
    made = found() if callable(found) else found
    assert isinstance(made, Engine)
    return made
