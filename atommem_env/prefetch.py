"""One background thread in which an environment and its siblings have their next tasks put together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    from atommem_env.tasks.task import Task


class Prefetcher:
    """Builds tasks in a thread that lasts until all who use it have left; it pickles without what goes on."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._users: WeakSet[Any] = WeakSet()

    def __reduce__(self) -> tuple[type[Prefetcher], tuple[()]]:
        return Prefetcher, ()

    def start(self, user: object, build: Callable[[int], Task], index: int) -> Future[Task]:
        """Have ``build(index)`` called for ``user``, after what was asked for before."""
        self._users.add(user)
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="atommem-prefetch")
        return self._executor.submit(build, index)

    def leave(self, user: object) -> None:
        """Note that ``user`` is done; the last one ends the thread."""
        self._users.discard(user)
        if self._executor is not None and not self._users:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None
