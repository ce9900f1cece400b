"""Three machines with one pipeline between them, in one thread: the real mirrors over real
memories, and whatever may happen between any two of their stores.

    source (0) --> a (1) --> b (2, or 1, too) --> sink (0)

A worker's stores wait in its `Pen` and are made one at a time: between them, in the middle of a
look that a mirror takes, and of what it stores of another's.  Letters arrive in order, however
late, and some of them twice.  Nobody looks who was not called, so a call that is missing leaves the
run standing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random
from typing import Final, TypeAlias, cast
from unittest.mock import patch

from conveyor import Pipe, Processor
from conveyor.runtime.mirror import boards, channels, mirror, news
from conveyor.runtime.mirror.channels import RingPlace
from conveyor.runtime.mirror.mirror import PROGRAM, Mirror
from conveyor.runtime.mirror.news import News, Store, stored
from conveyor.runtime.shm import decision_log, log_buffer
from conveyor.runtime.shm.layout import Layout
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.ring import Ring
from tests.core.world import compiled

__all__ = [
    "A",
    "B",
    "MADE",
    "SINK",
    "SOURCE",
    "SLEEPS",
    "Bytes",
    "Machine",
    "Pen",
    "Steps",
    "Words",
    "Worker",
    "World",
]

SOURCE, A, B, SINK = range(4)
HASTE: Final = (0.0, 0.0, 0.5, 0.95)  # how much happens in the middle of something else
BURSTS: Final = (0.0,) * 30 + (0.999,)  # the same where it is seldom something, and much then
SELDOM: Final = 0.01
ENDLESS: Final = 20_000  # steps; plays that are as they must be take some hundreds

MADE, SLEEPS = "once all stores are made", "once it was called"
Steps: TypeAlias = Iterator[str]
"""What a worker does, up to where it waits for one of these."""


class Pen:
    """The stores of one worker, made one after the other, as its processor would."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], None]] = deque()

    def words(self, memory: Memory, at: int, n: int) -> Words:
        return Words(memory.view[at : at + n * 8].cast("Q"), self)

    def then(self, act: Callable[[], None]) -> Callable[[], None]:
        """What is done behind all stores before it."""
        return lambda: self.waiting.append(act)


class Words:
    """A view of words; a worker sees its own stores before all others do."""

    def __init__(self, words: memoryview[int], pen: Pen) -> None:
        self.words = words
        self.pen = pen
        self.own: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, at: int) -> int:
        return self.own.get(at, self.words[at])

    def __setitem__(self, at: int, value: int) -> None:
        self.own[at] = value
        self.pen.waiting.append(partial(self.words.__setitem__, at, value))


class Bytes:
    """A view of bytes, stored in two halves."""

    def __init__(self, data: memoryview, pen: Pen) -> None:
        self.data = data
        self.pen = pen

    def __getitem__(self, part: slice) -> memoryview:
        return self.data[part]

    def __setitem__(self, part: slice, value: bytes) -> None:
        middle = part.start + len(value) // 2 if part.start is not None else len(value) // 2
        first = slice(part.start, middle)
        size = middle - (part.start or 0)
        for where, what in ((first, value[:size]), (slice(middle, part.stop), value[size:])):
            self.pen.waiting.append(partial(self.data.__setitem__, where, what))


class Worker:
    """The process of one node, or one thread of the program."""

    def __init__(self, steps: Callable[[Worker], Steps], pen: Pen) -> None:
        self.pen = pen
        self.called = False
        self.waits_for = MADE
        self.is_over = False
        self.steps = steps(self)

    def can_go(self) -> bool:
        return bool(self.pen.waiting) or not (
            self.is_over or (self.waits_for == SLEEPS and not self.called)
        )

    def go(self) -> None:
        """One store, or what comes up to the next."""
        if self.pen.waiting:
            self.pen.waiting.popleft()()
            return
        if self.waits_for == SLEEPS:
            self.called = False
        try:
            self.waits_for = next(self.steps)
        except StopIteration:
            self.is_over = True


class Torn:
    """A memory of which a copy is never taken at one moment."""

    def __init__(self, memory: Memory, during: Callable[[], None]) -> None:
        self.memory = memory
        self.during = during

    @property
    def view(self) -> Torn:
        return self

    def __getitem__(self, part: slice) -> bytes:
        middle = (part.start + part.stop) // 16 * 8
        first = bytes(self.memory.view[part.start : middle])
        self.during()
        return first + bytes(self.memory.view[middle : part.stop])


class OneByOne:
    """A view of words that are looked at one after the other."""

    def __init__(self, words: memoryview[int], during: Callable[[], None]) -> None:
        self.words = words
        self.during = during

    def __getitem__(self, at: int) -> int:
        self.during()
        return self.words[at]


class SlowRing:
    """A ring whose bytes are looked at while its ends go on."""

    def __init__(self, ring: Ring, during: Callable[[], None]) -> None:
        self.size, self.words, self.bytes = ring.size, ring.words, ring.data
        self.during = during

    @property
    def data(self) -> memoryview:
        self.during()
        return self.bytes


class Machine:
    """One of them; `checks` are made whenever it has stored something of another's."""

    def __init__(self, world: World, me: int) -> None:
        self.world = world
        self.me = me
        self.memory = Memory.create(world.layout.size, world.layout.regions)
        self.workers: dict[int, list[Worker]] = {}
        clock = 1000 * me
        self.mirror = Mirror(
            world.topology, world.layout, self.memory, world.homes, me, self.wake, clock
        )
        for board in self.mirror.boards:
            board.memory = cast("Memory", Torn(self.memory, self.during))
        for standing in self.mirror.standing:
            ring = cast("Ring", SlowRing(standing.place.ring, self.during))
            standing.place = RingPlace(standing.place.number, ring, standing.place.offset)
        for orders in self.mirror.orders.values():
            orders.words = cast("memoryview[int]", OneByOne(orders.words, self.during))
        self.rung: dict[int, set[int]] = {to: set() for to in self.mirror.others}
        self.stirred: set[int] = set()
        self.checks: list[Callable[[], None]] = []

    def add(self, node: int, steps: Callable[[Worker], Steps], pen: Pen) -> None:
        self.workers.setdefault(node, []).append(Worker(steps, pen))

    def wake(self, node: int) -> None:
        """The worker of a node is called, on this machine."""
        for worker in self.workers[node]:
            worker.called = True

    def call(self, node: int) -> None:
        """A worker of this machine calls another."""
        if self.world.homes[node] == self.me:
            self.wake(node)
        else:
            self.rung[self.world.homes[node]].add(node)
            self.stir()

    def stir(self) -> None:
        self.stirred = set(self.mirror.others)

    def able(self) -> list[Worker]:
        return [each for them in self.workers.values() for each in them if each.can_go()]

    def during(self) -> None:
        """Some stores of the workers here, in the middle of what the mirror does."""
        random = self.world.random
        haste = random.choice(self.world.haste)
        while random.random() < haste and (able := self.able()):
            random.choice(able).go()

    def check(self) -> None:
        for check in self.checks:
            check()

    def look(self, to: int, with_boards: bool) -> None:
        """What goes out next to another machine."""
        self.stirred.discard(to)
        rung, self.rung[to] = self.rung[to], set()
        news = self.mirror.news(to, rung, with_boards or self.mirror.is_urgent())
        if news:
            self.world.links[self.me, to].append(news)

    def take(self, news: News) -> None:
        self.mirror.take(news)
        self.stir()


class World:
    """All of them; each channel has room for `capacity` items.  With `bursts` jobs hardly do
    anything but in the middle of something else, and much of what has come for them then."""

    def __init__(
        self, seed: int, b_at: int | None = None, capacity: int = 4, bursts: bool = False
    ) -> None:
        self.random = Random(seed)
        self.bursts = bursts
        self.haste = BURSTS if bursts else HASTE
        pipe = Pipe(capacity)
        self.topology = compiled(
            [pipe],
            [Processor(abs, name="a", concurrency=2, ordered=False)],
            [pipe],
            [Processor(abs, name="b")],
            [pipe],
        )
        self.layout = Layout(self.topology)
        b_at = b_at or self.random.choice([1, 2, 2])
        self.homes = {SOURCE: PROGRAM, A: 1, B: b_at, SINK: PROGRAM}
        n = 1 + b_at
        self.links: dict[tuple[int, int], deque[News]] = {
            (one, other): deque() for one in range(n) for other in range(n) if one != other
        }
        self.machines = [Machine(self, me) for me in range(n)]
        self.now, self.takes = self.machines[PROGRAM], False

    @contextmanager
    def patched(self) -> Generator[None]:
        """In here each fence of a mirror is a moment in which the workers beside it go on, and what
        is sent at once, and how much is noted, is little."""
        at_once = self.random.choice([1, channels.AT_ONCE])
        with ExitStack() as patches:
            for module in (boards, channels, mirror, news):
                patches.enter_context(patch.object(module, "fence", self.between))
            patches.enter_context(patch.object(mirror, "stored", self.stored))
            patches.enter_context(patch.object(channels, "AT_ONCE", at_once))
            patches.enter_context(patch.object(decision_log, "ENTRIES", 4))
            patches.enter_context(patch.object(log_buffer, "SIZE", 64))
            yield

    def stored(self, memory: Memory, stores: Sequence[Store]) -> None:
        for each in stores:
            self.between()
            stored(memory, [each])

    def between(self) -> None:
        self.now.during()
        if self.takes:  # it is in the middle of that
            self.now.check()

    def step(self) -> bool:
        """One of all the things that may happen next; False: nothing may."""
        acts: list[Callable[[], None]] = []
        later: list[Callable[[], None]] = []
        for machine in self.machines:
            waits = machine.me != PROGRAM and self.bursts and self.random.random() > SELDOM
            (later if waits else acts).extend([each.go for each in machine.able()])
            acts += [partial(self.look, machine, to) for to in machine.stirred]
        acts += [partial(self.arrive, *link) for link, letters in self.links.items() if letters]
        acts = acts or later
        if acts:
            self.random.choice(acts)()
        return bool(acts)

    def look(self, machine: Machine, to: int) -> None:
        self.now, self.takes = machine, False
        machine.look(to, self.random.random() < 0.3)

    def arrive(self, sender: int, to: int) -> None:
        machine, letters = self.machines[to], self.links[sender, to]
        letter = letters[0] if self.random.random() < 0.1 else letters.popleft()
        self.now, self.takes = machine, True
        machine.take(letter)
        self.takes = False
        machine.check()

    def tick(self) -> None:
        """Time goes by: what is beside the channels is told, and nobody waits for."""
        for machine in self.machines[1:]:
            self.look(machine, PROGRAM)

    def run(self, is_over: Callable[[], bool]) -> None:
        """Until it is over; nobody may need the time to go by."""
        for _ in range(ENDLESS):
            if is_over():
                return
            assert self.step(), "everybody sleeps, and nobody is called"
        raise AssertionError("it never ends")

    def close(self) -> None:
        for machine in self.machines:
            machine.memory.close()
