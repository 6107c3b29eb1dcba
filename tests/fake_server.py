"""A scripted OpenAI-compatible server on a real socket, for tests: what it answers, and each way to fail."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Request = dict[str, Any]
PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")


@dataclass(frozen=True)
class Answer:
    """What the server sends: a status, a body (bytes as they are, else JSON), and how."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False  # until the server stops
    breaks_off: bool = False  # after half of the body
    drips: float = 0.0  # seconds between two bytes, of the headers too


def said(
    text: str | None, *, reasoning: dict[str, str] | None = None, finish: str = "stop", usage: bool = True
) -> Answer:
    """Return a reply, in the form of both routes."""
    message = {"role": "assistant", "content": text, **(reasoning or {})}
    body: dict[str, Any] = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "text": text, "finish_reason": finish}],
    }
    if usage:
        body["usage"] = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    return Answer(body=body)


def encoded(texts: Sequence[str]) -> Answer:
    """Return vectors of two numbers, for the route of encoders."""
    data = [{"index": place, "embedding": [float(len(text)), 1.0]} for place, text in enumerate(texts)]
    return Answer(body={"object": "list", "model": "m", "data": data})


def failed(status: int, message: str, *, headers: dict[str, str] | None = None, **fields: str) -> Answer:
    """Return an error in the form that servers share."""
    return Answer(status, {"error": {"message": message, **fields}}, headers or {})


class FakeServer(ThreadingHTTPServer):
    """Answers a request with the next of ``plan``, and with ``reply(prompt)`` once that is used up.

    Attributes:
        plan: the answers to the first requests.
        reply: what a text is replied to.
        asked: the requests' bodies, in order.
        keys: the keys they came with.
        models: what the server lists.
    """

    daemon_threads = True

    def __init__(self, reply: Callable[[str], str], *plan: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.begin(reply, *plan)

    def begin(self, reply: Callable[[str], str] = lambda prompt: "Paris", *plan: Answer) -> FakeServer:
        """Forget what was asked, and answer like this from now on."""
        self.reply = reply
        self.plan = list(plan)
        self.asked: list[Request] = []
        self.keys: list[str | None] = []
        self.models = ["m", "n"]
        return self

    def answer(self, request: Request) -> Answer:
        """Return what to send back, and note the request."""
        with self.lock:
            self.asked.append(request)
            planned = self.plan.pop(0) if self.plan else None
        if planned is None and "input" in request:
            return encoded(request["input"])
        return planned or said(self.reply(prompt_of(request)))


def prompt_of(request: Request) -> str:
    """Return the text of a request, of either route."""
    return request.get("prompt") or "\n\n".join(message["content"] for message in request["messages"])


@contextmanager
def serving(reply: Callable[[str], str] = lambda prompt: "Paris", *plan: Answer) -> Iterator[FakeServer]:
    """Serve while the context lasts."""
    with FakeServer(reply, *plan) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join()


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Have ``serve`` take each connection to a port, one after another, while the context lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(ssl.SSLError, ConnectionError):
                        serve(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body that follows its headers at once would wait for 40 ms

    def do_GET(self) -> None:
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": "us"} for name in self.server.models
        ]
        self._send(Answer(body={"object": "list", "data": listed}))

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.keys.append(self.headers["Authorization"])
        known = self.path.partition("?")[0] in PATHS
        self._send(server.answer(request) if known else failed(404, "no such path"))

    def _send(self, answer: Answer) -> None:
        if answer.hangs:
            self.server.stopping.wait()
            self.close_connection = True
            return
        if answer.drips:
            self.close_connection = True
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b" " * 1000:
                if self.server.stopping.wait(answer.drips):
                    return
                try:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                except OSError:
                    return
            return
        data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if answer.breaks_off:
            data, self.close_connection = data[: len(data) // 2], True
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass
