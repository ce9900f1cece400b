"""What the workers of these machines do, in two runs one behind the other, and what must be true on
each machine whenever it has stored something of another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from random import Random
from typing import Any, cast

from conveyor.core.barriers import Barriers, GatedInlet
from conveyor.core.channel import Note, Tag
from conveyor.core.journal import PAGE_SIZE
from conveyor.items.sealing import seal
from conveyor.items.slices import opened, uniform
from conveyor.runtime.mirror.mirror import PROGRAM
from conveyor.runtime.shm import decision_log, log_buffer
from conveyor.runtime.shm.allocator import Allocator
from conveyor.runtime.shm.control_block import (
    ATTENTION,
    COUNTS,
    DONE,
    GUIDED,
    ITEM_SINCE,
    LEVELS,
    LEVELS_SIZE,
    LOGGED,
    PIPELINE_WORDS,
    RECORDING,
    RUN,
    SOFT_LIMITS_LIFTED,
)
from conveyor.runtime.shm.decision_log import COUNT, DecisionLog
from conveyor.runtime.shm.inlet import RingInlet
from conveyor.runtime.shm.layout import LOG_WORDS
from conveyor.runtime.shm.log_buffer import LOG_BUFFER_WORDS, LogBuffer
from conveyor.runtime.shm.outlet import RingOutlet
from conveyor.runtime.shm.ring import (
    CLOSED,
    CONSUMER_SLEEPS,
    HEAD,
    HEAD_BYTES,
    PRODUCER_SLEEPS,
    TAIL,
    Ring,
    RingState,
)
from tests.runtime.mirror.machines import (
    MADE,
    SINK,
    SLEEPS,
    SOURCE,
    A,
    B,
    Bytes,
    Machine,
    Pen,
    Steps,
    Words,
    World,
)

__all__ = ["Line"]

RUNS = 2


def item_of(number: int, sizes: Sequence[int]) -> list[Any]:
    size = sizes[number % len(sizes)]
    return [number, bytearray([number % 256]) * size]


def order(run: int) -> dict[int, int]:
    """What the program says to all workers before a run."""
    return {GUIDED: 10 * run, RECORDING: 20 * run, LEVELS_SIZE: 4 + run, LEVELS: run}


def page(run: int, done: int) -> list[int]:
    return [run, *(done * factor for factor in range(1, PAGE_SIZE))]


def words_of(machine: Machine, at: int, n: int) -> memoryview[int]:
    return machine.memory.view[at : at + n * 8].cast("Q")


class Line(World):
    """So many items a run; `b_at`: on which machine the second job is, `size`: of all items; they
    are drawn otherwise.  `every`: behind so many items goes a barrier, but one at a time; nothing
    goes behind the first, the third and so on before they have come through.  The
    rest is as of a `World`."""

    def __init__(
        self,
        seed: int,
        n_items: int = 8,
        b_at: int | None = None,
        size: int | None = None,
        every: int = 0,
        capacity: int = 4,
        bursts: bool = False,
    ) -> None:
        super().__init__(seed, b_at, capacity, bursts)
        self.barrier_every = every
        self.sent = self.came = 0  # barriers
        self.barrier_at = 0  # items before the newest
        self.n_items = n_items
        random: Random = self.random
        self.sizes = (
            [size]
            if size
            else random.choice([[0], [0, 3000], [4000], [40_000, 9], [6_000, 40_000]])
        )
        self.is_quiet = random.random() < 0.4  # jobs report nothing, and log nothing
        self.every = random.choice([1, 3])  # of which item a job reports something
        self.ends = [(SOURCE, A), (A, B), (B, SINK)]
        self.results: list[list[int]] = []
        self.letters: list[list[int]] = []
        self.decisions: list[list[int]] = []
        self.logged: list[bytes] = []
        self.over = 0
        program = self.machines[PROGRAM]
        self.add(program, SOURCE, self.source)
        self.add(program, SINK, self.sink)
        for node in (A, B):
            self.add(self.machines[self.homes[node]], node, self.job)
        for machine in self.machines:
            machine.checks.append(partial(self.check_rings, machine))
        program.checks.append(self.check_program)
        self.tail = 0  # of the channel between the jobs, as the program knows it

    def add(self, machine: Machine, node: int, steps: Any) -> None:
        pen = Pen()
        machine.add(node, lambda worker: steps(machine, node, worker.pen), pen)

    # -------------------------------------------------------------------------- ends of channels

    def ring(self, machine: Machine, channel: int, pen: Pen | None = None) -> Ring:
        offset, capacity, reserve = self.layout.rings[channel]
        ring = Ring(machine.memory, offset, capacity, reserve)
        if pen is not None:
            ring.words = cast("Any", Words(ring.words, pen))
        return ring

    def outlet(self, machine: Machine, channel: int, pen: Pen, to: int, base: int) -> RingOutlet:
        call = pen.then(lambda: machine.call(to))
        outlet = RingOutlet(self.ring(machine, channel, pen), call, Allocator(machine.memory, base))
        outlet.data = cast("Any", Bytes(outlet.data, pen))
        return outlet

    def lane(self, machine: Machine, node: int, pen: Pen) -> RingOutlet:
        return self.outlet(machine, node, pen, node + 1, self.layout.spill_base(node))

    def inlet(self, machine: Machine, node: int, pen: Pen) -> RingInlet:
        """Reads the records themselves from memory, where nobody else writes before it commits."""
        call = pen.then(lambda: machine.call(node - 1))
        inlet = RingInlet(self.ring(machine, node - 1, pen), call)
        return inlet

    def send(self, outlet: RingOutlet, items: list[object], tag: Tag) -> Steps:
        slice_ = uniform([seal(item) for item in items])
        blob = outlet.pack(slice_)
        while not outlet.fits(len(items), blob):
            outlet.sleeps(1)
            yield MADE
            outlet.knock()
            if not outlet.fits(len(items), blob):
                yield SLEEPS
        outlet.sleeps(0)
        yield from self.fenced(outlet, lambda: outlet.publish(len(items), blob, tag))

    def fenced(self, end: RingInlet | RingOutlet, moves: Callable[[], None]) -> Steps:
        """One end of a channel moves on.  Whether the other is to be called it looks behind its
        fence, so here once its stores are made: what it has seen before that does not count."""
        wake, end.wake = end.wake, lambda: None
        moves()
        end.wake = wake
        yield MADE
        if isinstance(end, RingInlet):
            at, position = end.head, end.words[PRODUCER_SLEEPS]
        else:
            at, position = end.tail, end.words[CONSUMER_SLEEPS]
        if position and at >= position:
            end.wake()

    def barriers(self, inlet: RingInlet, outlets: list[RingOutlet]) -> Barriers:
        """Those of a node, which must come where the source has put them."""

        def keep(number: int) -> None:
            assert (number, inlet.head) == (self.sent, self.barrier_at), "a barrier is elsewhere"

        return Barriers([GatedInlet(inlet)], outlets, keep)

    def await_items(self, inlet: RingInlet, gate: GatedInlet, gather: int) -> Steps:
        while not (gate.pending() or gate.ended()):
            inlet.sleeps(inlet.head + gather)
            yield MADE
            if not (gate.pending() or gate.ended()):
                yield SLEEPS
        inlet.sleeps(0)

    def taken(self, inlet: GatedInlet, n: int, first: int) -> list[int]:
        """The numbers of the next items, which must be as they were given."""
        items: list[Any] = list(opened(inlet.peek(n)))
        for number, item in enumerate(items, first):
            assert item[0] == number, f"item {item[0]} in place of {number}"
            assert [item[0], bytearray(item[1])] == item_of(number, self.sizes), (
                "changed on its way"
            )
        return [item[0] for item in items]

    # ------------------------------------------------------------------------------- in the program

    def source(self, machine: Machine, node: int, pen: Pen) -> Steps:
        control = pen.words(machine.memory, 0, PIPELINE_WORDS)
        outlet = self.lane(machine, node, pen)
        number = 0
        for run in range(1, RUNS + 1):
            machine.memory.write_at(self.layout.levels_base, bytes([run]) * (4 + run))
            for word, value in order(run).items():
                control[word] = value
            control[RUN] = run
            pen.then(lambda: self.all_are_called(machine))()
            yield MADE
            while number < run * self.n_items:
                n = min(self.random.randint(1, 3), run * self.n_items - number)
                items: list[object] = [
                    item_of(each, self.sizes) for each in range(number, number + n)
                ]
                number += n
                yield from self.send(outlet, items, Tag(run, number, 0, number, 0, 1))
                since = number - self.barrier_at
                if self.came == self.sent and 0 < self.barrier_every <= since:
                    self.sent, self.barrier_at = self.sent + 1, number
                    outlet.set_barrier(self.sent)
                    yield MADE
                    while self.sent % 2 and self.came < self.sent:  # some come alone
                        yield SLEEPS
            outlet.close(run)
            limits = pen.words(machine.memory, self.layout.nodes[A], 64)
            limits[SOFT_LIMITS_LIFTED] = 1
            pen.then(machine.stir)()
            while self.over < run:
                yield SLEEPS

    def all_are_called(self, machine: Machine) -> None:
        for node in (A, B):
            machine.mirror.calls.setdefault(self.homes[node], set()).add(node)
        machine.stir()

    def sink(self, machine: Machine, node: int, pen: Pen) -> Steps:
        inlet = self.inlet(machine, node, pen)
        control = words_of(machine, 0, PIPELINE_WORDS)
        done = {each: words_of(machine, self.layout.nodes[each], 64) for each in (A, B)}
        ledgers = {
            each: RingInlet(
                self.ring(machine, 3 + each, pen), pen.then(partial(machine.call, each))
            )
            for each in (A, B)
        }
        log = DecisionLog(words_of(machine, self.layout.logs[A], LOG_WORDS))
        buffer = LogBuffer(
            words_of(machine, self.layout.log_buffers[A], LOG_BUFFER_WORDS),
            machine.memory,
            self.layout.log_buffer(machine.memory, A).base,
        )
        number = 0
        barriers = self.barriers(inlet, [])
        (gate,) = barriers.gates
        for run in range(1, RUNS + 1):
            results = list[int]()
            letters = list[int]()
            decisions = list[int]()
            inlet.start(run)
            gather = self.random.choice([1, 3, 6])
            is_over = False
            while True:
                numbers = self.taken(gate, self.random.randint(1, 4), number)
                if numbers:
                    number += len(numbers)
                    results += numbers
                    yield from self.fenced(inlet, partial(inlet.commit, number))
                if gate.is_at_barrier and barriers.pass_on():
                    self.came = gate.passed
                    machine.wake(SOURCE)
                    numbers = numbers or [number]  # there may be more behind it
                control[ATTENTION] = control[LOGGED] = 0
                yield MADE
                for ledger in ledgers.values():
                    for letter in opened(ledger.peek(100)):
                        letters.append(cast("list[int]", letter)[0])
                        yield from self.fenced(ledger, partial(ledger.commit, ledger.position(1)))
                taken = log.take(machine.stir)
                decisions += [word & COUNT for word in taken]
                if taken:
                    pen.then(machine.stir)()
                while entries := buffer.take(5):
                    self.logged += entries
                    pen.then(machine.stir)()
                yield MADE
                if is_over:
                    break
                is_over = inlet.ended() and all(each[DONE] == run for each in done.values())
                if is_over or numbers:
                    continue
                inlet.sleeps(inlet.head + gather)
                yield MADE
                if not (inlet.pending() or gate.is_at_barrier) and not (
                    inlet.ended() and all(each[DONE] == run for each in done.values())
                ):
                    yield SLEEPS
                inlet.sleeps(0)
            self.results.append(results)
            self.letters.append(letters)
            self.decisions.append(decisions)
            for each in (A, B):
                counts = Note(
                    words_of(machine, self.layout.nodes[each], 64)[COUNTS:][: 2 * PAGE_SIZE + 1]
                )
                assert counts.newest() == page(run, run * self.n_items), "counts are behind"
            self.over = run
            machine.wake(SOURCE)
            yield MADE

    # ------------------------------------------------------------------------------------- the jobs

    def job(self, machine: Machine, node: int, pen: Pen) -> Steps:
        layout, memory = self.layout, machine.memory
        control = pen.words(memory, 0, PIPELINE_WORDS)
        block = pen.words(memory, layout.nodes[node], 64)
        counts = Note(pen.words(memory, layout.nodes[node] + COUNTS * 8, 2 * PAGE_SIZE + 1))
        inlet, outlet = self.inlet(machine, node, pen), self.lane(machine, node, pen)
        ledger = self.outlet(machine, 3 + node, pen, SINK, layout.ledger_base(node))
        log = pen.words(memory, layout.logs[A], LOG_WORDS)
        buffer = LogBuffer(
            cast("Any", pen.words(memory, layout.log_buffers[A], LOG_BUFFER_WORDS)),
            memory,
            layout.log_buffer(memory, A).base,
        )
        number = reports = 0
        barriers = self.barriers(inlet, [outlet])
        (gate,) = barriers.gates
        for run in range(1, RUNS + 1):
            while control[RUN] != run:
                yield SLEEPS
            assert {word: control[word] for word in order(run)} == order(run), "orders are behind"
            assert memory.read_at(layout.levels_base, 4 + run) == bytes([run]) * (4 + run)
            inlet.start(run)
            while True:
                yield from self.await_items(inlet, gate, 1)
                if gate.ended():
                    if barriers.pass_on():
                        yield MADE
                        continue
                    break
                numbers = self.taken(gate, self.random.randint(1, 3), number)
                block[ITEM_SINCE] = number + 1
                yield MADE
                for each in [] if self.is_quiet else numbers:
                    if each % self.every == 0:
                        reports += 1
                        yield from self.send(ledger, [[each]], Tag(run, reports, 0, 0, 0, 0))
                        control[ATTENTION] = 1
                        pen.then(lambda: machine.call(SINK))()
                    if node == A:
                        yield from self.decides(machine, log, each)
                        self.logs(machine, buffer, pen, each)
                number += len(numbers)
                counts.store(page(run, number))
                items: list[object] = [item_of(each, self.sizes) for each in numbers]
                yield from self.send(outlet, items, Tag(run, number, 0, number, 0, 1))
                yield from self.fenced(inlet, partial(inlet.commit, number))
                block[ITEM_SINCE] = 0
                yield MADE
            outlet.close(run)
            while node == A and not block.words[SOFT_LIMITS_LIFTED]:
                yield SLEEPS
            block[DONE] = run
            pen.then(lambda: machine.call(SINK))()
            yield MADE

    def decides(self, machine: Machine, words: Words, number: int) -> Steps:
        def is_full() -> bool:
            queued = words[decision_log.WRITTEN] - words.words[decision_log.TAKEN]
            return queued >= decision_log.ENTRIES

        while is_full():
            words[decision_log.WAITS] = 1
            self.calls_parent(machine, words.pen, ATTENTION)
            yield MADE
            if is_full():
                yield SLEEPS
        words[decision_log.WAITS] = 0
        wake = partial(self.calls_parent, machine, words.pen, ATTENTION)
        DecisionLog(cast("Any", words)).add(1, 1, number, wake, lambda: None)

    def logs(self, machine: Machine, buffer: LogBuffer, pen: Pen, number: int) -> None:
        buffer.is_reserved()
        buffer.bytes = cast("Any", Bytes(machine.memory.at(buffer.base, log_buffer.SIZE), pen))
        buffer.add(b"%d" % number * (1 + number % 5))
        self.calls_parent(machine, pen, LOGGED)

    def calls_parent(self, machine: Machine, pen: Pen, flag: int) -> None:
        pen.words(machine.memory, 0, PIPELINE_WORDS)[flag] = 1
        pen.then(lambda: machine.call(SINK))()

    # -------------------------------------------------------------------------- what must be true

    def check_rings(self, machine: Machine) -> None:
        """Whoever opens an end of a channel here now finds whole records, one behind another."""
        for channel, (producer, consumer) in enumerate(self.ends):
            if machine.me not in (self.homes[producer], self.homes[consumer]):
                continue
            ring = self.ring(machine, channel)
            at, item = ring.words[HEAD_BYTES], ring.words[HEAD]
            while (record := ring.next_record(at, item)) is not None:
                *_, first, count, at = record
                item = first + count
            if machine.me == self.homes[consumer] and ring.words[CLOSED]:
                assert item >= ring.words[CLOSED] * self.n_items, "the end is before its items"

    def check_program(self) -> None:
        """What the words beside the channels speak of is there."""
        machine = self.machines[PROGRAM]
        if not self.takes:
            self.check_far_channel(machine)
        for node in (A, B):
            block = words_of(machine, self.layout.nodes[node], 64)
            since = block[ITEM_SINCE]
            assert not since or 0 < since - 1000 * self.homes[node] <= RUNS * self.n_items
            run, done, *others = Note(block[COUNTS : COUNTS + 2 * PAGE_SIZE + 1]).newest()
            if run:
                assert [run, done, *others] == page(run, done), "counts of two moments"
            if finished := block[DONE]:
                n = finished * self.n_items
                assert (run, done) >= (finished, n), "done, and the counts are behind"
                reported = 0 if self.is_quiet else len(range(0, n, self.every))
                ledger = RingState(self.ring(machine, 3 + node))
                assert ledger.tail >= reported, "done, and a letter is missing"

        words = words_of(machine, self.layout.logs[A], LOG_WORDS)
        for at in range(words[decision_log.TAKEN], words[decision_log.WRITTEN]):
            entry = words[decision_log.FIRST + at % decision_log.ENTRIES]
            assert entry & 0xFFFF == at, "logged, and not there"

    def check_far_channel(self, machine: Machine) -> None:
        """Of a channel that has no end here; it may only be looked at while nothing is stored."""
        state = RingState(self.ring(machine, 1))
        assert state.queued >= 0, "given up before it was there"
        assert state.tail >= self.tail, "going back"
        self.tail = state.tail
        if state.tail:
            assert state.tag is not None
            assert state.tag.ordinal == state.tail
            assert state.tail >= state.ended * self.n_items

    def check_results(self) -> None:
        """At the end nothing is missing, and nothing is there twice."""
        for run in range(RUNS):
            numbers = [*range(run * self.n_items, (run + 1) * self.n_items)]
            assert self.results[run] == numbers
            if self.is_quiet:
                continue
            letters = [each for each in numbers if each % self.every == 0]
            assert sorted(self.letters[run]) == sorted(2 * letters)
            assert self.decisions[run] == numbers
        entries = [b"%d" % each * (1 + each % 5) for each in range(RUNS * self.n_items)]
        left = iter(entries)
        assert all(each in left for each in self.logged)
        dropped = words_of(self.machines[PROGRAM], self.layout.log_buffers[A], LOG_BUFFER_WORDS)[1]
        assert len(self.logged) + dropped == (0 if self.is_quiet else len(entries))

    def check_standing(self) -> None:
        """Once it is still, the program knows how the channel between the others stands."""
        here, there = (self.ring(self.machines[me], 1) for me in (PROGRAM, 1))
        for word in (TAIL, HEAD, HEAD_BYTES, CLOSED):
            assert here.words[word] == there.words[word]

    def play(self) -> None:
        """To the end; raises `AssertionError` or `RunError` if something is not as it must be."""
        with self.patched(), closing(self):
            self.run(lambda: self.over == RUNS)
            self.check_results()
            for _ in range(2):
                while self.step():
                    pass
                self.tick()
            self.check_standing()
