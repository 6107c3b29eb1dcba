"""Seeded damage to every file that the commands read: each ends in a message or in a result, never in a traceback.

The quick suite plants a few faults in each kind; ``--faults N`` plants N in each.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import io
import json
import os
import random
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import CliRunner

from atommem_env.cli import application
from atommem_env.retrieval import CachedEncoder, VectorFile
from atommem_env.runs import evaluate
from fake_server import FakeServer
from small_data import hotpot_rows, records

SMALL: dict[str, Any] = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 300, "chunk_overlap": 20}
SIZES = [word for name, value in SMALL.items() for word in ("--arg", f"{name}={value}")]
STATUSES = (0, 1, 2)

RUN_FILES = (
    "run.json",
    "episodes.jsonl",
    "timing.jsonl",
    "traces.jsonl.gz",
    "judgements.jsonl",
    "judge.json",
)
LOOKS: tuple[tuple[str, ...], ...] = (
    ("show", "RUN"),
    ("table", "RUN", "--wide"),
    ("view", "RUN"),
    ("replay", "RUN"),
    ("export", "RUN", "--out", "RUN/rows.jsonl"),
    ("compare", "RUN", "--policy", "oracle", "--policy", "rag", "--tasks"),
    ("judge", "RUN", "--model", "m", "--base-url", "SERVER", "--leniency", "2", "--quiet"),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on a file, and a file of records."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "hotpot_dev_distractor_v1.json").write_text(json.dumps(hotpot_rows(records(24))))
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in records(24)))
    source = str(folder / "hotpot_dev_distractor_v1.json")
    run = evaluate(
        "AtomMem-HotpotQA-v0",
        ["rag", "oracle"],
        1,
        source=source,
        out=folder / "run",
        progress=False,
        **SMALL,
    )
    verdicts = [
        {
            **{"env": episode["env"], "policy": episode["policy"], "task_index": 0, "question": 0},
            **{"prediction": question["prediction"], "em": question["em"]},
            **{"correct": True, "reason": "r", "read": True},
        }
        for episode in run.episodes
        for question in episode["metrics"]["questions"]
    ]
    lines = "".join(f"{json.dumps(verdict)}\n" for verdict in verdicts)
    (folder / "run" / "judgements.jsonl").write_text(lines)
    (folder / "run" / "judge.json").write_text('{"model": "m"}')
    return folder


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> int:
    """How many faults to plant in each kind."""
    return int(request.config.getoption("--faults"))


# --- damage -------------------------------------------------------------------------------------------


def _flip(draw: random.Random, content: bytes) -> bytes:
    made = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        if made:
            made[draw.randrange(len(made))] = draw.randrange(256)
    return bytes(made)


def _cut(draw: random.Random, content: bytes) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def _drop(draw: random.Random, content: bytes) -> bytes:
    start = draw.randrange(len(content) + 1)
    return content[:start] + content[start + draw.randrange(1, 40) :]


def _insert(draw: random.Random, content: bytes) -> bytes:
    start = draw.randrange(len(content) + 1)
    junk = draw.choice(
        (b"\0", b"\xff\xfe", b"{", b"]", b'"', b"\n", b"\n\n3\n", b"null", b"1e999", b"9" * 5000)
    )
    return content[:start] + junk + content[start:]


def _replace(draw: random.Random, content: bytes) -> bytes:
    return draw.choice(
        (b"", b"\n", b"null", b"[]", b"{}", b"3", b"[" * 100_000, b"\x1f\x8b\x08", b"PAR1PAR1", b"PK")
    )


def _twist(draw: random.Random, value: Any) -> Any:
    """Return JSON data with one place in it replaced."""
    odd = (
        None,
        True,
        -1,
        3,
        1.5,
        10**30,
        "x",
        "",
        "\u202e\x1b[2J",
        [],
        {},
        [[]],
        {"object": "x"},
        ["x"],
        "a:b",
    )
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(sorted(value))
        if draw.random() < 0.1:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: _twist(draw, value[key])}
    if isinstance(value, list) and value and draw.random() < 0.9:
        place = draw.randrange(len(value))
        return [*value[:place], _twist(draw, value[place]), *value[place + 1 :]]
    return draw.choice(odd)


def _shape(draw: random.Random, content: bytes) -> bytes:
    """Return the same JSON, whole or by line, gzipped or not, with one place in it replaced."""
    zipped = content[:2] == b"\x1f\x8b"
    text = (gzip.decompress(content) if zipped else content).decode()
    try:
        made = json.dumps(_twist(draw, json.loads(text)))
    except ValueError:
        lines = text.splitlines()
        place = draw.randrange(len(lines))
        lines[place] = json.dumps(_twist(draw, json.loads(lines[place])))
        made = "".join(f"{line}\n" for line in lines)
    return gzip.compress(made.encode()) if zipped else made.encode()


DAMAGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip,
    _cut,
    _drop,
    _insert,
    _replace,
    _shape,
    _shape,
)


def damage(draw: random.Random, path: Path) -> str:
    """Spoil a file in one way, and return which."""
    content = path.read_bytes()
    kind = draw.choice(DAMAGES if path.suffix not in (".parquet", ".npz", ".arrow", ".i8") else DAMAGES[:5])
    path.write_bytes(kind(draw, content))
    return kind.__name__


def check(words: list[str], what: str) -> list[str]:
    """Run a command; whatever it read, it ends with its own status and no traceback. Returns what went wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CliRunner().invoke(application(), words)
    error = result.exception
    if (error is None or isinstance(error, SystemExit)) and result.exit_code in STATUSES:
        return []
    return [f"{what}: {words[0]}: {type(error).__name__}: {error}"]


# --- kinds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUN_FILES)
def test_damaged_run_folders(
    home: Path, tmp_path: Path, faults: int, chat_server: FakeServer, name: str
) -> None:
    address = chat_server.begin(lambda prompt: '{"correct": true, "reason": "r"}').address
    wrong: list[str] = []
    for seed in range(faults):
        draw = random.Random(f"{name} {seed}")
        folder = tmp_path / "run"
        shutil.copytree(home / "run", folder)
        what = f"{name}, seed {seed}: {damage(draw, folder / name)}"
        command = draw.choice(LOOKS)
        wrong += check(
            [word.replace("RUN", str(folder)).replace("SERVER", address) for word in command], what
        )
        if draw.random() < 0.1:
            wrong += check(_again(home, folder), what)
        shutil.rmtree(folder)
    print(f"{name}: {faults} faults")
    assert not wrong


def _again(home: Path, folder: Path) -> list[str]:
    source = str(home / "hotpot_dev_distractor_v1.json")
    policies = ["--policy", "rag", "--policy", "oracle"]
    return ["run", "--source", source, *policies, "--episodes", "1", "--out", str(folder), *SIZES]


@pytest.mark.parametrize("form", ["json", "jsonl", "json.gz", "parquet"])
def test_damaged_data_files(
    home: Path, tmp_path: Path, faults: int, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("ATOMMEM_CACHE", str(tmp_path / "cache"))
    rows = hotpot_rows(records(24))
    path = tmp_path / f"rows.{form}"
    wrong: list[str] = []
    for seed in range(faults):
        draw = random.Random(f"{form} {seed}")
        _write_rows(path, rows)
        what = f"{path.name}, seed {seed}: {damage(draw, path)}"
        words = [
            "show",
            "--env",
            "AtomMem-HotpotQA-v0",
            "--policy",
            "write-nothing",
            "--source",
            str(path),
            *SIZES,
        ]
        wrong += check(words, what)
    print(f"{path.name}: {faults} faults")
    assert not wrong


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    if path.name.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        text = [
            {**row, "supporting_facts": None, "context": json.dumps(row["context"])}  # of another form, too
            for row in rows
        ]
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(text), buffer)
        path.write_bytes(buffer.getvalue())
    elif path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(lines))
    else:
        path.write_bytes(lines if path.suffix == ".jsonl" else json.dumps(rows).encode())


def test_damaged_caches(home: Path, tmp_path: Path, faults: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMMEM_CACHE", str(tmp_path / "cache"))
    words = ["replay", str(home / "run")]
    assert not check(words, "whole")
    (converted,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    names = sorted(path.name for path in converted.iterdir())
    for seed in range(faults):
        draw = random.Random(f"cache {seed}")
        name = draw.choice(names)
        path = converted / name
        content = path.read_bytes()
        spoiled = draw.choice(DAMAGES[:5])(draw, content)
        path.write_bytes(spoiled)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = CliRunner().invoke(application(), words)
        assert result.exit_code == 0, (name, seed, result.stderr)  # made again, or the same bytes
        assert "2 of 2 episodes end in the same state" in result.stdout


def test_damaged_checkpoints(tmp_path: Path, faults: int) -> None:
    (checkpoint,) = (path for folder in _baselines() for path in (folder / "checkpoints").glob("world.npz"))
    whole = checkpoint.read_bytes()
    path = tmp_path / "learned.npz"
    wrong: list[str] = []
    for seed in range(faults):
        draw = random.Random(f"checkpoint {seed}")
        path.write_bytes(draw.choice(DAMAGES[:5])(draw, whole))
        words = ["show", "--env", "AtomMem-World-v0", "--policy", "learned", *SIZES]
        wrong += check(
            [*words, "--policy-arg", f"learned.checkpoint={path}", "--steps", "1:2"],
            f"checkpoint, seed {seed}",
        )
    assert not wrong


class Lengths:
    """An encoder whose vectors are kept."""

    identity = "lengths"

    def encode(self, texts: Sequence[str], kind: str) -> npt.NDArray[np.float32]:
        return np.array([[len(text), 1.0] for text in texts], np.float32)


def test_damaged_files_of_vectors(tmp_path: Path, faults: int) -> None:
    texts = [f"text {number}" for number in range(40)]
    path = tmp_path / "vectors.sqlite"
    CachedEncoder(Lengths(), disk=path).encode(texts, "document")
    whole, wanted = path.read_bytes(), Lengths().encode(texts, "document")
    wrong: list[str] = []
    named = 0
    for seed in range(faults):
        draw = random.Random(f"vectors {seed}")
        path.write_bytes(draw.choice((_flip, *DAMAGES[:5]))(draw, whole))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                kept = VectorFile(path)
            except ValueError as error:
                wrong += [] if "not a file of vectors" in str(error) else [f"seed {seed}: {error}"]
                named += 1
                continue
            for _ in range(2):  # what is not whole is encoded and written again
                found = CachedEncoder(Lengths(), disk=kept).encode(texts, "document")
                wrong += [] if np.array_equal(found, wanted) else [f"seed {seed}: other vectors"]
    assert not wrong
    print(f"vectors: {faults} faults, {named} files refused by name")


def _baselines() -> list[Path]:
    spec = importlib.util.find_spec("atommem_env.baselines")
    assert spec is not None
    return [Path(place) for place in spec.submodule_search_locations or ()]


def test_a_folder_whose_rights_are_gone(home: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    shutil.copytree(home / "run", tmp_path / "run")
    for name in RUN_FILES:
        with contextlib.suppress(FileNotFoundError):
            (tmp_path / "run" / name).chmod(0)
        assert not check(["table", str(tmp_path / "run")], name)
