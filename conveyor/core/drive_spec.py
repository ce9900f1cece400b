"""What a drive loop steps, as the world puts it together.

Knows: which parts a loop has.  Must never know: what is done with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol

from typing_extensions import TypeVar

from conveyor.core.barriers import Barriers
from conveyor.core.channel import Inlet, Outlet
from conveyor.core.job_node import Node
from conveyor.core.journal import Journal
from conveyor.core.requests import ChooseInput, TimedChoice
from conveyor.core.snapshots import RestoredNode
from conveyor.core.timers import Timer
from conveyor.graph.route import Route

__all__ = ["DriveSpec", "Lanes"]

Blob = TypeVar("Blob")


class Lanes(Protocol):
    """Which lanes of a fork the items of the newest piece of the node go to; a piece may have lost
    the first of its items since."""

    @property
    def lanes(self) -> Sequence[int]: ...


class DriveSpec(NamedTuple, Generic[Blob]):
    """What a drive loop steps: a node, what it reads, and the outlets of its route's leaves, in
    their order.

    `join_name` is what the choice of an input is called where there are several.  `journal` is
    there where counts are to outlive the worker, `restored` where the state of its processor is;
    `timer` where time wakes the job or holds it up, `selected` where the route begins with a fork
    that looks at its items; `barriers` where the run is to have a checkpoint.
    """

    node: Node
    inlets: Sequence[Inlet]
    outlets: Sequence[Outlet[Blob]]
    route: Route | None
    join_name: str = ""
    journal: Journal | None = None
    restored: RestoredNode | None = None
    timer: Timer | None = None
    selected: Lanes | None = None
    barriers: Barriers | None = None

    def close(self, run: int) -> None:
        """Tells all lanes that the run is over."""
        for outlet in self.outlets:
            outlet.close(run)

    def passes_barrier(self) -> bool:
        """Passes the barrier that all inputs have come to; False if they have ended instead."""
        return self.barriers is not None and self.barriers.pass_on()

    def choice(self) -> ChooseInput | None:
        """The choice of what is next; none if the only input is."""
        if self.timer is not None:
            return TimedChoice(self.join_name, self.inlets, self.timer)
        return ChooseInput(self.join_name, self.inlets) if len(self.inlets) > 1 else None
