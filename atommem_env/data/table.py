"""The converted form of a dataset on disk: memory-mapped Arrow tables, read without copying.

A folder holds ``paragraphs.arrow`` (title, text, and the default tokenizer's token offsets of both),
``questions.arrow`` (MessagePack records), ``title_hash.i8``, ``text_hash.i8`` (int64 numbers, nothing else) and
``meta.json``. Tables are Arrow IPC files of record batches with a fixed number of rows, so that a row's batch is
known from its number.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from atommem_env.data.records import Document, Question
from atommem_env.text import digest

_SHIFT: Final = 12
_BATCH: Final = 1 << _SHIFT
_MASK: Final = _BATCH - 1

Starts = npt.NDArray[np.int32]

PARAGRAPHS: Final = "paragraphs.arrow"
QUESTIONS: Final = "questions.arrow"
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
        sizes: the size in bytes of each file beside this one, to tell a damaged folder.
    """

    name: str
    hash: str
    num_questions: int
    num_paragraphs: int
    dropped_facts: int
    questions_without_gold: int
    sizes: dict[str, int]


def text_key(text: str) -> int:
    """Return the 64-bit key of an exact text: what ``title_hash`` and ``text_hash`` hold."""
    return int.from_bytes(digest(text)[:8], "little", signed=True)


# --- writing ----------------------------------------------------------------------------------------


class _BatchWriter:
    """Writes rows to an Arrow IPC file in record batches of ``_BATCH`` rows."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        import pyarrow as pa

        offsets = pa.large_list(pa.int32())
        types = {"title": pa.large_binary(), "text": pa.large_binary(), "record": pa.large_binary()}
        self._schema = pa.schema([(name, types.get(name, offsets)) for name in names])
        self._columns: list[list[Any]] = [[] for _ in names]
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, self._schema)
        self.rows = 0

    def append(self, *values: Any) -> None:
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        self.rows += 1
        if not self.rows & _MASK:
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
        if self.rows & _MASK:
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
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paragraphs = _BatchWriter(folder / PARAGRAPHS, ("title", "text", "title_starts", "text_starts"))
        self._questions = _BatchWriter(folder / QUESTIONS, ("record",))
        self._title_keys = array("q")
        self._text_keys = array("q")

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._paragraphs.release()
        self._questions.release()

    @property
    def num_paragraphs(self) -> int:
        """The number of paragraphs written so far, which is the next one's row."""
        return self._paragraphs.rows

    @property
    def num_questions(self) -> int:
        """The number of questions written so far, which is the next one's row."""
        return self._questions.rows

    def add_paragraph(self, document: Document, title_starts: Starts, text_starts: Starts) -> int:
        """Write a paragraph and return its row."""
        title, text = document
        self._paragraphs.append(title.encode(), text.encode(), title_starts, text_starts)
        self._title_keys.append(text_key(title))
        self._text_keys.append(text_key(text))
        return self._paragraphs.rows - 1

    def add_question(self, question: Question) -> None:
        """Write a question."""
        self._questions.append(msgspec.msgpack.encode(question))

    def finish(self) -> dict[str, int]:
        """Write what is left and return the size in bytes of each file."""
        self._paragraphs.close()
        self._questions.close()
        for name, keys in ((TITLE_HASH, self._title_keys), (TEXT_HASH, self._text_keys)):
            (self._folder / name).write_bytes(keys.tobytes())
        return {
            name: (self._folder / name).stat().st_size
            for name in (PARAGRAPHS, QUESTIONS, TITLE_HASH, TEXT_HASH)
        }


def write_meta(folder: Path, meta: Meta) -> None:
    """Write ``meta.json``, the last file of a conversion."""
    (folder / META).write_bytes(msgspec.json.format(msgspec.json.encode(meta), indent=2))


def read_meta(folder: Path) -> Meta | None:
    """Return the ``meta.json`` of a converted dataset, or ``None`` when the folder is absent or damaged."""
    try:
        meta = msgspec.json.decode((folder / META).read_bytes(), type=Meta)
        whole = all((folder / name).stat().st_size == size for name, size in meta.sizes.items())
    except (OSError, msgspec.DecodeError):
        return None
    return meta if whole else None


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

    def __init__(self, folder: Path) -> None:
        batches = _batches(folder / PARAGRAPHS)
        self._texts = [
            (*_binary_views(batch.column(0)), *_binary_views(batch.column(1))) for batch in batches
        ]
        self._starts = [(*_list_views(batch.column(2)), *_list_views(batch.column(3))) for batch in batches]
        self.title_hash: npt.NDArray[np.int64] = _hashes(folder / TITLE_HASH)
        self.text_hash: npt.NDArray[np.int64] = _hashes(folder / TEXT_HASH)
        self.num_rows = len(self.title_hash)

    def document(self, row: int) -> Document:
        """Return the paragraph of ``row``, which has to be in range."""
        title_ends, titles, text_ends, texts = self._texts[row >> _SHIFT]
        row &= _MASK
        return Document(
            str(titles[title_ends[row] : title_ends[row + 1]], "utf-8"),
            str(texts[text_ends[row] : text_ends[row + 1]], "utf-8"),
        )

    def token_starts(self, row: int) -> tuple[Starts, Starts]:
        """Return the token offsets of title and text of ``row``, which has to be in range."""
        title_ends, title_values, text_ends, text_values = self._starts[row >> _SHIFT]
        row &= _MASK
        return (
            title_values[title_ends[row] : title_ends[row + 1]],
            text_values[text_ends[row] : text_ends[row + 1]],
        )

    def token_counts(self, row: int) -> tuple[int, int]:
        """Return how many tokens title and text of ``row`` have, which has to be in range."""
        title_ends, _, text_ends, _ = self._starts[row >> _SHIFT]
        row &= _MASK
        return title_ends[row + 1] - title_ends[row], text_ends[row + 1] - text_ends[row]


class QuestionTable:
    """The questions of a converted dataset, decoded at each access."""

    def __init__(self, folder: Path) -> None:
        self._views = [_binary_views(batch.column(0)) for batch in _batches(folder / QUESTIONS)]
        self._decode = msgspec.msgpack.Decoder(Question).decode

    def question(self, row: int) -> Question:
        """Return the question of ``row``, which has to be in range."""
        ends, data = self._views[row >> _SHIFT]
        row &= _MASK
        return self._decode(data[ends[row] : ends[row + 1]])
