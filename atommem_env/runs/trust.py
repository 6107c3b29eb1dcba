"""What a run's record may cause when the run is looked at: the one gate between a record and code.

A record (``run.json``) is data from whoever made the run. Its environments, policies and engine are made again only
where they are this package's own, by name. Whatever else it names, code (``module:name``), models, other programs'
files and addresses, is listed, and stays untouched until its reader says ``--trust`` (in Python ``trust=True``).
A data file that a record names is read as data, and needs no trust.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from atommem_env.core.resolve import is_reference
from atommem_env.registration import ENVS, POLICIES
from atommem_env.runs.errors import RunError

ENGINES: Final = ("auto", "rules", "world")
"""The engines that compute their answers here, from nothing but their input."""

WRAPPERS: Final = ("atommem_env.wrappers.text_protocol:TextProtocol",)
"""The wrappers that change nothing outside the episode."""

_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "retriever": ("bm25", "dense", "hybrid", "random"),
    "reward": ("em", "f1", "cover_em", "official"),
    "protocol": ("atommem", "released", "json"),
    "tokenizer": (),
    "encoder": (),
    "template": ("brief",),
    "reader": ("auto", "rules", "world"),
    "model": (),
    "adapter": (),
    "base_url": (),
    "api_key_variable": (),
    "cache": (),
    "prompts": (),
}
"""Arguments whose texts stand for code, a model, a file or an address, with the texts that are this package's own."""

_LARGEST: Final = (
    1_000_000  # a number in a record, beyond which making an environment would take over the machine
)
_FREE: Final = ("seed", "world_seed", "max_steps")
_SHOWN: Final = 12


class Demand(NamedTuple):
    """Something in a record that is not this package's own.

    Attributes:
        where: the place in the record, ``"environment 'W': reward"``.
        value: what it says there.
        what: what it would be, ``"code of the module shutil"``.
    """

    where: str
    value: str
    what: str


def env_demands(record: Mapping[str, Any]) -> Iterator[Demand]:
    """Yield what making an environment of a run again would need beyond this package."""
    where = f"environment {record['name']!r}"
    id = record["id"]
    if id not in ENVS:
        module = id.rpartition(":")[0]
        yield Demand(
            f"{where}: id", id, f"code of the module {module}" if module else "another's environment"
        )
    yield from argument_demands(where, record["arguments"])
    for wrapper in record.get("wrappers", ()):
        entry = str(wrapper["entry_point"])
        if entry not in WRAPPERS:
            yield Demand(f"{where}: wrapper", entry, "code")
        yield from argument_demands(f"{where}: wrapper {wrapper['name']}", wrapper["arguments"])


def policy_demands(record: Mapping[str, Any], engine: Any) -> Iterator[Demand]:
    """Yield what making a policy of a run again, with the run's engine, would need beyond this package."""
    where = f"policy {record['name']!r}"
    named = record["policy"]
    if not isinstance(named, str) or named not in POLICIES:
        yield Demand(where, str(named), "code")
    yield from argument_demands(where, record["arguments"])
    if isinstance(engine, str):
        if engine not in ENGINES:
            yield Demand("engine", engine, "a model")
    elif isinstance(engine, Mapping) and engine.get("name") == "local":
        for part in ("model", "adapter"):
            if engine.get(part) is not None:
                yield Demand(f"engine: {part}", str(engine[part]), "weights that are loaded here")
    elif isinstance(engine, Mapping):
        address = engine.get("base_url")
        yield Demand(
            "engine",
            str(engine.get("model")),
            f"a model at {address}" if address else "a model at your own endpoint",
        )
        if engine.get("api_key_variable") is not None:
            yield Demand("engine: api_key_variable", str(engine["api_key_variable"]), "a key of yours")
    else:
        yield Demand("engine", str(engine), "no engine")


def require_trust(demands: Sequence[Demand], trust: bool, config: str | None = None) -> None:
    """Refuse what a record demands, unless its reader trusts whoever made the run.

    Args:
        demands: what it demands.
        trust: whether its reader does.
        config: the file, where a run is to be made from it.

    Raises:
        RunError: listing each place, what stands there, and what it would be.
    """
    if trust or not demands:
        return
    lines = [f"  {demand.where} = {demand.value!r}: {demand.what}" for demand in demands[:_SHOWN]]
    if len(demands) > _SHOWN:
        lines.append(f"  and {len(demands) - _SHOWN} more")
    if config is None:
        head = "the record of this run names what is not this package's own, and looking at a run uses none of it:"
        mend = "If you trust whoever made the run, give --trust (in Python trust=True)."
    else:
        head = f"{config} names what is not this package's own, and a run would use it:"
        mend = (
            "If you trust whoever wrote the file, give --trust; what stands on the command line needs none."
        )
    raise RunError("\n".join([head, *lines, mend]))


def argument_demands(where: str, arguments: Mapping[str, Any]) -> Iterator[Demand]:
    """Yield what arguments would need beyond this package; ``where`` is the place that they stand in."""
    for name, value in arguments.items():
        yield from _value_demands(f"{where}: {name}", name, value)


def _value_demands(where: str, name: str, value: Any) -> Iterator[Demand]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _value_demands(f"{where}.{key}", str(key), item)
    elif isinstance(value, list):
        for item in value:
            yield from _value_demands(where, name, item)
    elif isinstance(value, str):
        what = _text_demand(name, value)
        if what:
            yield Demand(where, value, what)
    elif isinstance(value, int) and abs(value) > _LARGEST and name not in _FREE:
        yield Demand(where, f"{value:.3e}", "more than this machine should be asked for")


def _text_demand(name: str, value: str) -> str:
    """Return what a text in an argument would be, ``""`` for one that is this package's own or plain data."""
    if value in _NAMES.get(name, ()):
        return ""
    if is_reference(value):
        return f"code of the module {value.partition(':')[0]}"
    if name in _NAMES:
        return "code, a model, a file or an address"
    if name != "source" and ":" in value:  # a file's path may have one
        return "code or an address"
    return ""
