"""Imports point one way, and never in a circle: read from the source of every module, not from what was imported."""

from __future__ import annotations

import ast
import graphlib
import importlib
import pkgutil
from functools import cache
from pathlib import Path

import pytest

PARTS = ("atommem_env", "atommem_env.envs", "atommem_env.baselines")


@cache
def modules() -> dict[str, Path]:
    """Return the file of every module of the package, by name."""
    found: dict[str, Path] = {}
    for part in PARTS:
        for folder in importlib.import_module(part).__path__:
            for file in Path(folder).rglob("*.py"):
                path = file.relative_to(folder).with_suffix("")
                words = path.parts[:-1] if path.name == "__init__" else path.parts
                found.setdefault(".".join((part, *words)), file)
    return found


def imported(module: str, tree: ast.AST) -> set[str]:
    """Return the package's own modules that ``module`` imports at any time, also for the sake of types alone."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute here"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {own for name in names if (own := own_module(name)) not in (None, module)}  # type: ignore[misc]


def own_module(name: str) -> str | None:
    """Return the module of the package that ``name`` is, or is in."""
    while name and name not in modules():
        name = name.rpartition(".")[0]
    return name or None


@cache
def graph() -> dict[str, set[str]]:
    return {
        module: imported(module, ast.parse(file.read_text(encoding="utf-8")))
        for module, file in modules().items()
    }


def test_every_module_is_read() -> None:
    walked = {
        info.name
        for info in pkgutil.walk_packages(importlib.import_module("atommem_env").__path__, "atommem_env.")
    }
    assert walked - set(modules()) == set()
    assert {"atommem_env.env", "atommem_env.envs.hotpotqa", "atommem_env.baselines.rag"} <= set(modules())


def test_no_module_imports_itself_by_way_of_others() -> None:
    try:
        graphlib.TopologicalSorter(graph()).prepare()
    except graphlib.CycleError as error:
        pytest.fail("a circle of imports: " + " <- ".join(error.args[1]))


def test_benchmarks_and_baselines_are_imported_by_none_of_the_parts_that_they_use() -> None:
    against = {
        f"{module} imports {target}"
        for module, targets in graph().items()
        for target in targets
        if target.startswith(PARTS[1:]) and not module.startswith(PARTS[1:])
    }
    assert against == set()


def test_benchmarks_and_baselines_are_named_in_the_registration_alone() -> None:
    named = {
        module
        for module, file in modules().items()
        if not module.startswith(PARTS[1:])
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(PARTS[1:])
    }
    assert named == {"atommem_env.registration"}
