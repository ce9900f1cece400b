"""What a recorded join says of how many items it read."""

from __future__ import annotations

from conveyor.core.channel import Note, Tag
from conveyor.core.journal import PAGE_SIZE, Journal
from conveyor.core.ordered import OrderedInlet
from conveyor.core.stamp_columns import run_of
from conveyor.core.stamps import Entries
from conveyor.report import Tally
from conveyor.runtime.step.logged import JOIN, LoggedReads
from conveyor.sim.world.channel import MemoryChannel


def test_marks_among_the_items_of_an_ordered_join_are_not_counted() -> None:
    channel = MemoryChannel(9)
    channel.start(1)
    items = [None, "b", None, None, "e", None]
    channel.publish(6, Entries(items, (run_of(0, 6),), True), Tag(1, 1, 0, 0, 0, 1))
    inlet = OrderedInlet([channel], balanced=True)
    logged: list[tuple[int, int, int]] = []

    def log(point: int, lane: int, count: int) -> None:
        logged.append((point, lane, count))

    reads = LoggedReads(2, log)
    journal = Journal(Tally(), Note([0] * Note.words_for(PAGE_SIZE)), reads=reads)

    read = inlet.peek(9)
    assert read == ["b", "e"]
    journal.begin(1, inlet, len(read))
    journal.begin(0, MemoryChannel(9), 6)
    assert logged == [(JOIN, 1, 2), (JOIN, 0, 6)]
