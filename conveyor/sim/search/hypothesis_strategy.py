"""Simulations as Hypothesis draws them: items and schedule together, so that they shrink together.

Knows: Hypothesis, which need not be installed until this file is imported.  Must never know: how a
schedule is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Final

from hypothesis import currently_in_test_context, note
from hypothesis import strategies as st
from typing_extensions import TypeVar

from conveyor.items.short_repr import short_repr
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.search.simulable import Simulable
from conveyor.sim.search.simulation import Simulation

__all__ = ["schedules"]

In = TypeVar("In")
Out = TypeVar("Out")

# A number is an option, counted from 0, which is the default, and round again.
NUMBERS: Final = st.lists(st.integers(0, 63), max_size=100)
DEFAULTS: Final = st.just(0) | st.integers(0, 31)


class Drawn(Scheduler):
    """Decides what was drawn: by default at first, then number by number, and by default again when
    there are none left.

    A number for each decision, drawn when it is asked for, would leave no number over when an item
    is taken away, so most of what Hypothesis tries to leave out would come to nothing.
    """

    def __init__(self, defaults: int, numbers: Sequence[int]) -> None:
        self.numbers = chain(repeat(0, defaults), numbers)

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        return options[next(self.numbers, 0) % len(options)]

    def turn(self, points: Sequence[str], options: Sequence[Sequence[int]]) -> int:
        return next(self.numbers, 0) % len(points)


def check_is_strategy(items: object) -> None:
    if not isinstance(items, st.SearchStrategy):
        raise TypeError(
            f"schedules() takes a strategy of items, not {short_repr(items)}; "
            "st.just([...]) of hypothesis.strategies gives the same ones each time"
        )


def schedules(
    pl: Simulable[In, Out], items: st.SearchStrategy[Iterable[In]]
) -> st.SearchStrategy[Simulation[Out, In]]:
    """Simulations of a pipeline, each of other `items` and under another schedule; both shrink
    together.

    Raises `TypeError` if `items` is no strategy.  What a job raises is raised where the simulation
    is drawn, and so is `Deadlock`: the test fails.

    >>> from hypothesis import given, strategies as st
    >>> from conveyor import Join, Pipe, Pipeline, ReplicatingFork
    >>> pl = Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2))
    >>> @given(schedules(pl, st.lists(st.integers())))
    ... def test_that_every_item_comes_out_twice(simulation):
    ...     assert sorted(simulation) == sorted(simulation.items * 2)
    >>> test_that_every_item_comes_out_twice()
    """
    check_is_strategy(items)

    @st.composite
    def simulations(draw: st.DrawFn) -> Simulation[Out, In]:
        drawn = list(draw(items))
        simulation = pl.simulate(drawn, scheduler=Drawn(draw(DEFAULTS), draw(NUMBERS)))
        if currently_in_test_context():
            note(f"replay: pl.replay({drawn!r}, {simulation.schedule!r})")
        return simulation

    return simulations()
