"""What the protocols that write operations as tags have in common."""

from __future__ import annotations

import abc
import html
import os
import re
from collections.abc import Mapping
from typing import ClassVar, Final

from atommem_env.core.operations import (
    MAX_K,
    SCRATCHPAD,
    Action,
    Answer,
    Create,
    Delete,
    Operation,
    Read,
    Update,
)
from atommem_env.core.types import Observation
from atommem_env.protocols.base import FormError, Malformed, Parsed, excerpt, verify, well_formed
from atommem_env.protocols.rendering import TemplateProtocol
from atommem_env.protocols.tags import Tag, TagScanner, attribute, fold, shield

ROLES: Final = ("create", "read", "update", "delete", "scratchpad", "answer")
"""What a tag can be for."""

INTEGER: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)
"""A whole number that stays far below the length at which Python refuses to read one."""


class TagProtocol(TemplateProtocol):
    """Operations as tags. A subclass says which tags, and how an entry is addressed.

    Args:
        tags: other names for some of the tags: a mapping from ``create``, ``read``, ``update``, ``delete``,
            ``scratchpad`` or ``answer`` to a name.
        template: see :class:`~atommem_env.protocols.rendering.TemplateProtocol`.
        delta_template: see there.
        system: see there.

    Raises:
        ValueError: when a tag is for something else, or its name is unusable.
    """

    default_tags: ClassVar[Mapping[str, str]]

    def __init__(
        self,
        tags: Mapping[str, str] | None = None,
        *,
        template: str | os.PathLike[str] | None = None,
        delta_template: str | os.PathLike[str] | None = None,
        system: bool | None = None,
    ) -> None:
        unknown = [role for role in tags or () if role not in ROLES]
        if unknown:
            raise ValueError(f"tags for {unknown}: there is no such tag; choose from {list(ROLES)}")
        self.tags = {**self.default_tags, **(tags or {})}
        self._scanner = TagScanner(list(self.tags.values()))
        self._roles = {fold(name): role for role, name in self.tags.items()}
        super().__init__(template=template, delta_template=delta_template, system=system)

    def labels(self) -> dict[str, str]:
        """Return how the prompt calls each operation: by its tag."""
        return dict(self.tags)

    def parse(self, text: str, observation: Observation | None = None) -> Parsed:
        """Return the operations of ``text``; see :mod:`atommem_env.protocols.tags` for what counts."""
        pieces = list(self._scanner.scan(text))
        if not pieces and "&lt;" in text:  # tags that were escaped for a page
            pieces = [piece for piece in self._scanner.scan(html.unescape(text)) if isinstance(piece, Tag)]
        if not pieces:
            return self._otherwise(text)
        parsed = Parsed()
        for piece in pieces:
            if isinstance(piece, Malformed):
                parsed.malformed.append(piece)
                continue
            try:
                parsed.operations.append(self._operation(self._roles[piece.name], piece, observation))
            except FormError as error:
                parsed.malformed.append(Malformed(excerpt(piece.text), str(error)))
        return parsed

    def render_operations(self, operations: Action, observation: Observation | None = None) -> str:
        """Return ``operations`` as tags, one to a line; white space around a content is dropped.

        Raises:
            ValueError: when an operation cannot be written: a content that holds its own closing tag, an
                id of more than 18 digits, and what a subclass adds to these.
        """
        expected = [_stripped(operation) for operation in well_formed(operations)]
        lines = []
        for operation in expected:
            line = self._text(operation, observation)
            lines.append(line)
            cause = "its content holds the tag that would end it, or its id is too long; change that"
            verify(self, shield(line), [operation], observation, cause)
        return shield("\n".join(lines))

    def _operation(self, role: str, tag: Tag, observation: Observation | None) -> Operation:
        if role == "create":
            return Create(tag.content)
        if role == "read":
            return Read(tag.content, _k(tag.attributes))
        if role == "scratchpad":
            return Update(SCRATCHPAD, tag.content) if tag.content else Delete(SCRATCHPAD)
        if role == "update":
            return self._parse_update(tag, observation)
        if role == "delete":
            return self._parse_delete(tag, observation)
        return Answer(self._parse_answer(tag.content))

    def _otherwise(self, text: str) -> Parsed:
        """Return what a text says that has none of the tags."""
        return Parsed()

    @abc.abstractmethod
    def _parse_update(self, tag: Tag, observation: Observation | None) -> Operation: ...

    @abc.abstractmethod
    def _parse_delete(self, tag: Tag, observation: Observation | None) -> Operation: ...

    def _parse_answer(self, content: str) -> str:
        return content

    def _text(self, operation: Operation, observation: Observation | None) -> str:
        if isinstance(operation, Create):
            return self._wrap("create", operation.content)
        if isinstance(operation, Read):
            return self._wrap("read", operation.query, "" if operation.k is None else f' k="{operation.k}"')
        if isinstance(operation, Answer):
            return self._wrap("answer", self._answer_text(operation.content))
        if operation == Delete(SCRATCHPAD):
            return self._wrap("scratchpad", "")
        if isinstance(operation, Update) and operation.id == SCRATCHPAD and operation.content:
            return self._wrap("scratchpad", operation.content)
        return self._entry_text(operation, observation)

    @abc.abstractmethod
    def _entry_text(self, operation: Update | Delete, observation: Observation | None) -> str: ...

    def _answer_text(self, content: str) -> str:
        return content

    def _wrap(self, role: str, content: str, attributes: str = "") -> str:
        tag = self.tags[role]
        return f"<{tag}{attributes}>{content}</{tag}>"


def integer(text: str) -> int:
    """Return the whole number that ``text`` is.

    Raises:
        FormError: when it is none.
    """
    if not INTEGER.fullmatch(text.strip()):
        raise FormError(f"expected a whole number, got {excerpt(text)!r}")
    return int(text)


def _k(attributes: str) -> int | None:
    text = attribute(attributes, "k")
    if text is None:
        return None
    k = integer(text)
    if not 1 <= k <= MAX_K:
        raise FormError(f"k is {k}; expected 1 to {MAX_K}")
    return k


def _stripped(operation: Operation) -> Operation:
    if isinstance(operation, Create):
        return Create(operation.content.strip())
    if isinstance(operation, Read):
        return Read(operation.query.strip(), operation.k)
    if isinstance(operation, Update):
        return Update(operation.id, operation.content.strip())
    if isinstance(operation, Answer):
        return Answer(operation.content.strip())
    return operation
