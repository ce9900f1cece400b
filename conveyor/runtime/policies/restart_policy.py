"""What follows from a worker that died or takes too long: another one, at once or a little later,
or the end of the run.

Knows: the clock, what dead workers leave behind.  Must never know: how workers are started, ended
or waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from conveyor.core.crashes import NO_STATE, Deaths, WorkerDeath, remembered
from conveyor.core.failures import lost_in_time
from conveyor.errors import WorkerCrashed
from conveyor.graph.topology import Topology
from conveyor.runtime.policies.contract import Inputs, StoppableWorker, WorkerRecord
from conveyor.runtime.policies.exit_status import crash, way_to_go
from conveyor.runtime.policies.limits import Limits
from conveyor.stages import policy_of

__all__ = ["RestartPolicy"]


class RestartPolicy:
    """Decides after each death of a worker: another one, and when, or the end of the run.

    `records` and `inputs` tell of each node by its number; `worker` gives its worker, or None while
    it has none.
    """

    def __init__(
        self,
        topology: Topology,
        records: Sequence[WorkerRecord],
        inputs: Inputs,
        worker: Callable[[int], StoppableWorker | None],
    ) -> None:
        self.topology = topology
        self.records = records
        self.inputs = inputs
        self.run = 0
        self.deaths: dict[int, Deaths] = {}
        self.due: dict[int, float] = {}  # when the next worker of a node is to be started
        # For an item that took too long: since when it had been at its job.
        self.killed: dict[int, int] = {}
        self.at_start: dict[int, int] = {}  # how much a node had committed then
        self.born: dict[int, float] = {}
        self.histories: dict[int, list[WorkerDeath]] = {}  # by the node of the job
        # Nodes whose state is gone, and that have done their part of the run all the same.
        self.lost: dict[int, WorkerCrashed] = {}
        # What each job of the worker that died last had in hand.
        self.newest: list[WorkerDeath | None] = []
        limits_s = {
            spec.index: policy_of(spec.stage)[2]
            for spec in topology.nodes
            if spec.stage is not None
        }
        self.limits_s = {node: limit for node, limit in limits_s.items() if limit is not None}
        self.limits = Limits(self.limits_s, records, worker)

    def begin_run(self, run: int) -> None:
        """Forgets the deaths of the run before."""
        self.run = run
        self.deaths = {node: Deaths(deaths.was_ready) for node, deaths in self.deaths.items()}
        self.histories = {}

    def started(self, node: int) -> None:
        """A worker of this node was started."""
        self.at_start[node] = self.inputs.committed(node)
        self.born[node] = monotonic()
        self.due.pop(node, None)

    def history(self, node: int) -> tuple[tuple[WorkerDeath, ...], ...]:
        """What the next worker of a node has to know of each of its stages."""
        return tuple(tuple(self.histories.get(part, ())) for part in self.parts(node))

    def parts(self, node: int) -> Sequence[int]:
        """The nodes whose jobs the worker of a node has."""
        return self.topology.nodes[node].parts or (node,)

    def restarts(self, node: int) -> int:
        """How often in this run another worker took the place of one that died."""
        return self.deaths[node].count if node in self.deaths else 0

    def died(self, node: int, pid: int, exit_code: int | None) -> None:
        """Plans another worker, or raises what ends the run."""
        spec, record = self.topology.nodes[node], self.records[node]
        since = self.killed.pop(node, 0)
        timed_out = since != 0 and record.item_since == since
        name, how = self.topology.title(node), way_to_go(exit_code)
        items = record.tally(self.run).items_in
        has_input = self.inputs.has_input(node)
        moment = record.moment(self.run, has_input)
        self.newest = self.take_death(node, timed_out, how)
        if has_input:  # else all that it had in hand was done
            self.remember(node)
        if spec.dies_with_worker and record.has_begun():
            if timed_out:
                raise lost_in_time(name, self.limits_s[node])
            error = crash(name, pid, how, items, NO_STATE)
            if record.done != self.run:
                raise error
            self.lost[node] = error  # this run needs it no more; the next one does
            return
        commits = self.inputs.committed(node) - self.at_start[node] + (since != 0 and not timed_out)
        deaths = self.deaths.setdefault(node, Deaths())
        now, born = monotonic(), self.born[node]
        wait_ms = deaths.died(
            moment, commits, born_ms=1000 * born, now_ms=1000 * now, timed_out=timed_out
        )
        if wait_ms is None:
            raise crash(name, pid, how, items, deaths.why())
        self.due[node] = now + wait_ms / 1000

    def take_death(self, node: int, timed_out: bool, how: str) -> list[WorkerDeath | None]:
        """What each of its jobs had in hand."""
        running, jobs = self.records[node].running, enumerate(self.parts(node), 1)
        return [
            self.records[part].take_death(self.run, running == number, timed_out, how)
            for number, part in jobs
        ]

    def remember(self, node: int) -> None:
        """Adds the newest death to the histories of its jobs."""
        for part, death in zip(self.parts(node), self.newest, strict=True):
            if death is not None:
                self.histories[part] = remembered(self.histories.get(part, ()), death)

    def now_due(self) -> list[int]:
        """The nodes whose next worker is to be started now; raises what ends a run that needs a
        state which is gone."""
        for node, error in self.lost.items():
            if self.records[node].done != self.run:
                raise error
        now = monotonic() if self.due else 0.0
        return [node for node, when in self.due.items() if when <= now]

    def overdue(self) -> list[int]:
        """The nodes whose worker is to be killed, because its item takes too long."""
        new = {node: since for node, since in self.limits.over().items() if node not in self.killed}
        self.killed |= new
        return list(new)

    def patience_ms(self) -> float | None:
        """After how many milliseconds there may be something to do; None: not before something
        happens."""
        waits = [0.0] if any(self.records[node].done != self.run for node in self.lost) else []
        waits += [max(0.0, when - monotonic()) * 1000 for when in self.due.values()]
        limits = self.limits.patience_ms()
        return min(waits if limits is None else [*waits, limits], default=None)
