"""Worker processes on this machine.

Knows: what a worker is told when it starts.  Must never know: why one is started.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext

from conveyor.graph.topology import Topology
from conveyor.runtime.parent.crew import Birth
from conveyor.runtime.parent.noted import Noted, noted_at
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.parent.worker_plan import Kit, WorkerPlan
from conveyor.runtime.placement import Placement, usable_cores
from conveyor.runtime.process.circumstances import STANDARD_OUTPUT, Circumstances, directory
from conveyor.runtime.process.handle import Handle
from conveyor.runtime.process.lifeline import lifeline
from conveyor.runtime.process.start import start_process
from conveyor.runtime.shm.layout import Layout, LayoutFactory
from conveyor.runtime.worker.order import Order
from conveyor.runtime.worker.worker import work
from conveyor.runtime.worker_start import WorkerStart

__all__ = ["LocalCrew", "LocalSite"]


class LocalSite:
    """This machine, as it was chosen: how workers begin, and where they are."""

    def __init__(self, start: WorkerStart, placement: Placement) -> None:
        self.start = start
        self.placement = placement

    def room(self) -> int:
        return len(usable_cores())

    def may_share(self, stage: str) -> bool:
        return self.placement.may_share(stage)

    def plan(self, topology: Topology) -> WorkerPlan:
        plan = WorkerPlan(topology, self.start, self.placement)
        plan.check_descriptors()
        return plan

    def share(self, topology: Topology) -> Shared:
        return Shared(topology)

    def crew(self, plan: WorkerPlan, shared: Shared) -> LocalCrew:
        return LocalCrew(plan.kit, shared)


class LocalCrew:
    """Processes that share this one's memory as it is."""

    failure = None

    def __init__(self, kit: Kit, shared: Shared) -> None:
        self.kit = kit
        self.shared = shared
        self.asked = 0

    def check(self) -> None:
        """Nothing befalls this machine that this process would live to tell of."""

    def is_still(self) -> bool:
        return True

    def where(self, node: int) -> str | None:
        return None

    def cores(self, node: int) -> tuple[int, ...]:
        return self.kit.cores[node]

    def ask_noted(self, number: int) -> None:
        self.asked = number

    def noted(self, waits: bool = False) -> dict[int, Noted]:
        return noted_at(self.asked, self.shared, range(len(self.shared.blocks)))

    def remarks(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        """There is nothing to give back but the memory, which is the caller's."""

    def close_copy(self) -> None:
        """As `close`."""

    def worker_layout(self, birth: Birth) -> LayoutFactory:
        """What the next worker of a node finds its memory by; a test puts one in its place that
        fails at a chosen store."""
        return Layout

    def start(self, birth: Birth) -> Handle:
        spec = birth.spec
        wakeups = self.shared.wakeups_near(spec)
        method = self.kit.start_method
        with directory() if method == "forkserver" else nullcontext() as place:
            fds = [
                self.shared.memory.fd,
                *STANDARD_OUTPUT,
                *dict.fromkeys(fd for pair in wakeups.values() for fd in pair),
            ]
            order = self.order_for(birth, wakeups, place)
            fds += [place] if place is not None else []
            name = f"conveyor {self.kit.topology.title(spec.index)}"
            return start_process(method, work, order, fds, lifeline(), name)

    def order_for(
        self, birth: Birth, wakeups: dict[int, tuple[int, int]], place: int | None
    ) -> Order:
        """What the worker of a node is told; `place` is the program's directory, where the worker
        does not begin in it."""
        kit, shared, spec = self.kit, self.shared, birth.spec
        parts = spec.parts or (spec.index,)
        circumstances = Circumstances.of_the_program(
            self.cores(spec.index), kit.threads[spec.index], place
        )
        circumstances.environment.update(kit.environs.get(spec.index, {}))
        return Order(
            topology=kit.topology,
            node=spec.index,
            stages=tuple(kit.stages[part] for part in parts if part in kit.stages),
            fork=kit.forks.get(spec.owner),
            size=shared.layout.size,
            memory=shared.memory.fd,
            lifeline=lifeline(),
            wakeups=wakeups,
            circumstances=circumstances,
            path=list(sys.path),
            main=kit.main,
            run=birth.run,
            deaths=birth.deaths,
            layout=self.worker_layout(birth),
        )
