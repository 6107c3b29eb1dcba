"""Finding the JSON in a model's reply.

What counts, for every text:

- The first object (or array) that fits what is asked for, alone, in a fenced code block or amid prose, or one
  level inside another object.
- Line breaks within a string, and a comma after the last element, are accepted. A JSON text that is cut short
  counts up to its last whole element.
- Anything else is ``None``; no text raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_DECODER: Final = json.JSONDecoder(strict=False)
_MOST_STARTS: Final = 64
_START = re.compile(r"[\[{]")
_MARK = re.compile(r'"(?:\\.|[^"\\])*"|[\[\]{},]', re.DOTALL)
_CLOSING: Final = {"[": "]", "{": "}"}


def read_object(text: str, *keys: str) -> dict[str, Any] | None:
    """Return the first JSON object of ``text`` that has one of ``keys``, or ``None``."""
    for value in _values(text):
        for candidate in (value, *(value.values() if isinstance(value, dict) else ())):
            if isinstance(candidate, dict) and not candidate.keys().isdisjoint(keys):
                return candidate
    return None


def read_list(text: str, key: str) -> list[Any] | None:
    """Return the JSON array that ``text`` gives: one under ``key``, else one that stands alone; or ``None``."""
    found = read_object(text, key)
    if found is not None:
        return found[key] if isinstance(found[key], list) else None
    return next((value for value in _values(text) if isinstance(value, list)), None)


def strings(value: Any) -> list[str]:
    """Return the texts of a JSON array, stripped, without blank ones; of a single text, that; else nothing."""
    items = value if isinstance(value, list) else [value]
    return [item.strip() for item in items if isinstance(item, str) and item.strip()]


def integer(value: Any) -> int | None:
    """Return a whole number, also one written as a text such as ``"3"`` or ``"[3]"``; else ``None``."""
    if isinstance(value, str) and re.fullmatch(r"\s*\[?\s*-?[0-9]{1,9}\s*\]?\s*", value, re.ASCII):
        return int(value.strip(" \t\r\n[]"))
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _values(text: str) -> Iterator[Any]:
    """Yield the outermost JSON values of ``text``: first those that are whole, then those that can be mended."""
    yield from _decoded(text, text)
    for count, start in enumerate(_START.finditer(text)):
        mended = _mended(text, start.start()) if count < _MOST_STARTS else ""
        yield from _decoded(mended, mended[:1])


def _decoded(text: str, starts: str) -> Iterator[Any]:
    """Yield the JSON values that begin at a bracket of ``starts``, which ``text`` begins with."""
    end = tried = 0
    for start in _START.finditer(starts):
        if start.start() < end or tried == _MOST_STARTS:
            continue
        tried += 1
        try:
            value, end = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        yield value


def _mended(text: str, start: int) -> str:
    """Return the JSON text that begins at ``start`` without trailing commas, closed if it is not."""
    kept: list[str] = []
    stack: list[str] = []
    comma: int | None = None  # where in `kept` the last mark stands, if it is a comma
    whole: tuple[int, str] | None = (
        None  # how much of `kept` is whole before the last comma, and what closes it
    )
    position = start
    for mark in _MARK.finditer(text, start):
        sign = mark.group()
        between = text[position : mark.start()]
        position = mark.end()
        if comma is not None and sign in "]}" and not between.strip():
            kept[comma] = ""
        comma = None
        kept += [between, sign]
        if sign in _CLOSING:
            stack.append(_CLOSING[sign])
        elif sign == ",":
            comma = len(kept) - 1
            whole = comma, "".join(reversed(stack))
        elif sign in "]}":
            if not stack or stack.pop() != sign:
                return ""
            if not stack:
                return "".join(kept)
    return "" if whole is None else "".join(kept[: whole[0]]) + whole[1]
