"""The stores that are measured: this package's, and what pip can install instead, each behind one protocol.

Each is written as a user would write it from its library's documentation, with the embeddings given where it
wants them. None is asked for more than the ids of what it finds.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from mix import WIDTH, Item

from atommem_env.core.memory import MemoryStore
from atommem_env.retrieval import BM25, DenseRetriever, FunctionEncoder
from atommem_env.text import tokens


class Store(Protocol):
    """One rollout's memory. Entries are numbered from 1 in the order in which they are created."""

    def fill(self, items: Sequence[Item]) -> None:
        """Create the first entries, all at once where the library can."""
        ...

    def create(self, id: int, item: Item) -> None:
        """Store a new entry."""
        ...

    def update(self, id: int, item: Item) -> None:
        """Replace what an entry says."""
        ...

    def delete(self, id: int) -> None:
        """Remove an entry."""
        ...

    def settle(self) -> None:
        """Make what was written visible to searches: called after the writes of a step."""
        ...

    def search(self, item: Item, k: int) -> list[int]:
        """Return the ids of the best ``k`` entries."""
        ...


class _Simple(ABC):
    """What most stores have in common: nothing to settle, and filling is creating one by one."""

    @abstractmethod
    def create(self, id: int, item: Item) -> None:
        """Store a new entry."""

    def fill(self, items: Sequence[Item]) -> None:
        for id, item in enumerate(items, start=1):
            self.create(id, item)

    def settle(self) -> None:  # noqa: B027 - most stores have nothing to settle
        pass


# --- this package -----------------------------------------------------------------------------------


class GivenEmbeddings:
    """An encoder that knows the vectors already: what a text's embedding is was said before.

    A store's texts and vectors come together here, as for the libraries that take both.
    """

    def __init__(self) -> None:
        self._known: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {}

    def tell(self, item: Item) -> None:
        """Say the embedding of a text."""
        self._known[item.text] = item.vector

    def __call__(self, texts: list[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.stack([self._known[text] for text in texts])


class OurBM25(_Simple):
    """``MemoryStore`` over ``BM25``."""

    def __init__(self) -> None:
        self.store = MemoryStore(BM25)

    def create(self, id: int, item: Item) -> None:
        self.store.create(item.text)

    def update(self, id: int, item: Item) -> None:
        self.store.update(id, item.text)

    def delete(self, id: int) -> None:
        self.store.delete(id)

    def search(self, item: Item, k: int) -> list[int]:
        return [hit.id for hit in self.store.search(item.text, k)]


class OurDense(_Simple):
    """``MemoryStore`` over ``DenseRetriever``."""

    def __init__(self, given: GivenEmbeddings, retriever: DenseRetriever) -> None:
        self._given = given
        self.store = MemoryStore(lambda: retriever.fresh(""))

    def create(self, id: int, item: Item) -> None:
        self._given.tell(item)
        self.store.create(item.text)

    def update(self, id: int, item: Item) -> None:
        self._given.tell(item)
        self.store.update(id, item.text)

    def delete(self, id: int) -> None:
        self.store.delete(id)

    def search(self, item: Item, k: int) -> list[int]:
        self._given.tell(item)
        return [hit.id for hit in self.store.search(item.text, k)]


def _our_dense(count: int) -> list[Store]:
    """Return stores that share one encoder, as the environments of a process do."""
    given = GivenEmbeddings()
    retriever = DenseRetriever(FunctionEncoder(given))
    return [OurDense(given, retriever) for _ in range(count)]


# --- lexical alternatives ---------------------------------------------------------------------------


class RebuiltRankBM25(_Simple):
    """``rank_bm25.BM25Plus``, built again at a search after a write; texts are tokenised once."""

    def __init__(self) -> None:
        self.corpus: dict[int, list[str]] = {}
        self._ids: list[int] = []
        self.index: Any = None

    def create(self, id: int, item: Item) -> None:
        self.corpus[id] = tokens(item.text)
        self.index = None

    update = create

    def delete(self, id: int) -> None:
        del self.corpus[id]
        self.index = None

    def search(self, item: Item, k: int) -> list[int]:
        if self.index is None:
            from rank_bm25 import BM25Plus

            self._ids = list(self.corpus)
            self.index = BM25Plus(list(self.corpus.values()))
        scores = self.index.get_scores(tokens(item.text))
        best = np.argsort(-scores, kind="stable")[:k]
        return [self._ids[place] for place in best]


class RebuiltBM25S(_Simple):
    """``bm25s``, built again at a search after a write, with the scores of BM25+."""

    def __init__(self) -> None:
        self._corpus: dict[int, list[str]] = {}
        self._ids: list[int] = []
        self._index: Any = None

    def create(self, id: int, item: Item) -> None:
        self._corpus[id] = tokens(item.text)
        self._index = None

    update = create

    def delete(self, id: int) -> None:
        del self._corpus[id]
        self._index = None

    def search(self, item: Item, k: int) -> list[int]:
        if self._index is None:
            import bm25s

            self._ids = list(self._corpus)
            self._index = bm25s.BM25(method="bm25+")
            self._index.index(list(self._corpus.values()), show_progress=False)
        places, _ = self._index.retrieve(
            [tokens(item.text)], k=min(k, len(self._ids)), show_progress=False, n_threads=0
        )
        return [self._ids[place] for place in places[0]]


class Tantivy(_Simple):
    """A ``tantivy`` index in memory with one writing thread, committed once per step."""

    def __init__(self) -> None:
        import tantivy

        schema = tantivy.SchemaBuilder()
        schema.add_integer_field("id", stored=True, indexed=True)
        schema.add_text_field("text", stored=True)
        self._library = tantivy
        self._index = tantivy.Index(schema.build())
        self._writer = self._index.writer(heap_size=15_000_000, num_threads=1)
        self._dirty = False

    def create(self, id: int, item: Item) -> None:
        self._writer.add_document(self._library.Document(id=id, text=item.text))
        self._dirty = True

    def update(self, id: int, item: Item) -> None:
        self.delete(id)
        self.create(id, item)

    def delete(self, id: int) -> None:
        self._writer.delete_documents("id", id)
        self._dirty = True

    def fill(self, items: Sequence[Item]) -> None:
        super().fill(items)
        self.settle()

    def settle(self) -> None:
        if self._dirty:
            self._writer.commit()
            self._index.reload()
            self._dirty = False

    def search(self, item: Item, k: int) -> list[int]:
        self.settle()
        searcher = self._index.searcher()
        found = searcher.search(self._index.parse_query(item.text, ["text"]), k).hits
        return [searcher.doc(address)["id"][0] for _, address in found]


# --- dense alternatives -----------------------------------------------------------------------------


class Matrix(_Simple):
    """One matrix per rollout that doubles when it is full; the last row moves into a gap."""

    def __init__(self) -> None:
        self._matrix = np.zeros((16, WIDTH), np.float32)
        self._ids: list[int] = []
        self._rows: dict[int, int] = {}

    def create(self, id: int, item: Item) -> None:
        row = self._rows[id] = len(self._ids)
        self._ids.append(id)
        if row == len(self._matrix):
            self._matrix = np.concatenate([self._matrix, np.zeros_like(self._matrix)])
        self._matrix[row] = item.vector

    def update(self, id: int, item: Item) -> None:
        self._matrix[self._rows[id]] = item.vector

    def delete(self, id: int) -> None:
        row, last = self._rows.pop(id), self._ids.pop()
        if last != id:
            self._matrix[row] = self._matrix[len(self._ids)]
            self._ids[row] = last
            self._rows[last] = row

    def search(self, item: Item, k: int) -> list[int]:
        scores = self._matrix[: len(self._ids)] @ item.vector
        best = np.argpartition(-scores, k)[:k] if len(scores) > k else np.arange(len(scores))
        return [self._ids[row] for row in best[np.argsort(-scores[best])]]


class Chroma(_Simple):
    """A ``chromadb`` collection of the client that lives in memory."""

    def __init__(self) -> None:
        self._collection = _chroma_client().create_collection(
            f"rollout-{next(_chroma_names)}", embedding_function=None
        )

    def create(self, id: int, item: Item) -> None:
        self._collection.add(ids=[str(id)], embeddings=[item.vector], documents=[item.text])

    def update(self, id: int, item: Item) -> None:
        self._collection.update(ids=[str(id)], embeddings=[item.vector], documents=[item.text])

    def delete(self, id: int) -> None:
        self._collection.delete(ids=[str(id)])

    def fill(self, items: Sequence[Item]) -> None:
        for start in range(0, len(items), 5_000):
            part = items[start : start + 5_000]
            self._collection.add(
                ids=[str(start + place) for place in range(1, len(part) + 1)],
                embeddings=[item.vector for item in part],
                documents=[item.text for item in part],
            )

    def search(self, item: Item, k: int) -> list[int]:
        found = self._collection.query(query_embeddings=[item.vector], n_results=k, include=["documents"])
        return [int(id) for id in found["ids"][0]]


def _count() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


_chroma_names = _count()
_chroma: Any = None


def _chroma_client() -> Any:
    global _chroma
    if _chroma is None:
        import chromadb
        from chromadb.config import Settings

        _chroma = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
    return _chroma


def _faiss_store() -> Any:
    """Return an empty LangChain FAISS store with exact L2 distances, as ``FAISS.from_texts`` makes them."""
    import faiss
    from langchain_community.docstore.in_memory import InMemoryDocstore
    from langchain_community.vectorstores import FAISS
    from langchain_core.embeddings import FakeEmbeddings

    return FAISS(
        embedding_function=FakeEmbeddings(size=WIDTH),  # embeddings are given: it is never asked
        index=faiss.IndexFlatL2(WIDTH),
        docstore=InMemoryDocstore(),
        index_to_docstore_id={},
    )


class LangChainFAISS(_Simple):
    """LangChain's ``FAISS``, one store per rollout; an Update deletes and adds, there is nothing else."""

    def __init__(self) -> None:
        self._store = _faiss_store()

    def create(self, id: int, item: Item) -> None:
        self._store.add_embeddings([(item.text, item.vector)], ids=[str(id)])

    def update(self, id: int, item: Item) -> None:
        self._store.delete([str(id)])
        self.create(id, item)

    def delete(self, id: int) -> None:
        self._store.delete([str(id)])

    def fill(self, items: Sequence[Item]) -> None:
        self._store.add_embeddings(
            [(item.text, item.vector) for item in items], ids=[str(id) for id in range(1, len(items) + 1)]
        )

    def search(self, item: Item, k: int) -> list[int]:
        found = self._store.similarity_search_with_score_by_vector(item.vector, k=k)
        return [int(document.id) for document, _ in found]


class ReleasedStore:
    """The one LangChain ``FAISS`` store that all rollouts of a batch share in the released AtomMem.

    Written from its description: an entry carries its rollout as metadata, a search filters by it, and what
    an Update or a Delete means is found by going through all texts, of every rollout. A Delete is an Update to
    the empty text.
    """

    def __init__(self) -> None:
        self.store = _faiss_store()
        self.blank = np.full(WIDTH, WIDTH**-0.5, np.float32)  # the embedding of the empty text
        self.made = 0

    def add(self, rollout: int, items: Sequence[Item]) -> None:
        """Store entries of a rollout."""
        ids = [str(self.made + place) for place in range(len(items))]
        self.made += len(items)
        self.store.add_embeddings(
            [(item.text, item.vector) for item in items],
            metadatas=[{"rollout": rollout} for _ in items],
            ids=ids,
        )

    def replace(self, rollout: int, old: str, item: Item) -> None:
        """Replace the entry that says ``old``."""
        for key, document in self.store.docstore._dict.items():
            if document.page_content == old and document.metadata["rollout"] == rollout:
                self.store.delete([key])
                self.add(rollout, [item])
                return

    def search(self, rollout: int, item: Item, k: int) -> list[str]:
        """Return the texts of the best ``k`` entries of a rollout.

        All entries are fetched before the filter: with LangChain's default of 20, a rollout among many
        would mostly find nothing.
        """
        found = self.store.similarity_search_with_score_by_vector(
            item.vector, k=k, filter={"rollout": rollout}, fetch_k=max(20, self.store.index.ntotal)
        )
        return [document.page_content for document, _ in found]


class Released(_Simple):
    """One rollout's share of a :class:`ReleasedStore`."""

    def __init__(self, shared: ReleasedStore, rollout: int) -> None:
        self._shared = shared
        self._rollout = rollout
        self._texts: dict[int, str] = {}
        self._ids: dict[str, int] = {}

    def create(self, id: int, item: Item) -> None:
        self._note(id, item.text)
        self._shared.add(self._rollout, [item])

    def update(self, id: int, item: Item) -> None:
        old = self._texts[id]
        self._note(id, item.text)
        self._shared.replace(self._rollout, old, item)

    def delete(self, id: int) -> None:
        self._shared.replace(self._rollout, self._texts.pop(id), Item("", self._shared.blank))

    def fill(self, items: Sequence[Item]) -> None:
        for id, item in enumerate(items, start=1):
            self._note(id, item.text)
        self._shared.add(self._rollout, items)

    def search(self, item: Item, k: int) -> list[int]:
        return [self._ids[text] for text in self._shared.search(self._rollout, item, k) if text in self._ids]

    def _note(self, id: int, text: str) -> None:
        self._texts[id] = text
        self._ids[text] = id


def _released(count: int) -> list[Store]:
    shared = ReleasedStore()
    return [Released(shared, rollout) for rollout in range(count)]


# --- the list ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contender:
    """A way to keep the memories of rollouts.

    Attributes:
        name: what it is called in a test's id.
        label: what it is called in tables.
        family: ``"lexical"`` (BM25) or ``"dense"`` (given embeddings).
        make: returns empty stores for that many rollouts at once.
        needs: the modules it imports.
        packages: what pip installs for it.
    """

    name: str
    label: str
    family: str
    make: Callable[[int], list[Store]]
    needs: tuple[str, ...] = ()
    packages: str = ""

    @property
    def available(self) -> bool:
        """Whether its modules are installed."""
        return all(importlib.util.find_spec(module) is not None for module in self.needs)


def _each(kind: Callable[[], Store]) -> Callable[[int], list[Store]]:
    return lambda count: [kind() for _ in range(count)]


_LANGCHAIN = ("langchain_community", "faiss")

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("ours-bm25", "atommem_env, BM25", "lexical", _each(OurBM25)),
        Contender(
            "rank-bm25", "rank_bm25, rebuilt when dirty", "lexical", _each(RebuiltRankBM25), ("rank_bm25",)
        ),
        Contender("bm25s", "bm25s, rebuilt when dirty", "lexical", _each(RebuiltBM25S), ("bm25s",), "bm25s"),
        Contender(
            "tantivy", "tantivy, a commit per step", "lexical", _each(Tantivy), ("tantivy",), "tantivy"
        ),
        Contender("ours-dense", "atommem_env, dense", "dense", _our_dense),
        Contender("matrix", "one numpy matrix per rollout", "dense", _each(Matrix)),
        Contender(
            "langchain-faiss",
            "LangChain FAISS, one store per rollout",
            "dense",
            _each(LangChainFAISS),
            _LANGCHAIN,
            "langchain-community faiss-cpu",
        ),
        Contender(
            "released",
            "LangChain FAISS as the released AtomMem uses it",
            "dense",
            _released,
            _LANGCHAIN,
            "langchain-community faiss-cpu",
        ),
        Contender("chroma", "Chroma, in memory", "dense", _each(Chroma), ("chromadb",), "chromadb"),
    )
}
"""Every store that can be measured, by name."""
