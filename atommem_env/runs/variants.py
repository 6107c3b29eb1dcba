"""What a run is made of, in a form that other processes and later days can make again: environments and policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, cast

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, WrapperSpec

from atommem_env.core.resolve import resolve
from atommem_env.policies import Policy
from atommem_env.registration import MAKE_POLICY
from atommem_env.runs.arguments import (
    check_arguments,
    env_arguments,
    find_spec,
    parse_env,
    parse_policy,
    without_removed,
)
from atommem_env.runs.engines import LOCAL, EngineLike, recorded_engine
from atommem_env.runs.errors import RunError
from atommem_env.runs.jsonable import given_as_objects, to_jsonable
from atommem_env.runs.made_of import CannotHashError, made_of
from atommem_env.runs.trust import env_demands, policy_demands, require_trust

EnvLike: TypeAlias = "str | EnvSpec | gym.Env[Any, Any] | EnvVariant"
PolicyLike: TypeAlias = "str | Policy | Callable[..., Policy]"


@dataclass(frozen=True)
class EnvVariant:
    """An environment of a run.

    Attributes:
        id: its id; for one that was given as an object without a specification, its class's name.
        arguments: the arguments it is made with, as given.
        given: the specification or the environment itself, when it was given as an object.
        name: what its episodes are recorded under, unique in the run; the id unless there is more to say.
        policies: the names of the policies that are run on it; ``None``: all of the run's.
        episodes: the number of its episodes for each policy; ``None``: the run's.
        record: what a run's record says of it, when it is made again from one.
    """

    id: str
    arguments: dict[str, Any] = field(default_factory=dict)
    given: EnvSpec | gym.Env[Any, Any] | None = None
    name: str = ""
    policies: tuple[str, ...] | None = None
    episodes: int | None = None
    record: Mapping[str, Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.id)

    @classmethod
    def of(cls, env: EnvLike, arguments: Mapping[str, Any]) -> EnvVariant:
        """Return the variant of ``env`` with ``arguments``, over which its own go.

        Args:
            env: an id, an id with arguments such as ``"AtomMem-HotpotQA-v0[num_docs=800]"``, a
                specification, an environment or a variant.
            arguments: what ``gym.make`` gets.

        Raises:
            RunError: when the id is unknown, an argument is unknown or missing, or an environment that is
                made already is given arguments.
        """
        if isinstance(env, EnvVariant):
            merged = {**arguments, **env.arguments}
            return replace(env, arguments=check_arguments(env.id, merged, env_arguments(find_spec(env.id))))
        if isinstance(env, gym.Env):
            if arguments:
                raise RunError(
                    f"arguments {sorted(arguments)} were given for an environment that is made already; give "
                    "them to gym.make, or pass the environment's id"
                )
            spec = env.spec
            return cls(type(env.unwrapped).__name__ if spec is None else spec.id, {}, env)
        if isinstance(env, str):
            id, own = parse_env(env)
            return cls.of(cls(id, own, name=env), arguments)
        return cls(env.id, check_arguments(env.id, arguments, env_arguments(env)), env)

    def make(self) -> gym.Env[Any, Any]:
        """Return the environment: a new one, or the one that was given.

        Raises:
            RunError: when it is made again from a run's record, and cannot be, or has other data.
        """
        if isinstance(self.given, gym.Env):
            return self.given
        spec = find_spec(self.id) if self.given is None else self.given
        if self.record is None:
            return gym.make(spec, disable_env_checker=True, **self.arguments)
        try:
            env = gym.make(spec, disable_env_checker=True, **self.arguments)
        except (ValueError, OSError, ImportError, gym.error.Error) as error:
            raise RunError(f"{self.name} of this run cannot be made again: {error}") from error
        except Exception as error:  # a record may hold anything
            raise RunError(
                f"{self.name} of this run cannot be made from its record ({type(error).__name__}: {error}): mend the "
                "environment's arguments in run.json"
            ) from error
        _check_data(self.name, self.record, env)
        return env

    def describe(self, env: gym.Env[Any, Any]) -> dict[str, Any]:
        """Return what a run's record says of the environment, which :meth:`make` has made."""
        spec = env.spec
        arguments: dict[str, Any] = {}
        if spec is not None:
            defaults = {name: argument.default for name, argument in env_arguments(spec).items()}
            config = getattr(env.unwrapped, "config", None)
            made = {} if config is None else config.as_dict()
            arguments = {**defaults, **spec.kwargs, **self.arguments, **made}
        dataset = getattr(env.unwrapped, "dataset", None)
        wrappers = () if spec is None else spec.additional_wrappers
        return {
            "name": self.name,
            "id": self.id,
            "arguments": {name: to_jsonable(value) for name, value in arguments.items()},
            **({"wrappers": [_describe_wrapper(wrapper) for wrapper in wrappers]} if wrappers else {}),
            **({} if self.policies is None else {"policies": list(self.policies)}),
            **({} if self.episodes is None else {"episodes": self.episodes}),
            "source": getattr(dataset, "source", None),
            "data_hash": data_hash(env),
            "num_tasks": getattr(env.unwrapped, "num_tasks", None),
            **_made_of(self._parts(spec, arguments)),
        }

    def _parts(self, spec: EnvSpec | None, arguments: Mapping[str, Any]) -> Iterator[Any]:
        """Yield what the environment is made of; its data has its own hash."""
        if spec is None:
            raise CannotHashError("it was given as an object without a specification")
        yield self.id
        yield spec.entry_point
        yield {name: value for name, value in arguments.items() if name != "source"}
        for wrapper in spec.additional_wrappers:
            if wrapper.kwargs is None:
                raise CannotHashError(f"its wrapper {wrapper.name} does not say what it was made with")
            yield wrapper.entry_point, wrapper.kwargs


@dataclass(frozen=True)
class PolicyVariant:
    """A policy of a run.

    Attributes:
        name: what its episodes are recorded under.
        policy: a known name, ``"module:Class"``, a class or function that makes a policy, or a policy.
        arguments: what it is made with, besides engine and seed.
        engine: the engine of a named policy: a name, an engine, or the settings of a chat endpoint.
        seed: the seed of a named policy.
    """

    name: str
    policy: PolicyLike
    arguments: dict[str, Any] = field(default_factory=dict)
    engine: EngineLike = "auto"
    seed: int = 0

    def make(self) -> Policy:
        """Return the policy: a new one, or the one that was given.

        Raises:
            ValueError: when there is no such policy, or it refuses its arguments.
        """
        made: object
        if isinstance(self.policy, str):
            make_policy = cast(Callable[..., object], resolve(MAKE_POLICY))
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
            "policy": to_jsonable(self.policy),
            "arguments": {name: to_jsonable(value) for name, value in self.arguments.items()},
            **_made_of(self._parts()),
        }

    def _parts(self) -> Iterator[Any]:
        """Yield what the policy is made of."""
        yield self.policy
        yield self.arguments
        describe = getattr(self.engine, "describe", None)
        yield self.engine if describe is None else describe()


def _made_of(values: Iterable[Any]) -> dict[str, Any]:
    """Return what a record says of what something is made of; nothing where that is plain data and this package."""
    try:
        parts = made_of(*values)
    except CannotHashError as error:
        return {"made_of": None, "unhashed": str(error)}
    return {"made_of": parts} if parts else {}


NO_KEY: Final = "(no key: --base-url does not name the address)"
"""Where the key of a recorded engine is looked for: no environment variable has such a name."""


def _check_data(name: str, record: Mapping[str, Any], env: gym.Env[Any, Any]) -> None:
    """Compare the data of an environment that was made again with that of its record.

    Raises:
        RunError: when it is another's; names what the run had, what was found, and where to look.
    """
    expected, found = record.get("data_hash"), data_hash(env)
    if expected is None or found == expected:
        return
    there = getattr(getattr(env.unwrapped, "dataset", None), "source", found)
    env.close()
    given = record["arguments"].get("source")
    had = record.get("source")
    if given in (None, "auto") and not str(had).startswith("generated:"):
        mend = "set ATOMMEM_DATA to the folder that holds its files"
    elif given == "hub" or str(had).startswith("generated:"):
        mend = "it was made by another version of this package or of the data: run it again"
    else:
        mend = f"put that file back at {given}, or run it again"
    raise RunError(
        f"{name}: the run's data is {had}, and what is found here is {there}: the data is missing or has changed; "
        f"{mend}"
    )


def data_hash(env: gym.Env[Any, Any]) -> str | None:
    """Return the hash of an environment's data; ``None`` for an environment that tells none."""
    return getattr(getattr(env.unwrapped, "dataset", None), "hash", None)


def env_variants(
    envs: EnvLike | Sequence[EnvLike] | Mapping[str, EnvLike], arguments: Mapping[str, Any]
) -> tuple[EnvVariant, ...]:
    """Return the variants of one or several environments, which a mapping names.

    Raises:
        RunError: when there is none, or one comes twice.
    """
    if isinstance(envs, Mapping):
        variants = tuple(replace(EnvVariant.of(env, arguments), name=str(name)) for name, env in envs.items())
    else:
        given = [envs] if isinstance(envs, (str, EnvSpec, gym.Env, EnvVariant)) else list(envs)
        variants = tuple(EnvVariant.of(env, arguments) for env in given)
    mend = "tell them apart by their arguments, as in 'ID[num_docs=800]', or pass a dict of names and environments"
    _refuse_repeats("environment", [variant.name for variant in variants], mend)
    return variants


def policy_variants(
    policies: PolicyLike | Sequence[PolicyLike] | Mapping[str, PolicyLike],
    engine: EngineLike,
    seed: int,
    arguments: Mapping[str, Mapping[str, Any]],
) -> tuple[PolicyVariant, ...]:
    """Return the variants of one or several policies, ``arguments`` being by name.

    A policy's name may have its own arguments, as in ``"rag[second_look=bridge]"``, which go over those.

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
    variants = []
    for name, policy in named:
        made, own = parse_policy(policy) if isinstance(policy, str) else (policy, {})
        variants.append(PolicyVariant(name, made, {**arguments.get(name, {}), **own}, engine, seed))
    return tuple(variants)


def recorded_env(settings: Mapping[str, Any], name: str | None = None, trust: bool = False) -> EnvVariant:
    """Return what makes an environment of a run again, by its record.

    Args:
        settings: the run's.
        name: the environment's name within the run; ``None``: the first.
        trust: whether the record may name more than this package's own (see :mod:`atommem_env.runs.trust`).

    Raises:
        RunError: when the run has no such environment, it was given as a Python object, or it asks for trust.
    """
    record = _pick("environment", settings["envs"], name)
    _refuse_objects(f"environment {record['name']}", record["arguments"], record.get("wrappers", []))
    require_trust(list(env_demands(record)), trust)
    spec = find_spec(record["id"])
    arguments = check_arguments(record["id"], without_removed(record["arguments"]), env_arguments(spec))
    wrappers = tuple(
        WrapperSpec(wrapper["name"], wrapper["entry_point"], wrapper["arguments"])
        for wrapper in record.get("wrappers", ())
    )
    given = replace(spec, additional_wrappers=wrappers) if wrappers else None
    policies = record.get("policies")
    return EnvVariant(
        record["id"],
        arguments,
        given,
        record["name"],
        None if policies is None else tuple(policies),
        record.get("episodes"),
        record,
    )


def recorded_policy(
    settings: Mapping[str, Any], name: str | None = None, trust: bool = False, base_url: str | None = None
) -> PolicyVariant:
    """Return what makes a policy of a run again, by its record; see :func:`recorded_env`.

    Args:
        settings: the run's.
        name: the policy's name within the run; ``None``: the first.
        trust: whether the record may name more than this package's own.
        base_url: the address to which a key may be sent, which has to be the record's; ``None``: no key is sent.

    Raises:
        RunError: when the run has no such policy, it or its engine was given as a Python object, or it asks for
            trust.
    """
    record = _pick("policy", settings["policies"], name)
    _refuse_objects(f"policy {record['name']!r}", record["policy"], record["arguments"])
    engine = settings["engine"]
    _refuse_objects("engine", engine)
    require_trust(list(policy_demands(record, engine)), trust)
    return PolicyVariant(
        record["name"],
        record["policy"],
        dict(record["arguments"]),
        engine if isinstance(engine, str) else _engine_of(engine, base_url),
        settings["seed"],
    )


def _engine_of(record: Mapping[str, Any], base_url: str | None) -> EngineLike:
    """Return the language model of a record; an endpoint gets a key only where ``base_url`` is its address."""
    local = record.get("name") == LOCAL
    address = record.get("base_url")
    if base_url is not None and base_url != address:
        raise RunError(
            f"--base-url {base_url}: this run's engine is at {address}; give that, or leave it out"
        )
    variable = "OPENAI_API_KEY" if base_url is not None else NO_KEY
    try:
        return recorded_engine(record if local else {**record, "api_key_variable": variable})
    except (TypeError, ValueError) as error:
        raise RunError(
            f"the engine in the record of this run is none ({error}): mend it in run.json"
        ) from error


def _describe_wrapper(wrapper: WrapperSpec) -> dict[str, Any]:
    arguments = {"object": wrapper.name} if wrapper.kwargs is None else to_jsonable(wrapper.kwargs)
    return {"name": wrapper.name, "entry_point": wrapper.entry_point, "arguments": arguments}


def _pick(what: str, records: Sequence[Mapping[str, Any]], name: str | None) -> Mapping[str, Any]:
    names = [record["name"] for record in records]
    if name is not None and name not in names:
        raise RunError(f"{what} {name!r} is not in this run; it has {', '.join(names)}")
    return records[0 if name is None else names.index(name)]


def _refuse_objects(what: str, *records: Any) -> None:
    if any(given_as_objects(record) for record in records):
        raise RunError(
            f"the {what} of this run was given as a Python object, which its record cannot make again: "
            "run the episode in Python with atommem_env.rollout"
        )


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
