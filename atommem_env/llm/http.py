"""HTTP requests over httpx, over connections that all threads share, with a deadline for the whole of a call.

httpx bounds each wait for bytes, and not all of them together: a server that sends a byte now and then would hold a
call without end. A task can be ended at any point, so the requests of a process run as tasks of one event loop, in a
thread of its own. A client has one call at a time, and so one connection: one with many looks at all of them before
and after each call, which takes longer than the call. Proxies, certificates and logins are httpx's affair.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import logging
import os
import ssl
import sys
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from atommem_env.llm.secrets import mask, masked_address

_command: Final = (
    "httpx._main"  # httpx's own command line, a third of what httpx and all it needs take to import
)
if _command not in sys.modules:
    sys.modules[_command] = None  # type: ignore[assignment]  # as if its libraries were not there
    try:
        import httpx
    finally:
        sys.modules.pop(_command, None)
else:
    import httpx

MOST_BYTES: Final = 64 << 20
"""The longest answer that is read, inflated."""

_MOST_HOPS: Final = 3
_ENCODINGS: Final = ("", "identity", "gzip", "deflate")
"""How an answer may be packed; of others a few bytes may be gigabytes."""


class Answer(NamedTuple):
    """A server's answer: its status, its headers (by names in any case), and its body, inflated."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RequestError(Exception):
    """There is no answer that can be read.

    Attributes:
        unreadable: whether one came.
        final: whether the same request would end the same way.
    """

    def __init__(self, message: str, *, unreadable: bool = False, final: bool = False) -> None:
        super().__init__(message)
        self.unreadable = unreadable
        self.final = final


def request(method: str, url: str, body: bytes | None, headers: Mapping[str, str], timeout: float) -> Answer:
    """Return the answer to one request. Threads may call it at once.

    Args:
        method: ``"GET"`` or ``"POST"``.
        url: the whole address; a login in it is sent as basic authentication.
        body: what is sent.
        headers: what is sent with it.
        timeout: the most seconds that all of it takes, from the connection to the last byte.

    Raises:
        RequestError: when no whole answer comes in time, or one that is not to be read: too long, packed in a way
            that was not asked for, or a redirect to another server.
    """
    requests = _of_this_process()
    waiting = asyncio.run_coroutine_threadsafe(
        asyncio.wait_for(requests.answer(method, url, body, headers), timeout), requests.loop
    )
    try:
        return waiting.result()
    except (asyncio.TimeoutError, TimeoutError) as error:
        raise RequestError(f"there was no whole answer within {timeout:g} seconds") from error
    except httpx.RemoteProtocolError as error:
        raise RequestError(f"the connection broke off, or what came is not HTTP ({_words(error)})") from error
    except httpx.DecodingError as error:
        raise RequestError(f"the answer cannot be unpacked ({error})", unreadable=True) from error
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL, ImportError) as error:
        raise RequestError(f"it cannot be asked: {error}", final=True) from error
    except httpx.RequestError as error:
        raise RequestError(_words(error)) from error
    except BaseException:
        waiting.cancel()
        raise


class _Requests:
    """An event loop in a thread, and its clients."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._servers: dict[httpx.URL, _Server] = {}
        self._thread = threading.Thread(target=self.loop.run_forever, name="atommem-http", daemon=True)
        self._thread.start()

    async def answer(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Return the answer to one request; redirects are followed within the server."""
        at = httpx.URL(url)
        address = _server(at)
        server = self._servers.get(address)
        if server is None:
            server = self._servers[address] = _Server(bool(urllib.request.getproxies()))
        client = server.client(at)
        try:
            for _ in range(_MOST_HOPS):
                async with client.stream(method, at, content=body, headers=headers) as response:
                    if not response.has_redirect_location:
                        return Answer(response.status_code, response.headers, await _body(response))
                    at = at.join(response.headers["Location"])
                if _server(at) != address:
                    raise RequestError(
                        f"{masked_address(str(address))} redirects to {masked_address(str(at))}, another server, which "
                        "gets neither text nor key: give that address where it is the right one",
                        unreadable=True,
                        final=True,
                    )
        finally:
            server.idle.append(client)
        raise RequestError(f"{masked_address(str(at))} redirects without end", unreadable=True, final=True)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close_clients(), self.loop).result(1.0)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _close_clients(self) -> None:
        for server in self._servers.values():
            for client in server.idle:
                await client.aclose()


@dataclass
class _Server:
    """A server, and the clients that wait for its next call.

    Attributes:
        proxies: whether the environment names a proxy: it has some dozens of names, and each client would read all.
        idle: the clients.
    """

    proxies: bool
    idle: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, url: httpx.URL) -> httpx.AsyncClient:
        """Return a client that no call uses, a new one when there is none."""
        if self.idle:
            return self.idle.pop()
        context = _certificates() if self.proxies or url.scheme == "https" else _NO_CERTIFICATES
        return httpx.AsyncClient(timeout=None, verify=context, trust_env=self.proxies)


_NO_CERTIFICATES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""What a client has for addresses in http, which it never uses: reading certificates takes as long as some calls."""


@functools.cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()


_by_process: dict[int, _Requests] = {}  # a thread does not survive a fork
_lock = threading.Lock()


def _of_this_process() -> _Requests:
    with _lock:
        found = _by_process.get(os.getpid())
        if found is None:
            found = _by_process[os.getpid()] = _Requests()
        return found


@atexit.register
def _close() -> None:
    found = _by_process.pop(os.getpid(), None)
    if found is not None:
        found.close()


def _server(url: httpx.URL) -> httpx.URL:
    """Return the scheme, the host and the port of ``url``."""
    return httpx.URL(scheme=url.scheme, host=url.host, port=url.port)


async def _body(response: httpx.Response) -> bytes:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise RequestError(
            f"the answer is packed as {encoding[:40]!r}, which was not asked for", unreadable=True
        )
    blocks, size = [], 0
    async for block in response.aiter_bytes():
        size += len(block)
        if size > MOST_BYTES:
            raise RequestError(
                f"the answer is longer than {MOST_BYTES >> 20} MiB", unreadable=True, final=True
            )
        blocks.append(block)
    return b"".join(blocks)


def _words(error: BaseException) -> str:
    """Return what an error says, or what led to it, where that says more (``Connection refused``)."""
    said = str(error) or type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionError) and cause.errno:
            return os.strerror(cause.errno)
        tries = getattr(cause, "exceptions", ())  # one for each address of the server's name
        cause = tries[0] if tries else cause.__cause__ or cause.__context__
    return said


def _without_secrets(record: logging.LogRecord) -> bool:
    record.msg, record.args = mask(record.getMessage()), ()
    return True


logging.getLogger("httpx").addFilter(_without_secrets)  # it logs addresses
