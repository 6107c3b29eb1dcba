"""The walks of CONTRIBUTING.md lead through files that are there, and are short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "CONTRIBUTING.md"

pytestmark = pytest.mark.skipif(not GUIDE.is_file(), reason="the guide is not next to the tests")


def walks() -> dict[str, list[str]]:
    text = GUIDE.read_text(encoding="utf-8").partition("## Three walks")[2].partition("\n## ")[0]
    parts = re.split(r"^\*\*(.+)\*\*$", text, flags=re.MULTILINE)[1:]
    return {
        title: re.findall(r"^\d+\. `([^`]+)`", steps, flags=re.MULTILINE)
        for title, steps in zip(parts[::2], parts[1::2], strict=True)
    }


def test_there_are_three_walks_of_at_most_eight_files_that_exist() -> None:
    found = walks()
    assert len(found) == 3
    for title, files in found.items():
        assert 1 < len(files) <= 8, title
        assert [file for file in files if not (ROOT / file).is_file()] == [], title
