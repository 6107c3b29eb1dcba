"""Words as numbers, shared by the threads of a process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from atommem_env.retrieval.vocabulary import Vocabulary


@pytest.fixture
def quick_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
def test_threads_number_the_same_words_alike_and_no_two_words_the_same() -> None:
    for round in range(8):
        vocabulary = Vocabulary()
        texts = [
            " ".join(f"w{round}x{(start + step) % 400}" for step in range(400)) for start in range(0, 400, 25)
        ]
        with ThreadPoolExecutor(8) as pool:
            encoded = list(pool.map(vocabulary.encode, texts))
        numbers: dict[str, int] = {}
        for text, words in zip(texts, encoded, strict=True):
            for word, number in zip(text.split(), words, strict=True):
                assert numbers.setdefault(word, number) == number
        assert sorted(numbers.values()) == list(range(400))
        assert len(vocabulary) == 400
