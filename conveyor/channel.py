"""What a channel promises, whichever world it is in: one producer, one consumer, first in first out.

Knows: sequence numbers, room, tags.  Must never know: memory, processes, time.

Rule 1.  Items carry the sequence numbers, the capacity and the commits; a record is only framing.
Rule 2.  `publish` makes a record's items visible all at once or not at all.
Rule 3.  `peek` gives items up from nothing; `commit` does, and then their room goes back to the producer.
Rule 4.  An item is committed only after everything that came of it has been published (the commit rule).
Rule 5.  `pending()` is true if and only if `peek(1)` would give an item.
Rule 6.  The end is a flag with the number of the run, read behind the last item: raising it again changes nothing.
"""

from __future__ import annotations

from typing import Final, Generic, NamedTuple, Protocol

from typing_extensions import TypeVar

from conveyor.codec import Bundle, Sealed

__all__ = ["Inlet", "Note", "Outlet", "Tag", "ZipInlet"]

Blob = TypeVar("Blob")

UNPAIRED_AT_ONCE: Final = 1024


class Tag(NamedTuple):
    """What every record says of the work it came of, so that another worker can go on from there.

    run: of the pipeline; ordinal: of this worker's records; input: which of its inputs was read (one past the last:
    `finish`); upto: that input's position once this record is out; extra: outputs of the item there that are already out;
    lanes: a bit for each outlet that the record goes to.
    """

    run: int
    ordinal: int
    input: int
    upto: int
    extra: int
    lanes: int


class Inlet(Protocol):
    """The consumer's end of a channel, or of several that are read as one."""

    @property
    def head(self) -> int:
        """How many items have been committed since the channel was made."""
        ...

    def pending(self) -> bool: ...
    def ended(self) -> bool:
        """Is the end of the current run reached, with nothing pending?"""
        ...

    def peek(self, n: int) -> list[object]:
        """Up to `n` items from the front, not given up: a slice, as `codec` defines it.  Not empty if `pending()`."""
        ...

    def position(self, n: int) -> int:
        """Where the inlet will stand once the first `n` items of the last `peek` are committed."""
        ...

    def commit(self, upto: int) -> None:
        """Everything up to this position is done."""
        ...

    def start(self, run: int) -> None:
        """From now on, only the end of this run is the end."""
        ...


class Outlet(Protocol, Generic[Blob]):
    """The producer's end of a channel."""

    @property
    def capacity(self) -> int: ...
    @property
    def tail(self) -> int:
        """How many items have been published since the channel was made."""
        ...

    def queued(self) -> int:
        """Items published and not yet committed."""
        ...

    def pack(self, items: list[object]) -> Blob:
        """A slice as it goes into the channel, encoded once for all lanes."""
        ...

    def fits(self, n: int, blob: Blob) -> bool: ...
    def publish(self, n: int, blob: Blob, tag: Tag) -> None: ...
    def last_tag(self) -> Tag | None: ...
    def last_blob(self) -> tuple[int, Blob]:
        """The last record published and how many items it holds, committed or not."""
        ...

    def close(self, run: int) -> None: ...


class Words(Protocol):
    """Unsigned numbers side by side, each of which is stored whole or not at all."""

    def __len__(self) -> int: ...
    def __getitem__(self, at: int, /) -> int: ...
    def __setitem__(self, at: int, value: int, /) -> None: ...


class Note:
    """What a reader of several channels must still know after a restart, kept where its channels are.

    There are two slots, of a key and some values each; the newest is never written over before the next is whole.  `words` are
    all zero at first.
    """

    __slots__ = ("at", "width", "words")

    def __init__(self, words: Words) -> None:
        self.words = words
        self.width = len(words) // 2
        self.at = 0

    @staticmethod
    def words_for(values: int) -> int:
        return 2 * (1 + values)

    def write(self, key: int, *values: int) -> None:
        words, at = self.words, self.at
        words[at] = 0  # holds nothing, until the last store
        for place, value in enumerate(values, at + 1):
            words[place] = value
        words[at] = key + 1
        self.at = self.width - at

    def read(self, key: int) -> list[int] | None:
        """The values written under a key; None if it is not that of the last note or the one before."""
        for at in (0, self.width):
            if self.words[at] == key + 1:
                self.at = self.width - at
                return [self.words[place] for place in range(at + 1, at + self.width)]
        return None


class ZipInlet:
    """Several inlets read as one that gives tuples, one item of each; it ends when one of them does.

    What is left over in the others is then taken and counted, so that no producer waits for room for ever.  The note holds
    where each inlet stood when the run began, so that a worker that died while it committed a tuple leaves the lanes in step.
    """

    __slots__ = ("bases", "inlets", "left_over", "note", "tuples")

    def __init__(self, inlets: list[Inlet], note: Note | None = None) -> None:
        self.inlets = inlets
        self.note = note or Note([0] * Note.words_for(len(inlets)))
        self.bases = [inlet.head for inlet in inlets]
        self.tuples = 0  # given in this run
        self.left_over = 0

    @property
    def head(self) -> int:
        return max(self.bases) + self.tuples

    def start(self, run: int) -> None:
        for inlet in self.inlets:
            inlet.start(run)
        bases = self.note.read(run)
        if bases is None:
            bases = [inlet.head for inlet in self.inlets]
            self.note.write(run, *bases)
        self.bases = bases
        self.fall_in()

    def fall_in(self) -> None:
        """Brings every inlet as far as the first that was committed."""
        most = max(self.counts())
        for inlet, count in zip(self.inlets, self.counts(), strict=True):
            if count < most:
                there = len(inlet.peek(most - count))  # fewer, if its lane has ended
                inlet.commit(inlet.position(there))
        counts = self.counts()
        self.tuples = min(counts)
        self.left_over = sum(counts) - self.tuples * len(counts)

    def counts(self) -> list[int]:
        return [inlet.head - base for inlet, base in zip(self.inlets, self.bases, strict=True)]

    def pending(self) -> bool:
        return all(inlet.pending() for inlet in self.inlets)

    def ended(self) -> bool:
        if not any(inlet.ended() for inlet in self.inlets):
            return False
        for inlet in self.inlets:
            while inlet.pending():
                unpaired = len(inlet.peek(UNPAIRED_AT_ONCE))
                inlet.commit(inlet.position(unpaired))
                self.left_over += unpaired
        return all(inlet.ended() for inlet in self.inlets)

    def peek(self, n: int) -> list[object]:
        columns = [inlet.peek(n) for inlet in self.inlets]
        rows = zip(*columns, strict=False)
        if any(isinstance(column[0], Sealed) for column in columns):
            return [Bundle(row) for row in rows]
        return list(rows)

    def position(self, n: int) -> int:
        return self.head + n

    def commit(self, upto: int) -> None:
        n = upto - self.head
        self.tuples += n
        for inlet in self.inlets:
            inlet.commit(inlet.position(n))
