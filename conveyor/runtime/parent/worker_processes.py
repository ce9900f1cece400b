"""The worker processes of one open pipeline: started, reaped, ended.

Knows: what a worker is told when it starts, and the handles of those that run.  Must never know:
how a run goes, why a worker is started or ended.
"""

from __future__ import annotations

import select
import signal
import sys
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from typing import Final

from conveyor.errors import WorkerCrashed
from conveyor.graph.fusion import home
from conveyor.graph.route import Select
from conveyor.graph.topology import Kind, NodeSpec, Topology
from conveyor.items.main_module import defined_now, pack_main
from conveyor.items.stage_pickling import check_initializer, pack_stage
from conveyor.runtime.descriptors import check_room
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.parent.witness import Witness
from conveyor.runtime.placement import Placement, usable_cores
from conveyor.runtime.policies.restart_policy import RestartPolicy
from conveyor.runtime.process.circumstances import STANDARD_OUTPUT, Circumstances, directory
from conveyor.runtime.process.deferral import Deferral, interruptible, is_of_a_handler
from conveyor.runtime.process.lifeline import lifeline
from conveyor.runtime.process.preload import ask_for
from conveyor.runtime.process.start import Handle, StartMethod, checked_start_method, start_process
from conveyor.runtime.shm.layout import Layout, LayoutFactory
from conveyor.runtime.worker.order import Order
from conveyor.runtime.worker.worker import work
from conveyor.runtime.worker_start import WorkerStart, check_modules
from conveyor.stages import cores_of

__all__ = ["WorkerPlan", "WorkerProcesses"]

# For each worker, kept: its end, its order, and one that is watched for its end.
FOR_A_WORKER: Final = 3
# For a moment: pipes, a connection to the fork server, what a worker opens for itself.
FOR_A_START: Final = 16


class WorkerPlan:
    """What is known of the workers before any is started: their nodes, cores and packed stages.

    To pack a stage may run code of the program.
    """

    def __init__(self, topology: Topology, start: WorkerStart, placement: Placement) -> None:
        self.topology = topology
        self.start_method: StartMethod = checked_start_method(start.method)
        self.initializer = start.initializer
        check_modules(start.preload)
        if self.start_method == "forkserver":
            ask_for(start.preload)
        self.specs = [spec for spec in topology.nodes if spec.kind in (Kind.JOB, Kind.RELAY)]
        wanted = [cores_of(spec.stage) for spec in self.specs]
        cores, self.notes = placement.place([spec.name for spec in self.specs], wanted)
        self.cores = {spec.index: chosen for spec, chosen in zip(self.specs, cores, strict=True)}
        self.threads = {
            spec.index: len(chosen) or min(width, len(usable_cores()))
            for spec, chosen, width in zip(self.specs, cores, wanted, strict=True)
        }
        self.stages = interruptible(self.packed_stages)
        self.forks = interruptible(self.packed_forks)
        self.defined = interruptible(defined_now)
        self.main = interruptible(pack_main) if self.start_method != "fork" else None
        # Without the jobs, which travel packed, each to its own worker.
        self.bare = replace(
            topology, nodes=tuple(replace(spec, stage=None, fork=None) for spec in topology.nodes)
        )

    def packed_stages(self) -> dict[int, bytes]:
        if self.initializer is not None:
            check_initializer(self.initializer)
        return {
            spec.index: pack_stage(spec.stage, spec.name, self.initializer)
            for spec in self.topology.nodes
            if spec.stage is not None
        }

    def packed_forks(self) -> dict[int, bytes]:
        """The forks that have a function, by the nodes whose outputs they take."""
        return {
            spec.owner: pack_stage(spec.fork, spec.route.name)
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


class WorkerProcesses:
    """The processes that there are now: `handles`, by node.

    Each is registered with `poll`, which is ready when it ends; the policy and the witnesses are
    told of it.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        shared: Shared,
        policy: RestartPolicy,
        poll: select.poll,
        handles: dict[int, Handle],
        witnesses: Witness,
    ) -> None:
        self.plan = plan
        self.shared = shared
        self.policy = policy
        self.poll = poll
        self.handles = handles
        self.witnesses = witnesses
        self.nodes: dict[int, int] = {}  # by the descriptor of the worker's end
        # The nodes that have a worker, or will have another in a moment.
        self.open: set[int] = set()
        self.lives: Counter[int] = Counter()  # how many workers each node has had
        self.pids: dict[int, int] = {}  # which outlive the processes, for the report

    def start(self, spec: NodeSpec) -> None:
        """Starts a worker of a node.  Raises `WorkerCrashed` if the system gives no process."""
        title = self.plan.topology.title(spec.index)
        check_room(FOR_A_START, f"the start of a worker for stage {title!r}")
        with Deferral():
            self.open.add(spec.index)
            self.lives[spec.index] += 1
            try:
                handle = self.process_of(spec)
            except BrokenPipeError:  # it was killed before it had begun
                self.policy.started(spec.index)
                self.policy.died(spec.index, 0, None)
                return
            except (EOFError, OSError) as error:
                if is_of_a_handler(error):
                    raise
                raise WorkerCrashed(
                    f"no worker could be started for stage {title!r} by "
                    f"{self.plan.start_method}: {type(error).__name__}: {error}"
                ) from error
            self.handles[spec.index] = handle
            self.pids[spec.index] = handle.pid
            self.nodes[handle.fd] = spec.index
            self.poll.register(handle.fd, select.POLLIN)
            self.policy.started(spec.index)
        cores, life = self.plan.cores[spec.index], self.lives[spec.index]
        self.witnesses.started(spec.index, handle.pid, cores, life)

    def worker_layout(self, spec: NodeSpec) -> LayoutFactory:
        """What the next worker of a node finds its memory by; a test puts one in its place that
        fails at a chosen store."""
        return Layout

    def process_of(self, spec: NodeSpec) -> Handle:
        """A process that has been told all that the worker of a node needs to know."""
        wakeups = self.shared.wakeups_near(spec)
        method = self.plan.start_method
        with directory() if method == "forkserver" else nullcontext() as place:
            fds = [
                self.shared.memory.fd,
                *STANDARD_OUTPUT,
                *dict.fromkeys(fd for pair in wakeups.values() for fd in pair),
            ]
            order = self.order_for(spec, wakeups, place)
            fds += [place] if place is not None else []
            name = f"conveyor {self.plan.topology.title(spec.index)}"
            return start_process(method, work, order, fds, lifeline(), name)

    def order_for(
        self, spec: NodeSpec, wakeups: dict[int, tuple[int, int]], place: int | None
    ) -> Order:
        """What the worker of a node is told; `place` is the program's directory, where the worker
        does not begin in it."""
        plan, shared = self.plan, self.shared
        parts = spec.parts or (spec.index,)
        return Order(
            topology=plan.bare,
            node=spec.index,
            stages=tuple(plan.stages[part] for part in parts if part in plan.stages),
            fork=plan.forks.get(spec.owner),
            size=shared.layout.size,
            memory=shared.memory.fd,
            lifeline=lifeline(),
            wakeups=wakeups,
            circumstances=Circumstances.of_the_program(
                plan.cores[spec.index], plan.threads[spec.index], place
            ),
            path=list(sys.path),
            main=plan.main,
            run=self.policy.run,
            deaths=self.policy.history(spec.index),
            layout=self.worker_layout(spec),
        )

    def reaped(self, node: int) -> tuple[int, int | None]:
        """Lets go of a worker that has ended: its pid, and its exit code if that is known."""
        with Deferral():
            handle = self.handles.pop(node)
            del self.nodes[handle.fd]
            self.poll.unregister(handle.fd)
            exit_code = handle.exit_code()
            handle.close()
        return handle.pid, exit_code

    def kill(self, node: int) -> None:
        self.handles[node].send(signal.SIGKILL)

    def join(self, seconds: float) -> None:
        """Waits until all have ended, so long at most."""
        deadline = time.monotonic() + seconds
        for handle in self.handles.values():
            handle.wait(max(0.0, deadline - time.monotonic()))

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to all that are still there."""
        for handle in self.handles.values():
            if not handle.wait(0):
                handle.send(number)

    def close(self) -> None:
        """Gives back what this process has of them, once they have ended."""
        for handle in self.handles.values():
            handle.close()

    def close_copies(self) -> None:
        """In a process that was forked: gives back its copies of what its parent goes on with."""
        for handle in self.handles.values():
            handle.close_copy()

    def pid(self, node: int) -> int | None:
        """The process that does, or last did, the work of a node."""
        return self.pids.get(home(self.plan.topology, node))
