"""Sources: where a benchmark's rows come from, and `open_dataset`, which opens any of them."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from atommem_env.core.bars import bar_class
from atommem_env.core.resolve import is_reference, resolve
from atommem_env.data.benchmark import Benchmark, resolve_split
from atommem_env.data.convert import cache_key, convert
from atommem_env.data.convert_formats import explain, listing, recognise
from atommem_env.data.dataset import QADataset
from atommem_env.data.histories import History
from atommem_env.data.reading import Row, read_rows
from atommem_env.data.records import Record
from atommem_env.data.rows import shorten
from atommem_env.data.sources.files import (
    check_split,
    check_variant,
    find_files,
    looks_like_path,
    nothing_found,
    unrecognised,
)
from atommem_env.data.sources.hub import HubFiles, cached_files, download_files

if TYPE_CHECKING:
    from atommem_env.data.world import WorldConfig
    from atommem_env.data.world.chat import ChatConfig

_BIG_FILE: Final = 20_000_000  # bytes from which a conversion shows its progress
_told: list[str] = []  # the benchmarks whose data this process found it had to generate


class GeneratedDataWarning(UserWarning):
    """Generated data stands in for a benchmark that was not found on this machine."""


def open_dataset(
    benchmark: Benchmark,
    source: str | os.PathLike[str] | QADataset = "auto",
    split: str = "validation",
    world: WorldConfig | ChatConfig | None = None,
    progress: bool = True,
    variant: str | None = None,
) -> QADataset:
    """Open a benchmark's questions and paragraphs, converting them the first time.

    Args:
        benchmark: whose rows to read.
        source: the path of an official file (JSON list, JSON Lines, either gzipped, or parquet) or of a
            folder that holds one; ``"hub"``: the pinned Hugging Face copy; ``"generated"``: the generated
            world in the benchmark's schema; ``"auto"``: official files under ``$ATOMMEM_DATA``, else the
            hub's local cache, else the generated world with a :class:`GeneratedDataWarning`; or a dataset,
            which is returned as it is, or ``"module:name"`` of one.
        split: ``train``, ``validation`` (or ``dev``) or ``test``. A file's path ignores it, unless the
            file's name says another split.
        world: the settings of the generated world, or of its chats where rows are histories.
        progress: whether to show a bar while a big file is converted.
        variant: which of the benchmark's files, where it has several; ``None`` for the usual one. A file's path
            ignores it, unless the file's name says another.

    Raises:
        ValueError: when the split, variant or source is unknown, a folder holds several files that fit equally
            well, or a row is malformed (the message names the file, the row and the field).
        FileNotFoundError: when there is no such file, or none that fits in the folder.
        ConnectionError: when the hub's files cannot be downloaded.
    """
    if isinstance(source, QADataset):
        return source
    wanted = _Wanted(benchmark, resolve_split(split), variant, progress)
    part = wanted.part  # refuses a variant that there is not
    if source == "auto":
        return _open_auto(wanted, world)
    if source == "hub":
        return _open_hub(wanted, download_files(benchmark, part))
    if source == "generated":
        return _open_generated(benchmark, wanted.split, world, wanted.part)
    if is_reference(source) and not Path(str(source)).exists():
        return _referenced(str(source))
    return _open_path(wanted, _existing(source))


def open_generated(
    benchmark: Benchmark,
    source: str | os.PathLike[str] | QADataset,
    split: str,
    world: WorldConfig | ChatConfig,
) -> QADataset:
    """Open the data of a benchmark that is always generated.

    Args:
        benchmark: whose rows to read.
        source: ``"auto"`` or ``"generated"``, which are the same here; or a dataset, which is returned as it is.
        split: ``train``, ``validation`` or ``test``.
        world: the settings of the generated world, or of its chats.

    Raises:
        ValueError: when the source is anything else.
    """
    if not isinstance(source, QADataset) and source not in ("auto", "generated"):
        raise ValueError(
            f"source={source!r}: {benchmark.title} makes its data; leave source out, or pass a QADataset"
        )
    return open_dataset(benchmark, "generated" if isinstance(source, str) else source, split, world)


class _Wanted(NamedTuple):
    """Which part of a benchmark is wanted."""

    benchmark: Benchmark
    split: str
    variant: str | None
    progress: bool

    @property
    def part(self) -> str:
        return self.benchmark.part(self.split, self.variant)

    def again(self, source: str) -> Callable[[], QADataset]:
        """Return what opens the same in another process."""
        return functools.partial(open_dataset, self.benchmark, source, self.split, None, False, self.variant)


def _referenced(source: str) -> QADataset:
    """Return the dataset that ``"module:name"`` names, or that the function of that name returns."""
    found = resolve(source)
    if callable(found) and not isinstance(found, QADataset):
        found = found()
    if not isinstance(found, QADataset):
        raise ValueError(
            f"source={source!r} is a {type(found).__name__}, expected a QADataset or a function that returns one"
        )
    return found


def _existing(source: object) -> Path:
    choices = (
        "'auto', 'hub', 'generated', the path of an official file or folder, 'module:name' of a QADataset, "
        "or a QADataset"
    )
    if not isinstance(source, str | os.PathLike):
        raise ValueError(f"source={shorten(source)} is a {type(source).__name__}; choose from {choices}")
    path = Path(os.fspath(source)).expanduser()
    if path.exists():
        return path
    if isinstance(source, str) and not looks_like_path(source):
        raise ValueError(f"source={source!r} is unknown, and no such file exists; choose from {choices}")
    raise FileNotFoundError(
        f"source={str(source)!r}: there is no such file or folder (looked for {path.absolute()})"
    )


# --- where the rows are -------------------------------------------------------------------------------


def _open_auto(wanted: _Wanted, world: WorldConfig | ChatConfig | None) -> QADataset:
    benchmark = wanted.benchmark
    if not benchmark.file_patterns and benchmark.hub_id is None:
        if benchmark.generated:
            return _open_generated(benchmark, wanted.split, world, wanted.part)
        raise ValueError(
            f"source='auto': {benchmark.title} can come from no known place; pass a QADataset "
            "(QADataset.from_records, QADataset.from_histories) or the path of a JSON file as source"
        )
    folder = _data_folder()
    if folder is not None and (rows := _row_files(wanted, folder)):
        return _open_rows(
            wanted, rows, f"file:{folder.name}/{wanted.part}", wanted.again(str(folder.resolve()))
        )
    paths = find_files(benchmark, folder, wanted.part) if folder is not None else ()
    if paths:
        return _open_files(wanted, paths)
    cached = cached_files(benchmark, wanted.part)
    if cached is not None:
        return _open_hub(wanted, cached)
    if not benchmark.can_be_generated(wanted.part):
        hub = "source='hub' to download it, or " if benchmark.hub_id else ""
        there = "" if folder is None else f". ATOMMEM_DATA: {nothing_found(benchmark, folder, wanted.part)}"
        raise FileNotFoundError(
            f"No {benchmark.title} data was found for {benchmark.part_name}={wanted.part!r}: pass {hub}source='<path "
            f"of the official file>', or set ATOMMEM_DATA to a folder with it (see {benchmark.homepage}){there}"
        )
    if folder is not None and (unread := _unread(benchmark, folder)):
        raise FileNotFoundError(
            f"ATOMMEM_DATA: {nothing_found(benchmark, folder, wanted.part)}{unread}, or pass source='generated' for "
            "generated data"
        )
    _warn_generated(benchmark, wanted.part, folder)
    return _open_generated(benchmark, wanted.split, world, wanted.part)


def _data_folder() -> Path | None:
    chosen = os.environ.get("ATOMMEM_DATA")
    if not chosen:
        return None
    folder = Path(chosen).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"ATOMMEM_DATA={chosen!r} is not a folder; make it one that holds official files, or unset it"
        )
    return folder


def _warn_generated(benchmark: Benchmark, part: str, folder: Path | None) -> None:
    if not _told:
        there = "" if folder is None else f" ATOMMEM_DATA: {nothing_found(benchmark, folder, part)}."
        hub = "source='hub' to download it, or " if benchmark.hub_id else ""
        warnings.warn(
            f"No {benchmark.title} data was found for {benchmark.part_name}={part!r}: this is the generated world in "
            f"its schema, and scores on it say nothing about {benchmark.title}. For the real data pass "
            f"{hub}source='<path of the official file>', or set ATOMMEM_DATA to a "
            f"folder with the official files (see {benchmark.homepage}). source='generated' asks for "
            f"generated data without this warning.{there}",
            GeneratedDataWarning,
            stacklevel=4,
        )
    _told.append(benchmark.name)


def _open_path(wanted: _Wanted, path: Path) -> QADataset:
    if path.is_file():
        return _open_files(wanted, (path,))
    if rows := _row_files(wanted, path):
        return _open_rows(wanted, rows, f"file:{path.name}/{wanted.part}", wanted.again(str(path.resolve())))
    found = find_files(wanted.benchmark, path, wanted.part)
    if not found:
        raise FileNotFoundError(
            nothing_found(wanted.benchmark, path, wanted.part) + _unread(wanted.benchmark, path)
        )
    return _open_files(wanted, found)


def _unread(benchmark: Benchmark, folder: Path) -> str:
    """Say which files of a folder may be meant and cannot be read, and why; ``""`` where there are none."""
    found = unrecognised(benchmark, folder)
    if not found:
        return ""
    return (
        f". Of these, what cannot be read as {benchmark.title}, or anything known here: {'; '.join(found[:5])}. "
        "Mend or move it"
    )


def _row_files(wanted: _Wanted, folder: Path) -> list[Path]:
    """Return the files of a benchmark whose rows are folders."""
    benchmark = wanted.benchmark
    if benchmark.folders is None:
        return []
    return [path.resolve() for path in benchmark.folders(folder.resolve(), wanted.part)]


# --- how they are opened ------------------------------------------------------------------------------


def _open_files(wanted: _Wanted, paths: Sequence[Path]) -> QADataset:
    """Open one file, or the shards of one folder."""
    first = paths[0]
    if wanted.benchmark.histories:
        check_variant(wanted.benchmark, first, wanted.variant)
    elif wanted.benchmark.file_patterns:
        check_split(first, wanted.split)
    source = first.resolve() if len(paths) == 1 else first.resolve().parent
    name = first.name if len(paths) == 1 else f"{source.name}/{first.name.partition('-')[0]}-*{first.suffix}"
    return _open_rows(wanted, [path.resolve() for path in paths], f"file:{name}", wanted.again(str(source)))


def _open_hub(wanted: _Wanted, files: HubFiles) -> QADataset:
    variant = f"/{wanted.part}" if wanted.benchmark.variants else ""
    origin = f"hub:{wanted.benchmark.hub_id}@{files.commit}{variant}"
    return _open_rows(wanted, files.paths, origin, wanted.again("hub"))


def _open_rows(
    wanted: _Wanted, paths: Sequence[Path], origin: str, remake: Callable[[], QADataset]
) -> QADataset:
    benchmark = wanted.benchmark
    identity: list[object] = [wanted.part, benchmark.label]
    aliases = _aliases_file(benchmark, paths[0])
    for path in (*paths, *([] if aliases is None else [aliases])):
        status = path.stat()
        identity += [str(path.resolve()), status.st_size, status.st_mtime_ns]
    code = (benchmark.parse.__module__, read_rows.__module__)
    key = cache_key(benchmark.name, code, "files", *identity)
    folder, meta = convert(
        benchmark.name,
        key,
        lambda: _file_records(wanted, paths, aliases),
        histories=benchmark.histories,
    )
    if benchmark.label:
        origin += f"[{benchmark.label}]"
    if benchmark.aliases and aliases is None:
        origin += " without aliases"
    make = functools.partial(QADataset, folder, meta, split=wanted.split, remake=remake)
    data = make(origin=origin)
    if benchmark.lacking is None:
        return data
    missing = benchmark.lacking({data.question(row).type for row in range(data.num_questions)})
    return make(origin=f"{origin} without {missing}") if missing else data


def _aliases_file(benchmark: Benchmark, path: Path) -> Path | None:
    """Return the file of aliases that lies next to a benchmark's file, or ``None``."""
    places = [
        path.with_name(name) for name in (benchmark.aliases, f"{benchmark.aliases}.gz") if benchmark.aliases
    ]
    return next((place for place in places if place.is_file()), None)


def _file_records(wanted: _Wanted, paths: Sequence[Path], aliases: Path | None) -> Iterator[Record | History]:
    benchmark, number = wanted.benchmark, 0
    add = None
    if aliases is not None and benchmark.with_aliases is not None:
        add = benchmark.with_aliases(aliases)
    total = sum(path.stat().st_size for path in paths)
    with _Progress(benchmark.title, total, shown=wanted.progress and total > _BIG_FILE) as bar:
        for path in paths:
            for row in _rows_of(benchmark, path, wanted.split):
                record = _parse(benchmark, row.value, f"{path.name}: {row.place}")
                if isinstance(record, History):
                    yield record if benchmark.amend is None else benchmark.amend(number, record)
                else:
                    yield record if add is None else add(record, row.value)
                number += 1
                bar.reached(row.bytes_read)
            bar.finished(path.stat().st_size)


def _rows_of(benchmark: Benchmark, path: Path, split: str) -> Iterator[Row]:
    """Yield the rows of a file, or those of a file in a folder that is a row."""
    rows = None if benchmark.read_file is None else benchmark.read_file(path)
    if rows is None:
        yield from read_rows(path, split)
        return
    for row in rows:
        yield Row(row, path.parent.name, path.stat().st_size)


def _parse(benchmark: Benchmark, row: object, place: str) -> Record | History:
    if not isinstance(row, Mapping):
        raise ValueError(
            f"{place}: is {shorten(row)} ({type(row).__name__}), expected an object with named fields"
        )
    try:
        return benchmark.parse(row)
    except ValueError as error:
        raise ValueError(f"{place}: {_of_another_form(benchmark, row) or error}") from error


def _of_another_form(benchmark: Benchmark, row: Mapping[str, Any]) -> str:
    """Say what a row of another form is, and the way in; ``""`` where the row has the benchmark's fields."""
    lacking = [name for name in benchmark.fields if not set(name.split("|")) & set(row)]
    has_context = any(name in row for name in ("context", "paragraphs"))
    if not lacking or ("answer" in lacking and "question" in row and has_context):
        return ""  # a row without an answer is one of a test file, and its own error says so
    form = recognise(row)
    way = "if this is your own data, write records (QADataset.from_records) and use AtomMem-Custom-v0"
    if form is not None and form.title != benchmark.title:
        way = f"it has the form of {form.title}: {explain(form)}"
    wanted = ", ".join(name.replace("|", " or ") for name in benchmark.fields)
    missing = lacking[0].replace("|", " or ")
    return (
        f"field '{missing}' is missing: the row has {listing(row)}, and a row of {benchmark.title} has {wanted}; "
        f"{way}"
    )


class _Progress:
    """A bar over the bytes of some files; does nothing unless it is shown."""

    def __init__(self, title: str, total: int, shown: bool) -> None:
        self._bar: Any = None
        self._before = 0
        if shown:
            self._bar = bar_class()(total=total, unit="B", unit_scale=True, desc=f"Converting {title} (once)")

    def reached(self, position: int) -> None:
        """Move to a position in the current file."""
        if self._bar is not None:
            self._bar.update(self._before + position - self._bar.n)

    def finished(self, size: int) -> None:
        """Move to the end of the current file."""
        self.reached(size)
        self._before += size

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()


def _open_generated(
    benchmark: Benchmark, split: str, world: WorldConfig | ChatConfig | None, part: str = ""
) -> QADataset:
    if not benchmark.can_be_generated(part):
        which = f"'s {benchmark.part_word} {part!r}" if benchmark.generated else ""
        raise ValueError(
            f"source='generated': the generated world cannot write {benchmark.title}{which}; "
            "pass a QADataset or the path of a file"
        )
    from atommem_env.data.world import BENCHMARKS, GENERATOR, WorldConfig
    from atommem_env.data.world.chat import ChatConfig

    if benchmark.name == "memoryagentbench":
        return _open_facts(benchmark, split, world if isinstance(world, WorldConfig) else WorldConfig())
    if benchmark.histories:
        return _open_chats(benchmark, split, world if isinstance(world, ChatConfig) else ChatConfig())
    config = world if isinstance(world, WorldConfig) else WorldConfig()
    imposed = BENCHMARKS.get(benchmark.name, {})
    code = (benchmark.parse.__module__, *GENERATOR)
    label = f"world({_settings(config, imposed)})"
    key = cache_key(benchmark.name, code, "generated", label, split)
    folder, meta = convert(benchmark.name, key, lambda: _generated_records(benchmark, config, split))
    remake = functools.partial(open_dataset, benchmark, "generated", split, config, False)
    return QADataset(folder, meta, split=split, origin=f"generated:{label}", remake=remake, generated=True)


def _generated_records(benchmark: Benchmark, config: WorldConfig, split: str) -> Iterator[Record | History]:
    """Yield the world's questions: as rows through the benchmark's parser, or as they are in its own form."""
    from atommem_env.data.world import BENCHMARKS, generate, rows, world_record

    if benchmark.name in BENCHMARKS:
        for number, row in enumerate(rows(benchmark.name, config, split)):
            yield _parse(benchmark, row, f"generated row {number}")
    else:
        for index in range(config.size):
            yield world_record(generate(config, split, index))


def _open_facts(benchmark: Benchmark, split: str, config: WorldConfig) -> QADataset:
    """Open the world's facts as numbered lists; without a length that is asked for, the two shortest."""
    from atommem_env.data.world import GENERATOR
    from atommem_env.data.world.fact_rows import FACT_COUNTS, fact_rows

    length = getattr(benchmark.parse, "length", None)
    lengths = (length,) if length else tuple(FACT_COUNTS)[:2]
    label = f"world(seed={config.seed})"
    code = (benchmark.parse.__module__, *GENERATOR, fact_rows.__module__)
    key = cache_key(benchmark.name, code, "generated", label, benchmark.label, *lengths)

    def records() -> Iterator[Record | History]:
        for number, row in enumerate(fact_rows(config, lengths)):
            yield _parse(benchmark, row, f"generated row {number}")

    folder, meta = convert(benchmark.name, key, records, histories=True)
    remake = functools.partial(open_dataset, benchmark, "generated", split, config, False)
    chosen = f"[{benchmark.label}]" if benchmark.label else ""
    return QADataset(
        folder, meta, split=split, origin=f"generated:{label}{chosen}", remake=remake, generated=True
    )


def _open_chats(benchmark: Benchmark, split: str, config: ChatConfig) -> QADataset:
    """Open the world in conversation, in the benchmark's schema; as of its files, the splits are parts of one."""
    from atommem_env.data.world import GENERATOR

    label = f"chat({_settings(config)})"
    written = [f"atommem_env.data.world.{part}" for part in ("chat", "chat_rows", "chat_templates")]
    code = (benchmark.parse.__module__, *GENERATOR, *written)
    key = cache_key(benchmark.name, code, "generated", label, benchmark.label)
    folder, meta = convert(benchmark.name, key, lambda: _chat_records(benchmark, config), histories=True)
    remake = functools.partial(open_dataset, benchmark, "generated", split, config, False)
    return QADataset(folder, meta, split=split, origin=f"generated:{label}", remake=remake, generated=True)


def _chat_records(benchmark: Benchmark, config: ChatConfig) -> Iterator[Record | History]:
    from atommem_env.data.world.chat import generate_chat
    from atommem_env.data.world.chat_rows import beam_row, locomo_row, longmemeval_rows

    for index in range(config.size):
        chat = generate_chat(config, "test", index)
        rows: Sequence[Mapping[str, Any]] = [cast("Mapping[str, Any]", chat)]
        if benchmark.name == "longmemeval":
            rows = longmemeval_rows(chat)
        elif benchmark.name == "locomo":
            rows = [locomo_row(chat)]
        elif benchmark.name == "beam":
            rows = [beam_row(chat, index + 1)]
        for row in rows:
            yield _parse(benchmark, row, f"generated history {index}")


def _settings(config: WorldConfig | ChatConfig, imposed: Mapping[str, Any] | None = None) -> str:
    """Return ``seed=0,size=500``: seed, size, and what else was chosen and not ``imposed``."""
    default = type(config)()
    shown = [
        f"{field.name}={getattr(config, field.name)!r}".replace(" ", "")
        for field in fields(config)
        if field.name in ("seed", "size")
        or (field.name not in (imposed or ()) and getattr(config, field.name) != getattr(default, field.name))
    ]
    return ",".join(shown)
