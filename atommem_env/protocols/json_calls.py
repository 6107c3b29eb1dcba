"""The protocol ``json``: operations as JSON, the way chat models write tool calls.

The prompt asks for an array of operations, ``[{"op": "update", "id": 3, "content": "..."}]``. What is read is any
way in which models write calls, several in one text, alone or amid prose: :mod:`atommem_env.protocols.calls` lists
them. What counts, for every text:

- Kinds are case-insensitive. An id or a ``k`` may be written as ``3.0``, ``"#3"``, ``[3]`` or ``"entry 3"``. Contents
  are taken verbatim. Empty fields that another operation has are ignored. An unknown kind, a missing, further or
  ill-typed field makes the call malformed, and only that call.
- Bracketed prose is not JSON: only ``{`` before a key, and ``[`` (one or two) before such a ``{``, can begin a call.
  A container that is not JSON even with all allowances is malformed, and the calls that are whole within it count:
  a text cut short loses only its last call. An empty object says nothing.
- What a model thinks (:mod:`atommem_env.protocols.thinking`) is ignored. A text that begins with a thinking that
  never ends is one malformed piece; further on such a mark is prose.
- The time is linear in the length of the text.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from atommem_env.core import operations
from atommem_env.core.operations import KINDS, Action
from atommem_env.core.rules import DEFAULT_RULES, Rules
from atommem_env.core.types import Observation
from atommem_env.protocols.base import FormError, Malformed, Parsed, excerpt, well_formed
from atommem_env.protocols.rendering import TemplateProtocol
from atommem_env.protocols.tags import shield

if TYPE_CHECKING:
    from atommem_env.protocols.calls import Call

_ENCODE: Final = json.JSONEncoder(ensure_ascii=False).encode


class JSONProtocol(TemplateProtocol):
    """Operations as JSON: arrays of operations, and tool calls. Entries are addressed by id."""

    name = "json"

    def __init__(
        self,
        *,
        template: str | os.PathLike[str] | None = None,
        delta_template: str | os.PathLike[str] | None = None,
        system: bool | None = None,
    ) -> None:
        super().__init__(template=template, delta_template=delta_template, system=system)

    def labels(self) -> dict[str, str]:
        """Return how the prompt calls each operation: by its kind."""
        return {**{kind: kind for kind in KINDS}, "scratchpad": "scratchpad"}

    def tools(self, rules: Rules = DEFAULT_RULES) -> list[dict[str, Any]]:
        """Return the JSON Schema definitions of the operations that ``rules`` leave, for a chat endpoint."""
        scratchpad = ("update", "delete") if rules.scratchpad else ()
        return operations.tool_definitions([k for k in KINDS if rules.allows(k) or k in scratchpad])

    def parse(self, text: str, observation: Observation | None = None) -> Parsed:
        """Return the operations of ``text``; see the module's text for what counts."""
        return read_calls(text)

    def render_operations(self, operations_: Action, observation: Observation | None = None) -> str:
        """Return ``operations_`` as a JSON array, one operation to a line; every operation can be written.

        Raises:
            ValueError: when an element is not a well-formed operation.
        """
        lines = [_ENCODE(operations.to_dict(operation)) for operation in well_formed(operations_)]
        return shield("[" + ",\n ".join(lines) + "]")


def read_calls(text: str, own_tags: bool = True) -> Parsed:
    """Return the operations that are called in ``text``, and what is malformed; see :func:`find_calls`."""
    from atommem_env.protocols.calls import find_calls  # its many patterns are compiled when they are needed

    parsed = Parsed()
    for found in find_calls(text, own_tags):
        if isinstance(found, Malformed):
            parsed.malformed.append(found)
            continue
        try:
            parsed.operations.append(operation_of(found))
        except FormError as error:
            parsed.malformed.append(Malformed(excerpt(found.text), str(error)))
    return parsed


def read_other_calls(text: str) -> Parsed:
    """Return what :func:`read_calls` does, for a text that was to be in another form: other JSON is prose."""
    from atommem_env.protocols.calls import looks_like_call

    parsed = read_calls(text, own_tags=False)
    return parsed if parsed.operations or looks_like_call(text) else Parsed()


def operation_of(call: Call) -> operations.Operation:
    """Return the operation that ``call`` is.

    Raises:
        FormError: when its fields do not fit; says which are expected.
    """
    from atommem_env.protocols.calls import settled_fields

    operation = operations.parse({**settled_fields(call.kind, call.fields), "op": call.kind})
    if operation is None:
        raise FormError(f"the fields do not fit: expected {_signature(call.kind)}")
    return operation


def _signature(kind: str) -> str:
    schema = operations.tool_definitions([kind])[0]["function"]["parameters"]
    fields = [
        f"{name} ({field['type']}{'' if name in schema['required'] else ', optional'})"
        for name, field in schema["properties"].items()
    ]
    return ", ".join(fields)
