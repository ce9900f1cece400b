"""Folds over all items of a run: `Scan` gives each state, `Reduce` the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from typing_extensions import TypeVar

from conveyor.stages.callables import name_of
from conveyor.stages.job import Gives
from conveyor.stages.stage import OnError
from conveyor.stages.state_job import Initial, StateJob, check_is_function, fresh, kept_aside

__all__ = ["Reduce", "Scan"]

T = TypeVar("T", default=Any, contravariant=True)
S = TypeVar("S", default=Any)


class Fold(StateJob[T, S]):
    """What the two have in common: a state that becomes `fn(state, item)` with each item."""

    def __init__(
        self,
        fn: Callable[[S, T], S],
        initial: Initial[S],
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
    ) -> None:
        check_is_function(
            f"{type(self).__name__}: fn", fn, "two required arguments, the state and the item", 2
        )
        self.fn = fn
        self.initial: object = initial
        self._take(None, name, on_error, retries, None, read_only=False)

    def _default_name(self) -> str:
        return name_of(self.fn)

    def _begin(self) -> None:
        self.state: S = fresh(self.initial)

    def _fold(self, item: T) -> S:
        if self.guards:
            before = kept_aside(self.state)
            self.undo = [lambda: self.restore(before())]
        self.state = self.fn(self.state, item)
        return self.state

    def snapshot(self) -> S:
        return self.state

    def restore(self, state: Any, /) -> None:
        self.state = state

    def __repr__(self) -> str:
        return f"{type(self).__name__}({name_of(self.fn)}, {self.initial!r})"


class Scan(Fold[T, S]):
    """A running fold: with each item the state becomes `fn(state, item)`, and is given out.

    The first state is a copy of `initial`, in each run anew.  A state that is None is given out
    like any other.  The state outlives its worker, and with `on_error` or `retries` an item that
    fails leaves it as it was, even where `fn` has changed it.

    Raises `TopologyError` if `fn` cannot be called with two arguments.

    >>> from conveyor import Pipeline
    >>> Pipeline[int]().add(Scan(lambda total, n: total + n, 0)).run([1, 2, 3])
    [1, 3, 6]
    """

    _stage_gives: ClassVar[Gives | None] = Gives.EVERY_RESULT

    def process(self, item: T, /) -> S:
        return self._fold(item)

    def finish(self) -> Iterable[S]:
        self._begin()
        return ()


class Reduce(Fold[T, S]):
    """A fold that gives its last state once, at the end of the run; of no items, `initial`.

    Everything else is as with `Scan`.

    >>> from conveyor import Pipeline
    >>> Pipeline[int]().add(Reduce(lambda total, n: total + n, 0)).run([1, 2, 3])
    [6]
    """

    _stage_gives: ClassVar[Gives | None] = Gives.RESULT

    def process(self, item: T, /) -> None:
        self._fold(item)

    def finish(self) -> Iterable[S]:
        yield self.state
        self._begin()
