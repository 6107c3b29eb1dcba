r"""The protocol ``atommem``: the tags of the paper (AtomMem, arXiv 2601.08323, section 3).

====================================================  ==========================================
text                                                  operation
====================================================  ==========================================
``<create_memory>content</create_memory>``            ``Create("content")``
``<read_memory>query</read_memory>``                  ``Read("query")``; ``k="3"`` is an attribute
``<update_memory>id: 3 \n content</update_memory>``   ``Update(3, "content")``
``<delete_memory>3</delete_memory>``                  ``Delete(3)``
``<scratchpad>text</scratchpad>``                     ``Update(0, "text")``
``<scratchpad></scratchpad>``                         ``Delete(0)``
``<answer>text</answer>``                             ``Answer("text")``
====================================================  ==========================================

An update names its entry as the attribute ``id="3"``, or at the head of its content: ``id: 3`` (or ``id=3``)
and then a line break, a space, a comma or a colon, or the bare number and then a line break or a colon. A
delete names it as the attribute, as ``id: 3``, or as the bare number. A number may stand in brackets or
quotes, after ``entry`` or ``#``, or be written ``3.0``. A text without any of these tags that has calls in
another form (:mod:`atommem_env.protocols.calls`) is read as those. What else a text may hold, and what then
counts, is said in :mod:`atommem_env.protocols.tags`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from atommem_env.core.operations import Delete, Operation, Update
from atommem_env.core.types import Observation
from atommem_env.protocols.base import FormError, Parsed
from atommem_env.protocols.json_calls import read_other_calls
from atommem_env.protocols.tagged import TagProtocol, integer
from atommem_env.protocols.tags import Tag, attribute

_ID = r"[\[\"'#]{0,2}(-?[0-9]{1,18})(?:\.0+)?[\]\"']?"
_LABEL = r"id(?:\s*[:=]\s*|\s+)"
_LABELLED = re.compile(rf"\[?{_LABEL}{_ID}(?:[ \t]*[\r\n:,;]|[ \t]|$)", re.IGNORECASE | re.ASCII)
_BARE = re.compile(rf"{_ID}(?:[ \t]*[\r\n:]|$)", re.ASCII)
_ENTRY = re.compile(rf"(?:entry|memory)\s+{_ID}[ \t]*[\r\n:]", re.IGNORECASE | re.ASCII)


class XMLProtocol(TagProtocol):
    """The paper's tags. Entries are addressed by id."""

    name = "atommem"
    default_tags: ClassVar[Mapping[str, str]] = {
        "create": "create_memory",
        "read": "read_memory",
        "update": "update_memory",
        "delete": "delete_memory",
        "scratchpad": "scratchpad",
        "answer": "answer",
    }

    def _parse_update(self, tag: Tag, observation: Observation | None) -> Operation:
        named = attribute(tag.attributes, "id")
        if named is not None:
            return Update(_id(named), tag.content)
        head = next(filter(None, (form.match(tag.content) for form in (_LABELLED, _BARE, _ENTRY))), None)
        if head is None:
            raise FormError("it does not begin with the id of the entry, such as 'id: 3' and a line break")
        return Update(int(head.group(1)), tag.content[head.end() :].strip())

    def _parse_delete(self, tag: Tag, observation: Observation | None) -> Operation:
        named = attribute(tag.attributes, "id")
        if named is not None:
            return Delete(_id(named))
        only = _number(tag.content)
        if not isinstance(only, int):
            raise FormError("expected the id of one entry, such as 3")
        return Delete(only)

    def _otherwise(self, text: str) -> Parsed:
        return read_other_calls(text)

    def _entry_text(self, operation: Update | Delete, observation: Observation | None) -> str:
        if isinstance(operation, Delete):
            return self._wrap("delete", str(operation.id))
        return self._wrap("update", f"id: {operation.id}\n{operation.content}")


def _id(text: str) -> int:
    number = _number(text)
    return number if isinstance(number, int) else integer(text)


def _number(text: str) -> Any:
    # Its many patterns are compiled when they are needed.
    from atommem_env.protocols.calls import whole_number

    return whole_number(text)
