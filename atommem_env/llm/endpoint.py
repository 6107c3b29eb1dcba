"""Calls to an OpenAI-compatible server: where it is, its key, what is tried again, and what went wrong."""

from __future__ import annotations

import email.utils
import importlib
import itertools
import json
import logging
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

from atommem_env._version import __version__
from atommem_env.llm.secrets import mask, masked_address, remember, remember_address

OPENAI: Final = "https://api.openai.com/v1"
"""Where OpenAI's own server is."""

LONGEST_WAIT: Final = 120.0
"""The longest pause, in seconds, that a server may ask for; beyond it the call fails at once."""

_LONGEST_PAUSE: Final = 60.0
_PASSING: Final = (408, 409, 425, 429)
_NO_QUOTA: Final = "insufficient_quota"
_MOST_WORDS: Final = 500
_Result = TypeVar("_Result")
_random = random.Random()
_log = logging.getLogger(__name__)
_SILENT_WAIT: Final = 5.0  # seconds in which nobody wonders
_told: set[str | None] = set()  # the servers of which it was said that they do not answer

_OVERFLOW = re.compile(
    r"context[ _-]?(?:length|window|size|limit|overflow)|maximum context|out of context"
    r"|(?:max(?:imum)?|model)[ _](?:model|sequence|input|prompt|position\w*)[ _-]?(?:len|tokens|size|embed)"
    r"|too many (?:input |prompt )?tokens|n_ctx|num_ctx|max_model_len|max_seq_len|string_above_max_length"
    r"|(?:prompt|input|request|messages?|sequence|text|content|conversation)s?\b[^.\n]{0,60}?\btoo (?:long|large|big)"
    r"|(?:prompt|input|request) length"
    r"|exceed\w*[^.\n]{0,80}?\b(?:tokens?|context|sequence length|max(?:imum)? length|model'?s? limit)"
    r"|tokens?\b[^.\n]{0,80}?(?:exceed|must (?:be|have)[^.\n]{0,20}?(?:<|less|at most|fewer|below|smaller)|limit is)"
    r"|(?:supports?|allows?|accepts?)[^.\n]{0,20}?(?:at most|up to|a maximum of|only) [\d,]+ (?:input )?tokens"
    r"|(?:longer|greater|larger|more)(?: tokens)? than[^.\n]{0,60}?(?:context|maximum|limit|allowed|supported)"
    r"|(?:reduce|shorten)[^.\n]{0,40}?(?:prompt|input|messages?|length)|does not fit|(?:no|not enough) kv[ _-]?cache",
    re.IGNORECASE,
)
_BATCH = re.compile(
    r"batch[ _-]?(?:size)?|too many (?:inputs|texts|items|documents)|number of inputs|inputs? (?:array|list|count)",
    re.IGNORECASE,
)
_STATUSES: Final = {
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "overloaded_error": 529,
    "server_error": 500,
    "internal_server_error": 500,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "model_not_found": 404,
}


class EndpointError(Exception):
    """A call that failed: refused, or failing at every try.

    Attributes:
        status: the HTTP status of the last answer, or what its error says instead; ``None``: there was none, or
            it could not be read.
        code: the server's own name for the error, or ``""``.
        whole: all words of the answer, for finding out what it is about.
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
        whole: str = "",
        passing: bool = True,
        unreadable: bool = False,
        wait: float | None = None,
    ) -> None:
        super().__init__(mask(said))
        self.status = status
        self.code = code
        self.whole = whole or said
        self.passing = passing
        self.unreadable = unreadable
        self.wait = wait
        self.tries = 1

    @property
    def too_long(self) -> bool:
        """Whether the server says that the request is too long for the model."""
        return self.status is not None and says_too_long(self.status, f"{self.whole} {self.code}")

    @property
    def batch_too_large(self) -> bool:
        """Whether the server says that a request holds too many texts."""
        return self.status == 413 or (self.status in (400, 422) and _BATCH.search(self.whole) is not None)


class Endpoint:
    """A server, and how calls to it are repeated.

    Tried again are: no connection, one that breaks off, no answer in time, an answer that cannot be read, and
    the statuses 408, 409, 425, 429 and from 500 up, also where they stand in the body of a 200. The pause before
    that doubles each time, up to a minute, less a random part of at most a quarter; a pause that the server names
    (``Retry-After``) goes first, up to :data:`LONGEST_WAIT`. A 429 that says ``insufficient_quota``, a request that
    is too long, and every other status, fail at once.
    (The policies of vendors' clients end after some seconds, and know neither errors inside a 200 nor requests that
    are too long.)

    Args:
        address: the base URL; ``None`` means OpenAI's own.
        key: the key, which no message shows.
        timeout: the most seconds that one call takes, from the connection to the last byte of the answer.
        retries: how often a call is sent again.
        pause: seconds before the first retry.
    """

    def __init__(
        self, address: str | None, key: str, timeout: float = 120.0, retries: int = 8, pause: float = 0.5
    ) -> None:
        self.address = address
        self.timeout = timeout
        self.retries = retries
        self.pause = pause
        self.key = key
        remember(key if key != "none" else None)
        remember_address(address)
        # It takes a while, and many threads at once, each with its first call, would wait for it.
        importlib.import_module("atommem_env.llm.http")
        parts = urlsplit(address or OPENAI)
        self._base = parts._replace(path=parts.path.rstrip("/"), fragment="")
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": f"atommem_env/{__version__}",
        }
        if key != "none" or not parts.username:
            self._headers["Authorization"] = f"Bearer {key}"
            self._base = self._base._replace(
                netloc=parts.netloc.rpartition("@")[2]
            )  # a login would replace it

    def call(self, send: Callable[[], _Result]) -> _Result:
        """Return ``send()``, tried again while what fails may pass.

        Args:
            send: makes one request with :meth:`ask`; a ``ValueError`` of its own says that the answer cannot be
                read.

        Raises:
            EndpointError: when the server refuses, or the call fails at every try.
        """
        for tries in itertools.count(1):
            try:
                return send()
            except (EndpointError, ValueError) as error:
                failure = (
                    error if isinstance(error, EndpointError) else EndpointError(str(error), unreadable=True)
                )
                if not failure.passing or tries > self.retries:
                    failure.tries = tries
                    raise failure from error.__cause__
                wait = failure.wait
                if failure.status is None and not failure.unreadable:
                    self._tell_waiting(failure)
            time.sleep(self._pause(tries, wait))
        raise AssertionError

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON that the server answers at ``path``: to a POST of ``body``, else to a GET.

        Raises:
            EndpointError: when it does not answer, answers with a status other than 2xx, or with an error.
            ValueError: when the answer is not JSON.
        """
        from atommem_env.llm.http import RequestError, request

        url = urlunsplit(self._base._replace(path=self._base.path + path))
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        try:
            answer = request("GET" if data is None else "POST", url, data, self._headers, self.timeout)
        except RequestError as error:
            raise EndpointError(str(error), unreadable=error.unreadable, passing=not error.final) from error
        try:
            said = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            text = answer.body[: 4 * _MOST_WORDS].decode("utf-8", "replace").strip()
            if 200 <= answer.status < 300:
                raise ValueError(f"it is not JSON: {text[:80]!r}") from error
            raise _refusal(answer.status, text, answer.headers) from error
        if not 200 <= answer.status < 300:
            raise _refusal(answer.status, said, answer.headers)
        if isinstance(said, dict) and said.get("error") and not said.get("choices") and not said.get("data"):
            raise refusal_within(said["error"], answer.headers)
        return said

    def _tell_waiting(self, failure: EndpointError) -> None:
        """Log, once for each server, that it does not answer and for how long it is tried again."""
        seconds = sum(min(self.pause * 2.0**tries, _LONGEST_PAUSE) for tries in range(min(self.retries, 60)))
        if seconds >= _SILENT_WAIT and self.address not in _told:
            _told.add(self.address)
            _log.warning(
                "%s does not answer (%s); calls are tried again for up to %.0f seconds",
                masked_address(self.address) or "OpenAI's endpoint",
                failure,
                seconds,
            )

    def _pause(self, tries: int, asked: float | None) -> float:
        doubled = min(self.pause * 2.0 ** min(tries - 1, 30), _LONGEST_PAUSE)
        return doubled * (1 - _random.random() / 4) if asked is None else asked


def says_too_long(status: int | None, said: str) -> bool:
    """Return whether a refusal of ``status`` says that the request is too long for the model."""
    return (
        status is not None
        and (status in (400, 413, 422) or status >= 500)
        and _OVERFLOW.search(said) is not None
    )


def refusal_within(error: Any, headers: Mapping[str, str] | None = None) -> EndpointError:
    """Return what an error that stands in the body of an answer means; its code counts as the status."""
    codes = (
        [error.get(name) for name in ("code", "status", "status_code", "type")]
        if isinstance(error, dict)
        else []
    )
    status = next((found for code in codes if (found := _status(code)) is not None), None)
    if status is None:
        said = _said(error)
        return EndpointError(
            said, whole=_words(error), unreadable=True, passing=not says_too_long(400, _words(error))
        )
    return _refusal(status, {"error": error}, headers or {})


def _status(code: Any) -> int | None:
    if isinstance(code, str):
        if code.isascii() and code.isdigit() and len(code) == 3:
            code = int(code)
        else:
            return _STATUSES.get(code)
    return code if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599 else None


def _refusal(status: int, body: Any, headers: Mapping[str, str]) -> EndpointError:
    whole, code = _words(body), _code(body)
    wait = _asked_pause(headers)
    passing = (status in _PASSING or status >= 500) and _NO_QUOTA not in whole
    passing = (
        passing and (wait is None or wait <= LONGEST_WAIT) and not says_too_long(status, f"{whole} {code}")
    )
    return EndpointError(
        _said(body) or f"status {status}",
        status=status,
        code=_NO_QUOTA if _NO_QUOTA in whole else code,
        whole=whole,
        passing=passing,
        wait=wait,
    )


def _code(body: Any) -> str:
    for holder in (body, body.get("error") if isinstance(body, dict) else None):
        if isinstance(holder, dict):
            for name in ("code", "type"):
                if isinstance(holder.get(name), str):
                    return str(holder[name])
    return ""


def _said(body: Any) -> str:
    """Return what the server said of its refusal, in whatever shape it has."""
    for _ in range(8):
        if isinstance(body, str):
            return body.strip()[:_MOST_WORDS]
        if isinstance(body, list):
            if len(body) != 1:
                break
            body = body[0]
        elif isinstance(body, dict):
            names = ("error", "message", "detail", "msg", "error_message", "errors", "reason", "description")
            found = next((body[name] for name in names if body.get(name)), None)
            if found is None or isinstance(found, (int, float)):
                break
            loc = body.get("loc")
            if isinstance(loc, list) and isinstance(found, str):
                return f"{'.'.join(map(str, loc))}: {found}"[:_MOST_WORDS]
            body = found
        else:
            break
    return _words(body)[:_MOST_WORDS]


def _words(body: Any) -> str:
    """Return all texts of a body, its keys too, joined by spaces."""
    return " ".join(itertools.islice(_texts(body), 200))[: 8 * _MOST_WORDS]


def _texts(body: Any) -> Iterator[str]:
    pending = [body]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(part for pair in reversed(item.items()) for part in reversed(pair))
        elif isinstance(item, list):
            pending.extend(reversed(item))
        elif item is not None:
            yield str(item)[: 4 * _MOST_WORDS]


def find_address(base_url: str | None) -> str | None:
    """Return ``base_url``, else ``$OPENAI_BASE_URL``, else ``None``: OpenAI's own."""
    return base_url or os.environ.get("OPENAI_BASE_URL") or None


def find_key(what: str, address: str | None, variable: str = "OPENAI_API_KEY") -> str:
    """Return the key that the environment variable ``variable`` holds.

    your own server mostly does not look at it: then it is ``"none"``.

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


def _asked_pause(headers: Mapping[str, str]) -> float | None:
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
        if date.tzinfo is None:
            date = date.replace(tzinfo=timezone.utc)
        return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
