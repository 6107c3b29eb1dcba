"""Which model is asked, where, and how: everything about an endpoint that a run must remember."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from atommem_env.llm.endpoint import find_address
from atommem_env.llm.prompts import Prompts

MODEL_VARIABLE = "ATOMMEM_MODEL"
"""The environment variable that names the model where none is given."""


@dataclass(frozen=True)
class ChatSettings:
    """A language model behind an OpenAI-compatible endpoint; picklable, hashable, without the key itself.

    Args:
        model: the model's name, as the server knows it.
        base_url: where the server is, ``"http://localhost:8000/v1"``; ``None`` means ``$OPENAI_BASE_URL``,
            else OpenAI's own.
        route: ``"chat"`` (``/chat/completions``), or ``"completions"`` for a base model, which gets few-shot
            texts.
        temperature: from 0; the paper's is 0.7.
        top_p: above 0, at most 1.
        max_tokens: the most tokens of a reply, a model's thinking included.
        seed: sent to the server, where it takes one; ``None`` sends none.
        timeout: seconds to wait for the server at a time.
        retries: how often a call that failed in passing is sent again.
        concurrency: how many calls this process has under way at that server at most.
        cache: a folder in which replies are kept: the same request gets the same reply, at no cost.
        api_key_variable: the environment variable that holds the key.
        prompts: a folder of templates that replace those of the package, file by file.
        pause: seconds before the first retry; doubles with each.

    Raises:
        ValueError: when one is out of range.
    """

    model: str
    base_url: str | None = None
    route: Literal["chat", "completions"] = "chat"
    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    seed: int | None = 0
    timeout: float = 120.0
    retries: int = 5
    concurrency: int = 8
    cache: str | os.PathLike[str] | None = None
    api_key_variable: str = "OPENAI_API_KEY"
    prompts: str | os.PathLike[str] | None = None
    pause: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        checks = {
            "model": (bool(self.model and self.model.strip()), "a model's name, as the server lists it"),
            "base_url": (
                self.base_url is None or re.match(r"https?://[^/]", self.base_url) is not None,
                "a URL such as 'http://localhost:8000/v1', or None",
            ),
            "route": (self.route in ("chat", "completions"), "'chat' or 'completions'"),
            "temperature": (self.temperature >= 0, "a number from 0, for example 0.7"),
            "top_p": (0 < self.top_p <= 1, "a number above 0 and at most 1"),
            "max_tokens": (self.max_tokens >= 1, "1 or more, for example 1024"),
            "timeout": (self.timeout > 0, "a number of seconds above 0"),
            "retries": (self.retries >= 0, "0 or more"),
            "concurrency": (self.concurrency >= 1, "1 or more"),
            "pause": (self.pause >= 0, "a number of seconds from 0"),
        }
        for name, (good, expected) in checks.items():
            if not good:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected {expected}")
        for name in ("cache", "prompts"):  # a path in one form, so that equal settings are equal
            path = getattr(self, name)
            if path is not None:
                object.__setattr__(self, name, os.fspath(path))

    @classmethod
    def from_environment(cls, **settings: Any) -> ChatSettings:
        """Return ``settings``, the model being that of ``$ATOMMEM_MODEL`` where none is given.

        Raises:
            ValueError: when neither names a model.
        """
        model = settings.pop("model", None) or os.environ.get(MODEL_VARIABLE)
        if not model:
            raise ValueError(
                f"engine='llm' needs a model: set {MODEL_VARIABLE}, give --model on the command line, or pass "
                "ChatSettings(model=..., base_url=...)"
            )
        return cls(model, **settings)

    @property
    def address(self) -> str | None:
        """The base URL that is used; ``None``: OpenAI's own."""
        return find_address(self.base_url)

    def describe(self) -> dict[str, Any]:
        """Return what determines the replies, as a run's record keeps it: never a key or a password."""
        return {
            "model": self.model,
            "base_url": _without_login(self.address),
            "route": self.route,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "prompts": Prompts(self.prompts).digest,
        }


def _without_login(address: str | None) -> str | None:
    if address is None:
        return None
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
