"""How much a simulated worker takes in hand, and gives out, at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from conveyor.core.channel import UNBOUNDED
from conveyor.core.job_node import Node, Piece
from conveyor.sim.world.channel import MemoryChannel
from conveyor.sim.world.faulty_channel import CrashPlan

__all__ = ["SINGLE_ITEM_SLICES", "ChosenSlices", "OneOutput"]


class SingleItemSlices:
    """Slices of one item: larger ones give a part of the same outcomes."""

    n = 1


class ChosenSlices:
    """Slices of one item, or of all there are: that is decided where a worker is to die, since how
    many items it has in hand shows then."""

    def __init__(
        self,
        channels: Sequence[MemoryChannel],
        crash_plan: CrashPlan,
        is_large: Callable[[], bool],
    ) -> None:
        self.channels = channels
        self.crash_plan = crash_plan
        self.is_large = is_large

    @property
    def n(self) -> int:
        there = max((channel.queued() for channel in self.channels), default=1)
        if there <= 1 or not self.crash_plan.will_die:
            return 1
        return UNBOUNDED if self.is_large() else 1


class OneOutput:
    """A node that gives its outputs one by one.

    A larger slice may be cut anywhere: any two outputs may be given different lanes, and a worker
    may die between any two.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.tally = node.tally

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        return self.node(items, skip, 1)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.node.finish(skip, 1)


SINGLE_ITEM_SLICES: Final = SingleItemSlices()
