"""A whole run from a file: the options of ``atommem run`` in YAML or JSON, or the ``run.json`` of a run.

A file is data from whoever wrote it, and running it acts. What it names beyond this package's own (code, models,
addresses, folders that are written) is listed, and used only with ``--trust`` (:mod:`atommem_env.runs.trust`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final

from atommem_env.core.config import close_match
from atommem_env.runs.arguments import parse_env, parse_policy
from atommem_env.runs.engines import LLM, LOCAL, MODELS
from atommem_env.runs.errors import RunError
from atommem_env.runs.files import read_file
from atommem_env.runs.folder import checked_settings
from atommem_env.runs.forms import read_json
from atommem_env.runs.jsonable import given_as_objects
from atommem_env.runs.trust import (
    ENGINES,
    Demand,
    argument_demands,
    env_demands,
    policy_demands,
    require_trust,
)
from atommem_env.runs.variants import recorded_env

LONGEST: Final = 256_000
"""The size in bytes of the longest YAML file; JSON, and with it a ``run.json``, may be longer."""

_MOST_AT_ONCE: Final = 256

ON_THE_LINE: Final = ("config", "trust", "yes", "fresh", "on", "prices", "quiet", "debug")
"""The options of ``atommem run`` that a file cannot give."""

ENGINE_OPTIONS: Final = {
    LLM: ("base_url", "route", "extra_body", "timeout", "retries", "concurrency"),
    LOCAL: ("adapter", "batch", "device", "dtype"),
}
"""The options that are for one of the engines that are a language model alone."""

MODEL_OPTIONS: Final = (
    *("model", "temperature", "top_p", "keep_prompts", "max_tokens", "cache", "prompts"),
    *(option for options in ENGINE_OPTIONS.values() for option in options),
)
"""The options that are for a language model."""


@dataclass(frozen=True)
class ConfigFile:
    """What a file says of a run.

    Attributes:
        path: the file.
        options: by the name of an option its value: of ``arg`` and ``policy_arg`` mappings. An environment is a text,
            or, of a ``run.json``, its record.
        recorded: whether it is a ``run.json``.
    """

    path: Path
    options: dict[str, Any]
    recorded: bool = False


def read_config(path: Path) -> ConfigFile:
    """Return what a file says of a run.

    Raises:
        RunError: when there is no such file, or it is neither; names the file, the key, and the mend.
    """
    try:
        content = _read(path)
    except FileNotFoundError:
        raise RunError(f"--config {path}: there is no such file") from None
    if not isinstance(content, dict):
        raise RunError(f"{path}: expected the options of a run, such as policy: [rag, oracle], or a run.json")
    if {"format", "envs", "policies"} <= content.keys():
        return ConfigFile(path, _recorded(path, checked_settings(path, content)), recorded=True)
    options: dict[str, Any] = {}
    for key, value in content.items():
        name, converted = _option(path, key, value)
        if name in options:
            raise RunError(f"{path}: {name}: it was given twice")
        options[name] = converted
    return ConfigFile(path, options)


def over_file(given: Mapping[str, Any], config: ConfigFile | None, trust: bool = False) -> dict[str, Any]:
    """Return the options of a run: what the command line gives, over what a file does.

    Arguments (``arg``, ``policy_arg``) go over the file's one by one; all else replaces the file's. The
    environments, policies and names of a file give way to a recipe of the command line, and its recipe to them.

    Args:
        given: the options of the command line, by name as in a file.
        config: the file, if there is one.
        trust: whether what the file names beyond this package's own is used.

    Raises:
        RunError: when it names such things and is not trusted.
    """
    if config is None:
        return dict(given)
    file = dict(config.options)
    if "recipe" in given:
        gone = {"env", "policy", "name", "policy_arg"}
    else:
        gone = {"recipe"} if given.keys() & {"env", "policy"} else set()
    if "policy" in given:
        gone |= {"name"}
        labels = given.get("name") or given["policy"]
        own = file.pop("policy_arg", {})
        file["policy_arg"] = {name: each for name, each in own.items() if name in labels}
    if given.get("engine", LLM) not in MODELS:
        gone |= {*MODEL_OPTIONS, "engine_seed"}
    arguments = dict(given.get("arg", {}))
    for name in (*gone, *arguments, *(name for name in given if name not in ("arg", "policy_arg"))):
        file.pop(name, None)  # of arguments, source and split
    file["arg"] = {name: value for name, value in file.get("arg", {}).items() if name not in arguments}
    if config.recorded:
        file["env"] = [_changed(env, given) for env in file.get("env", ())]
    named = {name: value for name, value in file.items() if name != "engine" or "model" not in given}
    require_trust(list(config_demands(named)), trust, str(config.path))
    policy_arguments = {
        name: {**file.get("policy_arg", {}).get(name, {}), **given.get("policy_arg", {}).get(name, {})}
        for name in (*file.get("policy_arg", {}), *given.get("policy_arg", {}))
    }
    made = {**file, **given, "arg": {**file["arg"], **arguments}, "policy_arg": policy_arguments}
    if config.recorded and "env" in file:
        made["env"] = [recorded_env({"envs": [env]}, trust=True) for env in file["env"]]
    return made


def _changed(env: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an environment's record as the command line changes it; with other data nothing is known of that."""
    arguments = given.get("arg", {})
    changed = {**env, "arguments": {**env["arguments"], **arguments}}
    if arguments:
        changed.pop("data_hash", None)
    if "policy" in given:
        changed.pop("policies", None)
    if "episodes" in given:
        changed.pop("episodes", None)
    return changed


def config_demands(options: Mapping[str, Any]) -> Iterator[Demand]:
    """Yield what options of a file would need beyond this package."""
    for env in options.get("env", ()):
        yield from env_demands(_env_record(env))
    arguments = {name: options[name] for name in ("source", "split") if name in options}
    yield from argument_demands("arg", {**options.get("arg", {}), **arguments})
    for name in options.get("policy", ()):
        policy, own = parse_policy(name)
        yield from policy_demands({"name": name, "policy": policy, "arguments": own}, "auto")
    for label, given in options.get("policy_arg", {}).items():
        yield from argument_demands(f"policy_arg: {label}", given)
    model = {name: options[name] for name in MODEL_OPTIONS if name in options}
    engine = options.get("engine", "auto")
    if engine == LLM and "model" not in model:
        yield Demand("engine", LLM, "a model, at your own endpoint and cost")
    elif engine not in (*ENGINES, LLM):
        yield Demand("engine", str(engine), "a model, whose weights are loaded here")
    yield from argument_demands("model", {key: value for key, value in model.items() if key != "extra_body"})
    if "extra_body" in model:
        yield Demand("extra_body", str(model["extra_body"]), "fields that are sent to a server as they are")
    for name in ("jobs", "concurrency", "batch"):
        if options.get(name, 0) > _MOST_AT_ONCE:
            yield Demand(name, str(options[name]), "more than this machine should be asked for")
    out = options.get("out")
    if out is not None and (PurePath(out).is_absolute() or ".." in PurePath(out).parts):
        yield Demand("out", out, "a folder outside this one, which is written")


def _env_record(env: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(env, str):
        return env
    id, arguments = parse_env(env)
    return {"name": env, "id": id, "arguments": arguments}


# --- reading ----------------------------------------------------------------------------------------


def _read(path: Path) -> Any:
    ending = path.suffix.lower()
    if ending == ".json":
        return read_json(path, Any, "mend the file")
    if ending not in (".yaml", ".yml"):
        raise RunError(f"--config {path}: expected a file whose name ends in .yaml, .yml or .json")
    content = read_file(path)
    if len(content) > LONGEST:
        raise RunError(f"{path} is longer than {LONGEST:,} bytes: the options of a run are shorter")
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Refuses what would hide something: a key that comes twice, and parts that stand for others."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError(
                    f"line {self.peek_event().start_mark.line + 1}: write it out in place of *"
                )
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                if str(key.value) in seen:
                    raise yaml.YAMLError(f"line {key.start_mark.line + 1}: {key.value} was given twice")
                seen.add(str(key.value))
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(content, Loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError, TypeError) as error:
        said = " ".join(str(error).split()) if not isinstance(error, RecursionError) else "nested too deeply"
        raise RunError(f"{path}: it cannot be read as YAML ({said}): mend that line") from error


def _option(path: Path, key: Any, value: Any) -> tuple[str, Any]:
    """Return an option of a file by its name, converted.

    Raises:
        RunError: when there is none of that name, or it has another form.
    """
    if not isinstance(key, str):
        raise RunError(
            f"{path}: {key!r}: expected the name of an option (YAML reads on, off, yes and no as true and false)"
        )
    name = key.replace("-", "_")
    if name in ON_THE_LINE:
        raise RunError(f"{path}: {key}: this is given on the command line (--{name}), not in a file")
    if name not in _OPTIONS:
        raise RunError(
            f"{path}: {key}: there is no such option{close_match(name, _OPTIONS)}; expected some of "
            f"{', '.join(_OPTIONS)}"
        )
    convert, example = _OPTIONS[name]
    try:
        return name, convert(value)
    except ValueError as error:
        raise RunError(f"{path}: {key}: got {value!r}; expected {error}, for example {example}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value


def _texts(value: Any) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(each, str) and each for each in found):
        raise ValueError("a text, or a list of texts")
    return found


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("a number")
    return float(value)


def _number_or_none(value: Any) -> float | None:
    try:
        return None if value in (None, "none") else _number(value)
    except ValueError:
        raise ValueError("a number, or none to leave it to the server") from None


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _plain(value: Any) -> Any:
    """Return a value that JSON has too.

    Raises:
        ValueError: when it, or a part of it, is another, such as a date.
    """
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("texts as names (put them in quotes)")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("finite numbers")
    if value is not None and not isinstance(value, (str, int, float)):
        raise ValueError("texts, numbers, lists and mappings (put a date in quotes)")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("arguments by name")
    return dict(_plain(value))


def _mappings(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, Mapping) or not all(isinstance(item, Mapping) for item in value.values()):
        raise ValueError("arguments by name, of each policy by name")
    return {str(name): _mapping(item) for name, item in value.items()}


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(_mapping(value))


_OPTIONS: Final[dict[str, tuple[Callable[[Any], Any], str]]] = {
    "env": (_texts, "env: AtomMem-HotpotQA-v0"),
    "policy": (_texts, "policy: [rag, oracle]"),
    "name": (_texts, "name: [plain, tuned]"),
    "recipe": (_text, "recipe: paper-table1"),
    "source": (_text, "source: hotpot_dev_distractor_v1.json"),
    "split": (_text, "split: validation"),
    "arg": (_mapping, "arg: {num_docs: 50}"),
    "policy_arg": (_mappings, "policy_arg: {keep-best: {slots: 20}}"),
    "engine": (_text, "engine: rules"),
    "model": (_text, "model: Qwen/Qwen3-8B"),
    "base_url": (_text, "base_url: http://localhost:8000/v1"),
    "route": (_text, "route: chat"),
    "temperature": (_number_or_none, "temperature: 0.7"),
    "top_p": (_number_or_none, "top_p: 1.0"),
    "extra_body": (_json, "extra_body: {chat_template_kwargs: {enable_thinking: false}}"),
    "keep_prompts": (_flag, "keep_prompts: true"),
    "max_tokens": (_whole, "max_tokens: 1024"),
    "timeout": (_number, "timeout: 120"),
    "retries": (_whole, "retries: 8"),
    "concurrency": (_whole, "concurrency: 8"),
    "cache": (_text, "cache: replies"),
    "prompts": (_text, "prompts: my_prompts"),
    "adapter": (_text, "adapter: runs/sft"),
    "batch": (_whole, "batch: 8"),
    "device": (_text, "device: cuda"),
    "dtype": (_text, "dtype: bfloat16"),
    "episodes": (_whole, "episodes: 20"),
    "seed": (_whole, "seed: 0"),
    "jobs": (_whole, "jobs: 4"),
    "traces": (_flag, "traces: true"),
    "keep_going": (_flag, "keep_going: true"),
    "out": (_text, "out: runs/mine"),
}
"""The options that a file may give: what reads each, and an example."""


# --- a run's record ---------------------------------------------------------------------------------


def _recorded(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that make a recorded run again."""
    for what in ("envs", "policies", "engine"):
        if given_as_objects(settings[what]):
            raise RunError(
                f"{path}: {what}: one was given as a Python object, which a record cannot make again"
            )
    options: dict[str, Any] = {
        "env": list(settings["envs"]),
        "policy": [policy["policy"] for policy in settings["policies"]],
        "name": [policy["name"] for policy in settings["policies"]],
        "policy_arg": {policy["name"]: policy["arguments"] for policy in settings["policies"]},
        "episodes": settings["episodes"],
        "seed": settings["seed"],
    }
    if settings.get("recipe") is not None:
        options["recipe"] = settings["recipe"]
    engine = settings["engine"]
    if isinstance(engine, str):
        return {**options, "engine": engine}
    return {
        **options,
        "engine": engine.get("name", LLM),
        "engine_seed": engine.get("seed"),
        **_model_options(path, engine),
    }


def _model_options(path: Path, engine: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a recorded language model."""
    from atommem_env.llm.prompts import Prompts

    if engine.get("prompts") not in (None, Prompts(None).digest):
        raise RunError(
            f"{path}: engine: prompts: the run's prompts are not those of this version, and a record does not hold "
            "their texts: give the run's options again, with --prompts FOLDER"
        )
    kept = {
        name: engine[name] for name in MODEL_OPTIONS if name != "prompts" and engine.get(name) is not None
    }
    return {**dict.fromkeys(name for name in ("temperature", "top_p") if name in engine), **kept}
