"""What follows from a worker that died or takes too long: another one, at once or a little later, or the end of the run.

Knows: the clock, what dead workers leave on the board.  Must never know: how workers are started, ended or waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, perf_counter_ns
from typing import Final

from conveyor.deaths import FRUITLESS_DEATHS, NO_STATE, Death, Deaths
from conveyor.errors import ItemTimeout
from conveyor.runtime.board import NodeBoard
from conveyor.runtime.crash import crash, way_to_go
from conveyor.stages import policy_of
from conveyor.topology import NodeSpec, Topology

__all__ = ["Recovery"]

NANO: Final = 10**9


class Recovery:
    """The deaths of one run.  `committed` says how many items a node has committed since its channels were made."""

    def __init__(self, topology: Topology, boards: list[NodeBoard], committed: Callable[[int], int]) -> None:
        self.topology = topology
        self.boards = boards
        self.committed = committed
        self.run = 0
        self.deaths: dict[int, Deaths] = {}
        self.due: dict[int, float] = {}  # when the next worker of a node is to be started
        self.killed: dict[int, int] = {}  # for an item that took too long: since when it had been at its job
        self.at_start: dict[int, int] = {}
        self.newest: Death | None = None  # what the worker that died last had in hand
        limits = {spec.index: policy_of(spec.stage)[2] for spec in topology.nodes if spec.stage is not None}
        self.limits = {node: int(limit * NANO) for node, limit in limits.items() if limit is not None}

    def begin_run(self, run: int) -> None:
        self.run = run
        self.deaths = {}

    def started(self, node: int) -> None:
        """A worker of this node was started."""
        self.at_start[node] = self.committed(node)
        self.due.pop(node, None)

    def history(self, node: int) -> tuple[Death, ...]:
        """What the next worker of a node has to know."""
        return tuple(self.deaths[node].history) if node in self.deaths else ()

    def restarts(self, node: int) -> int:
        return self.deaths[node].count if node in self.deaths else 0

    def died(self, node: int, pid: int, exit_code: int | None) -> None:
        """Plans another worker, or raises what ends the run."""
        spec, board = self.topology.nodes[node], self.boards[node]
        since = self.killed.pop(node, 0)
        timed_out = since != 0 and board.item_since == since
        name, how, items = self.topology.title(node), way_to_go(exit_code), board.tally(self.run).items_in
        stages = [self.topology.nodes[part].name for part in spec.parts]
        self.newest = board.take_death(self.run, timed_out, how, stages)
        if is_stateful(spec) and not is_restorable(spec) and board.has_begun():
            if timed_out:
                limit = f"timeout_s={self.limits[node] / NANO:g}"
                raise ItemTimeout(f"stage {name!r}: an item took longer than {limit} allows; {NO_STATE}")
            raise crash(name, pid, how, items, NO_STATE)
        commits = self.committed(node) - self.at_start[node] + (since != 0 and not timed_out)
        wait_ms = self.deaths.setdefault(node, Deaths()).died(commits, self.newest)
        if wait_ms is None:
            why = f"so did the {FRUITLESS_DEATHS - 1} workers before it, and none of them had finished an item"
            raise crash(name, pid, how, items, why)
        self.due[node] = monotonic() + wait_ms / 1000

    def now_due(self) -> list[int]:
        """The nodes whose next worker is to be started now."""
        now = monotonic() if self.due else 0.0
        return [node for node, when in self.due.items() if when <= now]

    def overdue(self) -> list[int]:
        """The nodes whose worker is to be killed, because its item takes too long."""
        found: list[int] = []
        for node, limit in self.limits.items():
            since = self.boards[node].item_since
            if since and node not in self.killed and node not in self.due and perf_counter_ns() - since > limit:
                self.killed[node] = since
                found.append(node)
        return found

    def patience_ms(self) -> float | None:
        """After how many milliseconds there may be something to do; None: not before something happens."""
        waits = [max(0.0, when - monotonic()) * 1000 for when in self.due.values()]
        for node, limit in self.limits.items():
            since = self.boards[node].item_since
            left = limit - (perf_counter_ns() - since) if since and node not in self.killed else limit
            waits.append(max(0, left) / 1e6)
        return min(waits, default=None)


def is_stateful(spec: NodeSpec) -> bool:
    return spec.stage is not None and spec.stage.is_stateful


def is_restorable(spec: NodeSpec) -> bool:
    return spec.stage is not None and spec.stage.is_restorable
