"""A ring whose ends die between any two stores, and one whose bytes are changed by somebody
else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.errors import RunError
from conveyor.items.atoms import is_atom
from conveyor.items.sealing import seal
from conveyor.items.slices import opened, uniform
from conveyor.runtime.shm.allocator import Allocator
from conveyor.runtime.shm.inlet import RingInlet
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.outlet import RingOutlet
from conveyor.runtime.shm.ring import HEAD_BYTES, OVERHEAD, PAYLOAD_AT, TAIL, Ring
from tests.helpers import PROVE
from tests.lines import Killed, Life, RingLine, tag

pytestmark = pytest.mark.slow

Records = list[list[object]]

# ----------------------------------------------------------------- a death between every two stores


class Play:
    """A producer that has records to publish and a consumer that takes them, in turns; whoever dies
    is replaced.

    What each side knows of its work it reads from the ring: the producer from the newest tag, the
    consumer from the head.
    """

    def __init__(
        self, records: Records, capacity: int, seed: int, deaths: tuple[int, ...], both: bool
    ) -> None:
        self.records = records
        self.random = Random(seed)
        self.both = both
        self.life = Life(*deaths)
        self.died = 0
        self.line = RingLine(capacity, self.life)
        self.taken: dict[int, object] = {}

    def run(self) -> int:
        """Plays to the end; gives the number of places there were to die at."""
        items = [item for record in self.records for item in record]
        while len(self.taken) < len(items) or self.line.inlet.pending():
            self.turn(self.produce if self.random.random() < 0.5 else self.consume)
        assert [self.taken[position] for position in range(len(items))] == items
        self.line.close()
        return self.life.places

    def turn(self, act: Callable[[], None]) -> None:
        out, head = self.out(), self.line.inlet.head
        try:
            act()
        except Killed:
            self.died += 1
            self.replace(act)
            assert self.out() in (out, out + 1)
            assert self.line.inlet.head >= head
        self.check()

    def replace(self, dead: Callable[[], None]) -> None:
        """Another process takes the place of the dead one, and may die at once."""
        while True:
            try:
                if self.both or dead == self.produce:
                    self.line.reopen_outlet()
                if self.both or dead == self.consume:
                    self.line.reopen_inlet()
            except Killed:
                self.died += 1
            else:
                return

    def out(self) -> int:
        """How many records are out, by the newest tag."""
        last = self.line.outlet.last_tag()
        return 0 if last is None else last.ordinal

    def check(self) -> None:
        inlet, outlet = self.line.inlet, self.line.outlet
        out = self.out()
        assert outlet.last_tag() == (tag(out) if out else None)
        published = sum(map(len, self.records[:out]))
        assert (outlet.tail, outlet.queued()) == (published, published - inlet.head)
        assert inlet.pending() == bool(inlet.peek(1)) == (inlet.head < published)

    def produce(self) -> None:
        if self.out() == len(self.records):
            return
        record, outlet = self.records[self.out()], self.line.outlet
        blob = outlet.pack(uniform([item if is_atom(item) else seal(item) for item in record]))
        if outlet.fits(len(record), blob):
            outlet.publish(len(record), blob, tag(self.out() + 1))

    def consume(self) -> None:
        inlet = self.line.inlet
        items = list(opened(inlet.peek(self.random.randint(1, 8))))
        for position, item in enumerate(items, inlet.head):
            assert self.taken.setdefault(position, item) == item
        inlet.commit(inlet.position(self.random.randint(0, len(items))))


tiny = st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2)
# A ring of 16 KiB goes round after some of these; what is longer than 4 KiB lies beside it.
large = st.builds(bytes.__mul__, st.binary(min_size=1, max_size=1), st.integers(2000, 9000))
some_records = st.lists(
    st.lists(tiny, min_size=1, max_size=3) | st.lists(large, min_size=1, max_size=2),
    min_size=1,
    max_size=9,
)


@given(
    records=some_records, capacity=st.integers(3, 6), seed=st.integers(0, 99), both=st.booleans()
)
@settings(max_examples=50, deadline=None)
def test_a_death_at_any_store_loses_tears_and_repeats_nothing(
    records: Records, capacity: int, seed: int, both: bool
) -> None:
    for place in range(Play(records, capacity, seed, (), both).run()):
        play = Play(records, capacity, seed, (place,), both)
        play.run()
        assert play.died == 1


@given(
    records=some_records,
    capacity=st.integers(3, 6),
    seed=st.integers(0, 99),
    both=st.booleans(),
    data=st.data(),
)
@settings(max_examples=200, deadline=None)
def test_nor_do_many_deaths(
    records: Records, capacity: int, seed: int, both: bool, data: st.DataObject
) -> None:
    places = Play(records, capacity, seed, (), both).run()
    deaths = data.draw(st.sets(st.integers(0, 2 * places), min_size=1, max_size=20))
    Play(records, capacity, seed, tuple(deaths), both).run()


def test_a_producer_in_the_place_of_a_dead_one_spares_the_large_records_that_nobody_has_read() -> (
    None
):
    line = RingLine(10)
    line.outlet.publish(1, line.outlet.pack([b"a" * 9000]), tag(1))
    line.reopen_outlet()
    line.outlet.publish(1, line.outlet.pack([b"b" * 9000]), tag(2))

    assert line.inlet.peek(2) == [b"a" * 9000, b"b" * 9000]
    line.close()


# ----------------------------------------------------------------------------- bytes that are wrong


def places_of_records(line: RingLine) -> Iterator[int]:
    """Where the records are that are there, from the oldest."""
    ring = line.ring()
    at, tail = ring.words[HEAD_BYTES], ring.words[TAIL]
    while at < tail:
        if not int.from_bytes(ring.data[at % ring.size : at % ring.size + 8], "little"):
            at += ring.size - at % ring.size
        yield at % ring.size
        at += ring.header(at % ring.size)[0] + OVERHEAD + 7 & ~7


def gone_round(payload: int) -> tuple[RingLine, list[object]]:
    """A ring that is full of records of one size, behind them some from the time before, and the
    items that are there."""
    line = RingLine(1000)
    items: list[object] = []
    for ordinal in range(1, 3 * line.ring().size // (payload + OVERHEAD)):
        blob = line.outlet.pack([ordinal.to_bytes(2, "little") * (payload // 2)])
        while not line.outlet.fits(1, blob):
            line.inlet.peek(1)
            line.inlet.commit(line.inlet.position(1))
            del items[0]
        line.outlet.publish(1, blob, tag(ordinal))
        items.append(ordinal.to_bytes(2, "little") * (payload // 2))
    return line, items


def flips(byte: int) -> set[int]:
    """Each bit, all bits, and those that are set: it is 0 then."""
    return {1 << bit for bit in range(8)} | {255, byte} - {0}


def read(line: RingLine, n: int, restarted: bool) -> list[object]:
    if restarted:
        line.reopen_inlet()
    return line.inlet.peek(n)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("payload", [128, 1024])
def test_a_header_of_which_any_byte_is_wrong_is_an_error_and_nothing_of_it_is_used(
    payload: int, restarted: bool
) -> None:
    line, items = gone_round(payload)
    data, before = line.ring().data, line.inlet.head
    places = list(places_of_records(line))
    last = len(places) - 1
    for number in (0, 1, last - 1, last) if PROVE else (0, last):
        for byte in range(places[number], places[number] + PAYLOAD_AT):
            for flipped in flips(data[byte]):
                line.reopen_inlet()
                assert len(line.inlet.peek(number)) == number
                data[byte] ^= flipped
                with pytest.raises(RunError, match="damaged"):
                    read(line, number + 1, restarted)
                data[byte] ^= flipped
    line.reopen_inlet()
    assert line.inlet.peek(1000) == items
    assert line.inlet.head == before
    line.close()


@pytest.mark.parametrize("payload", [128, 1024])
def test_a_producer_is_not_sent_to_another_record_by_a_length_that_is_wrong(payload: int) -> None:
    line, _ = gone_round(payload)
    data, end = line.ring().data, line.ring().words[TAIL] % line.ring().size
    length = int.from_bytes(data[end - 8 : end], "little")
    for wrong in {length ^ 1 << bit for bit in range(16)} | {0, 2 * length, 3 * length}:
        data[end - 8 : end] = wrong.to_bytes(8, "little")
        with pytest.raises(RunError, match="damaged"):
            line.reopen_outlet()
    line.close()


@given(st.lists(st.integers(1, 3), min_size=1, max_size=8), st.integers(0, 12), st.integers(0, 12))
def test_each_side_wakes_the_other_from_the_position_on_that_it_asked_for(
    records: list[int], published: int, committed: int
) -> None:
    memory = Memory.create(Ring.bytes_for(64), 1)
    heard: list[str] = []
    ring = Ring(memory, 0, 64)
    outlet = RingOutlet(ring, lambda: heard.append("reader"), Allocator(memory, Ring.bytes_for(64)))
    inlet = RingInlet(ring, lambda: heard.append("writer"))
    inlet.sleeps(published)
    outlet.sleeps(committed)
    for number, items in enumerate(records):
        heard.clear()
        outlet.publish(items, outlet.pack([0] * items), tag(number + 1))
        assert heard == (["reader"] if 0 < published <= sum(records[: number + 1]) else [])
    for number in range(sum(records)):
        heard.clear()
        inlet.peek(1)
        inlet.commit(number + 1)
        assert heard == (["writer"] if 0 < committed <= number + 1 else [])
    heard.clear()
    outlet.knock()
    assert heard == (["reader"] if published else [])
    memory.close()
