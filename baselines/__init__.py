"""The static workflows, each a policy over the five operations, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from atommem_env.core.checks import one_of
from atommem_env.registration import POLICIES

if TYPE_CHECKING:
    from atommem_env.baselines.engines.engine import EngineSpec
    from atommem_env.policies import Policy

FULL_STORES: Final = (None, "keep-best")
"""What a policy can do when the store is full: nothing of its own, or make room by keep-best's rule."""


SECOND_LOOKS: Final = (None, "bridge")
"""What a policy can do before it answers: nothing of its own, or look once more for what its entries mention."""


def make_policy(
    name: str,
    engine: EngineSpec = "auto",
    seed: int = 0,
    full_store: str | None = None,
    second_look: str | None = None,
    **kwargs: Any,
) -> Policy:
    """Return a new policy.

    Args:
        name: one of :data:`~atommem_env.registration.POLICIES`, or ``"module:Class"`` of a user's own.
        engine: what does the policy's language work (a name of
            :data:`~atommem_env.registration.ENGINES`, an engine, or ``ChatSettings``); passed to policies
            that take one.
        seed: the seed of the policy's own generator; passed to policies that take one.
        full_store: what a Create does when the store is full: ``None``: what the environment says
            (``overflow``); ``"keep-best"``: see :mod:`atommem_env.baselines.full_store`.
        second_look: what it does before an answer: ``None``: nothing of its own; ``"bridge"``: see
            :mod:`atommem_env.baselines.second_look`.
        **kwargs: the policy's own arguments.

    Raises:
        ValueError: when there is no such policy, or it does not take an argument; lists what there is.
    """
    from atommem_env.core.resolve import is_reference, resolve

    if name not in POLICIES and not is_reference(name):
        several = "; of several, name each by itself (--policy A --policy B)" if "," in name else ""
        raise ValueError(
            f"policy {name!r} is unknown; choose from {sorted(POLICIES)}, or give 'module:Class'{several}"
        )
    if full_store is not None:
        from atommem_env.baselines.full_store import KeepBestRule

        one_of("full_store", full_store, FULL_STORES)
        return KeepBestRule(make_policy(name, engine, seed, second_look=second_look, **kwargs))
    if second_look is not None:
        from atommem_env.baselines.second_look import SecondLook

        one_of("second_look", second_look, SECOND_LOOKS)
        return SecondLook(make_policy(name, engine, seed, **kwargs))
    found = resolve(POLICIES.get(name, name))
    if not callable(found):
        if _is_policy(found):
            return cast("Policy", found)
        raise ValueError(
            f"policy {name!r} is a {type(found).__name__}: expected a class, or an object with reset and act"
        )
    arguments = _arguments(name, found, {"engine": engine, "seed": seed}, kwargs)
    made = found(**arguments)
    if not _is_policy(made):
        raise ValueError(f"policy {name!r} made a {type(made).__name__}: a policy has reset and act")
    return cast("Policy", made)


def _is_policy(candidate: object) -> bool:
    return callable(getattr(candidate, "act", None)) and callable(getattr(candidate, "reset", None))


def _arguments(
    name: str, make: Callable[..., object], offered: dict[str, Any], given: dict[str, Any]
) -> dict[str, Any]:
    """Return what to call ``make`` with: of what is offered what it takes, and all that was given."""
    try:
        parameters = dict(inspect.signature(make).parameters)
    except ValueError:  # some built-in types do not say what they take
        parameters = {}
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return {**offered, **given}
    unknown = [argument for argument in given if argument not in parameters]
    if unknown:
        own = sorted(set(parameters) - set(offered))
        raise ValueError(
            f"policy {name!r} takes no argument {', '.join(unknown)}; it takes {own or 'none of its own'}"
        )
    return {**{key: value for key, value in offered.items() if key in parameters}, **given}
