"""What has to outlive a worker besides its channels: its counts, and which items it has in hand.

Knows: when what a worker had counted is true.  Must never know: where it is written, what reads it.

Rule 1.  The counts are noted before a piece goes out, with the ordinal of its record and the
         position of the inputs that the piece leads to.  They are true if that record is out and
         that position is committed.
Rule 2.  The two newest notes are kept.  One of them is always true: nothing is noted before the
         last piece is out and committed, and a worker that starts first notes again what it found
         to be true.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from conveyor.core.channel import Inlet, Note
from conveyor.report import COUNTS, Tally

__all__ = ["PAGE_SIZE", "Journal"]

PAGE_SIZE: Final = 3 + COUNTS  # run, ordinal, position, and the counts


class Journal:
    """Keeps the counts of one node in one run, written ahead of what they are true of.

    `hold` is told of each slice that is taken in hand: its input, first position and end; `reads`,
    before, its input and how many items it has.
    `resumed` is told the ordinal of the next item when a loop starts: what came of that one is
    void, and of all behind it but those that it is told of, too.  `others` are those of nodes whose
    jobs run in the same worker, behind this one's.
    """

    def __init__(
        self,
        tally: Tally,
        note: Note,
        hold: Callable[[int, int, int], None] | None = None,
        resumed: Callable[[int, Sequence[int]], None] | None = None,
        others: Sequence[Journal] = (),
        reads: Callable[[int, int], None] | None = None,
    ) -> None:
        self.run = 0
        self.tally = tally
        self.counts = note
        self.hold = hold
        self.resumed = resumed
        self.others = others
        self.reads = reads
        self.ordinal = 0
        self.position = 0
        self.input = 0
        self.inlet: Inlet | None = None
        self.finished = 0

    def recall(self, run: int, ordinal: int, position: int, behind: Sequence[int] = ()) -> None:
        """Sets the tally to the newest counts of a run that are true, now that this much is out and
        committed.

        `behind`: how far behind the first item that is not finished each of those is that is.
        """
        self.run, self.ordinal, self.position = run, ordinal, position
        for page in (self.counts.newest(), self.counts.older()):
            if page[0] == self.run and page[1] <= ordinal and page[2] <= position:
                self.tally.restore(page[3:])
                break
        for other in self.others:
            other.recall(run, ordinal, position)
        # The older note, which goes next, is then not the only one that is true.
        self.note(ordinal, position, 0)
        if self.resumed is not None:
            first = self.tally.items_in - len(behind)
            self.resumed(first, [first + at for at in behind])

    def begin(self, source: int, inlet: Inlet, items: int) -> None:
        """A slice is taken in hand."""
        self.input, self.inlet, self.finished = source, inlet, 0
        if self.reads is not None:
            self.reads(source, items)
        if self.hold is not None:
            self.hold(source, inlet.position(1) - 1, inlet.position(items))

    def note(self, ordinal: int, position: int, finished: int) -> None:
        """A piece is about to go out: the record with this ordinal, if it has outputs, and then
        `finished` items are done."""
        self.counts.store((self.run, ordinal, position, *self.tally.counts()))
        self.ordinal, self.position, self.finished = ordinal, position, finished
        for other in self.others:
            other.note(ordinal, position, finished)

    def note_failure(self) -> None:
        """The run ends here: what was counted last is told, too."""
        self.counts.store((self.run, self.ordinal, self.position, *self.tally.counts()))
        for other in self.others:
            other.note_failure()

    def place(self, index: int) -> tuple[int, int]:
        """Which input an item of the slice in hand is from, and its position there: the same in
        every attempt, and no other item's."""
        if self.inlet is None:
            return 0, index
        return self.input, self.inlet.position(index - self.finished + 1) - 1
