"""The progress bar: on a terminal or in a notebook, and else silent."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType
from typing import Any

import pytest
import tqdm.auto

from atommem_env.core.bars import bar_class
from atommem_env.runs.progress import progress_bar


class Notebook(tqdm.auto.tqdm):  # type: ignore[misc]
    """Stands for the bar of a notebook, which is told by its module."""


Notebook.__module__ = "tqdm.notebook"


@pytest.mark.parametrize(
    ("terminal", "kind", "shown"),
    [(True, tqdm.auto.tqdm, True), (False, tqdm.auto.tqdm, False), (False, Notebook, True)],
)
def test_it_is_shown_where_somebody_sees_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal: bool,
    kind: Any,
    shown: bool,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(tqdm.auto, "tqdm", kind)
    with progress_bar(3, 1, True, "answers") as advance:
        advance()
        advance()
    told = capsys.readouterr().err
    assert ("answers" in told and "3/3" in told) == shown
    assert bool(told) == shown


@pytest.mark.parametrize(("total", "done", "show"), [(3, 1, False), (3, 3, True)])
def test_it_is_not_shown_unasked_or_when_all_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total: int, done: int, show: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress_bar(total, done, show) as advance:
        advance()
    assert capsys.readouterr().err == ""


def test_a_notebook_without_widgets_gets_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("tqdm.auto")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", ModuleType("ipykernel.zmqshell"))
    shell = ModuleType("IPython")
    shell.get_ipython = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", shell)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        bar_class()
    assert told == []
