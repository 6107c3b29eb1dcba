"""A language model in this process as one that can be asked: what ``engine="local"`` is made of.

The episodes of a run that are under way ask side by side, from threads. Their requests are gathered until every one of
them waits, and are then written in one batch, so that which requests share a batch depends on the tasks alone and never
on which thread was faster. Numbers of bfloat16 depend on a batch's size and padding, which the record holds; equal
replies across batch sizes are not claimed.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from atommem_env.core.checks import one_of
from atommem_env.llm.cache import Reply, ReplyCache
from atommem_env.llm.chat import ChatError, read_reply
from atommem_env.llm.models import find_model
from atommem_env.llm.prompts import Prompts
from atommem_env.llm.settings import MODEL_VARIABLE
from atommem_env.runs.made_of import file_hash
from atommem_env.text import clean, digest

if TYPE_CHECKING:
    from atommem_env.llm.generation import LanguageModel

Asked = TypeVar("Asked")
Told = TypeVar("Told")

_WEIGHTS: Final = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt")


@dataclass(frozen=True)
class LocalSettings:
    """A language model in this process; picklable, hashable.

    Args:
        model: the folder of a checkpoint, a packaged model (``"smollm2"``, see
            :mod:`atommem_env.llm.models`), or a name of the hub.
        adapter: the folder of a LoRA adapter over it.
        batch: the most prompts in a batch, and how many episodes a run has under way.
        pad_to: prompts of a batch are padded to a multiple of this, in tokens.
        temperature: 0 is greedy.
        top_p: above 0, at most 1.
        max_tokens: the most tokens of a reply.
        seed: of the draws, together with the prompt.
        device: ``"cpu"`` or ``"cuda"``.
        dtype: ``"auto"`` (bfloat16 where the device is fast with it), ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        cache: a folder in which replies are kept: the same request gets the same reply, at no cost.
        prompts: a folder of templates that replace those of the package, file by file.
        keep_prompts: whether traces keep what was asked next to what was replied.

    Raises:
        ValueError: when one is out of range.
    """

    model: str
    adapter: str | None = None
    batch: int = 8
    pad_to: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 256
    seed: int = 0
    device: str = "cpu"
    dtype: str = "auto"
    cache: str | os.PathLike[str] | None = field(default=None, compare=False)
    prompts: str | os.PathLike[str] | None = None
    keep_prompts: bool = False

    def __post_init__(self) -> None:
        checks = {
            "model": (bool(self.model and self.model.strip()), "a folder, 'smollm2', or a name of the hub"),
            "batch": (self.batch >= 1, "1 or more"),
            "pad_to": (self.pad_to >= 1, "1 or more, for example 64"),
            "temperature": (self.temperature >= 0, "a number from 0; 0 is greedy"),
            "top_p": (0 < self.top_p <= 1, "a number above 0 and at most 1"),
            "max_tokens": (self.max_tokens >= 1, "1 or more, for example 256"),
        }
        for name, (good, expected) in checks.items():
            if not good:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected {expected}")
        one_of("dtype", self.dtype, ("auto", "float32", "bfloat16", "float16"))
        for name in ("adapter", "cache", "prompts"):
            path = getattr(self, name)
            if path is not None:
                object.__setattr__(self, name, os.fspath(path))

    @classmethod
    def from_environment(cls, **settings: Any) -> LocalSettings:
        """Return ``settings``, the model being that of ``$ATOMMEM_MODEL`` where none is given.

        Raises:
            ValueError: when neither names a model.
        """
        model = settings.pop("model", None) or os.environ.get(MODEL_VARIABLE)
        if not model:
            raise ValueError(
                f"engine='local' needs a model: give --model smollm2 (after `atommem model smollm2`) or a folder, set "
                f"{MODEL_VARIABLE}, or pass LocalSettings(model=...)"
            )
        return cls(model, **settings)

    @property
    def concurrency(self) -> int:
        """How many episodes a run has under way: a batch of them."""
        return self.batch

    @property
    def name(self) -> str:
        """What results are marked with: ``local:smollm2+adapter``."""
        told = [Path(part).name or part for part in (self.model, self.adapter) if part]
        return f"local:{'+'.join(told)}"

    def describe(self) -> dict[str, Any]:
        """Return what determines the replies, as a run's record keeps it, the weights by content.

        A run begins with this: weights that have changed since they were loaded are loaded again.

        Raises:
            ValueError: when the model is a packaged one that is not in the cache.
        """
        return {**_host(self, begin=True).described, "prompts": Prompts(self.prompts).digest}

    def begin(self, askers: int) -> None:
        """Say that so many threads are going to ask side by side; each calls :meth:`end` when it asks no more."""
        _host(self).together.begin(askers)

    def end(self) -> None:
        """Say that one of the threads asks no more."""
        _host(self).together.end()


def weights_hash(place: str) -> str:
    """Return the hash of what a folder of weights holds; of a name of the hub the name."""
    folder = Path(place)
    if not folder.is_dir():
        return place
    return digest(*(f"{path.name} {file_hash(path)}" for path in _files(folder))).hex()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in _WEIGHTS and path.is_file())


def _stamp(places: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """Return what tells whether files of weights have changed, without reading them."""
    folders = [Path(place) for place in places.values() if os.path.isdir(place)]
    files = [(path, path.stat()) for folder in folders for path in _files(folder)]
    return [(str(path), at.st_size, at.st_mtime_ns) for path, at in files]


class LocalChat:
    """Asks a model in this process; threads may share it, and it may be copied.

    Args:
        settings: the model, and how it writes.

    Raises:
        ValueError: when the model is a packaged one that is not in the cache.
    """

    def __init__(self, settings: LocalSettings) -> None:
        self.settings = settings
        self._made_by = json.dumps({**_host(settings).described, "batch": None}, sort_keys=True)
        self._cache = ReplyCache(settings.cache)

    def complete(self, messages: Sequence[Mapping[str, str]], stop: Sequence[str] = ()) -> Reply:
        """Return the model's reply to ``messages``, its thinking apart; see :meth:`atommem_env.llm.Chat.complete`.

        Raises:
            ChatError: when the model cannot be loaded, or the prompt does not fit in its context.
        """
        said = [{key: clean(text) for key, text in message.items()} for message in messages]
        key = digest(self._made_by, json.dumps([said, list(stop)], sort_keys=True)).hex()
        reply = self._cache.get(key)
        if reply is None:
            reply = _host(self.settings).together.ask((key, said))
            text = reply.text
            for mark in stop:
                text = text.partition(mark)[0]
            reply = self._cache.put(key, replace(reply, text=text))
        return reply


# --- one model for each settings in this process ---------------------------------------------------------


class Together(Generic[Asked, Told]):
    """Gathers what several threads ask until all of them wait, and has it answered together.

    Threads that were not announced are answered at once. What is raised reaches all who asked.

    Args:
        answer: answers several requests, in their order; they come sorted.
    """

    def __init__(self, answer: Callable[[list[Asked]], Sequence[Told]]) -> None:
        self._answer = answer
        self._condition = threading.Condition()
        self._askers = 0
        self._waiting: list[_Ticket[Asked, Told]] = []
        self._answering = False

    def begin(self, askers: int) -> None:
        """Announce threads that are going to ask."""
        with self._condition:
            self._askers += askers

    def end(self) -> None:
        """Say that one of them asks no more."""
        with self._condition:
            self._askers = max(0, self._askers - 1)
            self._condition.notify_all()

    def ask(self, request: Asked) -> Told:
        """Return the answer to ``request``."""
        ticket: _Ticket[Asked, Told] = _Ticket(request)
        with self._condition:
            self._waiting.append(ticket)
            self._condition.notify_all()
            self._condition.wait_for(lambda: ticket.done or self._due())
            if not ticket.done:
                batch, self._waiting = self._waiting, []
                self._answering = True
        if not ticket.done:
            self._lead(batch)
        if ticket.error is not None:
            raise ticket.error
        return ticket.told[0]

    def _due(self) -> bool:
        return not self._answering and len(self._waiting) >= max(1, self._askers)

    def _lead(self, batch: list[_Ticket[Asked, Told]]) -> None:
        batch.sort(key=lambda ticket: str(ticket.request))
        error: BaseException | None = None
        answers: Sequence[Told] = ()
        try:
            answers = self._answer([ticket.request for ticket in batch])
        except BaseException as raised:
            error = raised
        with self._condition:
            for number, ticket in enumerate(batch):
                ticket.error = error
                ticket.told = list(answers[number : number + 1])
                ticket.done = True
            self._answering = False
            self._condition.notify_all()


@dataclass
class _Ticket(Generic[Asked, Told]):
    request: Asked
    told: list[Told] = field(default_factory=list)
    error: BaseException | None = None
    done: bool = False


class _Host:
    """A model that is loaded with the first request.

    Attributes:
        described: what determines its replies, but for the templates of prompts.
    """

    def __init__(self, settings: LocalSettings) -> None:
        from atommem_env.llm.generation import chosen_dtype

        self.settings = settings
        places = {"model": find_model(settings.model), "adapter": settings.adapter}
        self._places = {part: place for part, place in places.items() if place is not None}
        self._stamp = _stamp(self._places)
        names = (
            "model",
            "adapter",
            "batch",
            "pad_to",
            "temperature",
            "top_p",
            "max_tokens",
            "seed",
            "device",
        )
        self.described: dict[str, Any] = {
            "name": "local",
            **{name: getattr(settings, name) for name in names},
            "dtype": chosen_dtype(settings.device, settings.dtype),
            "weights": {part: weights_hash(place) for part, place in self._places.items()},
        }
        self.together: Together[tuple[str, list[dict[str, str]]], Reply] = Together(self._answer)
        self._model: LanguageModel | None = None

    @property
    def changed(self) -> bool:
        """Whether the files of the weights are others than they were."""
        return _stamp(self._places) != self._stamp

    def _answer(self, requests: list[tuple[str, list[dict[str, str]]]]) -> list[Reply]:
        settings = self.settings
        model = self._loaded()
        prompts = [model.prompt_ids(messages) for _, messages in requests]
        longest = max(map(len, prompts))
        if longest + settings.max_tokens > model.context:
            raise ChatError(
                f"model {settings.model!r}: a prompt of {longest} tokens and max_tokens={settings.max_tokens} do not "
                f"fit in its context of {model.context}: lower chunk_tokens, top_k, scratchpad_tokens or "
                "max_tokens, or take a model with a longer context"
            )
        seeds = [int(key[:15], 16) for key, _ in requests]  # the key depends on the seed
        replies: list[Reply] = []
        for start in range(0, len(requests), settings.batch):
            part = slice(start, start + settings.batch)
            written = model.write(
                prompts[part],
                settings.max_tokens,
                temperature=settings.temperature,
                top_p=settings.top_p,
                seeds=seeds[part],
                pad_to=settings.pad_to,
            )
            for ids, reply in zip(prompts[part], written, strict=True):
                usage = {"prompt_tokens": len(ids), "completion_tokens": len(reply.ids)}
                choice = {"message": {"content": reply.text}, "finish_reason": reply.finish_reason}
                replies.append(read_reply({"choices": [choice], "usage": usage}))
        return replies

    def _loaded(self) -> LanguageModel:
        if self._model is None:
            from atommem_env.llm.generation import load_language_model

            settings = self.settings
            if self.changed:
                raise ChatError(
                    f"model {settings.model!r}: its weights have changed since the run began: begin it again"
                )
            try:
                self._model = load_language_model(
                    settings.model, settings.adapter, settings.device, settings.dtype
                )
            except ValueError as error:
                raise ChatError(str(error)) from error
        return self._model


_hosts: dict[LocalSettings, _Host] = {}
_making = threading.Lock()


def _host(settings: LocalSettings, begin: bool = False) -> _Host:
    """Return the one host of equal settings in this process; where a run begins, a new one for changed weights."""
    with _making:
        found = _hosts.get(settings)
        if found is None or (begin and found.changed):
            found = _hosts[settings] = _Host(settings)
        return found
