"""Files in the forms of other projects: how each is told by its first row, and what becomes of its rows.

One module for each form, listed in :data:`FORMS`. A form whose files hold paragraphs becomes records
(:meth:`~atommem_env.QADataset.from_records`), one whose files hold a long text becomes histories
(:meth:`~atommem_env.QADataset.from_histories`), and one whose files hold neither says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import gymnasium as gym

from atommem_env.data.convert_formats import (
    atommem,
    beir,
    benchmarks,
    flashrag,
    hipporag,
    kilt,
    longbench,
    memagent,
    own,
    ruler,
    searchr1,
    squad,
)
from atommem_env.data.convert_formats.form import Form
from atommem_env.data.reading import read_rows
from atommem_env.data.rows import shorten

FORMS: Final[tuple[Form, ...]] = (
    own.RECORDS,
    own.HISTORIES,
    flashrag.FORM,
    kilt.FORM,
    hipporag.FORM,
    atommem.FORM,
    memagent.EVALUATION,
    memagent.TRAINING,
    ruler.FORM,
    longbench.FORM,
    searchr1.FORM,
    beir.FORM,
    squad.FORM,
    *benchmarks.FORMS,
)
"""Every form, in the order in which a row is compared with them."""


def recognise(row: object) -> Form | None:
    """Return the form that ``row`` has, or ``None``."""
    if not isinstance(row, Mapping):
        return None
    return next((form for form in FORMS if _fits(form, row)), None)


def _fits(form: Form, row: Mapping[str, Any]) -> bool:
    try:
        return form.fits(row)
    except (TypeError, ValueError, LookupError, AttributeError):  # a field of that name, of another kind
        return False


def explain(form: Form) -> str:
    """Return what can be done with a file of ``form``, for a message."""
    if form.env:
        return (
            f"give it to {form.env} as source" if form.env in gym.registry else "no environment here reads it"
        )
    if form.rows is None or form in (own.RECORDS, own.HISTORIES):
        return form.note
    return f"`atommem convert FILE --to {form.kind}.jsonl` makes {form.kind} of it for AtomMem-Custom-v0"


def convert_file(path: Path) -> tuple[Form, Iterator[dict[str, Any]]]:
    """Return the form of a file, and its rows as our records or histories, read one by one.

    Args:
        path: the file; for BEIR, its folder or ``queries.jsonl``.

    Raises:
        ValueError: when its form is unknown, or nothing can be made of it, now or while the rows are read; says why.
    """
    if path.is_dir():
        found = next((path / name for name in beir.QUERIES if (path / name).is_file()), None)
        if found is None:
            raise ValueError(
                f"{path} is a folder: give a file in it (a folder of BEIR has {beir.QUERIES[0]})"
            )
        path = found
    rows = (row.value for row in read_rows(path))
    first = next(rows, None)
    form = recognise(first)
    if form is None:
        there = (
            f"its rows have {listing(first)}" if isinstance(first, Mapping) else "its rows are not objects"
        )
        known = ", ".join(form.title for form in FORMS if form.rows is not None)
        raise ValueError(
            f"{path.name} has an unknown form: {there}; known are {known}. Write records yourself: "
            '{"question": ..., "answer": ..., "documents": [{"title": ..., "text": ...}], "supporting": [titles]}'
        )
    if form.rows is None or form.env:
        raise ValueError(f"{path.name} is a file of {form.title}: {explain(form)}")
    return form, _converted(form, itertools.chain([first], rows), path)


def _converted(form: Form, rows: Iterator[Any], path: Path) -> Iterator[dict[str, Any]]:
    assert form.rows is not None
    number = -1

    def counted() -> Iterator[Any]:
        nonlocal number
        for row in rows:
            number += 1
            if not isinstance(row, Mapping):
                raise ValueError(f"{shorten(row)} is not an object with named fields")
            yield row

    try:
        yield from form.rows(counted(), path)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        what = f"lacks the field {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path.name}: row {max(number, 0)} of {form.title}: {what}") from error


def listing(row: Mapping[str, Any]) -> str:
    """Return the fields of ``row`` for a message."""
    return (
        "the fields "
        + ", ".join(repr(str(name)) for name in list(row)[:12])
        + (", ..." if len(row) > 12 else "")
    )
