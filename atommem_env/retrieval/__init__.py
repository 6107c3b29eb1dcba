"""Retrievers: what finds the entries of a memory store that fit a query.

``BM25`` needs nothing more; ``DenseRetriever`` and ``HybridRetriever`` need an encoder, whose model is loaded
when the first search wants it; ``RandomRetriever`` is a control. Anything with the methods of ``Retriever``
serves.
"""

from atommem_env.retrieval.base import ForkableRetriever, RandomRetriever, Retriever
from atommem_env.retrieval.bm25 import BM25
from atommem_env.retrieval.dense import DenseRetriever
from atommem_env.retrieval.encoders import (
    CachedEncoder,
    Encoder,
    FunctionEncoder,
    SentenceTransformerEncoder,
    make_encoder,
)
from atommem_env.retrieval.hybrid import HybridRetriever
from atommem_env.retrieval.make import make_retriever

__all__ = [
    "BM25",
    "CachedEncoder",
    "DenseRetriever",
    "Encoder",
    "ForkableRetriever",
    "FunctionEncoder",
    "HybridRetriever",
    "RandomRetriever",
    "Retriever",
    "SentenceTransformerEncoder",
    "make_encoder",
    "make_retriever",
]
