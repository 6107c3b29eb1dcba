"""Finds the object that an argument such as ``"my_package.my_module:MyRetriever"`` names."""

from __future__ import annotations

import difflib
import importlib


def is_reference(spec: object) -> bool:
    """Return whether ``spec`` is a str of the form ``"module:name"``, whether or not it names anything."""
    if not isinstance(spec, str):
        return False
    module, colon, name = spec.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *name.split(".")))


def resolve(spec: str) -> object:
    """Import the object that ``spec`` names.

    Args:
        spec: ``"module:name"``; the module may be dotted, and so may the name (``"pkg.mod:Class.method"``).

    Returns:
        The object itself: a class or a function is returned, not called.

    Raises:
        ValueError: when ``spec`` has another form, its module cannot be imported, or the module lacks the
            name; the message says which, and what would mend it.
    """
    if not is_reference(spec):
        raise ValueError(
            f"{spec!r} names no object: expected 'module:name', for example 'my_package.memory:MyClass'"
        )
    module_name, _, path = spec.partition(":")
    try:
        found: object = importlib.import_module(module_name)
    except Exception as error:  # a module may fail in any way while it is imported
        raise ValueError(
            f"{spec!r}: importing the module {module_name!r} failed with {type(error).__name__}: {error}. "
            "Check the spelling, and that its folder is on PYTHONPATH or its package is installed."
        ) from error
    where = module_name
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise ValueError(f"{spec!r}: {where!r} has no attribute {name!r}{_hint(found, name)}") from error
        where = f"{where}.{name}"
    return found


def _hint(holder: object, name: str) -> str:
    close = difflib.get_close_matches(
        name, [known for known in dir(holder) if not known.startswith("_")], n=3
    )
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else "; check its spelling"
