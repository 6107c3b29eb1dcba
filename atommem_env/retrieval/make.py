"""From the ``retriever`` argument of an environment to what gives each episode its empty index."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial

from atommem_env.core.resolve import is_reference, resolve
from atommem_env.retrieval.base import ForkableRetriever, RandomRetriever, Retriever
from atommem_env.retrieval.bm25 import BM25
from atommem_env.retrieval.dense import DenseRetriever
from atommem_env.retrieval.encoders import make_encoder
from atommem_env.retrieval.hybrid import HybridRetriever

NAMES = ("bm25", "dense", "hybrid", "random")
"""The retrievers that ``retriever`` takes by name."""

_METHODS = ("add", "replace", "remove", "search")


def make_retriever(
    spec: object = "bm25", encoder: object = None, fusion_weights: Sequence[float] | None = None
) -> Callable[[str], Retriever]:
    """Resolve the ``retriever`` argument of an environment.

    Args:
        spec: ``"bm25"``, ``"dense"``, ``"hybrid"``, ``"random"``; ``"module:name"`` of either of the
            following; a retriever, which is not used itself but lends its settings through
            ``fresh(task_id)``; or a factory (a class or function without arguments that returns a
            retriever), called once per episode.
        encoder: what ``"dense"`` and ``"hybrid"`` encode with: see
            :func:`atommem_env.retrieval.encoders.make_encoder`.
        fusion_weights: the weights of BM25 and of dense search in ``"hybrid"``; ``None`` means (0.5, 0.5).

    Returns:
        A callable from a task's id to an empty retriever, to be called once per episode. It pickles if what
        was given does.

    Raises:
        ValueError: when the name is unknown, ``"module:name"`` cannot be resolved, or ``encoder`` or
            ``fusion_weights`` is given to a retriever that uses none.
        TypeError: when ``spec`` is neither a name, a retriever nor a factory. What a factory returns is
            checked when it is called.
        ImportError: when the encoder needs an extra that is not installed; names the pip command.
    """
    if encoder is not None and spec not in ("dense", "hybrid"):
        raise ValueError(
            f"encoder={encoder!r} has no use with retriever={spec!r}: leave it out, or choose 'dense' or "
            "'hybrid' as retriever"
        )
    if fusion_weights is not None and spec != "hybrid":
        raise ValueError(
            f"fusion_weights={fusion_weights!r} has no use with retriever={spec!r}: leave it out, or choose "
            "'hybrid' as retriever"
        )
    if not isinstance(spec, str):
        return _from_object(spec, repr(spec))
    if is_reference(spec):
        return _from_object(resolve(spec), f"{spec!r}")
    return _by_name(spec, encoder, fusion_weights).fresh


def _by_name(name: str, encoder: object, fusion_weights: Sequence[float] | None) -> ForkableRetriever:
    if name == "bm25":
        return BM25()
    if name == "random":
        return RandomRetriever()
    if name not in NAMES:
        raise ValueError(
            f"retriever={name!r}: expected one of {', '.join(map(repr, NAMES))}, 'module:name', "
            "a retriever, or a factory"
        )
    dense = DenseRetriever(make_encoder(encoder))
    if name == "dense":
        return dense
    return HybridRetriever((BM25(), dense), (0.5, 0.5) if fusion_weights is None else fusion_weights)


def _from_object(found: object, name: str) -> Callable[[str], Retriever]:
    # A class has its instances' methods as attributes: it is a factory nonetheless.
    if not isinstance(found, type) and isinstance(found, Retriever):
        return partial(_anew, found)
    if not callable(found):
        raise TypeError(
            f"retriever={name} is of type {type(found).__name__}, which lacks {_missing(found)}: expected "
            f"one of {', '.join(map(repr, NAMES))}, 'module:name', a retriever (an object with the methods "
            f"{', '.join(_METHODS)}), or a factory of one"
        )
    return partial(_build, found, name)


def _build(factory: Callable[[], object], name: str, task_id: str) -> Retriever:
    """Return a new retriever from ``factory``, checked."""
    made = factory()
    if isinstance(made, type) or not isinstance(made, Retriever):
        raise TypeError(
            f"retriever={name} returned {made!r}, which lacks {_missing(made)}: a factory must return an "
            f"object with the methods {', '.join(_METHODS)} (see atommem_env.retrieval.Retriever)"
        )
    return made.fresh(task_id) if isinstance(made, ForkableRetriever) else made


def _anew(retriever: Retriever, task_id: str) -> Retriever:
    """Return an empty retriever with the settings of ``retriever``, which is never written itself."""
    return retriever.fresh(task_id) if isinstance(retriever, ForkableRetriever) else copy.deepcopy(retriever)


def _missing(thing: object) -> str:
    names = [name for name in _METHODS if isinstance(thing, type) or not hasattr(thing, name)]
    return ", ".join(names)
