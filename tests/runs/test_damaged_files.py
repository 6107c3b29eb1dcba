"""Damaged, foreign and hostile files in a run's folder end in a message with the file and the mend."""

from __future__ import annotations

import functools
import gzip
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atommem_env.report import summary
from atommem_env.runs import Run, RunError, evaluate, files, trace_file
from atommem_env.runs.errors import RunWarning
from atommem_env.runs.folder import read_episodes, read_settings, read_timings
from atommem_env.runs.judge import read_judgements
from atommem_env.runs.trace_file import TRACES_FILE
from atommem_env.runs.traces import read_traces

SMALL: dict[str, Any] = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 300, "chunk_overlap": 20}
WORLD = "AtomMem-World-v0"
NAMES = ("run.json", "episodes.jsonl", TRACES_FILE, "timing.jsonl")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "run"
    evaluate(WORLD, "rag", 2, out=folder, progress=False, **SMALL)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def read_all(folder: Path) -> None:
    Run.load(folder)
    list(read_traces(folder))


@pytest.mark.parametrize("name", [*NAMES, "judgements.jsonl", ".lock"])
def test_no_file_is_opened_through_a_link(folder: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    source = folder / name
    if source.exists():
        source.rename(target)
    else:
        target.write_text("precious\n")
    source.symlink_to(target)
    before = target.read_bytes()
    if name != ".lock":
        with pytest.raises(RunError, match="is a symbolic link"):
            read_all(folder)
    if name == "judgements.jsonl":
        with pytest.raises(RunError, match="is a symbolic link"):
            read_judgements(folder, [])
    else:
        with pytest.raises((RunError, OSError)):
            evaluate(WORLD, "rag", 3, out=folder, progress=False, **SMALL)
    assert target.read_bytes() == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_folder_or_pipe_in_a_files_place_is_named(folder: Path, name: str, kind: str) -> None:
    (folder / name).unlink()
    if kind == "folder":
        (folder / name).mkdir()
    else:
        os.mkfifo(folder / name)
    with pytest.raises(RunError, match=f"{name} is not a regular file"):
        read_all(folder)


def test_a_trace_that_inflates_without_end_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_file, "LONGEST_TRACE", 1 << 20)
    (folder / TRACES_FILE).write_bytes(gzip.compress(b'{"env": "' + b"x" * (1 << 24)))
    with pytest.raises(RunError, match="a trace is longer than"):
        list(read_traces(folder))


def test_lines_and_files_have_a_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST", 100)
    with pytest.raises(RunError, match=r"run\.json is longer than 100 bytes"):
        read_settings(folder)
    with pytest.raises(RunError, match=r"episodes\.jsonl, line 1 is longer than 100 bytes"):
        read_episodes(folder)


@pytest.mark.parametrize("line", ["", "{", "3", "[]", '{"env": 3}', "[" * 100_000, '{"seconds": "x"}'])
def test_a_bad_time_is_left_out_with_a_word(folder: Path, line: str) -> None:
    with open(folder / "timing.jsonl", "a") as file:
        file.write(f"{line}\n")
    with pytest.warns(RunWarning, match=r"timing\.jsonl: line 3 is not a record of a time"):
        assert len(read_timings(folder)) == 2


def test_a_bad_verdict_is_left_out_with_a_word(folder: Path) -> None:
    (folder / "judgements.jsonl").write_text('{"env": "x"}\n')
    with pytest.warns(RunWarning, match="line 1 is not a verdict"):
        assert Run.load(folder).judgements == {}


def loaded(folder: Path) -> str | None:
    """Load a run and make its table; return what it was refused with."""
    try:
        run = Run.load(folder)
    except RunError as error:
        return str(error)
    run.table()
    return None


def broken(value: Any) -> Iterator[Any]:
    """Yield variants of a JSON value with something wrong in one place, at any depth."""
    yield from ([None, "x"] if isinstance(value, dict) else [None, {}])
    if isinstance(value, dict):
        for key, item in value.items():
            yield {name: other for name, other in value.items() if name != key}
            yield from ({**value, key: other} for other in broken(item))
    if isinstance(value, list) and value:
        yield from ([other, *value[1:]] for other in broken(value[0]))


@pytest.fixture
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    few = functools.partial(summary.bootstrap, resamples=summary._BLOCK)
    monkeypatch.setattr(summary, "bootstrap", few)


@pytest.mark.usefixtures("_few_resamples")
def test_run_json_of_another_shape_is_an_error_that_names_it(folder: Path) -> None:
    path = folder / "run.json"
    settings = json.loads(path.read_text())
    for variant in [3, [], *broken(settings)]:
        path.write_text(json.dumps(variant))
        told = loaded(folder)
        assert told is None or "run.json" in told, variant


@pytest.mark.usefixtures("_few_resamples")
def test_an_episode_of_another_shape_is_an_error_that_names_it(folder: Path) -> None:
    path = folder / "episodes.jsonl"
    first, second = path.read_text().splitlines()
    for variant in [3, [], *broken(json.loads(first))]:
        path.write_text(f"{json.dumps(variant)}\n{second}\n")
        told = loaded(folder)
        assert told is None or "episodes.jsonl, line 1" in told, variant


def test_a_plan_without_end_is_refused(folder: Path) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "episodes": 10**12}))
    with pytest.raises(RunError, match="expected at most 10,000,000"):
        Run.load(folder)
