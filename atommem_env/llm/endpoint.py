"""Calls to an OpenAI-compatible server: where it is, its key, what is tried again, and what went wrong."""

from __future__ import annotations

import email.utils
import importlib.util
import itertools
import os
import random
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Final, TypeVar

LONGEST_WAIT: Final = 120.0
"""The longest pause, in seconds, that a server may ask for; beyond it the call fails at once."""

_LONGEST_PAUSE: Final = 60.0
_PASSING: Final = (408, 409, 429)
_NO_QUOTA: Final = "insufficient_quota"
_Result = TypeVar("_Result")
_random = random.Random()
_clients: dict[tuple[object, ...], Any] = {}


class EndpointError(Exception):
    """A call that failed: refused, or failing at every try.

    Attributes:
        status: the HTTP status of the last answer; ``None``: there was none, or it could not be read.
        code: the server's own name for the error, or ``""``.
        passing: whether the same call may succeed later.
        tries: how often it was sent.
        unreadable: whether an answer came that could not be read.
        wait: the seconds that the server asks to wait, if it says so.
    """

    def __init__(
        self,
        said: str,
        *,
        status: int | None = None,
        code: str = "",
        passing: bool = True,
        unreadable: bool = False,
        wait: float | None = None,
    ) -> None:
        super().__init__(said)
        self.status = status
        self.code = code
        self.passing = passing
        self.unreadable = unreadable
        self.wait = wait
        self.tries = 1


class Endpoint:
    """A server, and how calls to it are repeated.

    Tried again are: no connection, one that breaks off, no answer in time, an answer that cannot be read, and
    the statuses 408, 409, 429 and from 500 up. The pause before that doubles each time, up to a minute, less
    a random part of at most a quarter; a pause that the server names (``Retry-After``) goes first, up to
    :data:`LONGEST_WAIT`. A 429 that says ``insufficient_quota``, and every other status, fails at once.

    Args:
        address: the base URL; ``None`` means OpenAI's own.
        key: the key, which no message shows.
        timeout: seconds to wait for the server.
        retries: how often a call is sent again.
        pause: seconds before the first retry.
    """

    def __init__(
        self, address: str | None, key: str, timeout: float = 120.0, retries: int = 5, pause: float = 0.5
    ) -> None:
        self.address = address
        self.timeout = timeout
        self.retries = retries
        self.pause = pause
        self.key = key

    def call(self, send: Callable[[Any], _Result]) -> _Result:
        """Return ``send(client)``, ``client`` being an ``openai.OpenAI``.

        Args:
            send: makes one request; a ``ValueError`` of its own says that the answer cannot be read.

        Raises:
            EndpointError: when the server refuses, or the call fails at every try.
        """
        for tries in itertools.count(1):
            try:
                return send(self._client())
            except Exception as error:  # noqa: PERF203  (a retry is a loop)
                failure = self._failure(error)
                if failure is None:
                    raise
                if not failure.passing or tries > self.retries:
                    failure.tries = tries
                    raise failure from error
                time.sleep(self._pause(tries, failure.wait))
        raise AssertionError

    def _client(self) -> Any:
        """Return this process's client, shared by its threads; a fork must not use its parent's connections."""
        import openai

        known = (os.getpid(), self.address, self.key)
        client = _clients.get(known)
        if client is None:
            made = openai.OpenAI(base_url=self.address, api_key=self.key, max_retries=0)
            client = _clients.setdefault(known, made)
        return client.with_options(timeout=self.timeout)

    def _failure(self, error: Exception) -> EndpointError | None:
        """Return what ``error`` means, ``None`` when it is none of the server's."""
        import openai

        if isinstance(error, openai.APIStatusError):
            status, code = error.status_code, error.code or ""
            wait = _asked_pause(error.response.headers)
            passing = (status in _PASSING or status >= 500) and _NO_QUOTA not in (code, error.type)
            return EndpointError(
                self._without_key(_said(error)),
                status=status,
                code=_NO_QUOTA if error.type == _NO_QUOTA else code,
                passing=passing and (wait is None or wait <= LONGEST_WAIT),
                wait=wait,
            )
        if isinstance(error, openai.APIConnectionError):
            return EndpointError(self._without_key(str(error.__cause__ or error)))
        if isinstance(error, (openai.OpenAIError, ValueError)):  # an answer that is no JSON, for one
            return EndpointError(self._without_key(str(error)), unreadable=True)
        return None

    def _pause(self, tries: int, asked: float | None) -> float:
        doubled = min(self.pause * 2.0 ** min(tries - 1, 30), _LONGEST_PAUSE)
        return doubled * (1 - _random.random() / 4) if asked is None else asked

    def _without_key(self, text: str) -> str:
        return text.replace(self.key, "***") if len(self.key) > 4 else text


def require_openai(what: str) -> None:
    """Check that the ``openai`` library is there, without importing it.

    Raises:
        ImportError: when it is not; names the pip command.
    """
    if importlib.util.find_spec("openai") is None:
        raise ImportError(f"{what} needs the openai library: pip install 'atommem_env[llm]'")


def find_address(base_url: str | None) -> str | None:
    """Return ``base_url``, else ``$OPENAI_BASE_URL``, else ``None``: OpenAI's own."""
    return base_url or os.environ.get("OPENAI_BASE_URL") or None


def find_key(what: str, address: str | None, variable: str = "OPENAI_API_KEY") -> str:
    """Return the key that the environment variable ``variable`` holds.

    A server of one's own mostly does not look at it, but the client insists on one: then it is ``"none"``.

    Raises:
        ValueError: when there is none, and ``address`` is that of OpenAI; ``what`` names who asks.
    """
    key = os.environ.get(variable, "").strip()
    if not key and address is None:
        raise ValueError(
            f"{what} has no key for OpenAI's own endpoint: set {variable}, or pass the address of another "
            "server as base_url= or in OPENAI_BASE_URL"
        )
    return key or "none"


def _said(error: Any) -> str:
    """Return what the server said of its refusal, in the forms that servers use."""
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or body.get("detail") or error.message)


def _asked_pause(headers: Any) -> float | None:
    """Return the seconds that an answer asks to wait: a number, or until a date; ``None``: it does not say."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            asked = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if 0 <= asked < float("inf"):
            return asked
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())
