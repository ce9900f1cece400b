"""Fault injection for tests of recovery: workers that die at a chosen store.

    with planned(Fault("double", "head", 3)):  # its worker dies before the third store of a head
        Pipeline().add(Processor(double)).run(range(100))

The library knows nothing of this.  Inside of `planned`, a supervisor tells a worker that is to die
to find its memory by a `FaultyLayout`, whose words count the stores.

The stores, by name:

- "tail" makes a record visible (one for each copy), "closed" an end;
- "head" commits items, "head bytes" gives back their room behind that;
- "producer sleeps" and "consumer sleeps" are the flags of sides that wait;
- "begun" and "done" say which run a worker has begun and finished;
- "hand" says that it took a slice in hand, "running" which job is at work, "counts" what it
  counted;
- "note" commits a zip or an ordered join, "state" a saved state.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple, SupportsIndex, cast, overload
from unittest.mock import patch

from conveyor.core.endpoints import notes_of
from conveyor.graph.topology import Topology
from conveyor.runtime.parent.crew import Birth
from conveyor.runtime.parent.local_crew import LocalCrew
from conveyor.runtime.shm import control_block, ring
from conveyor.runtime.shm.layout import Layout, LayoutFactory
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.ring import Ring

__all__ = ["STORES", "Fault", "FaultInjector", "FaultyLayout", "FaultyWords", "planned"]

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

    `life` counts the workers that the stage had in this pipeline, from 1; 0: every one of them.  A
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
    """Workers that are started inside have these faults."""
    unknown = [fault.store for fault in faults if fault.store not in STORES]
    if unknown:
        raise ValueError(f"no store is called {unknown[0]!r}; there are {', '.join(STORES)}")
    before = list(_planned)
    _planned.extend(faults)
    try:
        with patch.object(LocalCrew, "worker_layout", worker_layout):
            yield
    finally:
        _planned[:] = before


def worker_layout(crew: LocalCrew, birth: Birth) -> LayoutFactory:
    """Takes the place of the method."""
    stage, lives = birth.spec.name, (0, birth.life)
    faults = tuple(each for each in _planned if each.stage == stage and each.life in lives)
    return partial(FaultyLayout, faults=faults) if faults else Layout


class FaultInjector:
    """Counts the stores of one worker, and sends it the signal at its turn."""

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
        self, words: memoryview[int], names: Mapping[int, str], injector: FaultInjector
    ) -> None:
        self.words = words
        self.names = names
        self.injector = injector

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
        return FaultyWords(self.words[at], names, self.injector)

    def __setitem__(self, at: int, value: int, /) -> None:
        name = self.names.get(at)
        if name is None:
            self.words[at] = value
        else:
            self.injector.store(name, self.words, at, value)


class FaultyLayout(Layout):
    """A layout whose words kill the worker that writes them."""

    def __init__(self, topology: Topology, faults: tuple[Fault, ...]) -> None:
        super().__init__(topology)
        self.inputs = [spec.inputs for spec in topology.nodes]
        self.injector = FaultInjector(faults)

    def faulty(self, words: memoryview[int], names: Mapping[int, str]) -> memoryview[int]:
        # Readers and writers of words only index them: the class is named for type checkers alone.
        return cast("memoryview[int]", FaultyWords(words, names, self.injector))

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
