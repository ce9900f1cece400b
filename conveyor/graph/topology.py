"""The frozen graph: which nodes there are, which channels, and what each node owns.

Knows: nodes and channels.  Must never know: how rows of stages become these (`compiler`),
processes.

A fork belongs to the node that produces (its `route`), a tree of joins or zips to the node that
consumes (its `inputs`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Final, TypeAlias, assert_never

from conveyor.drawing.figure import Arrow, Box, Figure, Shape
from conveyor.graph.route import LANES_BY_DEFAULT, Leaf, Route, Select, route_text
from conveyor.stages import AnySelectingFork, Job, cores_of

__all__ = [
    "DONE",
    "STEP",
    "Channel",
    "Input",
    "Kind",
    "NodeSpec",
    "OrderedInput",
    "StageInfo",
    "Topology",
    "ZipInput",
    "all_inputs",
    "channels_of",
    "is_shut",
    "zips_of",
]


# Behind the name of a stage: which of its items in hand is done next, or goes on next.
DONE: Final = "~done"
STEP: Final = "~step"


class Kind(Enum):
    SOURCE = "source"
    JOB = "job"
    RELAY = "relay"
    SINK = "sink"
    FUSED = "fused"  # a job that runs in the worker of another (`fusion`)


@dataclass(frozen=True, slots=True)
class Channel:
    """A pipe between two nodes; `capacity` counts items; `written`: the user wrote it, it was
    not put in."""

    index: int
    capacity: int
    producer: int
    consumer: int
    written: bool = False


@dataclass(frozen=True, slots=True)
class ZipInput:
    """One item from each, as a tuple."""

    name: str
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class OrderedInput:
    """The lanes of one fork in the order in which it took their items."""

    name: str
    inputs: tuple[Input, ...]
    balanced: bool
    depth: int


Input: TypeAlias = Leaf | ZipInput | OrderedInput


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """What runs: a job with its inputs and its route.

    Several `inputs` are read first come, first served, under the name of their join.  `depth`
    counts the ordered joins around it; `stamps`: its route is a fork whose lanes an ordered join
    takes.  `lanes` are (fork, lane) of the adapting forks around it, the innermost at the end.
    `parts` are the nodes whose jobs run here, one after the other, itself the first, if they share
    a worker; `within` is that worker's node for all the others.  `is_woken`: its job gives
    outputs because time goes by.  `fork` is the one that selects the lanes of its items, if its
    route is a `Select`.  `concurrency` is how many items its job may have in hand at once, if it
    does not take them one by one; `ordered`: what comes of those leaves in their order;
    `interleaves`: they share a state, and go on in turns wherever they await something.
    """

    index: int
    kind: Kind
    name: str
    stage: Job[object, object] | None
    inputs: tuple[Input, ...]
    join_name: str
    route: Route | None
    depth: int
    stamps: bool
    lanes: tuple[tuple[str, int], ...]
    parts: tuple[int, ...] = ()
    within: int | None = None
    is_woken: bool = False
    fork: AnySelectingFork | None = None
    concurrency: int | None = None
    ordered: bool = True
    interleaves: bool = False

    @property
    def owner(self) -> int:
        """The node whose outputs the route takes: of those that share a worker, the last."""
        return self.parts[-1] if self.parts else self.index

    @property
    def passes_on(self) -> bool:
        """Can it pass on what it reads as it is?  It runs no job, merges nothing, looks at no item,
        and if its items get stamps, they have some already: no None among them is to be sealed."""
        return (
            self.kind is Kind.RELAY
            and all(isinstance(each, Leaf) for each in self.inputs)
            and not isinstance(self.route, Select)
            and (self.depth > 0 or not self.stamps)
        )

    @property
    def is_stateful(self) -> bool:
        """Does its job keep something from item to item?"""
        return self.stage is not None and self.stage.is_stateful

    @property
    def chooses_done(self) -> bool:
        """Is it a decision which of the items in hand is done next, or goes on next?"""
        return self.concurrency is not None and (not self.ordered or self.interleaves)

    @property
    def done_name(self) -> str:
        """What that decision is called."""
        return self.name + (STEP if self.interleaves else DONE)

    @property
    def is_restorable(self) -> bool:
        """Can another worker go on with the state of its job?"""
        return self.stage is not None and self.stage.is_restorable

    @property
    def dies_with_worker(self) -> bool:
        """Is the state of its job lost with its worker?"""
        return self.is_stateful and not self.is_restorable


@dataclass(frozen=True, slots=True)
class StageInfo:
    """A stage by its name, as reports and pictures list it: what it is, and which node runs it, if
    one does."""

    name: str
    kind: str
    node: int | None


@dataclass(frozen=True, repr=False)
class Topology:
    """Nodes (the source first, the sink last), channels, and the stages in the order in which they
    were added.

    `adaptive_lanes` is how many lanes forks have that were written without a number, `lanes_of` the
    same of some by their names.
    """

    nodes: tuple[NodeSpec, ...]
    channels: tuple[Channel, ...]
    stages: tuple[StageInfo, ...]
    adaptive_lanes: int = field(default=LANES_BY_DEFAULT, compare=False)
    lanes_of: Mapping[str, int] = field(default_factory=dict[str, int], compare=False)

    def __str__(self) -> str:
        return "\n".join(self._line(node) for node in self.nodes)

    def __repr__(self) -> str:
        names = ", ".join(node.name for node in self.nodes)
        return f"Topology({len(self.nodes)} nodes: {names}; {len(self.channels)} channels)"

    def picture(self) -> str:
        """The graph as SVG that needs nothing else; a notebook shows it by itself."""
        from conveyor.drawing.svg import svg  # here and below: a worker imports this file

        return svg(self.figure)

    def to_mermaid(self) -> str:
        """The graph as a flowchart of Mermaid."""
        from conveyor.drawing.text import mermaid

        return mermaid(self.figure)

    def to_dot(self) -> str:
        """The graph in the DOT language of Graphviz."""
        from conveyor.drawing.text import dot

        return dot(self.figure)

    def _repr_svg_(self) -> str:
        return self.picture()

    @cached_property
    def figure(self) -> Figure:
        """The graph as boxes and arrows: nodes, and the forks, joins and zips between them."""
        drawn = GraphFigure({info.name: info.kind for info in self.stages})
        for node in self.nodes:
            drawn.add(node)
        return drawn.figure(self.channels)

    def title(self, node: int) -> str:
        """What the worker of a node is called: by all the stages that it runs."""
        return " + ".join(self.nodes[part].name for part in self.nodes[node].parts or (node,))

    def _line(self, node: NodeSpec) -> str:
        text = f"{node.name} [{', '.join([node.kind.value, *_cores(node)])}]"
        if node.inputs:
            text = f"{self._inputs(node.inputs)} -> {text}"
        return f"{text} -> {route_text(node.route)}" if node.route is not None else text

    def _inputs(self, inputs: Sequence[Input]) -> str:
        return " | ".join(map(self._input, inputs))

    def _input(self, source: Input) -> str:
        match source:
            case Leaf():
                return f"c{source.channel}"
            case ZipInput():
                return f"zip({self._inputs(source.inputs)})"
            case OrderedInput():
                return f"ordered({self._inputs(source.inputs)})"
            case _:
                assert_never(source)


class GraphFigure:
    """A figure under way: `begins` and `ends` say at which boxes each channel does."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.kinds = kinds
        self.boxes: list[Box] = []
        self.arrows: list[Arrow] = []
        self.begins: dict[int, int] = {}
        self.ends: dict[int, int] = {}

    def add(self, node: NodeSpec) -> None:
        shape = Shape.END if node.kind in (Kind.SOURCE, Kind.SINK) else Shape.WORK
        if node.kind is Kind.RELAY:
            shape = Shape.ROUTER
        box = self.box(node.name, node.kind.value if node.stage is None else "", shape)
        self.boxes[box] = self.boxes[box]._replace(lines=tuple(_cores(node)))
        if node.route is not None:
            self.goes_on(box, node.route)
        at = box
        if len(node.inputs) > 1:
            at = self.box(node.join_name, "Join", Shape.ROUTER)
            self.arrows.append(Arrow(at, box))
        for each in node.inputs:
            self.comes_in(at, each)

    def goes_on(self, box: int, route: Route) -> None:
        if isinstance(route, Leaf):
            self.begins[route.channel] = box
            return
        fork = self.box(route.name, "", Shape.ROUTER)
        self.arrows.append(Arrow(box, fork))
        for lane in route.lanes:
            self.goes_on(fork, lane)

    def comes_in(self, box: int, source: Input) -> None:
        if isinstance(source, Leaf):
            self.ends[source.channel] = box
            return
        fan_in = self.box(source.name, "", Shape.ROUTER)
        self.arrows.append(Arrow(fan_in, box))
        for each in source.inputs:
            self.comes_in(fan_in, each)

    def box(self, name: str, kind: str, shape: Shape) -> int:
        self.boxes.append(Box(name, kind or self.kinds.get(name, ""), shape))
        return len(self.boxes) - 1

    def figure(self, channels: Sequence[Channel]) -> Figure:
        """The whole, with an arrow for each channel, labelled with its capacity if that was
        written."""
        self.arrows += [
            Arrow(
                self.begins[each.index],
                self.ends[each.index],
                f"{each.capacity:,}" if each.written else "",
            )
            for each in channels
        ]
        return Figure(self.boxes, self.arrows)


def _cores(node: NodeSpec) -> list[str]:
    """How many cores a worker of the node can use, in words, if they are several."""
    cores = cores_of(node.stage)
    return [f"{cores} cores"] if cores > 1 else []


def all_inputs(inputs: Sequence[Input]) -> Iterator[Input]:
    """Some inputs and all that are below them, left to right, each before those below it."""
    for each in inputs:
        yield each
        match each:
            case Leaf():
                pass
            case ZipInput() | OrderedInput():
                yield from all_inputs(each.inputs)
            case _:
                assert_never(each)


def channels_of(inputs: Sequence[Input]) -> list[int]:
    """The channels below some inputs, left to right."""
    return [each.channel for each in all_inputs(inputs) if isinstance(each, Leaf)]


def zips_of(inputs: Sequence[Input]) -> list[tuple[str, int]]:
    """The zips among some inputs, by name, and how many lanes each takes."""
    return [
        (each.name, len(each.inputs)) for each in all_inputs(inputs) if isinstance(each, ZipInput)
    ]


def is_shut(spec: NodeSpec, opened: Mapping[str, int]) -> bool:
    """Is the node in a lane that has not been opened?  `opened`: how many lanes of each adapting
    fork are, if not all."""
    return any(lane >= opened.get(fork, lane + 1) for fork, lane in spec.lanes)
