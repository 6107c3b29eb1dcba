"""Encoders: what turns texts into vectors, the cache in front of them, and the ``encoder`` argument."""

from __future__ import annotations

import importlib.util
import inspect
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

import numpy.typing as npt

from atommem_env.core.resolve import is_reference, resolve
from atommem_env.retrieval.cached import CachedEncoder, Encoder, Kind, Vectors, by_kind
from atommem_env.text import digest

__all__ = [
    "DEFAULT_MODEL",
    "DISK_VARIABLE",
    "ENDPOINT_PREFIX",
    "CachedEncoder",
    "Encoder",
    "FunctionEncoder",
    "Kind",
    "SentenceTransformerEncoder",
    "Vectors",
    "make_encoder",
]

DEFAULT_MODEL: Final = "sentence-transformers/all-MiniLM-L6-v2"
"""The model of ``encoder=None``."""

ENDPOINT_PREFIX: Final = "openai:"
"""What a str begins with that names a model behind an OpenAI-compatible endpoint."""

DISK_VARIABLE: Final = "ATOMMEM_VECTORS"
"""The environment variable that names the file in which encoders made from a str keep their vectors."""


class FunctionEncoder:
    """Encodes with a function, alike for documents and queries.

    Args:
        function: takes a list of n texts and returns n vectors, an array of shape (n, width). It pickles with
            the encoder, and so should be importable where environments go to other processes.
    """

    def __init__(self, function: Callable[[list[str]], npt.ArrayLike]) -> None:
        self.function = function

    def __repr__(self) -> str:
        return f"FunctionEncoder({self.function!r})"

    def encode(self, texts: Sequence[str], kind: Kind) -> npt.ArrayLike:
        """Return the function's vectors of ``texts``."""
        return self.function(list(texts))

    def encode_mixed(self, texts: Sequence[str], kinds: Sequence[Kind]) -> npt.ArrayLike:
        """Return the function's vectors of ``texts``."""
        return self.function(list(texts))


class SentenceTransformerEncoder:
    """Encodes with a model of the ``sentence-transformers`` library, loaded when it is first used.

    Queries and documents get the prompts that the model defines for them: ``query``, and the first of
    ``document``, ``passage`` and ``corpus`` that is not empty. See
    https://sbert.net/docs/package_reference/sentence_transformer/model.html.

    Args:
        model: a model's name on the hub, the path of its folder, or a ``SentenceTransformer``.
        device: where it runs, such as ``"cuda:1"`` or ``"cpu"``; ``None`` lets the library choose, which
            takes a GPU when there is one. Of no effect on a ``SentenceTransformer``.
        batch_size: how many texts the model takes at once; ``None`` means the library's 32.

    Raises:
        ImportError: when the library is not installed; names the pip command.
    """

    def __init__(
        self, model: Any = DEFAULT_MODEL, device: str | None = None, batch_size: int | None = None
    ) -> None:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise ImportError(
                f"encoder={model!r} needs the sentence-transformers library: pip install 'atommem_env[dense]'"
            )
        self._given = model
        self._device = device
        self._batch_size = batch_size
        self._loaded: Any = None if isinstance(model, str) else model

    def __repr__(self) -> str:
        return f"SentenceTransformerEncoder({self._given!r})"

    def __deepcopy__(self, memo: dict[int, object]) -> SentenceTransformerEncoder:
        return self

    def __reduce__(self) -> tuple[type[SentenceTransformerEncoder], tuple[Any, str | None, int | None]]:
        return SentenceTransformerEncoder, (self._given, self._device, self._batch_size)

    @property
    def identity(self) -> str | None:
        """What names the model on disk: a hub name, or a folder's path, file sizes and times.

        ``None`` for a ``SentenceTransformer``, whose weights nothing names.
        """
        if not isinstance(self._given, str):
            return None
        folder = Path(self._given)
        if not folder.is_dir():
            return f"sentence-transformers {self._given}"
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        stats = [(str(path.relative_to(folder)), path.stat()) for path in files]
        state = digest(*((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)).hex()
        return f"sentence-transformers {folder.name} {state}"

    @property
    def model(self) -> Any:
        """The ``SentenceTransformer``, loaded now if it was not.

        Raises:
            ValueError: when it cannot be loaded; the message says why.
        """
        if self._loaded is None:
            from sentence_transformers import SentenceTransformer

            try:
                self._loaded = SentenceTransformer(self._given, device=self._device)
            except Exception as error:  # the library raises whatever the hub, the disk or torch raised
                raise ValueError(
                    f"encoder={self._given!r} could not be loaded: {type(error).__name__}: {error}. Give "
                    "the name of a sentence-transformers model that can be downloaded, or the folder of one."
                ) from error
        return self._loaded

    def encode(self, texts: Sequence[str], kind: Kind) -> npt.ArrayLike:
        """Return the model's vectors of ``texts``, with the prompt for ``kind``."""
        model = self.model
        # A model with a route per kind chooses it in methods named after the kinds (version 5 and later).
        run = getattr(model, f"encode_{kind}", model.encode)
        vectors: npt.ArrayLike = run(list(texts), prompt=self._prompt(kind), **self._options())
        return vectors

    def encode_mixed(self, texts: Sequence[str], kinds: Sequence[Kind]) -> npt.ArrayLike:
        """Return the model's vectors of ``texts``, each with its kind's prompt, in one call if it can be."""
        if not self._prompts_are_text():
            return by_kind(self.encode, texts, kinds)
        prompts = {kind: self._prompt(kind) for kind in sorted(set(kinds))}
        prompted = [prompts[kind] + text for text, kind in zip(texts, kinds, strict=True)]
        vectors: npt.ArrayLike = self.model.encode(prompted, prompt="", **self._options())
        return vectors

    def _options(self) -> dict[str, Any]:
        size = {} if self._batch_size is None else {"batch_size": self._batch_size}
        return {"show_progress_bar": False, **size}

    def _prompt(self, kind: Kind) -> str:
        prompts: dict[str, str] = getattr(self.model, "prompts", None) or {}
        names = ("query",) if kind == "query" else ("document", "passage", "corpus")
        return next((prompts[name] for name in names if prompts.get(name)), "")

    def _prompts_are_text(self) -> bool:
        """Return whether a prompt is no more to the model than the beginning of the text."""
        parts = list(self.model)
        routed = any(type(part).__name__ in ("Router", "Asym") for part in parts)
        return not routed and all(getattr(part, "include_prompt", True) for part in parts)


# --- the argument -----------------------------------------------------------------------------------

_named: dict[str, CachedEncoder] = {}
# By the id of the object given, which the encoder holds as its origin: while it does, the id is no other's.
_given: WeakValueDictionary[int, CachedEncoder] = WeakValueDictionary()
_naming = threading.RLock()  # a name may be of a function that asks for another


def make_encoder(spec: object = None) -> CachedEncoder:
    """Resolve the ``encoder`` argument of an environment; the same ``spec`` gives the same object.

    Args:
        spec: ``None`` (:data:`DEFAULT_MODEL`), the name or folder of a ``sentence-transformers`` model,
            ``"openai:MODEL"`` for a model behind an OpenAI-compatible endpoint (``EndpointEncoder``,
            its address and key from ``$OPENAI_BASE_URL`` and ``$OPENAI_API_KEY``), a
            ``SentenceTransformer``, an encoder (see :class:`Encoder`), a function from a list of texts to
            their vectors, a class or function without required arguments that returns one of these, or
            ``"module:name"`` of one. Where ``$ATOMMEM_VECTORS`` names a file, encoders made from a str keep
            their vectors in it (:class:`VectorFile`), as far as they have an ``identity``.

    Returns:
        The encoder behind its cache. It is shared by all that ask for the same ``spec`` in this process, so
        that no text is encoded twice.

    Raises:
        ValueError: when ``"module:name"`` cannot be resolved, or ``$ATOMMEM_VECTORS`` names another file.
        TypeError: when ``spec`` is none of these.
        ImportError: when a library is needed and missing; names the pip command.
    """
    if isinstance(spec, CachedEncoder):
        return spec
    if spec is None:
        spec = DEFAULT_MODEL
    if isinstance(spec, str):
        with _naming:
            if spec not in _named:
                encoder = _wrap(_by_name(spec), repr(spec))
                path = os.environ.get(DISK_VARIABLE)
                if path and encoder.disk is None and encoder.identity is not None:
                    encoder = CachedEncoder(encoder.encoder, encoder.size, path, encoder.identity)
                encoder.origin, encoder.maker = spec, make_encoder
                _named[spec] = encoder
            return _named[spec]
    known = _given.get(id(spec))
    if known is None or known.origin is not spec:
        known = _given[id(spec)] = _wrap(spec, repr(spec))
        known.origin = spec
    return known


def _by_name(spec: str) -> object:
    if spec.startswith(ENDPOINT_PREFIX):
        from atommem_env.retrieval.endpoint_encoder import EndpointEncoder

        return EndpointEncoder(spec.removeprefix(ENDPOINT_PREFIX))
    return resolve(spec) if is_reference(spec) else SentenceTransformerEncoder(spec)


def _wrap(found: object, name: str) -> CachedEncoder:
    """Return ``found``, which the argument ``name`` stands for, as an encoder behind a cache."""
    if isinstance(found, type) or (callable(found) and not _is_encoder(found) and _takes_nothing(found)):
        made = found()
        if not (_is_encoder(made) or (callable(made) and not isinstance(made, type))):
            raise TypeError(f"encoder={name} returned {made!r}: {_EXPECTED}")
        return _wrap_made(made)
    if not (_is_encoder(found) or callable(found)):
        raise TypeError(f"encoder={name} is of type {type(found).__name__}: {_EXPECTED}")
    return _wrap_made(found)


_EXPECTED = (
    "expected None, the name or folder of a sentence-transformers model, 'openai:MODEL', 'module:name', an object "
    "with the method encode(texts, kind), a function from a list of texts to their vectors, or a factory of these"
)


def _wrap_made(made: Any) -> CachedEncoder:
    if isinstance(made, CachedEncoder):
        return made
    if _is_sentence_transformer(made):
        return CachedEncoder(SentenceTransformerEncoder(made))
    return CachedEncoder(made if _is_encoder(made) else FunctionEncoder(made))


def _is_encoder(thing: object) -> bool:
    return isinstance(thing, Encoder)


def _is_sentence_transformer(thing: object) -> bool:
    return any(parent.__name__ == "SentenceTransformer" for parent in type(thing).__mro__)


def _takes_nothing(function: Callable[..., object]) -> bool:
    """Return whether ``function`` can be called without arguments."""
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):  # an argument is required, or there is no signature to tell
        return False
    return True
