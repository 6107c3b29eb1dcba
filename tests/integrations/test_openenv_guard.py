"""Who may ask an OpenEnv server, and for how long a session may say nothing; with an application of no library."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atommem_env.integrations.openenv.guard import Guard, origin_of

HOST = "127.0.0.1:8000"
LOCAL = f"http://{HOST}"


class Inner:
    """An application that echoes messages until its client leaves; keeps what it heard."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.heard.append("http")
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"secret"})
            return
        while True:
            message = await receive()
            self.heard.append(message["type"])
            if message["type"] == "websocket.disconnect":
                return
            if message["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            else:
                await send({"type": "websocket.send", "text": message["text"]})


def ask(
    kind: str, headers: list[tuple[str, str]], *messages: Any, idle: float = 60, origins: tuple[str, ...] = ()
) -> tuple[list[Any], list[Any]]:
    """Return what the application heard and what the client was sent; after its messages the client falls silent."""
    inner, sent = Inner(), []
    waiting = list(messages)

    async def receive() -> Any:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind, "headers": [(name.encode(), value.encode()) for name, value in headers]}
    asyncio.run(Guard(inner, idle, origins)(scope, receive, send))
    return inner.heard, sent


FOREIGN = [
    "http://evil.example", "https://evil.example:8000", "http://127.0.0.1.evil.example:8000", "http://127.0.0.1:9000",
    "http://127.0.0.1", "http://localhost:8000", "null", "", "file://", "javascript:0",
    "http://u@127.0.0.1:8000", "http://127.0.0.1:8000/page", "http://[::1", "http://127.0.0.1:99999", "\x1b[2J",
]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    headers = [("host", HOST), ("origin", origin)]
    heard, sent = ask("http", headers)
    assert (heard, sent[0]["status"]) == ([], 403)
    heard, sent = ask("websocket", headers, {"type": "websocket.connect"})
    assert (heard, [(message["type"], message["code"]) for message in sent]) == (
        [],
        [("websocket.close", 1008)],
    )


def test_a_name_that_was_bent_to_this_machine_is_refused() -> None:
    bent = [("host", "evil.example:8000"), ("origin", "http://evil.example:8000")]
    assert ask("http", bent)[0] == []


@pytest.mark.parametrize(
    ("headers", "origins"),
    [
        ([("host", HOST)], ()),
        ([("host", "space.example")], ()),
        ([("host", HOST), ("origin", LOCAL)], ()),
        ([("host", "localhost:7860"), ("Origin", "http://localhost:7860")], ()),
        ([("host", "[::1]:8000"), ("origin", "http://[::1]:8000")], ()),
        ([("host", "space.example"), ("origin", "https://space.example")], ("https://space.example",)),
        ([("host", "space.example"), ("origin", "https://Space.example:443")], ("https://space.example/",)),
        ([("host", HOST), ("origin", "http://evil.example")], ("*",)),
    ],
)
def test_clients_and_pages_of_this_machine_may_ask(
    headers: list[tuple[str, str]], origins: tuple[str, ...]
) -> None:
    assert ask("http", headers, origins=origins)[1][1]["body"] == b"secret"


def test_a_header_said_twice_is_refused() -> None:
    assert ask("http", [("host", HOST), ("origin", LOCAL), ("origin", "http://evil.example")])[0] == []


def test_a_session_that_falls_silent_is_closed() -> None:
    said = {"type": "websocket.receive", "text": "x"}
    heard, sent = ask("websocket", [("host", HOST)], {"type": "websocket.connect"}, said, idle=0.01)
    assert heard == ["websocket.connect", "websocket.receive", "websocket.disconnect"]
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert (sent[-1]["code"], sent[-1]["reason"]) == (1001, "nothing was said for 0.01 seconds")


def test_a_session_that_ends_is_not_closed_again() -> None:
    left = {"type": "websocket.disconnect", "code": 1000}
    assert [message["type"] for message in ask("websocket", [], {"type": "websocket.connect"}, left)[1]] == [
        "websocket.accept"
    ]


@pytest.mark.parametrize("idle", [0, -1, float("nan"), float("inf"), True, "60", None])
def test_a_wrong_limit_is_refused(idle: Any) -> None:
    with pytest.raises(ValueError, match="idle="):
        Guard(Inner(), idle)


@pytest.mark.parametrize("origin", ["evil", "ftp://host", "http://", "http://host/page", "http://host:port"])
def test_a_wrong_origin_is_refused(origin: str) -> None:
    assert origin_of(origin) is None
    with pytest.raises(ValueError, match="expected one such as"):
        Guard(Inner(), origins=[origin])
