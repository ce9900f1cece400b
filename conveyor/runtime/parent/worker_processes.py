"""The worker processes of one open pipeline: started, reaped, ended.

Knows: what a worker is told when it starts, and the handles of those that run.  Must never know:
how a run goes, why a worker is started or ended.
"""

from __future__ import annotations

import select
import signal
import time
from collections import Counter

from conveyor.errors import WorkerCrashed
from conveyor.graph.fusion import home
from conveyor.graph.topology import NodeSpec
from conveyor.runtime.descriptors import check_room
from conveyor.runtime.parent.crew import Birth, Crew, WorkerProcess
from conveyor.runtime.parent.witness import Witness
from conveyor.runtime.parent.worker_plan import FOR_A_START, WorkerPlan
from conveyor.runtime.policies.restart_policy import RestartPolicy
from conveyor.runtime.process.deferral import Deferral, is_of_a_handler

__all__ = ["WorkerProcesses"]


class WorkerProcesses:
    """The processes that there are now: `handles`, by node.

    Each is registered with `poll`, which is ready when it ends; the policy and the witnesses are
    told of it.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        crew: Crew,
        policy: RestartPolicy,
        poll: select.poll,
        handles: dict[int, WorkerProcess],
        witnesses: Witness,
    ) -> None:
        self.plan = plan
        self.crew = crew
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
                handle = self.crew.start(self.birth(spec))
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
        cores, life = self.crew.cores(spec.index), self.lives[spec.index]
        self.witnesses.started(spec.index, handle.pid, cores, life)

    def birth(self, spec: NodeSpec) -> Birth:
        """The worker that a node is to have now."""
        run, deaths = self.policy.run, self.policy.history(spec.index)
        return Birth(spec, self.lives[spec.index], run, deaths)

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
        self.crew.close()

    def close_copies(self) -> None:
        """In a process that was forked: gives back its copies of what its parent goes on with."""
        for handle in self.handles.values():
            handle.close_copy()
        self.crew.close_copy()

    def living(self) -> dict[int, int]:
        """The processes that there are, by node."""
        return {node: handle.pid for node, handle in self.handles.items()}

    def pid(self, node: int) -> int | None:
        """The process that does, or last did, the work of a node."""
        return self.pids.get(home(self.plan.topology, node))
