"""Attention of many replies to what they have in common, which is kept once, and not copied for each of them.

A step of writing reads the keys and values of everything before it. Where six replies to one chunk go on from the same
450 tokens, most of that reading is of copies, and so is most of the memory. Here a cache is forked instead: what has
been read stays as it is, a row points to the row that it goes on from, and only what it reads and writes itself is its
own. Scores over both parts go through one softmax, so that what comes out is what copies give, up to rounding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from atommem_env.llm.models import load_local

torch = load_local("torch", "a model in this process")
transformers = load_local("transformers", "a model in this process")

_NAME: Final = "atommem_forks"
"""What the attention is called in the registry of transformers."""

Fork: TypeAlias = Callable[[Any, Any, Sequence[int]], Any]
"""What makes a forked cache of one, of where that holds tokens, and of the row that each new row goes on from."""


@contextlib.contextmanager
def forks(model: Any) -> Iterator[Fork | None]:
    """Let a model attend to forked caches while it writes: yield what makes one.

    ``None`` where its attention is not torch's own. Of a model whose attention adds something to its scores, which is
    seen when it first reads, no cache is forked.
    """
    config = model.config
    if getattr(config, "_attn_implementation", None) != "sdpa":
        yield None
        return
    masks = transformers.masking_utils.ALL_MASK_ATTENTION_FUNCTIONS
    masks.register(_NAME, masks["sdpa"])
    adding: set[str] = set()

    def attend(
        module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **options: Any
    ) -> tuple[Any, None]:
        if isinstance(key, _Keys):
            return _attend(query, key, value, attention_mask, options.get("scaling"))
        adding.update(name for name in ("position_bias", "softcap") if options.get(name) is not None)
        plain = transformers.integrations.sdpa_attention.sdpa_attention_forward
        done: tuple[Any, None] = plain(module, query, key, value, attention_mask, **options)
        return done

    def fork(cache: Any, mask: Any, rows: Sequence[int]) -> Any:
        return None if adding else _fork(cache, mask, rows)

    transformers.modeling_utils.ALL_ATTENTION_FUNCTIONS.register(_NAME, attend)
    config._attn_implementation = _NAME
    try:
        yield fork
    finally:
        config._attn_implementation = "sdpa"


def _fork(cache: Any, mask: Any, rows: Sequence[int]) -> Any:
    """Return a cache whose rows go on from those of another one, which is not copied.

    Args:
        cache: what has been read.
        mask: where it holds tokens, ``[its rows, its length]``.
        rows: for each new row the one that it goes on from.

    Returns:
        The cache; ``None`` where a layer keeps anything but all keys and values.
    """
    if any(type(layer) is not transformers.cache_utils.DynamicLayer for layer in cache.layers):
        return None
    there = mask.bool()
    return transformers.Cache(layers=[_Layer(layer, there, list(rows)) for layer in cache.layers])


class _Keys(NamedTuple):
    """What stands in the place of a layer's keys: its own ones, and the layer."""

    own: Any
    layer: _Layer


class _Layer(transformers.cache_utils.DynamicLayer):  # type: ignore[misc, name-defined]
    """A layer of a forked cache.

    Args:
        far: the layer that it goes on from, keys and values ``[rows, heads, length, size]``.
        there: where that holds tokens.
        rows: for each new row the one that it goes on from.
    """

    def __init__(self, far: Any, there: Any, rows: list[int]) -> None:
        super().__init__()
        self.far_keys, self.far_values, self.there = far.keys, far.values, there
        self._set(rows)

    def _set(self, rows: list[int]) -> None:
        self.rows = rows
        self.heirs = {row: [at for at, of in enumerate(rows) if of == row] for row in dict.fromkeys(rows)}

    def update(self, keys: Any, values: Any, *_: Any, **__: Any) -> tuple[_Keys, Any]:
        """Add keys and values; return what :func:`_attend` takes."""
        keys, values = super().update(keys, values)
        return _Keys(keys, self), values

    def get_seq_length(self) -> int:
        """Return how much has been read."""
        return int(self.far_keys.shape[-2] + super().get_seq_length())

    def batch_select_indices(self, indices: Any) -> None:
        """Go on with these rows."""
        super().batch_select_indices(indices)
        self._set([self.rows[at] for at in indices.tolist()])


def _attend(
    query: Any, key: _Keys, value: Any, attention_mask: Any, scaling: float | None
) -> tuple[Any, None]:
    """Attend to a forked cache as torch does to any other; shapes are ``[rows, heads, length, size]``."""
    own, layer = key
    count, heads, length, size = query.shape
    groups = own.shape[1]
    width = layer.far_keys.shape[-2]
    asked = query.reshape(count, groups, heads // groups * length, size) * (scaling or size**-0.5)
    near = (asked @ own.transpose(-1, -2)).unflatten(2, (heads // groups, length))
    if attention_mask is None:  # everything is there: all that is not to come
        ahead = torch.ones(length, own.shape[-2], dtype=torch.bool, device=query.device)
        open_to = ahead.tril(own.shape[-2] - length)[None, None]
    else:
        open_to = attention_mask[..., width:]
    near = near.masked_fill(~open_to[:, :, None], -torch.inf).flatten(2, 3)
    far = near.new_empty((*near.shape[:-1], width))
    for row, heirs in layer.heirs.items():
        scores = _joined(asked[heirs]) @ layer.far_keys[row].transpose(-1, -2)
        far[heirs] = _apart(scores.masked_fill(~layer.there[row], -torch.inf), len(heirs))
    weights = torch.cat([far, near], dim=-1).softmax(dim=-1, dtype=torch.float32).to(value.dtype)
    found = weights[..., width:] @ value
    for row, heirs in layer.heirs.items():
        found[heirs] += _apart(_joined(weights[heirs][..., :width]) @ layer.far_values[row], len(heirs))
    found = found.unflatten(2, (heads // groups, length)).flatten(1, 2)
    return found.transpose(1, 2).contiguous(), None


def _joined(each: Any) -> Any:
    """Return ``[rows, heads, length, size]`` as ``[heads, rows * length, size]``."""
    return each.transpose(0, 1).flatten(1, 2)


def _apart(joined: Any, rows: int) -> Any:
    """Undo :func:`_joined`."""
    return joined.unflatten(1, (rows, -1)).transpose(0, 1)
