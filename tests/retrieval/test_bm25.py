"""BM25: its scores are the reference library's at every moment, whatever was written before."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule
from rank_bm25 import BM25Plus

from atommem_env.retrieval import vocabulary
from atommem_env.retrieval.bm25 import BM25
from atommem_env.retrieval.postings import Postings
from atommem_env.retrieval.recent_entries import RecentEntries
from atommem_env.retrieval.vocabulary import Vocabulary
from atommem_env.text import tokens

# Few words, so that entries share some and scores tie; some that casefold, compose or split in other ways.
WORDS = (
    "river",
    "River",
    "stone",
    "of",
    "of",
    "1984",
    "Straße",
    "STRASSE",
    "ﬁne",
    "Ⅷ",
    "東京都",
    "cafe\u0301",
    "—",
    "?!",
)
texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


def reference(entries: dict[int, str], query: str, index: BM25) -> dict[int, float]:
    """Return the scores of all hits, from an index that the reference library builds again."""
    words = {id: tokens(text) for id, text in entries.items() if tokens(text)}
    if not words:
        return {}
    plus = BM25Plus(list(words.values()), k1=index.k1, b=index.b, delta=index.delta)
    scores = dict(zip(words, plus.get_scores(tokens(query)).tolist(), strict=True))
    return {id: score for id, score in scores.items() if set(tokens(query)) & set(words[id])}


def check(index: BM25, entries: dict[int, str], query: str, k: int) -> None:
    wanted = reference(entries, query, index)
    found = index.search(query, k)
    assert len(found) == min(k, len(wanted))
    for id, score in found:
        assert score == pytest.approx(wanted.pop(id), abs=1e-9)
    assert found == sorted(found, key=lambda hit: (-hit[1], hit[0]))
    if found and wanted:
        last_id, last_score = found[-1]
        for id, score in wanted.items():
            assert score <= last_score + 1e-9
            assert score < last_score - 1e-9 or id > last_id  # the lower id goes first


class Histories(RuleBasedStateMachine):
    """Any number of forks, each with its own history, next to plain dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[dict[int, str]] = []
        self.next_id = 1

    stores = Bundle("stores")

    @rule(
        target=stores,
        k1=st.sampled_from([0.5, 1.5]),
        b=st.sampled_from([0.0, 0.75, 1.0]),
        delta=st.sampled_from([0.0, 1.0]),
    )
    def start(self, k1: float, b: float, delta: float) -> tuple[BM25, dict[int, str]]:
        return BM25(k1, b, delta), {}

    @rule(target=stores, store=stores)
    def fork(self, store: tuple[BM25, dict[int, str]]) -> tuple[BM25, dict[int, str]]:
        return store[0].fork(), dict(store[1])

    @rule(store=stores, contents=st.lists(texts, min_size=1, max_size=4))
    def add(self, store: tuple[BM25, dict[int, str]], contents: list[str]) -> None:
        index, entries = store
        for text in contents:
            index.add(self.next_id, text)
            entries[self.next_id] = text
            self.next_id += 1

    @rule(store=stores, data=st.data(), text=texts)
    def replace(self, store: tuple[BM25, dict[int, str]], data: st.DataObject, text: str) -> None:
        index, entries = store
        if entries:
            id = data.draw(st.sampled_from(list(entries)))
            index.replace(id, text)
            entries[id] = text

    @rule(store=stores, data=st.data())
    def remove(self, store: tuple[BM25, dict[int, str]], data: st.DataObject) -> None:
        index, entries = store
        if entries:
            id = data.draw(st.sampled_from(list(entries)))
            index.remove(id)
            del entries[id]

    @rule(store=stores, query=texts, k=st.integers(1, 8), many=st.booleans())
    def search(self, store: tuple[BM25, dict[int, str]], query: str, k: int, many: bool) -> None:
        index, entries = store
        with pytest.MonkeyPatch.context() as patch:
            for tables in (RecentEntries, Postings):
                patch.setattr(tables, "FEW", 0 if many else 10**9)
            check(index, entries, query, k)


class TestHistories(Histories.TestCase):  # type: ignore[misc, valid-type]
    """Of few entries: rows, and from the fifth entry or 31st word on posting lists that take three at a time."""

    settings = settings(max_examples=50, stateful_step_count=25, deadline=None)

    @pytest.fixture(autouse=True)
    def bounds(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BM25, "FEW_ENTRIES", 4)
            patch.setattr(BM25, "BATCH", 2)
            patch.setattr(BM25, "BATCH_WORDS", 30)
            patch.setattr(Postings, "SPARE", 3)
            yield


@pytest.mark.heavy
class TestLongHistories(Histories.TestCase):  # type: ignore[misc, valid-type]
    """The forms of a large index in small ones: columns that grow and shrink, groups, dead slots, renewal."""

    settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

    @pytest.fixture(autouse=True)
    def bounds(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BM25, "FEW_ENTRIES", 0)
            patch.setattr(BM25, "BATCH", 1)
            patch.setattr(Postings, "SPARE", 0)
            patch.setattr(Postings, "SHARE", 3)
            patch.setattr(Postings, "GROUPS", 1)
            patch.setattr(Postings, "CROWD", 1)
            patch.setattr(Postings, "ALL", 0)
            patch.setattr(Postings, "ROWS", 2)
            yield


def make_text(draw: random.Random, length: int) -> str:
    return " ".join(f"w{int(draw.paretovariate(0.6)) % 997}" for _ in range(length))


@pytest.mark.heavy
def test_a_long_history_over_many_entries_gives_the_reference_scores() -> None:
    draw = random.Random(4)
    index, entries = BM25(), {}
    for id in range(1, 751):  # the latest entries are settled once all together, and then in three batches
        entries[id] = make_text(draw, draw.randint(0, 80))
        index.add(id, entries[id])
        if id % 3 == 0:
            changed = draw.choice(list(entries))
            entries[changed] = make_text(draw, 40)
            index.replace(changed, entries[changed])
        if id % 4 == 0:
            gone = draw.choice(list(entries))
            index.remove(gone)
            del entries[gone]
        if id % 20 == 0:
            for k in (1, 6, 500):
                check(index, entries, make_text(draw, 10), k)
    assert index._settled is not None
    assert len(index._latest) > 0


def test_scores_do_not_depend_on_the_history() -> None:
    draw = random.Random(9)
    contents = {id: make_text(draw, 30) for id in range(1, 60)}
    straight, crooked = BM25(), BM25()
    for id, text in contents.items():
        straight.add(id, text)
    for id in reversed(contents):
        crooked.add(id, "something else")
    crooked.add(1000, "w1 w2 w3")
    crooked = crooked.fork()
    for id, text in contents.items():
        crooked.replace(id, text)
    crooked.remove(1000)
    for _ in range(20):
        query = make_text(draw, 8)
        assert straight.search(query, 10) == crooked.search(query, 10)


def test_equal_entries_come_in_the_order_of_their_ids() -> None:
    index = BM25()
    for id in (7, 3, 9, 1):
        index.add(id, "the stone bridge")
    assert [id for id, _ in index.search("bridge", 3)] == [1, 3, 7]


def test_entries_that_fit_equally_well_tie_in_whatever_order_the_query_names_their_words() -> None:
    index = BM25()
    index.add(1, "red blue blue")
    index.add(2, "blue red red")
    for query in ("red blue green", "blue red", "red red blue blue"):
        (first, high), (second, low) = index.search(query, 2)
        assert (first, second) == (1, 2)
        assert high == low


def test_a_repeated_query_token_counts_as_often_as_it_stands_there() -> None:
    index = BM25()
    index.add(1, "stone bridge")
    index.add(2, "wooden tower")
    assert index.search("tower stone stone", 2)[0][0] == 1
    assert index.search("tower tower stone", 2)[0][0] == 2


def test_only_entries_that_share_a_token_are_hits() -> None:
    index = BM25()
    index.add(1, "stone bridge")
    index.add(2, "?! —")
    index.add(3, "")
    assert [id for id, _ in index.search("a bridge of glass", 5)] == [1]
    assert index.search("glass", 5) == []
    assert index.search("?!", 5) == []
    assert index.search("bridge", 0) == []


def test_the_first_entry_of_a_memory_scores_above_zero() -> None:
    index = BM25()
    index.add(1, "stone bridge")
    assert index.search("bridge", 1)[0][1] > 0


def test_a_fork_and_its_origin_do_not_see_each_other_s_writes() -> None:
    index = BM25()
    index.add(1, "stone bridge")
    index.add(2, "stone tower")
    copied = index.fork()
    index.replace(1, "glass bridge")
    copied.remove(2)
    copied.add(3, "stone gate")
    grandchild = copied.fork()
    copied.add(4, "stone wall")
    assert [id for id, _ in index.search("stone", 9)] == [2]
    assert [id for id, _ in copied.search("stone", 9)] == [1, 3, 4]
    assert [id for id, _ in grandchild.search("stone", 9)] == [1, 3]


@pytest.fixture
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every entry goes to the posting lists as it is written."""
    monkeypatch.setattr(BM25, "FEW_ENTRIES", 0)
    monkeypatch.setattr(BM25, "BATCH", 0)


def settled(index: BM25) -> Postings:
    assert index._settled is not None
    return index._settled


@pytest.mark.usefixtures("settled_at_once")
def test_a_write_after_a_fork_copies_no_posting_list_but_those_it_changes() -> None:
    index = BM25()
    for id in range(1, 50):
        index.add(id, f"common word{id}")

    def postings() -> dict[int, object]:
        return {**settled(index).lists, **settled(index).columns}

    before = postings()
    (common,) = Vocabulary.current().encode("common")
    copied = index.fork()
    assert copied._settled is index._settled
    index.add(100, "common news")
    after = postings()
    assert after[common] is not before[common]
    assert all(after[term] is before[term] for term in before if term != common)
    own = after[common]
    index.add(101, "common again")
    assert postings()[common] is own


def test_an_entry_written_after_a_fork_copies_the_latest_entries_alone() -> None:
    index = BM25()
    for id in range(BM25.FEW_ENTRIES + 2):
        index.add(id, f"common word{id}")
    copied = index.fork()
    copied.add(1000, "common news")
    assert copied._settled is index._settled
    copied.remove(0)
    assert copied._settled is not index._settled
    assert [id for id, _ in index.search("word0 news", 2)] == [0]
    assert [id for id, _ in copied.search("word0 news", 2)] == [1000]


@pytest.mark.parametrize("few", [0, 100])
def test_what_is_kept_does_not_grow_with_the_history(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(BM25, "FEW_ENTRIES", few)
    monkeypatch.setattr(BM25, "BATCH", 0)
    monkeypatch.setattr(Postings, "SPARE", 64)
    index = BM25()
    for id in range(1, 1001):
        index.add(id, f"word{id} common")
        if id > 5:
            index.remove(id - 5)
    if few:
        assert index._settled is None
        latest = index._latest
        assert len(latest.ids) == len(latest.lengths) == 5
        assert len(latest.words) == 10
    else:
        tables = settled(index)
        assert len(tables) == 5
        most = 2 * 5 + Postings.SPARE
        assert len(tables.ids) == len(tables.lengths) == len(tables.words) <= most
        assert len(tables.lists) + len(tables.columns) <= most + 1
    assert [id for id, _ in index.search("word998 common", 9)] == [998, 996, 997, 999, 1000]


@pytest.mark.heavy
def test_a_large_index_gives_the_reference_scores_whatever_its_queries_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Postings, "SPARE", 64)
    draw = random.Random(11)
    index, entries = BM25(), {}
    for id in range(1, 2501):
        entries[id] = make_text(draw, draw.randint(5, 40)) + " every" * (id % 3 > 0) + " entry" * (id % 2)
        index.add(id, entries[id])
    for _ in range(400):
        changed = draw.randrange(1, 2501)
        entries[changed] = make_text(draw, 30)
        index.replace(changed, entries[changed])
    tables = settled(index)
    assert tables.columns
    # frequent words alone, one of them often, rare words alone, both
    for query in ("every", "every entry entry w1 w2", "w500 w501 w502", "w500 every w1 w30 entry"):
        for k in (1, 6):
            check(index, entries, query, k)
    for id in range(1, 1801):
        index.remove(id)
        del entries[id]
    assert len(tables.ids) < 1500
    for query in ("every entry", "w500 every w1 w30 entry", make_text(draw, 12)):
        check(index, entries, query, 6)


@pytest.mark.usefixtures("settled_at_once")
def test_a_word_that_becomes_frequent_after_entries_with_it_were_removed_keeps_its_weight() -> None:
    index, entries = BM25(), {}
    for id in range(1, 121):
        entries[id] = f"stone w{id % 7}" if id % 12 == 0 or id > 60 else f"w{id} w{id % 7}"
        index.add(id, entries[id])
        if id in (36, 60):
            index.remove(id - 12)
            del entries[id - 12]
        if id % 12 == 0:
            check(index, entries, "stone w1 w2", 3)
    assert Vocabulary.current().encode("stone")[0] in settled(index).columns


@pytest.mark.usefixtures("settled_at_once")
def test_a_word_that_an_entry_repeats_more_often_than_a_byte_counts() -> None:
    index, entries = BM25(), {}
    for id, text in enumerate(
        ["stone", "stone " * 255, "stone " * 256 + "bridge", "stone " * 300, "stone x"], 1
    ):
        entries[id] = text
        index.add(id, text)
        check(index, entries, "stone bridge", 3)
    index.remove(1)
    index.remove(2)
    del entries[1], entries[2]
    check(index, entries, "stone bridge", 3)


def test_an_index_outlives_the_vocabulary_that_new_ones_get(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "_current", Vocabulary())
    monkeypatch.setattr(vocabulary, "_MANY_WORDS", 3)
    old = BM25()
    old.add(1, "stone bridge over water")
    new = BM25()
    new.add(1, "water under wooden bridges")
    assert old._latest.vocabulary is not new._latest.vocabulary
    old.fork().add(2, "stone")
    old.add(2, "wooden stone")
    assert [id for id, _ in old.search("wooden", 3)] == [2]
    assert [id for id, _ in new.search("wooden", 3)] == [1]


def test_a_text_that_two_indices_hold_is_split_once(monkeypatch: pytest.MonkeyPatch) -> None:
    split: list[str] = []

    def watched(text: str) -> list[str]:
        split.append(text)
        return tokens(text)

    monkeypatch.setattr(vocabulary, "tokens", watched)
    first, second = BM25(), BM25()
    for index in (first, second, first.fork()):
        index.add(7, "a text that no other test has")
        index.search("nor this query", 3)
    assert split == ["a text that no other test has", "nor this query"]


def test_fresh_is_empty_and_keeps_the_settings() -> None:
    index = BM25(k1=2.0, b=0.5, delta=0.25)
    index.add(1, "stone")
    fresh = index.fresh("task")
    assert fresh.search("stone", 1) == []
    assert (fresh.k1, fresh.b, fresh.delta) == (2.0, 0.5, 0.25)


def test_it_deep_copies_as_itself_and_pickles_as_its_settings() -> None:
    index = BM25(k1=2.0)
    index.add(1, "stone")
    assert copy.deepcopy(index) is index
    loaded = pickle.loads(pickle.dumps(index))
    assert loaded.search("stone", 1) == []
    assert loaded.k1 == 2.0


def test_the_defaults_are_the_reference_library_s() -> None:
    plus = BM25Plus([["a"]])
    index = BM25()
    assert (index.k1, index.b, index.delta) == (plus.k1, plus.b, plus.delta)


def test_writing_to_entries_that_are_or_are_not_there_is_an_error_that_names_them() -> None:
    index = BM25()
    index.add(1, "stone")
    with pytest.raises(ValueError, match="entry 1 is indexed already"):
        index.add(1, "glass")
    with pytest.raises(KeyError, match="no entry 2"):
        index.replace(2, "glass")
    with pytest.raises(KeyError, match="no entry 2"):
        index.remove(2)
    assert [id for id, _ in index.search("stone", 5)] == [1]


@pytest.mark.parametrize(
    ("name", "value"), [("k1", 0), ("k1", float("inf")), ("b", 1.5), ("b", float("nan")), ("delta", -0.1)]
)
def test_a_setting_out_of_range_is_an_error_that_names_it(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        BM25(**{name: value})


def test_texts_longer_than_the_cache_takes_are_counted_right() -> None:
    long_text = "stone bridge " * 400
    index, entries = BM25(), {1: long_text, 2: "stone"}
    for id, text in entries.items():
        index.add(id, text)
    check(index, entries, "stone bridge", 2)
    index.remove(1)
    assert index.search("bridge", 2) == []
