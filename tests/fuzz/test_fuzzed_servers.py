"""Seeded misbehaviour of a scripted server: every call ends in a reply or in an error of this package, in its time.

The quick suite makes some dozens of calls; ``--faults N`` makes 25 times N.
"""

from __future__ import annotations

import gzip
import json
import random
import socket
import warnings
from typing import Any

import numpy as np
import pytest

from atommem_env.llm import Chat, ChatError, ChatSettings, chat, endpoint
from atommem_env.llm.endpoint import Endpoint, EndpointError
from atommem_env.retrieval import EndpointEncoder
from fake_server import Answer, FakeServer, encoded, failed, listening, said

CALLS = 25  # for each fault that is asked for
SECRET = "sk-very-secret-9"


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "ATOMMEM_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setattr(chat, "_quirks", {})
    monkeypatch.setattr(endpoint.time, "sleep", lambda seconds: None)


ODD: tuple[Any, ...] = (
    None, True, -1, 0, 3.5, 1e308, 10**30, "", "x", "\x1b[2J\u202e", "\ud83d", [], {}, [[]], [None], {"message": None},
    {"content": []}, {"content": [{"type": "text", "text": 5}]}, [{"text": "x"}], "9" * 5000, SECRET,
)  # fmt: skip
HEADERS = (
    {"Retry-After": "1e9"}, {"Retry-After": "-1"}, {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"},
    {"Content-Type": "text/html"}, {"Content-Type": "application/json; charset=utf-16"}, {"Content-Type": ""},
    {"Content-Encoding": "gzip"}, {"Content-Encoding": "br"}, {"Content-Encoding": "deflate"}, {"Connection": "close"},
    {"X-Long": "x" * 70_000}, {"Set-Cookie": "a=b"}, {"Location": "http://127.0.0.1:9/v1"}, {"Location": "//["},
    {"Retry-After": "0"},
)  # fmt: skip
STATUSES = (200, 200, 200, 201, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500,
            502, 503, 504, 529, 599)  # fmt: skip


def twist(draw: random.Random, value: Any) -> Any:
    """Return JSON data with one place in it replaced or gone."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(sorted(value))
        if draw.random() < 0.15:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: twist(draw, value[key])}
    if isinstance(value, list) and value and draw.random() < 0.85:
        place = draw.randrange(len(value))
        return [*value[:place], twist(draw, value[place]), *value[place + 1 :]]
    return draw.choice(ODD)


def misbehave(draw: random.Random) -> Answer:
    """Return what a server might send that should not."""
    body: Any = said("Paris", reasoning={"reasoning": "Seine"}).body
    kind = draw.choice(
        ("shape", "shape", "shape", "refusal", "bytes", "cut", "header", "status", "packed", "deep")
    )
    if kind == "shape":
        for _ in range(draw.choice((1, 1, 2, 4))):
            body = twist(draw, body)
        return Answer(body=body)
    if kind == "refusal":
        refusal = failed(draw.choice(STATUSES), draw.choice(("wait", "too long", "seed", SECRET, ""))).body
        return Answer(draw.choice(STATUSES), twist(draw, refusal), draw.choice(HEADERS))
    if kind == "bytes":
        whole = bytearray(json.dumps(body).encode())
        for _ in range(draw.choice((1, 3, 20))):
            whole[draw.randrange(len(whole))] = draw.randrange(256)
        return Answer(body=bytes(whole))
    if kind == "cut":
        return Answer(body=body, breaks_off=True)
    if kind == "header":
        return Answer(draw.choice((200, 301, 307, 429, 503)), body, draw.choice(HEADERS))
    if kind == "status":
        return Answer(draw.choice(STATUSES), draw.choice((body, b"", b"null", [], "no")))
    if kind == "packed":
        packed = gzip.compress(json.dumps(body).encode())
        return Answer(
            body=packed[: draw.choice((0, 9, 40, len(packed)))], headers={"Content-Encoding": "gzip"}
        )
    return Answer(body=draw.choice((b"[", b'{"choices":', b"9", b"\\", b" ")) * 50_000)


BODY = json.dumps(said("Paris").body).encode()
PACKED = gzip.compress(BODY)
ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX: y\r\n\r\n"
    % (len(BODY), BODY),
    b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n" + BODY,
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(PACKED), PACKED),
    b"HTTP/1.1 307 Elsewhere\r\nLocation: /v1/x\r\nContent-Length: 0\r\n\r\n",
)
PIECES = (
    b"\r\n", b"\n", b"\r\n\r\n", b"\0", b":", b"-1", b"\xff", b" " * 99, b"ffffffffffffffff\r\n", b"x" * 70_000,
    b"HTTP/1.1 100 \r\n\r\n", b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n", b"a: b\r\n" * 200,
)  # fmt: skip


def misspell(draw: random.Random) -> bytes:
    """Return bytes that are nearly an answer."""
    whole = bytearray(draw.choice(ANSWERS))
    for _ in range(draw.choice((1, 1, 2, 5))):
        at = draw.randrange(len(whole))
        kind = draw.randrange(4)
        if kind == 0:
            whole[at] = draw.randrange(256)
        elif kind == 1:
            whole[at:at] = draw.choice(PIECES)
        elif kind == 2:
            del whole[at : at + draw.choice((1, 2, 40))]
        elif len(whole) > 1:
            del whole[at + 1 :]
        whole = whole or bytearray(b"x")
    return bytes(whole)


def test_every_answer_in_bytes_is_a_reply_or_an_error(request: pytest.FixtureRequest) -> None:
    calls = CALLS * int(request.config.getoption("--faults"))
    now = [b""]

    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(now[0])

    read = 0
    with listening(serve) as port:
        for seed in range(calls):
            now[0] = misspell(random.Random(seed))
            endpoint_ = Endpoint(f"http://127.0.0.1:{port}/v1", SECRET, timeout=5.0, retries=0)
            try:
                endpoint_.ask("/chat/completions", {"model": "m"})
            except (EndpointError, ValueError) as error:
                told = str(error)
            except Exception as error:
                raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
            else:
                read, told = read + 1, ""
            assert SECRET not in told
    assert 0 < read < calls


def test_every_call_ends_in_a_reply_or_an_error(
    request: pytest.FixtureRequest, chat_server: FakeServer, tmp_path: Any
) -> None:
    calls = CALLS * int(request.config.getoption("--faults"))
    replies = refusals = 0
    for seed in range(calls):
        draw = random.Random(seed)
        server = chat_server.begin()
        server.plan = [misbehave(draw) for _ in range(draw.choice((1, 1, 2, 4)))]
        cache = tmp_path if draw.random() < 0.3 else None
        options: dict[str, Any] = {"pause": 0.0001, "retries": 2, "timeout": 5.0, "cache": cache}
        asked = Chat(ChatSettings("m", server.address, seed=seed, **options))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                reply = asked.complete([{"role": "user", "content": "What is the capital of France?"}])
            except ChatError as error:
                refusals += 1
                told = str(error)
            except Exception as error:
                raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
            else:
                replies += 1
                told = reply.text + reply.raw + reply.reasoning
                assert reply.prompt_tokens >= 0
        assert SECRET not in told, f"seed {seed}"
        assert len(server.asked) <= 12
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert replies
    assert refusals
    print(f"{calls} calls: {replies} replies, {refusals} refusals")


def test_every_encoding_ends_in_vectors_or_an_error(
    request: pytest.FixtureRequest, chat_server: FakeServer
) -> None:
    calls = CALLS * int(request.config.getoption("--faults")) // 5
    texts = ["a town", "a river", ""]
    for seed in range(calls):
        draw = random.Random(f"vectors {seed}")
        server = chat_server.begin()
        whole = encoded(texts).body
        server.plan = [
            draw.choice((misbehave(draw), Answer(body=twist(draw, twist(draw, whole))))) for _ in range(2)
        ]
        encoder = EndpointEncoder("m", server.address, retries=1, timeout=5.0)
        try:
            vectors = encoder.encode(texts, "document")
        except (ConnectionError, ValueError) as error:
            told = str(error)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
        else:
            told = ""
            assert vectors.shape[0] == len(texts)
            assert np.isfinite(vectors).all(), f"seed {seed}"
        assert SECRET not in told, f"seed {seed}"
    print(f"{calls} encodings")
