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
quotes, after ``entry`` or ``#``, or be written ``3.0``. Where a tag holds nothing but the operation's own fields, told
as attributes (``<read_memory query="who"/>``), as tags (``<id>3</id><content>x</content>``) or as a JSON object
(``{"content": "x"}``), these are its fields. A text without any of these tags that has calls in
another form (:mod:`atommem_env.protocols.calls`) is read as those. What else a text may hold, and what then
counts, is said in :mod:`atommem_env.protocols.tags`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from atommem_env.core.operations import Answer, Create, Delete, Operation, Read, Update, to_dict
from atommem_env.core.types import Observation
from atommem_env.protocols.base import FormError, Parsed
from atommem_env.protocols.json_calls import read_calls, read_other_calls
from atommem_env.protocols.tagged import TagProtocol, integer
from atommem_env.protocols.tags import Tag, attribute

_ID = r"[\[\"'#]{0,2}(-?[0-9]{1,18})(?:\.0+)?[\]\"']?"
_LABEL = r"id(?:\s*[:=]\s*|\s+)"
_LABELLED = re.compile(rf"\[?{_LABEL}{_ID}(?:[ \t]*[\r\n:,;]|[ \t]|$)", re.IGNORECASE | re.ASCII)
_BARE = re.compile(rf"{_ID}(?:[ \t]*[\r\n:]|$)", re.ASCII)
_MAIN_ATTRIBUTE = re.compile(r"(?<![^\s\"'])(?:content|query|text)\s*=", re.IGNORECASE | re.ASCII)
_ELEMENT = re.compile(r"<(content|query|id|k)>.*?</\1>\s*", re.IGNORECASE | re.ASCII | re.DOTALL)
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

    def _operation(self, role: str, tag: Tag, observation: Observation | None) -> Operation:
        told = role != "scratchpad" and _told_by_fields(tag)
        return (told and _by_fields(role, tag)) or super()._operation(role, tag, observation)

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

    def _text(self, operation: Operation, observation: Observation | None) -> str:
        if isinstance(operation, (Create, Read, Answer)):
            fields = to_dict(operation)
            role = fields.pop("op")
            text = fields["query" if role == "read" else "content"]
            if _told_by_fields(Tag(role, "", text.strip(), "")):  # it would be taken for its fields
                return self._wrap(role, json.dumps(fields, ensure_ascii=False))
        return super()._text(operation, observation)

    def _entry_text(self, operation: Update | Delete, observation: Observation | None) -> str:
        if isinstance(operation, Delete):
            return self._wrap("delete", str(operation.id))
        return self._wrap("update", f"id: {operation.id}\n{operation.content}")


def _told_by_fields(tag: Tag) -> bool:
    """Return whether a tag may hold its operation's fields, and nothing else, in another form than the paper's."""
    content = tag.content
    if not content:
        return _MAIN_ATTRIBUTE.search(tag.attributes) is not None
    end = 0
    while (element := _ELEMENT.match(content, end)) is not None:
        end = element.end()
    return end == len(content) or (content[0] == "{" and content[-1] == "}")


def _by_fields(role: str, tag: Tag) -> Operation | None:
    """Return the operation that a tag's fields give, and nothing where they are others than its own."""
    name = role if role == "answer" else f"{role}_memory"
    parsed = read_calls(f"<{name}{tag.attributes}>{tag.content}</{name}>")
    if parsed.malformed or len(parsed.operations) != 1 or parsed.operations[0].op != role:
        return None
    return parsed.operations[0]


def _id(text: str) -> int:
    number = _number(text)
    return number if isinstance(number, int) else integer(text)


def _number(text: str) -> Any:
    # Its many patterns are compiled when they are needed.
    from atommem_env.protocols.calls import whole_number

    return whole_number(text)
