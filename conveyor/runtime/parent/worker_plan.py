"""What is known of the workers of a deployment before any is started.

Knows: which nodes have a worker, how stages are packed, the cores.  Must never know: processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from conveyor.graph.route import Select
from conveyor.graph.topology import Kind, NodeSpec, Topology
from conveyor.items.main_module import Definitions, defined_now, pack_main
from conveyor.items.stage_pickling import check_initializer, pack_stage
from conveyor.runtime.descriptors import check_room
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.placement import Placement, usable_cores
from conveyor.runtime.process.deferral import interruptible
from conveyor.runtime.process.preload import ask_for
from conveyor.runtime.process.start import StartMethod, checked_start_method
from conveyor.runtime.worker_start import WorkerStart, check_modules
from conveyor.stages import cores_of

__all__ = ["FOR_A_START", "Kit", "Places", "WorkerPlan", "places_of"]

# For each worker, kept: its end, its order, and one that is watched for its end.
FOR_A_WORKER: Final = 3
# For a moment: pipes, a connection to the fork server, what a worker opens for itself.
FOR_A_START: Final = 16
NO_ENVIRONS: Final[Mapping[int, Mapping[str, str]]] = {}


class Kit(NamedTuple):
    """What workers are made of: the graph without its jobs, these as they travel, and how and where
    a process begins.  `cores` are by node; none: the system places the worker.
    `threads` is how many its job may use at once, `environs` what its environment has beside the
    program's."""

    topology: Topology
    stages: Mapping[int, bytes]
    forks: Mapping[int, bytes]
    main: Definitions | None
    start_method: StartMethod
    cores: Mapping[int, tuple[int, ...]]
    threads: Mapping[int, int]
    environs: Mapping[int, Mapping[str, str]] = NO_ENVIRONS


class Places(NamedTuple):
    """Where workers are on one machine, by node: `cores` and `threads` as a `Kit` has them; `notes`
    are what the report says of it."""

    cores: dict[int, tuple[int, ...]]
    threads: dict[int, int]
    notes: tuple[str, ...]


def places_of(placement: Placement, specs: Sequence[NodeSpec], wanted: Sequence[int]) -> Places:
    """Places the workers of these nodes, each of which wants so many cores."""
    cores, notes = placement.place([spec.name for spec in specs], wanted)
    most = len(usable_cores())
    chosen = {spec.index: each for spec, each in zip(specs, cores, strict=True)}
    threads = {
        spec.index: len(chosen[spec.index]) or min(width, most)
        for spec, width in zip(specs, wanted, strict=True)
    }
    return Places(chosen, threads, notes)


class WorkerPlan:
    """What is known of the workers before any is started: their nodes, cores and packed stages.

    To pack a stage may run code of the program.  `elsewhere`: they are on other machines; raises
    `TopologyError` for what a stage cannot have there.
    """

    def __init__(
        self,
        topology: Topology,
        start: WorkerStart,
        placement: Placement,
        elsewhere: bool = False,
    ) -> None:
        self.topology = topology
        self.elsewhere = elsewhere
        self.start_method: StartMethod = checked_start_method(start.method)
        self.initializer = start.initializer
        check_modules(start.preload)
        if self.start_method == "forkserver":
            ask_for(start.preload)
        self.specs = [spec for spec in topology.nodes if spec.kind in (Kind.JOB, Kind.RELAY)]
        places = places_of(placement, self.specs, [cores_of(spec.stage) for spec in self.specs])
        self.cores, self.threads, self.notes = places
        # Those that are not by the user's wish: a worker may be let go from them.
        self.kept = self.cores if placement.spread else {}
        self.stages = interruptible(self.packed_stages)
        self.forks = interruptible(self.packed_forks)
        self.defined = interruptible(defined_now)
        self.main = interruptible(pack_main) if self.start_method != "fork" else None
        # Without the jobs, which travel packed, each to its own worker.
        self.bare = replace(
            topology, nodes=tuple(replace(spec, stage=None, fork=None) for spec in topology.nodes)
        )

    @property
    def kit(self) -> Kit:
        """What its workers are made of."""
        return Kit(
            self.bare,
            self.stages,
            self.forks,
            self.main,
            self.start_method,
            self.cores,
            self.threads,
        )

    def packed_stages(self) -> dict[int, bytes]:
        if self.initializer is not None:
            check_initializer(self.initializer, elsewhere=self.elsewhere)
        return {
            spec.index: pack_stage(
                spec.stage, spec.name, self.initializer, elsewhere=self.elsewhere
            )
            for spec in self.topology.nodes
            if spec.stage is not None
        }

    def packed_forks(self) -> dict[int, bytes]:
        """The forks that have a function, by the nodes whose outputs they take."""
        return {
            spec.owner: pack_stage(
                spec.fork,
                spec.route.name,
                # That of the source is called in the program itself.
                elsewhere=self.elsewhere and spec.kind is not Kind.SOURCE,
            )
            for spec in self.topology.nodes
            if spec.fork is not None and isinstance(spec.route, Select)
        }

    def check_descriptors(self) -> None:
        """Raises `RunError` if the system does not allow as many descriptors as this takes."""
        check_room(
            Shared.descriptors(len(self.topology.nodes))
            + FOR_A_WORKER * len(self.specs)
            + FOR_A_START,
            f"a pipeline of {len(self.specs)} workers",
        )
