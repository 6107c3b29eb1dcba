"""The share of a dataset's documents that have a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env import QADataset
from atommem_env.data.frequencies import WordCounter, WordFrequencies
from atommem_env.text import tokens


def _frequencies(folder: Path, texts: list[str]) -> WordFrequencies:
    counter = WordCounter()
    for text in texts:
        counter.add(text)
    size = counter.write(folder)
    assert size == sum(file.stat().st_size for file in folder.iterdir())
    return WordFrequencies(folder)


@settings(max_examples=25)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=8), st.lists(st.text(min_size=1, max_size=5)))
def test_a_share_is_the_count_of_documents_over_one_more_than_there_are(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], others: list[str]
) -> None:
    frequencies = _frequencies(tmp_path_factory.mktemp("words"), texts)
    split = [set(tokens(text)) for text in texts]
    asked = {word for words in [*split, *(tokens(other) for other in others)] for word in words}
    assert frequencies.shares(asked) == {
        word: max(sum(word in words for words in split), 1) / (len(texts) + 1) for word in asked
    }


def test_without_a_word_or_a_document_there_is_still_a_share(tmp_path: Path) -> None:
    frequencies = _frequencies(tmp_path, [])
    assert frequencies.shares([]) == {}
    assert frequencies.shares(["ostrand"]) == {"ostrand": 1.0}


def test_a_dataset_counts_each_paragraph_once_with_its_title() -> None:
    shared = {"title": "Ostrand", "text": "A market town. The town lies on the Aune."}
    records = [
        {
            "question": f"q{n}",
            "answer": "a",
            "documents": [shared, {"title": f"Hall {n}", "text": "A town hall."}],
        }
        for n in range(3)
    ]
    dataset = QADataset.from_records(records, [("Spare", "Nothing of the town.")])
    assert dataset.word_shares(["ostrand", "hall", "town", "absent"]) == {
        "ostrand": 1 / 6, "hall": 3 / 6, "town": 5 / 6, "absent": 1 / 6,
    }  # fmt: skip
