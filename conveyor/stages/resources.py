"""What a job is given beside its item: made once in a worker, and closed at the worker's end.

Knows: how something is opened and closed.  Must never know: how a stage runs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Final, cast

from conveyor.errors import TopologyError
from conveyor.stages.callables import check_is_called, check_takes, name_of

__all__ = ["GivenTwo", "Resource", "checked_setup"]


class Resource:
    """What `setup` made in a worker: `value` is what the job is given.

    A context manager is entered, and left at the end; anything else is closed, if it can be.
    """

    def __init__(self, made: object) -> None:
        self.value = made
        self.end: Callable[[], object] | None = None
        if isinstance(made, AbstractContextManager):
            entered = cast("AbstractContextManager[object]", made)
            self.end = partial(entered.__exit__, None, None, None)
            self.value = entered.__enter__()
        elif not isinstance(made, type | ModuleType):  # os.close is for something else
            close: Callable[[], object] | None = getattr(made, "close", None)
            self.end = close if callable(close) else None

    @property
    def is_to_be_closed(self) -> bool:
        """Does anything happen at its end?"""
        return self.end is not None

    def close(self) -> None:
        """Leaves or closes what was made; does nothing the second time."""
        end, self.end = self.end, None
        if end is not None:
            end()


@dataclass(frozen=True, slots=True)
class GivenTwo:
    """A function of an item and of what `setup` made; `call` is the job, of an item alone.

    A bound method, as a call of an object costs half as much again.
    """

    fn: Callable[..., object]
    made: object

    def call(self, item: object) -> object:
        return self.fn(item, self.made)


OPENS: Final = "decorate it with contextlib.contextmanager, and what it yields is given to the job"


def checked_setup(
    kind: str, setup: Callable[[], object] | None, fn: object
) -> Callable[[], object] | None:
    """`setup`, if it can be called without arguments; raises `TopologyError` otherwise."""
    if setup is None:
        return None
    if fn is None:
        raise TopologyError(
            f"{kind}: setup= is for what a function is given beside its item; a class has a "
            "setup(self) of its own"
        )
    if not callable(setup):
        raise TopologyError(
            f"{kind}: setup is {setup!r}; it must be a function without arguments that makes what "
            "the job is given beside its item, such as lambda: sqlite3.connect(path)"
        )
    what = f"{kind}(setup={name_of(setup)})"
    check_takes(what, setup, "no required argument", 0)
    check_is_called(what, setup, OPENS)
    return setup
