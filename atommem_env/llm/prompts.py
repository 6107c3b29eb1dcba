"""The templates that language models are asked with: data files, each of which a user's own may replace.

A template is text with ``$name`` placeholders (``string.Template``; ``$$`` is a dollar sign). Those of the
package stand in the folders ``prompts`` of :data:`PACKAGES`; a template's name is its path there without
``.txt``.
"""

from __future__ import annotations

import functools
import importlib.resources
import os
import string
from pathlib import Path
from typing import Any, Final

from atommem_env.protocols.rendering import placeholders
from atommem_env.registration import ENGINE_PROMPTS
from atommem_env.text import digest

PACKAGES: Final = (ENGINE_PROMPTS, "atommem_env.llm")


class Prompts:
    """All templates, by name.

    Args:
        folder: a folder of a user's own templates: one of the same name goes before the package's.

    Raises:
        ValueError: when the folder is none, or a file in it replaces none of the package's templates or has a
            placeholder that the package's does not.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._texts = dict(_own())
        if folder is not None:
            self._texts.update(_replacements(Path(folder)))

    @property
    def names(self) -> frozenset[str]:
        """The templates' names."""
        return frozenset(self._texts)

    @property
    def digest(self) -> str:
        """A hash of all templates, 16 hexadecimal digits."""
        return digest(*(part for item in sorted(self._texts.items()) for part in item)).hex()[:16]

    def render(self, name: str, **values: object) -> str:
        """Return the template ``name`` with ``values`` in their places."""
        return string.Template(self._texts[name]).substitute(values).strip("\n")


@functools.cache
def _own() -> dict[str, str]:
    texts: dict[str, str] = {}
    for package in PACKAGES:
        _collect(importlib.resources.files(package) / "prompts", "", texts)
    return texts


def _collect(folder: Any, prefix: str, texts: dict[str, str]) -> None:
    for item in folder.iterdir():
        if item.is_dir():
            _collect(item, f"{prefix}{item.name}/", texts)
        elif item.name.endswith(".txt"):
            texts[prefix + item.name.removesuffix(".txt")] = item.read_text(encoding="utf-8")


def _replacements(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise ValueError(
            f"prompts={str(folder)!r} is not a folder: expected one with templates such as answer.txt"
        )
    texts = {
        path.relative_to(folder).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.txt"))
    }
    for name, text in texts.items():
        path = folder / f"{name}.txt"
        if name not in _own():
            raise ValueError(f"{path} replaces no template: expected one of {', '.join(sorted(_own()))}")
        known, found = placeholders(_own()[name], name), placeholders(text, str(path))
        if found - known:
            raise ValueError(
                f"{path}: there is no placeholder {', '.join(f'${x}' for x in sorted(found - known))}; this template "
                f"may use {', '.join(f'${x}' for x in sorted(known))}, and $$ for a dollar sign"
            )
    return texts
