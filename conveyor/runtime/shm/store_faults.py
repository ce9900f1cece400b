"""Workers that die at a chosen store: for tests of recovery.

Knows: which stores there are, by name.  Must never know: what they mean.

Nothing of this is in the way of a run without faults: a worker that was told of some looks at its memory through it.

    with planned(Fault("double", "head", 3)):      # the worker of stage "double" dies before the third store of a head
        Pipeline().add(Processor(double)).run(range(100))

The stores, by name: "tail" makes a record visible (one for each copy), "closed" an end, "head" commits items, "head bytes"
gives back their room behind that; "producer sleeps" and "consumer sleeps" are the flags of sides that wait; "begun" and "done"
say which run a worker has begun and finished; "hand" that it took a slice in hand, "running" whether its job is at work,
"counts" what it counted; "note" commits a zip or an ordered join, "state" a saved state.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple, SupportsIndex, cast, overload

from conveyor.core.endpoints import notes_of
from conveyor.graph.topology import Topology
from conveyor.runtime.shm import control_block, ring
from conveyor.runtime.shm.control_block import Layout
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.ring import Ring

__all__ = ["STORES", "Fault", "FaultyLayout", "faults_of", "planned"]

RING_STORES: Final[Mapping[int, str]] = {
    ring.TAIL: "tail",
    ring.CLOSED: "closed",
    ring.PRODUCER_SLEEPS: "producer sleeps",
    ring.HEAD: "head",
    ring.HEAD_BYTES: "head bytes",
    ring.CONSUMER_SLEEPS: "consumer sleeps",
}
NODE_STORES: Final[Mapping[int, str]] = {
    control_block.DONE: "done",
    control_block.BEGUN: "begun",
    control_block.HAND_END: "hand",
    control_block.RUNNING: "running",
    control_block.COUNTS: "counts",
}
STORES: Final = (*RING_STORES.values(), *NODE_STORES.values(), "note", "state")


class Fault(NamedTuple):
    """A worker of `stage` gets `signal` before, or `after`, it makes the `nth` store of this name
    in its life.

    `life` counts the workers that the stage had in this crew, from 1; 0: every one of them.  A
    worker that got SIGSTOP can be looked at, and killed, by its pid.
    """

    stage: str
    store: str
    nth: int = 1
    after: bool = False
    life: int = 1
    signal: int = signal.SIGKILL


_planned: list[Fault] = []


@contextmanager
def planned(*faults: Fault) -> Generator[None]:
    """The crews that are made inside have these faults."""
    unknown = [fault.store for fault in faults if fault.store not in STORES]
    if unknown:
        raise ValueError(f"no store is called {unknown[0]!r}; there are {', '.join(STORES)}")
    before = list(_planned)
    _planned.extend(faults)
    try:
        yield
    finally:
        _planned[:] = before


def faults_of(stage: str, life: int) -> tuple[Fault, ...]:
    """What is planned for one worker."""
    return tuple(fault for fault in _planned if fault.stage == stage and fault.life in (0, life))


class Executioner:
    """Counts the stores of one worker."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        self.counted: dict[str, int] = {}

    def store(self, name: str, words: memoryview[int], at: int, value: int) -> None:
        number = self.counted[name] = self.counted.get(name, 0) + 1
        for fault in self.faults:
            if (fault.store, fault.nth, fault.after) == (name, number, False):
                os.kill(os.getpid(), fault.signal)
        words[at] = value
        for fault in self.faults:
            if (fault.store, fault.nth, fault.after) == (name, number, True):
                os.kill(os.getpid(), fault.signal)


class FaultyWords:
    """Words some of whose stores have names."""

    def __init__(
        self, words: memoryview[int], names: Mapping[int, str], executioner: Executioner
    ) -> None:
        self.words = words
        self.names = names
        self.executioner = executioner

    def __len__(self) -> int:
        return len(self.words)

    @overload
    def __getitem__(self, at: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, at: slice, /) -> FaultyWords: ...
    def __getitem__(self, at: SupportsIndex | slice, /) -> int | FaultyWords:
        if not isinstance(at, slice):
            return self.words[at]
        first, _, _ = at.indices(len(self.words))
        names = {place - first: name for place, name in self.names.items() if place >= first}
        return FaultyWords(self.words[at], names, self.executioner)

    def __setitem__(self, at: int, value: int, /) -> None:
        name = self.names.get(at)
        if name is None:
            self.words[at] = value
        else:
            self.executioner.store(name, self.words, at, value)


class FaultyLayout(Layout):
    """Gives words that kill who writes them."""

    def __init__(self, topology: Topology, faults: tuple[Fault, ...]) -> None:
        super().__init__(topology)
        self.inputs = [spec.inputs for spec in topology.nodes]
        self.executioner = Executioner(faults)

    def faulty(self, words: memoryview[int], names: Mapping[int, str]) -> memoryview[int]:
        # Who reads and writes words does not look at their class, which is named for the checkers'
        # sake only.
        return cast("memoryview[int]", FaultyWords(words, names, self.executioner))

    def node(self, memory: Memory, node: int) -> memoryview[int]:
        return self.faulty(super().node(memory, node), NODE_STORES)

    def notes(self, memory: Memory, node: int) -> memoryview[int]:
        numbers = {first: "note" for _, first, _ in notes_of(self.inputs[node])}
        return self.faulty(super().notes(memory, node), numbers)

    def state(self, memory: Memory, node: int) -> memoryview[int]:
        return self.faulty(super().state(memory, node), {0: "state"})

    def ring(self, memory: Memory, channel: int) -> Ring:
        faulty = super().ring(memory, channel)
        faulty.words = self.faulty(faulty.words, RING_STORES)
        return faulty
