"""Which part of the memory is whose: every process of a pipeline works out the same from its
topology.

This file knows sizes and places.  It must never know what any of the words mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from conveyor.core.channel import Note
from conveyor.core.endpoints import notes_of, words_of_notes
from conveyor.core.window import words_of_window
from conveyor.graph.circles import channels_that_count
from conveyor.graph.route import adaptive_forks, balances
from conveyor.graph.topology import Kind, NodeSpec, Topology, ZipInput, channels_of, zips_of
from conveyor.report import COUNTS
from conveyor.runtime.shm.checked import ring_of
from conveyor.runtime.shm.control_block import (
    FORK_WORDS,
    NODE_WORDS,
    PIPELINE_WORDS,
    ControlBlock,
)
from conveyor.runtime.shm.log_buffer import LOG_BUFFER_WORDS, LogBuffer
from conveyor.runtime.shm.memory import PAGE, REGION, Memory
from conveyor.runtime.shm.ring import Ring, reserve_for
from conveyor.runtime.shm.trace_log import TRACE_WORDS, TraceLog

__all__ = [
    "FIRST_RUN",
    "KEPT",
    "LEDGER_CAPACITY",
    "LOG_WORDS",
    "Layout",
    "LayoutFactory",
    "PLACE_OF_ZIP",
    "WORDS_OF_ZIP",
    "decides",
]

WORD: Final = 8  # bytes
LOG_WORDS: Final = 1056  # of which 32 say how far either side is
LEDGER_CAPACITY: Final = 256

# What is noted with a saved state: run, finished, given, dues, place, size, checksum; behind that
# the positions of the inputs.
SAVED: Final = 7

# What a node notes at a barrier: its number, the place, size and checksum of its state, its counts,
# its clock in nanoseconds; behind that the positions of its inputs, be it that within a shared
# worker nobody else reads them, and of each of its zips its tuples, what it could not pair, and the
# place, size and checksum of what it has set aside.
KEPT: Final = 5 + COUNTS
WORDS_OF_ZIP: Final = 5
PLACE_OF_ZIP: Final = 2  # among these

FIRST_RUN: Final = 1  # of workers: it may begin with what others knew at a barrier


class Layout:
    """Which part of the memory is whose; every process works out the same."""

    def __init__(self, topology: Topology) -> None:
        self.at = PIPELINE_WORDS * WORD
        self.topology = topology
        specs = topology.nodes
        self.nodes = [self.take(NODE_WORDS) for _ in specs]
        self.forks = {
            fork.name: self.take(FORK_WORDS)
            for spec in specs
            for fork in adaptive_forks(spec.route)
        }
        self.words_of_notes = [words_of_notes(spec.inputs) or 1 for spec in specs]
        self.first_notes = [self.take(words) for words in self.words_of_notes]
        self.zips = {
            source.name: (self.first_notes[spec.index] + first * WORD, words)
            for spec in specs
            for source, first, words in notes_of(spec.inputs)
            if isinstance(source, ZipInput)
        }
        self.words_of_starts = [1 + (len(spec.inputs) or 1) for spec in specs]
        self.starts = [self.take(words) for words in self.words_of_starts]
        self.words_of_states = [Note.words_for(SAVED + len(spec.inputs)) for spec in specs]
        self.states = [self.take(words) for words in self.words_of_states]
        self.windows = {
            spec.index: (words, self.take(words))
            for spec in specs
            if spec.concurrency is not None
            for words in [words_of_window(self.capacity_before(spec))]
        }
        self.words_of_kept = [words_of_kept(spec) for spec in specs]
        self.kept = [self.take(words) for words in self.words_of_kept]
        self.logs = {spec.index: self.take(LOG_WORDS) for spec in specs if decides(spec)}
        self.log_buffers = [self.take(LOG_BUFFER_WORDS) for _ in specs]
        self.trace_logs = [self.take(TRACE_WORDS) for _ in specs]
        counted = channels_that_count(topology)
        rings = [
            (each.capacity, reserve_for(each.capacity) if each.index in counted else 0)
            for each in topology.channels
        ]
        self.rings: list[tuple[int, int, int]] = []
        for capacity, reserve in [*rings, *[(LEDGER_CAPACITY, 0)] * len(specs)]:
            self.at = -(-self.at // PAGE) * PAGE
            self.rings.append((self.at, capacity, reserve))
            self.at += Ring.bytes_for(capacity, reserve)
        self.size = -(-self.at // PAGE) * PAGE
        self.regions = 5 * len(specs) + 1 + len(self.zips)
        self.channels = len(topology.channels)

    def capacity_before(self, spec: NodeSpec) -> int:
        """How many items the channels that a node reads hold, the least of them."""
        return min(self.topology.channels[c].capacity for c in channels_of(spec.inputs))

    def window(self, memory: Memory, node: int) -> memoryview[int]:
        """The words in which a node with several items in hand notes which are finished."""
        words, at = self.windows[node]
        return self.words(memory, at, words)

    def take(self, words: int) -> int:
        at = self.at
        self.at += words * WORD
        return at

    def words(self, memory: Memory, at: int, words: int) -> memoryview[int]:
        return memory.view[at : at + words * WORD].cast("Q")

    def control_block(self, memory: Memory) -> ControlBlock:
        return ControlBlock(
            self.words(memory, 0, PIPELINE_WORDS),
            {name: self.words(memory, at, FORK_WORDS) for name, at in self.forks.items()},
            {name: self.zip(memory, name) for name in self.zips},
        )

    def node(self, memory: Memory, node: int) -> memoryview[int]:
        return self.words(memory, self.nodes[node], NODE_WORDS)

    def notes(self, memory: Memory, node: int) -> memoryview[int]:
        """The words in which a node notes how far it has read from several channels at once."""
        return self.words(memory, self.first_notes[node], self.words_of_notes[node])

    def start(self, memory: Memory, node: int) -> memoryview[int]:
        """The words in which a node notes where each of its inputs stood when the run began, and
        behind these how its clock stood."""
        return self.words(memory, self.starts[node], self.words_of_starts[node])

    def state(self, memory: Memory, node: int) -> memoryview[int]:
        """The words of what goes with the state of a processor."""
        return self.words(memory, self.states[node], self.words_of_states[node])

    def kept_at(self, memory: Memory, node: int) -> memoryview[int]:
        """The words of what a node knew at the newest barrier."""
        return self.words(memory, self.kept[node], self.words_of_kept[node])

    def zip(self, memory: Memory, name: str) -> memoryview[int]:
        """The words of the note of a zip."""
        return self.words(memory, *self.zips[name])

    def log(self, memory: Memory, node: int) -> memoryview[int]:
        """The words in which a node that decides notes what."""
        return self.words(memory, self.logs[node], LOG_WORDS)

    def ring(self, memory: Memory, channel: int) -> Ring:
        return ring_of(memory, *self.rings[channel])

    def ledger(self, memory: Memory, node: int) -> Ring:
        """The lane from a worker to the parent: failures and dead letters."""
        return ring_of(memory, *self.rings[self.channels + node])

    def spill_base(self, node: int) -> int:
        """Where the large records of a node begin, in a region of their own; as those of its
        ledger, and its states, do."""
        return self.size + node * REGION

    def ledger_base(self, node: int) -> int:
        return self.spill_base(len(self.nodes) + node)

    def state_base(self, node: int) -> int:
        return self.spill_base(2 * len(self.nodes) + node)

    def log_buffer(self, memory: Memory, node: int) -> LogBuffer:
        """The records that the jobs of a worker have logged."""
        words = self.words(memory, self.log_buffers[node], LOG_BUFFER_WORDS)
        return LogBuffer(words, memory, self.spill_base(3 * len(self.nodes) + node))

    @property
    def levels_base(self) -> int:
        """Where the program says which levels its loggers have."""
        return self.spill_base(5 * len(self.nodes))

    def zip_base(self, name: str) -> int:
        """Where a zip keeps what it sets aside."""
        return self.spill_base(5 * len(self.nodes) + 1 + [*self.zips].index(name))

    def trace_log(self, memory: Memory, node: int) -> TraceLog:
        """What a worker notes of a run that is traced."""
        words = self.words(memory, self.trace_logs[node], TRACE_WORDS)
        return TraceLog(words, memory, self.spill_base(4 * len(self.nodes) + node))


LayoutFactory: TypeAlias = Callable[[Topology], Layout]
"""How a worker finds its memory: `Layout`, unless a test has put something else in its place."""


def words_of_kept(spec: NodeSpec) -> int:
    """How many words the note takes of what a node knew at a barrier."""
    zips = WORDS_OF_ZIP * len(zips_of(spec.inputs))
    return Note.words_for(KEPT + (len(spec.inputs) or 1) + zips)


def decides(spec: NodeSpec) -> bool:
    """Is there a first-come join before a worker, a timer in it, a balancing fork behind it, or are
    there several items in hand of which one is done next, or has no more time?"""
    works = spec.kind not in (Kind.SOURCE, Kind.SINK)
    side_by_side = spec.concurrency is not None
    return works and (len(spec.inputs) > 1 or balances(spec.route) or spec.is_woken or side_by_side)
