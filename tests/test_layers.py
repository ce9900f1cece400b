"""The law of ARCHITECTURE.md: imports point down only, the core is pure, and each power is held by
one file."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

from conveyor import Pipeline, Processor

ROOT = Path(__file__).resolve().parents[1]

# Folders, and the files beside them; each imports only from those before it and from files of its
# own.
LAYERS = (
    "drawing",
    "directories errors pickles report signal_handlers signatures",
    "progress transfer",
    "monitor",
    "stages",
    "items",
    "typecheck io",
    "graph",
    "core",
    "reporting recording",
    "runtime sim",
    "runtime.monitor runtime.process runtime.step sim.code",
    "runtime.shm sim.prepare",
    "sim.counting sim.determinism sim.schedulers",
    "runtime.mirror runtime.worker runtime.policies sim.world",
    "runtime.parent sim.search",
    "runtime.hosts",
    "cluster",
    "_builder",
    "_rows",
    "pipeline",
    "pytest_plugin conform",
    "cli",
    "__main__",
    "_mypy",
    "mypy_plugin",
)
RANKS = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms.split()}
FACADES = {
    "conveyor",
    "conveyor.windows",
    "conveyor.io",
    "conveyor.runtime",
    "conveyor.sim",
}  # name what users import: nothing imports them

CONCURRENCY = {"multiprocessing", "threading", "asyncio", "socket", "signal", "subprocess", "mmap"}
OUTSIDE_WORLD = CONCURRENCY | {"os", "time", "random", "logging"}
SHARED_MEMORY = {"mmap", "os.memfd_create"}
NEW_PROCESSES = {
    "multiprocessing",
    "subprocess",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.posix_spawnp",
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


PATHS = {module_name(path): path for path in sorted((ROOT / "conveyor").rglob("*.py"))}
# Beside the library, not in it: what mypy loads.
PLUGIN = {m for m in PATHS if m.startswith(("conveyor.mypy_", "conveyor._mypy"))}
WORLDS = "cluster runtime sim".split()
SHELLS = (
    WORLDS
    + "directories signal_handlers io _builder pipeline pytest_plugin conform cli __main__".split()
)
CORE = [m for m in PATHS if m != "conveyor" and m not in PLUGIN and m.split(".")[1] not in SHELLS]


@cache  # and not when the tests are collected: every process of pytest does that
def tree(module: str) -> ast.Module:
    return ast.parse(PATHS[module].read_bytes(), str(PATHS[module]))


def room(module: str) -> str:
    """The folder of a file, or the file itself if it stands beside the folders."""
    inner = module.removeprefix("conveyor.")
    return (
        inner
        if PATHS[module].name == "__init__.py" or "." not in inner
        else inner.rpartition(".")[0]
    )


@cache
def nodes(module: str) -> list[ast.AST]:
    return [*ast.walk(tree(module))]


@cache
def imported_names(module: str) -> list[str]:
    """Every import, wherever it stands: ``from os import path as p`` is ``os.path``."""
    return [*_imported_names(module)]


def _imported_names(module: str) -> Iterator[str]:
    package = module if PATHS[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) + 1 - node.level] if node.level else []
            yield from (
                ".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names
            )


def imported_modules(module: str) -> set[str]:
    """The files of this package that ``module`` imports from."""
    names = [name for name in imported_names(module) if name.split(".")[0] == "conveyor"]
    return {*map(file_of, names)} - {module}


def file_of(name: str) -> str:
    """The file that an imported name is in."""
    while name not in PATHS:
        name = name.rpartition(".")[0]
    return name


@cache
def powers(module: str) -> set[str]:
    """What ``module`` can reach outside the package: imports, and the functions of ``os`` that it
    names."""
    reached = set(imported_names(module))
    for node in nodes(module):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
        ):
            reached.add(f"os.{node.attr}")
    return reached


def users(forbidden: set[str]) -> set[str]:
    """The modules that can reach anything of ``forbidden``."""
    return {
        m
        for m in PATHS
        if any(f"{name}.".startswith(f"{f}.") for name in powers(m) for f in forbidden)
    }


def is_set(node: ast.expr) -> bool:
    match node:
        case ast.Set() | ast.SetComp() | ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.BinOp(left=left, right=right):
            return is_set(left) or is_set(right)
        case _:
            return False


def takes_in_order(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.For(iter=taken) | ast.comprehension(iter=taken) | ast.Starred(value=taken):
            return [taken]
        case ast.Call(
            func=ast.Name(id="list" | "tuple" | "enumerate" | "iter" | "zip" | "map" | "dict"),
            args=taken,
        ):
            return taken
        case _:
            return []


def test_every_room_has_a_layer() -> None:
    found = {room(module) for module in PATHS if module not in FACADES}
    assert not found - RANKS.keys(), (
        f"give it a layer, here and in ARCHITECTURE.md: {sorted(found - RANKS.keys())}"
    )
    assert not RANKS.keys() - found, f"has a layer, but no file: {sorted(RANKS.keys() - found)}"


def test_imports_point_down() -> None:
    edges = {
        (module, target)
        for module in PATHS
        if module not in FACADES
        for target in imported_modules(module)
    }
    between = {(m, t) for m, t in edges if t in FACADES or room(m) != room(t)}
    assert not {(m, t) for m, t in between if t in FACADES or RANKS[room(m)] <= RANKS[room(t)]}


def test_every_folder_says_what_is_in_it_and_what_to_read_first() -> None:
    heads = {
        m: ast.get_docstring(tree(m)) or ""
        for m in PATHS
        if PATHS[m].name == "__init__.py" and m not in FACADES
    }
    assert not [m for m, head in heads.items() if "Start with" not in " ".join(head.split())]


GENERATED = {"_rows.pyi", "signatures.pyi"}


def test_a_file_is_read_in_one_sitting() -> None:
    files = [path for path in (ROOT / "conveyor").rglob("*.py*") if path.suffix in (".py", ".pyi")]
    long = [path for path in files if len(path.read_text("utf-8").splitlines()) > 400]
    assert not {path.name for path in long} - GENERATED


def test_a_function_fits_on_a_screen() -> None:
    functions = {
        f"{module}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module in PATHS
        for node in nodes(module)
        if isinstance(node, ast.FunctionDef)
    }
    assert not [name for name, lines in functions.items() if lines > 50]


def test_few_files_stand_beside_the_folders() -> None:
    assert len([m for m in PATHS if m.count(".") == 1 and PATHS[m].name != "__init__.py"]) <= 14


def test_there_are_no_cycles() -> None:
    TopologicalSorter({module: imported_modules(module) for module in PATHS}).prepare()


def test_the_two_worlds_never_import_each_other() -> None:
    reached = {module: " ".join(imported_modules(module)) for module in PATHS}
    assert not {
        m for m in reached if m.startswith("conveyor.runtime") and "conveyor.sim" in reached[m]
    }
    assert not {
        m for m in reached if m.startswith("conveyor.sim") and "conveyor.runtime" in reached[m]
    }


def test_what_builds_pipelines_reaches_the_real_world_through_one_file() -> None:
    """So another engine is known there, and nowhere else; the doctor looks at the machine."""
    below = {
        m for m in PATHS if m.startswith(("conveyor.runtime", "conveyor.sim", "conveyor.cluster"))
    }
    reach = {
        m
        for m in PATHS.keys() - below - FACADES
        if any(target.startswith("conveyor.runtime") for target in imported_modules(m))
    }
    assert reach == {"conveyor._builder.engine", "conveyor.cli.doctor"}


def test_the_core_knows_no_outside_world() -> None:
    assert not users(OUTSIDE_WORLD) & set(CORE)


def test_the_core_iterates_over_no_set() -> None:
    places = (
        (module, taken)
        for module in CORE
        for node in nodes(module)
        for taken in takes_in_order(node)
    )
    found = [f"{module}:{taken.lineno}" for module, taken in places if is_set(taken)]
    assert not found, "the order of a set differs from run to run: sort it, or take a dict"


def test_the_simulator_knows_no_processes_and_no_clock() -> None:
    found = {
        module for module in users(CONCURRENCY | {"time"}) if module.startswith("conveyor.sim")
    }
    # Which run async jobs, on a time that is not the clock's
    assert found == {"conveyor.sim.code.virtual_loop", "conveyor.sim.code.stepped_loop"}


def test_signals_are_known_to_one_file_beside_the_real_world() -> None:
    known = {module for module in users({"signal"}) if not module.startswith("conveyor.runtime")}
    assert known == {"conveyor.signal_handlers"}


def test_chance_lives_in_one_file_of_the_simulator() -> None:
    owners = users({"random"})
    assert len(owners) <= 1
    assert all(owner.startswith("conveyor.sim.") for owner in owners)


def test_shared_memory_lives_in_one_file() -> None:
    assert users(SHARED_MEMORY) <= {"conveyor.runtime.shm.memory"}


def test_processes_are_started_in_two_files() -> None:
    assert users(NEW_PROCESSES) <= {
        "conveyor.runtime.process.bootstrap",
        "conveyor.runtime.process.start",
    }


def test_nothing_of_the_library_imports_what_stands_beside_the_tests() -> None:
    """Fault injection above all: what makes workers die at a chosen store is a test's affair."""
    assert (ROOT / "tests" / "store_faults.py").exists()
    assert not users({"tests"})


def test_only_the_plugin_knows_mypy_and_nothing_else_knows_the_plugin() -> None:
    assert users({"mypy"}) == {
        "conveyor.mypy_plugin",
        *(f"conveyor._mypy.{name}" for name in "file judge rows runs stages types".split()),
    }
    assert not {m for m in PATHS if m not in PLUGIN and imported_modules(m) & PLUGIN}


@pytest.mark.processes
def test_importing_the_library_imports_neither_world() -> None:
    script = (
        "import conveyor, sys; print([name for name in sys.modules if "
        "name.startswith(('conveyor.runtime', 'conveyor.sim', 'conveyor.io'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


@pytest.mark.processes
def test_a_worker_imports_nothing_that_only_building_and_the_parent_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these makes every worker start later, and under `spawn` each recovery."""
    lines = [
        "import sys",
        "from conveyor import Join, Pipeline, Processor",
        "def loaded(_): return sorted(sys.modules)",
    ]
    (tmp_path / "a_module_with_a_job.py").write_text("\n".join(lines))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    job = import_module("a_module_with_a_job").loaded
    (loaded,) = Pipeline[int](start_method="spawn").add(Processor(job)).run([1])
    assert "conveyor.runtime.worker.worker" in loaded
    rooms = (
        "conveyor.typecheck",
        "conveyor.recording",
        "conveyor.reporting",
        "conveyor.runtime.parent",
        "conveyor.sim",
    )
    building = {f"conveyor.graph.{name}" for name in "draft compiler fusion deadlock".split()}
    heavy = {"cloudpickle", "psutil", "conveyor.items.fingerprint"} | building
    assert not heavy & {*loaded}
    assert not [name for name in loaded if name.startswith(rooms)]


def test_every_public_name_is_there() -> None:
    conveyor = import_module("conveyor")
    states = dict.fromkeys(
        "AdaptivePipeline StatementPipeline UncheckedPipeline WidePipeline".split(), "Pipeline"
    )
    aliases = states | dict.fromkeys("OnError StartMethod Strategy".split(), "Literal")
    assert {name: getattr(conveyor, name).__name__ for name in conveyor.__all__} == {
        name: aliases.get(name, name) for name in conveyor.__all__
    }


@pytest.mark.processes
def test_importing_the_library_starts_nothing() -> None:
    script = (
        "import conveyor, sys; print(sorted({'multiprocessing', 'asyncio', 'numpy', 'mypy'} & "
        "sys.modules.keys()))\n"
        "import psutil; me = psutil.Process(); print(me.num_threads(), me.children())"
    )
    # A measurement of coverage would start in the new interpreter too, and bring modules of its
    # own.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout == "[]\n1 []\n"


def test_the_frames_of_threads_that_run_are_left_alone() -> None:
    """To walk them from another thread can crash the interpreter (CPython 3.11), so how likely is
    no question."""
    calls = [
        node.attr for module in PATHS for node in nodes(module) if isinstance(node, ast.Attribute)
    ]
    assert not {"_current_frames", "_current_exceptions"} & set(calls)
