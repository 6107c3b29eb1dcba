"""The action space and the observation space.

Text and tuple spaces subclass :class:`gymnasium.Space` directly: ``gymnasium.spaces.Text`` walks every
character of a text and freezes it in shared memory. Under a vector environment a batch is a tuple of n
elements; ``AsyncVectorEnv`` needs ``shared_memory=False`` and says so by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from atommem_env.core import operations
from atommem_env.core.operations import KINDS, MAX_K, REASONS, SCRATCHPAD, Operation
from atommem_env.core.types import Observation

_WORDS = (
    "amber bridge canal delta ember fjord garden harbour island jetty kiln lantern meadow north orchard "
    "pier quarry river stone tower under valley willow xylem yard zenith 1912 2004 3 17 Ålesund 東京"
).split()


def _is_int(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


class _PlainSpace(gym.Space[Any]):
    """A space of plain Python values: its JSON form is the list of its samples."""

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(shape=None, dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._key()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._key()))})"

    def _key(self) -> tuple[Any, ...]:
        return ()

    def to_jsonable(self, sample_n: Iterable[Any]) -> list[Any]:
        return list(sample_n)

    def from_jsonable(self, sample_n: list[Any]) -> list[Any]:
        return list(sample_n)

    def _refuse_mask(self, mask: Any, probability: Any) -> None:
        if mask is not None or probability is not None:
            raise gym.error.Error(f"{type(self).__name__}.sample takes no mask and no probability")


class TextSpace(_PlainSpace):
    """Any str. Samples are a few words."""

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        self._refuse_mask(mask, probability)
        count = int(self.np_random.integers(1, 13))
        return " ".join(_WORDS[i] for i in self.np_random.integers(len(_WORDS), size=count))

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)


class CountSpace(_PlainSpace):
    """Any int of at least ``start`` (a NumPy integer too). Samples are small."""

    def __init__(self, start: int = 0, seed: int | np.random.Generator | None = None) -> None:
        self.start = start
        super().__init__(seed)

    def _key(self) -> tuple[Any, ...]:
        return (self.start,)

    def sample(self, mask: Any = None, probability: Any = None) -> int:
        self._refuse_mask(mask, probability)
        return self.start + int(self.np_random.geometric(0.2)) - 1

    def contains(self, x: Any) -> bool:
        return _is_int(x) and int(x) >= self.start


class _RowSpace(_PlainSpace, ABC):
    """A tuple (or list) of rows; a subclass says what a row is."""

    max_sample: ClassVar[int] = 4

    def sample(self, mask: Any = None, probability: Any = None) -> tuple[Any, ...]:
        self._refuse_mask(mask, probability)
        return tuple(self._sample_row() for _ in range(int(self.np_random.integers(self.max_sample + 1))))

    def contains(self, x: Any) -> bool:
        return isinstance(x, (tuple, list)) and all(map(self._contains_row, x))

    def from_jsonable(self, sample_n: list[Any]) -> list[Any]:
        return [tuple(map(self._row_from_json, sample)) for sample in sample_n]

    def to_jsonable(self, sample_n: Iterable[Any]) -> list[Any]:
        return [[self._row_to_json(row) for row in sample] for sample in sample_n]

    @abstractmethod
    def _sample_row(self) -> Any:
        """Return a random row."""

    @abstractmethod
    def _contains_row(self, row: Any) -> bool:
        """Return whether ``row`` is one."""

    def _row_to_json(self, row: Any) -> Any:
        return row

    def _row_from_json(self, row: Any) -> Any:
        return row

    def _text(self) -> str:
        return " ".join(
            _WORDS[i] for i in self.np_random.integers(len(_WORDS), size=int(self.np_random.integers(1, 13)))
        )


class TextTupleSpace(_RowSpace):
    """A tuple of str."""

    def _sample_row(self) -> str:
        return self._text()

    def _contains_row(self, row: Any) -> bool:
        return isinstance(row, str)


class RetrievedSpace(_RowSpace):
    """What was read: a tuple of dicts with ``id``, ``content``, ``score`` and ``query``."""

    _FIELDS: ClassVar = {"id", "content", "score", "query"}

    def _sample_row(self) -> dict[str, Any]:
        return {
            "id": int(self.np_random.integers(1, 100)),
            "content": self._text(),
            "score": float(self.np_random.random()),
            "query": int(self.np_random.integers(3)),
        }

    def _contains_row(self, row: Any) -> bool:
        return (
            isinstance(row, Mapping)
            and row.keys() == self._FIELDS
            and _is_int(row["id"])
            and isinstance(row["content"], str)
            and isinstance(row["score"], (float, np.floating))
            and _is_int(row["query"])
        )


class ResultsSpace(_RowSpace):
    """The results of the last action: a tuple of dicts with ``op``, ``ok``, ``reason``, ``id`` and ``evicted``."""

    _FIELDS: ClassVar = {"op", "ok", "reason", "id", "evicted"}

    def _sample_row(self) -> dict[str, Any]:
        ok = bool(self.np_random.random() < 0.5)
        return {
            "op": KINDS[int(self.np_random.integers(len(KINDS)))],
            "ok": ok,
            "reason": None if ok else REASONS[int(self.np_random.integers(len(REASONS)))],
            "id": int(self.np_random.integers(100)) if ok else None,
            "evicted": None,
        }

    def _contains_row(self, row: Any) -> bool:
        return (
            isinstance(row, Mapping)
            and row.keys() == self._FIELDS
            and (row["op"] is None or row["op"] in KINDS)
            and isinstance(row["ok"], bool)
            and (row["reason"] is None or row["reason"] in REASONS)
            and (row["id"] is None or _is_int(row["id"]))
            and (row["evicted"] is None or _is_int(row["evicted"]))
        )


class ActionSpace(_RowSpace):
    """A tuple or list of operations, run in order in one step.

    Args:
        kinds: the kinds of operations that :meth:`sample` draws from. Membership asks for well-formed
            operations of any kind, since a disabled one is refused and not an error.
        scratchpad: whether samples write the scratchpad.

    A batch, under a vector environment, is a tuple of n actions.
    """

    def __init__(
        self,
        kinds: Sequence[str] = KINDS,
        scratchpad: bool = True,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.kinds = tuple(kinds)
        self.scratchpad = scratchpad
        super().__init__(seed)

    def _key(self) -> tuple[Any, ...]:
        return (self.kinds, self.scratchpad)

    def _sample_row(self) -> Operation:
        kind = self.kinds[int(self.np_random.integers(len(self.kinds)))]
        low = SCRATCHPAD if self.scratchpad else 1
        if kind == "create":
            return operations.Create(self._text())
        if kind == "read":
            k = int(self.np_random.integers(MAX_K + 1))
            return operations.Read(self._text(), k or None)
        if kind == "update":
            return operations.Update(int(self.np_random.integers(low, 20)), self._text())
        if kind == "delete":
            return operations.Delete(int(self.np_random.integers(low, 20)))
        return operations.Answer(self._text())

    def _contains_row(self, row: Any) -> bool:
        return operations.parse(row) is not None

    def _row_to_json(self, row: Any) -> Any:
        operation = operations.parse(row)
        if operation is None:
            raise ValueError(f"{row!r} is not a well-formed operation")
        return operations.to_dict(operation)

    def _row_from_json(self, row: Any) -> Operation:
        operation = operations.parse(row)
        if operation is None:
            raise ValueError(f"{row!r} is not a well-formed operation")
        return operation


def observation_space() -> gym.Space[Observation]:
    """Return the space of observations; every environment has the same."""
    space = spaces.Dict(
        {
            "phase": CountSpace(),
            "questions": TextTupleSpace(),
            "chunk": TextSpace(),
            "scratchpad": TextSpace(),
            "queries": TextTupleSpace(),
            "retrieved": RetrievedSpace(),
            "results": ResultsSpace(),
            "cursor": CountSpace(),
            "num_chunks": CountSpace(),
            "num_questions": CountSpace(),
            "now": TextSpace(),
            "memory_size": CountSpace(),
            "capacity": CountSpace(),
            "looks_left": CountSpace(),
        }
    )
    return cast("gym.Space[Observation]", space)
