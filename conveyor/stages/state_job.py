"""What the stages share that keep a state by themselves, for the length of a run.

A state is made when a worker begins and is empty again at the end of each run.  It outlives its
worker without a line of the user's: as a whole, or, where it may be large, as what has changed.
"""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, Never, TypeAlias, TypeVar

from conveyor.errors import TopologyError
from conveyor.stages.callables import check_is_called, check_takes
from conveyor.stages.job import In, Job, Out
from conveyor.stages.stage import Stage

__all__ = [
    "CannotGoBack",
    "Incremental",
    "StateJob",
    "TellsChanges",
    "check_is_function",
    "parts_of",
]


S = TypeVar("S")
T = TypeVar("T")

# The first state of a fold: an S.  An S alone would settle for mypy what S is, before it looks at
# the function: `[]` would be a list of nothing.  What may be a function waits for the others.
Initial: TypeAlias = S | Callable[[S], Never]


class StateJob(Job[In, Out]):
    """A stage that keeps a state, and has it saved and restored.

    `undo` puts back, step by step, what the item in hand has changed so far; it is kept where an
    item that fails does not end the run.
    """

    undo: list[Callable[[], object]]
    guards: bool

    @property
    def is_stateful(self) -> bool:
        return True

    @property
    def is_restorable(self) -> bool:
        return True

    @property
    def _is_guarded(self) -> bool:
        """Does an attempt that fails have to leave the state as it was?"""
        options = self.stage_options
        return options.on_error != "raise" or options.retries > 0

    def _default_name(self) -> str:
        return Stage._default_name(self)

    def setup(self) -> None:
        self.undo = []
        self.guards = self._is_guarded
        self._begin()

    @abstractmethod
    def _begin(self) -> None:
        """Makes the state of a run that begins."""
        ...

    @abstractmethod
    def snapshot(self) -> object:
        """The state, as something that can be pickled."""
        ...

    @abstractmethod
    def restore(self, state: Any, /) -> None:
        """Called behind `setup` in a new worker, with what `snapshot` gave last."""
        ...

    def _go_back(self) -> None:
        """Puts the state back to how it was before the item in hand."""
        steps, self.undo = self.undo, []
        for step in reversed(steps):
            step()
        self.undo = []  # what going back has added, as any change does


class CannotGoBack(TopologyError):
    """The state of a stage cannot be put back to how it was before an item: whatever is said of
    items that fail, the run ends."""


class TellsChanges(ABC):
    """What is saved and restored, and can tell what of its state has changed."""

    @abstractmethod
    def snapshot(self) -> object:
        """The state, as something that can be pickled."""
        ...

    @abstractmethod
    def restore(self, state: Any, /) -> None:
        """Brings what is new to that state."""
        ...

    @abstractmethod
    def _changes(self) -> object | None:
        """What has changed since `snapshot` or this was called last, as something that can be
        pickled; None if nothing has."""
        ...

    @abstractmethod
    def _apply(self, changes: Any, /) -> None:
        """Brings what was restored to where these changes lead, which came next."""
        ...

    def _parts(self, n: int) -> Iterator[object]:
        """The state in about so many parts that can be pickled: the first is for `restore`, those
        behind it for `_apply`.

        They may be asked for one by one, and between two of them the state may change, of which
        `_changes` tells as ever: each has what belongs to it as it is then.
        """
        yield self.snapshot()


def parts_of(things: Sequence[T], n: int) -> Iterator[Sequence[T]]:
    """About `n` parts of like length, one at least.

    >>> [*parts_of("abcde", 3)], [*parts_of("ab", 3)], [*parts_of("", 3)]
    (['ab', 'cd', 'e'], ['a', 'b'], [''])
    """
    size = -(-len(things) // n) or 1
    for at in range(0, len(things) or 1, size):
        yield things[at : at + size]


class Incremental(StateJob[In, Out], TellsChanges):
    """A stage that can also tell what of its state has changed."""


SIMPLE = frozenset({int, float, complex, str, bytes, bool, type(None)})


def kept_aside(value: object) -> Callable[[], object]:
    """What gives a value as it is now, whatever is done to it meanwhile."""
    if type(value) in SIMPLE:
        return lambda: value
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return lambda: pickle.loads(data)


def fresh(initial: Any) -> Any:
    """A value to begin with, which no other run or window has."""
    return initial if type(initial) in SIMPLE else deepcopy(initial)


def check_is_function(what: str, fn: Any, arguments: str, count: int) -> None:
    """Raises `TopologyError` for what is no function of so many arguments, for which these are the
    words."""
    if not callable(fn) or isinstance(fn, Stage):
        raise TopologyError(f"{what} is {fn!r}; it must be a function of {arguments}")
    check_takes(what, fn, f"exactly {arguments}", count)
    check_is_called(what, fn, "write one that returns its result", "state, item")
