"""Files in other projects' forms: each is told by its first row, and its gold is never invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from atommem_env import QADataset
from atommem_env.cli import application
from atommem_env.data.benchmark import Benchmark
from atommem_env.data.convert_formats import FORMS, convert_file, recognise
from atommem_env.data.convert_formats.form import split_text, with_sentences
from atommem_env.data.sources import open_dataset
from atommem_env.envs.hotpotqa import HOTPOTQA
from atommem_env.envs.musique import MUSIQUE

CONTEXT = {
    "title": ["Mira Tal", "Tal Weir"],
    "sentences": [["Mira Tal sails.", "She built it."], ["A weir."]],
}
TEXT = "Document 1:\nMira Tal\nMira Tal sails.\n\nDocument 2:\nTal Weir\nA weir."
ASKED = "Who built Tal Weir?"

FLASHRAG = {
    "id": "dev_0",
    "question": ASKED,
    "golden_answers": ["Mira Tal"],
    "metadata": {
        "type": "bridge",
        "context": CONTEXT,
        "supporting_facts": {"title": ["Mira Tal", "Tal Weir", "Mira Tal"], "sent_id": [1, 0, 9]},
    },
}
HIPPORAG = {
    "id": "s/0",
    "question": ASKED,
    "answer": ["Mira Tal", "Mira"],
    "paragraphs": [
        {"title": "Mira Tal", "text": "Mira Tal sails.", "is_supporting": True, "idx": 0},
        {"title": "Oda", "text": "A lake.", "is_supporting": False, "idx": 1},
    ],
}
MEMAGENT = {"context": TEXT, "input": ASKED, "answers": ["Mira Tal"], "num_docs": 2, "index": 7}
TRAINING = {
    "data_source": "hotpotqa",
    "prompt": [{"role": "user", "content": ASKED}],
    "context": TEXT,
    "reward_model": {"style": "rule", "ground_truth": ["Mira Tal"]},
    "extra_info": {"index": 3, "question": ASKED, "num_docs": 2},
}
ATOMMEM = {
    **TRAINING,
    "prompt": [{"role": "user", "content": [ASKED, "What is it?"]}],
    "reward_model": {"style": "rule", "ground_truth": [["Mira Tal"], ["a weir"]]},
}
RULER = {
    "index": 0,
    "input": f"Answer the question based on the given documents.\n\n{TEXT}\n\nAnswer the question based on the given "
    f"documents. Only give me the answer.\n\nQuestion: {ASKED} Answer:",
    "outputs": ["Mira Tal"],
}
LONGBENCH = {
    "_id": "b7",
    "input": ASKED,
    "context": TEXT.replace("Document", "Passage"),
    "answers": ["Mira Tal"],
    "dataset": "hotpotqa",
}
SQUAD = {
    "title": "Tal_Weir",
    "paragraphs": [
        {
            "context": "It is a weir. Mira Tal built it. It is old.",
            "qas": [
                {"id": "q1", "question": ASKED, "answers": [{"text": "Mira Tal", "answer_start": 14}] * 2},
                {"id": "q2", "question": "Who broke it?", "answers": [], "is_impossible": True},
                {"id": "q3", "question": "What is it?", "answers": [{"text": "weir", "answer_start": 2}]},
            ],
        }
    ],
}
KILT = {"id": "k", "input": ASKED, "output": [{"answer": "Mira Tal", "provenance": []}], "meta": {}}
SEARCH_R1 = {
    "id": "d",
    "question": ASKED,
    "golden_answers": ["Mira Tal"],
    "prompt": [{"role": "user", "content": ASKED}],
    "reward_model": {"ground_truth": {"target": ["Mira Tal"]}},
}
SENTENCE = {"document": 0, "sentence": "She built it."}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def converted(path: Path) -> list[dict[str, Any]]:
    return list(convert_file(path)[1])


def test_flashrag_keeps_the_facts_whose_sentence_is_there(tmp_path: Path) -> None:
    (row,) = converted(write(tmp_path / "dev.jsonl", [FLASHRAG]))
    assert (row["id"], row["answers"], row["type"]) == ("dev_0", ["Mira Tal"], "bridge")
    assert row["documents"][0] == {"title": "Mira Tal", "text": "Mira Tal sails. She built it."}
    assert row["supporting"] == [SENTENCE, {"document": 1, "sentence": "A weir."}]
    bare = {**FLASHRAG, "metadata": {}}
    with pytest.raises(ValueError, match=r"row 0 of FlashRAG: question 'dev_0' has no paragraphs"):
        converted(write(tmp_path / "bare.jsonl", [bare]))


def test_hipporag_marks_paragraphs(tmp_path: Path) -> None:
    (row,) = converted(write(tmp_path / "sample.json", [HIPPORAG]))
    assert (row["answers"], row["supporting"], len(row["documents"])) == (["Mira Tal", "Mira"], [0], 2)


@pytest.mark.parametrize(
    ("source", "id", "questions"),
    [(MEMAGENT, "7", 1), (TRAINING, "3", 1), (ATOMMEM, "0", 2), (RULER, "0", 1), (LONGBENCH, "b7", 1)],
    ids=["memagent", "training", "atommem", "ruler", "longbench"],
)
def test_a_long_text_becomes_a_history_without_evidence(
    tmp_path: Path, source: dict[str, Any], id: str, questions: int
) -> None:
    form, rows = convert_file(write(tmp_path / "rows.jsonl", [source]))
    (row,) = rows
    assert (form.kind, row["id"], len(row["questions"])) == ("histories", id, questions)
    assert [session["turns"][0]["text"] for session in row["sessions"]] == [
        "Mira Tal\nMira Tal sails.",
        "Tal Weir\nA weir.",
    ]
    assert row["questions"][0] == {"question": ASKED, "answers": ["Mira Tal"]}
    data = QADataset.from_histories([row])
    assert (data.num_questions, data.question(0).answers, data.question(0).evidence) == (
        questions,
        ("Mira Tal",),
        (),
    )


def test_squads_evidence_is_the_sentence_with_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"version": "2.0", "data": [SQUAD]}))
    first, third = converted(path)
    assert (first["id"], first["answers"]) == ("q1", ["Mira Tal"])
    assert first["supporting"] == [{"document": 0, "sentence": "Mira Tal built it."}]
    assert third["supporting"] == [{"document": 0}], "the file's position does not hold the answer"


def test_beir_takes_gold_from_its_corpus_and_none_where_that_lacks_it(tmp_path: Path) -> None:
    facts = [["Mira Tal", 1], ["Tal Weir", 0]]
    queries = [
        {"_id": "b0", "text": ASKED, "metadata": {"answer": "Mira Tal", "supporting_facts": facts}},
        {"_id": "b1", "text": "?", "metadata": {"answer": "no", "supporting_facts": [["Gone", 0], *facts]}},
    ]
    write(tmp_path / "queries.jsonl", queries)
    with pytest.raises(ValueError, match=r"corpus.jsonl is not in the folder"):
        converted(tmp_path)
    write(tmp_path / "corpus.jsonl", [{"_id": title, "title": title, "text": "x"} for title, _ in facts])
    whole, partly = converted(tmp_path)
    assert whole["supporting"] == ["Mira Tal", "Tal Weir"]
    assert len(partly["documents"]) == 2
    assert "supporting" not in partly


@pytest.mark.parametrize(("row", "why"), [(KILT, "KILT's Wikipedia"), (SEARCH_R1, "its agent searches")])
def test_what_holds_no_paragraphs_is_refused(tmp_path: Path, row: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=f"hold no paragraphs.*{why}.*take the benchmark's own file"):
        convert_file(write(tmp_path / "rows.jsonl", [row]))


def test_an_unknown_form_names_its_fields_and_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the fields 'a', 'b'; known are .*FlashRAG.*\"documents\""):
        convert_file(write(tmp_path / "rows.jsonl", [{"a": 1, "b": 2}]))


ROWS = {
    "FlashRAG": FLASHRAG,
    "HippoRAG": HIPPORAG,
    "MemAgent's evaluation": MEMAGENT,
    "MemAgent's training": TRAINING,
    "the released AtomMem's": ATOMMEM,
    "RULER": RULER,
    "LongBench": LONGBENCH,
    "SQuAD": SQUAD,
    "KILT": KILT,
    "Search-R1": SEARCH_R1,
}


@pytest.mark.parametrize("schema", [HOTPOTQA, MUSIQUE], ids=lambda one: one.name)
@pytest.mark.parametrize("title", ROWS)
def test_a_foreign_file_given_to_a_benchmark_is_named(tmp_path: Path, title: str, schema: Benchmark) -> None:
    path = write(tmp_path / "rows.jsonl", [ROWS[title]])
    with pytest.raises(ValueError, match=r"is missing: the row has the fields") as caught:
        open_dataset(schema, path)
    told = str(caught.value)
    assert f"it has the form of {title}" in told
    assert "without answers" not in told
    assert ("atommem convert FILE" in told) != ("take the benchmark's own file" in told)


FIELDS = sorted({name for row in ROWS.values() for name in row})
ODD = st.none() | st.just([]) | st.just("x") | st.just({})


@given(row=st.dictionaries(st.sampled_from(FIELDS), ODD))
def test_no_row_makes_recognition_fail(row: dict[str, Any]) -> None:
    form = recognise(row)
    assert form is None or form in FORMS


@given(st.lists(st.text(alphabet="ab \n:", min_size=1).map(str.strip).filter(bool), min_size=1, max_size=12))
def test_a_text_is_split_at_its_headers(documents: list[str]) -> None:
    text = "\n\n".join(
        f"Document {number}:\n{document}" for number, document in enumerate(documents, start=1)
    )
    assert split_text(text) == ("", documents)


def test_a_header_out_of_turn_is_text() -> None:
    assert split_text("Intro\nDocument 1:\na\nDocument 7:\nb\nDocument 2: c")[1] == ["a\nDocument 7:\nb", "c"]
    assert split_text("no header") == ("no header", [])


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-2, 4)), max_size=5))
def test_gold_is_never_invented(facts: list[tuple[str, int]]) -> None:
    documents = [("A", ["One. ", "Two."]), ("B", ["", "Three."]), ("A", ["Four."])]
    made = with_sentences(documents, facts)
    for unit in made["supporting"]:
        title, sentences = documents[unit["document"]]
        assert any(fact == (title, number) for fact in facts for number in range(len(sentences)))
        assert unit["sentence"] in made["documents"][unit["document"]]["text"]


def test_the_command_writes_records_that_open(tmp_path: Path) -> None:
    source, to = write(tmp_path / "dev.jsonl", [FLASHRAG]), tmp_path / "records.jsonl"
    done = CliRunner().invoke(application(), ["convert", str(source), "--to", str(to)])
    assert done.exit_code == 0, done.output
    assert "1 records of FlashRAG are in" in done.output
    rows = [json.loads(line) for line in to.read_text(encoding="utf-8").splitlines()]
    assert QADataset.from_records(rows).question(0).evidence
    refused = CliRunner().invoke(
        application(), ["convert", str(write(tmp_path / "k.jsonl", [KILT])), "--to", str(to)]
    )
    assert refused.exit_code == 2
    assert "hold no paragraphs" in refused.output


@pytest.mark.heavy
def test_every_form_of_the_samples_has_a_word(samples: Path) -> None:
    folder = samples.parent / "cases" / "formats"
    if not folder.is_dir():
        pytest.skip("the forms are not here")
    made = {}
    for name in (
        "flashrag/hotpotqa/dev.jsonl",
        "beir/hotpotqa/queries.jsonl",
        "squad.json",
        "hipporag1/sample.json",
    ):
        made[name] = len(converted(folder / name))
    for name in ("memagent/eval_50.json", "memagent/hotpotqa_dev.parquet", "ruler/qa_2.jsonl"):
        made[name] = len(converted(folder / name))
    made["atommem"] = len(converted(folder / "atommem" / "hotpotqa_dev_multiquery.parquet"))
    assert set(made.values()) == {3}
    for name in ("answer_int", "by_id", "data_key", "int_id", "split_keys"):
        assert open_dataset(HOTPOTQA, folder / f"{name}.json").num_questions == 3
    assert open_dataset(MUSIQUE, folder / "musique_pandas.parquet").num_questions == 3
