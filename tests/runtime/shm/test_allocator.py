"""Where large things lie: no memory has two uses, and what is used again is what nobody can read
any more."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import pairwise
from mmap import mmap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from conveyor.core.channel import Tag
from conveyor.items.sealing import LARGE, Copied, Pickled, Sealed, seal
from conveyor.runtime.shm import allocator as module
from conveyor.runtime.shm.allocator import Allocator, Extent
from conveyor.runtime.shm.inlet import RingInlet
from conveyor.runtime.shm.memory import PAGE, WINDOW, Memory
from conveyor.runtime.shm.outlet import RingOutlet
from conveyor.runtime.shm.ring import Ring
from tests.helpers import PROVE

MEGABYTE = 1 << 20
CAPACITY = 64
MOST_BYTES = 9 * 6 * MEGABYTE
# What is put is written here and copied from here; it takes no memory before it is written to.
SCRATCH = memoryview(mmap(-1, MOST_BYTES))


@pytest.fixture
def memory() -> Iterator[Memory]:
    made = Memory.create(PAGE * 64, regions=2)
    yield made
    made.close()


def pattern(number: int, size: int) -> bytes:
    return number.to_bytes(4, "little") * (size // 4)


class OneProducer(RuleBasedStateMachine):
    """Extents are put, held, let go, published and committed in any order; a dictionary says what
    must be in them."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory.create(PAGE, regions=1)
        self.words = memoryview(bytearray(8 * 32)).cast("Q")
        self.allocator = Allocator(self.memory, PAGE)
        self.numbers = 0
        self.held: list[tuple[Extent, int]] = []
        self.unread: list[tuple[int, int, int, int]] = []  # offset, size, number, behind

    def teardown(self) -> None:
        self.held.clear()
        gc.collect()
        self.memory.close()

    @rule(pages=st.integers(1, 9), large=st.booleans())
    def put(self, pages: int, large: bool) -> None:
        size = pages * (6 * MEGABYTE if large else PAGE)
        self.numbers += 1
        if (
            sum(extent.size for extent, _ in self.held) + sum(u[1] for u in self.unread)
            < 512 * MEGABYTE
        ):
            mark = pattern(self.numbers, 8)
            SCRATCH[:8] = SCRATCH[size - 8 : size] = mark
            self.held.append((self.allocator.put(SCRATCH[:size]), self.numbers))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        del self.held[data.draw(st.integers(0, len(self.held) - 1))]

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        extent, number = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        behind = (self.unread[-1][3] if self.unread else self.words[16]) + 1
        self.allocator.add_reader(extent, self.words, behind)
        self.unread.append((extent.offset, extent.size, number, behind))

    @precondition(lambda self: self.unread)
    @rule()
    def commit(self) -> None:
        self.words[16] = self.unread.pop(0)[3]

    @invariant()
    def each_has_what_was_put_into_it(self) -> None:
        for offset, size, number, _ in [
            *self.unread,
            *((e.offset, e.size, n, 0) for e, n in self.held),
        ]:
            view = self.memory.at(offset, size)
            assert bytes(view[:8]) == pattern(number, 8)
            assert bytes(view[-8:]) == pattern(number, 8)

    @invariant()
    def no_two_overlap(self) -> None:
        ends = sorted(
            [(u[0], u[0] + u[1]) for u in self.unread]
            + [(e.offset, e.offset + e.size) for e, _ in self.held]
        )
        assert all(one[1] <= other[0] for one, other in pairwise(ends))

    @invariant()
    def room_is_given_exactly_while_the_bound_is_kept(self) -> None:
        waiting = sum(-(-size // PAGE) * PAGE for _, size, _, _ in self.unread)
        assert self.allocator.has_room(PAGE) == (waiting == 0 or waiting + PAGE <= module.BOUND)


OneProducer.TestCase.settings = settings(
    max_examples=100 if PROVE else 12, stateful_step_count=40, deadline=None
)
TestOneProducer = pytest.mark.slow(OneProducer.TestCase)


def test_what_is_read_at_once_always_lies_in_the_same_place(memory: Memory) -> None:
    allocator = Allocator(memory, memory.size)
    words = memoryview(bytearray(8 * 32)).cast("Q")
    places: set[int] = set()
    for number in range(1, 50):
        extent = allocator.put(bytes(8 * MEGABYTE))
        places.add(extent.offset)
        allocator.add_reader(extent, words, number)
        del extent
        words[16] = number

    assert len(places) == 1


def test_what_does_not_fit_beside_the_others_is_carried_along(memory: Memory) -> None:
    allocator = Allocator(memory, memory.size)
    held = [allocator.keep(memoryview(bytes(WINDOW // 2))) for _ in range(3)]

    assert [type(each) for each in held] == [Extent, Extent, Copied]


def ring(memory: Memory) -> Ring:
    return Ring(memory, 0, CAPACITY)


def arrays(inlet: RingInlet) -> list[bytes]:
    return [
        bytes(item.buffers[0].view) for item in inlet.peek(CAPACITY) if isinstance(item, Sealed)
    ]


def buffered(number: int) -> Sealed:
    return Pickled(b"", [Copied(pattern(number, LARGE))])


def silent() -> None:
    pass


@given(st.integers(1, 6), st.integers(0, 6))
@settings(deadline=None)
def test_a_producer_in_place_of_a_dead_one_leaves_what_is_unread_alone(
    published: int, read: int
) -> None:
    read = min(read, published)
    memory = Memory.create(PAGE * 64, regions=1)
    first = RingOutlet(ring(memory), silent, Allocator(memory, memory.size))
    for number in range(published):
        first.publish(1, first.pack([buffered(number)]), Tag(1, number + 1, 0, number + 1, 0, 1))
    inlet = RingInlet(ring(memory), silent)
    inlet.peek(CAPACITY)
    inlet.commit(read)

    second = RingOutlet(ring(memory), silent, Allocator(memory, memory.size))
    kept = [second.allocator.keep(memoryview(pattern(99, LARGE))) for _ in range(8)]

    assert len(kept) == 8
    assert arrays(RingInlet(ring(memory), silent)) == [
        pattern(number, LARGE) for number in range(read, published)
    ]
    memory.close()


def test_a_copy_for_another_lane_refers_to_the_same_memory(memory: Memory) -> None:
    allocator = Allocator(memory, memory.size)
    lanes = [Ring(memory, at * 32 * PAGE, CAPACITY) for at in (0, 1)]
    outlets = [RingOutlet(lane, silent, allocator) for lane in lanes]
    blob = outlets[0].pack([seal(bytearray(2 * MEGABYTE)), buffered(7)])
    outlets[0].publish(2, blob, Tag(1, 1, 0, 2, 0, 3))
    items, again = RingOutlet(lanes[0], silent, Allocator(memory, memory.size)).last_blob()
    outlets[1].publish(items, again, Tag(1, 1, 0, 2, 0, 3))

    one, other = (RingInlet(lane, silent).peek(2) for lane in lanes)
    assert [item.data for item in one if isinstance(item, Sealed)] == [
        item.data for item in other if isinstance(item, Sealed)
    ]
    assert [e.offset for e in again.kept] == [e.offset for e in blob.kept]
