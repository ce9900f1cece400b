"""What all forks share that look at their items: a function of the user's says to which lane each
goes.
"""

from __future__ import annotations

from collections.abc import Callable

from conveyor.errors import TopologyError
from conveyor.stages.callables import can_be_called, check_is_called, check_takes, name_of
from conveyor.stages.forks import Fork
from conveyor.stages.stage import ON_ERROR, OnError, Stage, StageOptions, checked_name

__all__ = ["SelectingFork", "function_of"]


class SelectingFork(Fork):
    """A fork that says of each item, by a function of the user's, to which one of its lanes it
    goes.

    The function runs in the worker that owns the fork, that of the stage before it.  It must be a
    pure function of the item: what it does to the item is not seen, and large arrays are read-only
    for it.  If it raises, `on_error` says what becomes of the item, as it does for a `Processor`:
    "raise" ends the run, "skip" drops the item, "dead_letter" keeps it in
    `RunResult.dead_letters`, with the name of the fork.
    """

    def _take(
        self,
        n: int | None,
        what: str,
        fn: object,
        name: str | None,
        on_error: OnError,
    ) -> None:
        kind = type(self).__name__
        if isinstance(fn, Stage) or not can_be_called(fn):
            raise TopologyError(f"{kind}: {what} is {fn!r}; it must be a function of one item")
        told = f"{kind}({what}={name_of(fn)})"
        check_takes(told, fn, "exactly one required argument, the item", 1)
        check_is_called(told, fn, "a generator says nothing of a lane: give a plain function")
        if on_error not in ON_ERROR:
            raise TopologyError(
                f"{kind}: on_error is {on_error!r}; it must be one of "
                f"{', '.join(map(repr, ON_ERROR))}"
            )
        self.n = n
        self.stage_options = StageOptions(checked_name(kind, name), fn, on_error)

    def __repr__(self) -> str:
        n = "" if self.n is None else f"{self.n}, "
        return f"{type(self).__name__}({n}{self._said})"

    @property
    def _said(self) -> str:
        """What it was made with, as it is written."""
        return name_of(function_of(self))


def function_of(fork: SelectingFork) -> Callable[[object], object]:
    """What is called with each item."""
    fn = fork.stage_options.fn
    assert fn is not None
    return fn
