"""Workers that share a machine's cores."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from atommem_env.retrieval import share_cores, threads


class Libraries:
    """Stand in for torch and threadpoolctl, which note what they are told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
        self.told: list[int] = []
        self.environment = environment
        library = SimpleNamespace(
            set_num_threads=self.told.append, threadpool_limits=lambda limits: self.told.append(limits)
        )
        monkeypatch.setitem(sys.modules, "torch", library)
        monkeypatch.setitem(sys.modules, "threadpoolctl", library)
        monkeypatch.setattr(threads, "os", SimpleNamespace(environ=environment))
        monkeypatch.setattr(threads, "_cores", lambda: 8)


@pytest.mark.parametrize(("processes", "share"), [(1, 8), (3, 2), (20, 1)])
def test_each_process_gets_its_share_and_one_thread_at_least(
    monkeypatch: pytest.MonkeyPatch, processes: int, share: int
) -> None:
    libraries = Libraries(monkeypatch, {"MKL_NUM_THREADS": "5"})
    assert share_cores(processes) == share
    assert libraries.told == [share, share]
    # For what is loaded later, too; a number that the user set stands.
    assert libraries.environment["OPENBLAS_NUM_THREADS"] == str(share)
    assert libraries.environment["MKL_NUM_THREADS"] == "5"


def test_a_number_for_all_libraries_that_the_user_set_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = Libraries(monkeypatch, {"OMP_NUM_THREADS": "5"})
    assert share_cores(2) is None
    assert libraries.told == []
    assert libraries.environment == {"OMP_NUM_THREADS": "5"}


def test_without_the_libraries_the_variables_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = Libraries(monkeypatch, {})
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert share_cores(4) == 2
    assert libraries.told == []
    assert libraries.environment["OMP_NUM_THREADS"] == "2"


def test_there_is_a_core_to_share() -> None:
    assert threads._cores() >= 1
    with pytest.raises(ValueError, match="at least 1 process"):
        share_cores(0)
