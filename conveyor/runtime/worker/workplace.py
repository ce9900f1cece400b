"""What a worker has from its start to its end: its node, channels, control blocks and jobs.

This file knows where each of these comes from.  It must never know what a run is made of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import monotonic_ns
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Final

from conveyor.core.channel import Note
from conveyor.core.crashes import History
from conveyor.core.failures import INITIALIZER, LOADING, SETUP, TEARDOWN
from conveyor.core.snapshots import state_of
from conveyor.items.current_item import CURRENT
from conveyor.items.stage_pickling import unpack_fork, unpack_stage
from conveyor.items.unpickling import complete
from conveyor.runtime.process.bootstrap import Descriptors
from conveyor.runtime.process.circumstances import flush
from conveyor.runtime.process.importing import loading
from conveyor.runtime.process.program_logging import keep_handler, leave_logging_to_program
from conveyor.runtime.shm.control_block import NodeBlock
from conveyor.runtime.shm.endpoints import ring_ends
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.state_store import StateStore
from conveyor.runtime.shm.wakeup import Wakeup
from conveyor.runtime.step.spin import Spin
from conveyor.runtime.worker.link import ParentLink
from conveyor.runtime.worker.order import Order
from conveyor.stages import AnySelectingFork, Job, Restorable, completed, is_async

if TYPE_CHECKING:
    from conveyor.runtime.worker.crew import Crew, EventLoop

__all__ = ["Jobs", "Workplace"]

SPIN_NS: Final = 150_000
WRAP: Final = 1 << 64  # words are unsigned: what is below 0 counts from here


class Jobs:
    """The stages of a worker: unpickled, set up, restored, torn down; and the fork behind them, if
    it has a function.

    `parts` are the nodes of the stages and their names; `part` and `step` say at which of them
    something was raised.
    """

    def __init__(
        self,
        pickled: Sequence[bytes],
        pickled_fork: bytes | None,
        parts: Mapping[int, str],
        store_for: Callable[[Restorable], StateStore],
        awaits: Callable[[Awaitable[object]], object],
    ) -> None:
        self.pickled = pickled
        self.initializers: list[Callable[[], object]] = []  # one, as each stage knows it
        self.pickled_fork = pickled_fork
        self.parts = list(parts)
        self.names = parts
        self.store_for = store_for
        self.awaits = awaits
        self.stages: list[Job[object, object]] = []
        self.fork: AnySelectingFork | None = None
        self.states: StateStore | None = None
        self.at(self.parts[0], LOADING)

    def at(self, part: int, step: str) -> None:
        """Goes on with another stage, or another step."""
        self.part, self.step = part, step
        CURRENT.outside(self.names[part])

    def set_up(self) -> None:
        """Makes the stages ready for their first item; raises whatever they raise."""
        for part, data in zip(self.parts, self.pickled, strict=False):
            self.at(part, LOADING)
            with loading():
                stage, initializer = unpack_stage(data)
            self.stages.append(stage)
            self.initializers += [initializer] if initializer is not None else []
        with loading():
            if self.pickled_fork is not None:
                self.fork = unpack_fork(self.pickled_fork)
            complete()  # only now: what the jobs themselves bring is theirs
        leave_logging_to_program()  # whose handlers modules make anew when they are imported here
        self.initialize()
        keep_handler()
        for part, stage in zip(self.parts, self.stages, strict=False):
            self.at(part, SETUP)
            completed(stage.setup(), self.awaits)
            if (state := state_of(stage)) is not None:
                self.step = "restore()"
                self.states = self.store_for(state)
                self.states.restore()

    def initialize(self) -> None:
        """Calls the initializer, once; each of the stages sees what it has bound in the script."""
        if not self.initializers:
            return
        self.at(self.parts[0], INITIALIZER)
        first, *others = map(globals_of, self.initializers)
        before = dict(first)
        self.initializers[0]()
        bound = {
            name: value for name, value in first.items() if before.get(name, before) is not value
        }
        for names in others:
            names.update(bound)

    def tear_down(self) -> None:
        """Lets the stages give back what they hold; raises whatever they raise."""
        for part, stage in zip(self.parts, self.stages, strict=False):
            self.at(part, TEARDOWN)
            completed(stage.teardown(), self.awaits)
        flush()


def globals_of(fn: object) -> dict[str, object]:
    """The globals that a call of it binds: of a function, or of the method that makes it
    callable."""
    while isinstance(fn, partial):
        fn = fn.func
    if not isinstance(fn, FunctionType | MethodType):
        fn = vars(type(fn)).get("__call__")
    names: dict[str, object] = getattr(fn, "__globals__", {})
    return names


class Workplace:
    """All that one run of a worker has in common with the next.

    `parts` are the nodes whose jobs the worker runs, `blocks` their control blocks; both begin with
    the node that has the worker's name.
    """

    def __init__(self, order: Order, descriptors: Descriptors) -> None:
        topology, node = order.topology, order.node
        layout = order.layout(topology)
        memory = Memory(descriptors[order.memory], order.size)
        wakeups = {
            each: Wakeup(descriptors[read], descriptors[write])
            for each, (read, write) in order.wakeups.items()
        }
        self.order = order
        self.layout, self.memory = layout, memory
        self._crew: Crew | None = None
        self._event_loop: EventLoop | None = None
        self.spec = topology.nodes[node]
        self.parts = self.spec.parts or (node,)
        self.blocks = [NodeBlock(layout.node(memory, part)) for part in self.parts]
        self.block = self.blocks[0]
        self.link = ParentLink(node, layout, memory, wakeups)
        self.ends = ring_ends(
            topology,
            layout,
            memory,
            self.spec,
            lambda node: wakeups[node].notify,
            self.link.control.keeping,
        )
        for inlet in self.ends.inlets:
            inlet.passes_on = self.spec.passes_on
        self.kept = [Note(layout.kept_at(memory, part)) for part in self.parts]
        self.starts = layout.start(memory, node)
        self.has_zips = bool(layout.zips)
        side_by_side = self.spec.concurrency is not None
        self.histories = [History(deaths, side_by_side) for deaths in order.deaths]
        saved = Note(layout.state(memory, node))
        self.jobs = Jobs(
            order.stages,
            order.fork,
            {part: topology.nodes[part].name for part in self.parts},
            lambda state: StateStore(
                state, self.spec.name, memory, saved, layout.state_base(node), self.kept[0]
            ),
            self.awaits,
        )
        self.spin = Spin(SPIN_NS)

    def window(self) -> memoryview[int]:
        """The words in which is noted what is finished of several items in hand."""
        return self.layout.window(self.memory, self.order.node)

    def begins(self, source: int, position: int) -> None:
        """The run begins at this position of an input, which is below 0 where it goes on from a
        checkpoint, and the channel is new."""
        self.starts[source] = position % WRAP

    def since_start(self, source: int, position: int) -> int:
        """A position of an input, counted from where the run began."""
        return (position - self.starts[source]) % WRAP

    def sets_clock(self, clock_ns: int) -> None:
        """The run begins when its clock is at this; that of the machine may be another than when it
        was killed."""
        self.starts[-1] = (clock_ns - monotonic_ns()) % WRAP

    @property
    def clock_ahead_ns(self) -> int:
        """How far the clock of the run is ahead of the machine's; 0 if it is that."""
        ahead = self.starts[-1]
        return ahead - WRAP if ahead >= WRAP // 2 else ahead

    def clock_ns(self) -> int:
        """For how long the run has been under way, in all of its lives, where it is kept."""
        return monotonic_ns() + self.clock_ahead_ns

    def crew(self) -> Crew:
        """What works on several items at once, from the first of them to the worker's end."""
        if self._crew is None:
            from conveyor.runtime.worker.crew import Threads

            stage = self.jobs.stages[0]
            self._crew = (
                self.event_loop()
                if is_async(stage)
                else Threads(self.link, self.block, self.spec.concurrency or 1)
            )
        return self._crew

    def event_loop(self) -> EventLoop:
        """What async code of the stages runs in, from the first of it to the worker's end."""
        if self._event_loop is None:
            from conveyor.runtime.worker.crew import EventLoop

            self._event_loop = EventLoop(self.link, self.block)
        return self._event_loop

    def awaits(self, given: Awaitable[object]) -> object:
        """What comes of async code that belongs to no item."""
        return self.event_loop().run(given)

    def end_crew(self) -> None:
        """Ends what still works on items."""
        if self._crew is not None:
            self._crew.cancel()

    def close_loop(self) -> None:
        """Ends all that is left of async code."""
        if self._event_loop is not None:
            self._event_loop.close()

    def is_successor(self, run: int) -> bool:
        """Was this worker started into a run, in which others may have died before it?"""
        return run == self.order.run
