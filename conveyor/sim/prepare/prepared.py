"""A pipeline made ready to be simulated again and again.

Knows: which stages may be shared between runs, and how to make a copy of the others.  Must never
know: schedules.

Every run starts fresh: a stage is made for each place in the graph as a worker gets it, with all
that its code holds (`private`).  A stage that can hold no state is its own copy.  Where nothing is
copied, functions are used as they are, and an object of a class of the user's own is a shallow
copy: what its attributes refer to is the program's.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import replace
from functools import cached_property
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType
from typing import TypeAlias

from conveyor.graph.route import adaptive_forks
from conveyor.graph.topology import Kind, NodeSpec, Topology, channels_of
from conveyor.items.bytecode import only_calculates
from conveyor.items.stage_pickling import pack_stage
from conveyor.sim.code.effects import has_no_effects
from conveyor.sim.prepare.resources import Resources
from conveyor.sim.prepare.stage_copy import PackedStage, StageCopy
from conveyor.stages import Job, completed, name_wanted, only_function
from conveyor.typecheck.stage_types import taken_by

__all__ = ["AnyJob", "PreparedPipeline", "PreparedNode", "calculates"]

AnyJob: TypeAlias = Job[object, object]


class PreparedNode:
    """A place in the graph, and how the stage gets there."""

    def __init__(self, spec: NodeSpec, copies: bool = True) -> None:
        self.spec = spec
        self.packed: PackedStage | None = None
        self.is_stateless = spec.stage is None or holds_nothing(spec.stage)
        if spec.stage is not None and copies and not self.is_stateless:
            # What cannot be sent to a worker is refused here, too
            pack_stage(spec.stage, spec.name)
            self.packed = PackedStage(spec.stage)
            self.is_stateless = self.packed.holds_nothing and only_function(spec.stage) is not None
        makes = spec.stage is not None and spec.stage.stage_options.setup is not None
        self.resources = Resources(self.packed) if makes and self.packed is not None else None
        self.sets_up = makes or overrides(spec.stage, "setup")
        self.tears_down = makes or overrides(spec.stage, "teardown")
        if spec.fork is not None and spec.route is not None and copies:
            pack_stage(spec.fork, name_wanted(spec.fork))

    @cached_property
    def taken(self) -> object:
        """The type of what its job can be given: no worker's copy takes anything else."""
        assert self.spec.stage is not None
        return taken_by(self.spec.stage)

    def copy(self) -> StageCopy:
        """The stage as a new worker has it."""
        stage = self.spec.stage
        assert stage is not None
        if self.is_stateless or self.packed is None:
            return StageCopy(copy(stage) if only_function(stage) is None else stage)
        return self.packed.copy()

    def set_up(self, stage: AnyJob, awaits: Callable[[Awaitable[object]], object]) -> None:
        """Makes a worker's stage ready for its first item; raises what its `setup` raises."""
        if self.resources is not None:
            self.resources.set_up(stage, awaits)
        elif self.sets_up:
            completed(stage.setup(), awaits)


class PreparedPipeline:
    """The nodes of a topology, each behind those that it reads from."""

    def __init__(
        self,
        topology: Topology,
        *,
        timers: bool = False,
        copies: bool = True,
        lanes: int | None = None,
        is_recorded: bool = False,
    ) -> None:
        self.topology = topology
        self.lanes = lanes  # of each fork that adapts, if not as by default
        self.timers = timers  # can the time of an item run out?
        self.is_recorded = is_recorded  # is told of each whose time runs out?
        self.copies = copies  # does every job get a copy of its item, through a pickle?
        distance = distances(topology)
        self.nodes = [
            PreparedNode(spec, copies)
            for spec in sorted(topology.nodes, key=lambda spec: (distance[spec.index], spec.index))
        ]
        # Nodes that decide which input is read next, or which item is done
        self.deciding = sum(
            len(node.spec.inputs) > 1 or node.spec.chooses_done for node in self.nodes
        )
        self.is_stateless = all(prepared.is_stateless for prepared in self.nodes)
        stages = [prepared.spec.stage for prepared in self.nodes if prepared.spec.stage is not None]
        self.has_no_effects = all(
            (fn := only_function(stage)) is not None and has_no_effects(fn) for stage in stages
        )
        self.tears_down = any(prepared.tears_down for prepared in self.nodes)
        self.telling_forks = [
            (route.name, len(route.lanes))
            for spec in topology.nodes
            for route in adaptive_forks(spec.route)
            if any(
                fork == route.name and node.is_stateful
                for node in topology.nodes
                for fork, _ in node.lanes
            )
        ]
        self.workers = [
            prepared.spec.name
            for prepared in self.nodes
            if prepared.spec.kind in (Kind.JOB, Kind.RELAY)
        ]

    def with_capacity(self, channel: int, capacity: int) -> PreparedPipeline:
        """A copy of the pipeline in which one of its channels has another capacity."""
        channels = list(self.topology.channels)
        channels[channel] = replace(channels[channel], capacity=capacity)
        return PreparedPipeline(
            replace(self.topology, channels=tuple(channels)),
            timers=self.timers,
            copies=self.copies,
            lanes=self.lanes,
            is_recorded=self.is_recorded,
        )


def distances(topology: Topology) -> list[int]:
    """How many channels are at most between the source and each node."""
    found: dict[int, int] = {}

    def distance(node: int) -> int:
        if node not in found:
            producers = [
                topology.channels[c].producer for c in channels_of(topology.nodes[node].inputs)
            ]
            found[node] = max((1 + distance(producer) for producer in producers), default=0)
        return found[node]

    return [distance(spec.index) for spec in topology.nodes]


def holds_nothing(stage: AnyJob) -> bool:
    """Is the stage the same thing after any number of calls, as far as a worker's copy of it
    goes?"""
    fn = only_function(stage)
    return fn is not None and (is_known_by_name(fn) or calculates(fn))


def overrides(stage: AnyJob | None, method: str) -> bool:
    """Has the class of the stage a method of its own in place of a job's?"""
    return stage is not None and getattr(type(stage), method) is not getattr(Job, method)


def calculates(fn: Callable[..., object]) -> bool:
    """Is it a function that looks at nothing but its item?"""
    return isinstance(fn, FunctionType) and only_calculates(fn)


def is_known_by_name(fn: Callable[..., object]) -> bool:
    """Does `fn` travel as a name, which a worker looks up in a module that it has imported?"""
    if not isinstance(fn, FunctionType | BuiltinFunctionType | MethodDescriptorType | type):
        return False
    if getattr(fn, "__module__", None) == "__main__":  # a method of a builtin class has no module
        return False
    if (
        isinstance(fn, FunctionType)
        and getattr(sys.modules.get(fn.__module__), fn.__qualname__, None) is not fn
    ):
        return False
    try:
        return pickle.loads(pickle.dumps(fn)) is fn
    except Exception:  # it has no name by which it could be found
        return False
