"""To which lane: how a balancing fork shares out its items among its lanes.

This file knows how much is queued in a lane and what an item costs there.  It must never know what
an item is, or how to wait.

About six milliseconds of work are queued in a lane, and more once half of that is done.  Where it
is known how many items are still to come, it is a share of those, up to sixty milliseconds of work,
and at the end ever less (guided self-scheduling).  While the lane's speed is unknown, or if an item
takes longer than 2 ms, it is one item.  None of that may hold up a run for ever: where nothing else
can go on, the soft limits are lifted, and a lane is given as many items as its channel holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from time import perf_counter_ns
from typing import Final, NamedTuple, assert_never

from conveyor.core.channel import SingleItemInlet
from conveyor.core.requests import ALL_ENDED, ChooseInput, ChooseLane
from conveyor.graph.route import Balance, Leaf, Replicate, Route, Select, leaves
from conveyor.runtime.step.contract import LaneCounts, PacedOutlet

__all__ = ["Balancer", "RoundRobin", "room_in"]

LANE_NS: Final = 6_000_000
LONG_NS: Final = 2_000_000

# Where it is known how many items are still to come: of how many such shares for each lane what is
# to come must be enough for, the most in one, and the least work in a record at the end.
GUIDED_SHARE: Final = 4
GUIDED_NS: Final = 60_000_000
GUIDED_ITEMS: Final = 256
LAST_NS: Final = 500_000

# A lane is worth opening while an item keeps its lane busy for longer than it costs to hand it
# over.
WORTH_A_LANE_NS: Final = 2_000
IDLE_LANE_NS: Final = 500_000_000


def room_in(outlets: Sequence[PacedOutlet]) -> int:
    """How many items all of these would take at once."""
    return min([min(outlet.capacity - outlet.queued(), outlet.at_once) for outlet in outlets])


class Lane(NamedTuple):
    """A lane of a fork, or all lanes of a fork behind it.

    room: how many items it would take at once; allowance: how many it may be given now; wait: how
    long an item would wait before it is begun, and how long it would take then, in nanoseconds.
    """

    room: Callable[[], int]
    allowance: Callable[[], int]
    wait: Callable[[], tuple[int, int]]
    outlets: Sequence[PacedOutlet]


def wait_ahead(outlet: PacedOutlet) -> tuple[int, int]:
    cost = outlet.cost()
    return outlet.queued() * (cost or LONG_NS), cost


class Grants:
    """How much each of so many lanes may be given: `to(lane)`.

    `to_come` says how many items are still to come, if that is known.  Once soft limits are lifted,
    it is as many as the pipe holds.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.to_come: Callable[[], int] | None = None
        self.limited = True

    def to(self, outlet: PacedOutlet) -> int:
        """How many items a lane may be given now."""
        return self.measured(outlet) if self.limited else outlet.capacity - outlet.queued()

    def measured(self, outlet: PacedOutlet) -> int:
        """The same as long as soft limits hold."""
        queued, cost = outlet.queued(), outlet.cost()
        if cost == 0 or cost > LONG_NS:
            return 0 if queued else 1
        most = self.most(outlet, cost)
        if queued > most // 2:
            return 0
        if self.to_come is None:
            return most - queued
        last = max(LAST_NS // cost, self.to_come() // (2 * self.lanes), 1)
        return min(most - queued, last)

    def most(self, outlet: PacedOutlet, cost: int) -> int:
        """How many items may be queued in a lane where one takes so long."""
        most = LANE_NS // cost
        if self.to_come is not None:
            share = self.to_come() // (GUIDED_SHARE * self.lanes)
            most = max(most, min(share, GUIDED_NS // cost, GUIDED_ITEMS))
        return min(most, outlet.capacity)


def open_lanes(counts: LaneCounts, name: str, lanes: list[Lane], adaptive: bool) -> list[Lane]:
    """Those of a fork's lanes that may be chosen."""
    return lanes[: counts.open_lanes(name)] if adaptive else lanes


class Balancer:
    """Chooses the lanes of a worker's balancing forks, and asks for more of them or fewer.

    `room()` says how many items the route would take at once; none while a lane that must have them
    is full.  Neither it nor the lanes refer to this object, so that it is freed without a garbage
    collection.
    """

    def __init__(
        self,
        route: Route,
        outlets: Sequence[PacedOutlet],
        counts: LaneCounts,
        tell_parent: Callable[[], None],
    ) -> None:
        self.counts = counts
        self.tell_parent = tell_parent
        self.forks: dict[str, list[Lane]] = {}
        self.adaptive: list[str] = []
        self.chosen: set[PacedOutlet] = set()  # the outlets below a balancing fork
        # Of the highest open lane of each adapting fork: when it was last chosen.
        self.last_used: dict[str, int] = {}
        self.grants = Grants(len(outlets))
        self.room = self.learn(route, outlets).room

    def learn(self, route: Route, outlets: Sequence[PacedOutlet]) -> Lane:
        """Remembers the forks of a route over these outlets, and gives the route as a lane."""
        if isinstance(route, Leaf):
            return self.leaf(*outlets)
        widths = [len(leaves(lane)) for lane in route.lanes]
        parts = [
            outlets[behind - width : behind]
            for width, behind in zip(widths, accumulate(widths), strict=True)
        ]
        lanes = [self.learn(below, part) for below, part in zip(route.lanes, parts, strict=True)]
        match route:
            case Replicate():
                return Lane(
                    lambda: min([lane.room() for lane in lanes]),
                    lambda: min([lane.allowance() for lane in lanes]),
                    lambda: max([lane.wait() for lane in lanes]),
                    outlets,
                )
            case Balance():
                return self.balancing(route, lanes, outlets)
            case Select():
                return self.selecting(lanes, outlets)
            case _:
                assert_never(route)

    def balancing(self, route: Balance, lanes: list[Lane], outlets: Sequence[PacedOutlet]) -> Lane:
        self.forks[route.name] = lanes
        self.chosen |= set(outlets)
        if route.adaptive:
            self.adaptive.append(route.name)
        opened = partial(open_lanes, self.counts, route.name, lanes, route.adaptive)
        return Lane(
            lambda: max([min(lane.room(), lane.allowance()) for lane in opened()]),
            lambda: max([lane.allowance() for lane in opened()]),
            lambda: min([lane.wait() for lane in opened()]),
            outlets,
        )

    def selecting(self, lanes: list[Lane], outlets: Sequence[PacedOutlet]) -> Lane:
        """A fork that looks at its items.  Which lane the next one goes to is not known: where some
        lane is full, only one is taken, which must not wait for a lane that it does not go to."""
        return Lane(
            lambda: (
                min([lane.room() for lane in lanes]) or min(1, max([lane.room() for lane in lanes]))
            ),
            lambda: min([lane.allowance() for lane in lanes]),
            lambda: max([lane.wait() for lane in lanes]),
            outlets,
        )

    def leaf(self, outlet: PacedOutlet) -> Lane:
        grants = self.grants
        return Lane(
            lambda: min(outlet.capacity - outlet.queued(), outlet.at_once),
            lambda: grants.to(outlet),
            lambda: wait_ahead(outlet),
            (outlet,),
        )

    def lift_soft_limits(self) -> None:
        """From now on a lane is given as much as its pipe holds: nothing in the pipeline could go
        on with less."""
        self.grants.limited = False

    def guide(self, to_come: Callable[[], int] | None) -> None:
        """From now on a lane is given a share of what is still to come, if that is known."""
        self.grants.to_come = to_come

    def choose(self, choose: ChooseLane) -> int:
        """The lane where an item waits least, among those that may be given one, and take all at
        once if one does."""
        lanes = self.open_lanes(choose.name, choose.adaptive)
        able = [index for index, lane in enumerate(lanes) if lane.allowance() > 0] or range(
            len(lanes)
        )
        if choose.items > 1:
            able = [index for index in able if lanes[index].room() >= choose.items] or able
        if not choose.adaptive:
            return min(able, key=lambda index: lanes[index].wait())
        # Its lanes are alike: of those where an item waits as short, the first, so that one that is
        # not needed idles.
        chosen = min(able, key=lambda index: lanes[index].wait()[0])
        self.note_use(choose.name, chosen == len(lanes) - 1, len(lanes))
        return chosen

    def can_choose(self, choose: ChooseLane) -> bool:
        for lane in self.open_lanes(choose.name, choose.adaptive):
            if lane.allowance() > 0:
                return True
        return False

    def open_lanes(self, name: str, adaptive: bool = True) -> list[Lane]:
        return open_lanes(self.counts, name, self.forks[name], adaptive)

    def room_from(self, outlet: PacedOutlet) -> int:
        """Gives the position of its consumer from which on a lane may be given more; 1: any."""
        if (
            outlet not in self.chosen
            or not self.grants.limited
            or not 0 < (cost := outlet.cost()) <= LONG_NS
        ):
            return 1
        return max(1, outlet.tail - self.grants.most(outlet, cost) // 2)

    def press(self) -> None:
        """Asks for another lane of each adapting fork that is stalled by slow work.

        Called when the worker is about to wait.
        """
        for name in self.adaptive:
            opened = self.open_lanes(name)
            if len(opened) == len(self.forks[name]):
                continue
            stalled = all(min(map(self.grants.measured, lane.outlets)) <= 0 for lane in opened)
            if stalled and all(
                max(outlet.cost() for outlet in lane.outlets) >= WORTH_A_LANE_NS for lane in opened
            ):
                self.want(name, len(opened) + 1)

    def note_use(self, name: str, highest: bool, opened: int) -> None:
        """Gives back the highest lane once the others have done without it for a while."""
        now = perf_counter_ns()
        if highest or name not in self.last_used:
            self.last_used[name] = now
        elif opened > 1 and now - self.last_used[name] > IDLE_LANE_NS:
            self.last_used[name] = now
            self.want(name, opened - 1)

    def want(self, name: str, lanes: int) -> None:
        if self.counts.wanted_lanes(name) != lanes:
            self.counts.want_lanes(name, lanes)
            self.tell_parent()


class RoundRobin:
    """Which input of a join is read next, as it arrives: the next one that has something, in turn.

    What a worker that died had in hand comes first.  So where several jobs share a worker, each is
    given the same items in the same order as before, and what it was told of their attempts is
    true.
    """

    def __init__(self) -> None:
        self.last = -1

    def next(self, join: ChooseInput) -> int:
        options = join.options()
        if not options:
            return ALL_ENDED
        again = [
            option
            for option in options
            if isinstance(it := join.inlets[option], SingleItemInlet) and it.is_behind
        ]
        self.last = next(
            (option for option in again or options if option > self.last), (again or options)[0]
        )
        return self.last
