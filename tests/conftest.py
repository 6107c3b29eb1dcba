"""What tests share: the folder of real samples, a chat endpoint, and a cache folder of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fake_server import FakeServer, serving

# Tests never assert a time, however busy the machine is, and whether or not coverage is measured.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--faults N``: how many faults the fuzzers of files plant in each kind."""
    parser.addoption(
        "--faults", type=int, default=3, help="faults of each kind in tests/fuzz (for example 450)"
    )


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real benchmark samples next to the project's root; skips when it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the benchmark samples are not here")
    return folder


@pytest.fixture(scope="session")
def chat_server() -> Iterator[FakeServer]:
    """A scripted chat endpoint; each test begins it again with ``chat_server.begin(...)``."""
    with serving() as made:
        yield made


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep converted data of the tests out of the user's cache, for this process and its children.

    The workers of one session share the folder, as processes of one user do.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    os.environ["ATOMMEM_CACHE"] = str(base / "cache")
    os.environ.pop("ATOMMEM_DATA", None)
    os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _interrupts() -> None:
    """Let processes that tests start be interrupted: one started in the background would ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
