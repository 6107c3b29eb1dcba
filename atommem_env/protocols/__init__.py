"""Text protocols: prompts for agents that write text, and the operations in what they write."""

from __future__ import annotations

import os
from typing import Any, Final

from atommem_env.protocols.base import Malformed, Parsed, Protocol
from atommem_env.protocols.json_calls import JSONProtocol
from atommem_env.protocols.released import ReleasedProtocol
from atommem_env.protocols.xml import XMLProtocol

__all__ = [
    "PROTOCOLS",
    "JSONProtocol",
    "Malformed",
    "Parsed",
    "Protocol",
    "ReleasedProtocol",
    "XMLProtocol",
    "get_protocol",
]

PROTOCOLS: Final[dict[str, type[Protocol]]] = {
    XMLProtocol.name: XMLProtocol,
    ReleasedProtocol.name: ReleasedProtocol,
    JSONProtocol.name: JSONProtocol,
}
"""The built-in protocols by name."""


def get_protocol(
    protocol: str | Protocol | type[Protocol] = "atommem", template: str | os.PathLike[str] | None = None
) -> Protocol:
    """Return the protocol that ``protocol`` names.

    Args:
        protocol: ``"atommem"`` (the paper's tags), ``"released"`` (the released agent's tags), ``"json"``
            (JSON tool calls), ``"module:name"`` (a class, a factory or an instance), a class or an instance.
        template: the complete prompt, as a file's path or as text; only where the protocol is made here.

    Raises:
        ValueError: when there is no such protocol; lists the choices.
    """
    found: Any = protocol
    if isinstance(protocol, str):
        found = PROTOCOLS.get(protocol)
        if found is None:
            found = _resolve(protocol)
    if isinstance(found, Protocol):
        if template is not None:
            raise ValueError(
                f"template: {protocol!r} is made already; give the template to its own constructor"
            )
        return found
    made = (found() if template is None else found(template=template)) if callable(found) else found
    if not isinstance(made, Protocol):
        raise ValueError(
            f"protocol={protocol!r} gave {made!r}; expected a subclass of atommem_env.protocols.Protocol"
        )
    return made


def _resolve(name: str) -> object:
    from atommem_env.core.resolve import is_reference, resolve

    if not is_reference(name):
        raise ValueError(
            f"protocol={name!r}: choose one of {', '.join(map(repr, PROTOCOLS))}, or pass 'module:name'"
        )
    return resolve(name)
