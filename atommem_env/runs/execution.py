"""Carries out the episodes of a run, in this process or in several, with the same records."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from atommem_env.policies import Trace, rollout
from atommem_env.runs.errors import EpisodeError, RunError
from atommem_env.runs.folder import Key
from atommem_env.runs.recipes import EnvRecipe, PolicyRecipe

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_GRACE = 2.0
"""Seconds that a worker has to end its episode once its run has stopped."""

Outcome = tuple[dict[str, Any], float]
"""An episode's record, and the seconds that it took."""


class Runner:
    """Runs episodes by their keys; makes each environment once and each named policy for each episode.

    Args:
        envs: the environments.
        policies: the policies.
    """

    def __init__(self, envs: Sequence[EnvRecipe], policies: Sequence[PolicyRecipe]) -> None:
        self._envs = {recipe.id: recipe for recipe in envs}
        self._policies = {recipe.name: recipe for recipe in policies}
        self._made: dict[str, gym.Env[Any, Any]] = {}

    def env(self, id: str) -> gym.Env[Any, Any]:
        """Return the environment ``id``."""
        if id not in self._made:
            self._made[id] = self._envs[id].make()
        return self._made[id]

    def run(self, key: Key) -> Outcome:
        """Run one episode.

        Raises:
            EpisodeError: when the policy or the environment raises.
        """
        start = time.perf_counter()
        trace, engine = self.trace(key)
        env, policy, index = key
        record = {
            "env": env,
            "policy": policy,
            "engine": engine,
            "task_id": trace.task_id,
            "task_index": index,
            "source": trace.source,
            "metrics": trace.metrics,
        }
        return record, time.perf_counter() - start

    def trace(self, key: Key) -> tuple[Trace, str | None]:
        """Run one episode and return its trace, and the name of the policy's engine (``None``: it has none).

        Raises:
            EpisodeError: when the policy or the environment raises.
        """
        id, name, index = key
        env = self.env(id)
        try:
            policy = self._policies[name].make()
            trace = rollout(env, policy, seed=index, options={"task_index": index})
        except Exception as error:
            raise EpisodeError(
                f"policy {name!r} on {id}, task index {index}: {type(error).__name__}: {error}"
            ) from error
        return trace, getattr(policy, "engine_name", None)

    def close(self) -> None:
        """Close the environments that were made here."""
        for id, env in self._made.items():
            if not isinstance(self._envs[id].given, gym.Env):
                env.close()
        self._made.clear()


def run_in_processes(
    envs: Sequence[EnvRecipe], policies: Sequence[PolicyRecipe], keys: Sequence[Key], jobs: int
) -> Iterator[Outcome]:
    """Yield the outcomes of ``keys`` as they come, from ``jobs`` processes.

    Raises:
        RunError: when something of the run cannot be sent to a process, or a process dies.
        EpisodeError: when a policy or an environment raises.
    """
    import multiprocessing
    from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
    from concurrent.futures.process import BrokenProcessPool

    payload = _pickled(envs, policies)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    workers = min(jobs, len(keys))
    executor = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(receiver, payload, workers)
    )
    waiting = iter(keys)
    running: set[Future[Outcome]] = set()
    try:
        while True:
            for key in itertools.islice(waiting, 2 * jobs - len(running)):
                with _interrupts_held():
                    running.add(executor.submit(_run_in_worker, key))
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda future: future.exception() is not None):
                yield future.result()  # an error comes last, so that it costs no episode that ended
        executor.shutdown()
    except BrokenProcessPool as error:
        raise RunError(
            f"jobs={jobs}: a worker process died. If memory ran out, use fewer jobs; if this is a script, "
            "put the call under `if __name__ == '__main__':`, since each worker imports the script anew"
        ) from error
    finally:
        sender.close()  # tells the workers to stop, as this process's death does
        executor.shutdown(cancel_futures=True)
        receiver.close()


def _pickled(envs: Sequence[EnvRecipe], policies: Sequence[PolicyRecipe]) -> bytes:
    try:
        return pickle.dumps((tuple(envs), tuple(policies)))
    except Exception as error:  # an object's own methods may raise anything
        raise RunError(
            "jobs > 1 sends environments and policies to other processes, and one cannot be pickled "
            f"({error}): pass names, 'module:Class' or classes of a module, or use jobs=1"
        ) from error


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back; a process that is started meanwhile never gets it, and stops when its run does."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_runner: Runner | None = None


def _start_worker(stop: Connection, payload: bytes, workers: int) -> None:
    from atommem_env.data.sources import GeneratedDataWarning
    from atommem_env.retrieval.threads import share_cores

    global _runner
    share_cores(workers)
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_run, args=(stop,), daemon=True).start()
    warnings.simplefilter("ignore", GeneratedDataWarning)  # the run's own process has said so
    _runner = Runner(*pickle.loads(payload))


def _leave_with_run(stop: Connection) -> None:
    with contextlib.suppress(OSError, EOFError):
        stop.poll(None)
    time.sleep(_GRACE)
    os._exit(1)


def _run_in_worker(key: Key) -> Outcome:
    if _runner is None:
        raise RuntimeError("the worker was not started")
    return _runner.run(key)
