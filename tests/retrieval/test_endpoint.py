"""An embeddings endpoint: texts in batches, retries where they help, clear errors where they do not."""

from __future__ import annotations

import copy
import json
import pickle
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from atommem_env.retrieval import DenseRetriever, EndpointEncoder, encoders, make_encoder

AT_ONCE = {"retry-after-ms": "1"}  # the pause before a retry that the server asks for


class Server(ThreadingHTTPServer):
    """Answers with (length of the text, 1), in any order; `plan` holds what it answers first instead."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: list[tuple[int, dict[str, str], Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(request)
        self.server.keys.append(self.headers["Authorization"])
        if self.path != "/v1/embeddings":
            self.send(404, {}, {"error": {"message": "no such path"}})
        elif self.server.plan:
            self.send(*self.server.plan.pop(0))
        else:
            self.send(200, {}, answer([[len(text), 1] for text in request["input"]]))

    def send(self, status: int, headers: dict[str, str], body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


def answer(vectors: list[Any]) -> dict[str, Any]:
    rows = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    return {
        "object": "list",
        "model": "m",
        "data": rows[::-1],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(encoders, "_named", {})
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_texts_go_in_batches_and_vectors_come_in_their_order(server: Server) -> None:
    encoder = EndpointEncoder("m", server.address, batch_size=2)
    vectors = encoder.encode(["a", "bb", "ccc", "dddd", "eeeee"], "document")
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[1, 1], [2, 1], [3, 1], [4, 1], [5, 1]]
    assert [request["input"] for request in server.asked] == [["a", "bb"], ["ccc", "dddd"], ["eeeee"]]
    assert {request["model"] for request in server.asked} == {"m"}
    assert encoder.encode([], "query").shape == (0, 0)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (413, "Payload Too Large"),
        (413, "batch size 5 > maximum allowed batch size 2"),
        (422, "input list exceeds 2 items: lower the batch size"),
        (400, "Too many inputs. The max number of inputs is 2"),
    ],
)
def test_a_batch_that_is_too_large_is_halved_and_asked_for_again(
    server: Server, status: int, words: str
) -> None:
    server.plan = [(status, {}, {"error": {"message": words}})] * 2
    encoder = EndpointEncoder("m", server.address)
    for _ in range(2):
        assert encoder.encode(list("abcde"), "document").tolist() == [[1, 1]] * 5
    assert [len(request["input"]) for request in server.asked] == [5, 2, *[1] * 5, *[1] * 5]
    server.plan = [(413, {}, {"error": {"message": words}})]
    with pytest.raises(ValueError, match="status 413"):
        encoder.encode(["a"], "query")


def test_each_kind_has_its_instruction_and_both_go_in_one_request(server: Server) -> None:
    encoder = EndpointEncoder("m", server.address, query_instruction="Query:", document_instruction="> ")
    encoder.encode_mixed(["a", "b"], ["document", "query"])
    assert [request["input"] for request in server.asked] == [["> a", "Query:b"]]


def test_key_and_dimensions_are_sent(server: Server) -> None:
    EndpointEncoder("m", server.address, api_key="secret", dimensions=2).encode(["a"], "query")
    assert server.keys == ["Bearer secret"]
    assert server.asked[0]["dimensions"] == 2
    EndpointEncoder("m", server.address).encode(["a"], "query")
    assert "dimensions" not in server.asked[1]


def test_it_is_an_encoder_argument_by_name(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.address)
    retriever = DenseRetriever("openai:org/model-1")
    retriever.add(1, "aaaa")
    retriever.add(2, "aaaaaaaaaaaaaaaaaa")
    assert [id for id, _ in retriever.search("bbb", 2)] == [1, 2]
    assert [request["model"] for request in server.asked] == ["org/model-1"]
    assert make_encoder("openai:org/model-1") is retriever.encoder
    assert pickle.loads(pickle.dumps(retriever.encoder)) is retriever.encoder


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_what_fails_in_passing_is_sent_again(server: Server, status: int) -> None:
    server.plan = [(status, AT_ONCE, {"error": {"message": "busy"}})] * 2
    assert EndpointEncoder("m", server.address, retries=2).encode(["abc"], "query").tolist() == [[3, 1]]
    assert len(server.asked) == 3


def test_what_fails_at_every_try_is_an_error_that_says_how_often(server: Server) -> None:
    server.plan = [(503, AT_ONCE, {"error": {"message": "loading the model"}})] * 9
    with pytest.raises(ConnectionError, match=r"/v1 \(model 'm'\) failed 3 times.*503.*loading the model"):
        EndpointEncoder("m", server.address, retries=2).encode(["abc"], "query")
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "mend"),
    [(400, "texts' length"), (401, "OPENAI_API_KEY"), (404, "model's name"), (422, "refuse it again")],
)
def test_what_the_server_refuses_is_an_error_at_once(server: Server, status: int, mend: str) -> None:
    server.plan = [(status, AT_ONCE, {"error": {"message": "I will not"}})]
    with pytest.raises(ValueError, match=f"status {status}.*I will not.*{mend}"):
        EndpointEncoder("m", server.address).encode(["abc"], "query")
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_an_error_with_its_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    with pytest.raises(ConnectionError, match=rf"{address}.*1 tries.*OPENAI_BASE_URL"):
        EndpointEncoder("m", address, retries=0).encode(["abc"], "query")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (answer([[1, 2]]), "1 vectors: expected one for each of 2 texts"),
        (answer([[1, 2], [1, 2, 3]]), "different lengths"),
        (answer([1.0, 2.0]), "expected a list of numbers"),
        ({"object": "list", "data": []}, "0 vectors"),
        (b"<html>not this</html>", "cannot be read|0 vectors|answered with"),
    ],
)
def test_an_answer_without_a_vector_for_each_text_is_an_error(server: Server, body: Any, said: str) -> None:
    server.plan = [(200, {}, body)]
    with pytest.raises(ValueError, match=said):
        EndpointEncoder("m", server.address, retries=0).encode(["a", "b"], "query")


def test_a_vector_length_that_changes_between_batches_is_an_error(server: Server) -> None:
    server.plan = [(200, {}, answer([[1, 2, 3]]))]
    with pytest.raises(ValueError, match="different batches"):
        EndpointEncoder("m", server.address, batch_size=1).encode(["a", "b"], "query")


def test_openais_own_endpoint_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        EndpointEncoder("m").encode(["a"], "query")


@pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"retries": -1}, {"timeout": 0}])
def test_arguments_out_of_range_are_errors(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected a batch of at least 1"):
        EndpointEncoder("m", **arguments)
    with pytest.raises(ValueError, match="after the colon"):
        EndpointEncoder("")


def test_it_deep_copies_as_itself_and_pickles_as_its_arguments(server: Server) -> None:
    encoder = EndpointEncoder("m", server.address, "key", "q:", "d:", 2, 7, 1, 3.0)
    encoder.encode(["a"], "query")
    assert copy.deepcopy(encoder) is encoder
    loaded = pickle.loads(pickle.dumps(encoder))
    assert loaded.__reduce__() == encoder.__reduce__()
    assert loaded.identity == encoder.identity
    assert loaded.encode(["a"], "query").tolist() == [[3, 1]]


def test_what_changes_the_vectors_changes_the_identity() -> None:
    made = [
        EndpointEncoder("m", "http://a/v1"),
        EndpointEncoder("n", "http://a/v1"),
        EndpointEncoder("m", "http://b/v1"),
        EndpointEncoder("m", "http://a/v1", query_instruction="q"),
        EndpointEncoder("m", "http://a/v1", document_instruction="q"),
        EndpointEncoder("m", "http://a/v1", dimensions=8),
    ]
    assert len({encoder.identity for encoder in made}) == len(made)
    assert EndpointEncoder("m", "http://a/v1", "key", batch_size=2).identity == made[0].identity
