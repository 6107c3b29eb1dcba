"""What a text protocol is: how an observation becomes a prompt, and how a text becomes operations."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from atommem_env.core.operations import Action, Operation, parse
from atommem_env.core.rules import DEFAULT_RULES, Rules
from atommem_env.core.types import Observation

_EXCERPT: Final = 120


class Malformed(NamedTuple):
    """A piece of a text that was meant as an operation and is none.

    Attributes:
        text: the beginning of the piece, at most 120 characters.
        reason: what is wrong with it, in words.
    """

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text says.

    Attributes:
        operations: the well-formed operations, in the order of the text.
        malformed: the pieces that were dropped, in the order of the text.
    """

    operations: list[Operation] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)


class FormError(ValueError):
    """Says what is wrong with a piece of text; a parser turns it into a :class:`Malformed`."""


class Protocol(abc.ABC):
    """Turns observations into prompts and texts into operations, and knows no environment.

    What a prompt must say of an environment and an observation does not are its rules, ``info["rules"]``.

    Attributes:
        name: the protocol's name in arguments and records.
    """

    name: str

    @abc.abstractmethod
    def render_prompt(
        self,
        observation: Observation,
        rules: Rules = DEFAULT_RULES,
        *,
        history: bool = False,
        malformed: Sequence[Malformed] = (),
    ) -> list[dict[str, str]]:
        """Return the messages (``role``, ``content``) of a complete prompt that needs no history.

        Args:
            observation: an observation of the environment.
            rules: the environment's rules.
            history: whether the agent sees the earlier messages too (a conversation that is appended to).
            malformed: the pieces of the agent's last text that no operation could be made of.
        """

    @abc.abstractmethod
    def render_delta(
        self,
        observation: Observation,
        rules: Rules = DEFAULT_RULES,
        *,
        malformed: Sequence[Malformed] = (),
    ) -> str:
        """Return the user turn that adds ``observation`` to a conversation begun by a complete prompt.

        Args:
            observation: an observation of the environment.
            rules: the environment's rules.
            malformed: the pieces of the agent's last text that no operation could be made of.
        """

    @abc.abstractmethod
    def parse(self, text: str, observation: Observation | None = None) -> Parsed:
        """Return the operations of ``text``; no str raises, and the time is linear in its length.

        Args:
            text: what the agent wrote.
            observation: the observation that it was written for; protocols that address entries by rank
                need it.
        """

    @abc.abstractmethod
    def render_operations(self, operations: Action, observation: Observation | None = None) -> str:
        """Return a text whose operations are ``operations``: the inverse of :meth:`parse`.

        Raises:
            ValueError: when an operation cannot be written in this protocol; names it and says why.
        """


def excerpt(text: str) -> str:
    """Return the beginning of ``text``, which is enough to recognise it."""
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 3] + "..."


def well_formed(operations: Action) -> list[Operation]:
    """Return ``operations`` as structs.

    Raises:
        ValueError: when an element is not a well-formed operation; names it.
    """
    result = []
    for item in operations:
        operation = parse(item)
        if operation is None:
            raise ValueError(
                f"{excerpt(repr(item))} is not a well-formed operation; expected one such as "
                "Create('...') or {'op': 'create', 'content': '...'}"
            )
        result.append(operation)
    return result


def verify(
    protocol: Protocol,
    text: str,
    expected: Sequence[Operation],
    observation: Observation | None,
    cause: str,
) -> str:
    """Return ``text`` when ``protocol`` reads exactly ``expected`` in it.

    Raises:
        ValueError: when it reads something else; ``cause`` says what can be done.
    """
    parsed = protocol.parse(text, observation)
    if parsed.malformed or parsed.operations != list(expected):
        raise ValueError(
            f"the protocol {protocol.name!r} cannot write {excerpt(repr(list(expected)))}: {cause}"
        )
    return text
