"""Finding a benchmark's official file in a folder, and what split a file's name says it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Final

from atommem_env.data.benchmark import Benchmark
from atommem_env.data.sources.reading import read_rows

_SPLIT_WORDS: Final = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_ENDINGS: Final = (".json", ".jsonl", ".parquet")


def looks_like_path(source: str) -> bool:
    """Return whether ``source`` is written like a path, so that a missing file is the better error."""
    return (
        source.startswith((".", "~"))
        or "/" in source
        or "\\" in source
        or _plain_name(source).endswith(_ENDINGS)
    )


def check_split(path: Path, split: str) -> None:
    """Refuse a file whose name names another split.

    Raises:
        ValueError: when it does; says which split to pass.
    """
    words = re.split("[^a-z]+", path.name.lower())
    named = list(dict.fromkeys(_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS))
    if named and split not in named:
        choices = " or ".join(f"split={name!r}" for name in named)
        raise ValueError(f"split={split!r} but the file's name says otherwise: {path.name}; pass {choices}")


def find_file(benchmark: Benchmark, folder: Path, split: str) -> Path | None:
    """Return the benchmark's official file of ``split`` in ``folder`` or one level below, or ``None``.

    Raises:
        ValueError: when several files fit equally well; lists them.
    """
    files = _files(folder)
    for pattern in benchmark.file_patterns.get(split, ()):
        found = _without_twins([path for path in files if _fits(path, folder, pattern, benchmark)])
        if len(found) > 1:
            listing = ", ".join(str(path.relative_to(folder)) for path in found)
            raise ValueError(
                f"{folder} has several {benchmark.title} files for split={split!r}: {listing}; "
                "pass the path of the one to use"
            )
        if found:
            return found[0]
    return None


def no_file_error(benchmark: Benchmark, folder: Path, split: str) -> FileNotFoundError:
    """Return the error for a folder without an official file: what was looked for, and what is there."""
    patterns = ", ".join(benchmark.file_patterns.get(split, ()))
    there = [str(path.relative_to(folder)) for path in _files(folder)]
    listing = ", ".join(there[:20]) + (f" and {len(there) - 20} more" if len(there) > 20 else "")
    looked_for = (
        f"looked for {patterns} (also with .gz), here and one level below"
        if patterns
        else "give a file's path"
    )
    return FileNotFoundError(
        f"{folder} has no {benchmark.title} file for split={split!r}: {looked_for}; "
        f"data files there: {listing or 'none'}"
    )


def _files(folder: Path) -> list[Path]:
    found: Iterable[Path] = (path for pattern in ("*", "*/*") for path in folder.glob(pattern))
    return sorted(path for path in found if _plain_name(path.name).endswith(_ENDINGS) and path.is_file())


def _plain_name(name: str) -> str:
    return name.lower().removesuffix(".gz")


def _fits(path: Path, folder: Path, pattern: str, benchmark: Benchmark) -> bool:
    name = _plain_name(path.name)
    if pattern.startswith("./"):
        return path.parent == folder and fnmatchcase(name, pattern[2:]) and _readable(path, benchmark)
    if "/" in pattern:
        return fnmatchcase(f"{path.resolve().parent.name.lower()}/{name}", pattern)
    return fnmatchcase(name, pattern)


def _readable(path: Path, benchmark: Benchmark) -> bool:
    """Return whether the file's first row is one of the benchmark: its name alone does not say so."""
    try:
        for row in islice(read_rows(path), 1):
            benchmark.parse(row.value)
    except (ValueError, TypeError, OSError):
        return False
    return True


def _without_twins(paths: Sequence[Path]) -> list[Path]:
    """Leave out each gzipped file that lies beside its own unpacked form."""
    return [path for path in paths if path.suffix != ".gz" or path.with_suffix("") not in paths]
