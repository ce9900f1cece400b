"""The items whose time ran out while their worker went on, as a recording tells of them.

Knows: items that are in hand side by side, and the steps of those that take turns.  Must never
know: files, how a worker measures time.
"""

from __future__ import annotations

from collections import Counter

from conveyor.graph.topology import Topology
from conveyor.recording import format as recording
from conveyor.recording.crash_points import Timeout
from conveyor.runtime.parent.post_mortem import Account, Remains

__all__ = ["LateItems"]


class LateItems:
    """Those of the worker that each node has now."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.of_worker: dict[int, list[Timeout]] = {}
        # How often it was noted which item goes on, of nodes whose items take turns.
        self.steps = {spec.index: 0 for spec in topology.nodes if spec.interleaves}

    def stepped(self, node: int, times: int) -> None:
        if node in self.steps:
            self.steps[node] += times

    def stands(self, node: int, steps: int) -> None:
        """Another worker goes on behind so many steps, if it is one whose items take turns."""
        if node in self.steps:
            self.steps[node] = steps

    def ran_out(self, node: int, ordinal: int) -> bytes:
        """The time of the item with this ordinal ran out; gives the frame that says so."""
        place = (None, self.steps[node]) if node in self.steps else (0, ordinal)
        timeout = Timeout(self.topology.nodes[node].name, *place)
        self.of_worker.setdefault(node, []).append(timeout)
        return recording.ran_out(timeout)

    def died(self, node: int, run: int, remains: Remains, begun: Account) -> bytes:
        """A worker died: items of which nothing has come are tried anew.  Gives the frame that
        takes back what was said of those."""
        late = self.of_worker.pop(node, [])
        if not late:
            return b""
        void = Counter(late) - Counter(remains.stands(run, late, begun))
        return recording.taken_back(void.elements()) if void else b""
