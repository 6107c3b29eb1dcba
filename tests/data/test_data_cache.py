"""The cache folder: atomic, shared by processes, and forgiving."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from atommem_env.data import cache
from atommem_env.data.cache import cache_folder
from atommem_env.data.dataset import QADataset
from atommem_env.data.sources import open_dataset
from atommem_env.envs.hotpotqa import HOTPOTQA

RECORD: dict[str, Any] = {"question": "Where?", "answer": "there", "documents": [("A", "b")]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache"
    monkeypatch.setenv("ATOMMEM_CACHE", str(path))
    return path


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_is_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATOMMEM_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x/cache")
    assert cache_folder() == Path("/x/cache/atommem_env")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "atommem_env"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == Path.home() / "Library" / "Caches" / "atommem_env"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert cache_folder() == Path("/local/atommem_env")


def test_the_same_data_is_converted_once(folder: Path) -> None:
    QADataset.from_records([RECORD])
    (converted,) = folder.iterdir()
    before = {path.name: path.stat().st_mtime_ns for path in converted.iterdir()}
    QADataset.from_records([RECORD])
    assert {path.name: path.stat().st_mtime_ns for path in converted.iterdir()} == before
    assert len(entries(folder)) == 1


def test_a_changed_file_is_converted_again(folder: Path, tmp_path: Path) -> None:
    row = {"_id": "1", "question": "q?", "answer": "a", "supporting_facts": [], "context": [["A", ["b"]]]}
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row]))
    first = open_dataset(HOTPOTQA, path)
    assert open_dataset(HOTPOTQA, path) == first
    path.write_text(json.dumps([row, row]))
    assert open_dataset(HOTPOTQA, path).num_questions == 2
    assert first.question(0).answers == ("a",), "an open dataset goes on reading what it opened"


@pytest.mark.parametrize("damage", ["truncate", "remove", "meta"])
def test_a_damaged_folder_is_made_again(folder: Path, damage: str) -> None:
    QADataset.from_records([RECORD])
    (converted,) = folder.iterdir()
    if damage == "truncate":
        os.truncate(converted / "paragraphs.arrow", 10)
    elif damage == "remove":
        (converted / "text_hash.i8").unlink()
    else:
        (converted / "meta.json").write_text("{")
    assert QADataset.from_records([RECORD]).document(0) == ("A", "b")
    assert entries(folder) == [converted.name]


def test_a_failed_conversion_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"question": "q?"}]')
    with pytest.raises(ValueError, match="row 0"):
        open_dataset(HOTPOTQA, path)
    assert entries(folder) == []


def test_what_a_killed_conversion_left_is_cleaned_up_whatever_the_clock_says(folder: Path) -> None:
    abandoned = folder / ".tmp-killed"
    abandoned.mkdir(parents=True)
    (abandoned / "paragraphs.arrow").touch()

    def write(running: Path) -> None:
        long_ago = time.time() - 3 * 24 * 3600  # as a clock that is ahead sees it
        os.utime(running, (long_ago, long_ago))
        QADataset.from_records([RECORD])
        assert running.exists(), "its writer is at work"
        _write(running, "writer")

    cache.publish("key", write, lambda path: path if path.exists() else None)
    assert not abandoned.exists()
    assert not [name for name in entries(folder) if name.startswith(".tmp-")]


@pytest.mark.parametrize("name", ["paragraphs.arrow", "questions.arrow", "title_hash.i8", "meta.json"])
def test_flipped_bytes_are_noticed_when_the_folder_is_opened(folder: Path, name: str) -> None:
    data = QADataset.from_records([RECORD])
    (converted,) = folder.iterdir()
    content = bytearray((converted / name).read_bytes())
    for place in range(0, len(content), max(1, len(content) // 7)):
        spoiled = bytearray(content)
        spoiled[place] ^= 1
        (converted / name).write_bytes(spoiled)
        again = QADataset.from_records([RECORD])
        assert (again.hash, again.document(0), again.num_questions) == (data.hash, ("A", "b"), 1)
        assert (converted / name).read_bytes() == content


def test_a_link_in_the_cache_is_not_followed(folder: Path, tmp_path: Path) -> None:
    QADataset.from_records([RECORD])
    (converted,) = folder.iterdir()
    target = tmp_path / "elsewhere"
    (converted / "title_hash.i8").rename(target)
    (converted / "title_hash.i8").symlink_to(target)
    QADataset.from_records([RECORD])
    assert not (converted / "title_hash.i8").is_symlink()
    shutil.move(converted, tmp_path / "moved")
    converted.symlink_to(tmp_path / "moved")
    QADataset.from_records([RECORD])
    assert not converted.is_symlink()


def test_a_full_cache_ends_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path) -> None:
        if path.is_relative_to(folder):
            raise OSError(errno.ENOSPC, "No space left on device")
        _write(path, "elsewhere")

    def read(path: Path) -> str | None:
        return (path / "who").read_text() if (path / "who").exists() else None

    with pytest.warns(RuntimeWarning, match="No space left on device"):
        assert cache.publish("full", write, read)[1] == "elsewhere"
    assert entries(folder) == []


def test_the_loser_of_a_race_takes_the_winners_folder(folder: Path) -> None:
    def read(path: Path) -> str | None:
        return (path / "who").read_text() if (path / "who").exists() else None

    def slow(path: Path) -> None:
        cache.publish("key", lambda other: _write(other, "winner"), read)
        _write(path, "loser")

    assert cache.publish("key", slow, read) == (folder / "key", "winner")
    assert entries(folder) == ["key"]


def _write(path: Path, text: str) -> None:
    (path / "who").write_text(text)


def _convert(path: str, ready: Any, answers: Any) -> None:
    ready.wait()
    data = open_dataset(HOTPOTQA, path, progress=False)
    answers.put((data.hash, data.num_questions, data.document(data.num_paragraphs - 1)))


@pytest.mark.heavy
def test_two_processes_may_convert_at_once(folder: Path, tmp_path: Path) -> None:
    rows = [
        {
            "_id": str(n),
            "question": f"q{n}?",
            "answer": "a",
            "supporting_facts": [[f"T{n}", 0]],
            "context": [[f"T{n}", [f"Sentence {n} one.", f" Sentence {n} two."]]],
        }
        for n in range(1000)
    ]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows))
    context = multiprocessing.get_context("spawn")
    ready, answers = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_convert, args=(str(path), ready, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    first, second = answers.get(timeout=60), answers.get(timeout=60)
    for process in processes:
        process.join()
    assert first == second
    assert first[1:] == (1000, ("T999", "Sentence 999 one. Sentence 999 two."))
    assert len(entries(folder)) == 1


def test_an_unwritable_cache_falls_back_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("ATOMMEM_CACHE", str(blocked / "cache"))
    with pytest.warns(RuntimeWarning, match="cannot be written.*ATOMMEM_CACHE"):
        data = QADataset.from_records([{**RECORD, "answer": "nowhere else"}])
    assert data.question(0).answers == ("nowhere else",)
    assert QADataset.from_records([{**RECORD, "answer": "nowhere else"}]) == data, "and is found again"
