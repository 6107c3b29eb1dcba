"""Encoders: what turns texts into vectors, the cache in front of them, and the ``encoder`` argument."""

from __future__ import annotations

import importlib.util
import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias, runtime_checkable
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from atommem_env.resolve import is_reference, resolve

Kind: TypeAlias = Literal["document", "query"]
"""What a text is: an entry is a document, what is looked for is a query."""

Vectors: TypeAlias = npt.NDArray[np.float32]

DEFAULT_MODEL: Final = "sentence-transformers/all-MiniLM-L6-v2"
"""The model of ``encoder=None``."""


@runtime_checkable
class Encoder(Protocol):
    """What turns texts into vectors.

    An encoder may also have ``encode_mixed(texts, kinds)``, which takes the kind of each text and serves
    documents and queries in one call; without it, a call is made for each kind.
    """

    def encode(self, texts: Sequence[str], kind: Kind) -> npt.ArrayLike:
        """Return the vectors of ``texts``, float32 of shape (number of texts, width), not all zero."""
        ...


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

    Raises:
        ImportError: when the library is not installed; names the pip command.
    """

    def __init__(self, model: Any = DEFAULT_MODEL) -> None:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise ImportError(
                f"encoder={model!r} needs the sentence-transformers library: pip install 'atommem_env[dense]'"
            )
        self._given = model
        self._loaded: Any = None if isinstance(model, str) else model

    def __repr__(self) -> str:
        return f"SentenceTransformerEncoder({self._given!r})"

    def __deepcopy__(self, memo: dict[int, object]) -> SentenceTransformerEncoder:
        return self

    def __reduce__(self) -> tuple[type[SentenceTransformerEncoder], tuple[Any]]:
        return SentenceTransformerEncoder, (self._given,)

    @property
    def model(self) -> Any:
        """The ``SentenceTransformer``, loaded now if it was not.

        Raises:
            ValueError: when it cannot be loaded; the message says why.
        """
        if self._loaded is None:
            from sentence_transformers import SentenceTransformer

            try:
                self._loaded = SentenceTransformer(self._given)
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
        vectors: npt.ArrayLike = run(list(texts), prompt=self._prompt(kind), show_progress_bar=False)
        return vectors

    def encode_mixed(self, texts: Sequence[str], kinds: Sequence[Kind]) -> npt.ArrayLike:
        """Return the model's vectors of ``texts``, each with its kind's prompt, in one call if it can be."""
        if not self._prompts_are_text():
            return _by_kind(self.encode, texts, kinds)
        prompts = {kind: self._prompt(kind) for kind in sorted(set(kinds))}
        prompted = [prompts[kind] + text for text, kind in zip(texts, kinds, strict=True)]
        vectors: npt.ArrayLike = self.model.encode(prompted, prompt="", show_progress_bar=False)
        return vectors

    def _prompt(self, kind: Kind) -> str:
        prompts: dict[str, str] = getattr(self.model, "prompts", None) or {}
        names = ("query",) if kind == "query" else ("document", "passage", "corpus")
        return next((prompts[name] for name in names if prompts.get(name)), "")

    def _prompts_are_text(self) -> bool:
        """Return whether a prompt is no more to the model than the beginning of the text."""
        parts = list(self.model)
        routed = any(type(part).__name__ in ("Router", "Asym") for part in parts)
        return not routed and all(getattr(part, "include_prompt", True) for part in parts)


class CachedEncoder:
    """An encoder with a bounded memory of what it has encoded: least recently used, by kind and text.

    Many environments share one; it may be called from several threads. It deep-copies as itself. It pickles
    without the cache: made from a name, as that name, so that a process has one of it; else as the encoder
    and the size.

    Attributes:
        encoder: what encodes the texts that are not in the cache.
        size: how many vectors the cache keeps at most.
        calls: how often the encoder has been called.
        texts: how many texts it has been given, all calls together.
        width: the vectors' length, ``None`` before the first.
        origin: what the encoder was made from.
    """

    def __init__(self, encoder: Encoder, size: int = 20_000) -> None:
        if size < 1:
            raise ValueError(f"CachedEncoder(size={size!r}): expected at least 1")
        self.encoder = encoder
        self.size = size
        self.calls = 0
        self.texts = 0
        self.width: int | None = None
        self.origin: object = encoder
        self._vectors: OrderedDict[tuple[Kind, str], Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"CachedEncoder({self.encoder!r}, size={self.size})"

    def __deepcopy__(self, memo: dict[int, object]) -> CachedEncoder:
        return self

    def __reduce__(self) -> tuple[Callable[..., CachedEncoder], tuple[object, ...]]:
        if isinstance(self.origin, str):
            return make_encoder, (self.origin,)
        return CachedEncoder, (self.encoder, self.size)

    def encode(self, texts: Sequence[str], kind: Kind) -> Vectors:
        """Return the vectors of ``texts``, all of one kind: see :meth:`encode_mixed`."""
        return self.encode_mixed(texts, [kind] * len(texts))

    def encode_mixed(self, texts: Sequence[str], kinds: Sequence[Kind]) -> Vectors:
        """Return the vectors of ``texts``, float32 of shape (number of texts, width).

        The distinct texts that are not in the cache go to the encoder: in one call if it has
        ``encode_mixed`` or they are of one kind, else in one call for each kind.

        Raises:
            ValueError: when the encoder returns anything but one finite vector, of the width it always had,
                for each text.
        """
        keys = list(zip(kinds, texts, strict=True))
        with self._lock:
            found: dict[tuple[Kind, str], Vectors] = {}
            missing: list[tuple[Kind, str]] = []
            for key in dict.fromkeys(keys):
                vector = self._vectors.get(key)
                if vector is None:
                    missing.append(key)
                else:
                    self._vectors.move_to_end(key)
                    found[key] = vector
            if missing:
                found.update(zip(missing, self._encode(missing), strict=True))
                self._keep({key: found[key] for key in missing})
        return np.stack([found[key] for key in keys]) if keys else np.zeros((0, self.width or 0), np.float32)

    def _encode(self, keys: list[tuple[Kind, str]]) -> list[Vectors]:
        kinds = [kind for kind, _ in keys]
        texts = [text for _, text in keys]
        self.texts += len(keys)
        if len(set(kinds)) > 1 and hasattr(self.encoder, "encode_mixed"):
            self.calls += 1
            vectors = self._checked(self.encoder.encode_mixed(texts, kinds), len(keys))
        else:
            vectors = _by_kind(self._encode_kind, texts, kinds)
        # A row of its own each, so that one that is kept does not keep the whole batch.
        return [row.copy() for row in vectors]

    def _encode_kind(self, texts: list[str], kind: Kind) -> Vectors:
        self.calls += 1
        return self._checked(self.encoder.encode(texts, kind), len(texts))

    def _checked(self, made: npt.ArrayLike, count: int) -> Vectors:
        wanted = f"expected {count} vectors, an array of shape ({count}, {self.width or 'width'})"
        try:
            vectors = np.asarray(made, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{self.encoder!r} returned {type(made).__name__}, no numbers: {wanted}"
            ) from error
        if (
            vectors.ndim != 2
            or vectors.shape[1] == 0
            or vectors.shape != (count, self.width or vectors.shape[1])
        ):
            raise ValueError(f"{self.encoder!r} returned an array of shape {vectors.shape}: {wanted}")
        if not np.isfinite(vectors).all():
            raise ValueError(f"{self.encoder!r} returned NaN or infinity: {wanted} of finite numbers")
        self.width = vectors.shape[1]
        return vectors

    def _keep(self, made: dict[tuple[Kind, str], Vectors]) -> None:
        self._vectors.update(made)
        while len(self._vectors) > self.size:
            self._vectors.popitem(last=False)


def _by_kind(
    encode: Callable[[list[str], Kind], npt.ArrayLike], texts: Sequence[str], kinds: Sequence[Kind]
) -> Vectors:
    """Return the vectors of ``texts``, in their order, from a call of ``encode`` for each kind."""
    places: dict[Kind, list[int]] = {}
    for place, kind in enumerate(kinds):
        places.setdefault(kind, []).append(place)
    made = [np.asarray(encode([texts[i] for i in some], kind)) for kind, some in places.items()]
    order = np.argsort([i for some in places.values() for i in some])
    vectors: Vectors = np.concatenate(made)[order]
    return vectors


# --- the argument -----------------------------------------------------------------------------------

_named: dict[str, CachedEncoder] = {}
# By the id of the object given, which the encoder holds as its origin: while it does, the id is no other's.
_given: WeakValueDictionary[int, CachedEncoder] = WeakValueDictionary()


def make_encoder(spec: object = None) -> CachedEncoder:
    """Resolve the ``encoder`` argument of an environment; the same ``spec`` gives the same object.

    Args:
        spec: ``None`` (:data:`DEFAULT_MODEL`), the name or folder of a ``sentence-transformers`` model, a
            ``SentenceTransformer``, an encoder (see :class:`Encoder`), a function from a list of texts to
            their vectors, a class or function without required arguments that returns one of these, or
            ``"module:name"`` of one.

    Returns:
        The encoder behind its cache. It is shared by all that ask for the same ``spec`` in this process, so
        that no text is encoded twice.

    Raises:
        ValueError: when ``"module:name"`` cannot be resolved.
        TypeError: when ``spec`` is none of these.
        ImportError: when the ``sentence-transformers`` library is needed and missing; names the pip command.
    """
    if isinstance(spec, CachedEncoder):
        return spec
    if spec is None:
        spec = DEFAULT_MODEL
    if isinstance(spec, str):
        if spec not in _named:
            found = resolve(spec) if is_reference(spec) else SentenceTransformerEncoder(spec)
            encoder = _named[spec] = _wrap(found, repr(spec))
            encoder.origin = spec
        return _named[spec]
    known = _given.get(id(spec))
    if known is None or known.origin is not spec:
        known = _given[id(spec)] = _wrap(spec, repr(spec))
        known.origin = spec
    return known


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
    "expected None, the name or folder of a sentence-transformers model, 'module:name', an object with the "
    "method encode(texts, kind), a function from a list of texts to their vectors, or a factory of these"
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
