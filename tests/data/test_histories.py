"""A user's histories, and dates as data writes them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env import QADataset
from atommem_env.data.dates import iso_date
from atommem_env.data.histories import parse_history
from small_data import chats, dataset

TURN = {"speaker": "Ann", "text": "I own a cat.", "id": "1"}
ROW: dict[str, Any] = {
    "sessions": [{"turns": [TURN]}],
    "questions": [{"question": "What does Ann own?", "answer": "a cat", "evidence": ["1"]}],
}


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("1:56 pm on 8 May, 2023", "2023-05-08T13:56"),
        ("1 pm on 2 May, 2023", "2023-05-02T13:00"),
        ("12:09 am on 13 September, 2023", "2023-09-13T00:09"),
        ("12:30 pm on 1 Sept, 2023", "2023-09-01T12:30"),
        ("2023/05/30 (Tue) 23:40", "2023-05-30T23:40"),
        ("2023/05/30", "2023-05-30"),
        ("March-15-2024", "2024-03-15"),
        ("May 8, 2023", "2023-05-08"),
        ("Monday, May 8th, 2023 at 1:56 pm", "2023-05-08T13:56"),
        ("8 May 2023, 13:56", "2023-05-08T13:56"),
        ("2023-05-08T13:56:07.5Z", "2023-05-08T13:56"),
        ("2023-05-08 13:56:07+02:00", "2023-05-08T13:56"),
        ("2023-02-30", None),
        ("13:00 pm on 8 May, 2023", None),
        ("25:00 on 8 May, 2023", None),
        ("spring", None),
        ("8 Foo 2023", None),
        ("", None),
    ],
)
def test_dates(text: str, iso: str | None) -> None:
    assert iso_date(text) == iso


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    found = iso_date(text)
    assert found is None or re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d)?", found)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"sessions": []}, "'sessions' has no turn"),
        ({"sessions": [{"turns": [{"text": "a", "who": "Ann"}]}]}, r"turns\[0\].who' is unknown"),
        ({"sessions": [{"turns": [{"speaker": "Ann"}]}]}, r"turns\[0\].text' is missing"),
        ({"sessions": [{"turns": [{"speaker": "A: b", "text": "x"}]}]}, "without ':'"),
        (
            {"sessions": [{"turns": [{"speaker": "Session 3", "text": "x"}]}]},
            "like a numbered fact or a header",
        ),
        ({"sessions": [{"turns": [TURN, TURN]}]}, "an id that no other turn"),
        ({"sessions": [{"date": "spring", "turns": [TURN]}]}, r"sessions\[0\].date' is 'spring'"),
        ({"questions": [{"question": "Who?", "answer": "x", "evidence": ["2"]}]}, "the id of a turn"),
        ({"questions": [{"question": "Who?"}]}, r"questions\[0\]: there is no answer"),
        ({"questions": [{"question": "Who?", "answerable": 1, "answer": "x"}]}, "true or false"),
        ({"question": "Who?"}, "'question' is unknown"),
    ],
)
def test_what_is_wrong_in_a_history_is_said(change: dict[str, Any], problem: str) -> None:
    parse_history(ROW)
    with pytest.raises(ValueError, match=problem):
        parse_history({**ROW, **change})


def test_histories_need_a_question() -> None:
    with pytest.raises(ValueError, match="no question"):
        QADataset.from_histories([{**ROW, "questions": []}])
    with pytest.raises(ValueError, match="history 1: "):
        QADataset.from_histories([ROW, {}])
    with pytest.raises(ValueError, match="expected a list of mappings with 'sessions'"):
        QADataset.from_histories(ROW)


def test_turns_and_numbers_as_ids_are_taken() -> None:
    data = QADataset.from_histories(
        [
            {
                "id": 7,
                "sessions": [{"turns": ["0. A fact.", "Plain: text"]}],
                "questions": ROW["questions"][:0],
            },
            ROW,
        ]
    )
    assert data.history(0).id == "7"
    assert [turn[:2] for turn in data.turns(0)] == [("", "0. A fact."), ("", "Plain: text")]
    assert data.question(0).id == "1/0"


def test_dates_roles_and_turns_change_the_hash_and_nothing_else_does() -> None:
    base = QADataset.from_histories(chats(2))
    assert QADataset.from_histories(chats(2), name="other", split="train").hash == base.hash

    def changed(change: Any) -> str:
        made = chats(2)
        change(made[0])
        return QADataset.from_histories(made).hash

    hashes = {
        base.hash,
        changed(lambda row: row["sessions"][0].update(date="1 May 2023")),
        changed(lambda row: row["sessions"][0]["turns"][0].update(speaker="Zoe")),
        changed(lambda row: row["sessions"][0]["turns"][1].update(id="other")),
        changed(lambda row: row["questions"][0].update(date="2023-07-01")),
        changed(lambda row: row["questions"][0].update(superseded=row["questions"][0].pop("evidence"))),
        changed(lambda row: row["questions"][0].update(answerable=False)),
        changed(lambda row: row.update(id="x")),
    }
    assert len(hashes) == 8


def test_rows_of_a_pool_have_no_turns() -> None:
    data = dataset(3)
    assert data.turns(0) == ()
    assert len(data.turn_ends(0)) == 0
    assert "histories" not in data.report
    assert QADataset.from_histories(chats(2)).report == {
        "questions": 9,
        "paragraphs": 7,
        "dropped_facts": 0,
        "questions_without_gold": 2,
        "histories": 2,
        "unanswerable": 2,
    }
