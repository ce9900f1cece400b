"""The lanes of forks that adapt: opened, by starting their workers, and shut again.

Knows: which lanes a fork wants, and when a new one would come too late.  Must never know: why a
fork wants them, how a worker is started.
"""

from __future__ import annotations

from conveyor.graph.route import adaptive_forks, leaves
from conveyor.graph.topology import NodeSpec, is_shut
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.parent.worker_processes import WorkerProcesses
from conveyor.runtime.shm.fence import fence

__all__ = ["AdaptiveLanes"]


class AdaptiveLanes:
    """The adapting forks of a topology, each with one lane open at first."""

    def __init__(self, shared: Shared, processes: WorkerProcesses) -> None:
        self.shared = shared
        self.processes = processes
        forks = [fork for spec in shared.topology.nodes for fork in adaptive_forks(spec.route)]
        self.forks = tuple(fork.name for fork in forks)
        self.channels = {fork.name: leaves(fork) for fork in forks}
        self.by_machine = [fork.name for fork in forks if fork.by_machine]
        self.most: dict[str, int] = {}  # lanes that were open at once in this run
        # A stateful job of a lane that is shut would have no chance to give what it still holds.
        self.keep_open = {
            fork for spec in processes.plan.specs if spec.is_stateful for fork, _ in spec.lanes
        }
        for fork in self.forks:
            shared.control.set_open_lanes(fork, 1)
            shared.control.want_lanes(fork, 1)

    def opened(self) -> dict[str, int]:
        """How many lanes of each fork are open."""
        return {fork: self.shared.control.open_lanes(fork) for fork in self.forks}

    def nodes_to_start(self) -> list[NodeSpec]:
        """Those that have a worker from the beginning."""
        opened = self.opened()
        return [spec for spec in self.processes.plan.specs if not is_shut(spec, opened)]

    def begin_run(self, run: int) -> None:
        """A node that has no worker has ended every run before it begins."""
        self.most = {fork: self.shared.control.open_lanes(fork) for fork in self.by_machine}
        for spec in self.processes.plan.specs:
            if spec.index not in self.processes.open:
                self.shared.shut(spec, run)

    def follow(self, run: int) -> None:
        """Opens or shuts lanes as the forks ask."""
        control = self.shared.control
        for fork in self.forks:
            wanted, opened = control.wanted_lanes(fork), control.open_lanes(fork)
            if wanted > opened or (wanted < opened and fork not in self.keep_open):
                self.set_lanes(fork, wanted, run)

    def set_lanes(self, fork: str, lanes: int, run: int) -> None:
        """Opens lanes, by starting their workers, or shuts them: then they are not chosen any
        more."""
        shared, opened = self.shared, self.opened() | {fork: lanes}
        new = [
            spec
            for spec in self.processes.plan.specs
            if spec.index not in self.processes.open and not is_shut(spec, opened)
        ]
        for spec in new:
            shared.shut(spec, 0)
        fence()
        if new and self.is_closing(fork, run):
            # The consumer of the new lanes may have ended the run: what they gave would be read in
            # the next.
            for spec in new:
                shared.shut(spec, run)
            shared.control.want_lanes(fork, shared.control.open_lanes(fork))
            shared.notify_all()
            return
        self.processes.witnesses.opened_lanes(fork, self.shared.control.open_lanes(fork), lanes)
        for spec in new:
            self.processes.start(spec)
        shared.control.set_open_lanes(fork, lanes)  # only now may they be chosen
        if fork in self.most:
            self.most[fork] = max(lanes, self.most[fork])
        shared.notify_all()

    def is_closing(self, fork: str, run: int) -> bool:
        """Has the owner of a fork begun to tell its lanes that the run ends?"""
        return any(self.shared.rings[channel].has_ended(run) for channel in self.channels[fork])
