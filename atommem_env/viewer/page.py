"""A page: one HTML file that holds its style, its script and all its data, and needs no network.

The table's data is a small JSON object. Each task and each episode is a separate blob, gzipped JSON in base64,
which the page unpacks when somebody looks at it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any, Final

from atommem_env.core.safe_text import html, one_line
from atommem_env.text import clean

_SCRIPTS: Final = ("base", "run", "texts", "places", "table", "episode", "outcome", "compare", "keys")
_STYLES: Final = ("base.css", "style.css")


def page(
    title: str,
    run: Mapping[str, Any],
    blobs: Iterable[tuple[str, bytes]] = (),
    scripts: Sequence[str] = _SCRIPTS,
    styles: Sequence[str] = _STYLES,
) -> str:
    """Return the page.

    Args:
        title: the window's title.
        run: the table's data.
        blobs: the names of tasks and episodes, and what :func:`blob` made of each.
        scripts: what the page's script is made of.
        styles: what its style is made of.
    """
    style, frame = "".join(map(_asset, styles)), _asset("page.html")
    joined = "\n".join(_asset(f"{name}.js") for name in scripts)
    script = f'(() => {{\n"use strict";\n{joined}}})();\n'
    parts = {
        "title": html(one_line(title)),
        "policy": f"default-src 'none'; img-src data:; style-src {_source(style)}; script-src {_source(script)}",
        "style": style,
        "data": _json(run).replace("<", "\\u003c"),  # so that no text of the data ends the element
        "script": script,
        "blobs": "\n".join(
            f'<script type="application/octet-stream" id="{name}">{base64.b64encode(data).decode()}</script>'
            for name, data in blobs
        ),
    }
    pieces = frame.split("@@")
    pieces[1::2] = [parts[name] for name in pieces[1::2]]
    return "".join(pieces)


def blob(data: Mapping[str, Any]) -> bytes:
    """Return ``data`` as gzipped JSON, the same bytes for the same data."""
    return gzip.compress(_json(data).encode(), compresslevel=6, mtime=0)


def _asset(name: str) -> str:
    return (resources.files("atommem_env.viewer") / "assets" / name).read_text(encoding="utf-8")


def _json(data: Mapping[str, Any]) -> str:
    return clean(json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def _source(text: str) -> str:
    """Return the name under which a content security policy allows an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
