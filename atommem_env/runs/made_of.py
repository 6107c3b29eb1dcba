"""What produced a run: hashes of code, values and files, so that nothing old is shown as new.

A record says of each environment and policy what it is made of beyond this package and plain arguments. By name: each
file of a user's own code (a module with all that it imports from the same folder tree, found without importing it), and
each file or folder that an argument names. Under ``values``: everything else, functions by code, defaults and closure,
objects by class and state. A value that cannot be hashed makes its owner one whose episodes are never reused.
"""

from __future__ import annotations

import ast
import contextlib
import dis
import enum
import functools
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import random
import re
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final

import numpy as np

from atommem_env.core.resolve import is_reference
from atommem_env.data.cache import cache_folder

PACKAGE: Final = "atommem_env"

LARGE: Final = 64_000_000
"""The size in bytes above which a file's hash is remembered, by path, size, time and inode."""

_ASIDE: Final = ("cli", "viewer", "report", "integrations")  # these show what was made, and make none of it
_VALUES: Final = "values"
_DEEPEST: Final = 60


class CannotHashError(ValueError):
    """Something has no hash that stands for what it does; the message names it."""


@functools.cache
def package_hash() -> str:
    """Return the hash of the modules and data files of this package that can change a number."""
    made = _new()
    for name in (PACKAGE, f"{PACKAGE}.envs", f"{PACKAGE}.baselines"):
        spec = importlib.util.find_spec(name)
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            for path, label in _files_below(Path(place)):
                if label.split("/")[0] not in (*_ASIDE, "envs", "baselines") or name != PACKAGE:
                    made.update(f"{name}/{label}\0".encode())
                    made.update(path.read_bytes())
    return str(made.hexdigest())


def made_of(*values: Any) -> dict[str, str]:
    """Return the hashes of what ``values`` are made of, by name; empty for plain data and this package's own.

    Raises:
        CannotHashError: when a value cannot be hashed; names it.
    """
    found = _Parts()
    for value in values:
        found.add(value)
    return found.parts()


def _new() -> Any:
    return hashlib.blake2b(digest_size=16)


def _files_below(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a folder and all below it, in order, each with its path from there; no compiled ones."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__" and not name.startswith("."))
        for name in sorted(names):
            if not name.endswith((".pyc", ".pyo")):
                path = Path(place, name)
                yield path, path.relative_to(folder).as_posix()


class _Parts:
    """Collects hashes of files by name, and one of all other values."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._values = _new()
        self._own = False  # whether a value is more than plain data
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is used twice
        self._modules: set[str] = set()
        self._types: set[type] = set()

    def parts(self) -> dict[str, str]:
        """Return the hashes by name."""
        values = {_VALUES: self._values.hexdigest()} if self._own else {}
        return {**values, **dict(sorted(self._files.items()))}

    def add(self, value: Any, depth: int = 0) -> None:
        """Add a value with all that it consists of.

        Raises:
            CannotHashError: when that is impossible.
        """
        if depth > _DEEPEST:
            raise CannotHashError(f"a {type(value).__qualname__} is nested too deeply")
        if value is None or isinstance(value, (bool, int, float, complex, bytes, bytearray)):
            self._tell(type(value).__name__, repr(value))
        elif isinstance(value, enum.Enum):
            self._tell("enum", type(value).__qualname__, value.name)
            self._add_type(type(value), depth)
        elif isinstance(value, str):
            self._add_text(value)
        elif isinstance(value, os.PathLike):
            self._add_path(Path(value))
        elif isinstance(value, (list, tuple, deque)) and type(value).__module__ in (
            "builtins",
            "collections",
        ):
            self._tell(type(value).__name__, str(len(value)))
            for item in value:
                self.add(item, depth + 1)
        elif self._again(value):
            return
        elif isinstance(value, Mapping):
            self._add_mapping(value, depth)
        elif isinstance(value, AbstractSet):
            self._tell("set", *sorted(_alone(item) for item in value))
        else:
            self._own = True
            self._add_object(value, depth)

    def _tell(self, *texts: str) -> None:
        for text in texts:
            content = text.encode("utf-8", "surrogatepass")
            self._values.update(f"{len(content)}:".encode())
            self._values.update(content)

    def _again(self, value: Any) -> bool:
        """Return whether ``value`` was added before; then only its number counts."""
        number = self._seen.get(id(value))
        if number is not None:
            self._tell("again", str(number))
            return True
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        return False

    # --- plain data ---------------------------------------------------------------------------------

    def _add_text(self, text: str) -> None:
        self._tell("text", text)
        if is_reference(text):
            self._add_module(text.partition(":")[0])
        elif "\n" not in text and ("/" in text or os.sep in text or "." in text) and len(text) < 1024:
            with contextlib.suppress(OSError, ValueError):
                path = Path(text).expanduser()
                if path.exists():
                    self._add_path(path)

    def _add_path(self, path: Path) -> None:
        if path.is_dir():
            made = _new()
            for file, label in _files_below(path):
                made.update(f"{label}\0{file_hash(file)}\0".encode())
            self._files[path.name or "folder"] = made.hexdigest()
        elif path.is_file():
            self._files[path.name] = file_hash(path)
        else:
            self._tell("path", path.as_posix())

    def _add_mapping(self, value: Mapping[Any, Any], depth: int) -> None:
        self._tell("mapping", str(len(value)))
        items = [(_alone(key), item) for key, item in value.items()]
        for key, item in sorted(items, key=lambda pair: pair[0]):
            self._tell(key)
            self.add(item, depth + 1)

    # --- objects --------------------------------------------------------------------------------------

    def _add_object(self, value: Any, depth: int) -> None:
        if isinstance(value, types.FunctionType):
            self._add_function(value, depth)
        elif isinstance(value, type):
            self._add_type(value, depth)
        elif isinstance(value, (types.MethodType, functools.partial)):
            parts = (
                (value.__func__, value.__self__)
                if isinstance(value, types.MethodType)
                else (value.func, value.args, value.keywords)
            )
            self._tell("bound")
            for part in parts:
                self.add(part, depth + 1)
        elif isinstance(value, (types.BuiltinFunctionType, np.ufunc)):
            self._tell("builtin", str(getattr(value, "__module__", "")), value.__name__)
        elif isinstance(value, types.ModuleType):
            self._add_module(value.__name__)
        elif isinstance(value, re.Pattern):
            self._tell("pattern", repr(value.pattern), str(value.flags))
        elif isinstance(value, np.generic) or _is_array(value):
            array = np.asarray(value)
            if array.dtype.hasobject:
                self.add(array.tolist(), depth + 1)
            self._tell("array", str(array.dtype), repr(array.shape))
            self._values.update(np.ascontiguousarray(array).tobytes())
        elif isinstance(value, np.random.Generator):
            self.add(value.bit_generator.state, depth + 1)
        elif isinstance(value, random.Random):
            self.add(value.getstate(), depth + 1)
        else:
            self._add_instance(value, depth)

    def _add_instance(self, value: Any, depth: int) -> None:
        kind = type(value)
        data = getattr(value, "hash", None)
        if isinstance(data, str) and kind.__module__.startswith(f"{PACKAGE}.data."):
            self._tell("dataset", data, str(getattr(value, "split", "")))
            return
        self._add_type(kind, depth)
        state = dict(getattr(value, "__dict__", {}))
        for holder in kind.__mro__:
            slots = holder.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                    state[name] = getattr(value, name)
        if not _shows_state(kind):
            raise CannotHashError(f"a {kind.__module__}.{kind.__qualname__} does not show its state")
        self._add_mapping(state, depth)

    def _add_type(self, kind: type, depth: int) -> None:
        self._tell("type", kind.__module__, kind.__qualname__)
        if self._add_module(kind.__module__, may_lack=True):
            if kind in self._types:
                return
            self._types.add(kind)
            for base in kind.__bases__:
                self._add_type(base, depth + 1)
            for name, member in sorted(vars(kind).items()):
                function = _function_of(member)
                if function is not None:
                    self._tell(name)
                    self.add(function, depth + 1)
                elif isinstance(member, (bool, int, float, str, bytes, tuple)) and not name.startswith("__"):
                    self._tell(name)
                    self.add(member, depth + 1)

    def _add_function(self, function: types.FunctionType, depth: int) -> None:
        self._tell("function", function.__module__ or "", function.__qualname__)
        if not self._add_module(function.__module__ or "", may_lack=True):
            return  # this package's or an installed one's: its hash or version says what it is
        self._add_code(function.__code__)
        self.add(function.__defaults__, depth + 1)
        self.add(function.__kwdefaults__, depth + 1)
        for cell in function.__closure__ or ():
            self.add(_content_of(cell), depth + 1)
        for name in sorted(_names_of(function.__code__)):
            if name in function.__globals__:
                held = function.__globals__[name]
                if not isinstance(held, types.ModuleType):
                    self._tell("global", name)
                    self.add(held, depth + 1)

    def _add_code(self, code: types.CodeType) -> None:
        self._tell("code", code.co_name, repr(code.co_names), repr(code.co_varnames), repr(code.co_freevars))
        self._values.update(code.co_code)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._add_code(constant)
            elif isinstance(constant, frozenset):
                self._tell("frozenset", *sorted(map(repr, constant)))
            else:
                self._tell(repr(constant))

    # --- modules --------------------------------------------------------------------------------------

    def _add_module(self, name: str, may_lack: bool = False) -> bool:
        """Add the module ``name``: return whether it is a user's own, whose code counts.

        Raises:
            CannotHashError: when a user's own module has no source, unless it may lack it.
        """
        top = name.partition(".")[0]
        if top == PACKAGE:
            return False
        if top in sys.builtin_module_names or (top in sys.stdlib_module_names and top != "__main__"):
            self._tell("python", name, "{}.{}".format(*sys.version_info[:2]))
            return False
        file = _main_file() if top == "__main__" else find_module(name)
        if file is None:
            loaded = getattr(sys.modules.get(name), "__file__", None)
            file = Path(loaded) if loaded else None
        if file is None:
            if may_lack:
                return True
            raise CannotHashError(f"the module {name} has no source that can be found")
        if _is_installed(file):
            from importlib.metadata import (  # takes as long as many a module here
                PackageNotFoundError,
                version,
            )

            with contextlib.suppress(PackageNotFoundError):
                self._tell("installed", name, version(top))
            return False
        if name not in self._modules:
            self._modules.add(name)
            self._own = True
            for path, label in sources(file, name if top != "__main__" else file.stem):
                self._files[label] = file_hash(path)
        return True


def _alone(value: Any) -> str:
    made = _Parts()
    made.add(value)
    return f"{made._values.hexdigest()}{json.dumps(made._files, sort_keys=True)}"


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") and hasattr(value, "dtype") and hasattr(value, "shape")


def _shows_state(kind: type) -> bool:
    """Return whether objects of ``kind`` keep all their state in attributes, as a class statement makes them."""
    return kind.__dictoffset__ != 0 or "__slots__" in vars(kind)


def _function_of(member: Any) -> types.FunctionType | None:
    if isinstance(member, (staticmethod, classmethod)):
        member = member.__func__
    if isinstance(member, property):
        member = member.fget
    if isinstance(member, functools.cached_property):
        member = member.func
    return member if isinstance(member, types.FunctionType) else None


def _set_anew(kind: type) -> set[str]:
    """Return the attributes of a policy that ``reset`` sets before it looks at them.

    What they are between two runs is what the last episode left, and says nothing of the next.
    """
    function = _function_of(getattr(kind, "reset", None))
    if function is None or not callable(getattr(kind, "act", None)):
        return set()
    first: dict[str, str] = {}
    for step in dis.get_instructions(function.__code__):
        if step.opname in ("STORE_ATTR", "LOAD_ATTR", "LOAD_METHOD", "DELETE_ATTR"):
            first.setdefault(str(step.argval), step.opname)
    return {name for name, opname in first.items() if opname == "STORE_ATTR"}


def _content_of(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "an empty cell"


def _names_of(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_of(constant)
    return names


# --- files ------------------------------------------------------------------------------------------


def file_hash(path: Path) -> str:
    """Return the hash of a file's content; that of a large one is remembered in the user's cache.

    Raises:
        CannotHashError: when it cannot be read.
    """
    try:
        status = path.stat()
        if status.st_size <= LARGE:
            return _content_hash(path)
        key = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}"
        remembered = (
            cache_folder() / "hashes" / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"
        )
        with contextlib.suppress(OSError):
            if not remembered.is_symlink() and len(known := remembered.read_text()) == 32:
                return known
        found = _content_hash(path)
        with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
            remembered.parent.mkdir(parents=True, exist_ok=True)
            temporary = remembered.with_name(f".{remembered.name}-{os.getpid()}")
            temporary.write_text(found)
            os.replace(temporary, remembered)
        return found
    except OSError as error:
        raise CannotHashError(f"{path} cannot be read ({error.strerror})") from error


def _content_hash(path: Path) -> str:
    made = _new()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            made.update(block)
    return str(made.hexdigest())


# --- a user's modules, found without importing them ---------------------------------------------------


def find_module(name: str) -> Path | None:
    """Return the file of a module on the path, which is not imported, nor are its packages; ``None``: no file."""
    places: Iterable[str] | None = None
    spec = None
    parts = name.split(".")
    for number in range(len(parts)):
        try:
            spec = importlib.machinery.PathFinder.find_spec(
                ".".join(parts[: number + 1]), None if places is None else list(places)
            )
        except (ImportError, ValueError, OSError):
            return None
        if spec is None:
            return None
        places = spec.submodule_search_locations or ()
    return Path(spec.origin) if spec is not None and spec.origin and os.path.exists(spec.origin) else None


def sources(file: Path, name: str) -> list[tuple[Path, str]]:
    """Return a module's file and those that it imports from the same folder tree, each with its path from the root.

    The root is the folder that holds the module's top-level package, or the module itself.
    """
    depth = name.count(".") + (file.stem == "__init__")
    root = file.parents[min(depth, len(file.parents) - 1)].resolve()
    found: dict[Path, str] = {}
    waiting = [file.resolve()]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_relative_to(root):
            continue
        found[path] = path.relative_to(root).as_posix()
        if path.suffix == ".py":
            waiting += _imported(path, root)
            waiting += [up / "__init__.py" for up in _packages(path, root)]
    return [(path, label) for path, label in found.items() if path.is_file()]


def _packages(path: Path, root: Path) -> Iterator[Path]:
    for up in path.parents:
        if up == root or not (up / "__init__.py").is_file():
            return
        yield up


def _imported(path: Path, root: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, OSError):
        return
    here = path.parent.relative_to(root).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files_of(root, tuple(alias.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            parts = (*base, *(node.module.split(".") if node.module else ()))
            yield from _files_of(root, parts)
            for alias in node.names:
                yield from _files_of(root, (*parts, alias.name))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and is_reference(node.value):
            yield from _files_of(root, tuple(node.value.partition(":")[0].split(".")))


def _files_of(root: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    if not parts or parts[0] == PACKAGE:
        return
    place = root.joinpath(*parts)
    for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
        if path.is_file():
            yield path.resolve()
    yield from _files_of(root, parts[:-1])


def _main_file() -> Path | None:
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(file).resolve() if file and os.path.exists(file) else None


@functools.cache
def _installed_places() -> tuple[Path, ...]:
    import sysconfig

    names = ("stdlib", "platstdlib", "purelib", "platlib")
    places = [Path(sysconfig.get_paths()[name]).resolve() for name in names]
    places += [
        Path(place).resolve() for place in sys.path if Path(place).name in ("site-packages", "dist-packages")
    ]
    return tuple(dict.fromkeys(places))


def _is_installed(file: Path) -> bool:
    return any(file.resolve().is_relative_to(place) for place in _installed_places())
