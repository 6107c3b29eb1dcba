"""The arguments of an environment, read from its signature and docstring."""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from atommem_env.runs.errors import RunError

REQUIRED: Final = inspect.Parameter.empty
"""The default of an argument that has none."""

_ARGUMENT = re.compile(r"^ {4}(\*{0,2}\w+)(?: \([^)]*\))?: (.*)$")
_OWN = re.compile(r"(?P<id>[^\[\]]+)\[(?P<arguments>.*)\]", re.DOTALL)
_ROLE = re.compile(r":\w+:`~?([^`]*)`|``([^`]*)``")


@dataclass(frozen=True)
class Argument:
    """An argument of an environment.

    Attributes:
        name: its name.
        default: its default, or :data:`REQUIRED`.
        help: what its docstring says, on one line; ``""`` when that is silent.
    """

    name: str
    default: Any
    help: str


def parse_env(text: str) -> tuple[str, dict[str, Any]]:
    """Return the id and the arguments of ``"ID"`` or ``"ID[key=value, key=value]"``; values are JSON or text.

    Raises:
        RunError: when the brackets hold something else.
    """
    match = _OWN.fullmatch(text.strip())
    if match is None:
        return text, {}
    arguments: dict[str, Any] = {}
    for item in _items(match["arguments"]):
        key, value = parse_argument(f"environment {text!r}", item, "num_docs=800")
        arguments[key] = value
    return match["id"], arguments


def parse_argument(what: str, text: str, example: str) -> tuple[str, Any]:
    """Return the key and the value of ``KEY=VALUE``; the value is JSON, else text.

    Args:
        what: what ``text`` was given as, for the message.
        text: the argument.
        example: a good one, for the message.

    Raises:
        RunError: when it has another form.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RunError(f"{what} {text!r}: expected KEY=VALUE, for example {example}")
    try:
        return key.strip(), json.loads(value)
    except ValueError:
        return key.strip(), value.strip()


def _items(text: str) -> list[str]:
    """Return the parts of ``text`` between commas that stand in no brackets and no quotes."""
    items, start, depth, quoted = [], 0, 0, False
    for place, sign in enumerate(text):
        quoted ^= sign == '"'
        if not quoted:
            depth += (sign in "[{") - (sign in "]}")
            if sign == "," and depth == 0:
                items.append(text[start:place])
                start = place + 1
    return [*items, text[start:]]


def find_spec(id: str) -> gym.envs.registration.EnvSpec:
    """Return the specification of environment ``id``, which may be ``"module:id"``.

    Raises:
        RunError: when no such environment is registered; names the nearest ones.
    """
    module, colon, name = id.rpartition(":")
    try:
        if colon:
            importlib.import_module(module)
        return gym.spec(name)
    except ImportError as error:
        raise RunError(
            f"environment {id!r}: the module {module!r} cannot be imported ({error}); check its name, and that "
            "its folder is on PYTHONPATH"
        ) from error
    except gym.error.Error as error:
        ours = [known for known in gym.registry if known.startswith("AtomMem")]
        choice = ", ".join(ours)
        raise RunError(
            f"environment {id!r}: no such id{close_match(id, list(gym.registry))}; "
            f"expected one of {choice}, or 'module:id' for an environment that a module of yours registers"
        ) from error


def close_match(word: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the nearest of ``known``, or ``""`` when none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.5)
    return f" (did you mean {by_lower[near[0]]!r}?)" if near else ""


def env_arguments(spec: gym.envs.registration.EnvSpec) -> dict[str, Argument]:
    """Return the arguments that ``gym.make`` takes for ``spec``, in the order of its signatures.

    A subclass that passes ``**kwargs`` on has its base class's keyword-only arguments too. Arguments that the
    specification itself sets have these as defaults.
    """
    entry = spec.entry_point
    creator: Any = load_env_creator(entry) if isinstance(entry, str) else entry
    found: dict[str, Argument] = {}
    for number, (function, help) in enumerate(_signatures(creator)):
        parameters = inspect.signature(function).parameters.values()
        for parameter in parameters:
            name = parameter.name
            wanted = parameter.kind is parameter.KEYWORD_ONLY or (
                number == 0 and parameter.kind is parameter.POSITIONAL_OR_KEYWORD and name != "self"
            )
            if wanted and name not in found:
                found[name] = Argument(name, spec.kwargs.get(name, parameter.default), help.get(name, ""))
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def _signatures(creator: Any) -> list[tuple[Callable[..., Any], dict[str, str]]]:
    """Return each ``__init__`` from ``creator`` up its bases (or the function itself) with its help."""
    if not isinstance(creator, type):
        return [(creator, docstring_arguments(creator.__doc__))]
    signatures: list[tuple[Callable[..., Any], dict[str, str]]] = []
    help: dict[str, str] = {}
    for holder in creator.__mro__:
        help = {**docstring_arguments(holder.__doc__), **help}
        function = holder.__dict__.get("__init__")
        if inspect.isfunction(function):
            signatures.append((function, {**docstring_arguments(function.__doc__), **help}))
    return signatures


def docstring_arguments(docstring: str | None) -> dict[str, str]:
    """Return what the ``Args:`` section of a Google-style docstring says of each argument, on one line."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    if "Args:" not in lines:
        return {}
    help: dict[str, str] = {}
    name = ""
    for line in lines[lines.index("Args:") + 1 :]:
        if not line.startswith("    "):
            break
        match = _ARGUMENT.match(line)
        if match:
            name = match[1]
            help[name] = match[2]
        elif name:
            help[name] = f"{help[name]} {line.strip()}"
    return {
        name: _ROLE.sub(lambda match: match[1] or match[2], text)
        for name, text in help.items()
        if not name.startswith("*")
    }


def check_arguments(id: str, given: Mapping[str, Any], known: Mapping[str, Argument]) -> None:
    """Refuse arguments that environment ``id`` does not have, and the lack of those that it requires.

    Raises:
        RunError: naming the argument, the nearest one, and all there are.
    """
    for name in given:
        if name not in known:
            raise RunError(
                f"{id} has no argument {name!r}{close_match(name, known)}; "
                f"its arguments are {', '.join(known)}"
            )
    missing = [name for name, argument in known.items() if argument.default is REQUIRED and name not in given]
    if missing:
        hint = " (the path of a file of your questions, or a QADataset)" if missing == ["source"] else ""
        raise RunError(f"{id} requires the argument {missing[0]!r}{hint}, and none was given")
