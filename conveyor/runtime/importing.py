"""Which modules are being imported, and whether a pipeline may be run meanwhile.

Knows: frames, and what a module that is not whole yet looks like.  Must never know: pipelines.

A worker that imports the module of its job runs that module's code.  If that runs a pipeline, its worker imports the module,
too, and so on without end.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Iterable, Iterator
from types import FrameType

from conveyor.errors import LifecycleError

__all__ = ["check_may_run", "importing", "loading", "modules_being_imported", "remember"]


class State:
    """Of this process."""

    def __init__(self) -> None:
        self.is_loading = False
        self.of_ancestors: frozenset[str] = frozenset()


state = State()


def modules_being_imported() -> list[str]:
    """The modules that any thread is importing, the innermost last."""
    # No variable may be left with a frame: that of this call is among them, and would keep itself and all above it.
    names = [
        name
        for frame in sys._current_frames().values()  # pyright: ignore[reportPrivateUsage]  # documented, for all its name
        for name in reversed(list(_modules_below(frame)))
    ]
    return list(dict.fromkeys(names))


def _modules_below(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        if frame.f_code.co_name == "<module>" and getattr(frame.f_globals.get("__spec__"), "_initializing", False):
            yield str(frame.f_globals.get("__name__"))
        frame = frame.f_back


@contextlib.contextmanager
def loading() -> Generator[None]:
    """Within it this process imports and unpickles what it was told to, and no pipeline may be run."""
    state.is_loading = True
    try:
        yield
    finally:
        state.is_loading = False


def remember(modules: Iterable[str]) -> None:
    """Called in a worker: its parent, or a parent of that, was importing these when it started the worker."""
    state.of_ancestors = frozenset(modules)


def importing() -> tuple[str, ...]:
    """What a worker that is started now has to remember."""
    return tuple(sorted(state.of_ancestors.union(modules_being_imported())))


def check_may_run() -> None:
    """Raises `LifecycleError` if a pipeline that runs now would run itself again in its own workers."""
    modules = modules_being_imported() if state.is_loading or state.of_ancestors else []
    again = [name for name in modules if name in state.of_ancestors] or (modules if state.is_loading else [])
    if again:
        raise LifecycleError(
            f"module {again[-1]!r} runs a pipeline while it is imported, and the workers of that pipeline import it, too: "
            "each would start workers of its own, without end. Put the run into a function, or below "
            '`if __name__ == "__main__":`'
        )
    if state.is_loading:
        raise LifecycleError("a pipeline is run while a worker unpickles its stage; run it in setup() or in the job")
