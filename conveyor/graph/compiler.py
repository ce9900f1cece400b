"""How rows of stages become the frozen graph.

Knows: how stages become nodes and channels.  Must never know: processes.

Rule 1.  Every job is a node; so is the source, which takes in the items, and the sink, which gives
         out the results.
Rule 2.  A fork belongs to the node that produces, a tree of joins or zips to the node that
         consumes.  They cost no node, and a pipe between a job and its fork, or between a join or
         zip and the job that reads it, is no channel.
Rule 3.  Where a fork must not share its owner with what stands before it, a *relay* stands between
         the two: behind a join or zip, and behind another fork if an ordered join takes its lanes
         or if it looks at its items.  So it does between a join and a zip.  A pipe of another
         capacity than the default is a channel wherever it stands between a join or zip and another
         of these or a fork: a relay is before it, and behind it, too, if that is a fork.
Rule 4.  What is written once behind a fork without a number stands here once for each lane.
Rule 5.  A node has 64 channels at most on either side: the lanes of a record, and those that a
         worker waits for, are the bits of one word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from itertools import product
from typing import Final, NamedTuple, TypeAlias, cast

from conveyor.errors import TopologyError
from conveyor.graph.draft import Draft, Frame, Frames, Place, Port, Relay
from conveyor.graph.route import Leaf, Route, gives_to_one_lane, leaves, route_of
from conveyor.graph.topology import (
    Channel,
    Input,
    Kind,
    NodeSpec,
    OrderedInput,
    StageInfo,
    Topology,
    ZipInput,
    channels_of,
)
from conveyor.stages import (
    DEFAULT_CAPACITY,
    AnySelectingFork,
    AnyStage,
    BalancingFork,
    Fork,
    Job,
    Join,
    PartitioningFork,
    Pipe,
    SelectingFork,
    Zip,
    concurrency_of,
    interleaves,
    keeps_outputs,
)
from conveyor.stages.timed import is_woken

__all__ = ["MOST_CHANNELS", "compile_topology"]

MOST_CHANNELS: Final = 64


def compile_topology(
    draft: Draft, adaptive_lanes: int, lanes_of: Mapping[str, int] | None = None
) -> Topology:
    """The graph of a complete draft; a fork without a number gets `adaptive_lanes` lanes unless it
    says itself how many."""
    return _Compiler(_with_relays(draft), adaptive_lanes, lanes_of or {}).compile()


def check_channels(node: NodeSpec) -> None:
    """Rule 5; raises `TopologyError`."""
    given = len(leaves(node.route)) if node.route is not None else 0
    # Of the sink only the parent waits for them, which counts no bits.
    taken = len(channels_of(node.inputs)) if node.kind is not Kind.SINK else 0
    if given > MOST_CHANNELS:
        raise TopologyError(
            f"the forks behind {node.name!r} open {given} lanes in all; one worker can serve "
            f"{MOST_CHANNELS}. Fork in two steps, with a Processor in each lane of the first"
        )
    if taken > MOST_CHANNELS:
        raise TopologyError(
            f"the joins before {node.name!r} take {taken} lanes in all; one worker can read "
            f"{MOST_CHANNELS}. Join in two steps, with a Processor behind each join of the first"
        )


class Gap(NamedTuple):
    """What is between two places that are no pipes: those of the pipes there, from the reader back
    to the writer.

    `slot` is the reader's input.
    """

    reader: int
    slot: int
    pipes: tuple[int, ...]
    writer: int


def _with_relays(draft: Draft) -> Draft:
    """The draft with a relay wherever rule 3 asks for one."""
    stamped = {place.undoes for place in draft.places}
    for gap in _gaps(draft):
        if (relayed := _behind_fan_in(draft, gap) or _before_fork(draft, gap, stamped)) is not None:
            return _with_relays(relayed)
    return draft


def _gaps(draft: Draft) -> Iterator[Gap]:
    pipes = {index for index, place in enumerate(draft.places) if isinstance(place.stage, Pipe)}
    for reader, place in enumerate(draft.places):
        for slot, port in enumerate(place.sources if reader not in pipes else ()):
            between: list[int] = []
            while port is not None and port.place in pipes:
                between.append(port.place)
                (port,) = draft.places[port.place].sources
            if port is not None:
                yield Gap(reader, slot, tuple(between), port.place)


def _is_sized(draft: Draft, gap: Gap) -> bool:
    """Was it said how much there may be in a gap?"""
    stages = [draft.places[pipe].stage for pipe in gap.pipes]
    return any(isinstance(stage, Pipe) and stage.capacity != DEFAULT_CAPACITY for stage in stages)


def _behind_fan_in(draft: Draft, gap: Gap) -> Draft | None:
    """The draft with a relay right behind the join or zip before a gap; None if there is to be
    none."""
    fan_in, reader = draft.places[gap.writer], draft.places[gap.reader]
    is_sized = _is_sized(draft, gap)
    is_concurrent = isinstance(reader.stage, Job) and concurrency_of(reader.stage) is not None
    if not isinstance(fan_in.stage, Join | Zip) or not (
        is_concurrent or isinstance(reader.stage, Fork | Join | Zip)
    ):
        return None
    loses_order = isinstance(fan_in.stage, Join) and not fan_in.stage.ordered
    if not (
        is_sized
        or is_concurrent
        or isinstance(reader.stage, Fork)
        or (loses_order and isinstance(reader.stage, Zip))
    ):
        return None
    behind, slot = (gap.pipes[-1], 0) if gap.pipes else (gap.reader, gap.slot)
    named = draft.places[behind] if is_sized else reader
    return _with_relay(draft, f"{fan_in.name}-{named.name}", fan_in.frames, behind, slot)


def _before_fork(draft: Draft, gap: Gap, stamped: Set[int | None]) -> Draft | None:
    """The draft with a relay right before the fork behind a gap; None if there is to be none."""
    before, fork = draft.places[gap.writer], draft.places[gap.reader]
    behind_relay = isinstance(before.stage, Relay) and _is_sized(draft, gap)
    looks = gap.reader in stamped or isinstance(fork.stage, SelectingFork)
    behind_fork = isinstance(before.stage, Fork) and looks
    # What is kept until a state is saved goes out as it is
    behind_kept = isinstance(before.stage, Job) and keeps_outputs(before.stage) and looks
    if not isinstance(fork.stage, Fork) or not (behind_relay or behind_fork or behind_kept):
        return None
    named = draft.places[gap.pipes[0]] if behind_relay else before
    return _with_relay(draft, f"{named.name}-{fork.name}", fork.frames, gap.reader, gap.slot)


def _with_relay(draft: Draft, name: str, frames: Frames, reader: int, slot: int) -> Draft:
    """The draft with a relay right before an input of a place."""
    place = draft.places[reader]
    relay = Place(Relay(), name, place.row, (place.sources[slot],), frames)
    sources = list(place.sources)
    sources[slot] = Port(len(draft.places), 0)
    places = [*draft.places, relay]
    places[reader] = replace(place, sources=tuple(sources))
    return replace(draft, places=tuple(places))


# A place, once for each lane of the adapting forks around it.
Copy: TypeAlias = tuple[int, tuple[int, ...]]
# An input or output of a copy: its number, too.
End: TypeAlias = tuple[Copy, int]

START: Copy = (-1, ())
FINAL: Copy = (-2, ())


class _Compiler:
    """One pass over the copies of all places; holds what that pass has found so far."""

    def __init__(self, draft: Draft, adaptive_lanes: int, lanes_of: Mapping[str, int]) -> None:
        self.draft = draft
        self.adaptive_lanes = adaptive_lanes
        self.lanes_of = lanes_of
        self.stamped = {place.undoes for place in draft.places if place.undoes is not None}
        self.copies = [copy for index in range(len(draft.places)) for copy in self.copies_of(index)]
        self.source_of: dict[End, End] = {}
        self.target_of: dict[End, End] = {}
        self.channel_of: dict[End, int] = {}
        self.channels: list[Channel] = []
        self.nodes: dict[Copy, int] = {}

    def compile(self) -> Topology:
        self.connect()
        jobs = [copy for copy in self.copies if isinstance(self.stage(copy), Job | Relay)]
        self.nodes = {copy: index for index, copy in enumerate([START, *jobs, FINAL])}
        routes = {copy: self.route((copy, 0), self.nodes[copy]) for copy in [START, *jobs]}
        nodes = [self.node(copy, routes.get(copy)) for copy in self.nodes]
        for node in nodes:
            check_channels(node)
        stages = [
            StageInfo(self.name(copy), self.kind(copy), self.nodes.get(copy))
            for copy in self.copies
        ]
        return Topology(
            tuple(nodes), tuple(self.channels), tuple(stages), self.adaptive_lanes, self.lanes_of
        )

    def stage(self, copy: Copy) -> AnyStage | Relay:
        return self.draft.places[copy[0]].stage

    def frames(self, index: int) -> list[Frame]:
        """The adapting forks around a place."""
        return [
            frame for frame in self.draft.places[index].frames if self.draft.is_adaptive(frame.fork)
        ]

    def width(self, fork: int) -> int:
        stage = self.draft.places[fork].stage
        assert isinstance(stage, Fork)
        if stage.n is None and (chosen := self.lanes_of.get(self.draft.places[fork].name)):
            return chosen
        if isinstance(stage, BalancingFork) and stage.n is None:
            return stage.max_lanes or min(self.adaptive_lanes, MOST_CHANNELS)
        if isinstance(stage, PartitioningFork) and stage.n is None:
            return min(self.adaptive_lanes, stage.max_lanes or MOST_CHANNELS, MOST_CHANNELS)
        assert stage.n is not None
        return stage.n

    def copies_of(self, index: int) -> list[Copy]:
        widths = [range(self.width(frame.fork)) for frame in self.frames(index)]
        return [(index, lanes) for lanes in product(*widths)]

    def name(self, copy: Copy) -> str:
        return "/".join([self.draft.places[copy[0]].name, *map(str, copy[1])])

    def kind(self, copy: Copy) -> str:
        return type(self.stage(copy)).__name__

    def connect(self) -> None:
        """Finds the output that each input reads."""
        for copy in self.copies:
            for slot, source in enumerate(self.sources(copy)):
                self.source_of[copy, slot] = source
                self.target_of[source] = (copy, slot)
        (lane,) = self.draft.lanes
        final = self.output(lane.port, ())
        self.source_of[FINAL, 0] = final
        self.target_of[final] = (FINAL, 0)

    def sources(self, copy: Copy) -> list[End]:
        index, lanes = copy
        place = self.draft.places[index]
        if isinstance(place.stage, Join) and place.stage.n is None:
            (port,) = place.sources
            assert port is not None
            fork = self.adaptive_fork_before(port)
            return [self.output(port, (*lanes, lane)) for lane in range(self.width(fork))]
        return [self.output(port, lanes) for port in place.sources]

    def adaptive_fork_before(self, port: Port) -> int:
        if self.draft.is_adaptive(port.place):
            return port.place
        return self.frames(port.place)[-1].fork

    def output(self, port: Port | None, lanes: tuple[int, ...]) -> End:
        """The output that a port is for a reader in these lanes."""
        if port is None:
            return START, 0
        if self.draft.is_adaptive(port.place):
            return (port.place, lanes[:-1]), lanes[-1]
        return (port.place, lanes), port.out

    def route(self, end: End, producer: int) -> Route:
        """Where an output leads: through pipes and forks to channels."""
        capacity = 0
        target, slot = self.target_of[end]
        while target is not FINAL and isinstance(stage := self.stage(target), Pipe):
            capacity += stage.capacity
            target, slot = self.target_of[target, 0]
        if target is FINAL or not isinstance(fork := self.stage(target), Fork):
            return Leaf(self.channel((target, slot), capacity, producer))
        lanes = tuple(self.route((target, out), producer) for out in range(self.width(target[0])))
        return route_of(fork, self.name(target), lanes)

    def channel(self, end: End, capacity: int, producer: int) -> int:
        index = len(self.channels)
        self.channel_of[end] = index
        self.channels.append(
            Channel(index, capacity or DEFAULT_CAPACITY, producer, self.owner(end[0]), capacity > 0)
        )
        return index

    def owner(self, copy: Copy) -> int:
        """The node that reads an input: behind the joins, zips and pipes that it feeds."""
        while copy not in self.nodes:
            copy, _ = self.target_of[copy, 0]
        return self.nodes[copy]

    def inputs(self, end: End) -> tuple[str, tuple[Input, ...]]:
        """What an input reads: (name of the join, its inputs), first come first served."""
        if end in self.channel_of:
            return "", (Leaf(self.channel_of[end]),)
        (source, _) = self.source_of[end]
        stage = self.stage(source)
        if isinstance(stage, Pipe):
            return self.inputs((source, 0))
        read = [self.inputs((source, slot))[1] for slot in range(len(self.sources(source)))]
        flat = tuple(each for inputs in read for each in inputs)
        place = self.draft.places[source[0]]
        if isinstance(stage, Zip):
            return "", (ZipInput(self.name(source), flat),)
        if place.undoes is not None:
            fork = self.draft.places[place.undoes].stage
            assert isinstance(fork, Fork)
            balanced = gives_to_one_lane(fork)
            return "", (OrderedInput(self.name(source), flat, balanced, self.depth(place.frames)),)
        return self.name(source), flat

    def depth(self, frames: Sequence[Frame]) -> int:
        return sum(frame.fork in self.stamped for frame in frames)

    def node(self, copy: Copy, route: Route | None) -> NodeSpec:
        index = self.nodes[copy]
        if copy is START:
            kind, name, stage = Kind.SOURCE, "source", None
        elif copy is FINAL:
            kind, name, stage = Kind.SINK, "sink", None
        else:
            written = self.stage(copy)
            stage = cast("Job[object, object]", written) if isinstance(written, Job) else None
            kind, name = (Kind.RELAY if stage is None else Kind.JOB), self.name(copy)
        join_name, inputs = ("", ()) if copy is START else self.inputs((copy, 0))
        works = kind not in (Kind.SOURCE, Kind.SINK)
        depth = self.depth(self.draft.places[copy[0]].frames) if works else 0
        concurrency = None if stage is None else concurrency_of(stage)
        if depth and concurrency is not None:
            raise TopologyError(
                f"{name!r} has several items in hand at once, and stands in a lane of an ordered "
                "join: leave out the fork, since its own results leave in order, or join its lanes "
                "first come, first served"
            )
        return NodeSpec(
            index=index,
            kind=kind,
            name=name,
            stage=stage,
            inputs=inputs,
            join_name=join_name,
            route=route,
            depth=depth,
            stamps=self.stamps(copy),
            lanes=self.adaptive_lanes_around(copy),
            is_woken=is_woken(stage),
            fork=self.selecting(copy),
            concurrency=concurrency,
            ordered=stage is None or stage.stage_options.ordered,
            interleaves=stage is not None and interleaves(stage),
        )

    def behind(self, copy: Copy) -> Copy:
        """What takes the outputs of a node: the first behind its pipes."""
        if copy is FINAL:
            return FINAL
        target, _ = self.target_of[copy, 0]
        while target is not FINAL and isinstance(self.stage(target), Pipe):
            target, _ = self.target_of[target, 0]
        return target

    def stamps(self, copy: Copy) -> bool:
        """Is the first router behind this node a fork whose lanes an ordered join takes?"""
        target = self.behind(copy)
        return target is not FINAL and target[0] in self.stamped

    def selecting(self, copy: Copy) -> AnySelectingFork | None:
        """The fork behind this node, if it looks at its items."""
        target = self.behind(copy)
        stage = None if target is FINAL else self.stage(target)
        return stage if isinstance(stage, SelectingFork) else None

    def adaptive_lanes_around(self, copy: Copy) -> tuple[tuple[str, int], ...]:
        forks = [] if copy in (START, FINAL) else [frame.fork for frame in self.frames(copy[0])]
        return tuple(
            (self.name((fork, copy[1][:level])), copy[1][level]) for level, fork in enumerate(forks)
        )
