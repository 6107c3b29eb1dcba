"""Worker processes that each hold one object: calls go to all of them at once, and exceptions come back."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
import traceback
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Final

from atommem_env.retrieval.threads import share_cores

_PATIENCE: Final = 5.0
"""Seconds that a worker has to end by itself when it is closed."""


class WorkerError(Exception):
    """The cause of an exception that a worker raised: where it was raised there, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class Workers:
    """One process (``spawn``) for each of ``makers``, which makes an object with a method ``close`` there.

    A worker ends when :meth:`close` is called, when this object is collected, and when this process ends.

    Args:
        makers: callables without arguments that pickle.

    Raises:
        Exception: what a maker raised, caused by a :class:`WorkerError`.
        RuntimeError: when a worker ended before it was ready.
    """

    def __init__(self, makers: Sequence[Callable[[], object]]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connections: list[Connection] = []
        self._processes: list[SpawnProcess] = []
        self._whole = True
        self._finalizer = weakref.finalize(self, _end, self._connections, self._processes)
        try:
            for number, maker in enumerate(makers):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_work,
                    args=(theirs, maker, len(makers)),
                    name=f"atommem-worker-{number}",
                    daemon=True,
                )
                self._connections.append(ours)
                process.start()
                self._processes.append(process)
                theirs.close()
            self._receive()
        except BaseException:
            self.close()
            raise

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call ``method`` of each worker's object with its element of ``arguments``; return what they return.

        Raises:
            Exception: what the first worker that failed raised, caused by a :class:`WorkerError`; the
                others have done their part.
            RuntimeError: when a worker has died, or an earlier call was interrupted.
        """
        if not self._whole:
            raise RuntimeError(
                "the worker processes have died or a call to them was interrupted, so that their answers no longer "
                "fit: call close() and make a new environment"
            )
        messages = [pickle.dumps((method, each), pickle.HIGHEST_PROTOCOL) for each in arguments]
        self._whole = False
        for number, (connection, message) in enumerate(zip(self._connections, messages, strict=True)):
            self._send(number, connection, message)
        return self._receive()

    def close(self) -> None:
        """End all processes; calling it again does nothing."""
        self._whole = False
        self._finalizer()

    def _send(self, number: int, connection: Connection, message: bytes) -> None:
        try:
            connection.send_bytes(message)
        except OSError:
            raise self._died(number) from None

    def _receive(self) -> list[Any]:
        """Return one answer of each worker, in order."""
        self._whole = False
        answers: list[Any] = []
        failure: tuple[BaseException, str] | None = None
        for number, connection in enumerate(self._connections):
            try:
                answer, error, text = pickle.loads(connection.recv_bytes())
            except (EOFError, OSError):
                raise self._died(number) from None
            answers.append(answer)
            if error is not None and failure is None:
                failure = error, text
        self._whole = True
        if failure is not None:
            raise failure[0] from WorkerError(failure[1])
        return answers

    def _died(self, number: int) -> RuntimeError:
        process = self._processes[number]
        process.join(_PATIENCE)
        return RuntimeError(
            f"worker {number} has ended with exit code {process.exitcode}; see what it printed. A program that uses "
            "num_workers must start below `if __name__ == '__main__':`, since a worker imports its file"
        )


def _end(connections: list[Connection], processes: list[SpawnProcess]) -> None:
    """Let the processes end, or end them, and close what led to them."""
    for connection in connections:
        connection.close()  # a worker ends when nobody can call it any more
    for process in processes:
        process.join(_PATIENCE)
        for stop in (process.terminate, process.kill):
            if process.is_alive():
                stop()
                process.join(_PATIENCE)
        process.close()
    connections.clear()
    processes.clear()


def _work(connection: Connection, maker: Callable[[], object], count: int) -> None:
    """Be one of ``count`` workers: make the object, then answer calls until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends its workers
    share_cores(count)
    made: list[Any] = []

    def call(message: bytes) -> object:
        method, arguments = pickle.loads(message)
        return getattr(made[0], method)(*arguments)

    with contextlib.suppress(EOFError, OSError):
        connection.send_bytes(_answer(lambda: made.append(maker())))
        while True:
            connection.send_bytes(_answer(partial(call, connection.recv_bytes())))
    for thing in made:
        thing.close()


def _answer(function: Callable[[], object]) -> bytes:
    """Return the message that what ``function`` returns or raises becomes."""
    try:
        return pickle.dumps((function(), None, ""), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return _failure(error, traceback.format_exc())


def _failure(error: Exception, text: str) -> bytes:
    """Return the message that an exception becomes; one that does not pickle becomes a RuntimeError."""
    try:
        message = pickle.dumps((None, error, text), pickle.HIGHEST_PROTOCOL)
        pickle.loads(message)
    except Exception:
        said = RuntimeError(f"{type(error).__name__}: {error}")
        message = pickle.dumps((None, said, text), pickle.HIGHEST_PROTOCOL)
    return message
