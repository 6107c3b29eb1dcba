"""Benchmarks on the Hugging Face hub: pinned files, in the hub's own cache."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from atommem_env.data.benchmark import Benchmark

_SHARD: Final = re.compile(r"-(\d{5})-of-(\d{5})\.")


class HubFiles(NamedTuple):
    """The files of a split, and the commit that they belong to."""

    paths: tuple[Path, ...]
    commit: str


def cached_files(benchmark: Benchmark, part: str) -> HubFiles | None:
    """Return the files of a part (a split or variant) when the local cache has them; never opens the network."""
    from huggingface_hub import constants

    if benchmark.hub_id is None or part not in benchmark.hub_files:
        return None
    repository = Path(constants.HF_HUB_CACHE) / f"datasets--{benchmark.hub_id.replace('/', '--')}"
    if not repository.is_dir():
        return None
    try:
        return _snapshot(benchmark, part, local_files_only=True)
    except Exception:  # whatever the library raises, the files are not there
        return None


def download_files(benchmark: Benchmark, part: str) -> HubFiles:
    """Return a part's files, downloading them at their pinned revision when they are not in the cache.

    Raises:
        ValueError: when the benchmark, or the split, is not on the hub.
        ConnectionError: when the files cannot be had; says what to do without a network.
    """
    if benchmark.hub_id is None:
        raise ValueError(f"source='hub': {benchmark.title} is not on the hub; pass the path of a file")
    if part not in benchmark.hub_files:
        raise ValueError(
            f"source='hub': {benchmark.hub_id} has no {benchmark.part_name} {part!r} with answers; "
            f"choose from {', '.join(map(repr, benchmark.hub_files))}"
        )
    found = cached_files(benchmark, part)
    if found is None:
        place = f"{benchmark.hub_id}@{benchmark.hub_revision or 'main'}"
        try:
            found = _snapshot(benchmark, part, local_files_only=False)
        except Exception as error:
            raise ConnectionError(
                f"source='hub': {place} could not be downloaded ({type(error).__name__}: {error}). Without a "
                f"network, get the official file from {benchmark.homepage} and pass its path as source."
            ) from error
        if found is None:
            raise ConnectionError(
                f"source='hub': {place} lacks some of {', '.join(benchmark.hub_files[part])}; "
                f"get the official file from {benchmark.homepage} and pass its path as source"
            )
    return found


def _snapshot(benchmark: Benchmark, part: str, local_files_only: bool) -> HubFiles | None:
    from huggingface_hub import snapshot_download

    patterns = benchmark.hub_files[part]
    folder = snapshot_download(
        repo_id=str(benchmark.hub_id),
        repo_type="dataset",
        revision=benchmark.hub_revision or "main",
        allow_patterns=list(patterns),
        local_files_only=local_files_only,
    )
    root = Path(folder)
    paths = tuple(sorted(path for pattern in patterns for path in root.glob(pattern)))
    return HubFiles(paths, root.name) if complete(paths) else None


def complete(paths: tuple[Path, ...]) -> bool:
    """Return whether there are files, and all the shards that their names speak of."""
    shards = [match for path in paths if (match := _SHARD.search(path.name))]
    return bool(paths) and all(int(match[2]) == len(shards) for match in shards)
