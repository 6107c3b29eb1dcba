"""One question to a language model, and its reply."""

from __future__ import annotations

import json
import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from atommem_env.llm.cache import Reply, ReplyCache
from atommem_env.llm.endpoint import LONGEST_WAIT, Endpoint, EndpointError, find_key, require_openai
from atommem_env.llm.settings import ChatSettings
from atommem_env.protocols.thinking import split_thinking
from atommem_env.text import clean, digest

Messages = Sequence[Mapping[str, str]]

_REFUSALS: Final = (400, 422)
_OVERFLOW = re.compile(
    r"context[ _]?(?:length|window|size)|maximum context|too many tokens|prompt is too long|(?:input|prompt) length",
    re.IGNORECASE,
)


class ChatError(Exception):
    """A model could not be asked; the message says what to do.

    Attributes:
        fatal: whether any further call would fail too (a wrong key, an unknown model, no quota, a request
            that the server refuses); else the server failed at every try, and may recover.
    """

    def __init__(self, message: str, fatal: bool = True) -> None:
        super().__init__(message)
        self.fatal = fatal


class Chat:
    """Asks one model, as its settings say. Threads may share it.

    A server that refuses ``seed`` is asked without it from then on, and one that wants
    ``max_completion_tokens`` in place of ``max_tokens`` gets that; nothing else of a request is changed.

    Args:
        settings: the model, where it is, and how it is asked.

    Raises:
        ImportError: when the ``openai`` library is not installed; names the pip command.
        ValueError: when there is no key for OpenAI's own endpoint.
    """

    def __init__(self, settings: ChatSettings) -> None:
        require_openai(f"model {settings.model!r}")
        self.settings = settings
        self._address = settings.address
        key = find_key(f"model {settings.model!r}", self._address, settings.api_key_variable)
        self._endpoint = Endpoint(self._address, key, settings.timeout, settings.retries, settings.pause)
        self._cache = ReplyCache(settings.cache)

    def complete(self, messages: Messages, stop: Sequence[str] = ()) -> Reply:
        """Return the model's reply to ``messages``.

        A reply that ended at ``max_tokens`` before any text came (a model that was still thinking) is a reply
        with an empty text; a warning says what to raise.

        Args:
            messages: ``role`` and ``content`` each. With ``route="completions"`` the contents, joined by blank
                lines, are the text to go on with.
            stop: texts before which the reply ends.

        Raises:
            ChatError: when the server refuses the request, or fails at every try.
        """
        settings = self.settings
        request: dict[str, Any] = {
            "model": settings.model,
            "temperature": float(settings.temperature),
            "top_p": float(settings.top_p),
            "max_tokens": settings.max_tokens,
        }
        if settings.route == "chat":
            request["messages"] = [
                {key: clean(text) for key, text in message.items()} for message in messages
            ]
        else:
            request["prompt"] = clean("\n\n".join(message["content"] for message in messages))
        if stop:
            request["stop"] = list(stop)
        if settings.seed is not None:
            request["seed"] = settings.seed
        key = digest(self._address, json.dumps(request, sort_keys=True)).hex()
        reply = self._cache.get(key)
        if reply is None:
            reply = self._cache.put(key, self._ask(request))
        if reply.finish_reason == "length" and not reply.text:
            warnings.warn(
                f"a reply of model {settings.model!r} ended at max_tokens={settings.max_tokens} before any answer "
                "came: raise max_tokens, or turn the model's thinking off",
                stacklevel=2,
            )
        return reply

    def _ask(self, request: dict[str, Any]) -> Reply:
        with _gate(self._address, self.settings.concurrency):
            try:
                return self._endpoint.call(lambda client: self._send(client, request))
            except EndpointError as error:
                raise self._explained(error) from error

    def _send(self, client: Any, request: dict[str, Any]) -> Reply:
        import openai

        quirks = _quirks.setdefault((self._address, self.settings.model), set())
        sent = {name: value for name, value in request.items() if name != "seed" or "seed" not in quirks}
        if "max_tokens" in quirks:
            sent["max_completion_tokens"] = sent.pop("max_tokens")
        try:
            if self.settings.route == "chat":
                return _chat_reply(client.chat.completions.create(**sent))
            return _text_reply(client.completions.create(**sent))
        except openai.APIStatusError as error:
            quirk = _quirk(error.status_code, f"{error.message} {error.param or ''}", sent)
            if quirk is None:
                raise
            quirks.add(quirk)
        return self._send(client, request)

    def _explained(self, error: EndpointError) -> ChatError:
        """Return ``error`` with what to do about it."""
        settings = self.settings
        name = f"model {settings.model!r} at {self._address or 'OpenAI'}"
        said = str(error).rstrip(". ")
        if error.status is None:
            what = "gave an answer that cannot be read" if error.unreadable else "did not answer"
            return ChatError(
                f"{name} {what} in {error.tries} tries: {said}. Check that the server runs at that address "
                "(base_url=, --base-url, OPENAI_BASE_URL), or raise timeout or retries",
                fatal=False,
            )
        if error.wait is not None and error.wait > LONGEST_WAIT:
            return ChatError(
                f"{name} answered with status {error.status} and asks to wait {error.wait:.0f} seconds: {said}. "
                "The same command goes on later"
            )
        if error.passing:
            return ChatError(
                f"{name} failed {error.tries} times, last with status {error.status}: {said}. "
                + (
                    "Lower concurrency (and jobs), or raise retries"
                    if error.status == 429
                    else "See the server's log, or raise retries"
                ),
                fatal=False,
            )
        return ChatError(
            f"{name} refused the request with status {error.status}: {said}. {self._mend(error)}"
        )

    def _mend(self, error: EndpointError) -> str:
        settings = self.settings
        if error.status in (401, 403):
            return f"Set {settings.api_key_variable} to a key that may use this model"
        if error.status == 429:
            return "The account has no quota left: add credit, then repeat the command; it goes on where it stopped"
        if _is_overflow(error.status, f"{error} {error.code}"):
            return (
                "The request does not fit in the model's context: lower chunk_tokens, top_k, scratchpad_tokens or "
                f"max_tokens (now {settings.max_tokens}), or serve the model with a longer context"
            )
        if error.status == 404:
            models = self._models()
            if models and settings.model not in models:
                return f"The server has no such model; it has {', '.join(map(repr, models))}"
            return "Check the model's name, and that base_url ends where /chat/completions follows (often in /v1)"
        return "Nothing was tried again, as the server would refuse it again"

    def _models(self) -> list[str]:
        """Return the models that the server lists, at most 20; none when it does not say."""
        once = Endpoint(self._address, self._endpoint.key, self.settings.timeout, retries=0)
        try:
            return once.call(lambda client: [str(model.id) for model in client.models.list().data][:20])
        except (EndpointError, AttributeError, TypeError):
            return []


# --- replies ----------------------------------------------------------------------------------------


def _chat_reply(answer: Any) -> Reply:
    choice = _first_choice(answer)
    message = getattr(choice, "message", None)
    if message is None:
        raise ValueError("the answer holds no message")
    shown = next(
        (
            found
            for name in ("reasoning_content", "reasoning")
            if isinstance(found := getattr(message, name, None), str)
        ),
        "",
    )
    return _reply(answer, choice, getattr(message, "content", None), shown)


def _text_reply(answer: Any) -> Reply:
    choice = _first_choice(answer)
    return _reply(answer, choice, getattr(choice, "text", None), "")


def _first_choice(answer: Any) -> Any:
    choices = getattr(answer, "choices", None)
    if not choices:
        raise ValueError(f"the answer holds no choices, but {str(answer)[:80]!r}")
    return choices[0]


def _reply(answer: Any, choice: Any, content: Any, reasoning: str) -> Reply:
    if content is not None and not isinstance(content, str):
        raise ValueError(f"the answer's content is no text, but {str(content)[:80]!r}")
    thought, text = split_thinking(content or "")
    usage = getattr(answer, "usage", None)
    return Reply(
        text,
        "\n".join(part for part in (reasoning.strip(), thought) if part),
        int(getattr(usage, "prompt_tokens", None) or 0),
        int(getattr(usage, "completion_tokens", None) or 0),
        False,
        str(getattr(choice, "finish_reason", None) or "stop"),
    )


# --- what is known of servers, in this process ------------------------------------------------------

_quirks: dict[tuple[str | None, str], set[str]] = {}
_underway: dict[str | None, int] = {}
_free = threading.Condition()


@contextmanager
def _gate(address: str | None, limit: int) -> Iterator[None]:
    """Wait until less than ``limit`` calls to ``address`` are under way; a call that is tried again stays one."""
    with _free:
        _free.wait_for(lambda: _underway.get(address, 0) < limit)
        _underway[address] = _underway.get(address, 0) + 1
    try:
        yield
    finally:
        with _free:
            _underway[address] -= 1
            _free.notify_all()


def _quirk(status: int, said: str, sent: Mapping[str, Any]) -> str | None:
    """Return which of the parameters ``sent`` the server refuses, of those that it can do without."""
    if status not in _REFUSALS or _is_overflow(status, said):
        return None
    if "max_tokens" in sent and "max_completion_tokens" in said:
        return "max_tokens"
    return "seed" if "seed" in sent and re.search(r"\bseed\b", said) else None


def _is_overflow(status: int | None, said: str) -> bool:
    return status in (400, 413, 422) and _OVERFLOW.search(said) is not None
