"""A run over a Ray cluster: actors run its episodes and are sent their keys, never documents.

Tested with ray 2.60 and 2.40 (ray core; RLlib is not needed). ``atommem run --on ray`` and ``evaluate(..., on="ray")``
come here; context resets are of no concern, since policies and environments are those of a run on one machine.

Each actor owns a :class:`~atommem_env.runs.execution.Runner`, opens the data on its own node, and runs one
episode after the other, so that a policy that waits for a server is served by more actors, not by threads. It
is given its first key once it is ready and the next with each outcome: a full cluster only makes a run slower.
An actor that is lost takes one episode with it, which another actor runs again.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import sys
import warnings
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from types import ModuleType
from typing import Any, Final

from atommem_env._version import __version__
from atommem_env.integrations.text_episode import load_library
from atommem_env.runs.errors import EpisodeError, RunError
from atommem_env.runs.execution import Failure, Outcome, Runner, Work
from atommem_env.runs.keys import Key
from atommem_env.runs.pools import pickled

_MOST_DEATHS: Final = 3
"""How many actors an episode may cost, or may be lost in a row before they are ready."""

_STORE: Final = 200_000_000
"""Bytes of the object store of a Ray that is started here; it holds a few outcomes at a time."""


def load_ray() -> ModuleType:
    """Import and return Ray.

    Raises:
        ImportError: when it is missing; names the extra.
    """
    return load_library("ray", "ray", "a run on Ray")


def run_on_ray(work: Work, keys: Collection[Key], jobs: int) -> Iterator[Outcome | Failure]:
    """Yield the outcomes of ``keys`` as they come, from ``jobs`` actors; 0: as many as the cluster has CPUs.

    The cluster is the one this process is connected to, else that of ``$RAY_ADDRESS``, else one that is started
    on this machine and ends with the run.

    Raises:
        ImportError: when Ray is missing.
        RunError: when something of the run cannot be sent to an actor, an actor cannot open it, or an episode
            has cost three actors; the episodes that ended were yielded before.
    """
    if not keys:
        return
    ray = load_ray()
    payload = pickled(work, ray.cloudpickle.dumps)
    with _connected(ray, jobs):
        size = jobs or int(ray.cluster_resources().get("CPU", 1))
        team = _Team(ray, payload)
        try:
            yield from team.run(keys, size)
        finally:
            team.dismiss()


@contextlib.contextmanager
def _connected(ray: ModuleType, jobs: int) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    try:
        if os.environ.get("RAY_ADDRESS"):
            ray.init(log_to_driver=False, logging_level="ERROR")
        else:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init(
                "local",
                num_cpus=jobs or None,
                object_store_memory=_STORE,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
            )
        yield
    finally:
        ray.shutdown()


class _Team:
    """The actors of a run, and what each is doing.

    Args:
        ray: the library.
        payload: the pickled work.
    """

    def __init__(self, ray: ModuleType, payload: bytes) -> None:
        self._ray = ray
        self._make = ray.remote(num_cpus=1)(_Worker)
        self._opening = (__version__, os.getcwd(), list(sys.path), ray.put(payload))
        self._calls: dict[Any, tuple[Any, Key | None]] = {}  # actor and key by reference; no key: it opens

    def run(self, keys: Collection[Key], size: int) -> Iterator[Outcome | Failure]:
        """Yield the outcomes of ``keys`` as they come, from at most ``size`` actors."""
        waiting, lost = iter(keys), deque[Key]()
        deaths: Counter[Key | None] = Counter()
        for _ in range(min(size, len(keys))):
            self._hire()
        while self._calls:
            (reference,), _ = self._ray.wait(list(self._calls))
            worker, key = self._calls.pop(reference)
            try:
                outcome = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                yield from self._ended()
                raise error.cause from error
            except self._ray.exceptions.RayError as error:
                self._ray.kill(worker)
                deaths[key] += 1
                if deaths[key] == _MOST_DEATHS:
                    yield from self._ended()
                    raise RunError(_fatal(key, error)) from error
                if key is not None:
                    lost.append(key)  # last, so that one that kills every actor holds up no other
                self._hire()
                continue
            deaths.pop(key, None)
            if isinstance(outcome, Failure):  # first, since a policy that failed may start no further episode
                yield outcome
                outcome = None
            following = next(waiting, None) or (lost.popleft() if lost else None)
            if (
                following is not None
            ):  # before the outcome is written, so that the actor need not wait for that
                self._calls[worker.run.remote(following)] = worker, following
            else:
                self._ray.kill(worker)  # its place may be needed for one that replaces a lost one
            if outcome is not None:
                yield outcome

    def dismiss(self) -> None:
        """End all actors, whatever they are doing."""
        for worker, _ in self._calls.values():
            self._ray.kill(worker)

    def _hire(self) -> None:
        worker = self._make.remote()
        self._calls[worker.open.remote(*self._opening)] = worker, None

    def _ended(self) -> Iterator[Outcome | Failure]:
        """Yield the outcomes that are there already, so that an error costs no episode that ended."""
        ready, _ = self._ray.wait(list(self._calls), num_returns=max(1, len(self._calls)), timeout=0)
        for reference in ready:
            with contextlib.suppress(self._ray.exceptions.RayError):
                outcome = self._ray.get(reference)
                if outcome is not None:
                    yield outcome


def _fatal(key: Key | None, error: Exception) -> str:
    said = str(error).strip().splitlines()[-1]
    if key is None:
        return f"{_MOST_DEATHS} workers in a row died before they were ready. Ray says: {said}"
    env, policy, index = key
    return (
        f"policy {policy!r} on {env}, task index {index}: its worker died {_MOST_DEATHS} times. If memory ran out, use "
        f"fewer jobs. Ray says: {said}"
    )


class _Worker:
    """What an actor is: it opens the run once, then runs episodes."""

    def open(self, version: str, folder: str, paths: Sequence[str], payload: bytes) -> None:
        """Prepare for episodes.

        Args:
            version: the version of this package in the run's own process.
            folder: the current folder there, for relative paths; a node that lacks it keeps its own.
            paths: where modules are found there; they come after this node's own.
            payload: the pickled work.

        Raises:
            RunError: when this node has another version, or lacks a module of the run.
        """
        from atommem_env.data.sources import GeneratedDataWarning

        if version != __version__:
            raise RunError(
                f"{_here()} has atommem_env {__version__}, the run's own process {version}: install the same version "
                "on all nodes"
            )
        with contextlib.suppress(OSError):
            os.chdir(folder)
        sys.path += [path for path in paths if path not in sys.path]
        warnings.simplefilter("ignore", GeneratedDataWarning)  # the run's own process has said so
        with _placed():
            self._runner = Runner(pickle.loads(payload))

    def run(self, key: Key) -> Outcome | Failure:
        """Run one episode.

        Raises:
            RunError: when this node cannot make the environment.
        """
        with _placed():
            return self._runner.run(key)


@contextlib.contextmanager
def _placed() -> Iterator[None]:
    """Say on which node something is missing."""
    try:
        yield
    except EpisodeError:
        raise
    except Exception as error:
        raise RunError(
            f"{_here()}: {type(error).__name__}: {error}. Every node needs the run's data at the same path, and the "
            "modules of its environments and policies"
        ) from error


def _here() -> str:
    return f"the worker on {socket.gethostname()}"
