r"""The protocol ``json``: operations as JSON, the way chat models write tool calls.

Any of these, alone, in a fenced code block, inside ``<tool_call>...</tool_call>`` or amid prose, several in
one text:

- an operation, ``{"op": "update", "id": 3, "content": "..."}``;
- a tool call, ``{"name": "update", "arguments": {"id": 3, "content": "..."}}``; ``arguments`` (or
  ``parameters``) is an object or a str that holds one; the ``{"type": "function", "function": {...}}`` around
  it and the further keys of chat endpoints are ignored;
- an array of these, or an object that holds one under ``operations``, ``actions`` or ``tool_calls``.

What counts, for every text:

- Kinds are case-insensitive. An id or a ``k`` may be a str of digits. Contents are taken verbatim. An unknown
  kind, a missing, extra or ill-typed field makes the call malformed, and only that call.
- Bracketed prose is no JSON: only ``{`` before a quote, and ``[`` (one or two) before such a ``{``, can begin
  a call. An array or object that closes but is no JSON (a trailing comma, single quotes) is searched within,
  two levels deep; if nothing is found there, it is malformed. An unclosed one is malformed, and the calls
  that are complete within it count: a text cut short loses only its last call. An empty object says nothing.
- Line breaks and other control characters inside a str are accepted. Full-width brackets and quotes are
  prose.
- Text inside ``<think>...</think>`` is ignored, as in :mod:`atommem_env.protocols.tags`.
- The time is linear in the length of the text.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from atommem_env.core import operations
from atommem_env.core.operations import KINDS, Action
from atommem_env.core.rules import DEFAULT_RULES, Rules
from atommem_env.protocols.base import FormError, Malformed, Parsed, excerpt, well_formed
from atommem_env.protocols.rendering import TemplateProtocol
from atommem_env.protocols.tagged import INTEGER
from atommem_env.protocols.tags import reasoning_end, shield

_MAX_LEVELS: Final = 2
_CONTAINERS: Final = ("operations", "actions", "tool_calls")
_BEGINS = r"(?:\{(?=\s*[\"'])|\[(?=\s*(?:\[\s*)?\{\s*[\"']))"
_LIKE_JSON = re.compile(_BEGINS)
_OUTSIDE = re.compile(rf"{_BEGINS}|<think\s*>", re.IGNORECASE)
_INSIDE = re.compile(r"[\[\]{}\"]")
_STRING_END = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_THINK_END = re.compile(r"</think\s*>", re.IGNORECASE | re.ASCII)
_DECODE: Final = json.JSONDecoder(strict=False).decode
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False).encode
_PAIRS: Final = {"]": "[", "}": "{"}


class JSONProtocol(TemplateProtocol):
    """Operations as JSON: arrays of operations, and tool calls. Entries are addressed by id."""

    name = "json"

    def __init__(
        self,
        *,
        template: str | os.PathLike[str] | None = None,
        delta_template: str | os.PathLike[str] | None = None,
        system: bool | None = None,
    ) -> None:
        super().__init__(template=template, delta_template=delta_template, system=system)

    def labels(self) -> dict[str, str]:
        """Return how the prompt calls each operation: by its kind."""
        return {**{kind: kind for kind in KINDS}, "scratchpad": "scratchpad"}

    def tools(self, rules: Rules = DEFAULT_RULES) -> list[dict[str, Any]]:
        """Return the JSON Schema definitions of the operations that ``rules`` leave, for a chat endpoint."""
        scratchpad = ("update", "delete") if rules.scratchpad else ()
        return operations.tool_definitions([k for k in KINDS if rules.allows(k) or k in scratchpad])

    def parse(self, text: str, observation: Mapping[str, Any] | None = None) -> Parsed:
        """Return the operations of ``text``; see the module's text for what counts."""
        parsed = Parsed()
        _collect(text, reasoning_end(text), len(text), 0, parsed)
        return parsed

    def render_operations(self, operations_: Action, observation: Mapping[str, Any] | None = None) -> str:
        """Return ``operations_`` as a JSON array, one operation to a line; every operation can be written.

        Raises:
            ValueError: when an element is no well-formed operation.
        """
        lines = [_ENCODE(operations.to_dict(operation)) for operation in well_formed(operations_)]
        return shield("[" + ",\n ".join(lines) + "]")


def _collect(text: str, start: int, end: int, level: int, parsed: Parsed) -> None:
    """Add to ``parsed`` what is found between ``start`` and ``end``."""
    for left, right in _spans(text, start, end, within=level > 0):
        if not _LIKE_JSON.match(text, left):
            continue
        if right is None:
            parsed.malformed.append(
                Malformed(excerpt(text[left : left + 200]), f"{text[left]} is not closed")
            )
            continue
        piece = text[left:right]
        try:
            value = _DECODE(piece)
        except (ValueError, RecursionError) as error:
            found = len(parsed.operations) + len(parsed.malformed)
            deeper = level < _MAX_LEVELS and isinstance(error, ValueError)
            if deeper and _LIKE_JSON.search(text, left + 1, right - 1):
                _collect(text, left + 1, right - 1, level + 1, parsed)
            if found == len(parsed.operations) + len(parsed.malformed):
                parsed.malformed.append(Malformed(excerpt(piece), f"it is no JSON: {error}"))
        else:
            _add(value, parsed)


def _spans(text: str, start: int, end: int, within: bool) -> Iterator[tuple[int, int | None]]:
    """Yield the outermost bracketed spans, in order; one that is not closed has no end, and comes first.

    Brackets inside strings do not count; outside of all brackets a quote is prose, unless ``within``.
    """
    stack: list[int] = []
    depth = {"[": 0, "{": 0}
    closed: list[tuple[int, int]] = []
    quotes = thoughts = True
    position = start
    while True:
        mark = (_INSIDE if stack or within else _OUTSIDE).search(text, position, end)
        if mark is None:
            break
        sign, position = mark.group(), mark.end()
        if sign in depth:
            stack.append(mark.start())
            depth[sign] += 1
        elif sign == '"':
            string = _STRING_END.match(text, position, end) if quotes else None
            quotes = string is not None
            position = string.end() if string is not None else position
        elif sign in _PAIRS:
            left = _close(text, stack, depth, _PAIRS[sign])
            if left is not None:
                while closed and closed[-1][0] > left:
                    closed.pop()
                closed.append((left, position))
        else:
            thought = _THINK_END.search(text, position, end) if thoughts else None
            thoughts = thought is not None
            position = thought.end() if thought is not None else position
    yield from _in_order(text, stack, closed)


def _close(text: str, stack: list[int], depth: dict[str, int], opening: str) -> int | None:
    """Take the last ``opening`` off ``stack``, with what was opened after it, and return its position."""
    if not depth[opening]:
        return None
    while True:
        left = stack.pop()
        depth[text[left]] -= 1
        if text[left] == opening:
            return left


def _in_order(text: str, stack: list[int], closed: list[tuple[int, int]]) -> Iterator[tuple[int, int | None]]:
    """Yield the closed spans and, of those that are not closed and can be JSON, the outermost."""
    unclosed = next((left for left in stack if _LIKE_JSON.match(text, left)), None)
    for left, right in closed:
        if unclosed is not None and unclosed < left:
            yield unclosed, None
            unclosed = None
        yield left, right
    if unclosed is not None:
        yield unclosed, None


def _add(value: Any, parsed: Parsed) -> None:
    """Add the calls that the JSON value ``value`` holds, in order."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(reversed(item))
            continue
        if item == {}:
            continue
        held = _held(item)
        if held is not None:
            pending.append(held)
            continue
        try:
            parsed.operations.append(_operation(item))
        except FormError as error:
            parsed.malformed.append(Malformed(_shown(item), str(error)))


def _held(item: Any) -> Any:
    """Return the calls that an object holds under one of the known keys, or ``None``."""
    if not isinstance(item, dict) or "op" in item or "name" in item:
        return None
    return next((item[key] for key in _CONTAINERS if isinstance(item.get(key), list)), None)


def _operation(item: Any) -> operations.Operation:
    if not isinstance(item, dict):
        raise FormError("expected an object")
    plain = dict(item) if "op" in item else _call(item)
    kind = plain["op"]
    if not isinstance(kind, str) or kind.lower() not in KINDS:
        raise FormError(f"{excerpt(repr(kind))} is no operation; choose from {', '.join(KINDS)}")
    plain["op"] = kind.lower()
    for key in ("id", "k"):
        if isinstance(plain.get(key), str) and INTEGER.fullmatch(plain[key].strip()):
            plain[key] = int(plain[key])
    operation = operations.parse(plain)
    if operation is None:
        raise FormError(f"the fields do not fit: expected {_signature(plain['op'])}")
    return operation


def _call(item: dict[str, Any]) -> dict[str, Any]:
    """Return the plain operation that a tool call stands for."""
    inner = item.get("function")
    call = inner if isinstance(inner, dict) else item
    if "name" not in call:
        raise FormError("it names no operation: expected the key 'op' or 'name'")
    arguments = call.get("arguments", call.get("parameters"))
    if isinstance(arguments, str):
        try:
            arguments = _DECODE(arguments)
        except (ValueError, RecursionError) as error:
            raise FormError(f"its arguments are no JSON: {error}") from error
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise FormError("its arguments are no object")
    return {**arguments, "op": call["name"]}


def _signature(kind: str) -> str:
    schema = operations.tool_definitions([kind])[0]["function"]["parameters"]
    fields = [
        f"{name} ({field['type']}{'' if name in schema['required'] else ', optional'})"
        for name, field in schema["properties"].items()
    ]
    return ", ".join(fields)


def _shown(item: Any) -> str:
    try:
        return excerpt(_ENCODE(item))
    except (ValueError, RecursionError):
        return excerpt(str(type(item).__name__))
