"""Rows of the three benchmarks, in official and hub form, as records."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from atommem_env.data.benchmark import Benchmark
from atommem_env.data.records import Record
from atommem_env.envs.hotpotqa import HOTPOTQA
from atommem_env.envs.musique import MUSIQUE
from atommem_env.envs.wiki2 import WIKI2


def sentence_row(benchmark: str = "hotpotqa") -> dict[str, Any]:
    space = " " if benchmark == "hotpotqa" else ""
    row: dict[str, Any] = {
        "_id": "r1",
        "question": "On which river lies the town where Ada Vale was born?",
        "answer": "River Esk",
        "type": "bridge",
        "supporting_facts": [["Ada Vale", 1], ["Ambry", 0]],
        "context": [
            ["Ada Vale", ["Ada Vale was a painter.", f"{space}She was born in Ambry."]],
            ["Brenholt", ["Brenholt is a hill."]],
            ["Ambry", ["Ambry lies on the River Esk.", f"{space}It has a mill."]],
        ],
    }
    extra: dict[str, Any] = {"level": "hard"} if benchmark == "hotpotqa" else {"evidences": [["a", "b", "c"]]}
    return row | extra


def column_row(row: dict[str, Any]) -> dict[str, Any]:
    made = {name: value for name, value in row.items() if name not in ("_id", "context", "supporting_facts")}
    titles, sentences = zip(*row["context"], strict=True)
    made["id"] = row["_id"]
    made["context"] = {"title": list(titles), "sentences": list(sentences)}
    facts = row["supporting_facts"]
    made["supporting_facts"] = {"title": [fact[0] for fact in facts], "sent_id": [fact[1] for fact in facts]}
    return made


def musique_row() -> dict[str, Any]:
    paragraphs = [
        ("Ambry", "Ambry is a town. It lies on the River Esk. The Esk is short.", True),
        ("Brenholt", "Brenholt is a hill.", False),
        ("Ambry", "Ambry is also a ship.", False),
        ("Ada Vale", "Ada Vale was a painter born in AMBRY.", True),
    ]
    return {
        "id": "2hop__12_34",
        "question": "On which river lies the birthplace of Ada Vale?",
        "answer": "River Esk",
        "answer_aliases": ["Esk", "River Esk", "the Esk"],
        "answerable": True,
        "paragraphs": [
            {"idx": idx, "title": title, "paragraph_text": text, "is_supporting": supporting}
            for idx, (title, text, supporting) in enumerate(paragraphs)
        ],
        "question_decomposition": [
            {"id": 1, "question": "Ada Vale >> born in", "answer": "Ambry", "paragraph_support_idx": 3},
            {"id": 2, "question": "river of #1", "answer": "River Esk", "paragraph_support_idx": 0},
        ],
    }


def units(record: Record) -> list[str]:
    return [record.documents[unit.document].text[unit.start : unit.end] for unit in record.evidence]


SENTENCE_FORMS = [(HOTPOTQA, "hotpotqa"), (WIKI2, "2wikimultihopqa")]


@pytest.mark.parametrize(("schema", "name"), SENTENCE_FORMS)
def test_an_official_row(schema: Benchmark, name: str) -> None:
    record = schema.parse(sentence_row(name))
    assert (record.id, record.type, record.answers) == ("r1", "bridge", ("River Esk",))
    assert record.documents[0].text == "Ada Vale was a painter. She was born in Ambry."
    assert record.gold == (0, 2)
    assert units(record) == ["She was born in Ambry.", "Ambry lies on the River Esk."]
    assert (record.dropped, record.missing) == (0, False)


@pytest.mark.parametrize(("schema", "name"), SENTENCE_FORMS)
def test_column_form_gives_the_same_record(schema: Benchmark, name: str) -> None:
    row = sentence_row(name)
    assert schema.parse(column_row(row)) == schema.parse(row)


def test_wiki2_columns_of_json_text_give_the_same_record() -> None:
    row = sentence_row("2wikimultihopqa")
    text = {name: json.dumps(row[name]) for name in ("context", "supporting_facts", "evidences")}
    assert WIKI2.parse(row | text) == WIKI2.parse(row)


def test_a_paragraph_given_twice_is_one_document() -> None:
    row = sentence_row("2wikimultihopqa")
    row["context"].insert(1, copy.deepcopy(row["context"][0]))
    record = WIKI2.parse(row)
    assert [document.title for document in record.documents] == ["Ada Vale", "Brenholt", "Ambry"]
    assert record.gold == (0, 2)


@pytest.mark.parametrize("index", [2, 99, -1])
def test_a_fact_past_the_last_sentence_is_dropped_and_counted(index: int) -> None:
    row = sentence_row()
    row["supporting_facts"][0][1] = index
    record = HOTPOTQA.parse(row)
    assert record.dropped == 1
    assert units(record) == ["Ambry lies on the River Esk."]
    assert record.gold == (0, 2), "the paragraph that the fact names stays gold"
    assert not record.missing


def test_a_fact_that_names_an_empty_sentence_is_dropped() -> None:
    row = sentence_row()
    row["context"][0][1][1] = "  "
    record = HOTPOTQA.parse(row)
    assert record.dropped == 1
    assert units(record) == ["Ambry lies on the River Esk."]


def test_a_supporting_title_that_is_absent_leaves_the_question_without_evidence() -> None:
    row = sentence_row()
    row["context"].pop(0)
    record = HOTPOTQA.parse(row)
    assert record.missing
    assert record.evidence == ()
    assert [record.documents[position].title for position in record.gold] == ["Ambry"]


def test_an_empty_context_is_a_question_without_gold() -> None:
    record = HOTPOTQA.parse(sentence_row() | {"context": []})
    assert (record.documents, record.gold, record.evidence, record.missing) == ((), (), (), True)


def test_a_fact_belongs_to_the_first_paragraph_of_its_title_that_has_the_sentence() -> None:
    row = sentence_row()
    row["context"].insert(0, ["Ada Vale", ["Ada Vale is a ship."]])
    record = HOTPOTQA.parse(row)
    assert units(record)[0] == "She was born in Ambry."
    assert record.gold == (1, 3)


def test_the_same_fact_twice_is_one_unit() -> None:
    row = sentence_row()
    row["supporting_facts"].append(["Ada Vale", 1])
    assert len(HOTPOTQA.parse(row).evidence) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": None}, "no answer: test files"),
        ({"answer": ""}, "no answer: test files"),
        ({"answer": 7.5}, r"'answer' is 7.5 \(float\), expected a str or an int"),
        ({"question": "  "}, "'question' is '  '.*not blank"),
        ({"question": ["x"]}, r"'question' is \['x'\] \(list\)"),
        ({"_id": True}, r"'_id' is True \(bool\)"),
        ({"type": 3}, r"'type' is 3 \(int\)"),
        ({"context": 3}, r"'context' is 3 \(int\), expected a list"),
        ({"context": [["Ada Vale"]]}, r"context\[0\].*expected a pair \[title, sentences\]"),
        (
            {"context": [["Ada Vale", "One text."]]},
            r"context\[0\].sentences' is 'One text.' \(str\), expected a list",
        ),
        (
            {"context": [["Ada Vale", ["x", None]]]},
            r"context\[0\].sentences' is None \(NoneType\), expected a str",
        ),
        ({"context": [[5, ["x"]]]}, r"context\[0\].title' is 5"),
        (
            {"supporting_facts": [["Ada Vale", "1"]]},
            r"supporting_facts\[0\].sent_id' is '1' \(str\), expected an int",
        ),
        ({"supporting_facts": [["Ada Vale", True]]}, r"sent_id' is True \(bool\), expected an int"),
        ({"supporting_facts": [["Ada Vale", 1.0]]}, r"sent_id' is 1.0 \(float\), expected an int"),
        ({"supporting_facts": {"title": ["Ada Vale"], "sent_id": []}}, "1 values in 'title' but 0"),
    ],
)
@pytest.mark.parametrize(("schema", "name"), SENTENCE_FORMS)
def test_a_malformed_row_says_what_is_wrong(
    schema: Benchmark, name: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        schema.parse(sentence_row(name) | change)


@pytest.mark.parametrize("field", ["question", "context", "supporting_facts", "_id"])
def test_a_missing_field_is_named(field: str) -> None:
    row = sentence_row()
    del row[field]
    with pytest.raises(ValueError, match=f"'{field.lstrip('_')}' is missing"):
        HOTPOTQA.parse(row)


def test_rows_of_the_other_benchmark_are_refused() -> None:
    with pytest.raises(ValueError, match="AtomMem-2WikiMultihopQA-v0"):
        HOTPOTQA.parse(sentence_row("2wikimultihopqa"))
    with pytest.raises(ValueError, match="AtomMem-HotpotQA-v0"):
        WIKI2.parse(sentence_row("hotpotqa"))


# --- MuSiQue ----------------------------------------------------------------------------------------


def test_a_musique_row() -> None:
    record = MUSIQUE.parse(musique_row())
    assert (record.id, record.type) == ("2hop__12_34", "2hop")
    assert record.answers == ("River Esk", "Esk", "the Esk"), "aliases follow the answer, without repeats"
    assert [document.title for document in record.documents] == ["Ambry", "Brenholt", "Ambry", "Ada Vale"]
    assert record.gold == (0, 3)
    assert units(record) == ["Ada Vale was a painter born in AMBRY.", "It lies on the River Esk."]


def test_a_hop_whose_answer_is_nowhere_counts_the_whole_paragraph() -> None:
    row = musique_row()
    row["question_decomposition"][1]["answer"] = "Danube"
    assert units(MUSIQUE.parse(row))[1] == "Ambry is a town. It lies on the River Esk. The Esk is short."


def test_a_whole_word_is_preferred_over_a_part_of_one() -> None:
    row = musique_row()
    row["paragraphs"][0]["paragraph_text"] = "Eskdale is near. The Esk is short."
    row["question_decomposition"][1]["answer"] = "esk"
    assert units(MUSIQUE.parse(row))[1] == "The Esk is short."
    row["paragraphs"][0]["paragraph_text"] = "A hill. Eskdale is near."
    assert units(MUSIQUE.parse(row))[1] == "Eskdale is near."


def test_two_hops_in_one_sentence_are_one_unit() -> None:
    row = musique_row()
    row["question_decomposition"][0] |= {"answer": "River Esk", "paragraph_support_idx": 0}
    assert units(MUSIQUE.parse(row)) == ["It lies on the River Esk."]


def test_a_hop_whose_paragraph_is_absent_leaves_no_evidence() -> None:
    row = musique_row()
    row["question_decomposition"][1]["paragraph_support_idx"] = 17
    record = MUSIQUE.parse(row)
    assert (record.missing, record.evidence, record.gold) == (True, (), (0, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": None}, "no answer: test files"),
        ({"answerable": False}, "'answerable' is False.*musique_ans"),
        ({"answer_aliases": "Esk"}, r"'answer_aliases' is 'Esk' \(str\), expected a list"),
        ({"answer_aliases": [None]}, r"answer_aliases\[0\]' is None"),
        ({"paragraphs": None}, "'paragraphs' is None"),
        ({"paragraphs": ["x"]}, r"paragraphs\[0\]' is 'x' \(str\), expected an object"),
        ({"paragraphs": [{"idx": 0, "title": "A"}]}, "'paragraph_text' is missing"),
        (
            {"paragraphs": [{"idx": 0, "title": "A", "paragraph_text": "b", "is_supporting": "no"}]},
            r"paragraphs\[0\].is_supporting' is 'no' \(str\), expected true or false",
        ),
        ({"question_decomposition": [{"answer": "a"}]}, "'paragraph_support_idx' is missing"),
        (
            {"question_decomposition": [{"answer": "a", "paragraph_support_idx": None}]},
            r"paragraph_support_idx' is None \(NoneType\), expected an int",
        ),
        ({"id": ""}, "'id' is ''"),
    ],
)
def test_a_malformed_musique_row_says_what_is_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MUSIQUE.parse(musique_row() | change)


@pytest.mark.parametrize("schema", [HOTPOTQA, WIKI2, MUSIQUE])
def test_a_benchmark_pickles_and_hashes(schema: Benchmark) -> None:
    assert pickle.loads(pickle.dumps(schema)) == schema
    assert len({schema, copy.deepcopy(schema)}) == 1
    assert schema.hub_revision is not None
    assert len(schema.hub_revision) == 40, "the hub is read at a pinned commit"
