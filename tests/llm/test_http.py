"""Requests to servers: what is imported for them and when, whose login goes along, connections, proxies, packing."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from atommem_env.llm import endpoint, http
from atommem_env.llm.endpoint import Endpoint, EndpointError
from atommem_env.retrieval import EndpointEncoder
from fake_server import Answer, FakeServer, failed

BODY = {"model": "m", "messages": [{"role": "user", "content": "Who?"}]}
PATH = "/chat/completions"


@pytest.fixture
def server(chat_server: FakeServer) -> FakeServer:
    return chat_server.begin()


def ask(address: str, key: str = "none", **options: Any) -> Any:
    return Endpoint(address, key, **{"timeout": 20.0, "retries": 0, **options}).ask(PATH, BODY)


def with_login(server: FakeServer) -> str:
    return server.address.replace("http://", "http://ada:pass-w0rd@")


def test_httpx_comes_with_the_first_call_and_not_before() -> None:
    code = "import atommem_env.llm, atommem_env.retrieval, sys; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_httpx_the_pip_command_is_named(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    for use in (
        lambda: Endpoint(server.address, "none"),
        lambda: EndpointEncoder("m", server.address).encode(["x"], "query"),
    ):
        with pytest.raises(ImportError, match=r"need httpx: pip install 'atommem_env\[llm\]'"):
            use()


def test_a_login_is_sent_where_there_is_no_key(server: FakeServer) -> None:
    ask(with_login(server))
    ask(with_login(server), "sk-key")
    ask(server.address)
    assert server.keys == ["Basic YWRhOnBhc3MtdzByZA==", "Bearer sk-key", "Bearer none"]


def test_threads_share_connections(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    accept = server.get_request
    monkeypatch.setattr(server, "get_request", lambda: opened.append(1) or accept())
    address = server.address.replace("127.0.0.1", "localhost")  # no connection is left of other tests
    barrier = threading.Barrier(4)
    server.reply = lambda prompt: str(barrier.wait(10))
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            list(pool.map(lambda _: ask(address), range(4)))
    assert len(server.asked) == 12
    assert len(opened) == 4


def test_no_connection_is_said_with_its_cause() -> None:
    with pytest.raises(EndpointError, match="refused"):
        ask("http://127.0.0.1:9/v1")


def test_a_wait_for_a_server_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(endpoint, "_told", set())
    monkeypatch.setattr(endpoint.time, "sleep", lambda seconds: None)
    silent = Endpoint("http://ada:pass-w0rd@127.0.0.1:9/v1", "none", retries=8, pause=1.0)
    for _ in range(2):
        with pytest.raises(EndpointError):
            silent.call(lambda: silent.ask(PATH, BODY))
    (said,) = caplog.messages
    assert said == (
        "http://127.0.0.1:9/v1 does not answer (Connection refused); calls are tried again for up to 183 seconds"
    )


def test_the_environment_names_the_proxy(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.address.removesuffix("/v1"))
    with pytest.raises(EndpointError, match="no such path"):  # the path that a proxy gets is a whole address
        ask("http://model.invalid/v1")


@pytest.mark.parametrize("packing", ["br", "zstd", "gzip, gzip", "x"])
def test_what_is_packed_in_other_ways_is_not_unpacked(server: FakeServer, packing: str) -> None:
    server.plan = [Answer(body=b"x" * 100, headers={"Content-Encoding": packing})]
    with pytest.raises(EndpointError, match="which was not asked for") as caught:
        ask(server.address)
    assert caught.value.unreadable


def test_a_packing_that_is_broken_is_unreadable(server: FakeServer) -> None:
    server.plan = [Answer(body=b"x" * 100, headers={"Content-Encoding": "gzip"})]
    with pytest.raises(EndpointError, match="cannot be unpacked") as caught:
        ask(server.address)
    assert (caught.value.unreadable, caught.value.passing) == (True, True)


def test_an_answer_beyond_the_bound_is_not_taken_for_a_request_that_is_too_long(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from atommem_env.llm import Chat, ChatError, ChatSettings

    monkeypatch.setattr(http, "MOST_BYTES", 10)
    with pytest.raises(ChatError, match="the answer is longer") as caught:
        Chat(ChatSettings("m", server.address)).complete(BODY["messages"])  # type: ignore[arg-type]
    assert "chunk_tokens" not in str(caught.value)
    assert len(server.asked) == 1


def test_logs_of_requests_show_no_secret(server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "httpx")
    server.plan = [failed(400, "no")]
    with pytest.raises(EndpointError):
        ask(f"{with_login(server)}?token=t0ken-of-mine")
    assert PATH in caplog.text
    assert "t0ken-of-mine" not in caplog.text
    assert "pass-w0rd" not in caplog.text
