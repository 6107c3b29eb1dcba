"""Random access to a dataset, and a user's own records."""

from __future__ import annotations

import ast
import copy
import multiprocessing
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.data.dataset import QADataset
from atommem_env.data.records import Document
from atommem_env.data.sources import open_dataset
from atommem_env.data.table import text_key
from atommem_env.data.world import WorldConfig
from atommem_env.envs.hotpotqa import HOTPOTQA
from atommem_env.text import PieceTokenizer
from small_data import records

ROW: dict[str, Any] = {
    "question": "Where does the Esk rise?",
    "answer": "Brenholt",
    "documents": [
        {"title": "Esk", "text": " The Esk is a river. It rises at Brenholt. "},
        ("Brenholt", "Brenholt is a hill."),
    ],
}


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {**ROW, "question": f"Question {number}?", **changes}


TEXT = st.text(alphabet="ab \u00e9\u3042\U0001f600\n", min_size=1, max_size=12).filter(str.strip)
DOCUMENTS = st.lists(st.tuples(st.text(alphabet="AB\u00e9", max_size=3), TEXT), max_size=5)


@settings(max_examples=25, deadline=None)
@given(own=st.lists(DOCUMENTS, min_size=1, max_size=4), others=DOCUMENTS)
def test_the_table_holds_each_pair_of_title_and_text_once_in_order(
    own: list[list[tuple[str, str]]], others: list[tuple[str, str]]
) -> None:
    data = QADataset.from_records([row(n, documents=documents) for n, documents in enumerate(own)], others)
    given_order = [Document(title, text.strip()) for documents in [*own, others] for title, text in documents]
    table = list(dict.fromkeys(given_order))
    assert data.num_paragraphs == len(table)
    assert data.documents(range(len(table))) == table
    for number, documents in enumerate(own):
        question = data.question(number)
        assert [data.document(at) for at in question.documents] == list(
            dict.fromkeys(Document(title, text.strip()) for title, text in documents)
        )
    tokenizer = PieceTokenizer()
    for at, (title, text) in enumerate(table):
        for starts, value in zip(data.token_starts(at), (title, text), strict=True):
            assert starts.dtype == np.int32
            assert starts.tolist() == tokenizer.starts(value).tolist()
    assert data.title_hash.tolist() == [text_key(document.title) for document in table]
    assert data.text_hash.tolist() == [text_key(document.text) for document in table]


def test_rows_beyond_one_batch_are_found() -> None:
    count = 9_000
    data = QADataset.from_records([row()], [(f"T{n}", f"text {n}") for n in range(count)])
    assert data.num_paragraphs == count + 2
    for at in (0, 4095, 4096, 8191, 8192, count + 1):
        expected = Document(f"T{at - 2}", f"text {at - 2}") if at > 1 else data.document(at)
        assert data.document(at) == expected
        assert len(data.token_starts(at)[1]) == PieceTokenizer().count(data.document(at).text)
    rows = np.array([count, 3, 3])
    assert data.documents(rows) == [data.document(at) for at in rows.tolist()]
    assert data.token_counts(rows) == [(5, 5), (2, 2), (2, 2)]


def test_what_is_not_there_is_an_index_error() -> None:
    data = QADataset.from_records([row()])
    for call in (data.question, data.document, data.token_starts):
        for index in (-1, 2):
            with pytest.raises(IndexError, match=f"{index}: the dataset has"):
                call(index)
    with pytest.raises(IndexError, match="paragraph 2"):
        data.documents([0, 2])
    with pytest.raises(IndexError, match="paragraph -1"):
        data.token_counts([-1, 0])
    assert data.documents([]) == []


def test_the_record_of_a_question() -> None:
    data = QADataset.from_records(
        [row(id="a", type="bridge", answers=["the Brenholt", "Brenholt"], supporting=["Esk"])], name="rivers"
    )
    question = data.question(0)
    assert (question.row, question.id, question.type) == (0, "a", "bridge")
    assert question.answers == ("Brenholt", "the Brenholt")
    assert question.gold == (0,)
    assert data.report == {"questions": 1, "paragraphs": 2, "dropped_facts": 0, "questions_without_gold": 0}
    assert (data.name, data.split, len(data)) == ("rivers", "validation", 1)
    assert data.source == f"records:rivers#{data.hash[:8]}"


@pytest.mark.parametrize(
    ("supporting", "units"),
    [
        (None, []),
        ([], []),
        (["Esk"], ["The Esk is a river. It rises at Brenholt."]),
        ([1, "Esk"], ["Brenholt is a hill.", "The Esk is a river. It rises at Brenholt."]),
        ([{"document": 0, "sentence": " It rises at Brenholt. "}], ["It rises at Brenholt."]),
        ([{"document": "Brenholt"}], ["Brenholt is a hill."]),
    ],
)
def test_supporting_documents_and_sentences(supporting: Any, units: list[str]) -> None:
    data = QADataset.from_records([row(supporting=supporting)])
    evidence = data.question(0).evidence
    assert [data.document(unit.document).text[unit.start : unit.end] for unit in evidence] == units
    assert data.report["questions_without_gold"] == (0 if units else 1)


def test_positions_are_those_of_the_list_as_given() -> None:
    first, second = ROW["documents"]
    data = QADataset.from_records([row(documents=[first, first, second], supporting=[2])])
    assert data.document(data.question(0).gold[0]).title == "Brenholt"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": None}, r"record 1: field 'question' is None \(NoneType\), expected a str"),
        ({"answer": None}, "record 1: there is no answer; expected 'answer'"),
        ({"answer": 19.5}, r"record 1: field 'answer' is 19.5 \(float\), expected a str or an int"),
        ({"answers": ["x", ""]}, r"record 1: field 'answers\[1\]' is ''"),
        ({"answers": "x"}, r"record 1: field 'answers' is 'x' \(str\), expected a list"),
        ({"documents": ["text"]}, r"documents\[0\]' is 'text' \(str\), expected a document \{"),
        ({"documents": [("A", " ")]}, r"documents\[0\] text' is ' '"),
        ({"documents": [{"title": "A"}]}, "'text' is missing"),
        ({"documents": [{"titel": "A", "text": "b"}]}, "unknown field 'titel'"),
        ({"context": []}, "field 'context' is unknown; expected question, answer"),
        ({"supporting": "Esk"}, r"'supporting' is 'Esk' \(str\), expected a list"),
        ({"supporting": ["Ambry"]}, r"supporting\[0\]' is 'Ambry' \(str\), expected the title of a document"),
        ({"supporting": [2]}, r"supporting\[0\]' is 2 \(int\), expected a position from 0 to 1"),
        ({"supporting": [1.5]}, r"supporting\[0\]' is 1.5 \(float\)"),
        ({"supporting": [True]}, r"supporting\[0\]' is True \(bool\)"),
        ({"supporting": [{"sentence": "x"}]}, r"supporting\[0\]' is .*\(dict\), expected \{\"document\""),
        (
            {"supporting": [{"document": 0, "sentence": "x y z"}]},
            "'x y z' .*expected an exact part of document 'Esk'",
        ),
        (
            {"documents": [("A", "b"), ("A", "c")], "supporting": ["A"]},
            "expected a position, as the title is not",
        ),
    ],
)
def test_a_bad_record_names_its_number_the_value_and_the_mend(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QADataset.from_records([row(0), row(1, **change)])


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="records is empty"):
        QADataset.from_records([])
    with pytest.raises(ValueError, match="records is a str"):
        QADataset.from_records("questions.json")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"record 0: field 'record' is 3 \(int\)"):
        QADataset.from_records([3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"'documents\[1\]' is 5"):
        QADataset.from_records([row()], [("A", "b"), 5])
    with pytest.raises(ValueError, match="name=''"):
        QADataset.from_records([row()], name="")


def test_lone_surrogates_become_replacement_characters() -> None:
    data = QADataset.from_records([row(question="Who\ud800?", documents=[("A\udfff", "b")])])
    assert data.question(0).question == "Who\ufffd?"
    assert data.document(0).title == "A\ufffd"


# --- identity -----------------------------------------------------------------------------------------


def test_the_hash_depends_on_content_alone() -> None:
    data = QADataset.from_records([row(0), row(1)])
    same = QADataset.from_records(iter([row(0), row(1)]), name="other")
    assert same.hash == data.hash
    assert same == data
    assert hash(same) == hash(data)
    others = [
        QADataset.from_records([row(1), row(0)]),
        QADataset.from_records([row(0), row(1, answer="x")]),
        QADataset.from_records([row(0), row(1, supporting=[0])]),
        QADataset.from_records([row(0), row(1)], [("A", "b")]),
        QADataset.from_records([row(0), row(1)], split="train"),
    ]
    assert all(other != data for other in others)
    assert others[-1].hash == data.hash, "the split is not part of the content"
    assert data != "a dataset"


@pytest.mark.heavy
def test_the_hash_is_the_same_whatever_the_hash_seed() -> None:
    code = (
        "from atommem_env.data.dataset import QADataset;"
        "print(QADataset.from_records([{'question': 'q?', 'answer': 'a', 'documents': [('A', 'b'), ('C', 'd')]}]).hash)"
    )
    import os

    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            text=True,
            capture_output=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert seen == {f"{seen.copy().pop().strip()}\n"}
    assert len(seen.pop()) == 33


def test_opening_asks_nothing_of_pythons_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """On CPython 3.11 two threads that parse at once may raise SystemError, and a run's threads open datasets."""
    first = QADataset.from_records([row()])

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise SystemError("AST constructor recursion depth mismatch")

    monkeypatch.setattr(ast, "parse", fail)
    again = QADataset.from_records([row()])
    assert again.title_hash.tolist() == first.title_hash.tolist()


def test_it_copies_as_itself() -> None:
    data = QADataset.from_records([row()])
    assert copy.deepcopy({"source": data})["source"] is data
    assert copy.copy(data) is data


def _describe(data: QADataset, answers: Any) -> None:
    answers.put((data.source, data.split, data.question(1).question, data.document(0)))


@pytest.mark.heavy
def test_it_pickles_into_another_process() -> None:
    data = QADataset.from_records([row(0), row(1)])
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_describe, args=(data, answers))
    process.start()
    assert answers.get(timeout=60) == (data.source, data.split, data.question(1).question, data.document(0))
    process.join()


def test_a_pickle_outlives_the_converted_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMMEM_CACHE", str(tmp_path))
    data = QADataset.from_records(
        [row(0, supporting=[1]), row(1)], [("A", "b")], name="rivers", split="train"
    )
    pickled = pickle.dumps(data)
    shutil.rmtree(tmp_path)
    again = pickle.loads(pickled)
    assert again == data
    assert (again.name, again.source) == (data.name, data.source)
    assert again.question(0) == data.question(0)
    assert pickle.loads(pickle.dumps(again)) == data


def test_a_dataset_says_whether_the_world_wrote_it() -> None:
    world = open_dataset(HOTPOTQA, "generated", world=WorldConfig(size=20))
    assert world.generated
    assert pickle.loads(pickle.dumps(world)).generated
    assert world.part([0, 1], "two").generated
    assert not QADataset.from_records([row()]).generated


def test_what_is_open_is_mapped_once_and_what_was_made_anew_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOMMEM_CACHE", str(tmp_path))
    first, second = (QADataset.from_records(records(8)) for _ in range(2))
    assert first.title_hash is second.title_hash
    (folder,) = tmp_path.iterdir()
    (folder / "paragraphs.arrow").unlink()
    third = QADataset.from_records(records(8))
    assert third.title_hash is not first.title_hash
    assert third.documents(range(8)) == second.documents(range(8))
