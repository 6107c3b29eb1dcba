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


def cached_files(benchmark: Benchmark, split: str) -> HubFiles | None:
    """Return the split's files when the hub's local cache has them all; never opens the network."""
    from huggingface_hub import constants

    if benchmark.hub_id is None or split not in benchmark.hub_files:
        return None
    repository = Path(constants.HF_HUB_CACHE) / f"datasets--{benchmark.hub_id.replace('/', '--')}"
    if not repository.is_dir():
        return None
    try:
        return _snapshot(benchmark, split, local_files_only=True)
    except Exception:  # whatever the library raises, the files are not there
        return None


def download_files(benchmark: Benchmark, split: str) -> HubFiles:
    """Return the split's files, downloading them at their pinned revision when they are not in the cache.

    Raises:
        ValueError: when the benchmark, or the split, is not on the hub.
        ConnectionError: when the files cannot be had; says what to do without a network.
    """
    if benchmark.hub_id is None:
        raise ValueError(f"source='hub': {benchmark.title} is not on the hub; pass the path of a file")
    if split not in benchmark.hub_files:
        raise ValueError(
            f"source='hub': {benchmark.hub_id} has no split {split!r} with answers; "
            f"choose from {', '.join(map(repr, benchmark.hub_files))}"
        )
    found = cached_files(benchmark, split)
    if found is None:
        place = f"{benchmark.hub_id}@{benchmark.hub_revision or 'main'}"
        try:
            found = _snapshot(benchmark, split, local_files_only=False)
        except Exception as error:
            raise ConnectionError(
                f"source='hub': {place} could not be downloaded ({type(error).__name__}: {error}). Without a "
                f"network, get the official file from {benchmark.homepage} and pass its path as source."
            ) from error
        if found is None:
            raise ConnectionError(
                f"source='hub': {place} lacks some of {', '.join(benchmark.hub_files[split])}; "
                f"get the official file from {benchmark.homepage} and pass its path as source"
            )
    return found


def _snapshot(benchmark: Benchmark, split: str, local_files_only: bool) -> HubFiles | None:
    from huggingface_hub import snapshot_download

    patterns = benchmark.hub_files[split]
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
