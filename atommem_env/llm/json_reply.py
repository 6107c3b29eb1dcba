"""Finding the JSON in a model's reply.

What counts, for every text:

- The first object (or array) that fits what is asked for, alone, in a fenced code block or amid prose, or some
  levels inside another one.
- JSON is read with all allowances of :mod:`atommem_env.protocols.loose_json`; one that is cut short or broken counts
  with what is whole in it.
- Where a text is asked for and an object or a list stands, the one text in it counts.
- Anything else is ``None``; no text raises, and the time is linear in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from atommem_env.protocols.calls import whole_number
from atommem_env.protocols.loose_json import LooseReader, whole_parts
from atommem_env.protocols.thinking import split_thinking

_START = re.compile(
    r"\{(?=\s*(?:[\"'“”‘`}]|[A-Za-z_]\w{0,40}\s*:|\d{1,9}\s*:|//|/\*|#))|\[(?=\s*(?:[\"'“”‘`{\[\]\d-]|//|true|false|null))"
)
_LEVELS = 4
_CHOICE = (
    "text",
    "content",
    "value",
    "fact",
    "question",
    "insight",
    "statement",
    "answer",
    "state",
    "summary",
)
_ITEM = re.compile(r"^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]+(\S[^\n]*?)[ \t]*$", re.MULTILINE)


def read_object(text: str, *keys: str) -> dict[str, Any] | None:
    """Return the first JSON object of ``text`` that has one of ``keys``, or ``None``."""
    for value in _values(text):
        for candidate in _objects(value):
            folded = {str(key).strip().lower(): key for key in candidate}
            found = {key: candidate[folded[key.lower()]] for key in keys if key.lower() in folded}
            if found:
                return {**candidate, **found}
    return None


def read_list(text: str, key: str) -> list[Any] | None:
    """Return the items that ``text`` gives: under ``key``, else of an array that stands alone; or ``None``.

    An object under ``key`` gives its values; a text that is a list of lines with bullets gives these.
    """
    found = read_object(text, key)
    if found is not None:
        return _items(found[key])
    for value in _values(text):
        if isinstance(value, list):
            return value
        if isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), list):
            return list(next(iter(value.values())))
    lines = _ITEM.findall(split_thinking(text)[1])
    return lines or None


def texts(value: Any, *keys: str) -> list[str]:
    """Return the texts of ``value``, stripped, without blank ones: of a text, that; of a list, one of each item."""
    items = _items(value) if isinstance(value, (list, dict)) and not _is_one(value) else [value]
    found = (one_text(item, *keys) for item in items or [])
    return [text for text in found if text]


def one_text(value: Any, *keys: str) -> str:
    """Return the one text that ``value`` is or holds, stripped; ``""`` when there is none, or more than one.

    Args:
        value: a text, a number, an object or a list.
        keys: the keys under which an object is to have it; without them its only text, or one under a usual key.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        found = [text for item in value if (text := one_text(item, *keys))]
        return found[0] if len(found) == 1 else ""
    if not isinstance(value, dict):
        return ""
    for key in (*keys, *_CHOICE):
        if key in value and (text := one_text(value[key])):
            return text
    found = [item.strip() for item in value.values() if isinstance(item, str) and item.strip()]
    return found[0] if len(found) == 1 else ""


def strings(value: Any) -> list[str]:
    """Return the texts of a JSON array, stripped, without blank ones; of a single text, that; else nothing."""
    return texts(value)


def integer(value: Any) -> int | None:
    """Return a whole number, also one written as a text such as ``"3"`` or ``"[3]"``; else ``None``."""
    number = whole_number(value)
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _is_one(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(value.get(key), str) for key in _CHOICE)


def _items(value: Any) -> list[Any] | None:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value] if _is_one(value) else list(value.values())
    if isinstance(value, str):
        lines = _ITEM.findall(value)
        return lines or ([value] if value.strip() else [])
    return [] if value is None else None


def _objects(value: Any, levels: int = _LEVELS) -> Iterator[dict[str, Any]]:
    """Yield the objects of a value, the outer ones first."""
    if isinstance(value, dict):
        yield value
    if levels and isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _objects(item, levels - 1)


def _values(text: str) -> Iterator[Any]:
    """Yield the outermost JSON containers of ``text``, in order; of one that is broken, what is whole."""
    text = split_thinking(text)[1]
    stripped = text.strip()
    if stripped[:1] == '"' == stripped[-1:]:  # a reply that is one str of JSON
        try:
            inner = json.loads(stripped, strict=False)
        except (ValueError, RecursionError):
            inner = None
        if isinstance(inner, str):
            text = inner
    reader = LooseReader(text)
    position = 0
    while (start := _START.search(text, position)) is not None:
        value, position = reader.read(start.start())
        yield whole_parts(value)
