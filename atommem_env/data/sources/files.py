"""Finding a benchmark's official file in a folder, and what split a file's name says it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Final

from atommem_env.data.benchmark import Benchmark
from atommem_env.data.reading import SPLIT_WORDS, read_rows
from atommem_env.data.sources.hub import complete

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
    named = list(dict.fromkeys(SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS))
    if named and split not in named:
        choices = " or ".join(f"split={name!r}" for name in named)
        raise ValueError(f"split={split!r} but the file's name says otherwise: {path.name}; pass {choices}")


def check_variant(benchmark: Benchmark, path: Path, variant: str | None) -> None:
    """Refuse a file whose name is that of another variant; without a variant every file is fine.

    Raises:
        ValueError: when it is; says which variant to pass.
    """
    name = _plain_name(path.name)
    named = [
        known
        for known in benchmark.variants
        if any(fnmatchcase(name, pattern) for pattern in benchmark.file_patterns.get(known, ()))
    ]
    if variant is not None and named and variant not in named:
        raise ValueError(
            f"{benchmark.part_word}={variant!r} but the file's name says otherwise: {path.name}; pass "
            f"{benchmark.part_word}={named[0]!r}"
        )


def find_files(benchmark: Benchmark, folder: Path, part: str) -> tuple[Path, ...]:
    """Return the file of a split (or a variant) in ``folder`` or up to two levels below; nothing where there is none.

    Official files come first, then the parquet files of the hub's repository, of which it may have several. A
    file that fits a pattern by its name alone must have a row of the benchmark: the same name in another project's
    form is passed over. Of files that fit equally well, the one that lies highest is taken.

    Raises:
        ValueError: when several files fit equally well; lists them.
    """
    files = _files(folder)
    for pattern in benchmark.file_patterns.get(part, ()):
        found = _without_twins([path for path in files if _fits(path, folder, pattern)])
        if any(sign in pattern for sign in "*?/"):
            found = [path for path in found if readable(path, benchmark)]
        found = _highest(found)
        if len(found) > 1:
            listing = ", ".join(str(path.relative_to(folder)) for path in found)
            raise ValueError(
                f"{folder} has several {benchmark.title} files for {benchmark.part_name}={part!r}: {listing}; "
                "pass the path of the one to use"
            )
        if found:
            return (found[0],)
    return _hub_shards(benchmark, folder, part)


def _hub_shards(benchmark: Benchmark, folder: Path, part: str) -> tuple[Path, ...]:
    """Return the files of a copy of the hub's repository, all of its shards, or nothing."""
    for pattern in benchmark.hub_files.get(part, ()):
        for place in (pattern, f"*/{pattern}", f"*/*/{pattern}", Path(pattern).name):
            found = tuple(sorted(path for path in folder.glob(place) if path.suffix == ".parquet"))
            if (
                complete(found)
                and len({path.parent for path in found}) == 1
                and readable(found[0], benchmark)
            ):
                return found
    return ()


def _highest(paths: list[Path]) -> list[Path]:
    depth = min((len(path.parts) for path in paths), default=0)
    return [path for path in paths if len(path.parts) == depth]


def nothing_found(benchmark: Benchmark, folder: Path, part: str) -> str:
    """Say what a folder without an official file was searched for, and what is there."""
    patterns = ", ".join(benchmark.file_patterns.get(part, ()))
    there = [str(path.relative_to(folder)) for path in _files(folder)]
    listing = ", ".join(there[:20]) + (f" and {len(there) - 20} more" if len(there) > 20 else "")
    looked_for = (
        f"looked for {patterns} (also with .gz), here and up to two levels below, with rows of {benchmark.title}"
        if patterns
        else "give a file's path"
    )
    return (
        f"{folder} has no {benchmark.title} file for {benchmark.part_name}={part!r}: {looked_for}; "
        f"data files there: {listing or 'none'}"
    )


def _files(folder: Path) -> list[Path]:
    found: Iterable[Path] = (path for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern))
    return sorted(path for path in found if _plain_name(path.name).endswith(_ENDINGS) and path.is_file())


def _plain_name(name: str) -> str:
    return name.lower().removesuffix(".gz")


def _fits(path: Path, folder: Path, pattern: str) -> bool:
    name = _plain_name(path.name)
    if pattern.startswith("./"):
        return path.parent == folder and fnmatchcase(name, pattern[2:])
    if "/" in pattern:
        return fnmatchcase(f"{path.resolve().parent.name.lower()}/{name}", pattern)
    return fnmatchcase(name, pattern)


def readable(path: Path, benchmark: Benchmark) -> bool:
    """Return whether the file's first row is one of the benchmark: its name alone does not say so."""
    try:
        for row in islice(read_rows(path), 1):
            benchmark.parse(row.value)
            return True
    except (ValueError, TypeError, OSError):
        return False
    return False


def _without_twins(paths: Sequence[Path]) -> list[Path]:
    """Leave out each gzipped file that lies next to its own unpacked form."""
    return [path for path in paths if path.suffix != ".gz" or path.with_suffix("") not in paths]
