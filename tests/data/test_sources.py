"""Where a benchmark's rows come from: paths, folders, the hub's cache, the generated world, and in which order."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import huggingface_hub.constants
import numpy as np
import pytest

from atommem_env.data import sources
from atommem_env.data.benchmark import Benchmark
from atommem_env.data.custom import CUSTOM, parse_record
from atommem_env.data.dataset import QADataset
from atommem_env.data.sources import GeneratedDataWarning, open_dataset
from atommem_env.data.world import WorldConfig
from atommem_env.envs.beam import BEAM
from atommem_env.envs.hotpotqa import HOTPOTQA
from atommem_env.envs.locomo import LOCOMO
from atommem_env.envs.longmemeval import LONGMEMEVAL
from atommem_env.envs.memoryagentbench import MEMORYAGENTBENCH
from atommem_env.envs.musique import MUSIQUE
from atommem_env.envs.wiki2 import WIKI2

SMALL = WorldConfig(size=3)


def hotpot_row(number: int = 0) -> dict[str, Any]:
    return {
        "_id": f"r{number}",
        "question": f"Where was Ada {number} born?",
        "answer": "Ambry",
        "type": "bridge",
        "level": "hard",
        "supporting_facts": [[f"Ada {number}", 1]],
        "context": [
            [f"Ada {number}", [f"Ada {number} painted.", " She was born in Ambry."]],
            ["Ambry", ["A town."]],
        ],
    }


def wiki2_row(number: int = 0) -> dict[str, Any]:
    row = {**hotpot_row(number), "evidences": [["a", "b", "c"]]}
    del row["level"]
    return row


def columns(row: dict[str, Any]) -> dict[str, Any]:
    titles, sentences = zip(*row["context"], strict=True)
    return {
        "id": row["_id"],
        **{name: row[name] for name in ("question", "answer", "type")},
        "supporting_facts": {
            "title": [fact[0] for fact in row["supporting_facts"]],
            "sent_id": [fact[1] for fact in row["supporting_facts"]],
        },
        "context": {"title": list(titles), "sentences": list(sentences)},
    }


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


# --- files ----------------------------------------------------------------------------------------------


def test_a_file_opens_whatever_its_form(tmp_path: Path) -> None:
    rows = [hotpot_row(0), hotpot_row(1)]
    plain = write(tmp_path / "rows.json", rows)
    zipped = write(tmp_path / "rows.json.gz", rows)
    lines = tmp_path / "rows.jsonl"
    lines.write_text("\n".join(map(json.dumps, rows)))
    parquet = write_parquet(tmp_path / "rows.parquet", [columns(row) for row in rows])
    opened = [open_dataset(HOTPOTQA, path) for path in (plain, str(zipped), lines, parquet)]
    assert [data.source for data in opened] == [
        f"file:{name}#{opened[0].hash[:8]}"
        for name in ("rows.json", "rows.json.gz", "rows.jsonl", "rows.parquet")
    ]
    assert all(data == opened[0] for data in opened), "the hash is the content's, not the file's"
    assert opened[0].question(1).id == "r1"
    assert opened[0].num_paragraphs == 3


def test_a_dataset_is_returned_as_it_is() -> None:
    data = QADataset.from_records([{"question": "q?", "answer": "a", "documents": []}])
    assert open_dataset(HOTPOTQA, data, split="anything") is data


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("nowhere", ValueError, "source='nowhere' is unknown.*'auto', 'hub', 'generated', the path"),
        ("nowhere.json", FileNotFoundError, "there is no such file"),
        ("./nowhere", FileNotFoundError, "there is no such file"),
        (Path("nowhere"), FileNotFoundError, "there is no such file"),
        (7, ValueError, "source=7 is a int; choose from"),
        (None, ValueError, "source=None is a NoneType"),
    ],
)
def test_an_unknown_source_lists_the_choices(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_dataset(HOTPOTQA, source)


def test_an_unknown_split_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"split='eval'.*'train'"):
        open_dataset(HOTPOTQA, write(tmp_path / "rows.json", [hotpot_row()]), split="eval")


@pytest.mark.parametrize(
    ("name", "split", "resolved"),
    [
        ("rows.json", "train", "train"),
        ("rows.json", "dev", "validation"),
        ("hotpot_train_v1.1.json", "train", "train"),
        ("hotpot_dev_distractor_v1.json", "validation", "validation"),
        ("my-val.json", "dev", "validation"),
        ("latest_development.json", "train", "train"),
        ("train_test.json", "test", "test"),
    ],
)
def test_a_file_takes_the_split_asked_for(tmp_path: Path, name: str, split: str, resolved: str) -> None:
    assert open_dataset(HOTPOTQA, write(tmp_path / name, [hotpot_row()]), split=split).split == resolved


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("hotpot_train_v1.1.json", "validation", "pass split='train'"),
        ("hotpot_dev_distractor_v1.json.gz", "train", "pass split='validation'"),
        ("2wiki-Test.json", "train", "pass split='test'"),
        ("train_test.json", "dev", "pass split='train' or split='test'"),
    ],
)
def test_a_name_that_contradicts_the_split_is_an_error(
    tmp_path: Path, name: str, split: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        open_dataset(HOTPOTQA, write(tmp_path / name, [hotpot_row()]), split=split)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({**hotpot_row(), "question": 5}, r"rows.json: row 1: field 'question' is 5 \(int\), expected a str"),
        (["x"], r"rows.json: row 1: is \['x'\] \(list\), expected an object"),
        (None, r"rows.json: row 1: is None"),
        (wiki2_row(), r"rows.json: row 1: .*AtomMem-2WikiMultihopQA-v0"),
    ],
)
def test_a_malformed_row_is_named_by_file_and_number(tmp_path: Path, bad: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_dataset(HOTPOTQA, write(tmp_path / "rows.json", [hotpot_row(), bad]))


def test_a_malformed_line_is_named_by_row_and_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(hotpot_row()) + "\n\n" + json.dumps({**hotpot_row(), "answer": None}))
    with pytest.raises(ValueError, match=r"rows.jsonl: row 1 \(line 3\): the row has no answer"):
        open_dataset(HOTPOTQA, path)


def test_a_file_without_rows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no question"):
        open_dataset(HOTPOTQA, write(tmp_path / "rows.json", []))


def test_facts_without_a_sentence_and_questions_without_gold_are_counted(tmp_path: Path) -> None:
    dropped = {**hotpot_row(1), "supporting_facts": [["Ambry", 9], ["Ada 1", 0]]}
    absent = {**hotpot_row(2), "context": []}
    report = open_dataset(HOTPOTQA, write(tmp_path / "rows.json", [hotpot_row(), dropped, absent])).report
    assert report == {"questions": 3, "paragraphs": 3, "dropped_facts": 1, "questions_without_gold": 1}


def test_a_big_file_shows_its_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sources, "_BIG_FILE", 100)
    rows = [hotpot_row(n) for n in range(50)]
    open_dataset(HOTPOTQA, write(tmp_path / "quiet.json", rows), progress=False)
    assert capsys.readouterr().err == ""
    open_dataset(HOTPOTQA, write(tmp_path / "shown.json", rows))
    assert "Converting HotpotQA" in capsys.readouterr().err
    open_dataset(HOTPOTQA, tmp_path / "shown.json")
    assert capsys.readouterr().err == "", "once"


# --- folders --------------------------------------------------------------------------------------------


def chosen(schema: Benchmark, folder: Path, split: str = "validation") -> str:
    return open_dataset(schema, folder, split=split).source.partition("#")[0]


def test_distractor_wins_over_fullwiki(tmp_path: Path) -> None:
    write(tmp_path / "hotpot_dev_fullwiki_v1.json", [hotpot_row()])
    assert chosen(HOTPOTQA, tmp_path) == "file:hotpot_dev_fullwiki_v1.json"
    write(tmp_path / "hotpot_dev_distractor_v1.sample.json.gz", [hotpot_row()])
    assert chosen(HOTPOTQA, tmp_path) == "file:hotpot_dev_distractor_v1.sample.json.gz"
    write(tmp_path / "hotpot_dev_distractor_v1.json", [hotpot_row()])
    assert chosen(HOTPOTQA, tmp_path) == "file:hotpot_dev_distractor_v1.json", "the official name is best"


def test_the_split_picks_the_file_and_one_level_below_is_searched(tmp_path: Path) -> None:
    write(tmp_path / "HotpotQA" / "hotpot_train_v1.1.json", [hotpot_row()])
    write(tmp_path / "HotpotQA" / "hotpot_dev_distractor_v1.json", [hotpot_row(1)])
    write(tmp_path / "a" / "b" / "hotpot_train_v1.1.json", [hotpot_row(2)])
    assert open_dataset(HOTPOTQA, tmp_path, "train").question(0).id == "r0"
    assert open_dataset(HOTPOTQA, tmp_path, "dev").question(0).id == "r1"


def test_a_gzipped_twin_is_no_second_file(tmp_path: Path) -> None:
    write(tmp_path / "hotpot_train_v1.1.json", [hotpot_row()])
    write(tmp_path / "hotpot_train_v1.1.json.gz", [hotpot_row()])
    assert chosen(HOTPOTQA, tmp_path, "train") == "file:hotpot_train_v1.1.json"


def test_several_files_that_fit_equally_well_are_listed(tmp_path: Path) -> None:
    write(tmp_path / "more" / "hotpot_train_v1.1.a.json", [hotpot_row()])
    write(tmp_path / "less" / "hotpot_train_v1.1.b.json", [hotpot_row()])
    with pytest.raises(
        ValueError, match=r"several HotpotQA files.*v1.1.b.json, more.hotpot_train_v1.1.a.json; pass"
    ):
        open_dataset(HOTPOTQA, tmp_path, "train")
    write(tmp_path / "hotpot_train_v1.1.c.json", [hotpot_row()])
    assert chosen(HOTPOTQA, tmp_path, "train") == "file:hotpot_train_v1.1.c.json", "it lies highest"


def test_a_folder_without_the_file_says_what_was_looked_for_and_what_is_there(tmp_path: Path) -> None:
    write(tmp_path / "hotpot_train_v1.1.json", [hotpot_row()])
    (tmp_path / "notes.txt").write_text("")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(
        FileNotFoundError,
        match=r"split='validation'.*hotpot_dev_distractor_v1.json.*there: hotpot_train_v1.1.json$",
    ):
        open_dataset(HOTPOTQA, tmp_path)
    with pytest.raises(FileNotFoundError, match="data files there: none"):
        open_dataset(MUSIQUE, empty)


def test_2wiki_has_plain_names_that_need_more_than_a_name(tmp_path: Path) -> None:
    write(tmp_path / "2WikiMultihopQA" / "dev.json", [wiki2_row()])
    write(tmp_path / "other" / "train.json", [wiki2_row()])
    assert chosen(WIKI2, tmp_path) == "file:dev.json without aliases"
    assert chosen(WIKI2, tmp_path / "2WikiMultihopQA") == "file:dev.json without aliases"
    for folder in (tmp_path, tmp_path / "other"):
        assert chosen(WIKI2, folder, "train") == "file:train.json without aliases"
    write(tmp_path / "other" / "train.json", [hotpot_row()])
    with pytest.raises(FileNotFoundError):
        open_dataset(WIKI2, tmp_path / "other", "train")


def test_a_custom_file_holds_records(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.json", [{"question": "q?", "answer": "a", "documents": [["A", "b"]]}])
    data = open_dataset(CUSTOM, path)
    assert (data.name, data.question(0).id, data.document(0)) == ("custom", "0", ("A", "b"))
    for source in ("auto", "generated", "hub"):
        with pytest.raises(ValueError, match="Your own questions"):
            open_dataset(CUSTOM, source)


# --- files as people have them --------------------------------------------------------------------------


WRAPPERS: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "data": lambda rows: {"version": "1", "data": rows},
    "splits": lambda rows: {"train": [hotpot_row(77)], "dev": rows},
    "by id": lambda rows: {row["_id"]: {name: row[name] for name in row if name != "_id"} for row in rows},
    "splits by id": lambda rows: {"validation": {row["_id"]: row for row in rows}},
    "columns": lambda rows: {name: [row[name] for row in rows] for name in rows[0]},
    "pandas": lambda rows: {name: {str(n): row[name] for n, row in enumerate(rows)} for name in rows[0]},
}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_rows_are_found_within_an_object(
    tmp_path: Path, wrapper: str, count: int, indent: int | None
) -> None:
    rows = [hotpot_row(n) for n in range(count)]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(WRAPPERS[wrapper](rows), indent=indent))
    assert open_dataset(HOTPOTQA, path) == open_dataset(HOTPOTQA, write(tmp_path / "plain.json", rows))


def test_a_split_that_an_object_lacks_is_an_error_that_names_those_it_has(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"train": [hotpot_row(0)], "dev": [hotpot_row(1)]}))
    assert open_dataset(HOTPOTQA, path, "train").question(0).id == "r0"
    assert open_dataset(HOTPOTQA, path, "dev").question(0).id == "r1"
    with pytest.raises(ValueError, match=r"no rows of split='test'; it has 'train', 'dev'"):
        open_dataset(HOTPOTQA, path, "test")


def test_numbers_and_arrays_of_pandas_are_taken() -> None:
    row = {**hotpot_row(), "_id": np.int64(7), "answer": 1902}
    row["context"] = np.array([[title, np.array(texts)] for title, texts in row["context"]], dtype=object)
    row["supporting_facts"] = np.array([["Ada 0", np.int64(1)]], dtype=object)
    record = HOTPOTQA.parse(row)
    assert (record.id, record.answers, record.gold) == ("7", ("1902",), (0,))
    own = {"id": np.int64(3), "question": "q?", "answer": np.int64(4), "supporting": np.array([0])}
    parsed = parse_record({**own, "documents": np.array([["A", "b"]])})
    assert (parsed.id, parsed.answers, parsed.gold) == ("3", ("4",), (0,))


def test_titles_of_hotpotqa_are_unescaped_in_supporting_facts_alike() -> None:
    row = hotpot_row()
    row["context"][0][0] = "Ada &amp; Bo"
    row["supporting_facts"] = [["Ada &amp; Bo", 1]]
    record = HOTPOTQA.parse(row)
    assert record.documents[0].title == "Ada & Bo"
    assert (record.gold, len(record.evidence), record.missing) == ((0,), 1, False)
    other = {**row, "evidences": []}
    del other["level"]
    assert WIKI2.parse(other).documents[0].title == "Ada &amp; Bo", "only HotpotQA's titles are escaped"


def test_aliases_are_read_where_they_lie_next_to_the_file(tmp_path: Path) -> None:
    rows = [{**wiki2_row(0), "answer_id": "Q5"}, {**wiki2_row(1), "answer_id": None}]
    path = write(tmp_path / "data_ids_april7" / "dev.json", rows)
    without = open_dataset(WIKI2, tmp_path)
    assert without.source.partition("#")[0] == "file:dev.json without aliases"
    lines = [
        {"Q_id": "Q5", "aliases": ["Ambri", "Ambry"], "demonyms": ["Ambrian"]},
        {"Q_id": "Q6", "aliases": ["x"]},
    ]
    path.with_name("id_aliases.json").write_text("\n".join(map(json.dumps, lines)))
    data = open_dataset(WIKI2, tmp_path)
    assert data.source.partition("#")[0] == "file:dev.json"
    assert [data.question(n).answers for n in range(2)] == [("Ambry", "Ambri", "Ambrian"), ("Ambry",)]
    assert pickle.loads(pickle.dumps(data)) == data


@pytest.mark.parametrize(
    ("schema", "name"),
    [(HOTPOTQA, "hotpotqa.json"), (WIKI2, "2wikimultihopqa.json"), (WIKI2, "raw/data_ids_april7/dev.json")],
)
def test_published_layouts_are_found(tmp_path: Path, schema: Benchmark, name: str) -> None:
    write(tmp_path / name, [hotpot_row() if schema is HOTPOTQA else wiki2_row()])
    assert chosen(schema, tmp_path).startswith(f"file:{Path(name).name}")


@pytest.mark.parametrize("folder", ["distractor", "hub/distractor", "a/hub/distractor", "."])
def test_shards_of_the_hub_are_found_together(tmp_path: Path, folder: str) -> None:
    for shard in range(2):
        rows = [columns(hotpot_row(shard))]
        write_parquet(tmp_path / folder / f"validation-0000{shard}-of-00002.parquet", rows)
    data = open_dataset(HOTPOTQA, tmp_path)
    assert [data.question(n).id for n in range(2)] == ["r0", "r1"]
    assert data.source.startswith("file:")
    assert "/validation-*.parquet#" in data.source
    assert pickle.loads(pickle.dumps(data)) == data
    (tmp_path / folder / "validation-00001-of-00002.parquet").unlink()
    with pytest.raises(FileNotFoundError):
        open_dataset(HOTPOTQA, tmp_path)


def test_the_same_name_in_another_projects_form_is_passed_over(tmp_path: Path) -> None:
    kilt = {"id": "k", "input": "q?", "output": [{"answer": "a"}]}
    write(tmp_path / "hotpotqa-dev-kilt.jsonl", [kilt])
    write(
        tmp_path / "2wikimultihopqa" / "dev.jsonl", [{"id": "f", "question": "q?", "golden_answers": ["a"]}]
    )
    with pytest.raises(
        FileNotFoundError,
        match=r"any file with rows of HotpotQA.*data files there: .*hotpotqa-dev-kilt.jsonl",
    ):
        open_dataset(HOTPOTQA, tmp_path)
    with pytest.raises(FileNotFoundError):
        open_dataset(WIKI2, tmp_path)
    write(tmp_path / "hotpot-dev.json", [hotpot_row()])
    assert chosen(HOTPOTQA, tmp_path) == "file:hotpot-dev.json"


def test_a_source_may_be_named_as_module_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("their_data")
    data = QADataset.from_records([{"question": "q?", "answer": "a", "documents": [["A", "b"]]}])
    module.__dict__.update(DATA=data, make=lambda: data, wrong=3)
    monkeypatch.setitem(sys.modules, "their_data", module)
    assert open_dataset(CUSTOM, "their_data:DATA") is open_dataset(HOTPOTQA, "their_data:make") is data
    with pytest.raises(ValueError, match=r"'their_data:wrong' is a int, expected a QADataset"):
        open_dataset(CUSTOM, "their_data:wrong")
    path = write(tmp_path / "mine.json", [{"question": "q?", "answer": "a", "documents": [["A", "b"]]}])
    for source in (str(path), "their_data:DATA"):
        env = gym.make("AtomMem-Custom-v0", source=source, num_docs=1, num_questions=1)
        assert env.reset(seed=0)[0]["questions"] == ("q?",)


# --- auto -----------------------------------------------------------------------------------------------


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without data and network, that has not been warned; returns the hub's cache folder."""
    hub = tmp_path / "hub"
    monkeypatch.delenv("ATOMMEM_DATA", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(hub))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sources, "_told", [])
    return hub


def in_hub_cache(hub: Path, schema: Benchmark, name: str) -> Path:
    repository = hub / f"datasets--{str(schema.hub_id).replace('/', '--')}"
    return repository / "snapshots" / str(schema.hub_revision) / name


def kind(data: QADataset) -> str:
    return data.source.partition(":")[0]


def test_auto_takes_files_then_the_hubs_cache_then_the_world(
    no_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(GeneratedDataWarning, match="scores on it say nothing about HotpotQA"):
        assert kind(open_dataset(HOTPOTQA, world=SMALL)) == "generated"
    name = "distractor/validation-00000-of-00001.parquet"
    write_parquet(in_hub_cache(no_data, HOTPOTQA, name), [columns(hotpot_row())])
    assert kind(open_dataset(HOTPOTQA, world=SMALL)) == "hub"
    folder = tmp_path / "data"
    write(folder / "hotpot_train_v1.1.json", [hotpot_row()])
    monkeypatch.setenv("ATOMMEM_DATA", str(folder))
    assert kind(open_dataset(HOTPOTQA, world=SMALL)) == "hub", "that folder has no file of the split"
    write(folder / "hotpot_dev_distractor_v1.json", [hotpot_row()])
    assert kind(open_dataset(HOTPOTQA, world=SMALL)) == "file"


def test_the_warning_says_what_was_looked_for_and_what_lies_there(
    no_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "data" / "my_dev.json", [wiki2_row()])
    monkeypatch.setenv("ATOMMEM_DATA", str(tmp_path / "data"))
    with pytest.warns(
        GeneratedDataWarning, match=r"looked for hotpot_dev_distractor_v1.json.*there: my_dev.json"
    ):
        open_dataset(HOTPOTQA, world=SMALL)


@pytest.mark.parametrize(
    ("name", "row", "problem"),
    [
        (
            "mine.json",
            {"question": "q?", "label": "a"},
            r"mine.json: its rows have the fields 'question', 'label'",
        ),
        ("hotpot_dev.json", {"q": 1}, "hotpot_dev.json: its rows have the fields 'q'"),
        ("a/b/mine.json", {**hotpot_row(), "answer": ""}, "mine.json: the row has no answer"),
    ],
)
def test_nothing_is_generated_beside_a_file_that_nobody_recognises(
    no_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, row: Any, problem: str
) -> None:
    write(tmp_path / "data" / name, [row])
    monkeypatch.setenv("ATOMMEM_DATA", str(tmp_path / "data"))
    with pytest.raises(FileNotFoundError, match=f"looked for hotpot_dev.*{problem}.*source='generated'"):
        open_dataset(HOTPOTQA, world=SMALL)


def test_the_warning_comes_once_per_process(no_data: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for schema in (MUSIQUE, MUSIQUE, WIKI2):
            open_dataset(schema, world=SMALL)
    assert len(caught) == 1
    for hint in ("source='hub'", "ATOMMEM_DATA", "source='generated'", MUSIQUE.homepage):
        assert hint in str(caught[0].message)


def test_generated_data_that_was_asked_for_comes_without_warning(no_data: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_dataset(HOTPOTQA, "generated", world=SMALL)


def test_a_data_folder_that_is_none_is_an_error(no_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMMEM_DATA", "/no/such/folder")
    with pytest.raises(FileNotFoundError, match="ATOMMEM_DATA='/no/such/folder' is not a folder"):
        open_dataset(HOTPOTQA)


def test_auto_never_opens_the_network(no_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*arguments: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    in_hub_cache(no_data, HOTPOTQA, "distractor").mkdir(parents=True)
    with pytest.warns(GeneratedDataWarning):
        open_dataset(HOTPOTQA, world=SMALL)


# --- hub ------------------------------------------------------------------------------------------------


def test_hub_rows_are_the_official_rows(no_data: Path, tmp_path: Path) -> None:
    rows = [hotpot_row(n) for n in range(4)]
    for shard in range(2):
        name = f"distractor/train-0000{shard}-of-00002.parquet"
        part = rows[shard * 2 : shard * 2 + 2]
        write_parquet(in_hub_cache(no_data, HOTPOTQA, name), [columns(row) for row in part])
    data = open_dataset(HOTPOTQA, "hub", "train")
    assert data == open_dataset(HOTPOTQA, write(tmp_path / "rows.json", rows), "train")
    assert data.source == f"hub:hotpotqa/hotpot_qa@{HOTPOTQA.hub_revision}#{data.hash[:8]}"
    assert pickle.loads(pickle.dumps(data)) == data


def test_an_incomplete_download_is_not_taken_for_the_split(no_data: Path) -> None:
    name = "distractor/train-00000-of-00002.parquet"
    write_parquet(in_hub_cache(no_data, HOTPOTQA, name), [columns(hotpot_row())])
    with pytest.raises(ConnectionError, match="hotpotqa/hotpot_qa@1908d6a"):
        open_dataset(HOTPOTQA, "hub", "train")


def test_hub_lines_are_read_in_the_official_keys(no_data: Path) -> None:
    from atommem_env.data.world import rows

    path = in_hub_cache(no_data, MUSIQUE, "musique_ans_v1.0_dev.jsonl")
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(json.dumps(row) for row in rows("musique", SMALL, "validation")))
    assert open_dataset(MUSIQUE, "hub") == open_dataset(MUSIQUE, "generated", world=SMALL)


def test_without_a_network_the_error_says_what_to_do(no_data: Path) -> None:
    with pytest.raises(
        ConnectionError, match=r"dgslibisey/MuSiQue@\w+ could not be downloaded.*pass its path"
    ):
        open_dataset(MUSIQUE, "hub")


def test_a_split_without_answers_is_not_on_the_hub() -> None:
    with pytest.raises(ValueError, match="no split 'test' with answers; choose from 'train', 'validation'"):
        open_dataset(HOTPOTQA, "hub", "test")


# --- the generated world --------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [HOTPOTQA, WIKI2, MUSIQUE])
def test_the_world_speaks_each_schema(schema: Benchmark) -> None:
    data = open_dataset(schema, "generated", "train", WorldConfig(seed=5, size=4, revisions=0.5))
    assert data.name == schema.name
    assert data.source == f"generated:world(seed=5,size=4,revisions=0.5)#{data.hash[:8]}"
    assert data.report["questions"] == 4
    assert data.report["questions_without_gold"] == data.report["dropped_facts"] == 0


def test_the_world_in_its_own_form() -> None:
    own = Benchmark("world", "The generated world", "MIT", "", "", parse_record)
    data = open_dataset(own, split="test", world=WorldConfig(size=5, kinds=("yes_no",)))
    assert data.source.startswith("generated:world(seed=0,size=5,kinds=('yes_no',))#")
    assert {data.question(index).type for index in range(5)} == {"yes_no"}
    for index in range(5):
        for unit in data.question(index).evidence:
            assert data.document(unit.document).text[unit.start : unit.end].endswith(".")


def test_splits_and_seeds_are_different_worlds() -> None:
    opened = [
        open_dataset(HOTPOTQA, "generated", "train", SMALL),
        open_dataset(HOTPOTQA, "generated", "test", SMALL),
        open_dataset(HOTPOTQA, "generated", "train", WorldConfig(seed=1, size=3)),
    ]
    assert len({data.hash for data in opened}) == 3


def test_a_pickle_makes_the_data_again_when_the_cache_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "rows.json", [hotpot_row()])
    monkeypatch.setenv("ATOMMEM_CACHE", str(tmp_path / "cache"))
    pickled = [
        pickle.dumps(open_dataset(HOTPOTQA, path, "train")),
        pickle.dumps(open_dataset(WIKI2, "generated", world=SMALL)),
    ]
    shutil.rmtree(tmp_path / "cache")
    again = [pickle.loads(text) for text in pickled]
    assert [data.split for data in again] == ["train", "validation"]
    assert again == [open_dataset(HOTPOTQA, path, "train"), open_dataset(WIKI2, "generated", world=SMALL)]
    shutil.rmtree(tmp_path / "cache")
    write(path, [hotpot_row(1)])
    with pytest.raises(ValueError, match="the data has changed since"):
        pickle.loads(pickled[0])


# --- what importing costs, and the real samples ---------------------------------------------------------


def test_opening_a_file_imports_nothing_heavy(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.json", [hotpot_row()])
    code = (
        "import sys; from atommem_env.data.sources import open_dataset; from atommem_env.envs.hotpotqa import HOTPOTQA;"
        "assert 'pyarrow' not in sys.modules;"
        f"open_dataset(HOTPOTQA, {str(path)!r});"
        "print(sorted({'torch', 'datasets', 'pandas', 'matplotlib', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    ("schema", "name", "split", "questions", "paragraphs", "dropped"),
    [
        (HOTPOTQA, "hotpot_dev_distractor_v1.sample.json.gz", "dev", 276, 2739, 0),
        (HOTPOTQA, "hotpot_train_v1.1.sample.json.gz", "train", 221, 2184, 0),
        (HOTPOTQA, "hotpot_dev_fullwiki_v1.sample.json.gz", "dev", 210, 2070, 0),
        (WIKI2, "2wikimultihopqa_dev.sample.json.gz", "dev", 459, 3165, 0),
        (WIKI2, "2wikimultihopqa_train.sample.json.gz", "train", 350, 2199, 4),
        (MUSIQUE, "musique_ans_v1.0_dev.sample.jsonl.gz", "dev", 140, 2309, 0),
        (MUSIQUE, "musique_ans_v1.0_train.sample.jsonl.gz", "train", 70, 1355, 0),
    ],
)
def test_a_sample_opens_with_its_counts(
    samples: Path, schema: Benchmark, name: str, split: str, questions: int, paragraphs: int, dropped: int
) -> None:
    data = open_dataset(schema, samples / name, split)
    assert (data.num_questions, data.num_paragraphs) == (questions, paragraphs)
    assert data.report["dropped_facts"] == dropped
    assert (data.report["questions_without_gold"] > 100) == ("fullwiki" in name)
    for index in range(questions):
        question = data.question(index)
        assert set(question.gold) <= set(question.documents)
        for unit in question.evidence:
            text = data.document(unit.document).text[unit.start : unit.end]
            assert text
            assert text == text.strip()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("schema", "split", "name"),
    [
        (HOTPOTQA, "validation", "hotpot_dev_distractor_v1.sample.json.gz"),
        (HOTPOTQA, "train", "hotpot_train_v1.1.sample.json.gz"),
        (WIKI2, "validation", "2wikimultihopqa_dev.sample.json.gz"),
        (WIKI2, "train", "2wikimultihopqa_train.sample.json.gz"),
        (MUSIQUE, "validation", "musique_ans_v1.0_dev.sample.jsonl.gz"),
        (MUSIQUE, "train", "musique_ans_v1.0_train.sample.jsonl.gz"),
        (LONGMEMEVAL, "test", "longmemeval.sample.json.gz"),
        (LOCOMO, "test", "locomo10.sample.json.gz"),
        (BEAM, "test", "beam_100k.sample.json.gz"),
        (MEMORYAGENTBENCH, "test", "memoryagentbench_conflict_resolution.sample.json.gz"),
    ],
)
def test_the_samples_folder_holds_every_benchmark(
    samples: Path, schema: Benchmark, split: str, name: str
) -> None:
    assert chosen(schema, samples, split).removesuffix(" without aliases") == f"file:{name}"
