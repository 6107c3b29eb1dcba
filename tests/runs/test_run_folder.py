"""A run's folder survives a kill at any byte, refuses other runs, and ends in one order."""

from __future__ import annotations

import gzip
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
from atommem_env.runs.folder import RunFolder, read_episodes, read_settings, read_timings
from atommem_env.runs.keys import Key, planned_keys
from atommem_env.runs.trace_file import TRACES_FILE, StoredTrace
from atommem_env.runs.traces import find_trace, read_traces

SETTINGS: dict[str, Any] = {
    "format": 3,
    "atommem_env": "0",
    "envs": [
        {"name": "B-v0", "id": "B-v0", "arguments": {"num_docs": 20}, "source": "s"},
        {"name": "A-v0", "id": "A-v0", "arguments": {}, "source": "s"},
    ],
    "policies": [{"name": name, "policy": name, "arguments": {}} for name in ("rag", "oracle")],
    "engine": "rules",
    "episodes": 2,
    "seed": 0,
}


METRICS: dict[str, Any] = {
    **dict.fromkeys(("em", "f1", "cover_em"), 0.5),
    **dict.fromkeys(("memory_size", "memory_peak", "entries_shown", "steps", "looks"), 1),
    **dict.fromkeys(("tokens_shown", "tokens_written"), 1),
    "questions": [],
    "operations": {},
    "refused": {},
}

FILES = ("run.json", "episodes.jsonl", TRACES_FILE)


def record(key: Key) -> dict[str, Any]:
    env, policy, index = key
    return {
        "env": env,
        "policy": policy,
        "engine": "rules",
        "task_id": f"t{index}",
        "task_index": index,
        "source": "ä",
        "metrics": METRICS,
    }


def stored(key: Key) -> StoredTrace:
    return StoredTrace(*key, [[{"op": "create", "content": f"{key} ä" * 20}], "text", []], [0.0, 1.0], "d")


def timing(key: Key) -> dict[str, Any]:
    return {"env": key[0], "policy": key[1], "task_index": key[2], "seconds": 0.25}


def add(folder: RunFolder, key: Key) -> None:
    folder.append(record(key), timing(key), stored(key).encode())


def fill(path: Path, settings: dict[str, Any] = SETTINGS, most: int = 99, backwards: bool = True) -> None:
    with RunFolder(path, settings) as folder:
        keys = list(reversed(folder.missing)) if backwards else folder.missing
        for key in keys[:most]:
            add(folder, key)
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
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_only_the_timing_file_holds_times_and_nothing_else_is_left(tmp_path: Path) -> None:
    fill(tmp_path / "run")
    assert sorted(os.listdir(tmp_path / "run")) == sorted([*FILES, "timing.jsonl"])
    assert {timing["seconds"] for timing in read_timings(tmp_path / "run")} == {0.25}
    assert b"seconds" not in (tmp_path / "run" / "episodes.jsonl").read_bytes()


@hypothesis_settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_run_that_was_cut_at_any_byte_goes_on_to_the_same_bytes(data: st.DataObject) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        fill(folder / "whole")
        fill(folder / "cut", most=data.draw(st.integers(0, 8)))
        for name in data.draw(st.sets(st.sampled_from(["episodes.jsonl", TRACES_FILE, "timing.jsonl"]))):
            path = folder / "cut" / name
            if path.exists() and (name != TRACES_FILE or not episodes_of(folder / "cut")):
                os.truncate(path, data.draw(st.integers(0, path.stat().st_size)))
        fill(folder / "cut")
        for name in FILES:
            assert (folder / "cut" / name).read_bytes() == (folder / "whole" / name).read_bytes()
    finally:
        shutil.rmtree(folder)


def episodes_of(folder: Path) -> bytes:
    path = folder / "episodes.jsonl"
    return path.read_bytes() if path.exists() else b""


def test_a_kill_between_a_trace_and_its_episode_leaves_one_trace_in_the_end(tmp_path: Path) -> None:
    fill(tmp_path / "whole")
    fill(tmp_path / "cut", most=3)
    with open(tmp_path / "cut" / TRACES_FILE, "ab") as file:
        file.write(stored(("A-v0", "rag", 0)).encode() + stored(("A-v0", "rag", 1)).encode()[:30])
    assert len(list(read_traces(tmp_path / "cut"))) == 4
    with RunFolder(tmp_path / "cut", SETTINGS):
        pass
    assert [trace.key for trace in read_traces(tmp_path / "cut")] == [
        (e["env"], e["policy"], e["task_index"]) for e in read_episodes(tmp_path / "cut")
    ]
    fill(tmp_path / "cut")
    for name in FILES:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_removing_an_episodes_line_removes_its_trace_alone(tmp_path: Path) -> None:
    fill(tmp_path / "run")
    whole = [(tmp_path / "run" / name).read_bytes() for name in FILES]
    lines = whole[1].splitlines(keepends=True)
    (tmp_path / "run" / "episodes.jsonl").write_bytes(b"".join(lines[:2] + lines[3:]))
    with RunFolder(tmp_path / "run", SETTINGS) as folder:
        assert len(list(read_traces(tmp_path / "run"))) == 7
        add(folder, folder.missing[0])
        folder.finish()
    assert [(tmp_path / "run" / name).read_bytes() for name in FILES] == whole


def test_what_a_kill_within_a_rewriting_leaves_is_removed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in FILES:
        (tmp_path / "run" / f".{name}.x1y2").write_text("part")
    fill(tmp_path / "run")
    assert sorted(os.listdir(tmp_path / "run")) == sorted([*FILES, "timing.jsonl"])


def test_a_trace_is_found_by_its_key(tmp_path: Path) -> None:
    fill(tmp_path / "run")
    key = ("A-v0", "oracle", 1)
    assert find_trace(tmp_path / "run", key) == stored(key)
    assert find_trace(tmp_path / "run", ("A-v0", "oracle", 2)) is None
    assert list(read_traces(tmp_path)) == []


def test_a_gzip_program_reads_the_traces_as_json_lines(tmp_path: Path) -> None:
    fill(tmp_path / "run")
    lines = gzip.decompress((tmp_path / "run" / TRACES_FILE).read_bytes()).decode().splitlines()
    assert [json.loads(line)["task_index"] for line in lines] == [0, 1] * 4


def test_damage_within_the_traces_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "run")
    path = tmp_path / "run" / TRACES_FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(RunError, match="is damaged at byte"):
        list(read_traces(tmp_path / "run"))


def test_without_traces_there_is_no_file_of_them(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", SETTINGS, traces=False) as folder:
        assert not folder.keeps_traces
        for key in folder.missing:
            folder.append(record(key), timing(key))
        folder.finish()
    assert not (tmp_path / "run" / TRACES_FILE).exists()


def test_an_environment_may_have_fewer_policies_and_episodes(tmp_path: Path) -> None:
    envs = [{**SETTINGS["envs"][0], "policies": ["oracle"], "episodes": 3}, SETTINGS["envs"][1]]
    settings = {**SETTINGS, "envs": envs}
    fill(tmp_path / "run", settings)
    assert list(planned_keys(settings)) == [
        *[("B-v0", "oracle", index) for index in range(3)],
        *[("A-v0", policy, index) for policy in ("rag", "oracle") for index in range(2)],
    ]


def test_a_folder_of_the_first_format_can_be_read(tmp_path: Path) -> None:
    fill(tmp_path / "run")
    envs = [{"id": "B-v0", "arguments": {}}, {"id": "A-v0", "arguments": {}}]
    (tmp_path / "run" / "run.json").write_text(json.dumps({**SETTINGS, "format": 1, "envs": envs}))
    (tmp_path / "run" / TRACES_FILE).unlink()
    found = read_settings(tmp_path / "run")
    assert [env["name"] for env in found["envs"]] == ["B-v0", "A-v0"]
    assert len(list(planned_keys(found))) == 8


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
    with pytest.raises(RunError, match="line 2 is not a record"):
        read_episodes(tmp_path / "run")


def test_other_settings_are_refused_with_the_difference(tmp_path: Path) -> None:
    fill(tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    other = json.loads(json.dumps(SETTINGS))
    other["seed"] = 40
    other["envs"][0]["arguments"]["num_docs"] = 30
    with pytest.raises(RunError) as caught:
        fill(tmp_path / "run", other)
    assert "envs[B-v0].arguments.num_docs: 20 there, 30 now" in str(caught.value)
    assert "seed: 0 there, 40 now" in str(caught.value)
    assert "--fresh" in str(caught.value)
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    with RunFolder(tmp_path / "run", other, fresh=True) as folder:
        assert len(folder.missing) == 8


def test_a_run_gains_policies_episodes_and_environments(tmp_path: Path) -> None:
    policies, envs = SETTINGS["policies"], SETTINGS["envs"]
    first = {**SETTINGS, "policies": policies[:1], "envs": envs[:1], "episodes": 1}
    fill(tmp_path / "run", first)
    fill(tmp_path / "run", {**first, "policies": policies[1:]})
    assert [e["policy"] for e in read_episodes(tmp_path / "run")] == ["rag", "oracle"]
    fill(tmp_path / "run", {**first, "policies": policies[1:], "envs": envs[1:]})
    assert read_settings(tmp_path / "run")["envs"][1]["policies"] == ["oracle"]
    assert len(read_episodes(tmp_path / "run")) == 3
    fill(tmp_path / "run")
    assert len(read_episodes(tmp_path / "run")) == 8
    fill(tmp_path / "at once")
    for name in FILES:
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "at once" / name).read_bytes()


def test_fewer_policies_or_episodes_leave_the_others(tmp_path: Path) -> None:
    fill(tmp_path / "run")
    before = [(tmp_path / "run" / name).read_bytes() for name in FILES]
    fill(tmp_path / "run", {**SETTINGS, "policies": SETTINGS["policies"][:1], "episodes": 1})
    assert [(tmp_path / "run" / name).read_bytes() for name in FILES] == before


@pytest.mark.parametrize("what", ["envs", "policies"])
@pytest.mark.parametrize("change", [{"helper.py": "2"}, {}, None])
def test_what_is_made_of_something_else_is_done_anew(tmp_path: Path, what: str, change: Any) -> None:
    def settings(made_of: Any) -> dict[str, Any]:
        first, second = SETTINGS[what]
        return {**SETTINGS, what: [{**first, "made_of": made_of}, second]}

    fill(tmp_path / "run", settings({"helper.py": "1"}))
    with RunFolder(tmp_path / "run", settings({"helper.py": "1"})) as folder:
        assert folder.missing == []
        assert folder.notes == ()
    with RunFolder(tmp_path / "run", settings(change)) as folder:
        assert len(folder.missing) == 4
        name = SETTINGS[what][0]["name"]
        assert all(name in key[:2] for key in folder.missing)
        assert "done again" in folder.notes[0]
        assert name in folder.notes[0]
        assert (change is None) != ("helper.py changed" in folder.notes[0])


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path / "run", SETTINGS),
        pytest.raises(RunError, match="in use by another process"),
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
    with pytest.raises(RunError, match="is not a folder"):
        read_settings(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"holds no run\.json"):
        read_settings(tmp_path)
    (tmp_path / "run.json").write_text('{"format": 7}')
    with pytest.raises(RunError, match="format 7; this version of atommem_env reads formats 1 to 3"):
        read_settings(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run\.json: .*expected the run\.json of"):
        read_settings(tmp_path)


def test_a_record_with_nan_is_refused(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", SETTINGS) as folder:
        bad = record(folder.missing[0])
        bad["metrics"] = {**METRICS, "em": float("nan")}
        with pytest.raises(ValueError, match="JSON compliant"):
            folder.append(bad, {}, None)
        assert folder.episodes == []
    assert read_episodes(tmp_path / "run") == []
