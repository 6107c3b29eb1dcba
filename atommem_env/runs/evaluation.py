"""``evaluate``: policies on environments, many episodes, in a folder that can be resumed."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from atommem_env._version import __version__
from atommem_env.runs.engines import EngineLike, asks_a_model, describe_engine, settled
from atommem_env.runs.errors import EpisodeError, RunError, RunWarning
from atommem_env.runs.execution import Failure, Outcome, Runner, Work
from atommem_env.runs.folder import FORMAT, Notebook, RunFolder
from atommem_env.runs.keys import Key, num_planned
from atommem_env.runs.made_of import package_hash
from atommem_env.runs.pools import run_in_processes, run_in_threads
from atommem_env.runs.progress import progress_bar
from atommem_env.runs.run import Run
from atommem_env.runs.variants import (
    EnvLike,
    EnvVariant,
    PolicyLike,
    PolicyVariant,
    env_variants,
    policy_variants,
)
from atommem_env.text import digest

RAY: Final = "ray"
_MOST_FAILURES: Final = 8
PLACES: Final = ("local", RAY)
"""Where the episodes of a run may be carried out."""


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    Attributes:
        envs: the environments.
        policies: the policies.
        settings: what its ``run.json`` holds.
        notes: what its user should know beforehand, a sentence each.
    """

    envs: tuple[EnvVariant, ...]
    policies: tuple[PolicyVariant, ...]
    settings: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def total(self) -> int:
        """The number of episodes."""
        return num_planned(self.settings)

    @property
    def waits(self) -> bool:
        """Whether its episodes wait for a model most of the time, and so run in threads."""
        return any(asks_a_model(policy.engine) for policy in self.policies)

    @property
    def name(self) -> str:
        """A short readable name for the run's folder, the same whenever the settings are."""
        ids = list(dict.fromkeys(_short(variant.id) for variant in self.envs))
        envs = "+".join(ids[:2]) + ("+more" if len(ids) > 2 else "")
        names = [_short(variant.name) for variant in self.policies]
        policies = "+".join(names) if len(names) <= 2 else f"{len(names)}-policies"
        return f"{envs}_{policies}_{self.settings['episodes']}_{digest(repr(self.settings)).hex()[:6]}"


def make_plan(
    env: EnvLike | Sequence[EnvLike] | Mapping[str, EnvLike],
    policies: PolicyLike | Sequence[PolicyLike] | Mapping[str, PolicyLike],
    episodes: int = 20,
    *,
    seed: int = 0,
    engine: EngineLike = "auto",
    policy_arguments: Mapping[str, Mapping[str, Any]] | None = None,
    env_arguments: Mapping[str, Any] | None = None,
    recipe: str | None = None,
) -> Plan:
    """Check everything that can be checked before the first episode, and return the plan of a run.

    Opens each environment's data and makes each policy once. The arguments are those of :func:`evaluate`, and
    ``recipe``: the name of the recipe that the environments and policies are from.

    Raises:
        ValueError: when an argument is out of range or names something that does not exist.
    """
    episodes = _whole("episodes", episodes, 1)
    seed = _whole("seed", seed, 0)
    engine = settled(engine, seed)
    envs = env_variants(env, env_arguments or {})
    chosen = policy_variants(policies, engine, seed, policy_arguments or {})
    for policy in chosen:
        policy.make()
    described = [_describe(env) for env in envs]
    notes = [note for env in described for note in _notes(env, episodes)]
    settings = {
        "format": FORMAT,
        "atommem_env": __version__,
        "code": package_hash(),
        **({} if recipe is None else {"recipe": recipe}),
        "envs": described,
        "policies": [policy.describe() for policy in chosen],
        "engine": describe_engine(engine),
        "episodes": episodes,
        "seed": seed,
    }
    return Plan(envs, chosen, settings, tuple(notes))


def execute(
    plan: Plan,
    jobs: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
    say: Callable[[str], None] | None = None,
    traces: bool = True,
    on: str = "local",
    keep_going: bool = False,
    fresh: bool = False,
) -> Run:
    """Carry out the episodes of ``plan`` that are not in the folder ``out`` yet, and return the run.

    Args:
        plan: what to do.
        jobs: how many episodes to run at once, see :func:`evaluate`.
        out: the run's folder; ``None`` keeps the episodes in memory only.
        progress: whether to show a progress bar (on a terminal only).
        say: told in a sentence what there is to do, once the folder is held.
        traces: whether to keep the episodes' traces in the folder.
        on: where, see :func:`evaluate`.
        keep_going: whether a policy that raised goes on with its next episode.
        fresh: whether a run that is in the folder is done again.

    Raises:
        ImportError: when what ``on`` needs is missing.
        RunError: when the folder holds another run, or another process uses it.
        EpisodeError: when a policy or an environment raised, at the end; all other episodes are in the folder.
    """
    if on not in PLACES:
        raise RunError(f"on={on!r}: expected {' or '.join(map(repr, PLACES))}")
    if on == RAY:
        from atommem_env.integrations.ray import load_ray

        load_ray()  # before anything is written
    jobs = _jobs(plan, jobs, on)
    with contextlib.ExitStack() as stack:
        book: RunFolder | Notebook
        book = (
            Notebook(plan.settings)
            if out is None
            else stack.enter_context(RunFolder(out, plan.settings, traces, fresh))
        )
        keys = book.missing
        done = plan.total - len(keys)
        for note in book.notes:
            if say is None:
                warnings.warn(note, RunWarning, stacklevel=3)
            else:
                say(f"Note: {note}")
        if say is not None:
            say(_start(plan.total, done, out))
        advance = stack.enter_context(progress_bar(plan.total, done, progress))
        data_hashes = {env["name"]: env["data_hash"] for env in plan.settings["envs"]}
        work = Work(plan.envs, plan.policies, book.keeps_traces, data_hashes)
        failures: list[Failure] = []
        waiting = _Waiting(plan, keys)
        for outcome in stack.enter_context(contextlib.closing(_outcomes(plan, work, waiting, jobs, on))):
            if isinstance(outcome, Failure):
                failures.append(outcome)
                if not keep_going:
                    waiting.stop(outcome.key[1])
            else:
                book.append(*outcome)
            advance()
        book.finish()
        if failures:
            raise EpisodeError(_told(failures, keep_going))
        folder = None if out is None else Path(out)
        return Run(book.settings, book.episodes, folder, book.timings, trust=True)  # its maker looks at it


class _Waiting:
    """The episodes that are still to be run: all policies on a task, then the next task.

    Iterated once, by whoever starts the episodes; a policy that was stopped starts no more of them.
    """

    def __init__(self, plan: Plan, keys: Sequence[Key]) -> None:
        order = {variant.name: number for number, variant in enumerate(plan.envs)}
        self._keys = sorted(keys, key=lambda key: (order[key[0]], key[2]))
        self._stopped: set[str] = set()

    def stop(self, policy: str) -> None:
        """Let a policy start no further episode."""
        self._stopped.add(policy)

    def __iter__(self) -> Iterator[Key]:
        return (key for key in self._keys if key[1] not in self._stopped)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys


def _told(failures: Sequence[Failure], keep_going: bool) -> str:
    """Return the message of a run in which episodes failed."""
    shown = [failure.message for failure in failures[:_MOST_FAILURES]]
    if len(failures) > len(shown):
        shown.append(f"and {len(failures) - len(shown)} more episodes failed")
    if not keep_going:
        shown.append(
            "A policy that failed starts no further episode; --keep-going (keep_going=True) lets it go on"
        )
    return "\n".join(shown)


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
    env: EnvLike | Sequence[EnvLike] | Mapping[str, EnvLike],
    policies: PolicyLike | Sequence[PolicyLike] | Mapping[str, PolicyLike],
    episodes: int = 20,
    jobs: int | None = None,
    *,
    seed: int = 0,
    engine: EngineLike = "auto",
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
    traces: bool = True,
    on: str = "local",
    keep_going: bool = False,
    fresh: bool = False,
    policy_arguments: Mapping[str, Mapping[str, Any]] | None = None,
    **env_arguments: Any,
) -> Run:
    """Run every policy on every environment, over the task indices 0 to ``episodes`` - 1.

    The Python form of ``atommem run``. For example::

        run = atommem_env.evaluate("AtomMem-HotpotQA-v0", ["rag", "memagent"], episodes=20, num_docs=50)
        print(run)

    Args:
        env: an id, an id with its own arguments (``"AtomMem-HotpotQA-v0[num_docs=800]"``), a
            specification or an environment, or a list of them. An environment that is made already is used as
            it is, wrappers included. A dict gives them names of your own.
        policies: one or several of: a known name (``"rag"``), ``"module:Class"``, a class or function that
            makes a policy (called for each episode), a policy (used for all episodes; its ``reset`` must make
            it forget the last one). A dict gives them names of your own.
        episodes: the number of tasks; at most that of the histories where a task is a whole one.
        jobs: how many episodes to run at once: in processes, one for each core with 0, and then a script's call
            must stand under ``if __name__ == "__main__":``; with a language model in threads. ``None``: one, and
            with a chat endpoint as many as its ``concurrency``, with a model in this process its ``batch``. On Ray: the
            number of its actors, each of which runs one episode at a time; ``None`` or 0: one for each of the
            cluster's CPUs. The result does not depend on it, but for a model in this process, whose batches it sizes.
        seed: the seed of named policies, and of ``engine="llm"``.
        engine: the engine of named policies: ``"auto"`` (``"world"`` where the generated world wrote the data, else
            ``"rules"``), ``"llm"`` (the model of ``$ATOMMEM_MODEL``, behind an endpoint), ``"local"`` (the same,
            in this process), ``ChatSettings(model=..., base_url=...)``, or ``LocalSettings(model=...)``.
        out: the folder of the run. The same call with the same folder goes on where the last one stopped; one
            with further environments, policies or episodes adds them. What was made by other code, weights or
            values than are here now is done again, with a :class:`~atommem_env.runs.errors.RunWarning`.
            ``None``: the episodes are kept in memory only.
        progress: whether to show a progress bar (on a terminal only).
        traces: whether to keep the episodes' traces in ``out``.
        on: where the episodes run: ``"local"``, this machine, or ``"ray"``, the Ray cluster that this process is
            connected to, else that of ``$RAY_ADDRESS``, else one that is started here for the run.
        keep_going: whether a policy that raised goes on with its next episode; the others go on in any case.
        fresh: whether a run that is in ``out`` is done again, all of it.
        policy_arguments: for policies by name, what they are made with: ``{"rag": {...}}``.
        **env_arguments: the arguments of the environments: ``source``, ``split``, ``num_docs`` and so on.

    Returns:
        The run: its settings, its episodes, and its table (``print(run)``).

    Raises:
        ValueError: when an argument is out of range or names something that does not exist, or when ``out``
            holds another run or is in use by another process.
        EpisodeError: when a policy or an environment raised, once the others have ended; all episodes that ended
            are in ``out``.
        ImportError: when what ``on`` needs is missing.
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
    return execute(plan, jobs, out, progress, traces=traces, on=on, keep_going=keep_going, fresh=fresh)


def _jobs(plan: Plan, jobs: int | None, on: str) -> int:
    if on == RAY:
        return _whole("jobs", 0 if jobs is None else jobs, 0)
    if jobs is not None:
        return _whole("jobs", jobs, 0) or os.cpu_count() or 1
    return max([int(getattr(policy.engine, "concurrency", 1)) for policy in plan.policies])


def _outcomes(
    plan: Plan, work: Work, todo: _Waiting, jobs: int, on: str
) -> Generator[Outcome | Failure, None, None]:
    """Yield the results of the episodes, in any order."""
    if on == RAY:
        from atommem_env.integrations.ray import run_on_ray

        yield from run_on_ray(work, todo, jobs)
        return
    if jobs > 1 and len(todo) > 1:
        yield from (run_in_threads if plan.waits else run_in_processes)(work, todo, jobs)
        return
    runner = Runner(work)
    try:
        for key in todo:
            yield runner.run(key)
    finally:
        runner.close()


def _describe(variant: EnvVariant) -> dict[str, Any]:
    env = variant.make()
    try:
        return variant.describe(env)
    finally:
        if env is not variant.given:
            env.close()


def _notes(env: dict[str, Any], episodes: int) -> Iterator[str]:
    """Tell where an environment has fewer tasks than episodes are asked for; a whole history is run once."""
    tasks, wanted = env["num_tasks"], env.get("episodes", episodes)
    if tasks is None or wanted <= tasks:
        return
    if env["arguments"].get("num_questions", 0) is None:
        env["episodes"] = tasks
        count = "one history: it" if tasks == 1 else f"{tasks} histories: each"
        yield f"{env['name']} has {count} is read once by each policy, not in {wanted} episodes"
    else:
        yield (
            f"{env['name']} has {tasks} tasks before its questions repeat, in other groups; "
            f"{wanted} episodes go beyond that"
        )


def _short(name: str) -> str:
    """Return ``name`` as a part of a file name: ``AtomMem-HotpotQA-v0`` becomes ``hotpotqa``."""
    name = re.sub(r"^.*:|^AtomMem-|-v\d+$", "", name)
    return re.sub(r"[^\w-]+", "-", name).strip("-").lower() or "run"


def _whole(name: str, value: int, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise RunError(f"{name}={value!r}: expected a whole number of at least {low}")
    return value
