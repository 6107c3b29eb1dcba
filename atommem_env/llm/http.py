"""HTTP requests over connections that all threads share, with a deadline for the whole of a call.

Each thread asks for itself, over the standard library's :mod:`http.client`: with 64 calls at once a client with an
event loop of its own spends more time on handing calls over than on sending them
(``examples/benchmarks/served_model.py``). That library bounds each wait for bytes, and not all of them together, and a
server that sends a byte now and then would hold a call without end; here a socket waits until the call's deadline and
no longer.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import http.client
import importlib
import io
import os
import socket
import ssl
import sys
import threading
import time
import zlib
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from atommem_env.llm.secrets import masked_address

MOST_BYTES: Final = 64 << 20
"""The longest answer that is read, inflated."""

_MOST_HOPS: Final = 3
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_BLOCK: Final = 1 << 16
_PACKED: Final = ("gzip", "deflate")
_PORTS: Final = {"http": 80, "https": 443}


class Answer(NamedTuple):
    """A server's answer: its status, its headers (by names in lower case), and its body, inflated."""

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
    deadline = time.monotonic() + timeout
    try:
        at = urlsplit(url)
        for _ in range(_MOST_HOPS):
            answer = _exchange(method, at, body, headers, deadline)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            to = urlsplit(urljoin(at.geturl(), location))
            if _server(to) != _server(at):
                raise RequestError(
                    f"{masked_address(_origin(at))} redirects to {masked_address(to.geturl())}, another server, which "
                    "gets neither text nor key: give that address where it is the right one",
                    unreadable=True,
                    final=True,
                )
            at = to._replace(netloc=at.netloc)  # with the login that it had
    except TimeoutError as error:
        raise RequestError(f"there was no whole answer within {timeout:g} seconds") from error
    except (http.client.InvalidURL, ValueError) as error:
        raise RequestError(f"it cannot be asked: {error}", final=True) from error
    except zlib.error as error:
        raise RequestError(f"the answer cannot be unpacked ({error})", unreadable=True) from error
    except (http.client.HTTPException, OSError) as error:
        raise RequestError(_words(error)) from error
    raise RequestError(f"{masked_address(at.geturl())} redirects without end", unreadable=True, final=True)


def _exchange(
    method: str, at: SplitResult, body: bytes | None, headers: Mapping[str, str], deadline: float
) -> Answer:
    """Send a request over a connection that waits for one, a new one when there is none."""
    place = (os.getpid(), *_server(at))  # a connection does not survive a fork
    while True:
        with _lock:
            waiting = _idle.get(place)
            connection = waiting.pop() if waiting else None
        used = connection is not None
        if connection is None:
            connection = _Connection(at, deadline)
        response = None
        try:
            response = connection.send(method, at, body, headers, deadline)
            named = {name.lower(): value for name, value in response.headers.items()}
            answer = Answer(response.status, named, _body(response))
        except BaseException as error:
            connection.close()
            if used and response is None and isinstance(error, (ConnectionError, http.client.BadStatusLine)):
                continue  # the server had closed it meanwhile
            raise
        if response.will_close:
            connection.close()
        else:
            with _lock:
                _idle.setdefault(place, []).append(connection)
        return answer


class _Connection:
    """A connection to a server, or to the proxy that the environment names for it."""

    def __init__(self, at: SplitResult, deadline: float) -> None:
        scheme, host, port = _server(at)
        proxy = _proxy(scheme, host, port)
        near = (host, port) if proxy is None else (proxy.hostname or "", proxy.port or 80)
        self._before = ""
        self._headers: dict[str, str] = {}
        self._made = http.client.HTTPConnection(host, port)
        self._socket = _Socket(_connected(*near, deadline), deadline)
        try:
            self._made.sock = self._socket
            if proxy is not None and scheme == "http":
                self._before = _origin(at)
                self._headers = _login(proxy, "Proxy-Authorization")
            if proxy is not None and scheme == "https":
                self._made.request("CONNECT", f"{host}:{port}", headers=_login(proxy, "Proxy-Authorization"))
                reached = self._made.getresponse().status
                if reached != 200:
                    raise OSError(f"the proxy {masked_address(proxy.geturl())} answers with status {reached}")
                self._made = http.client.HTTPConnection(host, port)
                self._made.sock = self._socket
            if scheme == "https":
                self._socket.secure(host)
        except BaseException:
            self.close()
            raise

    def send(
        self, method: str, at: SplitResult, body: bytes | None, headers: Mapping[str, str], deadline: float
    ) -> http.client.HTTPResponse:
        """Send a request, and return the answer as far as its headers."""
        self._socket.deadline = deadline
        path = quote(at.path or "/", "/%:@!$&'()*+,;=~") + (
            f"?{quote(at.query, '/?%:@!$&()*+,;=~')}" if at.query else ""
        )
        own = _login(at, "Authorization") | self._headers
        self._made.request(method, self._before + path, body, own | dict(headers))
        return self._made.getresponse()

    def close(self) -> None:
        self._made.close()
        self._socket.inner.close()


class _Socket:
    """What http.client needs of a socket; each of its waits ends at one deadline."""

    def __init__(self, inner: socket.socket, deadline: float) -> None:
        self.inner = inner
        self.deadline = deadline

    def secure(self, host: str) -> None:
        """Speak TLS from here on."""
        self.inner = _certificates().wrap_socket(self._waiting(), server_hostname=host)

    def sendall(self, data: Any) -> None:
        self._waiting().sendall(data)

    def read(self, buffer: Any) -> int:
        return self._waiting().recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self))

    def close(self) -> None:
        """Nothing: http.client closes an answer's last connection before the answer is read."""

    def _waiting(self) -> socket.socket:
        self.inner.settimeout(_left(self.deadline))
        return self.inner


class _Incoming(io.RawIOBase):
    def __init__(self, of: _Socket) -> None:
        self._of = of

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._of.read(buffer)


_idle: dict[tuple[object, ...], list[_Connection]] = {}
_lock = threading.Lock()


@atexit.register
def _close() -> None:
    with _lock:
        for waiting in _idle.values():
            for connection in waiting:
                connection.close()
        _idle.clear()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connected(host: str, port: int, deadline: float) -> socket.socket:
    """Return a connection to the first of the host's addresses that takes one."""
    # A name in ASCII needs no codec, whose tables take as long to load as some calls.
    name = host.encode("ascii" if host.isascii() else "idna")
    *others, last = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, place in others:
        with contextlib.suppress(OSError):
            return _dialled(socket.socket(family, kind, protocol), place, deadline)
    return _dialled(socket.socket(*last[:3]), last[4], deadline)


def _dialled(made: socket.socket, place: Any, deadline: float) -> socket.socket:
    try:
        made.settimeout(_left(deadline))
        made.connect(place)
        made.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )  # else a body waits for news of its headers
    except BaseException:
        made.close()
        raise
    return made


def _body(response: http.client.HTTPResponse) -> bytes:
    packing = response.headers.get("Content-Encoding", "").strip().lower()
    if packing not in ("", "identity", *_PACKED):
        raise RequestError(
            f"the answer is packed as {packing[:40]!r}, which was not asked for", unreadable=True
        )
    inflate = zlib.decompressobj(47) if packing in _PACKED else None  # gzip or zlib, as it says itself
    blocks, size = [], 0
    while block := response.read(_BLOCK):
        if inflate is not None:
            block = inflate.decompress(block, MOST_BYTES + 1 - size)
        size += len(block)
        if size > MOST_BYTES:
            raise RequestError(
                f"the answer is longer than {MOST_BYTES >> 20} MiB", unreadable=True, final=True
            )
        blocks.append(block)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    if inflate is not None and size and not inflate.eof:
        raise zlib.error("it ends too early")
    return b"".join(blocks)


def _server(at: SplitResult) -> tuple[str, str, int]:
    """Return the scheme, the host and the port of an address.

    Raises:
        ValueError: when it is no address of a server.
    """
    if at.scheme not in _PORTS or not at.hostname:
        raise ValueError(f"{masked_address(at.geturl())!r} is no address of the form http://host:port/path")
    return at.scheme, at.hostname, at.port or _PORTS[at.scheme]


def _origin(at: SplitResult) -> str:
    return f"{at.scheme}://{at.netloc.rpartition('@')[2]}"


def _login(at: SplitResult, header: str) -> dict[str, str]:
    if at.username is None:
        return {}
    login = f"{unquote(at.username)}:{unquote(at.password or '')}"
    return {header: f"Basic {b64encode(login.encode()).decode()}"}


@functools.cache  # there are some dozens of names to look for
def _proxy(scheme: str, host: str, port: int) -> SplitResult | None:
    """Return the address of the proxy that the environment names, or the settings of macOS and Windows."""
    named = any(name.lower().endswith("_proxy") for name in os.environ)
    if not named and sys.platform not in ("darwin", "win32"):
        return None
    import urllib.request  # where the standard library reads them

    proxies = urllib.request.getproxies()
    address = proxies.get(scheme) or proxies.get("all")
    if not address or urllib.request.proxy_bypass(f"{host}:{port}"):
        return None
    proxy = urlsplit(address if "://" in address else f"http://{address}")
    if proxy.scheme != "http" or not proxy.hostname:
        raise ValueError(
            f"the environment names the proxy {masked_address(address)}: expected one of the form http://host:port; "
            "NO_PROXY lists the servers that are asked without it"
        )
    return proxy


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Return the system's certificates, or those of `SSL_CERT_FILE`; with certifi's, where it is installed."""
    context = ssl.create_default_context()
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        with contextlib.suppress(
            ImportError
        ):  # it comes with other libraries; some systems have none of their own
            context.load_verify_locations(importlib.import_module("certifi").where())
    return context


def _words(error: BaseException) -> str:
    """Return what an error says (``Connection refused``)."""
    if isinstance(error, http.client.RemoteDisconnected) or not isinstance(error, OSError):
        said = str(error) or type(error).__name__
        return f"the connection broke off, or what came is not HTTP ({said})"
    return error.strerror or str(error) or type(error).__name__
