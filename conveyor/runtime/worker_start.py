"""How the workers of a pipeline begin, as the program has chosen it.

Knows: what may be chosen, and how to say why something may not.  Must never know: how a worker is
started.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec

from conveyor.errors import TopologyError
from conveyor.stages.callables import check_is_called, check_takes, name_of, near_misses

__all__ = ["WorkerStart", "check_modules", "worker_start"]


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """A start method (None: what CONVEYOR_START_METHOD says, or "forkserver"), what is called first
    in each worker, and the modules that the fork server imports for all of them."""

    method: str | None = None
    initializer: Callable[[], object] | None = None
    preload: tuple[str, ...] = ()

    def preloading(self, *others: WorkerStart) -> WorkerStart:
        """The same, with the modules of others too."""
        names = dict.fromkeys([*self.preload, *(name for each in others for name in each.preload)])
        return replace(self, preload=tuple(names))


def worker_start(
    method: str | None, initializer: Callable[[], object] | None, preload: Iterable[object]
) -> WorkerStart:
    """What was chosen; raises `TopologyError` for what cannot be."""
    if initializer is not None:
        if not callable(initializer):
            raise TopologyError(
                f"Pipeline: initializer is {initializer!r}; it must be a function without arguments"
            )
        what = f"Pipeline(initializer={name_of(initializer)})"
        check_takes(what, initializer, "no required argument", 0)
        check_is_called(what, initializer, "nothing would run it: write one that returns")
    if isinstance(preload, str):
        raise TopologyError(
            f"Pipeline: preload is {preload!r}; write a list: preload=[{preload!r}]"
        )
    names: list[str] = []
    for name in preload:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise TopologyError(f"Pipeline: preload has {name!r}, which is no name of a module")
        if name == "__main__":
            raise TopologyError(
                "Pipeline: preload has '__main__', but workers never import your script; put what "
                "takes long to import into a module of its own"
            )
        names.append(name)
    return WorkerStart(method, initializer, tuple(names))


def check_modules(names: Iterable[str]) -> None:
    """Raises `TopologyError` for a module that is not there, without importing any."""
    for name in names:
        top = name.partition(".")[0]
        if not _is_there(top):
            meant = near_misses(top, {*sys.stdlib_module_names, *sys.modules})
            raise TopologyError(
                f"preload: there is no module {top!r}"
                + (f"; was {' or '.join(map(repr, meant))} meant?" if meant else "")
            )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # it has been imported, and does not say from where
        return True
