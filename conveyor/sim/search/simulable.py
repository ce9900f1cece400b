"""What can be simulated, as those see it who may not know of pipelines.

Knows: the one call.  Must never know: what a pipeline is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from typing_extensions import TypeVar

from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.search.simulation import Simulation

__all__ = ["Simulable"]

In = TypeVar("In")
Out = TypeVar("Out")  # a Simulation is a list, so nothing else will do


class Simulable(Protocol[In, Out]):
    """A pipeline with one open lane."""

    def simulate(
        self, items: Iterable[In], *, scheduler: Scheduler | None = None
    ) -> Simulation[Out, In]:  # pyright: ignore[reportInvalidTypeArguments]
        ...
