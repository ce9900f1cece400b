"""Whoever writes functions around a pipeline can import the types in its signatures from
`conveyor`."""

from __future__ import annotations

import ast
import inspect
import pydoc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import conveyor
import conveyor.io
import conveyor.stages
from tests.helpers import HANGS_S

# What the user of a stage may call, or write in a class of his own, and may ask it.
OF_STAGES = {
    *("process", "setup", "finish", "teardown", "snapshot", "restore"),
    *("is_stateful", "is_restorable", "stage_options"),
}
# What a run calls, and who writes a source or a sink of his own (`transfer.contract`).
OF_STORES = {
    *("identity", "open", "write", "prepare", "commit", "abort"),
    *("discard", "forget"),
}
PUBLIC = [name for name in conveyor.__all__ if inspect.isclass(getattr(conveyor, name))]
BASES = {
    "Builder",
    "Drafting",
    "Draining",
    "Running",
    "Simulating",
}  # of a pipeline; checkers show some of them
# Whoever writes another engine writes against all of `core.engine`.
PUBLIC.remove("Engine")
FOR_CHECKERS = "conveyor.signatures"  # what is there no user writes


def imported_by(tree: ast.Module) -> dict[str, str]:
    """The names that a module has from this package, and from which module."""
    return {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module is not None
        and node.module.startswith("conveyor.")
        for alias in node.names
    }


def in_signatures(cls: ast.ClassDef) -> Iterator[str]:
    """The names in the annotations of the public methods of a class."""
    for method in cls.body:
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
            arguments = [*method.args.args, *method.args.kwonlyargs]
            for annotation in [method.returns, *(argument.annotation for argument in arguments)]:
                for node in ast.walk(annotation) if annotation is not None else ():
                    if isinstance(node, ast.Name):
                        yield node.id


def wanted() -> set[str]:
    found: set[str] = set()
    for module in {
        sys.modules[base.__module__] for name in PUBLIC for base in getattr(conveyor, name).__mro__
    }:
        if not module.__name__.startswith("conveyor."):
            continue
        tree = ast.parse(source_of(module))
        homes = imported_by(tree)
        for cls in tree.body:
            if isinstance(cls, ast.ClassDef) and (cls.name in PUBLIC or cls.name in BASES):
                found |= {
                    name
                    for name in in_signatures(cls)
                    if homes.get(name, FOR_CHECKERS) != FOR_CHECKERS
                }
    return found - BASES


def source_of(module: ModuleType) -> str:
    assert module.__file__ is not None
    return Path(module.__file__).read_text(encoding="utf-8")


def test_the_types_of_public_signatures_can_be_imported() -> None:
    assert {"DeadLetter", "Placement", "Topology", "Faults", "Trace"} <= wanted()
    assert wanted() - set(conveyor.__all__) == set()


@pytest.mark.parametrize("module", [conveyor, conveyor.stages])
def test_stages_for_real_jobs_are_there(module: ModuleType) -> None:
    names = (
        "Batch Unbatch Scan Reduce PerKey Window Throttle Tap PartitioningFork RoutingFork "
        "SplittingFork Tumbling Sliding Session Windowed Late"
    ).split()
    assert {*names} <= {*module.__all__}
    assert all(getattr(module, name) is getattr(conveyor, name) for name in names)


@pytest.mark.parametrize("name", conveyor.__all__)
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(conveyor, name) is not None
    assert name in dir(conveyor)


@pytest.mark.processes
def test_a_worker_that_imports_the_package_imports_no_world() -> None:
    script = (
        "import sys, conveyor; print(sorted(m for m in sys.modules if m.startswith(('conveyor.sim',"
        " 'conveyor.runtime'))))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=HANGS_S
    )
    assert printed.stdout.strip() == "[]"


def shown(kind: type) -> set[str]:
    """What `help()` lists of a class, but for what Python has on any."""
    names = [name for name, *_ in inspect.classify_class_attrs(kind)]
    return {each for each in names if pydoc.visiblename(each, obj=kind) and each[:2] != "__"}


@pytest.mark.parametrize(
    "kind",
    [each for name in PUBLIC if issubclass(each := getattr(conveyor, name), conveyor.stages.Stage)],
)
def test_help_shows_of_a_stage_what_its_user_may_call(kind: type) -> None:
    assert shown(kind) <= OF_STAGES


@pytest.mark.parametrize(
    "kind",
    [kind for name in conveyor.io.__all__ if hasattr(kind := getattr(conveyor.io, name), "open")],
)
def test_help_shows_of_a_source_or_a_sink_what_a_run_calls(kind: type) -> None:
    assert shown(kind) <= OF_STORES
