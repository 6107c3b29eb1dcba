"""A progress bar on the terminal: what is done, and the time that is left."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

Advance = Callable[[], None]


@contextlib.contextmanager
def progress_bar(total: int, done: int, show: bool, what: str = "episodes") -> Iterator[Advance]:
    """Show a bar on standard error while the context lasts; yields what is called after each of ``total``.

    Args:
        total: how many there are in all.
        done: those that are there already.
        show: whether to; nothing is shown either when standard error is no terminal.
        what: what they are called.
    """
    if not show or not sys.stderr.isatty() or done == total:
        yield lambda: None
        return
    try:
        import rich.progress
    except ImportError:
        with _plain_bar(total, done, what) as advance:
            yield advance
        return
    from rich.console import Console

    columns = (
        rich.progress.TextColumn(what),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("left"),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, completed=done)
        yield lambda: bar.advance(task)


@contextlib.contextmanager
def _plain_bar(total: int, done: int, what: str) -> Iterator[Advance]:
    from tqdm import tqdm

    with tqdm(total=total, initial=done, desc=what, unit="") as bar:
        yield lambda: bar.update() and None
