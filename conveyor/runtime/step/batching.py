"""How much at a time, and to which lane: what production measures and decides, so that nobody has
to choose a size.

Knows: the clock, the cost of an item, how much is queued.  Must never know: what an item is, or how
to wait.

A worker takes a slice of about a millisecond of its own work, at most a quarter of the smallest
capacity it feeds.  A balancing fork queues about six milliseconds of work a lane, and more when
half of it is done; one item while the lane's speed is unknown, or if an item takes longer than
two.  None of that may hold up a run for ever: where nothing else can go on, a lane is given what
its pipe holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from time import perf_counter_ns
from typing import Final, NamedTuple, assert_never

from conveyor.core.channel import SingleItemInlet
from conveyor.core.job_node import JobNode, Node, Piece
from conveyor.core.requests import ALL_ENDED, ChooseInput, ChooseLane
from conveyor.graph.route import Balance, Leaf, Replicate, Route, leaves
from conveyor.runtime.shm.control_block import ControlBlock, NodeBlock
from conveyor.runtime.shm.ring import RingInlet, RingOutlet

__all__ = ["WakeupCoalescing", "Balancer", "Meter", "Part", "RoundRobin", "SliceSize"]

SLICE_NS: Final = 1_000_000
LANE_NS: Final = 6_000_000
LONG_NS: Final = 2_000_000
LARGEST_SLICE: Final = 4096
SAVING_SHARE: Final = (
    10  # a slice takes at least so many times as long as saving the state behind it
)

# A lane is worth opening while an item keeps its lane busy for longer than it costs to hand it
# over.
WORTH_A_LANE_NS: Final = 2_000
IDLE_LANE_NS: Final = 500_000_000


class Meter:
    """A node with a clock around it: measures what an item costs, and says when the job is at
    work."""

    def __init__(
        self, node: Node, block: NodeBlock, inlets: Sequence[RingInlet], parts: Sequence[Part] = ()
    ) -> None:
        self.node = node
        self.tally = node.tally
        self.block = block
        self.inlets = inlets
        self.parts = parts  # of the node, behind its first: their time is theirs
        self.per_item = 0.0  # nanoseconds, smoothed
        busy, self.waiting, self.blocked, self.batches = block.times()
        self.busy = busy + sum(part.busy for part in parts)
        self.last_blocked = self.blocked
        self.last_items = 0

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        if self.blocked != self.last_blocked and self.last_items:
            self.learn((self.blocked - self.last_blocked) / self.last_items + self.per_item)
        self.last_blocked = self.blocked
        self.last_items = len(items)
        self.block.set_running(1)
        started = perf_counter_ns()
        pieces = self.node(items, skip, limit)
        if isinstance(pieces, tuple):
            spent = perf_counter_ns() - started
            self.block.set_running(0)
            self.busy += spent
            for part in self.parts:
                part.share(spent // (len(self.parts) + 1))
            self.learn(spent / len(items))
            self.record()
            return pieces
        return self.timed(pieces, len(items), started)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.timed(self.node.finish(skip, limit), 0, perf_counter_ns())

    def timed(self, pieces: Iterable[Piece], items: int, started: int) -> Iterator[Piece]:
        spent = 0
        try:
            for piece in pieces:
                spent += perf_counter_ns() - started
                self.block.set_running(0)
                yield piece
                self.block.set_running(1)
                started = perf_counter_ns()
        finally:
            spent += perf_counter_ns() - started
            self.block.set_running(0)
            self.busy += spent
            if items:
                self.learn(spent / items)
            self.record()

    def learn(self, per_item: float) -> None:
        known = self.per_item
        # A slice during which the system ran something else says little about the job.
        weight = 0.3 if per_item < 4 * known else 0.1
        self.per_item = known + weight * (per_item - known) if known else per_item
        for inlet in self.inlets:
            inlet.set_cost(int(self.per_item) + 1)

    def record(self) -> None:
        self.batches += 1
        busy = self.busy - sum([part.busy for part in self.parts]) if self.parts else self.busy
        self.block.write_times(busy, self.waiting, self.blocked, self.batches)


class Part:
    """One of the nodes of a worker that runs several, with a clock around it."""

    def __init__(self, node: JobNode, block: NodeBlock) -> None:
        self.node = node
        self.tally = node.tally
        self.block = block
        self.busy, _, _, self.batches = block.times()
        self.unmeasured = False

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        started = perf_counter_ns()
        pieces = self.node(items, skip, limit)
        self.took(perf_counter_ns() - started)
        return pieces

    def took(self, nanoseconds: int) -> None:
        self.busy += nanoseconds
        self.batches += 1
        self.block.write_times(self.busy, 0, 0, self.batches)

    def passed_on(self, items: int) -> None:
        self.node.passed_on(items)
        self.unmeasured = True

    def share(self, nanoseconds: int) -> None:
        """Its part of the time of a loop that ran all jobs, if there was one: nobody can tell whose
        is how much."""
        if self.unmeasured:
            self.unmeasured = False
            self.took(nanoseconds)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.node.finish(skip, limit)


class SliceSize:
    """Slices of about a millisecond of the worker's own work, and no more than `room()`.

    Where a state is saved after each slice, and `saving` says how many nanoseconds that takes,
    slices are longer.
    """

    def __init__(
        self,
        meter: Meter,
        room: Callable[[], int],
        smallest_capacity: int,
        saving: Callable[[], int] | None = None,
    ) -> None:
        self.meter = meter
        self.room = room
        self.saving = saving
        self.most = max(1, min(smallest_capacity // 4, LARGEST_SLICE))
        self.last = 1

    @property
    def n(self) -> int:
        per_item = self.meter.per_item
        slice_ns = SLICE_NS if self.saving is None else SLICE_NS + SAVING_SHARE * self.saving()
        n = int(slice_ns / per_item) + 1 if per_item else 1
        n = self.last = min(n, 2 * self.last, self.most)
        return max(1, min(n, self.room()))


def room_in(outlets: Sequence[RingOutlet]) -> int:
    """How many items all of these would take at once."""
    return min([min(outlet.capacity - outlet.queued(), outlet.at_once) for outlet in outlets])


class Lane(NamedTuple):
    """A lane of a fork, or all that is behind it: what it would take at once, what it may be given
    now, how long that waits.

    `wait` gives how long an item would wait before it is begun, and how long it would take then, in
    nanoseconds.
    """

    room: Callable[[], int]
    allowance: Callable[[], int]
    wait: Callable[[], tuple[int, int]]
    outlets: Sequence[RingOutlet]


def allowance(outlet: RingOutlet) -> int:
    """How many items a lane of a balancing fork may be given now."""
    queued, cost = outlet.queued(), outlet.cost()
    if cost == 0 or cost > LONG_NS:
        return 0 if queued else 1
    most = min(LANE_NS // cost, outlet.capacity)
    return most - queued if queued <= most // 2 else 0


def free_room(outlet: RingOutlet) -> int:
    """What takes the place of that where nothing else could go on: as many as its pipe holds."""
    return outlet.capacity - outlet.queued()


def wait_ahead(outlet: RingOutlet) -> tuple[int, int]:
    cost = outlet.cost()
    return outlet.queued() * (cost or LONG_NS), cost


class Grants:
    """How much a lane may be given, whichever it is."""

    def __init__(self) -> None:
        self.to: Callable[[RingOutlet], int] = allowance


def open_lanes(control: ControlBlock, name: str, lanes: list[Lane], adaptive: bool) -> list[Lane]:
    """Those of a fork's lanes that may be chosen."""
    return lanes[: control.open_lanes(name)] if adaptive else lanes


class Balancer:
    """The lanes of a worker's balancing forks: which takes the next record, how many items fit now,
    are more lanes wanted.

    `room()` says how many items the route would take at once; none while a lane that must have them
    is full.  What it and the lanes call knows nothing of this object, which is then freed as soon
    as nobody has it.
    """

    def __init__(
        self,
        route: Route,
        outlets: Sequence[RingOutlet],
        control: ControlBlock,
        tell_parent: Callable[[], None],
    ) -> None:
        self.control = control
        self.tell_parent = tell_parent
        self.forks: dict[str, list[Lane]] = {}
        self.adaptive: list[str] = []
        self.chosen: set[RingOutlet] = set()  # the outlets below a balancing fork
        self.last_used: dict[
            str, int
        ] = {}  # of the highest open lane of each adapting fork: when it was last chosen
        self.grants = Grants()
        self.room = self.learn(route, outlets).room

    def learn(self, route: Route, outlets: Sequence[RingOutlet]) -> Lane:
        """Takes note of the forks of a route over these outlets, and gives it as a lane."""
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
            case _:
                assert_never(route)

    def balancing(self, route: Balance, lanes: list[Lane], outlets: Sequence[RingOutlet]) -> Lane:
        self.forks[route.name] = lanes
        self.chosen |= set(outlets)
        if route.adaptive:
            self.adaptive.append(route.name)
        opened = partial(open_lanes, self.control, route.name, lanes, route.adaptive)
        return Lane(
            lambda: max([min(lane.room(), lane.allowance()) for lane in opened()]),
            lambda: max([lane.allowance() for lane in opened()]),
            lambda: min([lane.wait() for lane in opened()]),
            outlets,
        )

    def leaf(self, outlet: RingOutlet) -> Lane:
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
        self.grants.to = free_room

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
        return open_lanes(self.control, name, self.forks[name], adaptive)

    def room_from(self, outlet: RingOutlet) -> int:
        """From which position of its reader on a lane may be given more; 1 if any may do."""
        if (
            outlet not in self.chosen
            or self.grants.to is free_room
            or not 0 < (cost := outlet.cost()) <= LONG_NS
        ):
            return 1
        return max(1, outlet.tail - min(LANE_NS // cost, outlet.capacity) // 2)

    def press(self) -> None:
        """Called when the worker is about to wait: asks for another lane of each adapting fork that
        is stalled by slow work."""
        for name in self.adaptive:
            opened = self.open_lanes(name)
            if len(opened) == len(self.forks[name]):
                continue
            stalled = all(min(map(allowance, lane.outlets)) <= 0 for lane in opened)
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
        if self.control.wanted_lanes(name) != lanes:
            self.control.want_lanes(name, lanes)
            self.tell_parent()


class WakeupCoalescing:
    """How many results may gather before the sink of a run is woken: about what comes in six
    milliseconds."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.results = 1
        self.last = 0

    def next(self) -> int:
        """To be asked whenever it goes to sleep."""
        now = perf_counter_ns()
        often = now - self.last < LANE_NS
        self.last = now
        self.results = min(2 * self.results, self.most) if often else max(1, self.results // 2)
        return self.results


class RoundRobin:
    """Which input of a join is read next, as it arrives: the next one that has something, in turn.

    What a worker that died had in hand comes first.  So where several jobs share a worker, each is
    given the same items in the same order as before, and what it was told of their attempts is
    true.
    """

    def __init__(self) -> None:
        self.last = -1

    def next(self, merge: ChooseInput) -> int:
        options = merge.options()
        if not options:
            return ALL_ENDED
        again = [
            option
            for option in options
            if isinstance(it := merge.inlets[option], SingleItemInlet) and it.is_behind
        ]
        self.last = next(
            (option for option in again or options if option > self.last), (again or options)[0]
        )
        return self.last
