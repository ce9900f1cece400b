"""A deployment whose workers are on other machines: what goes where, and how the hosts begin.

Knows: what is chosen for it.  Must never know: what the machines are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeAlias

from conveyor.core.epochs import NodeState
from conveyor.core.keeping import Keeping
from conveyor.graph.fusion import home
from conveyor.graph.route import fixed
from conveyor.graph.topology import NodeSpec, Topology
from conveyor.runtime.hosts.crew import HostsCrew, SharedByHosts
from conveyor.runtime.hosts.lending import lending
from conveyor.runtime.hosts.messages import Plan
from conveyor.runtime.hosts.wire import Network
from conveyor.runtime.mirror.mirror import PROGRAM
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.parent.worker_plan import WorkerPlan
from conveyor.runtime.placement import Placement
from conveyor.runtime.worker_start import WorkerStart
from conveyor.stages import cores_of

__all__ = ["Hosts", "HostsSite", "PlanFor", "check_elsewhere", "with_fixed_lanes"]

PlanFor: TypeAlias = Callable[[int, int], Plan]
"""What a machine is told when it begins, by its number and by what sets its clock."""


class Hosts(Protocol):
    """Machines on which hosts can begin, numbered from 1."""

    def room(self) -> int:
        """How many cores they have together."""
        ...

    def may_share(self, stage: str) -> bool:
        """May this stage share a worker with its neighbours?"""
        ...

    def place(self, workers: Sequence[NodeSpec]) -> Mapping[int, int]:
        """The machine of each worker, by its node.

        Raises `TopologyError` if none has what a stage needs.
        """
        ...

    def without(self, machine: int) -> Hosts:
        """The same but for one that is lost.  Raises a `RunError` if none is left."""
        ...

    def near(self) -> int | None:
        """Which of them is the program's own, if one is: its host shares the program's memory."""
        ...

    def begin(self, homes: Mapping[int, int], plan_for: PlanFor) -> Network:
        """Has a host begin on each machine that has a worker.

        Raises a `RunError` if one cannot; nothing is left then.
        """
        ...


class HostsSite:
    """Some machines, and how workers begin; `keeping`: with what they know, if the run is kept;
    `room`: for how many cores stages are shared out, those of the machines by default."""

    def __init__(
        self,
        start: WorkerStart,
        hosts: Hosts,
        keeping: Keeping | None = None,
        room: int | None = None,
    ) -> None:
        self.start = start
        self.hosts = hosts
        self.keeping = keeping
        self.shared_among = hosts.room() if room is None else room

    def room(self) -> int:
        return self.shared_among

    def may_share(self, stage: str) -> bool:
        return self.hosts.may_share(stage)

    def plan(self, topology: Topology) -> WorkerPlan:
        plan = plan_of(topology, self.start)
        plan.check_descriptors()
        return plan

    def share(self, topology: Topology) -> SharedByHosts:
        return SharedByHosts(topology)

    def crew(self, plan: WorkerPlan, shared: Shared) -> HostsCrew:
        assert isinstance(shared, SharedByHosts)
        topology = plan.topology
        workers = self.hosts.place(plan.specs)
        homes = {
            spec.index: workers.get(home(topology, spec.index), PROGRAM) for spec in topology.nodes
        }
        near = self.hosts.near()
        shared.has_workers([node for node, at in homes.items() if at == near])
        with lending(shared) if near in homes.values() else nullcontext("") as lender:
            lent = near, lender
            network = self.hosts.begin(homes, partial(self.plan_for, plan, homes, lent))
        try:
            return HostsCrew(plan.bare, homes, network, shared, near)
        except BaseException:
            network.close()
            raise

    def plan_for(
        self,
        plan: WorkerPlan,
        homes: Mapping[int, int],
        lent: tuple[int | None, str],
        machine: int,
        clock: int,
    ) -> Plan:
        """What one host is told: of the stages, those that run there."""
        here = [node for node, at in homes.items() if at == machine]
        return Plan(
            topology=plan.bare,
            homes=homes,
            me=machine,
            stages={node: data for node, data in plan.stages.items() if node in here},
            forks={node: data for node, data in plan.forks.items() if node in here},
            main=plan.main,
            path=list(sys.path),
            preload=self.start.preload,
            clock=clock,
            wanted={spec.index: cores_of(spec.stage) for spec in plan.specs},
            environs={},
            known=self.known(here),
            near=lent[0],
            lender=lent[1],
        )

    def known(self, nodes: Sequence[int]) -> Mapping[int, NodeState] | None:
        """What these nodes know from a checkpoint, if the run is kept."""
        if self.keeping is None:
            return None
        manifest = self.keeping.manifest
        if manifest is None:
            return {}
        return {node: known for node, known in manifest.nodes.items() if node in nodes}


def plan_of(topology: Topology, start: WorkerStart) -> WorkerPlan:
    """What is known of workers on other machines."""
    start = replace(start, method="forkserver", preload=())
    return WorkerPlan(topology, start, Placement.unpinned(), elsewhere=True)


def check_elsewhere(topology: Topology, start: WorkerStart) -> None:
    """Raises `TopologyError` for a stage that cannot be on another machine, and `NotPicklable` for
    one that cannot be sent at all."""
    plan_of(topology, start)


def with_fixed_lanes(topology: Topology) -> Topology:
    """The same, with all lanes of the forks that adapt open from the beginning."""
    return replace(
        topology,
        nodes=tuple(
            replace(spec, route=fixed(spec.route) if spec.route is not None else None, lanes=())
            for spec in topology.nodes
        ),
    )
