"""What must not be shown: keys, and the passwords and tokens of addresses. The one place that masks them."""

from __future__ import annotations

import threading
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

MASK: Final = "***"
_SHORTEST: Final = 5
_PLAIN_PARAMETERS: Final = ("api-version", "version", "deployment", "model")
_known: dict[str, None] = {}
_lock = threading.Lock()


def remember(*secrets: str | None) -> None:
    """Have :func:`mask` take ``secrets`` out of every text of this process; those of less than 5 signs stay."""
    with _lock:
        for secret in secrets:
            if secret and len(secret) >= _SHORTEST:
                _known[secret] = None


def remember_address(address: str | None) -> None:
    """Remember the password and the tokens that an address holds."""
    for secret in _secrets_of(address or ""):
        remember(secret, unquote(secret))


def mask(text: str) -> str:
    """Return ``text`` with every secret that this process knows replaced by ``***``."""
    for secret in sorted(_known, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, MASK)
    return text


def mask_error(error: BaseException) -> BaseException:
    """Return ``error`` with every secret taken out of its words, and of those of the errors that led to it."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(mask(part) if isinstance(part, str) else part for part in one.args)
        pending += [one.__cause__, one.__context__]
    return error


def masked_address(address: str | None) -> str | None:
    """Return ``address`` without its login, and with ``***`` for what its parameters hold."""
    if address is None:
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return mask(address)
    query = "&".join(
        f"{name}={value if name in _PLAIN_PARAMETERS else MASK}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    return mask(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query)))


def _secrets_of(address: str) -> list[str]:
    try:
        parts = urlsplit(address)
    except ValueError:
        return []
    login = parts.netloc.rpartition("@")[0]
    values = [value for name, value in parse_qsl(parts.query) if name not in _PLAIN_PARAMETERS]
    user, _, password = login.partition(":")
    return [*values, password or user]
