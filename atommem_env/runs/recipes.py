"""What a run is made of, in a form that other processes can make again: environments and policies."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from atommem_env.policies import Policy
from atommem_env.resolve import resolve
from atommem_env.runs.arguments import check_arguments, env_arguments, find_spec
from atommem_env.runs.errors import RunError

EnvLike: TypeAlias = "str | EnvSpec | gym.Env[Any, Any]"
PolicyLike: TypeAlias = "str | Policy | Callable[..., Policy]"


@dataclass(frozen=True)
class EnvRecipe:
    """An environment of a run.

    Attributes:
        id: its id; for one that was given as an object without a specification, its class's name.
        arguments: the arguments it is made with, as given.
        given: the specification or the environment itself, when it was given as an object.
    """

    id: str
    arguments: dict[str, Any] = field(default_factory=dict)
    given: EnvSpec | gym.Env[Any, Any] | None = None

    @classmethod
    def of(cls, env: EnvLike, arguments: Mapping[str, Any]) -> EnvRecipe:
        """Return the recipe of ``env``, an id, a specification or an environment.

        Raises:
            RunError: when the id is unknown, an argument is unknown or missing, or an environment that is
                made already is given arguments.
        """
        if isinstance(env, gym.Env):
            if arguments:
                raise RunError(
                    f"arguments {sorted(arguments)} were given for an environment that is made already; give "
                    "them to gym.make, or pass the environment's id"
                )
            spec = env.spec
            return cls(type(env.unwrapped).__name__ if spec is None else spec.id, {}, env)
        spec = find_spec(env) if isinstance(env, str) else env
        check_arguments(spec.id, arguments, env_arguments(spec))
        if isinstance(env, str):
            return cls(env, dict(arguments))
        return cls(spec.id, dict(arguments), spec)

    def make(self) -> gym.Env[Any, Any]:
        """Return the environment: a new one, or the one that was given."""
        if isinstance(self.given, gym.Env):
            return self.given
        spec = find_spec(self.id) if self.given is None else self.given
        return gym.make(spec, disable_env_checker=True, **self.arguments)

    def describe(self, env: gym.Env[Any, Any]) -> dict[str, Any]:
        """Return what a run's record says of the environment, which :meth:`make` has made."""
        spec = env.spec
        arguments: dict[str, Any] = {}
        if spec is not None:
            defaults = {name: argument.default for name, argument in env_arguments(spec).items()}
            arguments = {**defaults, **spec.kwargs, **self.arguments}
        dataset = getattr(env.unwrapped, "dataset", None)
        return {
            "id": self.id,
            "arguments": {name: plain(value) for name, value in arguments.items()},
            "source": getattr(dataset, "source", None),
            "data_hash": getattr(dataset, "hash", None),
            "num_tasks": getattr(env.unwrapped, "num_tasks", None),
        }


@dataclass(frozen=True)
class PolicyRecipe:
    """A policy of a run.

    Attributes:
        name: what its episodes are recorded under.
        policy: a known name, ``"module:Class"``, a class or function that makes a policy, or a policy.
        arguments: what it is made with, besides engine and seed.
        engine: the engine of a named policy.
        seed: the seed of a named policy.
    """

    name: str
    policy: PolicyLike
    arguments: dict[str, Any] = field(default_factory=dict)
    engine: str = "rules"
    seed: int = 0

    def make(self) -> Policy:
        """Return the policy: a new one, or the one that was given.

        Raises:
            ValueError: when there is no such policy, or it refuses its arguments.
        """
        made: object
        if isinstance(self.policy, str):
            make_policy = cast(Callable[..., object], resolve("atommem_env.baselines:make_policy"))
            made = make_policy(self.policy, engine=self.engine, seed=self.seed, **self.arguments)
        elif _is_factory(self.policy):
            made = cast(Callable[..., object], self.policy)(**self.arguments)
        else:
            made = self.policy
        if isinstance(made, type) or not isinstance(made, Policy):
            raise RunError(
                f"policy {self.name!r}: expected an object with reset(observation, info) and "
                f"act(observation, info), got {type(made).__name__}"
            )
        return made

    def describe(self) -> dict[str, Any]:
        """Return what a run's record says of the policy."""
        return {
            "name": self.name,
            "policy": plain(self.policy),
            "arguments": {name: plain(value) for name, value in self.arguments.items()},
        }


def env_recipes(envs: EnvLike | Sequence[EnvLike], arguments: Mapping[str, Any]) -> tuple[EnvRecipe, ...]:
    """Return the recipes of one or several environments.

    Raises:
        RunError: when there is none, or one comes twice.
    """
    given = [envs] if isinstance(envs, (str, EnvSpec, gym.Env)) else list(envs)
    recipes = tuple(EnvRecipe.of(env, arguments) for env in given)
    _refuse_repeats("environment", [recipe.id for recipe in recipes], "make two runs; a table takes several")
    return recipes


def policy_recipes(
    policies: PolicyLike | Sequence[PolicyLike] | Mapping[str, PolicyLike],
    engine: str,
    seed: int,
    arguments: Mapping[str, Mapping[str, Any]],
) -> tuple[PolicyRecipe, ...]:
    """Return the recipes of one or several policies, ``arguments`` being by name.

    Raises:
        RunError: when there is none, one comes twice, or arguments are for a policy that is not there.
    """
    named: list[tuple[str, PolicyLike]]
    if isinstance(policies, Mapping):
        named = [(str(name), policy) for name, policy in policies.items()]
    else:
        given = list(policies) if isinstance(policies, (list, tuple)) else [cast(PolicyLike, policies)]
        named = [(_policy_name(policy), policy) for policy in given]
    names = [name for name, _ in named]
    _refuse_repeats("policy", names, "pass a dict of names and policies to tell them apart")
    stray = [name for name in arguments if name not in names]
    if stray:
        raise RunError(f"arguments are given for policy {stray[0]!r}, which is not among {names}")
    return tuple(
        PolicyRecipe(name, policy, dict(arguments.get(name, {})), engine, seed) for name, policy in named
    )


def plain(value: Any) -> Any:
    """Return ``value`` as JSON data for a record: an object without a plain form by what it is.

    A class or function becomes ``"module:name"``, which environments take again; a dataset or any other
    object becomes a dict with one key, ``object``, which only says what was there.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else {"object": repr(value)}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # a NumPy number or array
        return plain(value.tolist())
    if (isinstance(value, type) or inspect.isfunction(value)) and "<" not in value.__qualname__:
        return f"{value.__module__}:{value.__qualname__}"
    source = getattr(value, "source", None)
    kind = type(value)
    return {"object": source if isinstance(source, str) else f"{kind.__module__}:{kind.__qualname__}"}


def given_as_objects(value: Any) -> bool:
    """Return whether ``value``, from a record, stands for objects that it cannot bring back."""
    if isinstance(value, Mapping):
        return "object" in value or any(given_as_objects(item) for item in value.values())
    return isinstance(value, list) and any(given_as_objects(item) for item in value)


def _is_factory(policy: object) -> bool:
    return isinstance(policy, type) or (callable(policy) and not isinstance(policy, Policy))


def _policy_name(policy: PolicyLike) -> str:
    if isinstance(policy, str):
        return policy
    name = getattr(policy, "name", None)
    if isinstance(name, str) and name:
        return name
    return str(getattr(policy, "__name__", type(policy).__name__))


def _refuse_repeats(what: str, names: Sequence[str], mend: str) -> None:
    if not names:
        raise RunError(f"no {what} was given; expected at least one")
    for name in names:
        if names.count(name) > 1:
            raise RunError(f"the {what} {name!r} was given twice; {mend}")
