"""What `channel` promises, tried on every channel there is, against a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from conveyor.items.atoms import is_atom
from conveyor.items.sealing import Sealed, seal
from conveyor.items.slices import opened, uniform
from tests.lines import LINES, RUN, Line, tag

Make = Callable[[int], Line]

# Atoms travel together, anything else alone; the longest do not fit into a ring, and lie beside it.
small = (
    st.integers()
    | st.text(max_size=5)
    | st.tuples(st.integers(), st.none())
    | st.lists(st.integers(), max_size=2)
)
long = st.builds(bytes.__mul__, st.binary(min_size=1, max_size=2), st.integers(500, 6000))
long_list = st.integers(500, 6000).map(lambda n: [n] * n)
slices = st.lists(small, min_size=1, max_size=6) | st.lists(
    small | long | long_list, min_size=1, max_size=3
)


def as_slice(items: list[Any]) -> list[object]:
    """The items as a node hands them over."""
    return uniform([item if is_atom(item) else seal(item) for item in items])


def seen(line: Line, n: int) -> list[object]:
    return list(opened(line.inlet.peek(n)))


@pytest.fixture(params=LINES)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes lines of one kind, and gives their memory back."""
    lines: list[Line] = []

    def make_line(capacity: int) -> Line:
        lines.append(LINES[request.param](capacity))
        lines[-1].inlet.start(RUN)
        return lines[-1]

    yield make_line
    for line in lines:
        line.close()


def publish(line: Line, ordinal: int, *items: object) -> None:
    line.outlet.publish(len(items), line.outlet.pack(as_slice(list(items))), tag(ordinal))


class Machine(RuleBasedStateMachine):
    """A channel beside a list, through whatever its two sides may do, and their deaths between two
    calls."""

    kind: str

    @initialize(capacity=st.integers(1, 12))
    def make(self, capacity: int) -> None:
        self.line = LINES[self.kind](capacity)
        self.capacity = capacity
        self.run = RUN
        self.line.inlet.start(self.run)
        self.queue: list[object] = []
        self.published = self.committed = 0
        self.newest: tuple[int, list[object]] | None = None
        self.ended = False

    def teardown(self) -> None:
        if hasattr(self, "line"):
            self.line.close()

    @precondition(lambda self: not self.ended)
    @rule(items=slices)
    def publish(self, items: list[object]) -> None:
        items = items[: self.capacity]
        outlet = self.line.outlet
        blob = outlet.pack(as_slice(items))
        fits = outlet.fits(len(items), blob)
        if len(self.queue) + len(items) > self.capacity:
            assert not fits
        elif not self.queue or (
            all(map(is_atom, items)) and max(len(repr(item)) for item in items) < 100
        ):
            # An empty channel has room for anything, and one of small items for its capacity.
            assert fits
        if fits:
            ordinal = self.newest[0] + 1 if self.newest else 1
            outlet.publish(len(items), blob, tag(ordinal))
            self.newest = ordinal, items
            self.published += len(items)
            self.queue += items

    @rule(n=st.integers(1, 12), done=st.floats(0, 1))
    def peek_and_commit(self, n: int, done: float) -> None:
        inlet = self.line.inlet
        slice_ = inlet.peek(n)
        assert len({type(item) is Sealed for item in slice_}) < 2
        items = list(opened(slice_))
        assert items == self.queue[: len(items)]
        assert bool(items) == bool(self.queue)
        assert len(items) <= n
        taken = int(done * len(items))
        assert inlet.position(taken) == self.committed + taken
        inlet.commit(inlet.position(taken))
        self.committed += taken
        del self.queue[:taken]

    @rule()
    def commit_again(self) -> None:
        self.line.inlet.commit(self.committed)

    @rule(done=st.floats(0, 1))
    def another_consumer(self, done: float) -> None:
        """It commits, without having read it, what the one before it had published the outputs
        of."""
        self.line.reopen_inlet()
        self.line.inlet.start(self.run)
        taken = int(done * len(self.queue))
        self.committed += taken
        self.line.inlet.commit(self.committed)
        del self.queue[:taken]

    @rule()
    def another_producer(self) -> None:
        self.line.reopen_outlet()

    @rule()
    def end(self) -> None:
        self.line.outlet.close(self.run)
        self.ended = True

    @precondition(lambda self: self.ended and not self.queue)
    @rule()
    def next_run(self) -> None:
        self.run += 1
        self.ended = False
        self.line.inlet.start(self.run)

    @invariant()
    def says_what_is_there(self) -> None:
        inlet, outlet = self.line.inlet, self.line.outlet
        assert inlet.pending() == bool(inlet.peek(1)) == bool(self.queue)
        assert inlet.ended() == (self.ended and not self.queue)
        assert outlet.queued() == len(self.queue) <= outlet.capacity
        assert (inlet.head, outlet.tail) == (self.committed, self.published)

    @invariant()
    def knows_the_newest_record(self) -> None:
        last = self.line.outlet.last_tag()
        if self.newest is None:
            assert last is None
            return
        ordinal, items = self.newest
        assert last is not None
        assert last == tag(ordinal)
        copies = LINES[self.kind](self.capacity)
        count, blob = self.line.outlet.last_blob()
        copies.outlet.publish(count, blob, last)
        assert seen(copies, count) == items[: len(seen(copies, count))]
        assert copies.outlet.queued() == count == len(items)
        copies.close()


class MemoryMachine(Machine):
    kind = "memory"


class RingMachine(Machine):
    kind = "ring"


for machine in (MemoryMachine, RingMachine):
    machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

TestMemoryChannel = MemoryMachine.TestCase
TestRing = RingMachine.TestCase


def test_a_new_channel_is_empty_and_has_no_tag(make: Make) -> None:
    line = make(1)

    assert line.outlet.last_tag() is None
    assert line.inlet.peek(5) == []
    assert not line.inlet.pending()
    assert not line.inlet.ended()


def test_the_end_is_read_behind_the_last_item_and_belongs_to_a_run(make: Make) -> None:
    line = make(4)
    publish(line, 1, 5)
    line.outlet.close(RUN)

    assert not line.inlet.ended()
    line.inlet.commit(1)
    assert line.inlet.ended()
    line.outlet.close(RUN)
    assert line.inlet.ended()
    line.inlet.start(RUN + 1)
    assert not line.inlet.ended()


def test_each_peek_gives_copies_of_what_can_change(make: Make) -> None:
    line = make(4)
    item = [1]
    publish(line, 1, item, 2)
    item.append(9)
    (one, *_), (other, *_) = seen(line, 2), seen(line, 2)

    assert one == other == [1]
    assert one is not other


@given(items=st.lists(small, min_size=1, max_size=8), capacity=st.integers(1, 8))
@pytest.mark.parametrize("kind", LINES)
def test_capacity_counts_items_however_they_are_put_into_records(
    kind: str, items: list[object], capacity: int
) -> None:
    line = LINES[kind](capacity)
    for ordinal, item in enumerate(items[:capacity], 1):
        blob = line.outlet.pack(as_slice([item]))
        assert line.outlet.fits(1, blob)
        line.outlet.publish(1, blob, tag(ordinal))

    more = line.outlet.pack([0])
    assert line.outlet.fits(1, more) == (len(items) < capacity)
    line.close()
