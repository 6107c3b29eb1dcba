"""Which model is asked, where, and how: everything about an endpoint that a run must remember."""

from __future__ import annotations

import json
import os
import re
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from atommem_env.llm.endpoint import find_address
from atommem_env.llm.prompts import Prompts
from atommem_env.llm.secrets import masked_address, remember_address

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
        temperature: from 0; the paper's is 0.7; ``None`` leaves it to the server.
        top_p: above 0, at most 1; ``None`` leaves it to the server.
        max_tokens: the most tokens of a reply, a model's thinking included.
        seed: sent to the server, where it takes one; ``None`` sends none.
        timeout: the most seconds that one call takes, from the connection to the last byte of the answer.
        retries: how often a call that failed in passing is sent again; the default holds out more than two minutes.
        concurrency: how many calls this process has under way at that server at most.
        cache: a folder in which replies are kept: the same request gets the same reply, at no cost.
        api_key_variable: the environment variable that holds the key.
        prompts: a folder of templates that replace those of the package, file by file.
        pause: seconds before the first retry; doubles with each.
        extra_body: further fields of each request, as a mapping or as a JSON object, for example
            ``{"chat_template_kwargs": {"enable_thinking": False}}``.

        keep_prompts: whether traces keep what was asked next to what was replied; they then grow with the text read.

    Raises:
        ValueError: when one is out of range.
    """

    model: str
    base_url: str | None = None
    route: Literal["chat", "completions"] = "chat"
    temperature: float | None = 0.7
    top_p: float | None = 1.0
    max_tokens: int = 1024
    seed: int | None = 0
    timeout: float = 120.0
    retries: int = 8
    concurrency: int = 8
    cache: str | os.PathLike[str] | None = None
    api_key_variable: str = "OPENAI_API_KEY"
    prompts: str | os.PathLike[str] | None = None
    pause: float = field(default=1.0, kw_only=True)
    extra_body: str | Mapping[str, Any] | None = field(default=None, kw_only=True)
    keep_prompts: bool = field(default=False, kw_only=True)
    _made: str = field(default_factory=lambda: uuid.uuid4().hex, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        checks = {
            "model": (bool(self.model and self.model.strip()), "a model's name, as the server lists it"),
            "base_url": (
                self.base_url is None or re.match(r"https?://[^/]", self.base_url) is not None,
                "a URL such as 'http://localhost:8000/v1', or None",
            ),
            "route": (self.route in ("chat", "completions"), "'chat' or 'completions'"),
            "temperature": (
                self.temperature is None or self.temperature >= 0,
                "a number from 0, for example 0.7",
            ),
            "top_p": (self.top_p is None or 0 < self.top_p <= 1, "a number above 0 and at most 1"),
            "max_tokens": (self.max_tokens >= 1, "1 or more, for example 1024"),
            "timeout": (self.timeout > 0, "a number of seconds above 0"),
            "retries": (self.retries >= 0, "0 or more"),
            "concurrency": (self.concurrency >= 1, "1 or more"),
            "pause": (self.pause >= 0, "a number of seconds from 0"),
        }
        for name, (good, expected) in checks.items():
            if not good:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected {expected}")
        remember_address(self.base_url)
        object.__setattr__(self, "extra_body", _canonical(self.extra_body))
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

    def __repr__(self) -> str:
        shown = {"model": self.model, "base_url": masked_address(self.base_url), "route": self.route}
        return f"ChatSettings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def extra_fields(self) -> dict[str, Any]:
        """The fields of ``extra_body``."""
        return dict(json.loads(self.extra_body)) if isinstance(self.extra_body, str) else {}

    def tell_once(self, what: str) -> bool:
        """Return whether ``what`` is asked about for the first time: a run says each thing once.

        Copies of these settings, which a run's workers have, count as these.
        """
        with _telling:
            first = (self._made, what) not in _told
            _told.add((self._made, what))
        return first

    @property
    def name(self) -> str:
        """What results are marked with: ``llm:`` and the model."""
        return f"llm:{self.model}"

    @property
    def address(self) -> str | None:
        """The base URL that is used; ``None``: OpenAI's own."""
        return find_address(self.base_url)

    def describe(self) -> dict[str, Any]:
        """Return what determines the replies, as a run's record keeps it: never a key or a password."""
        return {
            "model": self.model,
            "base_url": masked_address(self.address),
            "route": self.route,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "prompts": Prompts(self.prompts).digest,
            **({} if self.extra_body is None else {"extra_body": self.extra_body}),
        }


_told: set[tuple[str, str]] = set()
_telling = threading.Lock()

_OWN_FIELDS: Final = (
    "model",
    "messages",
    "prompt",
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
    "stop",
    "stream",
)


def _canonical(extra_body: str | Mapping[str, Any] | None) -> str | None:
    """Return further fields as JSON in one form, so that equal settings are equal.

    Raises:
        ValueError: when they are not an object, or a field has its own setting.
    """
    if extra_body is None:
        return None
    try:
        fields = json.loads(extra_body) if isinstance(extra_body, str) else dict(extra_body)
        said = json.dumps(fields, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        fields, said = None, ""
    if not isinstance(fields, dict):
        raise ValueError(
            f"extra_body={extra_body!r}: expected an object of JSON, for example "
            '{"chat_template_kwargs": {"enable_thinking": false}}'
        )
    own = [name for name in fields if name in _OWN_FIELDS]
    if own:
        raise ValueError(
            f"extra_body: {', '.join(own)} cannot be set there: use the setting of that name, or none"
        )
    return said if fields else None
