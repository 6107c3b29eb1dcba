"""What the threads of a process share does in eight of them what it does in one, however often they switch."""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atommem_env import MemoryEnv, rollout
from atommem_env.baselines import make_policy
from atommem_env.data.dataset import QADataset
from atommem_env.data.sources import open_dataset
from atommem_env.data.world import WorldConfig
from atommem_env.envs.world import WORLD
from atommem_env.evidence import holds
from atommem_env.llm import ChatSettings, Reply
from atommem_env.llm.cache import ReplyCache
from atommem_env.llm.secrets import mask, remember
from atommem_env.retrieval import BM25, CachedEncoder, FunctionEncoder, VectorFile, make_encoder
from atommem_env.retrieval.vocabulary import Vocabulary
from atommem_env.tasks.pooled import PooledTasks
from atommem_env.text import PieceTokenizer, sentences, tokens
from small_data import dataset, records

THREADS = 8


@pytest.fixture
def quick_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work: Callable[[int], Any]) -> list[Any]:
    """Return what ``work`` of 0 to 7 returns, in threads that begin together."""
    barrier = threading.Barrier(THREADS)

    def begin(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


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


# --- each of these is work by number: in threads it comes to what it comes to in a row --------------------


def fresh(number: int) -> str:
    """Return a text that no cache has seen, the same for two numbers at a time."""
    two = number // 2
    return f"Ada Vale{two} was born in Ambry{two} in 18{two:02}. It lies on a river. {_round[0]}"


_round = [""]
DATA = dataset(20)
TASKS: dict[str, Any] = {"num_docs": 10, "num_questions": 2, "chunk_tokens": 300, "chunk_overlap": 20}


def episode(number: int) -> Any:
    env = MemoryEnv(DATA, **TASKS)
    return rollout(env, make_policy("rag"), options={"task_index": number % 4}).metrics


def task(number: int) -> Any:
    return _composer[0].build(number + 40).text


def index(number: int) -> Any:
    made = BM25()
    for id in range(1, 8):
        made.add(id, f"{fresh(id)} {number}")
    return made.search(f"Ambry{number // 2} river", 5)


def texts(number: int) -> Any:
    text = fresh(number)
    return tokens(text), sentences(text), PieceTokenizer().count(text), holds(text, fresh(0), "Ada Vale0")


def masked(number: int) -> Any:
    remember(f"sk-{_round[0]}-{number}")
    return mask(f"a sk-{_round[0]}-{number} b")


def opened(number: int) -> Any:
    return QADataset.from_records(records(4 + number % 2)).hash


_composer = [PooledTasks(DATA, num_docs=10)]
WORKS = (episode, task, index, texts, masked, opened)


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_threads_come_to_what_one_comes_to(work: Callable[[int], Any]) -> None:
    _round[0] = uuid.uuid4().hex
    _composer[0] = PooledTasks(DATA, num_docs=10, num_questions=(1, 3))
    found = in_threads(work)
    _composer[0] = PooledTasks(DATA, num_docs=10, num_questions=(1, 3))
    assert found == [work(number) for number in range(THREADS)]


# --- what happens once ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick_switches")
def test_a_dataset_that_all_threads_open_is_converted_to_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOMMEM_CACHE", str(tmp_path))
    found = in_threads(lambda number: open_dataset(WORLD, "generated", world=WorldConfig(size=4)))
    assert len({made.hash for made in found}) == 1
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


@pytest.mark.usefixtures("quick_switches")
def test_what_is_said_once_is_said_by_one_thread() -> None:
    settings = ChatSettings("m", "http://127.0.0.1:9/v1")
    for round in range(40):
        assert sum(in_threads(lambda number: settings.tell_once(f"thing {round}"))) == 1  # noqa: B023


@pytest.mark.usefixtures("quick_switches")
def test_threads_that_name_an_encoder_get_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    spec = f"openai:{uuid.uuid4().hex}"
    assert len({id(made) for made in in_threads(lambda number: make_encoder(spec))}) == 1


@pytest.mark.usefixtures("quick_switches")
def test_threads_that_encode_share_the_cache_and_the_file(tmp_path: Path) -> None:
    def lengths(texts: list[str]) -> Any:
        return np.array([[len(text), 1] for text in texts], np.float32)

    file = VectorFile(tmp_path / "v")
    cached = CachedEncoder(FunctionEncoder(lengths), disk=file, identity="lengths")
    words = [["x" * (number % 4 + step + 1) for step in range(5)] for number in range(THREADS)]
    found = in_threads(lambda number: cached.encode(words[number], "document").tolist())
    assert found == [lengths(some).tolist() for some in words]
    assert cached.texts == len(file) == 8


@pytest.mark.usefixtures("quick_switches")
def test_threads_that_keep_a_reply_agree_on_the_first(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "replies")
    for round in range(10):
        key = f"{round:032x}"
        kept = in_threads(lambda number: cache.put(key, Reply(f"reply {number}")).text)  # noqa: B023
        assert set(kept) == {cache.get(key).text}  # type: ignore[union-attr]
    assert not list((tmp_path / "replies").rglob(".*"))
