"""What a test may be given to simulate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.search.simulation import Simulation

__all__ = ["Simulable"]

In = TypeVar("In")
# The outputs of something that can be simulated: a Simulation is a list, so it is invariant.
Given = TypeVar("Given")


class Simulable(Protocol[In, Given]):
    """A pipeline with one open lane."""

    def simulate(
        self, items: Iterable[In], *, scheduler: Scheduler | None = None
    ) -> Simulation[Given, In]:  # pyright: ignore[reportInvalidTypeArguments]
        ...
