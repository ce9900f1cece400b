"""Simulations as Hypothesis draws them: items and schedule together, so that they shrink together.

Knows: Hypothesis, which need not be installed until this file is imported.  Must never know: how a schedule is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import currently_in_test_context, note
from hypothesis import strategies as st
from typing_extensions import TypeVar

from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.simulable import Simulable
from conveyor.sim.simulation import Simulation

__all__ = ["schedules"]

In = TypeVar("In")
Out = TypeVar("Out")


class Drawn(Scheduler):
    """Each decision is a number that Hypothesis draws; 0, to which it shrinks, is the default."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        return options[self.draw(st.integers(0, len(options) - 1))]

    def turn(self, points: Sequence[str], options: Sequence[Sequence[int]]) -> int:
        return self.draw(st.integers(0, len(points) - 1))


def schedules(pl: Simulable[In, Out], items: st.SearchStrategy[Iterable[In]]) -> st.SearchStrategy[Simulation[Out]]:
    """Simulations of a pipeline, each of other `items` and under another schedule; both shrink together.

    What a job raises is raised where the simulation is drawn, and so is `Deadlock`: the test fails.

    >>> from hypothesis import given, strategies as st
    >>> from conveyor import Join, Pipe, Pipeline, ReplicatingFork
    >>> pl = Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2))
    >>> @given(schedules(pl, st.lists(st.integers())))
    ... def test_that_every_item_comes_out_twice(simulation):
    ...     assert sorted(simulation) == sorted(simulation.items * 2)
    >>> test_that_every_item_comes_out_twice()
    """

    @st.composite
    def simulations(draw: st.DrawFn) -> Simulation[Out]:
        drawn = list(draw(items))
        simulation = pl.simulate(drawn, scheduler=Drawn(draw))
        if currently_in_test_context():
            note(f"replay: pl.replay({drawn!r}, {simulation.schedule!r})")
        return simulation

    return simulations()
