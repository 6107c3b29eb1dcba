"""``evaluate``: policies on environments, many episodes, in a folder that can be resumed."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atommem_env._version import __version__
from atommem_env.runs.errors import RunError
from atommem_env.runs.execution import Outcome, Runner, run_in_processes
from atommem_env.runs.folder import FORMAT, Key, Notebook, RunFolder
from atommem_env.runs.progress import progress_bar
from atommem_env.runs.recipes import (
    EnvLike,
    EnvRecipe,
    PolicyLike,
    PolicyRecipe,
    env_recipes,
    policy_recipes,
)
from atommem_env.runs.run import Run
from atommem_env.text import digest


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    Attributes:
        envs: the environments.
        policies: the policies.
        settings: what its ``run.json`` holds.
        notes: what its user should know beforehand, a sentence each.
    """

    envs: tuple[EnvRecipe, ...]
    policies: tuple[PolicyRecipe, ...]
    settings: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def total(self) -> int:
        """The number of episodes."""
        return len(self.envs) * len(self.policies) * int(self.settings["episodes"])

    @property
    def name(self) -> str:
        """A short readable name for the run's folder, the same whenever the settings are."""
        envs = "+".join(_short(recipe.id) for recipe in self.envs[:2]) + (
            "+more" if len(self.envs) > 2 else ""
        )
        names = [_short(recipe.name) for recipe in self.policies]
        policies = "+".join(names) if len(names) <= 2 else f"{len(names)}-policies"
        return f"{envs}_{policies}_{self.settings['episodes']}_{digest(repr(self.settings)).hex()[:6]}"


def make_plan(
    env: EnvLike | Sequence[EnvLike],
    policies: PolicyLike | Sequence[PolicyLike] | Mapping[str, PolicyLike],
    episodes: int = 20,
    *,
    seed: int = 0,
    engine: str = "rules",
    policy_arguments: Mapping[str, Mapping[str, Any]] | None = None,
    env_arguments: Mapping[str, Any] | None = None,
) -> Plan:
    """Check everything that can be checked before the first episode, and return the plan of a run.

    Opens each environment's data and makes each policy once. The arguments are those of :func:`evaluate`.

    Raises:
        ValueError: when an argument is out of range or names something that does not exist.
    """
    episodes = _whole("episodes", episodes, 1)
    seed = _whole("seed", seed, 0)
    envs = env_recipes(env, env_arguments or {})
    chosen = policy_recipes(policies, engine, seed, policy_arguments or {})
    for recipe in chosen:
        recipe.make()
    described = [_describe(recipe) for recipe in envs]
    settings = {
        "format": FORMAT,
        "atommem_env": __version__,
        "envs": described,
        "policies": [recipe.describe() for recipe in chosen],
        "engine": engine,
        "episodes": episodes,
        "seed": seed,
    }
    return Plan(envs, chosen, settings, tuple(_notes(described, episodes)))


def execute(
    plan: Plan,
    jobs: int = 1,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
    say: Callable[[str], None] | None = None,
) -> Run:
    """Carry out the episodes of ``plan`` that are not in the folder ``out`` yet, and return the run.

    Args:
        plan: what to do.
        jobs: the number of processes; 0: one per core. The result does not depend on it.
        out: the run's folder; ``None`` keeps the episodes in memory only.
        progress: whether to show a progress bar (on a terminal only).
        say: told in a sentence what there is to do, once the folder is held.

    Raises:
        RunError: when the folder holds another run, or another process uses it.
        EpisodeError: when a policy or an environment raises; the episodes that ended are in the folder.
    """
    jobs = _whole("jobs", jobs, 0) or os.cpu_count() or 1
    with contextlib.ExitStack() as stack:
        book: RunFolder | Notebook
        book = Notebook(plan.settings) if out is None else stack.enter_context(RunFolder(out, plan.settings))
        keys = book.missing
        done = plan.total - len(keys)
        if say is not None:
            say(_start(plan.total, done, out))
        advance = stack.enter_context(progress_bar(plan.total, done, progress))
        for episode, seconds in stack.enter_context(contextlib.closing(_outcomes(plan, keys, jobs))):
            book.append(episode, seconds)
            advance()
        book.finish()
        return Run(plan.settings, book.episodes, None if out is None else Path(out))


def _start(total: int, done: int, out: str | os.PathLike[str] | None) -> str:
    where = "" if out is None else f" in {os.fspath(out)}"
    if done == total:
        return f"All {total} episodes are{where} already: there is nothing left to run"
    return (
        f"{total} episodes{where}"
        if done == 0
        else f"{done} of {total} episodes are{where} already; going on"
    )


def evaluate(
    env: EnvLike | Sequence[EnvLike],
    policies: PolicyLike | Sequence[PolicyLike] | Mapping[str, PolicyLike],
    episodes: int = 20,
    jobs: int = 1,
    *,
    seed: int = 0,
    engine: str = "rules",
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
    policy_arguments: Mapping[str, Mapping[str, Any]] | None = None,
    **env_arguments: Any,
) -> Run:
    """Run every policy on every environment, over the task indices 0 to ``episodes`` - 1.

    The Python form of ``atommem run``. For example::

        run = atommem_env.evaluate("AtomMem-HotpotQA-v0", ["rag", "memagent"], episodes=20, num_docs=50)
        print(run)

    Args:
        env: an id, a specification or an environment, or a list of them. An environment that is made already
            is used as it is, wrappers included.
        policies: one or several of: a known name (``"rag"``), ``"module:Class"``, a class or function that
            makes a policy (called for each episode), a policy (used for all episodes; its ``reset`` must make
            it forget the last one). A dict gives them names of your own.
        episodes: the number of tasks.
        jobs: the number of processes; 0: one per core. The result does not depend on it. In a script the call
            must then stand under ``if __name__ == "__main__":``.
        seed: the seed of named policies.
        engine: the engine of named policies.
        out: the folder of the run. The same call with the same folder goes on where the last one stopped.
            ``None``: the episodes are kept in memory only.
        progress: whether to show a progress bar (on a terminal only).
        policy_arguments: for policies by name, what they are made with: ``{"rag": {...}}``.
        **env_arguments: the arguments of the environments: ``source``, ``split``, ``num_docs`` and so on.

    Returns:
        The run: its settings, its episodes, and its table (``print(run)``).

    Raises:
        ValueError: when an argument is out of range or names something that does not exist, or when ``out``
            holds another run or is in use by another process.
        EpisodeError: when a policy or an environment raises; the episodes that ended are in ``out``.
    """
    plan = make_plan(
        env,
        policies,
        episodes,
        seed=seed,
        engine=engine,
        policy_arguments=policy_arguments,
        env_arguments=env_arguments,
    )
    return execute(plan, jobs, out, progress)


def _outcomes(plan: Plan, keys: Sequence[Key], jobs: int) -> Generator[Outcome, None, None]:
    """Yield the outcomes of ``keys``: all policies on a task, then the next task."""
    order = {recipe.id: number for number, recipe in enumerate(plan.envs)}
    todo = sorted(keys, key=lambda key: (order[key[0]], key[2]))
    if jobs > 1 and len(todo) > 1:
        yield from run_in_processes(plan.envs, plan.policies, todo, jobs)
        return
    runner = Runner(plan.envs, plan.policies)
    try:
        for key in todo:
            yield runner.run(key)
    finally:
        runner.close()


def _describe(recipe: EnvRecipe) -> dict[str, Any]:
    env = recipe.make()
    try:
        return recipe.describe(env)
    finally:
        if env is not recipe.given:
            env.close()


def _notes(envs: Sequence[Mapping[str, Any]], episodes: int) -> Iterator[str]:
    for env in envs:
        tasks = env["num_tasks"]
        if tasks is not None and episodes > tasks:
            yield (
                f"{env['id']} has {tasks} tasks before its questions repeat, in other groups; "
                f"{episodes} episodes go beyond that"
            )


def _short(name: str) -> str:
    """Return ``name`` as a part of a file name: ``AtomMem-HotpotQA-v0`` becomes ``hotpotqa``."""
    name = re.sub(r"^.*:|^AtomMem-|-v\d+$", "", name)
    return re.sub(r"[^\w-]+", "-", name).strip("-").lower() or "run"


def _whole(name: str, value: int, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise RunError(f"{name}={value!r}: expected a whole number of at least {low}")
    return value
