"""Requests to servers: what is imported for them and when, whose login goes along, connections, proxies, packing."""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from atommem_env.llm import endpoint, http
from atommem_env.llm.endpoint import Endpoint, EndpointError
from fake_server import Answer, FakeServer, failed, listening

BODY = {"model": "m", "messages": [{"role": "user", "content": "Who?"}]}
PATH = "/chat/completions"


@pytest.fixture
def server(chat_server: FakeServer) -> FakeServer:
    return chat_server.begin()


def ask(address: str, key: str = "none", **options: Any) -> Any:
    return Endpoint(address, key, **{"timeout": 20.0, "retries": 0, **options}).ask(PATH, BODY)


def with_login(server: FakeServer) -> str:
    return server.address.replace("http://", "http://ada:pass-w0rd@")


def test_what_requests_need_comes_with_the_first_call_and_not_before() -> None:
    code = (
        "import atommem_env.llm, atommem_env.retrieval, sys; sys.exit('atommem_env.llm.http' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_login_is_sent_where_there_is_no_key(server: FakeServer) -> None:
    ask(with_login(server))
    ask(with_login(server), "sk-key")
    ask(server.address)  # over the same connection
    assert server.keys == ["Basic YWRhOnBhc3MtdzByZA==", "Bearer sk-key", "Bearer none"]


def test_threads_share_connections(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    accept = server.get_request
    monkeypatch.setattr(server, "get_request", lambda: opened.append(1) or accept())
    http._close()  # no connection is left of other tests
    barrier = threading.Barrier(4)
    server.reply = lambda prompt: str(barrier.wait(10))
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            list(pool.map(lambda _: ask(server.address), range(4)))
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
    caplog.set_level(logging.DEBUG)
    server.plan = [failed(400, "no")]
    with pytest.raises(EndpointError) as caught:
        ask(f"{with_login(server)}?token=t0ken-of-mine")
    for told in (caplog.text, str(caught.value), repr(caught.value.__cause__)):
        assert "t0ken-of-mine" not in told
        assert "pass-w0rd" not in told


def test_a_connection_that_the_server_has_closed_meanwhile_is_no_failure() -> None:
    served = []

    def once(connection: socket.socket) -> None:
        served.append(connection)
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")  # and keeps it, as it seems
        connection.close()

    with listening(once) as port:
        for _ in range(3):
            assert ask(f"http://127.0.0.1:{port}/v1") == {}
    assert len(served) == 3


@pytest.mark.parametrize("address", ["ftp://model/v1", "http:///v1", "http://model:port/v1", "model:80/v1"])
def test_what_is_no_address_of_a_server_is_asked_once(address: str) -> None:
    endpoint = Endpoint(address, "none", retries=8)
    with pytest.raises(EndpointError, match="it cannot be asked") as caught:
        endpoint.call(lambda: endpoint.ask(PATH, BODY))
    assert caught.value.tries == 1


def test_signs_that_an_address_cannot_hold_are_quoted(server: FakeServer) -> None:
    with pytest.raises(EndpointError, match="no such path"):
        ask(f"{server.address}/modèle 1%20a")


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "https://127.0.0.1:9", "http://"])
def test_a_proxy_that_cannot_be_used_is_named(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(EndpointError, match=r"the proxy .*expected one of the form http://host:port"):
        ask("http://another.invalid/v1")
    monkeypatch.setenv("no_proxy", "localhost")
    assert ask(server.address.replace("127.0.0.1", "localhost"))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="it makes the certificate")
def test_https_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=model.invalid"
    )
    words += f" -addext subjectAltName=DNS:model.invalid -keyout {key} -out {certificate}"
    subprocess.run(["openssl", *words.split()], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    heard: list[bytes] = []

    def proxied(connection: socket.socket) -> None:
        heard.append(connection.recv(1 << 16))
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as secure:
            for _ in range(2):
                while b'"Who?"' not in (request := secure.recv(1 << 16)):
                    heard.append(request)
                heard.append(request)
                secure.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}')

    with listening(proxied) as port:
        monkeypatch.setenv("https_proxy", f"http://ada:pass-w0rd@127.0.0.1:{port}")
        with pytest.raises(EndpointError, match="certificate verify failed") as caught:
            ask("https://model.invalid/v1", "sk-key")
        assert not caught.value.passing
        heard.clear()
        http._certificates.cache_clear()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        for _ in range(2):
            assert ask("https://model.invalid/v1", "sk-key") == {"a": 1}
    http._certificates.cache_clear()
    assert heard[0].startswith(b"CONNECT model.invalid:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic YWRhOnBhc3MtdzByZA==" in heard[0]
    assert b"sk-key" not in heard[0]
    assert sum(b"Authorization: Bearer sk-key" in each for each in heard) == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_answers_by_and_by_holds_no_call(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    def by_and_by(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\n" * 100:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)

    with listening(by_and_by) as port:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{port}")
        with pytest.raises(EndpointError, match=r"no whole answer within 0\.3 seconds"):
            ask(f"{scheme}://slow.invalid/v1", timeout=0.3)
