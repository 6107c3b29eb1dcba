"""What an agent may know about its environment and an observation does not say."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from atommem_env.core.operations import KINDS


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of an environment, in ``info["rules"]`` at every reset: arguments of ``gym.make``, as they hold.

    Attributes:
        capacity: the largest number of entries, or ``None``.
        overflow: what a Create does in a full store, ``"refuse"`` or ``"evict_oldest"``.
        entry_tokens: the largest number of tokens of an entry, or ``None``.
        scratchpad_tokens: the largest number of tokens of the scratchpad, or ``None``.
        query_tokens: the largest number of tokens of a Read's query, or ``None``.
        top_k: how many entries a Read without ``k`` asks for.
        max_looks: the looks that a position allows.
        operations: the kinds of operations that are enabled.
        scratchpad: whether the scratchpad may be written.
        storage: whether there is a store besides the scratchpad.
        early_answer: whether an Answer while reading answers question 0 and ends the reading.
        questions_shown: ``"always"``, or ``"when_asked"`` where no question is shown while reading.
        isolate_questions: whether every question starts from the memory as it was when reading ended.
        abstain: the phrase that says that the text does not answer a question; ``""`` where all are answerable.
        stream: whether questions are asked between chunks.
    """

    capacity: int | None = None
    overflow: str = "refuse"
    entry_tokens: int | None = None
    scratchpad_tokens: int | None = 1024
    query_tokens: int | None = 1024
    top_k: int = 6
    max_looks: int = 3
    operations: tuple[str, ...] = KINDS
    scratchpad: bool = True
    storage: bool = True
    early_answer: bool = False
    questions_shown: str = "always"
    isolate_questions: bool = False
    abstain: str = ""
    stream: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the rules as plain data, for records and traces."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def allows(self, kind: str) -> bool:
        """Return whether operations of ``kind`` on stored entries, or ``"answer"``, are enabled."""
        return kind == "answer" or (self.storage and kind in self.operations)

    @property
    def enabled(self) -> list[str]:
        """What an agent can do, in the order in which prompts list it."""
        order = ("create", "read", "update", "delete", "scratchpad", "answer")
        return [role for role in order if (self.scratchpad if role == "scratchpad" else self.allows(role))]


DEFAULT_RULES: Final = Rules()
"""The rules of an environment that is made without arguments."""
