"""The converted form of a dataset on disk: memory-mapped Arrow tables, read without copying.

A folder holds ``paragraphs.arrow`` (title, text, and the default tokenizer's token offsets of both; of a history's
session its turns as one text, where each ends, and their ids), ``questions.arrow`` and ``histories.arrow`` (MessagePack
records), ``title_hash.i8``, ``text_hash.i8`` (int64 numbers, nothing else) and
``meta.json``. Tables are Arrow IPC files of record batches with a fixed number of rows, so that a row's batch is
known from its number.
"""

from __future__ import annotations

import os
import stat
import zlib
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from atommem_env.data.records import Document, Question
from atommem_env.text import digest

SHIFT: Final = 12
"""A batch has 2 to this power of rows: questions, and paragraphs of a few hundred characters."""

SESSION_SHIFT: Final = 6
"""The same for sessions, which may be as long as a book."""

T = TypeVar("T")

Starts = npt.NDArray[np.int32]
_NONE: Final = np.empty(0, np.int32)

PARAGRAPHS: Final = "paragraphs.arrow"
QUESTIONS: Final = "questions.arrow"
HISTORIES: Final = "histories.arrow"
TITLE_HASH: Final = "title_hash.i8"
TEXT_HASH: Final = "text_hash.i8"
META: Final = "meta.json"


class Meta(msgspec.Struct, frozen=True):
    """What ``meta.json`` says of a converted dataset.

    Attributes:
        name: the benchmark's name.
        hash: the hash of questions and paragraphs, in hexadecimal digits.
        num_questions: the number of questions.
        num_paragraphs: the number of distinct paragraphs.
        dropped_facts: how many supporting facts named a sentence that does not exist.
        questions_without_gold: how many questions have no evidence.
        sizes: the size in bytes of each file next to this one, to tell a damaged folder.
        sums: the CRC-32 of each.
        num_histories: the number of histories.
        num_unanswerable: how many questions the data does not answer.
        shift: a batch of paragraphs has 2 to this power of rows.
        check: the CRC-32 of all the above.
    """

    name: str
    hash: str
    num_questions: int
    num_paragraphs: int
    dropped_facts: int
    questions_without_gold: int
    sizes: dict[str, int]
    sums: dict[str, int]
    num_histories: int = 0
    num_unanswerable: int = 0
    shift: int = SHIFT
    check: int = 0


class HistoryRow(msgspec.Struct, frozen=True, array_like=True):
    """A history of a dataset: which rows of the paragraph table are its sessions, and which questions are its own.

    Attributes:
        id: its id in the benchmark.
        first_question: the row of its first question; the others follow.
        num_questions: how many questions it has.
        rows: the row of each session, in the order of time; a session that occurs twice has one row.
        dates: the date of each session in the benchmark's own words, or ``""``.
        nows: the same in ISO 8601.
        chars: the number of characters of each session's turns.
        tokens: the number of tokens of them, counted by the default tokenizer.
        shared: names what several histories have in common; ``""``: nothing.
    """

    id: str
    first_question: int
    num_questions: int
    rows: list[int]
    dates: list[str]
    nows: list[str]
    chars: list[int]
    tokens: list[int]
    shared: str = ""


def text_key(text: str) -> int:
    """Return the 64-bit key of an exact text: what ``title_hash`` and ``text_hash`` hold."""
    return int.from_bytes(digest(text)[:8], "little", signed=True)


# --- writing ----------------------------------------------------------------------------------------


class _BatchWriter:
    """Writes rows to an Arrow IPC file in record batches of 2 ** ``shift`` rows."""

    def __init__(self, path: Path, names: Sequence[str], shift: int) -> None:
        import pyarrow as pa

        offsets = pa.large_list(pa.int32())
        types = dict.fromkeys(("title", "text", "record", "ids"), pa.large_binary())
        self._mask = (1 << shift) - 1
        self._schema = pa.schema([(name, types.get(name, offsets)) for name in names])
        self._columns: list[list[Any]] = [[] for _ in names]
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, self._schema)
        self.rows = 0

    def append(self, *values: Any) -> None:
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        self.rows += 1
        if not self.rows & self._mask:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        arrays = [
            _array(field.type, column) for field, column in zip(self._schema, self._columns, strict=True)
        ]
        for column in self._columns:
            column.clear()
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        if self.rows & self._mask:
            self._flush()
        self._writer.close()
        self.release()

    def release(self) -> None:
        """Close the file, whether it is finished or not."""
        self._sink.close()


def _array(kind: Any, column: list[Any]) -> Any:
    """Return an Arrow array of bytes or of int32 arrays, made from buffers: ``pa.array`` would import pandas."""
    import pyarrow as pa

    offsets = pa.py_buffer(np.cumsum([0, *map(len, column)], dtype=np.int64))
    if pa.types.is_large_binary(kind):
        return pa.Array.from_buffers(kind, len(column), [None, offsets, pa.py_buffer(b"".join(column))])
    numbers = np.concatenate(column).astype(np.int32, copy=False)
    values = pa.Array.from_buffers(pa.int32(), len(numbers), [None, pa.py_buffer(numbers)])
    return pa.Array.from_buffers(kind, len(column), [None, offsets], children=[values])


class TableWriter:
    """Writes a converted dataset into ``folder``; a context manager that closes its files.

    Memory grows by about 150 bytes a paragraph, whatever its length.

    Args:
        folder: where the files go.
        shift: a batch of paragraphs has 2 to this power of rows.
    """

    def __init__(self, folder: Path, shift: int = SHIFT) -> None:
        self._folder = folder
        columns = ("title", "text", "title_starts", "text_starts", "turn_ends", "ids")
        self._paragraphs = _BatchWriter(folder / PARAGRAPHS, columns, shift)
        self._questions = _BatchWriter(folder / QUESTIONS, ("record",), SHIFT)
        self._histories = _BatchWriter(folder / HISTORIES, ("record",), SESSION_SHIFT)
        self._title_keys = array("q")
        self._text_keys = array("q")

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._paragraphs.release()
        self._questions.release()
        self._histories.release()

    @property
    def num_paragraphs(self) -> int:
        """The number of paragraphs written so far, which is the next one's row."""
        return self._paragraphs.rows

    @property
    def num_questions(self) -> int:
        """The number of questions written so far, which is the next one's row."""
        return self._questions.rows

    @property
    def num_histories(self) -> int:
        """The number of histories written so far."""
        return self._histories.rows

    def add_paragraph(
        self,
        document: Document,
        title_starts: Starts,
        text_starts: Starts,
        turn_ends: Starts = _NONE,
        ids: Sequence[str] = (),
    ) -> int:
        """Write a paragraph, or the turns of a session, and return its row.

        Args:
            document: its title and text.
            title_starts: where the tokens of the title start.
            text_starts: where the tokens of the text start.
            turn_ends: where each turn ends in the text.
            ids: the id of each turn; empty where none has one.
        """
        title, text = document
        known = msgspec.msgpack.encode(ids) if any(ids) else b""
        self._paragraphs.append(title.encode(), text.encode(), title_starts, text_starts, turn_ends, known)
        self._title_keys.append(text_key(title))
        self._text_keys.append(text_key(text))
        return self._paragraphs.rows - 1

    def add_question(self, question: Question) -> None:
        """Write a question."""
        self._questions.append(msgspec.msgpack.encode(question))

    def add_history(self, history: HistoryRow) -> None:
        """Write a history, whose sessions and questions have been written."""
        self._histories.append(msgspec.msgpack.encode(history))

    def finish(self) -> dict[str, int]:
        """Write what is left and return the size in bytes of each file."""
        self._paragraphs.close()
        self._questions.close()
        self._histories.close()
        for name, keys in ((TITLE_HASH, self._title_keys), (TEXT_HASH, self._text_keys)):
            (self._folder / name).write_bytes(keys.tobytes())
        return {
            name: (self._folder / name).stat().st_size
            for name in (PARAGRAPHS, QUESTIONS, HISTORIES, TITLE_HASH, TEXT_HASH)
        }


def checksums(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """Return the CRC-32 of each file, read once from end to end: about a second for each gigabyte."""
    return {name: _checksum(folder / name) for name in names}


def _checksum(path: Path) -> int:
    sum = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sum = zlib.crc32(block, sum)
    return sum


def write_meta(folder: Path, meta: Meta) -> None:
    """Write ``meta.json``, the last file of a conversion."""
    meta = msgspec.structs.replace(meta, check=_check_of(meta))
    (folder / META).write_bytes(msgspec.json.format(msgspec.json.encode(meta), indent=2))


def _check_of(meta: Meta) -> int:
    return zlib.crc32(msgspec.json.encode(msgspec.structs.replace(meta, check=0)))


def read_meta(folder: Path) -> Meta | None:
    """Return the ``meta.json`` of a converted dataset, or ``None`` when the folder is absent or damaged.

    Of the other files it looks at the sizes alone, see :func:`verified_meta`.
    """
    found = _meta_and_states(folder)
    return None if found is None else found[0]


def _meta_and_states(folder: Path) -> tuple[Meta, list[os.stat_result]] | None:
    """Return the ``meta.json`` of a folder that is whole by its sizes, and the states of the files it names."""
    place = os.fspath(folder)
    try:
        if stat.S_ISLNK(os.lstat(place).st_mode) or not stat.S_ISREG(os.lstat(f"{place}/{META}").st_mode):
            return None
        with open(f"{place}/{META}", "rb") as file:
            meta = msgspec.json.decode(file.read(), type=Meta)
        if meta.check != _check_of(meta) or set(meta.sizes) != set(meta.sums):
            return None
        states = [os.lstat(f"{place}/{name}") for name in meta.sums]
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None
    sizes = (meta.sizes[name] for name in meta.sums)
    whole = all(
        stat.S_ISREG(state.st_mode) and state.st_size == size
        for state, size in zip(states, sizes, strict=True)
    )
    return (meta, states) if whole else None


_verified: set[tuple[object, ...]] = set()


def verified_meta(folder: Path) -> Meta | None:
    """Return the ``meta.json`` of a folder whose files have the checksums of their conversion, else ``None``.

    The files are read for it once per process and folder.
    """
    found = _meta_and_states(folder)
    if found is None:
        return None
    meta, states = found
    place = os.path.realpath(folder)
    known = (place, meta.check, *((state.st_mtime_ns, state.st_ino) for state in states))
    if known not in _verified:
        try:
            if checksums(folder, meta.sums) != meta.sums:
                return None
        except OSError:
            return None
        _verified.add(known)
    return meta


# --- reading ----------------------------------------------------------------------------------------


def _binary_views(column: Any) -> tuple[memoryview, memoryview]:
    """Return the offsets (int64) and the bytes of a large binary column."""
    _, offsets, data = column.buffers()
    return memoryview(offsets).cast("q"), memoryview(data if data is not None else b"")


def _list_views(column: Any) -> tuple[memoryview, Starts]:
    """Return the offsets (int64) and the values (int32) of a large list column."""
    buffers = column.buffers()
    data = buffers[3]
    values = np.frombuffer(data if data is not None else b"", dtype=np.int32)
    return memoryview(buffers[1]).cast("q"), values


def _batches(path: Path) -> Iterable[Any]:
    import pyarrow as pa

    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return [reader.get_batch(number) for number in range(reader.num_record_batches)]


def _hashes(path: Path) -> npt.NDArray[np.int64]:
    """Map a file of int64 numbers.

    Not an ``.npy`` file: ``numpy.load`` reads its header with Python's own parser, which on CPython 3.11 raises
    SystemError now and then while another thread parses, too, and a run over a served model opens its
    environments in threads.
    """
    if not path.stat().st_size:
        return np.empty(0, np.int64)
    return np.asarray(np.memmap(path, np.int64, mode="r"))


class ParagraphTable:
    """The paragraphs of a converted dataset: views on the mapped file, sliced at each access."""

    def __init__(self, folder: Path, shift: int) -> None:
        batches = _batches(folder / PARAGRAPHS)
        self._shift, self._mask = shift, (1 << shift) - 1
        self._texts = [
            (*_binary_views(batch.column(0)), *_binary_views(batch.column(1))) for batch in batches
        ]
        self._starts = [(*_list_views(batch.column(2)), *_list_views(batch.column(3))) for batch in batches]
        self._turns = [(*_list_views(batch.column(4)), *_binary_views(batch.column(5))) for batch in batches]
        self.title_hash: npt.NDArray[np.int64] = _hashes(folder / TITLE_HASH)
        self.text_hash: npt.NDArray[np.int64] = _hashes(folder / TEXT_HASH)
        self.num_rows = len(self.title_hash)

    def documents(self, rows: Iterable[int]) -> list[Document]:
        """Return the paragraphs of ``rows``, which have to be in range."""
        views, shift, mask = self._texts, self._shift, self._mask
        documents = []
        for row in rows:
            title_ends, titles, text_ends, texts = views[row >> shift]
            row &= mask
            documents.append(
                Document(
                    str(titles[title_ends[row] : title_ends[row + 1]], "utf-8"),
                    str(texts[text_ends[row] : text_ends[row + 1]], "utf-8"),
                )
            )
        return documents

    def token_starts(self, row: int) -> tuple[Starts, Starts]:
        """Return the token offsets of title and text of ``row``, which has to be in range."""
        title_ends, title_values, text_ends, text_values = self._starts[row >> self._shift]
        row &= self._mask
        return (
            title_values[title_ends[row] : title_ends[row + 1]],
            text_values[text_ends[row] : text_ends[row + 1]],
        )

    def token_counts(self, rows: Iterable[int]) -> list[tuple[int, int]]:
        """Return how many tokens title and text of each of ``rows`` have, which have to be in range."""
        views, shift, mask = self._starts, self._shift, self._mask
        counts = []
        for row in rows:
            title_ends, _, text_ends, _ = views[row >> shift]
            row &= mask
            counts.append((title_ends[row + 1] - title_ends[row], text_ends[row + 1] - text_ends[row]))
        return counts

    def turn_ends(self, row: int) -> Starts:
        """Return where each turn of the session ``row`` ends in its text; ``row`` has to be in range."""
        ends, values, _, _ = self._turns[row >> self._shift]
        row &= self._mask
        return values[ends[row] : ends[row + 1]]

    def turn_ids(self, row: int) -> list[str]:
        """Return the ids of the turns of the session ``row``, which has to be in range; empty without ids."""
        _, _, ends, data = self._turns[row >> self._shift]
        row &= self._mask
        start, end = ends[row], ends[row + 1]
        return msgspec.msgpack.decode(data[start:end], type=list[str]) if end > start else []


class RecordTable(Generic[T]):
    """Records of a converted dataset, one a row, decoded at each access.

    Args:
        path: the file.
        kind: the type of the records.
        shift: a batch has 2 to this power of rows.
    """

    def __init__(self, path: Path, kind: type[T], shift: int) -> None:
        self._views = [_binary_views(batch.column(0)) for batch in _batches(path)]
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._shift, self._mask = shift, (1 << shift) - 1

    def __getitem__(self, row: int) -> T:
        """Return the record of ``row``, which has to be in range."""
        ends, data = self._views[row >> self._shift]
        row &= self._mask
        return self._decode(data[ends[row] : ends[row + 1]])
