"""How much room ends a deadlock, found by running it.

The same decisions are run with more room in one of the full pipes: twice as much until that is
enough, and then the least that is.  So each answer has been seen to end, and one item less has been
seen not to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.schedule import Decision, Key, Schedule
from conveyor.sim.schedulers.replay import FollowSchedule
from conveyor.sim.world.world import World

__all__ = ["SufficientCapacity", "sufficient_capacities"]

MOST: Final = 1 << 20


class SufficientCapacity(NamedTuple):
    """A pipe, the capacity it has, and the smallest with which the run ends."""

    pipe: str
    had: int
    needs: int

    def __str__(self) -> str:
        less = self.needs - 1
        return (
            f"{self.pipe} has room for {self.had}: with Pipe({self.needs}) this run ends, "
            f"with Pipe({less}) it does not."
        )


def sufficient_capacities(
    pipeline: PreparedPipeline,
    items: Sequence[object],
    full: Sequence[int],
    log: Sequence[Decision],
) -> list[SufficientCapacity]:
    """For each of the full channels, if more room there alone is enough, how much is."""
    schedule = Schedule({Key(point, ordinal): option for point, ordinal, option, _ in log})
    found: list[SufficientCapacity] = []
    for channel in full:

        def ends(capacity: int, channel: int = channel) -> bool:
            world = World(pipeline.with_capacity(channel, capacity), items)
            world.run(FollowSchedule(schedule))
            return all(loop.finished for loop in world.loops)

        pipe = pipeline.topology.channels[channel]
        needs = smallest(ends, pipe.capacity)
        if needs is not None:
            producer, consumer = (
                pipeline.topology.nodes[node].name for node in (pipe.producer, pipe.consumer)
            )
            found.append(
                SufficientCapacity(f"c{channel} ({producer} -> {consumer})", pipe.capacity, needs)
            )
    return found


def smallest(holds: Callable[[int], bool], fails: int) -> int | None:
    """The smallest number for which `holds`, which it does not for `fails`; each of both has been
    tried.

    >>> smallest(lambda n: n >= 11, 3)
    11
    """
    good = 2 * fails
    while not holds(good):
        fails, good = good, 2 * good
        if good > MOST:
            return None
    while good - fails > 1:
        middle = (good + fails) // 2
        if holds(middle):
            good = middle
        else:
            fails = middle
    return good
