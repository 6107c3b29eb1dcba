"""How rows are read from files: forms told by content, borders of the buffer, broken files."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atommem_env.data import reading
from atommem_env.data.reading import read_rows

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def values(path: Path) -> list[Any]:
    return [row.value for row in read_rows(path)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(JSON, max_size=6),
    block=st.integers(1, 40),
    indent=st.sampled_from([None, 0, 3]),
    ascii_only=st.booleans(),
)
def test_a_json_list_reads_the_same_wherever_the_buffer_ends(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[Any],
    block: int,
    indent: int,
    ascii_only: bool,
) -> None:
    monkeypatch.setattr(reading, "_BLOCK", block)
    path = tmp_path / "rows.json"
    text = json.dumps(rows, indent=indent, ensure_ascii=ascii_only)
    path.write_bytes(text.encode("utf-8", "surrogatepass" if ascii_only else "replace"))
    assert values(path) == json.loads(path.read_text("utf-8"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=3), min_size=1, max_size=6),
    block=st.integers(1, 40),
)
def test_json_lines_read_the_same_wherever_the_buffer_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[Any], block: int
) -> None:
    monkeypatch.setattr(reading, "_BLOCK", block)
    path = tmp_path / "rows.jsonl"
    path.write_text("\n\n".join(json.dumps(row) for row in rows) + "\n")
    assert values(path) == rows


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("form", ["list", "lines"])
def test_the_form_is_told_by_content_not_by_name(tmp_path: Path, zipped: bool, form: str) -> None:
    rows = [{"n": 1}, {"n": 2}]
    text = json.dumps(rows) if form == "list" else "\ufeff\r\n" + "\r\n".join(map(json.dumps, rows))
    path = tmp_path / "rows.txt"
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    assert values(path) == rows


def test_rows_are_numbered_and_lines_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"n": 1}\n\n{"n": 2}\n')
    assert [row.place for row in read_rows(path)] == ["row 0 (line 1)", "row 1 (line 3)"]
    path.write_text('[{"n": 1}, {"n": 2}]')
    assert [row.place for row in read_rows(path)] == ["row 0", "row 1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.json is empty"),
        (b" \n ", "x.json is empty"),
        (
            b"version https://git-lfs.github.com/spec/v1",
            "begins with 'version https.*expected a JSON list.*git lfs pull",
        ),
        (b"\n<!DOCTYPE html>\n<html>", "expected a JSON list of rows.*a web page: download the file"),
        ('[{"a": 1}]'.encode("utf-16"), "not UTF-8 text.*save it as UTF-8"),
        (b"PK\x03\x04rest", "zip archive; unpack it"),
        (b'[{"a": 1}, {"a": 2', "row 1: not valid JSON"),
        (b'[{"a": 1}, {"a": "open', "row 1: not valid JSON"),
        (b'[{"a": 1}, {"a" 2}, {"a": 3}]' + b" " * 100, "row 1: not valid JSON"),
        (b'[{"a": 1} {"a": 2}]', "after row 0: found '{'"),
        (b'[{"a": 1}', "after row 0: found the end of the file"),
        (b'[{"a": 1}]\n[{"a": 2}]', r"after the list's end: found '\['"),
        (b'{"a": 1}\n{"a": \n', r"row 1 \(line 2\): not valid JSON"),
        (b'{\n "a": 1\n}', r"row 0 \(line 1\): not valid JSON.*one JSON object per line"),
        (b'[{"a": "\xff\xfe"}]', "not UTF-8"),
        (b"[" + b"[" * 200_000, "row 0: not valid JSON"),
    ],
)
def test_a_broken_file_is_a_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        values(path)


@pytest.mark.parametrize("cut", [30, -6])
def test_a_gzip_file_that_breaks_off_is_a_clear_error(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x.json.gz"
    path.write_bytes(gzip.compress(json.dumps([{"n": n} for n in range(500)]).encode())[:cut])
    with pytest.raises(ValueError, match=r"x.json.gz is a broken gzip file"):
        values(path)


def test_parquet_rows_come_in_column_form(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"id": str(n), "context": {"title": ["A"], "sentences": [["x", "y"]]}} for n in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    assert values(tmp_path / "rows.parquet") == rows


def test_a_row_and_a_line_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MAX_ROW", 1000)
    monkeypatch.setattr(reading, "_BLOCK", 100)
    for name, text in (
        ("a.json", '[{"a": "' + "x" * 5000 + '"}]'),
        ("a.jsonl", '{"a": 1}\n{"a": "' + "x" * 5000),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match="longer than"):
            list(read_rows(tmp_path / name))


def test_what_inflates_beyond_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_INFLATED", 1 << 20)
    monkeypatch.setattr(reading, "_MAX_ROW", 1 << 23)
    bomb = tmp_path / "bomb.json.gz"
    bomb.write_bytes(gzip.compress(b'[{"a": "' + b"x" * (1 << 22) + b'"}]'))
    with pytest.raises(ValueError, match="over a hundred times"):
        list(read_rows(bomb))


def test_a_pipe_is_no_data_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.json")
    with pytest.raises(ValueError, match="not a regular file"):
        list(read_rows(tmp_path / "rows.json"))


@pytest.mark.parametrize("place", [4, 30, -8])
def test_a_broken_parquet_file_is_named(tmp_path: Path, place: int) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": ["x" * 50] * 100}), path)
    content = bytearray(path.read_bytes())
    content[place] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"rows\.parquet"):
        list(read_rows(path))
