"""``module:name``: what it finds, and what it says when it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atommem_env.core.resolve import is_reference, resolve


def test_it_finds_objects_in_dotted_modules_under_dotted_names() -> None:
    assert resolve("json:dumps") is json.dumps
    assert resolve("json.decoder:JSONDecoder.decode") is json.JSONDecoder.decode


@pytest.mark.parametrize(
    "spec", ["bm25", "", ":", "json:", ":dumps", "a b:c", "json:dumps:x", "C:\\data", "org/m"]
)
def test_another_form_is_no_reference_and_an_error(spec: str) -> None:
    assert not is_reference(spec)
    with pytest.raises(ValueError, match="expected 'module:name'"):
        resolve(spec)


def test_only_a_str_is_a_reference() -> None:
    assert is_reference("json:dumps")
    assert not is_reference(b"json:dumps")
    assert not is_reference(None)


def test_a_module_that_fails_while_it_is_imported_is_named_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module_that_fails.py").write_text("raise RuntimeError('no such luck')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"'module_that_fails' failed with RuntimeError: no such luck"):
        resolve("module_that_fails:thing")
    with pytest.raises(ValueError, match=r"ModuleNotFoundError.*PYTHONPATH"):
        resolve("module_that_is_not_there:thing")


def test_a_name_that_is_not_there_is_an_error_with_the_nearest_names() -> None:
    with pytest.raises(ValueError, match=r"'json' has no attribute 'dump_s'; did you mean 'dumps'"):
        resolve("json:dump_s")
    with pytest.raises(ValueError, match=r"'json.JSONDecoder' has no attribute 'zzz'; check its spelling"):
        resolve("json:JSONDecoder.zzz")
