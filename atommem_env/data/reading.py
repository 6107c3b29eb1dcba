"""Reading rows from a file: JSON lists, JSON Lines, gzip and parquet without holding it, and JSON objects of rows."""

from __future__ import annotations

import codecs
import gzip
import io
import itertools
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TextIO, cast

from atommem_env.data.rows import shorten

_BLOCK = 1 << 20
_MAX_ROW = 1 << 26  # characters; the longest row of a benchmark, a chat of ten million tokens, is shorter
_MOST_INFLATED = 1 << 30  # bytes that any gzip file may hold; a larger one may hold _RATIO times its own size
_RATIO = 100  # JSON is pressed to a twentieth or so
_MAX_GROUP = 1 << 32  # bytes of a row group of a parquet file
_LONGEST_WORD = 16  # no JSON word or escape cut by the buffer's end is longer
_SPACE = " \t\r\n"

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""What files call splits."""


class Row(NamedTuple):
    """A row of a file: its value, where it stands (for errors), and how many bytes were read so far."""

    value: Any
    place: str
    bytes_read: int


def read_rows(path: Path, split: str = "validation") -> Iterator[Row]:
    """Yield the rows of a JSON list, of JSON Lines, of one JSON object (all may be gzipped) or of a parquet file.

    The form is told by the file's content, whatever its name ends with. An object holds rows as
    ``{"data": [...]}``, ``{"train": [...], "dev": [...]}``, ``{id: row}`` or ``{column: [...]}``; an id becomes
    the ``id`` of a row without one.

    Args:
        path: the file.
        split: whose rows are taken from an object that holds several splits.

    Raises:
        ValueError: when the file has none of these forms, or breaks off; names the file and the row.
    """
    if not path.is_file():
        raise ValueError(f"{path} is not a regular file; expected JSON rows or parquet")
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic == b"PAR1":
            yield from _parquet_rows(path)
            return
        if magic[:2] == b"PK":
            raise ValueError(f"{path.name} is a zip archive; unpack it and give the path of a file in it")
        zipped = magic[:2] == b"\x1f\x8b"
        stream = cast(BinaryIO, _Inflated(raw, path)) if zipped else raw
        text = io.TextIOWrapper(stream, encoding="utf-8-sig")
        try:
            yield from _json_rows(text, path.name, raw.tell, split)
        except UnicodeDecodeError as error:
            mend = ": save it as UTF-8" if magic[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ""
            raise ValueError(
                f"{path.name} is not UTF-8 text ({error.reason}); expected JSON rows{mend}"
            ) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path.name} is a broken gzip file ({error}); download it again") from error


_NO_ROWS: Final = {
    "version https://git-lfs": ". It is a pointer of Git LFS in the data's place: fetch the data with `git lfs pull`",
    "<!doctype html": ". It is a web page: download the file that it shows (on GitHub and the hub: the raw one)",
    "<html": ". It is a web page: download the file that it shows (on GitHub and the hub: the raw one)",
}
"""What files begin with that came in place of the data, and the mend."""


class _Inflated(gzip.GzipFile):
    """A gzip file that ends in an error where it holds far more than data can be pressed to."""

    def __init__(self, raw: BinaryIO, path: Path) -> None:
        super().__init__(fileobj=raw)
        self._left = max(_MOST_INFLATED, _RATIO * path.stat().st_size)

    def read1(self, size: int = -1) -> bytes:
        return self._counted(super().read1(size))

    def read(self, size: int | None = -1) -> bytes:
        return self._counted(super().read(size))

    def _counted(self, content: bytes) -> bytes:
        self._left -= len(content)
        if self._left < 0:
            raise ValueError(
                "the gzip file holds over a hundred times its own size; that is not data: unpack it yourself"
            )
        return content


def _json_rows(text: TextIO, name: str, tell: Callable[[], int], split: str) -> Iterator[Row]:
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
        yield from _object_rows(text, head, name, tell, split)
    else:
        start = head.lstrip()
        mend = next((said for begins, said in _NO_ROWS.items() if start[:60].lower().startswith(begins)), "")
        raise ValueError(
            f"{name} begins with {shorten(start[:40])}; "
            f"expected a JSON list of rows or one JSON object per line{mend}"
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
        """Return the next character that is not white space, ``""`` at the end."""
        self.skip_space()
        return self._text[self.position : self.position + 1]

    def skip_space(self) -> None:
        """Move to the next character that is not white space."""
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


def _object_rows(text: TextIO, head: str, name: str, tell: Callable[[], int], split: str) -> Iterator[Row]:
    """Yield the rows of JSON Lines, or of the one object that the file is."""
    lines = _lines(text, head)
    begun: list[str] = []
    for line in lines:
        begun.append(line)
        if sum(bool(part.strip()) for part in begun) == 2:
            break
    if not begun[-1].lstrip().startswith("{") or sum(bool(part.strip()) for part in begun) == 1:
        # No further row: the object goes on, or this line is all of it.
        begun += lines
        try:
            value = json.loads("\n".join(part.rstrip("\n") for part in begun))
            rows = contained_rows(value, name, split)
        except (json.JSONDecodeError, RecursionError):
            rows = None
        if rows is not None and rows != [value]:
            for number, row in enumerate(rows):
                yield Row(row, f"row {number}", tell())
            return
    yield from _line_rows(itertools.chain(begun, lines), name, tell)


def contained_rows(value: Mapping[str, Any], name: str, split: str) -> list[Any]:
    """Return the rows that ``value``, a file's one object, holds; where it holds none, it is the one row.

    Raises:
        ValueError: when it has splits, and not ``split``; names those it has.
    """
    named = {word: split_of(word) for word, held in value.items() if _is_rows(held) and split_of(word)}
    if named and len(named) == sum(map(_is_rows, value.values())):
        found = [word for word, of in named.items() if of == split]
        if not found:
            raise ValueError(f"{name} has no rows of split={split!r}; it has {', '.join(map(repr, named))}")
        return _as_list(value[found[0]])
    lists = [held for word, held in value.items() if word in _HOLDERS and _is_rows(held)]
    if len(lists) == 1:
        return _as_list(lists[0])
    if isinstance(value.get("question"), list | Mapping):
        return _transposed(value)
    if _is_rows(value):
        return _as_list(value)
    return [value]


ROW_FIELDS = {"question", "input", "context", "paragraphs", "conversation", "haystack_sessions", "sessions"}
"""A row has one of these; ``{id: row}`` is told from a row of objects by them."""

_HOLDERS = ("data", "rows", "records", "examples", "instances", "questions")


def _is_rows(held: object) -> bool:
    values = held if isinstance(held, list) else list(held.values()) if isinstance(held, Mapping) else []
    return bool(values) and all(isinstance(row, Mapping) and bool(ROW_FIELDS & set(row)) for row in values)


def _as_list(held: Any) -> list[Any]:
    if isinstance(held, list):
        return held
    return [row if "id" in row or "_id" in row else {"id": id, **row} for id, row in held.items()]


def _transposed(value: Mapping[str, Any]) -> list[Any]:
    """Return the rows of columns, each a list or ``{index: value}`` as pandas writes them."""
    columns = {
        word: list(held.values()) if isinstance(held, Mapping) else held
        for word, held in value.items()
        if isinstance(held, list | Mapping)
    }
    if len({len(column) for column in columns.values()}) != 1:
        return [value]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def split_of(word: str) -> str | None:
    """Return the split that ``word`` means, or ``None``."""
    return SPLIT_WORDS.get(word.lower())


def _line_rows(lines: Iterator[str], name: str, tell: Callable[[], int]) -> Iterator[Row]:
    number = 0
    for line_number, line in enumerate(lines, start=1):
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
    while line := text.readline(_MAX_ROW + 1):
        if len(rest) + len(line) > _MAX_ROW:
            raise ValueError(f"a line is longer than {_MAX_ROW >> 20} million characters")
        yield rest + line
        rest = ""
    if rest:
        yield rest


def _parquet_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a parquet file as the ``datasets`` library reads them, one row group at a time."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            groups = [
                file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups)
            ]
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path.name} is a broken parquet file ({error}); download it again") from error
    if max(groups, default=0) > _MAX_GROUP:
        raise ValueError(
            f"{path.name}: a row group holds {max(groups):,} bytes; expected at most {_MAX_GROUP:,}"
        )
    stream = datasets.load_dataset("parquet", data_files=[str(path)], split="train", streaming=True)
    number = 0
    try:
        for number, value in enumerate(stream):
            yield Row(value, f"row {number}", 0)
    except (pa.ArrowException, OSError, UnicodeDecodeError, datasets.exceptions.DatasetsError) as error:
        raise ValueError(
            f"{path.name}: broken after row {number} ({error}); download the file again"
        ) from error
