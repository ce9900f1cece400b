"""What an ordered join must know of items travels through a ring beside them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.core.stamp_columns import Column, Groups, run_of
from conveyor.core.stamps import Entries, has_marks, items_of
from conveyor.items.sealing import seal
from conveyor.items.slices import opened
from tests.lines import Life, RingLine, tag


@st.composite
def runs(draw: st.DrawFn, depth: int) -> Entries:
    """A slice in a lane: atoms or sealed items, marks among them, and so many columns of stamps,
    which are ranges or what an item cut in parts has."""
    values = draw(st.lists(st.none() | st.integers() | st.just("mark"), min_size=1, max_size=9))
    is_sealed = None in values or draw(st.booleans())
    entries = [None if value == "mark" else seal(value) if is_sealed else value for value in values]
    columns: list[Column] = []
    for _ in range(depth):
        origin = draw(st.integers(0, 2**40))
        parts = [2 * origin] * (len(entries) - 1) + [2 * origin + draw(st.integers(0, 1))]
        ends = sorted({*draw(st.lists(st.integers(1, len(entries)))), len(entries)})
        forms: list[Column] = [run_of(origin, len(entries)), parts, Groups(origin, ends)]
        columns.append(draw(st.sampled_from(forms)))
    return Entries(entries, tuple(columns), None in entries)


def plain(entries: list[object]) -> list[object]:
    """What is in a slice: marks apart from items that are None."""
    items = iter(opened(items_of(entries)))
    return ["mark" if each is None else (next(items),) for each in entries]


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 2).flatmap(lambda depth: st.lists(runs(depth), min_size=1, max_size=5)),
    st.integers(1, 9),
)
def test_entries_come_out_as_they_went_in_whatever_slices_are_taken(
    records: list[Entries], most: int
) -> None:
    line = RingLine(100, Life())
    blobs = [line.outlet.pack(entries) for entries in records]
    for number, (entries, blob) in enumerate(zip(records, blobs, strict=True), 1):
        line.outlet.publish(len(entries), blob, tag(number))
    count, again = line.outlet.last_blob()
    assert (count, again.data, again.form) == (len(records[-1]), blobs[-1].data, blobs[-1].form)
    came: list[object] = []
    columns: list[list[int]] = []
    while line.inlet.pending():
        items = line.inlet.peek(most)
        assert isinstance(items, Entries)
        assert has_marks(items) or None not in items
        came += plain(items)
        columns += [list(row) for row in zip(*items.stamps, strict=True)]
        line.inlet.commit(line.inlet.position(len(items)))
    line.close()
    assert came == [each for entries in records for each in plain(entries)]
    assert columns == [
        list(row) for entries in records for row in zip(*entries.stamps, strict=True)
    ]


def test_entries_between_which_something_is_missing_are_in_different_slices() -> None:
    line = RingLine(100, Life())
    for number, origin in enumerate((3, 5, 8)):
        entries = Entries(["a", "b"], (run_of(origin, 2),))
        line.outlet.publish(2, line.outlet.pack(entries), tag(number + 1))
    slices: list[int] = []
    while line.inlet.pending():
        items = line.inlet.peek(9)
        slices.append(len(items))
        line.inlet.commit(line.inlet.position(len(items)))
    line.close()
    assert slices == [4, 2]
