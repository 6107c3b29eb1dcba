"""The arguments of an environment by its id, and how a text gives them."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from atommem_env.core.config import REQUIRED, Argument, close_match
from atommem_env.runs.errors import RunError

REMOVED: Final[dict[str, Any]] = {"evidence_threshold": 0.6, "prefetch": False}
"""Arguments that environments had in earlier versions, with what they were by default: old runs record them."""

_OWN = re.compile(r"(?P<id>[^\[\]]+)\[(?P<arguments>.*)\]", re.DOTALL)


def parse_env(text: str) -> tuple[str, dict[str, Any]]:
    """Return the id and the arguments of ``"ID"`` or ``"ID[key=value, key=value]"``; values are JSON or text.

    Raises:
        RunError: when the brackets hold something else.
    """
    return _parse_variant("environment", text, "num_docs=800")


def parse_policy(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the arguments of ``"NAME"`` or ``"NAME[key=value, key=value]"``, likewise.

    Raises:
        RunError: when the brackets hold something else.
    """
    return _parse_variant("policy", text, "second_look=bridge")


def _parse_variant(what: str, text: str, example: str) -> tuple[str, dict[str, Any]]:
    match = _OWN.fullmatch(text.strip())
    if match is None:
        return text, {}
    arguments: dict[str, Any] = {}
    for item in _items(match["arguments"]):
        key, value = parse_argument(f"{what} {text!r}", item, example)
        arguments[key] = value
    return match["id"].strip(), arguments


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
    except (ValueError, RecursionError):
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


def env_arguments(spec: gym.envs.registration.EnvSpec) -> dict[str, Argument]:
    """Return the arguments that ``gym.make`` takes for ``spec``.

    They are the fields of the environment's configuration (:class:`~atommem_env.core.config.EnvConfig`) and the
    its own keyword arguments; those of an environment without one are read from its signatures, its base classes'
    where it passes ``**kwargs`` on. Arguments that the specification itself sets have these as defaults.
    """
    entry = spec.entry_point
    creator: Any = load_env_creator(entry) if isinstance(entry, str) else entry
    config = getattr(creator, "config_class", None)
    found: dict[str, Argument] = {} if config is None else config.arguments()
    for number, function in enumerate(_signatures(creator)):
        parameters = inspect.signature(function).parameters.values()
        for parameter in parameters:
            name = parameter.name
            wanted = parameter.kind is parameter.KEYWORD_ONLY or (
                number == 0
                and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
                and name not in ("self", "data")
            )
            if wanted and name != "config" and name not in found:
                default = REQUIRED if parameter.default is parameter.empty else parameter.default
                found[name] = Argument(name, default)
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
            break
    return {
        name: argument._replace(default=spec.kwargs.get(name, argument.default))
        for name, argument in found.items()
    }


def _signatures(creator: Any) -> list[Callable[..., Any]]:
    """Return each ``__init__`` from ``creator`` up its bases, or the function itself."""
    if not isinstance(creator, type):
        return [creator]
    functions = [holder.__dict__.get("__init__") for holder in creator.__mro__]
    return [function for function in functions if inspect.isfunction(function)]


def without_removed(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a run's record without those of :data:`REMOVED` that changed nothing.

    Raises:
        RunError: when a removed argument had another value than its default.
    """
    kept = dict(recorded)
    for name, default in REMOVED.items():
        if name in kept and (value := kept.pop(name)) != default:
            raise RunError(
                f"this run was made with {name}={value!r}, and environments have no argument {name!r} any more: what "
                f"it did cannot be made again (with {name}={default!r} it can); use the version that made the run"
            )
    return kept


def check_arguments(id: str, given: Mapping[str, Any], known: Mapping[str, Argument]) -> dict[str, Any]:
    """Return the arguments of environment ``id`` as their configuration keeps them.

    Raises:
        RunError: when it does not have one, naming the nearest and all there are; when it requires one that was not
            given; and when a value is not of the argument's type.
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
    try:
        return {name: known[name].check(name, value) for name, value in given.items()}
    except ValueError as error:
        raise RunError(f"{id}: {error}") from error
