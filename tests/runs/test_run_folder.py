"""A run's folder survives a kill at any byte, refuses other runs, and ends in one order."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from atommem_env.runs import RunError
from atommem_env.runs.folder import RunFolder, planned_keys, read_episodes, read_settings

SETTINGS: dict[str, Any] = {
    "format": 1,
    "atommem_env": "0",
    "envs": [{"id": "B-v0", "arguments": {"num_docs": 20}}, {"id": "A-v0", "arguments": {}}],
    "policies": [{"name": "rag"}, {"name": "oracle"}],
    "engine": "rules",
    "episodes": 2,
    "seed": 0,
}


def record(key: tuple[str, str, int]) -> dict[str, Any]:
    env, policy, index = key
    return {
        "env": env,
        "policy": policy,
        "engine": "rules",
        "task_id": f"t{index}",
        "task_index": index,
        "source": "ä",
        "metrics": {"em": 0.5},
    }


def fill(path: Path, settings: dict[str, Any] = SETTINGS, most: int = 99, backwards: bool = True) -> None:
    with RunFolder(path, settings) as folder:
        keys = list(reversed(folder.missing)) if backwards else folder.missing
        for key in keys[:most]:
            folder.append(record(key), 0.25)
        folder.finish()


def test_a_finished_run_lists_its_episodes_in_the_order_of_the_settings(tmp_path: Path) -> None:
    fill(tmp_path / "run")
    found = [(e["env"], e["policy"], e["task_index"]) for e in read_episodes(tmp_path / "run")]
    assert found == list(planned_keys(SETTINGS))
    assert found[0] == ("B-v0", "rag", 0)


def test_an_unfinished_run_keeps_the_order_in_which_episodes_ended(tmp_path: Path) -> None:
    fill(tmp_path / "run", most=3)
    found = [(e["env"], e["policy"], e["task_index"]) for e in read_episodes(tmp_path / "run")]
    assert found == list(reversed(list(planned_keys(SETTINGS))))[:3]


def test_the_files_are_the_same_bytes_whatever_the_order_of_the_episodes(tmp_path: Path) -> None:
    fill(tmp_path / "a", backwards=True)
    fill(tmp_path / "b", backwards=False)
    for name in ("run.json", "episodes.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_only_the_timing_file_holds_times_and_nothing_else_is_left(tmp_path: Path) -> None:
    fill(tmp_path / "run")
    assert sorted(os.listdir(tmp_path / "run")) == ["episodes.jsonl", "run.json", "timing.jsonl"]
    lines = (tmp_path / "run" / "timing.jsonl").read_text().splitlines()
    assert {json.loads(line)["seconds"] for line in lines} == {0.25}
    assert b"seconds" not in (tmp_path / "run" / "episodes.jsonl").read_bytes()


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_run_that_was_cut_at_any_byte_goes_on_to_the_same_bytes(data: st.DataObject) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        fill(folder / "whole")
        whole = (folder / "whole" / "episodes.jsonl").read_bytes()
        fill(folder / "cut", most=data.draw(st.integers(0, 8)))
        path = folder / "cut" / "episodes.jsonl"
        if path.exists():
            os.truncate(path, data.draw(st.integers(0, path.stat().st_size)))
        fill(folder / "cut")
        assert path.read_bytes() == whole
    finally:
        shutil.rmtree(folder)


def test_a_torn_last_line_is_not_read(tmp_path: Path) -> None:
    fill(tmp_path / "run", most=2)
    with open(tmp_path / "run" / "episodes.jsonl", "ab") as file:
        file.write(b'{"env": "B-v0", "pol')
    assert len(read_episodes(tmp_path / "run")) == 2


@pytest.mark.parametrize("line", ["{]", "[]", "3", '{"env": "B-v0"}'])
def test_a_broken_line_within_is_an_error_that_names_it(tmp_path: Path, line: str) -> None:
    fill(tmp_path / "run", most=2)
    path = tmp_path / "run" / "episodes.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{line}\n{second}\n")
    with pytest.raises(RunError, match="line 2 is no record"):
        read_episodes(tmp_path / "run")


def test_other_settings_are_refused_with_the_difference(tmp_path: Path) -> None:
    fill(tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    other = json.loads(json.dumps(SETTINGS))
    other["episodes"] = 40
    other["envs"][0]["arguments"]["num_docs"] = 30
    with pytest.raises(RunError) as caught:
        fill(tmp_path / "run", other)
    assert "envs[B-v0].arguments.num_docs: 20 there, 30 now" in str(caught.value)
    assert "episodes: 2 there, 40 now" in str(caught.value)
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_other_policies_are_named(tmp_path: Path) -> None:
    fill(tmp_path / "run")
    other = {**SETTINGS, "policies": [{"name": "rag"}]}
    with pytest.raises(RunError, match=r'policies: \["rag", "oracle"\] there, \["rag"\] now'):
        fill(tmp_path / "run", other)


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path / "run", SETTINGS),
        pytest.raises(RunError, match=f"in use by process {os.getpid()}"),
        RunFolder(tmp_path / "run", SETTINGS),
    ):
        pass
    fill(tmp_path / "run")  # given back


def test_a_lock_file_that_a_killed_process_left_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").write_text("1\n")
    fill(tmp_path / "run")
    assert not (tmp_path / "run" / ".lock").exists()


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match=r"holds other files \(thesis.tex\)"):
        fill(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_path_that_can_be_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="cannot be a run's folder"):
        fill(tmp_path / "file")


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no folder"):
        read_settings(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"holds no run\.json"):
        read_settings(tmp_path)
    (tmp_path / "run.json").write_text('{"format": 7}')
    with pytest.raises(RunError, match="format 7; this version of atommem_env reads format 1"):
        read_settings(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        read_settings(tmp_path)


def test_a_record_with_nan_is_refused(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", SETTINGS) as folder:
        bad = record(folder.missing[0])
        bad["metrics"]["em"] = float("nan")
        with pytest.raises(ValueError, match="JSON compliant"):
            folder.append(bad, 0.0)
        assert folder.episodes == []
    assert read_episodes(tmp_path / "run") == []
