"""Finding a benchmark's official file in a folder, and what split a file's name says it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any, Final

from atommem_env.data.benchmark import Benchmark
from atommem_env.data.convert_formats import listing, recognise
from atommem_env.data.reading import ROW_FIELDS, SPLIT_WORDS, read_rows
from atommem_env.data.sources.hub import complete

_ENDINGS: Final = (".json", ".jsonl", ".parquet")
_SHARD: Final = re.compile(r"-\d{5}-of-\d{5}\.")
_MOST_OPENED: Final = 200
"""So many files of a folder are opened to see what their rows are, where names do not tell."""


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
    named = _splits_named(path)
    if named and split not in named:
        choices = " or ".join(f"split={name!r}" for name in named)
        raise ValueError(f"split={split!r} but the file's name says otherwise: {path.name}; pass {choices}")


def _splits_named(path: Path) -> list[str]:
    words = re.split("[^a-z]+", path.name.lower())
    return list(dict.fromkeys(SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS))


def check_variant(benchmark: Benchmark, path: Path, variant: str | None) -> None:
    """Refuse a file whose name is that of another variant; without a variant every file is fine.

    Raises:
        ValueError: when it is; says which variant to pass.
    """
    named = _variants_named(benchmark, path)
    if variant is not None and named and variant not in named:
        raise ValueError(
            f"{benchmark.part_word}={variant!r} but the file's name says otherwise: {path.name}; pass "
            f"{benchmark.part_word}={named[0]!r}"
        )


def _variants_named(benchmark: Benchmark, path: Path) -> list[str]:
    """Return the variants whose file the name fits, or that are a word of it."""
    name = _plain_name(path.name)
    return [
        known
        for known in benchmark.variants
        if any(fnmatchcase(name, pattern) for pattern in benchmark.file_patterns.get(known, ()))
        or re.search(rf"(?<![a-z0-9]){re.escape(known.lower())}(?![a-z0-9])", name)
    ]


def find_files(benchmark: Benchmark, folder: Path, part: str) -> tuple[Path, ...]:
    """Return the file of a split (or a variant) in ``folder`` or up to two levels below; nothing where there is none.

    Official files come first, then the parquet files of the hub's repository, of which it may have several, then files
    of any name that have a row of the benchmark, unless the name says another split or variant. A file that fits a
    pattern by its name alone must have a row of the benchmark: the same name in another project's form is passed over.
    Of files that fit equally well, the one that lies highest is taken.

    Raises:
        ValueError: when several files fit equally well; lists them.
    """
    files = _files(folder)
    for pattern in benchmark.file_patterns.get(part, ()):
        found = _without_twins([path for path in files if _fits(path, folder, pattern)])
        if any(sign in pattern for sign in "*?/"):
            found = [path for path in found if readable(path, benchmark, part)]
        if found:
            return _the_one(benchmark, folder, part, found)
    if shards := _hub_shards(benchmark, folder, part):
        return shards
    if not benchmark.file_patterns:
        return ()
    unnamed = [path for path in files if not _SHARD.search(path.name) and _may_be(benchmark, path, part)]
    found = [path for path in _without_twins(unnamed)[:_MOST_OPENED] if readable(path, benchmark, part)]
    return _the_one(benchmark, folder, part, found) if found else ()


def _the_one(benchmark: Benchmark, folder: Path, part: str, found: list[Path]) -> tuple[Path, ...]:
    """Return the file that lies highest.

    Raises:
        ValueError: when there are several.
    """
    found = _highest(found)
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found)
        raise ValueError(
            f"{folder} has several {benchmark.title} files for {benchmark.part_name}={part!r}: {names}; "
            "pass the path of the one to use"
        )
    return (found[0],)


def _may_be(benchmark: Benchmark, path: Path, part: str) -> bool:
    """Tell whether a file's name says no other part."""
    named = _variants_named(benchmark, path) if benchmark.histories else _splits_named(path)
    return not named or part in named


def _hub_shards(benchmark: Benchmark, folder: Path, part: str) -> tuple[Path, ...]:
    """Return the files of a copy of the hub's repository, all of its shards, or nothing."""
    for pattern in benchmark.hub_files.get(part, ()):
        for place in (pattern, f"*/{pattern}", f"*/*/{pattern}", Path(pattern).name):
            found = tuple(sorted(path for path in folder.glob(place) if path.suffix == ".parquet"))
            if (
                complete(found)
                and len({path.parent for path in found}) == 1
                and readable(found[0], benchmark, part)
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
    names = ", ".join(there[:20]) + (f" and {len(there) - 20} more" if len(there) > 20 else "")
    looked_for = (
        f"looked for {patterns} (also with .gz), and for any file with rows of {benchmark.title} whose name says no "
        f"other {benchmark.part_name}, here and up to two levels below"
        if patterns
        else "give a file's path"
    )
    return (
        f"{folder} has no {benchmark.title} file for {benchmark.part_name}={part!r}: {looked_for}; "
        f"data files there: {names or 'none'}"
    )


def unrecognised(benchmark: Benchmark, folder: Path) -> list[str]:
    """Say of each file that may be meant for a benchmark, but has rows that nothing here reads, what its rows are.

    Such a file has the benchmark's name or form and cannot be read or is another variant's, or its rows have fields as
    questions have them and are in no known form. Files in the forms of other benchmarks and projects are none.
    """
    found = []
    for path in _files(folder)[:_MOST_OPENED]:
        problem = _problem(benchmark, path)
        if problem:
            found.append(f"{path.relative_to(folder)}: {problem}")
    return found


def _problem(benchmark: Benchmark, path: Path) -> str:
    """Say what keeps a file from being read, where it may be meant for the benchmark; else ``""``."""
    meant = benchmark.name.removesuffix("qa") in _plain_name(path.name)
    try:
        row: Any = next((row.value for row in read_rows(path)), None)
    except (ValueError, TypeError, OSError) as error:
        return str(error) if meant else ""
    form = recognise(row)
    if form is not None and form.title != benchmark.title:
        return ""
    try:
        benchmark.parse(row)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        if form is not None:
            return str(error)
        if isinstance(row, dict):
            return f"its rows have {listing(row)}" if meant or ROW_FIELDS & set(row) else ""
        return "its rows are not objects" if meant else ""
    named = _variants_named(benchmark, path)
    return f"it is that of {benchmark.part_word}={named[0]!r}, which can be passed" if named else ""


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


def readable(path: Path, benchmark: Benchmark, part: str) -> bool:
    """Return whether the file's first row is one of the benchmark: its name alone does not say so."""
    try:
        for row in islice(read_rows(path, "test" if benchmark.histories else part), 1):
            benchmark.parse(row.value)
            return True
    except (ValueError, TypeError, LookupError, AttributeError, OSError):
        return False
    return False


def _without_twins(paths: Sequence[Path]) -> list[Path]:
    """Leave out each gzipped file that lies next to its own unpacked form."""
    return [path for path in paths if path.suffix != ".gz" or path.with_suffix("") not in paths]
