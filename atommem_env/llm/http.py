"""HTTP requests whose whole time is bounded, over connections that the threads of a process share.

On the standard library: a vendor's client takes a second to import and milliseconds a call, so that with many calls
at once this process, and not the server, would set the pace.
"""

from __future__ import annotations

import atexit
import base64
import functools
import http.client
import importlib
import io
import math
import os
import socket
import ssl
import threading
import time
import urllib.request
import zlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from atommem_env.llm.secrets import masked_address

MOST_BYTES: Final = 64 << 20
"""The longest answer that is read, inflated."""

_MOST_HOPS: Final = 3
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_BLOCK: Final = 1 << 16


class Answer(NamedTuple):
    """A server's answer: its status, its headers, and its body, inflated."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RequestError(Exception):
    """No whole answer came: no connection, one that broke off, or none in time."""


class AnswerError(ValueError):
    """An answer came that is not to be read: too long, no HTTP, or one that leads elsewhere.

    Attributes:
        final: whether the same request would get the same answer.
    """

    def __init__(self, message: str, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


def request(method: str, url: str, body: bytes | None, headers: Mapping[str, str], timeout: float) -> Answer:
    """Return the answer to one request.

    Args:
        method: ``"GET"`` or ``"POST"``.
        url: the whole address; a login in it is sent as basic authentication, where ``headers`` have none.
        body: what is sent.
        headers: what is sent with it.
        timeout: the most seconds that all of it takes, from the connection to the last byte.

    Raises:
        RequestError: when no whole answer comes in time.
        AnswerError: when one comes that is not to be read; a redirect to another server is one.
    """
    deadline = time.monotonic() + timeout
    for _ in range(_MOST_HOPS):
        parts = urlsplit(url)
        answer = _exchange(method, parts, body, headers, deadline, timeout)
        location = answer.headers.get("location")
        if answer.status not in _REDIRECTS or not location:
            return answer
        target = urljoin(url, location)
        if urlsplit(target)[:2] != parts[:2]:
            raise AnswerError(
                f"{masked_address(_origin(parts))} redirects to {masked_address(target)}, another server, which gets "
                "neither text nor key: give that address where it is the right one",
                final=True,
            )
        url = target
    raise AnswerError(f"{masked_address(url)} redirects without end", final=True)


def _exchange(
    method: str,
    parts: SplitResult,
    body: bytes | None,
    headers: Mapping[str, str],
    deadline: float,
    timeout: float,
) -> Answer:
    """Send one request over a connection that is idle, or over a new one."""
    place = (os.getpid(), parts.scheme, parts.netloc)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    while True:
        with _lock:
            kept = _idle.get(place)
            connection = kept.pop() if kept else None
        used = connection is not None
        try:
            if connection is None:
                connection = _Connection(parts, deadline)
            answer, reusable = connection.exchange(method, target, body, headers, deadline)
        except (ConnectionError, http.client.BadStatusLine) as error:
            if connection is not None:
                connection.close()
            if used and not isinstance(error, _BrokeOffError):
                continue  # the server had closed the idle connection
            raise RequestError(f"the connection broke off ({_words(error)})") from error
        except TimeoutError as error:
            if connection is not None:
                connection.close()
            raise RequestError(f"there was no whole answer within {timeout:g} seconds") from error
        except OSError as error:
            if connection is not None:
                connection.close()
            raise RequestError(_words(error)) from error
        except (http.client.HTTPException, zlib.error, ValueError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, AnswerError):
                raise
            raise AnswerError(f"the answer is no HTTP that can be read ({_words(error)})") from error
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        if reusable:
            with _lock:
                _idle.setdefault(place, []).append(connection)
        else:
            connection.close()
        return answer


_idle: dict[tuple[object, ...], list[_Connection]] = {}
_lock = threading.Lock()


@atexit.register
def _close_all() -> None:
    with _lock:
        for kept in _idle.values():
            for connection in kept:
                connection.close()
        _idle.clear()


class _BrokeOffError(ConnectionError):
    """The connection ended within an answer."""


class _Connection:
    """A connection to a server, or to the proxy that the environment names for it."""

    def __init__(self, parts: SplitResult, deadline: float) -> None:
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        self._prefix = ""
        self._headers: dict[str, str] = {}
        if parts.username:
            self._headers["Authorization"] = _basic(parts)
        proxy = _proxy(parts.scheme, host)
        near = (host, port) if proxy is None else (proxy.hostname or "", proxy.port or 80)
        left = max(0.001, deadline - time.monotonic())
        made: http.client.HTTPConnection
        if secure:
            made = http.client.HTTPSConnection(near[0], near[1], timeout=left, context=_context())
        else:
            made = http.client.HTTPConnection(near[0], near[1], timeout=left)
        if proxy is not None:
            authorization = {"Proxy-Authorization": _basic(proxy)} if proxy.username else {}
            if secure:
                made.set_tunnel(host, port, authorization)
            else:
                self._prefix = f"http://{parts.netloc.rpartition('@')[2]}"
                self._headers |= authorization
        self._made = made
        made.connect()
        self._socket = _Socket(cast(socket.socket, made.sock))
        made.sock = cast(Any, self._socket)

    def exchange(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], deadline: float
    ) -> tuple[Answer, bool]:
        """Return the answer, and whether the connection may be used again."""
        self._socket.deadline = deadline
        self._made.request(method, self._prefix + target, body, {**self._headers, **headers})
        response = self._made.getresponse()
        try:
            raw = _whole(response)
        finally:
            reusable = not response.will_close
            response.close()
        return Answer(response.status, _Headers(response.headers), _inflated(raw, response)), reusable

    def close(self) -> None:
        self._made.close()
        self._socket.inner.close()


class _Headers(dict[str, str]):
    """Headers by their names in lower case."""

    def __init__(self, headers: Any) -> None:
        super().__init__((name.lower(), value) for name, value in headers.items())


class _Socket:
    """A socket each of whose waits ends at one deadline."""

    def __init__(self, inner: socket.socket) -> None:
        self.inner = inner
        self.deadline = math.inf

    def wait(self) -> socket.socket:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.inner.settimeout(left)
        return self.inner

    def sendall(self, data: Any) -> None:
        self.wait().sendall(data)

    def makefile(self, *arguments: Any) -> io.BufferedReader:
        return io.BufferedReader(_Source(self), _BLOCK)

    def close(self) -> None:
        """Nothing: http.client closes before the answer is read where it is the last one."""


class _Source(io.RawIOBase):
    """What comes over a socket."""

    def __init__(self, from_: _Socket) -> None:
        self._from = from_

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._from.wait().recv_into(buffer)


def _whole(response: http.client.HTTPResponse) -> bytes:
    blocks, size = [], 0
    while block := response.read(_BLOCK):
        size += len(block)
        if size > MOST_BYTES:
            raise AnswerError(f"the answer is longer than {MOST_BYTES >> 20} MiB", final=True)
        blocks.append(block)
    if response.length:
        raise _BrokeOffError(f"{response.length} bytes are missing")
    return b"".join(blocks)


def _inflated(raw: bytes, response: http.client.HTTPResponse) -> bytes:
    if (response.headers.get("Content-Encoding") or "identity").strip().lower() not in (
        "gzip",
        "x-gzip",
        "deflate",
    ):
        return raw
    inflate = zlib.decompressobj(47)  # gzip or zlib, as it says itself
    data = inflate.decompress(raw, MOST_BYTES)
    if inflate.unconsumed_tail:
        raise AnswerError(f"the answer is longer than {MOST_BYTES >> 20} MiB", final=True)
    return data


def _proxy(scheme: str, host: str) -> SplitResult | None:
    proxies = urllib.request.getproxies()
    address = proxies.get(scheme) or proxies.get("all")
    if not address or urllib.request.proxy_bypass(host):
        return None
    return urlsplit(address if "://" in address else f"http://{address}")


def _basic(parts: SplitResult) -> str:
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(login.encode()).decode()}"


@functools.cache
def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not os.environ.get("SSL_CERT_FILE") and not context.get_ca_certs():
        try:
            # It comes with most installations; some systems have no certificates of their own.
            certifi = importlib.import_module("certifi")
        except ImportError:
            return context
        context.load_verify_locations(certifi.where())
    return context


def _origin(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}"


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
