"""Reading rows from a file without holding the file: JSON lists, JSON Lines, gzip and parquet."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO, cast

from atommem_env.data.rows import shorten

_BLOCK = 1 << 20
_MAX_ROW = 1 << 27  # characters; a row is some kilobytes, so what is longer is not a list of rows
_LONGEST_WORD = 16  # no JSON word or escape cut by the buffer's end is longer
_SPACE = " \t\r\n"


class Row(NamedTuple):
    """A row of a file: its value, where it stands (for errors), and how many bytes were read so far."""

    value: Any
    place: str
    bytes_read: int


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a JSON list, of JSON Lines (either may be gzipped) or of a parquet file.

    The form is told by the file's content, whatever its name ends with.

    Raises:
        ValueError: when the file has none of these forms, or breaks off; names the file and the row.
    """
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic == b"PAR1":
            yield from _parquet_rows(path)
            return
        if magic[:2] == b"PK":
            raise ValueError(f"{path.name} is a zip archive; unpack it and give the path of a file in it")
        zipped = magic[:2] == b"\x1f\x8b"
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if zipped else raw
        text = io.TextIOWrapper(stream, encoding="utf-8-sig")
        try:
            yield from _json_rows(text, path.name, raw.tell)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path.name} is not UTF-8 text ({error.reason}); expected JSON rows") from error
        except (EOFError, gzip.BadGzipFile) as error:
            raise ValueError(f"{path.name} is a broken gzip file ({error}); download it again") from error


def _json_rows(text: TextIO, name: str, tell: Callable[[], int]) -> Iterator[Row]:
    head = ""
    while not head.strip():
        block = text.read(_BLOCK)
        if not block:
            raise ValueError(f"{name} is empty; expected a JSON list of rows or one JSON object per line")
        head += block
    first = head.lstrip()[0]
    if first == "[":
        yield from _list_rows(text, head, name, tell)
    elif first == "{":
        yield from _line_rows(text, head, name, tell)
    else:
        raise ValueError(
            f"{name} begins with {shorten(head.lstrip()[:40])}; "
            "expected a JSON list of rows or one JSON object per line"
        )


def _list_rows(text: TextIO, head: str, name: str, tell: Callable[[], int]) -> Iterator[Row]:
    buffer = _Buffer(text, head)
    buffer.skip_space()
    buffer.position += 1
    number = 0
    while number or buffer.peek() != "]":
        try:
            value = buffer.value()
        except ValueError as error:
            raise ValueError(f"{name}: row {number}: not valid JSON ({error})") from error
        yield Row(value, f"row {number}", tell())
        number += 1
        sign = buffer.peek()
        if sign == "]":
            break
        if sign != ",":
            found = shorten(sign) if sign else "the end of the file"
            raise ValueError(f"{name}: after row {number - 1}: found {found}, expected ',' or ']'")
        buffer.position += 1
    buffer.position += 1
    if sign := buffer.peek():  # reading to the very end also has gzip check its sum
        raise ValueError(f"{name}: after the list's end: found {shorten(sign)}, expected the end of the file")


class _Buffer:
    """A sliding window over a text stream, from which JSON values are decoded one by one."""

    def __init__(self, stream: TextIO, text: str) -> None:
        self._stream = stream
        self._text = text
        self._decode = json.JSONDecoder().raw_decode
        self._ended = False
        self.position = 0

    def peek(self) -> str:
        """Return the next character that is no white space, ``""`` at the end."""
        self.skip_space()
        return self._text[self.position : self.position + 1]

    def skip_space(self) -> None:
        """Move to the next character that is no white space."""
        while True:
            text, position = self._text, self.position
            while position < len(text) and text[position] in _SPACE:
                position += 1
            self.position = position
            if position < len(text) or not self._more():
                return

    def value(self) -> Any:
        """Decode the JSON value at the current position and move behind it."""
        self.skip_space()
        while True:
            try:
                value, end = self._decode(self._text, self.position)
            except json.JSONDecodeError as error:
                # Where text is merely cut off, the decoder fails at the end, or in an unclosed string.
                cut = error.pos >= len(self._text) - _LONGEST_WORD or error.msg.startswith("Unterminated")
                if not cut or not self._more():
                    raise ValueError(error.msg) from error
                if len(self._text) - self.position > _MAX_ROW:
                    raise ValueError(f"longer than {_MAX_ROW >> 20} million characters") from error
                continue
            except RecursionError as error:
                raise ValueError("nested too deeply") from error
            if end >= len(self._text) - 2 and self._more():
                continue  # a number cut at "1.", "1e" or "1e+" reads as 1: look at what follows
            self.position = end
            return value

    def _more(self) -> bool:
        """Read on, as much again as the window holds; return whether there was anything to read."""
        if self._ended:
            return False
        rest = self._text[self.position :]
        block = self._stream.read(max(_BLOCK, len(rest)))
        if not block:
            self._ended = True
            return False
        self._text = rest + block
        self.position = 0
        return True


def _line_rows(text: TextIO, head: str, name: str, tell: Callable[[], int]) -> Iterator[Row]:
    number = 0
    for line_number, line in enumerate(_lines(text, head), start=1):
        if not line.strip():
            continue
        place = f"row {number} (line {line_number})"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{name}: {place}: not valid JSON ({error}); expected one JSON object per line"
            ) from error
        yield Row(value, place, tell())
        number += 1


def _lines(text: TextIO, head: str) -> Iterator[str]:
    *whole, rest = head.split("\n")
    yield from whole
    for line in text:
        yield rest + line
        rest = ""
    if rest:
        yield rest


def _parquet_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a parquet file as the ``datasets`` library reads them, one row group at a time."""
    import datasets

    stream = datasets.load_dataset("parquet", data_files=[str(path)], split="train", streaming=True)
    for number, value in enumerate(stream):
        yield Row(value, f"row {number}", 0)
