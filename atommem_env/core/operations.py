"""The five operations of an action, their results, and their JSON forms.

An operation is a frozen, tagged struct. Its plain form is a dict with the tag under ``op``, for example
``{"op": "update", "id": 3, "content": "..."}``, which is also its JSON form. The environment accepts both.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, SupportsIndex, TypeAlias, TypedDict, TypeGuard

import msgspec

from atommem_env.text import clean

SCRATCHPAD: Final = 0
"""The id of the scratchpad, the entry that is shown at every step."""

MAX_K: Final = 32
"""The largest number of entries that one Read may ask for."""


class _Tagged(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    @property
    def op(self) -> str:
        """The operation's kind, one of :data:`KINDS`."""
        return str(self.__struct_config__.tag)


class Create(_Tagged, frozen=True, tag="create"):
    """Store ``content`` as a new entry; it gets the next id."""

    content: str


class Read(_Tagged, frozen=True, tag="read"):
    """Ask for the ``k`` entries that fit ``query`` best (``None``: the environment's ``top_k``; 1 to 32)."""

    query: str
    k: int | None = None


class Update(_Tagged, frozen=True, tag="update"):
    """Replace the content of entry ``id`` (``SCRATCHPAD`` writes the scratchpad)."""

    id: int
    content: str


class Delete(_Tagged, frozen=True, tag="delete"):
    """Remove entry ``id`` (``SCRATCHPAD`` clears the scratchpad)."""

    id: int


class Answer(_Tagged, frozen=True, tag="answer"):
    """Answer the current question with ``content``."""

    content: str


Operation: TypeAlias = Create | Read | Update | Delete | Answer
Action: TypeAlias = Sequence[Operation | Mapping[str, Any]]

KINDS: Final = ("create", "read", "update", "delete", "answer")
"""The kinds of operations, in the order in which every record lists them."""

TYPES: Final[dict[str, type[Operation]]] = {
    "create": Create,
    "read": Read,
    "update": Update,
    "delete": Delete,
    "answer": Answer,
}

Reason: TypeAlias = Literal[
    "malformed", "empty", "unknown_id", "disabled", "capacity", "too_long", "already_answered", "wrong_phase"
]
REASONS: Final[tuple[Reason, ...]] = (
    "malformed",
    "empty",
    "unknown_id",
    "disabled",
    "capacity",
    "too_long",
    "already_answered",
    "wrong_phase",
)
"""Why an operation may be refused: a closed list."""


class ResultDict(TypedDict):
    """An :class:`OperationResult` in plain form."""

    op: str | None
    ok: bool
    reason: Reason | None
    id: int | None
    evicted: int | None


class OperationResult(msgspec.Struct, frozen=True):
    """The result of one operation of an action.

    Attributes:
        op: the operation's kind, or ``None`` when it could not be told.
        ok: whether the operation was carried out.
        reason: why not, one of :data:`REASONS`; ``None`` when it was.
        id: the entry concerned: the new one of a Create, the one named by an Update or Delete, else ``None``.
        evicted: the entry that a Create pushed out, else ``None``.
    """

    op: str | None
    ok: bool
    reason: Reason | None = None
    id: int | None = None
    evicted: int | None = None

    def as_dict(self) -> ResultDict:
        """Return the plain form that observations carry."""
        return {"op": self.op, "ok": self.ok, "reason": self.reason, "id": self.id, "evicted": self.evicted}


_LARGEST_ID: Final = 2**63 - 1

_KINDS_OF: Final[dict[type, str]] = {cls: kind for kind, cls in TYPES.items()}


def kind_of(item: object) -> str | None:
    """Return the kind that ``item``, an element of an action, was submitted as, or ``None``.

    A struct of a subclass is what the operation is that it comes from, whatever the subclass says of itself.
    """
    try:
        return _KINDS_OF.get(type(item)) or _kind_of(item)
    except Exception:  # an object's own methods may raise anything; its kind is then not told
        return None


def _kind_of(item: object) -> str | None:
    if isinstance(item, _Tagged):
        return next((_KINDS_OF[cls] for cls in type(item).__mro__ if cls in _KINDS_OF), None)
    if isinstance(item, Mapping):
        op = _exact(item.get("op"))
        return op if op in TYPES else None
    return None


def _exact(value: object) -> str | None:
    """Return a str as an exact one, whatever its class makes of it; ``None`` for anything else."""
    if type(value) is str:
        return value
    return str.__str__(value) if isinstance(value, str) else None


def as_index(value: object) -> int | None:
    """Return ``value`` as an int when it has ``__index__`` and is not a bool, else ``None``."""
    if type(value) is int:
        return value
    try:
        if (
            isinstance(value, bool)
            or not isinstance(value, SupportsIndex)
            or type(value).__name__ in ("bool", "bool_")
        ):
            return None
        return int(operator.index(value))
    except Exception:  # an object's own methods may raise anything; what it holds is then no id
        return None


_FIELDS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    kind: (
        frozenset({"op", *(field for field in cls.__struct_fields__)}),
        frozenset({"op", *(field for field in cls.__struct_fields__ if (kind, field) != ("read", "k"))}),
    )
    for kind, cls in TYPES.items()
}


def parse(item: object) -> Operation | None:
    """Return ``item``, an element of an action, as a well-formed operation, or ``None`` when it is malformed.

    A struct or a plain dict is well-formed when it has every field, no other field, texts that are str, an id
    that has ``__index__`` and is not a bool, and a ``k`` that is ``None`` or from 1 to 32. Its texts and ints are
    exact ones, and an id beyond 64 bits is none.
    """
    if _is_exact(item):
        return item  # what most actions are made of
    kind = kind_of(item)
    if kind is None:
        return None
    try:
        return _parse(item, kind)
    except Exception:  # what an object's own methods raise makes it no operation
        return None


def _is_exact(item: object) -> TypeGuard[Create | Read | Answer]:
    """Tell whether ``item`` is an operation without an id, and what it holds is of the very type that it should be."""
    if type(item) is Create or type(item) is Answer:
        return type(item.content) is str
    if type(item) is Read and type(item.query) is str:
        return item.k is None or (type(item.k) is int and 1 <= item.k <= MAX_K)
    return False


def _parse(item: object, kind: str) -> Operation | None:
    if isinstance(item, Mapping):
        allowed, required = _FIELDS[kind]
        keys = item.keys()
        if not (keys <= allowed and keys >= required):
            return None
        get = item.get
    else:
        if not _FIELDS[kind][0].issuperset(type(item).__struct_fields__):  # type: ignore[attr-defined]
            return None

        def get(name: str, default: Any = None) -> Any:
            return getattr(item, name, default)

    if kind == "read":
        query, k = _exact(get("query")), get("k")
        if query is None:
            return None
        if k is not None:
            k = as_index(k)
            if k is None or not 1 <= k <= MAX_K:
                return None
        return Read(query, k)
    if kind == "create" or kind == "answer":
        content = _exact(get("content"))
        if content is None:
            return None
        return Create(content) if kind == "create" else Answer(content)
    number = as_index(get("id"))
    if number is None or abs(number) > _LARGEST_ID:
        return None
    if kind == "delete":
        return Delete(number)
    content = _exact(get("content"))
    return None if content is None else Update(number, content)


def to_json(action: Sequence[Operation]) -> str:
    """Return ``action`` as a JSON array of plain operations; a lone surrogate becomes U+FFFD, as in an episode."""
    try:
        return msgspec.json.encode(list(action)).decode()
    except UnicodeEncodeError:
        plain = [
            {
                name: clean(value) if isinstance(value, str) else value
                for name, value in to_dict(operation).items()
            }
            for operation in action
        ]
        return msgspec.json.encode(plain).decode()


def from_json(text: str | bytes) -> list[Operation]:
    """Return the operations of a JSON array.

    Raises:
        ValueError: when ``text`` is not a JSON array of operations; the message names the place.
    """
    try:
        return msgspec.json.decode(clean(text) if isinstance(text, str) else text, type=list[Operation])
    except msgspec.DecodeError as error:
        raise ValueError(
            f'expected a JSON array of operations such as [{{"op": "read", "query": "..."}}]: {error}'
        ) from error


def to_dict(operation: Operation) -> dict[str, Any]:
    """Return the plain form of ``operation``."""
    result: dict[str, Any] = msgspec.to_builtins(operation)
    return result


_CONTENT = {"type": "string", "minLength": 1}
_ID = {"type": "integer", "minimum": 0, "description": "The entry's id; 0 is the scratchpad."}
_TOOLS: Final[dict[str, tuple[str, dict[str, Any], list[str]]]] = {
    "create": (
        "Store a new memory entry.",
        {"content": {**_CONTENT, "description": "What the entry says."}},
        ["content"],
    ),
    "read": (
        "Search the memory; the entries found are shown at the next step.",
        {
            "query": {**_CONTENT, "description": "What to look for."},
            "k": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_K,
                "description": "How many entries to show at most.",
            },
        },
        ["query"],
    ),
    "update": (
        "Replace what a memory entry, or the scratchpad (id 0), says.",
        {"id": _ID, "content": {**_CONTENT, "description": "The new content."}},
        ["id", "content"],
    ),
    "delete": ("Remove a memory entry, or clear the scratchpad (id 0).", {"id": _ID}, ["id"]),
    "answer": (
        "Answer the current question.",
        {"content": {**_CONTENT, "description": "The answer, as short as possible."}},
        ["content"],
    ),
}


def tool_definitions(kinds: Sequence[str] = KINDS) -> list[dict[str, Any]]:
    """Return JSON Schema tool definitions of the operations in ``kinds``, in the form chat endpoints take.

    Raises:
        ValueError: when a kind is unknown.
    """
    unknown = [kind for kind in kinds if kind not in _TOOLS]
    if unknown:
        raise ValueError(f"unknown operations {unknown}; choose from {list(KINDS)}")
    return [
        {
            "type": "function",
            "function": {
                "name": kind,
                "description": _TOOLS[kind][0],
                "parameters": {
                    "type": "object",
                    "properties": {name: dict(schema) for name, schema in _TOOLS[kind][1].items()},
                    "required": list(_TOOLS[kind][2]),
                    "additionalProperties": False,
                },
            },
        }
        for kind in kinds
    ]
