"""Many episodes at once: in processes, or in threads where an engine waits for a server."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import queue
import signal
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Final

from atommem_env.runs.engines import begin_together
from atommem_env.runs.errors import RunError, Stopped
from atommem_env.runs.execution import Failure, Outcome, Runner, Work
from atommem_env.runs.keys import Key

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_GRACE: Final = 2.0
"""Seconds that a worker has to end its episode, or a thread its step, once the run has stopped."""


def run_in_processes(work: Work, keys: Collection[Key], jobs: int) -> Iterator[Outcome | Failure]:
    """Yield the outcomes of ``keys`` as they come, from ``jobs`` processes.

    Raises:
        RunError: when something of the run cannot be sent to a process, or a process dies.
    """
    import multiprocessing
    from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
    from concurrent.futures.process import BrokenProcessPool

    payload = pickled(work)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    workers = min(jobs, len(keys))
    executor = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(receiver, payload, workers)
    )
    waiting = iter(keys)
    running: set[Future[Outcome | Failure]] = set()
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
            "put the call under `if __name__ == '__main__':`, since each worker imports the script again"
        ) from error
    finally:
        sender.close()  # tells the workers to stop, as this process's death does
        executor.shutdown(cancel_futures=True)
        receiver.close()


def pickled(work: Work, dumps: Callable[[Work], bytes] = pickle.dumps) -> bytes:
    """Return ``work`` as workers are sent it.

    Raises:
        RunError: when something of it cannot be pickled.
    """
    try:
        return dumps(work)
    except Exception as error:  # an object's own methods may raise anything
        raise RunError(
            "each worker has its own copies of environments and policies, and one cannot be pickled "
            f"({error}): pass names, 'module:Class' or classes of a module, or use jobs=1 and on='local'"
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
    _runner = Runner(pickle.loads(payload))


def _leave_with_run(stop: Connection) -> None:
    with contextlib.suppress(OSError, EOFError):
        stop.poll(None)
    time.sleep(_GRACE)
    os._exit(1)


def _run_in_worker(key: Key) -> Outcome | Failure:
    if _runner is None:
        raise RuntimeError("the worker was not started")
    return _runner.run(key)


# --- threads ----------------------------------------------------------------------------------------


class _Threads:
    """Threads that run episodes, each with environments and policies of its own.

    They are daemons, so that one that waits for a server does not hold up a program that ends.
    """

    def __init__(self, work: Work, keys: Collection[Key], jobs: int) -> None:
        payload = pickled(work)
        self.outcomes: queue.SimpleQueue[Outcome | Failure | BaseException] = queue.SimpleQueue()
        self._waiting = iter(keys)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        count = min(jobs, len(keys))
        self._ends = begin_together([policy.engine for policy in work.policies], count)
        self._threads = [
            threading.Thread(target=self._run, args=(payload,), name=f"atommem-run-{number}", daemon=True)
            for number in range(count)
        ]
        self.running = len(self._threads)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let no thread take another step, and give them some time to notice."""
        self._stop.set()
        deadline = time.monotonic() + _GRACE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, payload: bytes) -> None:
        try:
            runner = Runner(pickle.loads(payload), self._check)
            try:
                while (key := self._next()) is not None:
                    self.outcomes.put(runner.run(key))
            finally:
                runner.close()
        except BaseException as error:
            self.outcomes.put(error)
        else:
            self.outcomes.put(Stopped())
        finally:
            for end in self._ends:
                end()

    def _next(self) -> Key | None:
        with self._lock:
            return None if self._stop.is_set() else next(self._waiting, None)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped


def run_in_threads(work: Work, keys: Collection[Key], jobs: int) -> Iterator[Outcome | Failure]:
    """Yield the outcomes of ``keys`` as they come, from ``jobs`` threads.

    Raises:
        RunError: when something of the run cannot be copied for a thread.
    """
    threads = _Threads(work, keys, jobs)
    try:
        while threads.running:
            outcome = threads.outcomes.get()
            if isinstance(outcome, Stopped):
                threads.running -= 1
            elif isinstance(outcome, BaseException):
                threads.stop()
                yield from _finished(threads)
                raise outcome
            else:
                yield outcome
    finally:
        threads.stop()


def _finished(threads: _Threads) -> Iterator[Outcome | Failure]:
    """Yield the outcomes that came before the threads stopped."""
    with contextlib.suppress(queue.Empty):
        while True:
            outcome = threads.outcomes.get_nowait()
            if not isinstance(outcome, BaseException):
                yield outcome
