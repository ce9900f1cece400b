"""What the workers of one open pipeline share with the program, and with one another.

Knows: the memory, what lies where in it, the wakeups.  Must never know: processes, how a run goes.

Nothing here has a name in the system: once the processes are gone, so is all of it.
"""

from __future__ import annotations

import select
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from conveyor.graph.route import leaves
from conveyor.graph.topology import NodeSpec, Topology, channels_of
from conveyor.runtime.shm.control_block import NodeBlock
from conveyor.runtime.shm.endpoints import RingEnds, ring_ends
from conveyor.runtime.shm.layout import Layout
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.ring import Ring, RingState
from conveyor.runtime.shm.wakeup import Wakeup

__all__ = ["Inputs", "Lent", "Shared"]


class Lent(NamedTuple):
    """Descriptors of what another process of this machine has made: the memory, and the wakeup of
    each node."""

    memory: int
    wakeups: Mapping[int, tuple[int, int]]


class Inputs:
    """What lies before each node of a topology, by its number.

    It does not refer to what else is shared, which is then freed as soon as it is given back.
    """

    def __init__(self, topology: Topology, rings: Sequence[Ring]) -> None:
        self.rings = [
            [rings[channel] for channel in channels_of(spec.inputs)] for spec in topology.nodes
        ]

    def committed(self, node: int) -> int:
        """How many items a node has committed since its channels were made."""
        return sum(ring.head() for ring in self.rings[node])

    def has_input(self, node: int) -> bool:
        """Is there anything before a node that it has not committed?"""
        return any(RingState(ring).queued for ring in self.rings[node])


class Shared:
    """The memory of a topology with its rings and control blocks, and a wakeup for each node.

    `workers` are the nodes that sleep on their own wakeup and nothing else: all between source and
    sink, unless they are on another machine.  With `lent` it is all there already.
    """

    def __init__(
        self,
        topology: Topology,
        workers: Collection[int] | None = None,
        lent: Lent | None = None,
    ) -> None:
        self.topology = topology
        self.layout = Layout(topology)
        self.wakeups: dict[int, Wakeup] = {}
        if lent is None:
            self.memory = Memory.create(self.layout.size, self.layout.regions)
        else:
            self.memory = Memory(lent.memory, self.layout.size)
            self.wakeups.update({node: Wakeup(*fds) for node, fds in lent.wakeups.items()})
        try:
            self.control = self.layout.control_block(self.memory)
            self.blocks = [
                NodeBlock(self.layout.node(self.memory, spec.index)) for spec in topology.nodes
            ]
            self.rings = [
                self.layout.ring(self.memory, channel.index) for channel in topology.channels
            ]
            self.ends_of_program = (0, len(topology.nodes) - 1)
            for spec in topology.nodes if lent is None else ():
                sleeps = spec.index not in self.ends_of_program
                self.wakeups[spec.index] = Wakeup.create(
                    blocking=sleeps if workers is None else spec.index in workers
                )
        except BaseException:
            self.close()
            raise

    @staticmethod
    def descriptors(nodes: int) -> int:
        """How many descriptors this takes for so many nodes; the memory has two."""
        return 2 + Wakeup.DESCRIPTORS * nodes

    @property
    def consumer_wakeup(self) -> Wakeup:
        """That of the thread that takes the results."""
        return self.wakeups[self.ends_of_program[1]]

    def ends(self, spec: NodeSpec) -> RingEnds:
        """The channel ends of the source or the sink."""
        return ring_ends(
            self.topology,
            self.layout,
            self.memory,
            spec,
            lambda node: self.wakeups[node].notify,
            self.control.keeping,
        )

    def channel(self, number: int) -> RingState:
        """How a channel stands now."""
        return RingState(self.rings[number])

    def wakeups_near(self, spec: NodeSpec) -> dict[int, tuple[int, int]]:
        """The descriptors of the wakeups of a node and of those to which it is connected."""
        near = {self.topology.channels[c].producer for c in channels_of(spec.inputs)}
        if spec.route is not None:
            near |= {self.topology.channels[c].consumer for c in leaves(spec.route)}
        near |= {spec.index, self.ends_of_program[1]}
        return {
            node: (self.wakeups[node].read_fd, self.wakeups[node].write_fd) for node in sorted(near)
        }

    def shut(self, spec: NodeSpec, run: int) -> None:
        """Says in place of a node without a worker that it has ended this run; with 0, that it has
        ended none."""
        assert spec.route is not None
        for channel in leaves(spec.route):
            self.layout.ring(self.memory, channel).set_ended(run)

    def notify(self, nodes: Iterable[int]) -> None:
        """Wakes the workers of these nodes."""
        for node in nodes:
            self.wakeups[node].notify()

    def notify_all(self) -> None:
        self.notify(self.wakeups)

    def is_notified(self, node: int) -> bool:
        """Is there a notification for a worker that has not woken yet?"""
        poll = select.poll()
        poll.register(self.wakeups[node].read_fd, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Gives back what this process has of it."""
        for wakeup in self.wakeups.values():
            wakeup.close()
        self.memory.close()
