"""Which items of an input are finished where they do not finish in their order.

Knows: positions, and when what was noted of them is true.  Must never know: channels, where notes
are kept.

Rule 1.  A window is noted before the record that makes it true, with that record's ordinal; behind
         an item that gave nothing it is true at once.
Rule 2.  The newest note is true whose record is out.  One of the two that are kept is: nothing is
         noted before the record of the one before is out.
Rule 3.  All items before `base` are finished; of those behind it a bit says so.
"""

from __future__ import annotations

from typing import Final

from conveyor.core.channel import Note

__all__ = ["SPAN", "SlidingWindow", "words_of_window"]

SPAN: Final = 4096  # items, from the first that is not finished to the last in hand at most
WORD: Final = 64
MASK: Final = (1 << WORD) - 1
HEAD: Final = 6  # run, ordinal, finished, base, the item that is out in part, how much of it is


def words_of_window(capacity: int) -> int:
    """How many words the note of a window takes, over an input that holds so many items."""
    return Note.words_for(HEAD + -(-min(capacity, SPAN) // WORD))


class SlidingWindow:
    """The finished items of one input in one run.

    `start` is where the run began, below 0 where it goes on from a checkpoint, `finished` how many
    items are; `part` is the position of an item of which `extra` outputs are out, and others are to
    come.
    """

    def __init__(self, note: Note) -> None:
        self.note = note
        self.span = (note.size - HEAD) * WORD
        self.run = 0
        self.start = self.base = self.finished = self.bits = self.extra = 0
        self.part: int | None = None

    def recall(self, run: int, ordinal: int, head: int) -> None:
        """Goes on from what `read` finds."""
        self.read(run, ordinal, head)
        # The older note, which goes next, is then not the only one that is true
        self.store(ordinal)

    def read(self, run: int, ordinal: int, head: int) -> None:
        """Takes over the newest note that is true, now that the record of this ordinal is out; in a
        new run, begins at `head`."""
        self.run = run
        self.base = head
        self.finished = self.bits = self.extra = 0
        self.part = None
        for page in (self.note.newest(), self.note.older()):
            if page[0] == run and page[1] <= ordinal:
                _, _, self.finished, self.base, part, self.extra, *words = page
                self.bits = sum(word << WORD * at for at, word in enumerate(words))
                self.part = part - 1 if part else None
                break

    def counted(self, items: int) -> None:
        """So many items of the run are finished, also before this note was begun."""
        self.start = self.base - (items - self.bits.bit_count())

    def store(self, ordinal: int) -> None:
        """Notes it: true once the record of this ordinal is out."""
        words = [self.bits >> at & MASK for at in range(0, self.span, WORD)]
        part = 0 if self.part is None else self.part + 1
        self.note.store((self.run, ordinal, self.finished, self.base, part, self.extra, *words))

    def is_finished(self, position: int) -> bool:
        return position < self.base or bool(self.bits >> (position - self.base) & 1)

    def reaches(self, position: int) -> bool:
        """May an item be taken in hand that is so far ahead?"""
        return position - self.base < self.span

    def finish(self, position: int) -> None:
        """All that comes of an item is on its way."""
        self.finished += 1
        self.part, self.extra = None, 0
        self.bits |= 1 << (position - self.base)
        while self.bits & 1:
            self.bits >>= 1
            self.base += 1

    def give_part(self, position: int, extra: int) -> None:
        """So many outputs of an item are on their way, and others are to come."""
        self.part, self.extra = position, extra

    def finished_behind(self) -> tuple[int, ...]:
        """How far behind the first item that is not finished each is that is."""
        return tuple(at for at in range(self.bits.bit_length()) if self.bits >> at & 1)
