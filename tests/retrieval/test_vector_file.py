"""A file of vectors: what was encoded once need not be again, by this process, the next or another."""

from __future__ import annotations

import copy
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from atommem_env.retrieval import CachedEncoder, FunctionEncoder, VectorFile, encoders, make_encoder
from atommem_env.retrieval.encoders import SentenceTransformerEncoder

KEYS = [("document", f"text {n}") for n in range(5)]


def vector(n: int) -> npt.NDArray[np.float32]:
    return np.array([n, 0.1, -n], np.float32)


def lengths(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.array([[len(text), 1] for text in texts], np.float32)


class Named:
    """An encoder with an identity, as a named model has one."""

    identity = "lengths"

    def encode(self, texts: Sequence[str], kind: str) -> npt.NDArray[np.float32]:
        return lengths(texts)


def test_vectors_come_back_as_they_were(tmp_path: Path) -> None:
    file = VectorFile(tmp_path / "new" / "vectors.sqlite")
    file.put("e", {key: vector(n) for n, key in enumerate(KEYS)})
    found = VectorFile(file.path).get("e", [*KEYS, ("document", "unknown")])
    assert set(found) == set(KEYS)
    for n, key in enumerate(KEYS):
        assert found[key].dtype == np.float32
        assert found[key].tolist() == vector(n).tolist()


def test_encoder_kind_and_text_tell_vectors_apart(tmp_path: Path) -> None:
    file = VectorFile(tmp_path / "v")
    file.put("e", {("query", "a"): vector(1)})
    assert file.get("other", [("query", "a")]) == {}
    assert file.get("e", [("document", "a"), ("query", "b")]) == {}
    file.put("e", {("document", "a"): vector(2)})
    assert file.get("e", [("query", "a")])["query", "a"].tolist() == vector(1).tolist()


def test_the_oldest_written_go_when_it_is_full(tmp_path: Path) -> None:
    file = VectorFile(tmp_path / "v", size=3)
    for n, key in enumerate(KEYS):
        file.put("e", {key: vector(n), KEYS[0]: vector(0)})
        assert len(file) <= 3
    assert len(file) == 3
    assert set(KEYS[3:]) <= set(file.get("e", KEYS))
    file.put("e", {("query", str(n)): vector(n) for n in range(50)})
    assert set(file.get("e", [("query", str(n)) for n in range(50)])) == {
        ("query", str(n)) for n in (47, 48, 49)
    }


def test_more_keys_than_a_statement_takes_are_found(tmp_path: Path) -> None:
    file = VectorFile(tmp_path / "v")
    many = {("document", str(n)): vector(n) for n in range(1203)}
    file.put("e", many)
    assert set(file.get("e", list(many))) == set(many)


def test_a_damaged_vector_is_not_returned_and_is_written_anew(tmp_path: Path) -> None:
    file = VectorFile(tmp_path / "v")
    file.put("e", {KEYS[1]: vector(1)})
    with sqlite3.connect(file.path) as connection:
        connection.execute("UPDATE vectors SET vector = zeroblob(16)")
    connection.close()
    assert file.get("e", KEYS) == {}
    file.put("e", {KEYS[1]: vector(1)})
    assert file.get("e", KEYS)[KEYS[1]].tolist() == vector(1).tolist()


def test_another_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("no vectors here, but words enough to fill a first page " * 20, encoding="utf-8")
    with pytest.raises(ValueError, match=r"notes\.txt.*not a file of vectors"):
        VectorFile(other)
    with pytest.raises(ValueError, match="not a file of vectors"):
        VectorFile(tmp_path)
    with pytest.raises(ValueError, match="size=0"):
        VectorFile(tmp_path / "v", size=0)


def test_a_file_that_fails_in_use_is_a_warning_and_then_left_alone(tmp_path: Path) -> None:
    cached = CachedEncoder(Named(), disk=tmp_path / "v")
    (tmp_path / "v").write_bytes(b"overwritten " * 500)
    with pytest.warns(RuntimeWarning, match="is not used any more"):
        assert cached.encode(["abc"], "query").tolist() == [[3, 1]]
    assert cached.encode(["abcd"], "query").tolist() == [[4, 1]]


def test_it_deep_copies_as_itself_and_pickles_as_its_path(tmp_path: Path) -> None:
    file = VectorFile(tmp_path / "v", size=7)
    assert copy.deepcopy(file) is file
    loaded = pickle.loads(pickle.dumps(file))
    assert (loaded.path, loaded.size) == (file.path, 7)


WRITER = """
import sys
import numpy as np
from atommem_env.retrieval import VectorFile
file = VectorFile(sys.argv[1])
for n in range(60):
    key = ("document", f"{sys.argv[2]} {n}")
    file.put("e", {key: np.full(4, n, np.float32), ("query", "both"): np.ones(4, np.float32)})
    assert key in file.get("e", [key])
"""


def test_processes_write_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "v"
    started = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "ab"]
    assert [process.wait() for process in started] == [0, 0]
    file = VectorFile(path)
    assert len(file) == 121
    assert len(file.get("e", [("document", f"{name} {n}") for name in "ab" for n in range(60)])) == 120


# --- behind an encoder ----------------------------------------------------------------------------


def test_what_is_in_the_file_is_not_encoded_again(tmp_path: Path) -> None:
    first = CachedEncoder(Named(), disk=tmp_path / "v")
    first.encode(["a", "bb"], "document")
    second = CachedEncoder(Named(), disk=tmp_path / "v")
    assert second.encode(["bb", "ccc", "a"], "document").tolist() == [[2, 1], [3, 1], [1, 1]]
    assert (second.calls, second.texts, second.loaded) == (1, 1, 2)
    assert second.encode(["bb"], "query").tolist() == [[2, 1]]
    assert (second.texts, second.loaded) == (2, 2)


def test_what_memory_has_let_go_comes_from_the_file(tmp_path: Path) -> None:
    cached = CachedEncoder(Named(), size=1, disk=tmp_path / "v")
    for text in ("a", "bb", "a", "bb"):
        cached.encode([text], "document")
    assert (cached.texts, cached.loaded) == (2, 2)


def test_vectors_of_another_length_are_encoded_again(tmp_path: Path) -> None:
    file = VectorFile(tmp_path / "v")
    file.put("lengths", {("document", "a"): vector(1)})
    cached = CachedEncoder(Named(), disk=file)
    cached.encode(["bb"], "document")
    assert cached.encode(["a"], "document").tolist() == [[1, 1]]


def test_an_encoder_without_an_identity_needs_one_to_use_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pass identity="):
        CachedEncoder(FunctionEncoder(lengths), disk=tmp_path / "v")
    cached = CachedEncoder(FunctionEncoder(lengths), disk=tmp_path / "v", identity="mine")
    cached.encode(["a"], "document")
    loaded = pickle.loads(pickle.dumps(cached))
    loaded.encode(["a"], "document")
    assert (loaded.texts, loaded.loaded, loaded.identity) == (0, 1, "mine")


def test_the_variable_gives_encoders_made_from_a_str_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(encoders.DISK_VARIABLE, str(tmp_path / "v"))
    monkeypatch.setattr(encoders, "_named", {})
    encoder = make_encoder(f"{__name__}:Named")
    encoder.encode(["a"], "document")
    assert len(VectorFile(tmp_path / "v")) == 1
    assert pickle.loads(pickle.dumps(encoder)) is encoder
    assert make_encoder(f"{__name__}:lengths").disk is None  # nothing tells it from another function


def test_a_model_s_folder_has_another_identity_once_its_files_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    (tmp_path / "weights").write_bytes(b"1")
    before = SentenceTransformerEncoder(str(tmp_path)).identity
    assert before == SentenceTransformerEncoder(str(tmp_path)).identity
    os.utime(tmp_path / "weights", ns=(1, 1))
    assert SentenceTransformerEncoder(str(tmp_path)).identity != before
    assert SentenceTransformerEncoder("org/model").identity == "sentence-transformers org/model"
    assert SentenceTransformerEncoder(object()).identity is None
