"""The protocol of agents that act by calling tools: the five operations, and ``next``.

A trainer or an endpoint runs one call at a time, but an action is a sequence of operations. So a call that
changes memory (``create``, ``update``, ``delete``) waits, and ``read``, ``answer`` or ``next`` sends what waits,
followed by itself, as one action. The prompt says so; an action is written as in the protocol ``json``.
"""

from __future__ import annotations

from typing import Any, Final

from atommem_env.core.operations import Action, to_dict
from atommem_env.core.rules import DEFAULT_RULES, Rules
from atommem_env.protocols.base import well_formed
from atommem_env.protocols.json_calls import JSONProtocol

NEXT: Final = "next"
"""The tool that sends what waits and adds nothing to it."""

_TOOLS: Final[dict[str, tuple[str, dict[str, tuple[str, str]]]]] = {
    "answer": (
        "Carry out what waits, and answer the question that is asked.",
        {"content": ("string", "The answer alone, as short as it can be exact.")},
    ),
    "create": (
        "Store a new memory entry. It waits.",
        {"content": ("string", "What the entry says; it must be understood by itself.")},
    ),
    "delete": (
        "Remove a memory entry, or clear the scratchpad. It waits.",
        {"id": ("integer", "The entry's id; 0 is the scratchpad.")},
    ),
    NEXT: ("Carry out what waits, and go on.", {}),
    "read": (
        "Carry out what waits, search the memory, and show the entries found.",
        {
            "query": ("string", "What to look for."),
            "k": ("integer", "How many entries to show at most, 1 to 32."),
        },
    ),
    "update": (
        "Replace what a memory entry, or the scratchpad, says. It waits.",
        {
            "id": ("integer", "The entry's id; 0 is the scratchpad."),
            "content": ("string", "The whole of the new content."),
        },
    ),
}


class ToolProtocol(JSONProtocol):
    """Prompts for an agent with tools that wait; actions as JSON."""

    name = "tools"

    def tools(self, rules: Rules = DEFAULT_RULES) -> list[dict[str, Any]]:
        """Return the definitions of the tools that ``rules`` leave, in the order of their names.

        They are what transformers makes of the methods of ``atommem_env.integrations.trl.tools.MemoryTools``, to the
        letter, so that a model fine-tuned with them sees the same prompt in training.
        """
        left = {tool["function"]["name"] for tool in super().tools(rules)}
        return [_definition(name) for name in _TOOLS if name in left or name == NEXT]


def calls_of(action: Action) -> list[tuple[str, dict[str, Any]]]:
    """Return the calls, name and arguments, that make up ``action``: what changes memory, then what sends it.

    Raises:
        ValueError: when calls cannot say it: an operation is malformed, or several would each send an action.
    """
    calls = []
    for operation in well_formed(action):
        arguments = {name: value for name, value in to_dict(operation).items() if value is not None}
        calls.append((arguments.pop("op"), arguments))
    sending = [call for call in calls if call[0] in ("read", "answer")]
    if len(sending) > 1:
        names = " and ".join(name for name, _ in sending)
        raise ValueError(f"an action has {names}, each of which would be a separate action as a call")
    return [call for call in calls if call not in sending] + (sending or [(NEXT, {})])


def _definition(name: str) -> dict[str, Any]:
    description, arguments = _TOOLS[name]
    properties = {
        argument: {"type": kind, **({"nullable": True} if argument == "k" else {}), "description": words}
        for argument, (kind, words) in arguments.items()
    }
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    required = [argument for argument in arguments if argument != "k"]
    if required:
        parameters["required"] = required
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": {**function, "return": {"type": "string"}}}
