"""The paper's encoder, Qwen3-Embedding-0.6B behind vLLM, as the argument ``encoder="qwen_encoder:make_encoder"``.

The server is at ``$EMBEDDINGS_URL``, else at port 8001 of this machine. The model takes an instruction before a
query, and none before a document.
"""

from __future__ import annotations

import os

from atommem_env.retrieval import EndpointEncoder


def make_encoder() -> EndpointEncoder:
    """Return the encoder; this folder must be on ``$PYTHONPATH``, as the scripts here see to."""
    return EndpointEncoder(
        "Qwen/Qwen3-Embedding-0.6B",
        base_url=os.environ.get("EMBEDDINGS_URL", "http://localhost:8001/v1"),
        query_instruction="Instruct: Given a question, retrieve passages that help to answer it\nQuery:",
    )
