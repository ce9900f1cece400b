"""A zip that stops at barriers, while its worker dies before each of its stores: it gives what
`zip` gives of its lanes, and at each barrier has all that came before it, in tuples or set aside.

What makes it wait, lanes that are full among it, is in `feed`; a run that hangs is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.core.barriers import GatedInlet
from conveyor.core.channel import Note, Tag, bring_to, words_of_zip
from conveyor.core.log_places import APART, NOWHERE, LogPlaces
from conveyor.core.set_aside import KeptZipInlet, ZipState, begin_zip
from conveyor.items.sealing import Sealed, seal
from conveyor.items.slices import opened
from conveyor.sim.world.channel import MemoryChannel
from tests.core.world import Killed, Life, NotePort, Port

Epochs: TypeAlias = Sequence[Sequence[int]]  # of one lane: its items between two barriers

RUN = 1
MOST_STEPS = 2000  # then it hangs
BARRIER = object()


class Memory:
    """Three places, each as long as what was written there; a worker dies before it writes."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.places = [bytearray() for _ in range(3)]
        self.kept = NOWHERE  # where the log lay at the newest barrier

    def write_at(self, offset: int, data: bytes) -> None:
        self.life.store()
        place, at = divmod(offset, APART)
        assert place != self.kept.place or at >= self.kept.size
        self.places[place][at:] = data

    def read_at(self, offset: int, size: int) -> bytes:
        place, at = divmod(offset, APART)
        return bytes(self.places[place][at : at + size])


class Zipped:
    """A zip, and what comes into its lanes, each of which holds `room` items."""

    def __init__(self, lanes: Sequence[Epochs], room: int, n: int, known: ZipState | None) -> None:
        self.life = Life()
        self.n = n
        self.channels = [MemoryChannel(room) for _ in lanes]
        self.left = [
            [*chain.from_iterable([*epoch, BARRIER] for epoch in lane)][:-1] for lane in lanes
        ]
        self.words = [0] * words_of_zip(len(lanes))
        self.memory = Memory(self.life)
        self.passed = 0
        self.states: list[ZipState] = []  # at each barrier
        self.outputs: list[object] = []
        self.begun = 0 if known is None else known.tuples
        if known is not None:
            begin_zip(Note(self.words), len(lanes), self.places(), RUN, known)
        self.be_born()

    def places(self) -> LogPlaces:
        return LogPlaces("what is set aside", self.memory, 0, self.kept_place)

    def kept_place(self) -> int | None:
        return self.memory.kept.place if self.passed else None

    def be_born(self) -> None:
        """A worker, with nothing but what outlives another."""
        self.gates = [GatedInlet(Port(channel, self.life)) for channel in self.channels]
        for gate in self.gates:
            gate.passed = self.passed
        note = NotePort(self.words, self.life)
        self.zipped = KeptZipInlet([*self.gates], note, self.gates, self.places())
        self.zipped.start(RUN)
        self.is_dead = False

    def feed(self) -> bool:
        """Puts into each lane what there is room for; no barrier before the last has come
        through."""
        moved = False
        for channel, left in zip(self.channels, self.left, strict=True):
            while left and (
                channel.barrier == self.passed if left[0] is BARRIER else channel.fits(1, [])
            ):
                moved = True
                item = left.pop(0)
                if item is BARRIER:
                    channel.set_barrier(channel.barrier + 1)
                else:
                    is_sealed = isinstance(item, int) and item % 3 == 0
                    channel.publish(
                        1, [seal([item]) if is_sealed else item], Tag(RUN, 0, 0, 0, 0, 0)
                    )
            if not left:
                channel.close(RUN)
        return moved

    def step(self) -> bool:
        """One slice, or one barrier; is there more?"""
        zipped = self.zipped
        if zipped.pending():
            seen = zipped.peek(self.n)
            self.outputs[zipped.head - self.begun :] = opened(seen)
            zipped.commit(zipped.position(len(seen)))
        elif zipped.ended():
            if not any(gate.is_at_barrier for gate in self.gates):
                return False
            assert all(gate.is_at_barrier for gate in self.gates)
            self.memory.kept = zipped.lies
            self.states.append(zipped.state())
            self.passed += 1
            for gate in self.gates:
                gate.passed = self.passed
        return True

    def run(self, dies_before: int | None = None, again: int | None = None) -> list[object]:
        self.life.dies_before, self.life.again = dies_before, again
        for _ in range(MOST_STEPS):
            self.feed()
            try:
                if self.is_dead:
                    self.be_born()
                if not self.step():
                    return [plain(each) for each in self.outputs]
            except Killed:
                self.is_dead = True
        raise AssertionError("it hangs")


def plain(row: Any) -> tuple[int, ...]:
    items: list[Any] = [*row]
    assert not any(isinstance(item, Sealed) for item in items)
    return tuple([item if isinstance(item, int) else item[0] for item in items])


def flat(lane: Epochs) -> list[int]:
    return [*chain.from_iterable(lane)]


def before(lane: Epochs, barrier: int) -> int:
    """How many items of a lane come before a barrier."""
    return len(flat(lane[:barrier]))


def set_aside(state: ZipState, lanes: int) -> list[int]:
    """How many items of each lane are set aside in this state."""
    nothing: list[Epochs] = [[[]]] * lanes
    zipped = Zipped(nothing, 1, 1, state).zipped
    return [len(lane) for lane in zipped.aside.lanes]


epochs = st.lists(st.integers(0, 9), max_size=4)


@st.composite
def some_lanes(draw: st.DrawFn) -> list[list[list[int]]]:
    barriers = draw(st.integers(0, 3))
    lane = st.lists(epochs, min_size=barriers + 1, max_size=barriers + 1)
    return draw(st.lists(lane, min_size=2, max_size=3))


UNEVEN: list[list[list[int]]] = [[[1, 2, 3, 6], [], [7]], [[], [4, 5], [8, 9, 0]]]
LONG: list[list[list[int]]] = [[[*range(300)], [], []], [[], [*range(100)], [*range(200)]]]


def check(lanes: Sequence[Epochs], zipped: Zipped, outputs: list[object]) -> None:
    rows = [*zip(*map(flat, lanes), strict=False)]
    assert outputs == rows
    assert zipped.zipped.left_over == sum(map(len, map(flat, lanes))) - len(lanes) * len(rows)
    for number, state in enumerate(zipped.states, 1):
        came = [before(lane, number) for lane in lanes]
        assert state.tuples == min(came)
        assert set_aside(state, len(lanes)) == [n - min(came) for n in came]
    assert len(zipped.states) == len(lanes[0]) - 1


def dies_everywhere(lanes: Sequence[Epochs], room: int, n: int) -> None:
    whole = Zipped(lanes, room, n, None)
    check(lanes, whole, whole.run())
    for store in range(whole.life.stores):
        for again in (None, 0, 1):
            dying = Zipped(lanes, room, n, None)
            check(lanes, dying, dying.run(store, again))


@settings(max_examples=15, deadline=None)
@given(some_lanes(), st.integers(1, 2), st.integers(1, 3))
def test_a_zip_whose_worker_dies_at_any_store_gives_what_zip_gives(
    lanes: list[list[list[int]]], room: int, n: int
) -> None:
    dies_everywhere(lanes, room, n)


@settings(max_examples=15, deadline=None)
@given(some_lanes(), st.integers(1, 2), st.integers(1, 3))
def test_a_zip_goes_on_from_each_barrier(lanes: list[list[list[int]]], room: int, n: int) -> None:
    rows = [*zip(*map(flat, lanes), strict=False)]
    whole = Zipped(lanes, room, n, None)
    whole.run()
    for number, state in enumerate(whole.states, 1):
        again = Zipped([lane[number:] for lane in lanes], room, n, state)
        assert [*rows[: state.tuples], *again.run()] == rows
        assert again.zipped.left_over == whole.zipped.left_over


def test_what_was_set_aside_does_not_grow_with_what_was_once() -> None:
    many = [*range(1000)]
    zipped = Zipped([[many, [], [1]], [[], many, [1]]], 10, 10, None)
    zipped.run()
    first, second = zipped.states
    assert first.aside is not None
    assert second.aside is None


# -------------------------------------------------------------------------- rules broken on purpose


def commits_before_it_is_noted(zipped: KeptZipInlet, positions: Sequence[int]) -> None:
    bring_to(zipped.inlets, positions)
    KEEP(zipped, positions)


def notes_before_it_is_written(zipped: KeptZipInlet, positions: Sequence[int]) -> None:
    lies = zipped.lies
    zipped.note.store((zipped.run, zipped.tuples, zipped.left_over, *positions, *lies))
    KEEP(zipped, positions)


def in_the_same_place(places: LogPlaces, place: int) -> int:
    return place


KEEP = KeptZipInlet.keep


@pytest.mark.parametrize(
    ("owner", "method", "instead"),
    [
        (KeptZipInlet, "keep", commits_before_it_is_noted),
        (KeptZipInlet, "keep", notes_before_it_is_written),
        (LogPlaces, "free", in_the_same_place),
    ],
)
def test_each_rule_that_is_broken_is_missed(
    owner: type, method: str, instead: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def comes_through() -> None:
        dies_everywhere(UNEVEN, 1, 1)
        long = Zipped(LONG, 9, 1, None)
        check(LONG, long, long.run())

    comes_through()
    monkeypatch.setattr(owner, method, instead)
    with pytest.raises(Exception):  # noqa: B017, PT011  # lost, repeated or stuck: all the same here
        comes_through()
