r"""Reads JSON as models write it: one forgiving reader for calls and for replies.

Besides JSON it takes: keys without quotes; single, curly, backtick and triple quotes; quotes within a text that
nobody escaped; comments; commas too many; ``True``, ``None``, ``undefined``; line breaks in texts; values without
quotes; and arguments of a call in parentheses. What is cut short or wrong comes back as :class:`Broken`, with what
is whole in it. Nothing raises, nothing recurses, and the time is linear in what is read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

_SPACE = re.compile(r"(?:[\s\ufeff]+|//[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)|#(?=[\s!])[^\n]*)*")
_QUOTES: Final = {
    '"': '"',
    "'": "'",
    "`": "`",
    "“": '”“"',
    "”": '”"',
    "„": '“”"',
    "‘": "’‘'",
    "’": "’'",
    "«": "»",
}
_OPENERS = "".join(_QUOTES)
_STOPS = {ends: re.compile(rf"[\\{re.escape(ends)}]") for ends in set(_QUOTES.values())}
_KEY = re.compile(r"[A-Za-z_$][\w$.-]{0,63}")
_NAMED = re.compile(r"([A-Za-z_$][\w$]{0,63})\s{0,8}[=:](?!=)")
_NUMBER = re.compile(r"[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?=\s*(?:[,}\]):;]|$|//|/\*|#|\n))")
_WORD = re.compile(r"[^,\n{}\[\]()\"“”]+|[{}\[\]()\"“”]")
_CONSTANTS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "None", "NULL", "undefined", "nil", "NaN"), None),
}
_A_KEY = rf"[{_OPENERS}][\w $.-]{{1,40}}[{_OPENERS}»]\s*[:=]"
_AFTER_VALUE = re.compile(
    rf"\s*(?:\Z|[}}\])]|,\s*(?:\Z|[}}\])]|[{_OPENERS}]|[A-Za-z_$][\w$-]{{0,40}}\s*[:=]|//|/\*|#|[{{\[])"
    rf"|//|/\*|#\s|{_A_KEY})"
)
_AFTER_ITEM = re.compile(
    rf"\s*(?:\Z|[}}\])]|,\s*(?:\Z|[}}\])]|[{_OPENERS}{{\[(]|[-+]?\d|true|false|null|None|True|False|//|/\*|#"
    rf"|[A-Za-z_]\w{{0,40}}\s*=)|//|/\*|#\s|\n\s*[{_OPENERS}{{\[])"
)
_COLON = re.compile(r"[:=]>?")
_NUMBER_KEY = re.compile(r"\d{1,18}(?=\s*:)")
_AFTER_KEY = re.compile(r"\s*[:=]")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U00[01][0-9a-fA-F]{5}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", "\n": ""}
_PAIRS: Final = {"{": "}", "[": "]", "(": ")"}
_MOST_DIGITS: Final = 400
_STRICT = json.JSONDecoder(strict=False)


@dataclass
class Broken:
    """A container that is not closed, or that is not JSON even with all allowances.

    Attributes:
        start: where it begins in the text.
        end: where it ends; ``None``: it is not closed.
        value: what is whole in it, a list or a dict.
        inner: the containers within it that are whole, or broken themselves, in order.
        problem: what is wrong, in words.
        said: how it begins in the text.
    """

    start: int
    end: int | None
    value: Any
    inner: list[Any]
    problem: str
    said: str = ""


@dataclass
class Arguments:
    """What stands in parentheses: values without a name, and with one."""

    positional: list[Any] = field(default_factory=list)
    named: dict[str, Any] = field(default_factory=dict)


class _Frame:
    """A container that is being read."""

    __slots__ = ("awaits", "inner", "key", "opening", "problem", "start", "value")

    def __init__(self, opening: str, start: int) -> None:
        self.opening = opening
        self.start = start
        self.value: Any = {} if opening == "{" else Arguments() if opening == "(" else []
        self.awaits = "key" if opening == "{" else "value"
        self.key: str | None = None
        self.inner: list[Any] = []
        self.problem = ""

    def wrong(self, problem: str) -> None:
        self.problem = self.problem or problem

    def put(self, value: Any) -> None:
        if isinstance(value, (dict, list, Broken)):
            self.inner.append(value)
        if self.opening == "{":
            if self.key is None:
                self.wrong("a value has no key")
            else:
                if self.key in self.value:
                    self.wrong(f"the key {self.key!r:.40} stands twice")
                self.value[self.key] = value
        elif self.opening == "(" and self.key is not None:
            self.value.named[self.key] = value
        elif self.opening == "(":
            self.value.positional.append(value)
        else:
            self.value.append(value)
        self.key = None
        self.awaits = "comma"


class LooseReader:
    """Reads values of one text, one after the other; all reads together are linear in the text.

    Args:
        text: the text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._budget = 2 * len(text) + 1000

    def read(self, start: int) -> tuple[Any, int]:
        """Return the value of the container that begins at ``start``, or a :class:`Broken`, and where it ends."""
        if self._budget > 0 and self.text[start] != "(":
            try:
                return _STRICT.raw_decode(self.text, start)
            except json.JSONDecodeError as error:
                self._budget -= max(1, error.pos - start)
                if "Unterminated" in error.msg:
                    self._budget -= len(self.text) - error.pos
            except (ValueError, RecursionError):
                self._budget = 0
        return self._loosely(start)

    def _loosely(self, start: int) -> tuple[Any, int]:
        text, position = self.text, start
        stack = [_Frame(text[start], start)]
        open_counts = {"{": 0, "[": 0, "(": 0}
        open_counts[text[start]] += 1
        position += 1
        while True:
            space = _SPACE.match(text, position)
            position = position if space is None else space.end()
            if position >= len(text):
                return self._unclosed(stack), position
            frame, sign = stack[-1], text[position]
            if sign in "{[" or (sign == "(" and frame.awaits == "value"):
                if frame.awaits not in ("value",):
                    frame.wrong(f"no {sign} is expected")
                stack.append(_Frame(sign, position))
                open_counts[sign] += 1
                position += 1
            elif sign in "}])":
                opening = {"}": "{", "]": "[", ")": "("}[sign]
                position += 1
                if not open_counts[opening]:
                    frame.wrong(f"{sign} closes nothing")
                    continue
                value = None
                while True:
                    closed = stack.pop()
                    open_counts[closed.opening] -= 1
                    if value is not None:
                        closed.put(value)
                    if closed.opening == opening:
                        break
                    value = self._broken(closed, None, not stack, f"{closed.opening} is not closed")
                value = self._closed(closed, position, not stack)
                if not stack:
                    return value, position
                stack[-1].put(value)
            elif sign in ",;":
                frame.awaits = "key" if frame.opening == "{" else "value"
                frame.key = None
                position += 1
            elif frame.awaits == "colon":
                colon = _COLON.match(text, position)
                if colon is None:
                    frame.wrong("a key has no value")
                    frame.awaits = "key"
                    frame.key = None
                    if sign not in _OPENERS and not _KEY.match(text, position):
                        position += 1
                else:
                    frame.awaits, position = "value", colon.end()
            elif frame.opening == "{" and frame.awaits in ("key", "comma"):
                if frame.awaits == "comma":
                    frame.wrong("a comma is missing")
                position = self._key(frame, position)
            else:
                if frame.awaits == "comma":
                    frame.wrong("a comma is missing")
                named = _NAMED.match(text, position) if frame.opening == "(" else None
                if named is not None and frame.key is None:
                    frame.key, frame.awaits, position = named.group(1), "value", named.end()
                    continue
                position = self._value(frame, position)

    def _closed(self, frame: _Frame, end: int, outermost: bool) -> Any:
        if frame.awaits == "colon":
            frame.wrong("a key has no value")
        if frame.problem:
            return self._broken(frame, end, outermost, f"it is not JSON: {frame.problem}")
        return _plain(frame, outermost)

    def _unclosed(self, stack: list[_Frame]) -> Any:
        value: Any = None
        while stack:
            frame = stack.pop()
            if value is not None and (frame.opening != "{" or frame.key is not None):
                frame.put(value)
            value = self._broken(frame, None, not stack, f"{frame.opening} is not closed")
        return value

    def _broken(self, frame: _Frame, end: int | None, outermost: bool, problem: str) -> Broken:
        said = self.text[frame.start : frame.start + 200 if end is None else min(end, frame.start + 200)]
        return Broken(frame.start, end, _plain(frame, outermost), frame.inner, problem, said)

    def _key(self, frame: _Frame, position: int) -> int:
        text = self.text
        if text[position] in _OPENERS:
            key, end = self._string(position, _AFTER_KEY)
            if end is None:
                frame.wrong("a quote is not closed")
                return len(text)
            frame.key, frame.awaits = key, "colon"
            return end
        word = _KEY.match(text, position)
        if word is None:
            number = _NUMBER_KEY.match(text, position)
            if number is None:
                frame.wrong(f"{text[position]!r} is not a key")
                return position + 1
            word = number
        frame.key, frame.awaits = word.group(), "colon"
        return word.end()

    def _value(self, frame: _Frame, position: int) -> int:
        text = self.text
        if text[position] in _OPENERS:
            after = _AFTER_VALUE if frame.opening == "{" else _AFTER_ITEM
            value, end = self._string(position, after)
            if end is None:
                frame.wrong("a quote is not closed")
                return len(text)
            frame.put(value)
            return end
        number = _NUMBER.match(text, position)
        word = None if number is not None else _WORD.match(text, position)
        bare = number or word
        if bare is not None and bare.end() == len(text):
            frame.wrong("a value is cut")  # what has no quote may have gone on
            return len(text)
        if number is not None:
            frame.put(_number(number.group(), frame))
            return number.end()
        if word is None:
            frame.wrong(f"{text[position]!r} is not a value")
            return position + 1
        said = word.group().strip()
        constant = said.split("//")[0].split("#")[0].strip()
        if constant in _CONSTANTS:
            frame.put(_CONSTANTS[constant])
        else:
            if (frame.opening != "{" and frame.key is None) or (len(said) < 2 and not said.isalnum()):
                frame.wrong(f"{said:.40} stands without quotes")
            frame.put(said)
        return word.end()

    def _string(self, position: int, after: re.Pattern[str]) -> tuple[str, int | None]:
        """Return the text of the string that begins at ``position``, and where it ends; ``None``: nowhere."""
        text, quote = self.text, self.text[position]
        if quote in "\"'" and text.startswith(quote * 3, position):
            end = text.find(quote * 3, position + 3)
            return ("", None) if end < 0 else (_unescaped(text[position + 3 : end]), end + 3)
        ends = _QUOTES[quote]
        stops, at = _STOPS[ends], position + 1
        while True:
            stop = stops.search(text, at)
            if stop is None:
                return text[position + 1 :], None
            if stop.group() == "\\":
                at = stop.end() + 1
                continue
            if after.match(text, stop.end()):
                return _unescaped(text[position + 1 : stop.start()]), stop.end()
            at = stop.end()


def read_loosely(text: str) -> Any:
    """Return the value that ``text`` is: JSON with all allowances, alone but for white space.

    Raises:
        ValueError: when it is none.
    """
    stripped = text.strip()
    if stripped[:1] not in ("{", "["):
        try:
            return _STRICT.decode(stripped)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
    value, end = LooseReader(stripped).read(0)
    if isinstance(value, Broken):
        raise ValueError(value.problem)
    if stripped[end:].strip():
        raise ValueError("something follows it")
    return value


def _plain(frame: _Frame, outermost: bool) -> Any:
    """Return what a frame holds; parentheses within a value are a list, or an object."""
    if outermost or not isinstance(frame.value, Arguments):
        return frame.value
    return frame.value.named or frame.value.positional


def _number(said: str, frame: _Frame) -> Any:
    digits = said.replace("_", "")
    if len(digits) > _MOST_DIGITS:
        frame.wrong("a number has too many digits")
        return None
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        return str(_STRICT.decode(f'"{text}"'))
    except ValueError:
        return _ESCAPE.sub(_meaning, text)


def _meaning(escape: re.Match[str]) -> str:
    sign = escape.group(1)
    if sign[0] in "uUx" and len(sign) > 1:
        return chr(min(int(sign[1:], 16), 0x10FFFF))
    if sign in _QUOTES or sign in "”’»":
        return sign
    return _PLAIN.get(sign, escape.group())


def whole_parts(value: Any, levels: int = 12) -> Any:
    """Return a value in which each broken container is what is whole in it; at most ``levels`` deep."""
    if isinstance(value, Broken):
        value = value.value
    if isinstance(value, Arguments):
        value = value.named or value.positional
    if levels and isinstance(value, dict):
        return {key: whole_parts(item, levels - 1) for key, item in value.items()}
    if levels and isinstance(value, list):
        return [whole_parts(item, levels - 1) for item in value]
    return value
