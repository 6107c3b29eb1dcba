"""What stands before the server: who may ask it, and for how long a session may say nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Any, Receive, Send], Awaitable[None]]

DEFAULT_IDLE: Final = 3600.0
"""Seconds that a session may say nothing: longer than a model thinks."""

_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_REFUSED: Final = b"A page of another origin may not ask this server; --origin ORIGIN lets it"
_GONE_AWAY, _POLICY = 1001, 1008


def origin_of(text: str) -> tuple[str, str, int | None] | None:
    """Return the scheme, host and port of an origin such as ``https://host:8000``; ``None`` when it is none."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    bare = not (parts.path.rstrip("/") or parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme not in ("http", "https") or not parts.hostname or not bare:
        return None
    return parts.scheme, parts.hostname, port


def check_idle(seconds: float) -> float:
    """Return an idle limit.

    Raises:
        ValueError: when it is not a number of seconds above 0.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ValueError(f"idle={seconds!r}: expected a number of seconds above 0")
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"idle={seconds!r}: expected a number of seconds above 0")
    return float(seconds)


class Guard:
    """An ASGI application before another one: it refuses pages of other origins, and ends sessions that fall silent.

    A browser says for which page it asks (the header ``Origin``), a client of OpenEnv says nothing. A page may
    ask when it comes from this machine, from the server's own address there, or from one of ``origins``.

    Args:
        app: the application that is guarded.
        idle: after so many seconds without a message a web socket is closed.
        origins: the origins of other pages that may ask, such as ``"https://host"``; ``"*"``: all.

    Raises:
        ValueError: when an origin is none, or ``idle`` is not a number above 0.
    """

    def __init__(self, app: Application, idle: float = DEFAULT_IDLE, origins: Sequence[str] = ()) -> None:
        self._app = app
        self._idle = check_idle(idle)
        self._all = "*" in origins
        self._origins = set()
        for text in origins:
            origin = origin_of(text)
            if text != "*" and origin is None:
                raise ValueError(f"origin {text!r}: expected one such as 'https://host:8000', or '*' for all")
            self._origins.add(origin)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer, or refuse to."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif not self._meant(scope["headers"]):
            await self._refuse(kind, receive, send)
        elif kind == "http":
            await self._app(scope, receive, send)
        else:
            await self._limited(scope, receive, send)

    def _meant(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Return whether a request with these headers may ask."""
        said = [value.decode("latin-1") for name, value in headers if name.lower() == b"origin"]
        if not said or self._all:
            return True
        origin = origin_of(said[0]) if len(said) == 1 else None
        if origin is None:
            return False
        if origin in self._origins:
            return True
        hosts = [value.decode("latin-1") for name, value in headers if name.lower() == b"host"]
        return origin[1] in _LOCAL and len(hosts) == 1 and origin_of(f"{origin[0]}://{hosts[0]}") == origin

    async def _refuse(self, kind: str, receive: Receive, send: Send) -> None:
        if kind == "websocket":
            await receive()  # its wish to connect
            await send({"type": "websocket.close", "code": _POLICY, "reason": _REFUSED.decode()})
            return
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(_REFUSED)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": _REFUSED})

    async def _limited(self, scope: Any, receive: Receive, send: Send) -> None:
        """Let the application believe that a client that says nothing has left, and close its web socket."""
        silent = closed = False

        async def heard() -> Message:
            nonlocal silent
            try:
                return await asyncio.wait_for(receive(), self._idle)
            except asyncio.TimeoutError:
                silent = True
                return {"type": "websocket.disconnect", "code": _GONE_AWAY, "reason": "idle"}

        async def said(message: Message) -> None:
            nonlocal closed
            if not silent:
                closed = closed or message["type"] == "websocket.close"
                await send(message)

        await self._app(scope, heard, said)
        if silent and not closed:
            reason = f"nothing was said for {self._idle:g} seconds"
            await send({"type": "websocket.close", "code": _GONE_AWAY, "reason": reason})
