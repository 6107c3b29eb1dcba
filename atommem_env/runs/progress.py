"""A progress bar on the terminal, or in a notebook: what is done, and the time that is left."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from atommem_env.core.bars import bar_class

Advance = Callable[[], None]


@contextlib.contextmanager
def progress_bar(total: int, done: int, show: bool, what: str = "episodes") -> Iterator[Advance]:
    """Show a bar while the context lasts; yields what is called after each of ``total``.

    Args:
        total: how many there are in all.
        done: those that are there already.
        show: whether to; nothing is shown either outside notebooks when standard error is not a terminal.
        what: what they are called.
    """
    if not show or done == total:
        yield lambda: None
        return
    tqdm = bar_class()
    in_notebook = any(parent.__module__ == "tqdm.notebook" for parent in tqdm.__mro__)
    hidden = not in_notebook and not sys.stderr.isatty()
    with tqdm(total=total, initial=done, desc=what, unit="", disable=hidden) as bar:
        yield lambda: bar.update() and None
