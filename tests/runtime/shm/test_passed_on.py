"""A node that passes records on takes them as they are, and nobody behind it can tell."""

from __future__ import annotations

from pickle import PickleBuffer
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.core.stamp_columns import run_of
from conveyor.core.stamps import Entries, has_marks
from conveyor.items.sealing import seal, sealer
from conveyor.items.slices import opened
from conveyor.runtime.shm.inlet import WORTH_A_RECORD
from conveyor.runtime.shm.record import Unread
from tests.lines import CheckedLine, Life, RingLine, tag

LARGE: Final = bytes(50_000)  # so large that it lies beside the record


class Block:
    """What has its bytes outside of its pickle."""

    def __reduce_ex__(self, protocol: object) -> tuple[type[bytes], tuple[PickleBuffer]]:
        return bytes, (PickleBuffer(LARGE),)


@st.composite
def slices(draw: st.DrawFn, in_lane: bool) -> list[object]:
    """What a relay may read: atoms or sealed items, with stamps and marks in a lane of an ordered
    join, as one such slice or as more than a record is worth."""
    values: list[object] = draw(st.lists(st.integers() | st.just("mark"), min_size=1, max_size=9))
    values *= draw(st.sampled_from([1, WORTH_A_RECORD]))
    is_sealed = draw(st.booleans())
    entries = [
        None if in_lane and value == "mark" else seal([value]) if is_sealed else value
        for value in values
    ]
    if not in_lane:
        return entries
    column = run_of(draw(st.integers(0, 2**40)), len(entries))
    return Entries(entries, (column,), None in entries)


def plain(entries: list[object]) -> list[object]:
    """What is in a slice, opened, with its stamps and marks."""
    items = opened([each for each in entries if each is not None]) if has_marks(entries) else None
    there = iter(items if items is not None else opened(entries))
    stamps = list(zip(*entries.stamps, strict=True)) if isinstance(entries, Entries) else None
    shown: list[object] = ["mark" if each is None else (next(there),) for each in entries]
    return shown if stamps is None else [*zip(shown, stamps, strict=True)]


@pytest.mark.parametrize("kind", [RingLine, CheckedLine])
@settings(deadline=None, max_examples=60)
@given(
    st.booleans().flatmap(lambda in_lane: st.lists(slices(in_lane), min_size=1, max_size=4)),
    st.lists(st.integers(1, 900), min_size=1),
)
def test_what_is_passed_on_comes_out_as_it_went_in_however_much_is_taken_at_once(
    kind: type[RingLine], records: list[list[object]], sizes: list[int]
) -> None:
    first, second = kind(4000, Life()), kind(4000, Life())
    first.inlet.passes_on = True
    for number, entries in enumerate(records, 1):
        first.outlet.publish(len(entries), first.outlet.pack(entries), tag(number))
    turn = 0
    while first.inlet.pending():
        most = sizes[turn % len(sizes)]
        items = first.inlet.peek(most)
        assert 0 < len(items) <= most
        turn += 1
        second.outlet.publish(len(items), second.outlet.pack(items), tag(turn))
        first.inlet.commit(first.inlet.position(len(items)))
    came: list[object] = []
    while second.inlet.pending():
        items = second.inlet.peek(100)
        came += plain(items)
        second.inlet.commit(second.inlet.position(len(items)))
    first.close()
    second.close()
    assert came == [each for entries in records for each in plain(entries)]


def test_a_record_is_passed_on_unread_and_what_has_to_be_cut_is_read() -> None:
    line = RingLine(1000, Life())
    line.inlet.passes_on = True
    line.outlet.publish(100, line.outlet.pack(list(range(100))), tag(1))
    whole, part = line.inlet.peek(100), line.inlet.peek(40)
    line.inlet.commit(40)
    rest = line.inlet.peek(100)
    line.close()
    assert isinstance(whole, Unread)
    assert (len(whole), part, rest) == (100, [*range(40)], [*range(40, 100)])


def test_short_records_are_passed_on_as_one() -> None:
    line = RingLine(1000, Life())
    line.inlet.passes_on = True
    for number in range(5):
        line.outlet.publish(1, line.outlet.pack([number]), tag(number + 1))
    items = line.inlet.peek(100)
    line.close()
    assert items == [0, 1, 2, 3, 4]


def test_stamps_of_one_more_join_go_with_a_record_that_is_not_read() -> None:
    first, second = RingLine(100, Life()), RingLine(100, Life())
    first.inlet.passes_on = True
    entries = Entries(["a", None, "c"], (run_of(4, 3),), True)
    first.outlet.publish(3, first.outlet.pack(entries), tag(1))
    items = first.inlet.peek(9)
    assert isinstance(items, Unread)
    second.outlet.publish(3, second.outlet.pack(items.inside(run_of(7, 3))), tag(1))
    came = second.inlet.peek(9)
    first.close()
    second.close()
    assert isinstance(came, Entries)
    assert (came, came.has_marks) == (["a", None, "c"], True)
    assert came.stamps == (run_of(4, 3), run_of(7, 3))


def test_a_record_that_refers_to_memory_of_its_producer_is_read_and_written_anew() -> None:
    line = RingLine(100, Life())
    line.inlet.passes_on = True
    keep = line.outlet.allocator.keep
    line.outlet.publish(1, line.outlet.pack([sealer(keep)(Block())]), tag(1))
    items = line.inlet.peek(9)
    assert not isinstance(items, Unread)
    assert list(opened(items)) == [LARGE]
    del items
    line.close()
