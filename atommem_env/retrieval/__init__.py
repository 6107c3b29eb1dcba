"""Retrievers: what finds the entries of a memory store that fit a query.

``BM25`` needs nothing more; ``DenseRetriever`` and ``HybridRetriever`` need an encoder, whose model is loaded
when the first search wants it; ``RandomRetriever`` is a control. Anything with the methods of ``Retriever``
serves.
"""

from typing import TYPE_CHECKING, Any

from atommem_env.retrieval.base import ForkableRetriever, RandomRetriever, Retriever
from atommem_env.retrieval.bm25 import BM25
from atommem_env.retrieval.cached import CachedEncoder, Encoder
from atommem_env.retrieval.dense import DenseRetriever
from atommem_env.retrieval.encoders import FunctionEncoder, SentenceTransformerEncoder, make_encoder
from atommem_env.retrieval.hybrid import HybridRetriever
from atommem_env.retrieval.make import make_retriever
from atommem_env.retrieval.threads import share_cores
from atommem_env.retrieval.vector_file import VectorFile

if TYPE_CHECKING:
    from atommem_env.retrieval.endpoint_encoder import EndpointEncoder

__all__ = [
    "BM25",
    "CachedEncoder",
    "DenseRetriever",
    "Encoder",
    "EndpointEncoder",
    "ForkableRetriever",
    "FunctionEncoder",
    "HybridRetriever",
    "RandomRetriever",
    "Retriever",
    "SentenceTransformerEncoder",
    "VectorFile",
    "make_encoder",
    "make_retriever",
    "share_cores",
]


def __getattr__(name: str) -> Any:
    if name == "EndpointEncoder":  # it brings all that asks a server, which few need
        from atommem_env.retrieval.endpoint_encoder import EndpointEncoder

        return EndpointEncoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
