"""One question to a language model, and its reply."""

from __future__ import annotations

import json
import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from atommem_env.llm.cache import Reply, ReplyCache
from atommem_env.llm.endpoint import (
    LONGEST_WAIT,
    Endpoint,
    EndpointError,
    find_key,
    refusal_within,
    says_too_long,
)
from atommem_env.llm.secrets import mask, masked_address
from atommem_env.llm.settings import ChatSettings
from atommem_env.protocols.thinking import split_thinking
from atommem_env.text import clean, digest

Messages = Sequence[Mapping[str, str]]

FILTERED: Final = "content_filter"
"""The ``finish_reason`` of a reply that the server's filter kept back."""

_REFUSALS: Final = (400, 422)
_NEUTRAL: Final = {"top_p": 1.0, "temperature": 1.0}
_FILTER = re.compile(
    r"content[ _-]?filter|content[ _-]?(?:management )?policy|responsible ?ai|data_inspection|moderation|flagged as"
    r"|safety (?:system|policy|filter)|prohibited content|blocked by",
    re.IGNORECASE,
)
_FEWEST_WORDS: Final = 256  # a prompt of less is not told from one that was cut
_CUT_BELOW: Final = 0.7  # tokens a word: every tokenizer has more


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

    A server that refuses a parameter that it can do without (``seed``; ``top_p`` or ``temperature`` of 1, which
    change nothing) is asked without it from then on, and one that wants ``max_completion_tokens`` in place of
    ``max_tokens`` gets that; nothing else of a request is changed.

    Args:
        settings: the model, where it is, and how it is asked.

    Raises:
        ValueError: when there is no key for OpenAI's own endpoint.
    """

    def __init__(self, settings: ChatSettings) -> None:
        self.settings = settings
        self._address = settings.address
        key = find_key(f"model {settings.model!r}", self._address, settings.api_key_variable)
        self._endpoint = Endpoint(self._address, key, settings.timeout, settings.retries, settings.pause)
        self._cache = ReplyCache(settings.cache)

    def complete(self, messages: Messages, stop: Sequence[str] = ()) -> Reply:
        """Return the model's reply to ``messages``.

        The text is empty when the server's filter kept the reply back (``finish_reason`` is ``"content_filter"``),
        when the reply ended at ``max_tokens`` before any text came, or when it holds reasoning alone; a warning
        says what to change in the latter cases. An empty reply is asked for once more, and never kept on disk.

        Args:
            messages: ``role`` and ``content`` each. With ``route="completions"`` the contents, joined by blank
                lines, are the text to go on with.
            stop: texts before which the reply ends.

        Raises:
            ChatError: when the server refuses the request, or fails at every try.
        """
        request = self._request(messages, stop)
        key = digest(self._address, json.dumps(request, sort_keys=True)).hex()
        reply = self._cache.get(key)
        if reply is None:
            reply = self._ask(request)
            if (
                not reply.text
                and not reply.reasoning
                and reply.finish_reason == "stop"
                and self.settings.retries
            ):
                reply = self._ask(request)
            reply = self._cache.put(key, reply)
            self._warn(reply, request)
        elif not reply.text:
            self._warn(reply, request)
        return reply

    def _request(self, messages: Messages, stop: Sequence[str]) -> dict[str, Any]:
        settings = self.settings
        given = {
            "temperature": None if settings.temperature is None else float(settings.temperature),
            "top_p": None if settings.top_p is None else float(settings.top_p),
            "max_tokens": settings.max_tokens,
            "seed": settings.seed,
        }
        request: dict[str, Any] = {"model": settings.model}
        request |= {name: value for name, value in given.items() if value is not None}
        if settings.route == "chat":
            request["messages"] = [
                {key: clean(text) for key, text in message.items()} for message in messages
            ]
        else:
            request["prompt"] = clean("\n\n".join(message["content"] for message in messages))
        if stop:
            request["stop"] = list(stop)
        return {**request, **settings.extra_fields}

    def _ask(self, request: dict[str, Any]) -> Reply:
        with _gate(self._address, self.settings.concurrency):
            try:
                return self._endpoint.call(lambda: self._send(request))
            except EndpointError as error:
                raise self._explained(error) from error

    def _send(self, request: dict[str, Any]) -> Reply:
        quirks = _quirks.setdefault((self._address, self.settings.model), set())
        sent = {name: value for name, value in request.items() if name == "max_tokens" or name not in quirks}
        if "max_tokens" in quirks and "max_tokens" in sent:
            sent["max_completion_tokens"] = sent.pop("max_tokens")
        path = "/chat/completions" if self.settings.route == "chat" else "/completions"
        try:
            reply = read_reply(self._endpoint.ask(path, sent))
        except EndpointError as error:
            if error.status in (400, 403, 422, 451) and _FILTER.search(f"{error.whole} {error.code}"):
                return Reply("", finish_reason=FILTERED)
            quirk = _quirk(error, sent)
            if quirk is None:
                raise
            quirks.add(quirk)
            return self._send(request)
        return replace(reply, text=mask(reply.text), reasoning=mask(reply.reasoning), raw=mask(reply.raw))

    def _warn(self, reply: Reply, request: Mapping[str, Any]) -> None:
        """Warn of what a reply says about the settings; of each thing but the first once."""
        settings, said = self.settings, f"model {self.settings.model!r}"
        if reply.finish_reason == "length" and not reply.text:
            warnings.warn(
                f"a reply of {said} ended at max_tokens={settings.max_tokens} before any answer "
                "came: raise max_tokens, or turn the model's thinking off",
                stacklevel=3,
            )
        elif reply.reasoning and not reply.text and settings.tell_once("reasoning"):
            warnings.warn(
                f"a reply of {said} holds reasoning and no text, and counts as empty: the server takes all of it for "
                "thinking. Serve the model with its own reasoning parser or with none, or turn its thinking off "
                '(extra_body, --extra-body \'{"chat_template_kwargs": {"enable_thinking": false}}\')',
                stacklevel=3,
            )
        if reply.prompt_tokens < _FEWEST_WORDS or reply.cached:
            return
        words = sum(len(message["content"].split()) for message in request.get("messages", ()))
        words += len(request.get("prompt", "").split())
        if reply.prompt_tokens < _CUT_BELOW * words and settings.tell_once("cut"):
            warnings.warn(
                f"the server of {said} cut a prompt: it counts {reply.prompt_tokens} tokens in {words} words. Serve "
                "the model with a longer context (Ollama: num_ctx; llama.cpp: --ctx-size), or lower chunk_tokens",
                stacklevel=3,
            )

    def _explained(self, error: EndpointError) -> ChatError:
        """Return ``error`` with what to do about it."""
        settings = self.settings
        name = f"model {settings.model!r} at {masked_address(self._address) or 'OpenAI'}"
        said = str(error).rstrip(". ")
        if error.too_long or (error.status is None and not error.passing and says_too_long(400, error.whole)):
            status = "" if error.status is None else f" with status {error.status}"
            return ChatError(f"{name} refused the request{status}: {said}. {self._shorter()}")
        if error.status is None:
            if not error.passing:
                return ChatError(f"{name}: {said}")
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
        if error.status in (402, 429):
            return "The account has no quota left: add credit, then repeat the command; it goes on where it stopped"
        if error.status == 404:
            models = self._models()
            if models and settings.model not in models:
                return f"The server has no such model; it has {', '.join(map(repr, models))}"
            return "Check the model's name, and that base_url ends where /chat/completions follows (often in /v1)"
        named = [name for name in ("temperature", "top_p", "seed") if re.search(rf"\b{name}\b", error.whole)]
        if named and error.status in _REFUSALS:
            return f"None leaves a parameter out ({', '.join(f'{name}=None' for name in named)})"
        return "Nothing was tried again, as the server would refuse it again"

    def _shorter(self) -> str:
        return (
            "The request does not fit in the model's context: lower chunk_tokens, top_k, scratchpad_tokens or "
            f"max_tokens (now {self.settings.max_tokens}), or serve the model with a longer context"
        )

    def _models(self) -> list[str]:
        """Return the models that the server lists, at most 20; none when it does not say."""
        once = Endpoint(self._address, self._endpoint.key, self.settings.timeout, retries=0)
        try:
            return [str(model["id"]) for model in once.ask("/models")["data"]][:20]
        except (EndpointError, ValueError, KeyError, TypeError):
            return []


# --- replies ----------------------------------------------------------------------------------------


def read_reply(body: Any) -> Reply:
    """Return the reply in the body of an answer, of either route.

    Its text is that of all parts of the content, then the calls in ``tool_calls``, as JSON; its reasoning is what
    the server calls so, and what the text begins with in the marks of thinking.

    Raises:
        ValueError: when the body holds none.
        EndpointError: when it holds an error in its place.
    """
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError(f"the answer holds no choices, but {str(body)[:80]!r}")
    choice = choices[0]
    finish = choice.get("finish_reason")
    if choice.get("error") or finish == "error":
        raise refusal_within(choice.get("error") or body.get("error") or "the reply ended in an error")
    message = choice.get("message")
    if not isinstance(message, dict):
        if not isinstance(choice.get("text"), str):
            raise ValueError("the answer holds no message")
        message = {"content": choice["text"]}
    said, thought = _parts(message.get("content"))
    calls = _calls(message)
    if not said.strip() and not calls and isinstance(message.get("refusal"), str):
        said = message["refusal"]
    raw = "\n".join(part for part in (said, calls) if part)
    marked, text = split_thinking(said)
    shown = next(
        (
            _flat(message[name])
            for name in ("reasoning_content", "reasoning", "thinking")
            if message.get(name)
        ),
        "",
    )
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    cached = (
        details.get("cached_tokens") if isinstance(details, dict) else usage.get("prompt_cache_hit_tokens")
    )
    return Reply(
        "\n".join(part for part in (text, calls) if part),
        "\n".join(part for part in (shown.strip(), thought.strip(), marked) if part),
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        False,
        finish if isinstance(finish, str) and finish else "stop",
        raw,
        min(_count(cached), _count(usage.get("prompt_tokens"))),
    )


def _parts(content: Any) -> tuple[str, str]:
    """Return the text and the reasoning of a message's content: a text, or a list of parts."""
    if content is None or isinstance(content, str):
        return content or "", ""
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise ValueError(f"the answer's content is not text, but {str(content)[:80]!r}")
    said: list[str] = []
    thought: list[str] = []
    for part in content:
        kind = str(part.get("type", "text")) if isinstance(part, dict) else "text"
        thinks = any(word in kind for word in ("think", "reason")) or (
            isinstance(part, dict) and part.get("thought") is True
        )
        (thought if thinks else said).append(_flat(part))
    return "".join(said), "\n".join(thought)


def _flat(value: Any, levels: int = 6) -> str:
    """Return the text of a part, however it is nested."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and levels:
        return "".join(_flat(item, levels - 1) for item in value)
    if isinstance(value, dict) and levels:
        names = ("text", "thinking", "reasoning", "content", "summary", "value")
        return next((_flat(value[name], levels - 1) for name in names if value.get(name)), "")
    return ""


def _calls(message: Mapping[str, Any]) -> str:
    """Return the calls of a message as the JSON that the protocol ``json`` reads; ``""`` when it has none."""
    calls = message.get("tool_calls")
    calls = list(calls) if isinstance(calls, list) else []
    if isinstance(message.get("function_call"), dict):
        calls.append(message["function_call"])
    held = [call.get("function") or call.get("custom") or call for call in calls if isinstance(call, dict)]
    return "\n".join(json.dumps(call, ensure_ascii=False) for call in held)


def _count(value: Any) -> int:
    good = isinstance(value, (int, float)) and 0 <= value < 1 << 53
    return int(value) if good else 0


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


def _quirk(error: EndpointError, sent: Mapping[str, Any]) -> str | None:
    """Return which of the parameters ``sent`` the server refuses, of those that it can do without."""
    if error.status not in _REFUSALS or error.too_long:
        return None
    if "max_tokens" in sent and "max_completion_tokens" in error.whole:
        return "max_tokens"
    if "seed" in sent and re.search(r"\bseed\b", error.whole):
        return "seed"
    neutral = (name for name, value in _NEUTRAL.items() if sent.get(name) == value)
    return next((name for name in neutral if re.search(rf"\b{name}\b", error.whole)), None)
