"""An encoder behind an OpenAI-compatible embeddings endpoint, such as a model that vLLM serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from atommem_env.llm.endpoint import Endpoint, EndpointError, find_address, find_key
from atommem_env.llm.secrets import mask, masked_address
from atommem_env.retrieval.cached import Kind, Vectors

_MENDS: Final = {
    400: "The server refuses the request itself: check the texts' length against the model's, and `dimensions`",
    401: "Set OPENAI_API_KEY or pass api_key=",
    403: "Set OPENAI_API_KEY or pass api_key=, of a key that may use this model",
    404: "Check the model's name, and that base_url ends where /embeddings follows (often in /v1)",
    413: "Lower batch_size",
    429: "Lower the load on the endpoint, or raise retries",
}


class _BatchTooLargeError(Exception):
    """The server says that a request holds too many texts."""


class EndpointEncoder:
    """Encodes with ``POST {base_url}/embeddings``, as OpenAI, vLLM, TEI, Ollama and others serve it.

    A call sends its texts in batches, one after the other. A batch that fails in passing is sent again after a
    pause; one that the server finds too large is halved, and so are those that follow; anything else is an error at
    once (:class:`atommem_env.llm.endpoint.Endpoint` says which).

    An instruction is put before each text of its kind as it stands: for Qwen3-Embedding, for instance,
    ``query_instruction="Instruct: Given a question, find the passages that answer it\\nQuery:"``, and none
    for documents.

    It pickles and deep-copies as its arguments, the key with them, and opens a connection when it is first
    used in a process. See https://platform.openai.com/docs/api-reference/embeddings.

    Args:
        model: the model's name, as the server knows it.
        base_url: where the server is, ``"http://localhost:8000/v1"``; ``None`` means ``$OPENAI_BASE_URL``,
            else OpenAI's own.
        api_key: ``None`` means ``$OPENAI_API_KEY``; your own server needs none.
        query_instruction: what goes before a query.
        document_instruction: what goes before a document.
        dimensions: the vectors' length, for models that can shorten them; ``None`` means the model's.
        batch_size: how many texts a request holds at most; a server that admits fewer is sent fewer.
        retries: how often a batch that failed in passing is sent again.
        timeout: the most seconds that one request takes, to the last byte of the answer.

    Raises:
        ValueError: when an argument is out of range.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        query_instruction: str = "",
        document_instruction: str = "",
        dimensions: int | None = None,
        batch_size: int = 128,
        retries: int = 8,
        timeout: float = 120.0,
    ) -> None:
        if not model:
            raise ValueError("encoder='openai:': expected a model's name after the colon")
        if batch_size < 1 or retries < 0 or not timeout > 0:
            raise ValueError(
                f"batch_size={batch_size!r}, retries={retries!r}, timeout={timeout!r}: expected a batch of at least 1 "
                "text, no fewer than 0 retries, and a time above 0 seconds"
            )
        self.model = model
        self.base_url = base_url
        self.query_instruction = query_instruction
        self.document_instruction = document_instruction
        self.dimensions = dimensions
        self.batch_size = batch_size
        self.retries = retries
        self.timeout = timeout
        self._api_key = api_key
        self._most = batch_size  # what the server has admitted so far

    def __repr__(self) -> str:
        where = "" if self.base_url is None else f", base_url={masked_address(self.base_url)!r}"
        return f"EndpointEncoder({self.model!r}{where})"

    def __deepcopy__(self, memo: dict[int, object]) -> EndpointEncoder:
        return self

    def __reduce__(self) -> tuple[type[EndpointEncoder], tuple[object, ...]]:
        return EndpointEncoder, (
            self.model,
            self.base_url,
            self._api_key,
            self.query_instruction,
            self.document_instruction,
            self.dimensions,
            self.batch_size,
            self.retries,
            self.timeout,
        )

    @property
    def identity(self) -> str:
        """What names the vectors on disk: server, model, length and instructions."""
        parts = (
            masked_address(self._address()),
            self.model,
            self.dimensions,
            self.query_instruction,
            self.document_instruction,
        )
        return f"endpoint {parts!r}"

    def encode(self, texts: Sequence[str], kind: Kind) -> Vectors:
        """Return the vectors of ``texts``: see :meth:`encode_mixed`."""
        return self.encode_mixed(texts, [kind] * len(texts))

    def encode_mixed(self, texts: Sequence[str], kinds: Sequence[Kind]) -> Vectors:
        """Return the vectors of ``texts``, of shape (number of texts, width), each text with its instruction.

        Raises:
            ConnectionError: when the server cannot be reached, or fails at every try.
            ValueError: when it refuses the request, or answers with anything but a vector for each text.
        """
        before = {"query": self.query_instruction, "document": self.document_instruction}
        sent = [before[kind] + text for text, kind in zip(texts, kinds, strict=True)]
        parts: list[Vectors] = []
        done = 0
        while done < len(sent):
            batch = sent[done : done + self._most]
            try:
                parts.append(self._batch(batch))
            except _BatchTooLargeError:
                self._most = max(1, len(batch) // 2)
                continue
            done += len(batch)
        if len({part.shape[1] for part in parts}) > 1:
            raise ValueError(
                f"{self._name()} answered with vectors of different lengths in different batches"
            )
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)

    def _batch(self, texts: list[str]) -> Vectors:
        options = {} if self.dimensions is None else {"dimensions": self.dimensions}
        address = self._address()
        key = self._api_key or find_key(f"encoder='openai:{self.model}'", address)
        endpoint = Endpoint(address, key, self.timeout, self.retries)
        try:
            # Asked for as numbers: not every server knows base64.
            body = {"model": self.model, "input": texts, "encoding_format": "float", **options}
            answer = endpoint.call(lambda: endpoint.ask("/embeddings", body))
        except EndpointError as error:
            if error.batch_too_large and len(texts) > 1:
                raise _BatchTooLargeError from error
            raise self._explained(error) from error
        return self._vectors(answer, len(texts))

    def _explained(self, error: EndpointError) -> ConnectionError | ValueError:
        """Return ``error`` with what to do about it."""
        if error.unreadable:
            return ValueError(f"{self._name()} gave an answer that cannot be read: {error}")
        if error.status is None:
            return ConnectionError(
                f"{self._name()} did not answer in {error.tries} tries: {error}. Check that the server runs at that "
                "address, or pass base_url= or set OPENAI_BASE_URL."
            )
        if error.passing:
            mend = _MENDS.get(error.status, "See the server's log, or raise retries")
            return ConnectionError(
                f"{self._name()} failed {error.tries} times, last with status {error.status}: {error}. {mend}."
            )
        mend = _MENDS.get(error.status, "Nothing was tried again, as the server would refuse it again")
        return ValueError(f"{self._name()} refused the request with status {error.status}: {error}. {mend}.")

    def _vectors(self, answer: Any, count: int) -> Vectors:
        """Return the vectors of an answer in the order of its texts."""
        data = answer.get("data") if isinstance(answer, dict) else None
        rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
        by_index = {
            row["index"]: row.get("embedding") for row in rows if isinstance(row.get("index"), (int, float))
        }
        if len(rows) != count or set(by_index) != set(range(count)):
            raise ValueError(
                f"{self._name()} answered with {len(rows)} vectors: expected one for each of {count} texts, with the "
                f"indices 0 to {count - 1}"
            )
        try:
            with np.errstate(over="ignore"):
                vectors = np.array([by_index[index] for index in range(count)], np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"{self._name()} answered with vectors of different lengths, or no numbers"
            ) from error
        if vectors.ndim != 2:
            raise ValueError(
                f"{self._name()} answered with {mask(repr(by_index[0])):.60}: expected a list of numbers"
            )
        if not np.isfinite(vectors).all():
            raise ValueError(
                f"{self._name()} answered with a vector that is not finite: see the server's log"
            )
        return vectors

    def _address(self) -> str | None:
        return find_address(self.base_url)

    def _name(self) -> str:
        return (
            f"the embeddings endpoint {masked_address(self._address()) or 'of OpenAI'} (model {self.model!r})"
        )
