"""What the OpenEnv adapter does without OpenEnv."""

from __future__ import annotations

import sys

import pytest

from atommem_env.integrations import openenv
from atommem_env.integrations.openenv.__main__ import main


@pytest.fixture
def _missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openenv.core", None)


@pytest.mark.usefixtures("_missing")
@pytest.mark.parametrize("name", openenv.__all__)
def test_a_missing_library_names_the_extra(name: str) -> None:
    with pytest.raises(ImportError, match=r"pip install 'atommem_env\[openenv\]'"):
        getattr(openenv, name)


@pytest.mark.usefixtures("_missing")
def test_the_command_says_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--arg", "num_docs=50"])
    assert stopped.value.code == 2
    assert "pip install 'atommem_env[openenv]'" in capsys.readouterr().err


def test_the_command_refuses_an_argument_of_another_form(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--arg", "num_docs"])
    assert "--arg 'num_docs': expected KEY=VALUE" in capsys.readouterr().err


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'AtomMemServer'"):
        _ = openenv.AtomMemServer
