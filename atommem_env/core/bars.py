"""The class of progress bars: of a notebook where one can show it, else of a terminal."""

from __future__ import annotations

import warnings
from typing import Any


def bar_class() -> Any:
    """Return tqdm's class; a notebook without ipywidgets gets the terminal's, without a warning about that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm
    return tqdm
