"""Replies kept on disk: the same request gets the same reply, in this run and in the next.

One file for each reply, in 256 folders. Files rather than one database, because they need no lock between
threads, processes and machines that share a disk, and one that breaks costs one reply. A file is written
next to its place and then linked to it, so that a reader sees a whole reply or none, and of two that arrive
for one request the first stands. A reply without a text is never kept, so that it is asked for again.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import warnings
from dataclasses import dataclass
from typing import Any, Final

_FORMAT: Final = 2
_READ: Final = (1, 2)
_numbers = itertools.count()


@dataclass(frozen=True)
class Reply:
    """What a model replied.

    Attributes:
        text: the reply, without the model's thinking, white space around it stripped; may be empty.
        reasoning: the model's thinking, ``""`` when it showed none.
        prompt_tokens: the request's tokens, as the server counted them; 0 when it did not say.
        completion_tokens: the reply's tokens, thinking included, likewise.
        cached: whether the reply was kept from an earlier call; the tokens are then those of that call.
        finish_reason: why it ended: ``"stop"``, ``"length"`` (cut off at ``max_tokens``), or what the server says.
        raw: the reply as it came, before anything was taken out of it.
        cached_tokens: those of the request's tokens that the server had in its own cache, likewise.
    """

    text: str
    reasoning: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached: bool = False
    finish_reason: str = "stop"
    raw: str = ""
    cached_tokens: int = 0


class ReplyCache:
    """A folder of replies, safe under threads and processes.

    Args:
        folder: the folder, made when the first reply is kept; ``None`` keeps none.
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self._folder = None if folder is None else os.fspath(folder)

    def get(self, key: str) -> Reply | None:
        """Return the reply kept under ``key`` (hexadecimal digits); ``None`` when there is none that can be read."""
        if self._folder is None:
            return None
        try:
            with open(self._path(key), "rb") as file:
                return _reply(json.loads(file.read()), key)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def put(self, key: str, reply: Reply) -> Reply:
        """Keep ``reply``, unless it is empty or another came first, and return the one that is kept."""
        if self._folder is None or not reply.text:
            return reply
        path = self._path(key)
        try:
            return self._put(path, key, reply)
        except (
            OSError
        ) as error:  # a disk that is full or read-only costs a later run the call, not this one its end
            warnings.warn(f"a reply could not be kept in {self._folder}: {error}", stacklevel=3)
            return reply

    def _put(self, path: str, key: str, reply: Reply) -> Reply:
        content = {"format": _FORMAT, "key": key, **vars(reply)}
        name = f"{os.path.dirname(path)}/.{os.getpid()}-{next(_numbers)}-{secrets.token_hex(4)}"
        try:
            self._write(name, json.dumps(content).encode())
            try:
                os.link(name, path)
            except FileExistsError:
                first = self.get(key)
                if first is not None:
                    return first
                os.replace(name, path)  # what stands there is broken
            except OSError:  # a file system without links
                os.replace(name, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        return reply

    def _write(self, name: str, content: bytes) -> None:
        """Write a new file, for this user's eyes; its folder is made where there is none."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(name, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(name), exist_ok=True)
            descriptor = os.open(name, flags, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)

    def _path(self, key: str) -> str:
        return f"{self._folder}/{key[:2]}/{key[2:]}.json"


def _reply(content: Any, key: str) -> Reply:
    if content["format"] not in _READ or content["key"] != key:
        raise ValueError("another format, or another request's")
    reply = Reply(
        content["text"],
        content["reasoning"],
        content["prompt_tokens"],
        content["completion_tokens"],
        True,
        content["finish_reason"],
        content.get("raw") or content["text"],
        content.get("cached_tokens", 0),
    )
    texts = (reply.text, reply.reasoning, reply.finish_reason, reply.raw)
    counts = (reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens)
    if (
        not all(isinstance(text, str) for text in texts)
        or not all(isinstance(n, int) for n in counts)
        or not reply.text
    ):
        raise ValueError("not a reply")
    return reply
