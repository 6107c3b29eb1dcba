"""A small network over the view of :class:`~atommem_env.discrete.decisions.Decisions`, in NumPy.

One function says what a text is worth for a question; a text's worth is the (soft) greatest over the questions,
and the worth of an action follows: to replace an entry is worth what the candidate is, less what the entry is. The
same weights serve every slot and every question, so that a network works for any number of either.

A checkpoint is one npz file: the weights, and what they were trained on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from atommem_env.discrete.blind import BLIND_FEATURES
from atommem_env.discrete.decisions import SLOT_FEATURES, STATE_FEATURES
from atommem_env.discrete.features import TEXT_FEATURES
from atommem_env.discrete.notes import Array

_LARGEST: Final = 256_000_000  # bytes of arrays
FORMAT: Final = 1
INPUTS: Final = len(TEXT_FEATURES) + len(SLOT_FEATURES) + len(STATE_FEATURES)
"""How many numbers the worth of a text for a question is computed from."""

BLIND_INPUTS: Final = len(BLIND_FEATURES) + len(SLOT_FEATURES) + len(STATE_FEATURES)
"""How many that of a text is while no question is known."""

ACTION_KINDS: Final = ("skip", "create", "replace", "delete")
"""The kinds of actions that have their own bias, besides one for each query."""

_NONE: Final = -1e9


class Network:
    """Maps a view to a score for each action; the higher, the better.

    Args:
        weights: ``text.{0,1,2}.{weight,bias}``: the layers of the text's worth, (H, :data:`INPUTS`, or
            :data:`BLIND_INPUTS` where ``about["blind"]`` is true), (H, H),
            (1, H); ``bias.{weight,bias}``: how the episode's state moves each kind of action,
            (4 + queries, states).
        about: what is told of it: plain data.

    Raises:
        ValueError: when weights are missing, or do not fit the features of this version.
    """

    def __init__(
        self, weights: Mapping[str, npt.NDArray[Any]], about: Mapping[str, Any] | None = None
    ) -> None:
        self.about = dict(about or {})
        names = [
            f"{layer}.{part}"
            for layer in ("text.0", "text.1", "text.2", "bias")
            for part in ("weight", "bias")
        ]
        missing = [name for name in names if name not in weights]
        if missing:
            raise ValueError(
                f"a checkpoint without {', '.join(missing)}: it is none of this package, or damaged"
            )
        self.weights = {name: np.asarray(weights[name], np.float32) for name in names}
        for name, value in self.weights.items():
            if value.ndim != (1 if name.endswith("bias") and name != "bias.weight" else 2):
                raise ValueError(
                    f"its weights {name} have the shape {value.shape}: the checkpoint is damaged"
                )
        inputs, states = self.weights["text.0.weight"].shape[1], self.weights["bias.weight"].shape[1]
        expected = BLIND_INPUTS if self.blind else INPUTS
        if (inputs, states) != (expected, len(STATE_FEATURES)):
            raise ValueError(
                f"the checkpoint takes {inputs} features of a text and {states} of the episode; this version gives "
                f"{expected} and {len(STATE_FEATURES)}: train it again, or install the version that made it"
            )

    @property
    def blind(self) -> bool:
        """Whether it sees texts without the questions."""
        return bool(self.about.get("blind", False))

    @property
    def queries(self) -> tuple[str, ...]:
        """The queries that it can choose."""
        return tuple(self.about.get("queries", ("question",)))

    def scores(self, view: Mapping[str, Array]) -> Array:
        """Return a score for each action, of shape (2 + 2 S + queries,), before the masks."""
        slots, state = view["slots"], view["state"]
        worth = self._worth(
            np.concatenate([view["candidate"][None], slots]),
            np.concatenate([np.zeros((1, len(SLOT_FEATURES)), np.float32), view["slot_state"]]),
            state,
            view["questions"],
        )
        bias = self.weights["bias.weight"] @ state + self.weights["bias.bias"]
        candidate, held = worth[0], worth[1:]
        return np.concatenate(
            [[bias[0]], [bias[1] + candidate], bias[2] + candidate - held, bias[3] - held, bias[4:]]
        ).astype(np.float32)

    def choose(self, view: Mapping[str, Array], masks: npt.NDArray[np.bool_]) -> int:
        """Return the best possible action; of equals the first."""
        return int(np.where(masks, self.scores(view), -np.inf).argmax())

    def _worth(self, texts: Array, slot_state: Array, state: Array, questions: Array) -> Array:
        count = int(np.flatnonzero(questions).max(initial=-1)) + 1
        if not count:
            return np.full(len(texts), _NONE, np.float32)
        inputs = np.concatenate(
            [
                texts[:, :count],
                np.broadcast_to(slot_state[:, None], (len(texts), count, slot_state.shape[1])),
                np.broadcast_to(state, (len(texts), count, len(state))),
            ],
            axis=2,
        )
        hidden = inputs
        for layer in ("text.0", "text.1"):
            hidden = np.maximum(hidden @ self.weights[f"{layer}.weight"].T + self.weights[f"{layer}.bias"], 0)
        each = (hidden @ self.weights["text.2.weight"].T + self.weights["text.2.bias"])[..., 0]
        each = np.where(questions[:count] > 0, each, _NONE)
        highest = each.max(1, keepdims=True)
        return np.asarray(highest[:, 0] + np.log(np.exp(each - highest).sum(1)), np.float32)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the checkpoint ``path``."""
        about = {**self.about, "format": FORMAT, "features": _feature_names(self.blind)}
        text = np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8)
        with open(path, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, about=text, **self.weights)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Network:
        """Read a checkpoint.

        Raises:
            ValueError: when there is none at ``path``, or it does not fit this version.
        """
        try:
            weights, about = _read(Path(path))
        except Exception as error:  # a damaged archive fails in many ways
            raise ValueError(
                f"checkpoint {os.fspath(path)!r}: expected an npz file of this package ({error})"
            ) from error
        if about.get("features") != _feature_names(bool(about.get("blind", False))):
            raise ValueError(
                f"checkpoint {os.fspath(path)!r} was trained on other features than this version's: train it again"
            )
        return cls(weights, about)


def _read(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Return the arrays of a checkpoint, which are never pickles, and what it says of itself."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > _LARGEST:
        raise ValueError(f"its arrays hold {size:,} bytes; expected at most {_LARGEST:,}")
    with np.load(path, allow_pickle=False) as file:
        weights = {name: file[name] for name in file.files}
    about = json.loads(bytes(weights.pop("about")))
    if not isinstance(about, dict):
        raise ValueError("it says nothing of itself")
    return weights, about


def _feature_names(blind: bool) -> list[str]:
    return [*(BLIND_FEATURES if blind else TEXT_FEATURES), *SLOT_FEATURES, *STATE_FEATURES]
