"""The words that workers and parent write for one another beside the channels.

Knows: where each word is, and which side writes it.  Must never know: what anybody does about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from conveyor.channel import ZipInlet
from conveyor.ends import words_of_notes
from conveyor.report import Tally
from conveyor.runtime.memory import Memory
from conveyor.runtime.ring import Ring
from conveyor.topology import Topology, adaptive_forks, zips_of

__all__ = ["Board", "Layout", "NodeBoard"]

WORD: Final = 8
PAGE: Final = 4096
LEDGER_CAPACITY: Final = 256
SPILL_RANGE: Final = 1 << 40  # of addresses, for each node; only what is written takes memory

# Words of the whole pipeline.
RUN, STOP, ALERT = 0, 1, 16  # the parent writes the first two, any worker sets the third
BOARD_WORDS: Final = 32

# Words of one node, all written by its worker.
DONE, BUSY, WAITING, BLOCKED, BATCHES = range(5)
TALLY: Final = 8
TALLY_NAMES: Final = tuple(field.name for field in fields(Tally))
NODE_WORDS: Final = 32

# Words of one adapting fork: how many lanes are open (the parent writes it), and wanted (the worker that forks does).
OPEN, WANTED = 0, 1
FORK_WORDS: Final = 16

# Words of one zip, written by whoever reads it: what it gave in this run, and what it could not pair.
TUPLES, LEFT_OVER = 0, 1
ZIP_WORDS: Final = 16


class Layout:
    """Which part of the memory is whose; every process works out the same."""

    def __init__(self, topology: Topology) -> None:
        at = BOARD_WORDS * WORD
        self.nodes = [at + index * NODE_WORDS * WORD for index in range(len(topology.nodes))]
        at += len(self.nodes) * NODE_WORDS * WORD
        forks = [name for spec in topology.nodes for name in adaptive_forks(spec.route)]
        self.forks = {name: at + index * FORK_WORDS * WORD for index, name in enumerate(forks)}
        at += len(self.forks) * FORK_WORDS * WORD
        zips = [name for spec in topology.nodes for name, _ in zips_of(spec.inputs)]
        self.zips = {name: at + index * ZIP_WORDS * WORD for index, name in enumerate(zips)}
        at += len(self.zips) * ZIP_WORDS * WORD
        self.words_of_notes = [words_of_notes(spec.inputs) or 1 for spec in topology.nodes]
        self.first_notes = [at + sum(self.words_of_notes[:index]) * WORD for index in range(len(topology.nodes))]
        at += sum(self.words_of_notes) * WORD
        capacities = [channel.capacity for channel in topology.channels] + [LEDGER_CAPACITY] * len(topology.nodes)
        self.rings: list[tuple[int, int]] = []
        for capacity in capacities:
            at = -(-at // PAGE) * PAGE
            self.rings.append((at, capacity))
            at += Ring.bytes_for(capacity)
        self.size = -(-at // PAGE) * PAGE
        self.channels = len(topology.channels)

    def ring(self, memory: Memory, channel: int) -> Ring:
        return Ring(memory, *self.rings[channel])

    def ledger(self, memory: Memory, node: int) -> Ring:
        """The lane from a worker to the parent: failures and dead letters."""
        return Ring(memory, *self.rings[self.channels + node])

    def notes(self, memory: Memory, node: int) -> memoryview[int]:
        """The words in which a node notes how far it has read from several channels at once."""
        at = self.first_notes[node]
        return memory.view[at : at + self.words_of_notes[node] * WORD].cast("Q")

    def spill_base(self, node: int) -> int:
        return self.size + (node + 1) * SPILL_RANGE


class Board:
    """The words of the whole pipeline, and of its adapting forks."""

    def __init__(self, memory: Memory, layout: Layout) -> None:
        self.words = memory.view[: BOARD_WORDS * WORD].cast("Q")
        self.forks = {name: memory.view[at : at + FORK_WORDS * WORD].cast("Q") for name, at in layout.forks.items()}
        self.zips = {name: memory.view[at : at + ZIP_WORDS * WORD].cast("Q") for name, at in layout.zips.items()}

    @property
    def run(self) -> int:
        return self.words[RUN]

    @run.setter
    def run(self, run: int) -> None:
        self.words[RUN] = run

    @property
    def stopping(self) -> bool:
        return self.words[STOP] != 0

    def stop(self) -> None:
        self.words[STOP] = 1

    def alert(self) -> None:
        """Tells the parent to read the ledgers."""
        self.words[ALERT] = 1

    def take_alert(self) -> bool:
        if self.words[ALERT]:
            self.words[ALERT] = 0
            return True
        return False

    def open_lanes(self, fork: str) -> int:
        return self.forks[fork][OPEN]

    def set_open_lanes(self, fork: str, lanes: int) -> None:
        self.forks[fork][OPEN] = lanes

    def wanted_lanes(self, fork: str) -> int:
        return self.forks[fork][WANTED]

    def want_lanes(self, fork: str, lanes: int) -> None:
        self.forks[fork][WANTED] = lanes

    def write_zips(self, zips: Mapping[str, ZipInlet]) -> None:
        for name, inlet in zips.items():
            self.zips[name][TUPLES], self.zips[name][LEFT_OVER] = inlet.tuples, inlet.left_over

    def read_zip(self, name: str) -> tuple[int, int]:
        """The tuples that a zip gave, and the items that it could not pair."""
        return self.zips[name][TUPLES], self.zips[name][LEFT_OVER]


class NodeBoard:
    """The words of one node."""

    def __init__(self, memory: Memory, layout: Layout, node: int) -> None:
        at = layout.nodes[node]
        self.words = memory.view[at : at + NODE_WORDS * WORD].cast("Q")

    @property
    def done(self) -> int:
        """The last run that the worker has finished."""
        return self.words[DONE]

    @done.setter
    def done(self, run: int) -> None:
        self.words[DONE] = run

    def write(self, tally: Tally) -> None:
        words = self.words
        words[TALLY] = tally.items_in
        words[TALLY + 1] = tally.items_out
        words[TALLY + 2] = tally.passed
        words[TALLY + 3] = tally.dropped
        words[TALLY + 4] = tally.skipped
        words[TALLY + 5] = tally.dead_lettered
        words[TALLY + 6] = tally.failed
        words[TALLY + 7] = tally.flushed

    def write_times(self, busy: int, waiting: int, blocked: int, batches: int) -> None:
        words = self.words
        words[BUSY], words[WAITING], words[BLOCKED], words[BATCHES] = busy, waiting, blocked, batches

    def tally(self) -> Tally:
        # Written from the first to the last: read the other way, what is counted out never exceeds what is counted in.
        last_first = [(name, self.words[TALLY + i]) for i, name in reversed(list(enumerate(TALLY_NAMES)))]
        return Tally(**dict(last_first))

    def times(self) -> tuple[int, int, int, int]:
        """Busy, waiting and blocked nanoseconds, and batches."""
        words = self.words
        return words[BUSY], words[WAITING], words[BLOCKED], words[BATCHES]

    def clear(self) -> None:
        for word in range(BUSY, NODE_WORDS):
            self.words[word] = 0
