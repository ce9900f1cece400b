"""Which modules are being imported, and whether a pipeline may be run meanwhile.

A worker that imports the module of its job runs that module's code.  If that runs a pipeline, its
worker imports the module, too, and so on without end.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Iterable, Mapping
from importlib import _bootstrap
from types import ModuleType

from conveyor.errors import LifecycleError

__all__ = ["check_may_run", "importing", "loading", "modules_being_imported", "remember"]

# What every Python has that is known; one that has it not is asked for all modules.
LOCKED: Mapping[str, object] | None = getattr(_bootstrap, "_module_locks", None)


class Imports:
    """What this process is importing, and what its ancestors were when they started it."""

    def __init__(self) -> None:
        self.is_loading = False
        self.of_ancestors: frozenset[str] = frozenset()


imports = Imports()


def modules_being_imported() -> list[str]:
    """Gives the modules that any thread is importing, the innermost last.

    They are read off the modules themselves: the frames of a thread that runs cannot be walked
    safely from another.  Each module that is imported is locked meanwhile, so those without a lock
    are not looked at: a program may have thousands, and this is asked for every worker.
    """
    names = list(sys.modules if LOCKED is None else LOCKED)
    return [name for name in names if _is_being_imported(sys.modules.get(name))]


def _is_being_imported(module: object) -> bool:
    """Is a module between its first line and its last?  Calls no `__getattr__` of the module."""
    if not isinstance(module, ModuleType):
        return False
    names = ModuleType.__getattribute__(module, "__dict__")
    return bool(getattr(names.get("__spec__"), "_initializing", False))


@contextlib.contextmanager
def loading() -> Generator[None]:
    """A block in which this process imports and unpickles its stages, and may run no pipeline."""
    imports.is_loading = True
    try:
        yield
    finally:
        imports.is_loading = False


def remember(modules: Iterable[str]) -> None:
    """Called in a worker: its parent, or a parent of that, was importing these when it started the
    worker."""
    imports.of_ancestors = frozenset(modules)


def importing() -> tuple[str, ...]:
    """Gives what a worker that is started now has to remember."""
    return tuple(sorted(imports.of_ancestors.union(modules_being_imported())))


def check_may_run() -> None:
    """Raises `LifecycleError` if a pipeline that runs now would run itself again in its own
    workers."""
    modules = modules_being_imported() if imports.is_loading or imports.of_ancestors else []
    again = [name for name in modules if name in imports.of_ancestors] or (
        modules if imports.is_loading else []
    )
    if again:
        raise LifecycleError(
            f"module {again[-1]!r} runs a pipeline while it is imported, and the workers of that "
            "pipeline import it, too: each would start workers of its own, without end. "
            "Put the run into a function, or below "
            '`if __name__ == "__main__":`'
        )
    if imports.is_loading:
        raise LifecycleError(
            "a pipeline is run while a worker unpickles its stage; run it in setup() or in the job"
        )
