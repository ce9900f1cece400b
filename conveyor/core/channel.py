"""What a channel promises, whichever world it is in: one producer, one consumer, first in first
out.

Knows: sequence numbers, room, tags.  Must never know: memory, processes, time.

Rule 1.  Items carry the sequence numbers, the capacity and the commits; a record is only framing.
Rule 2.  `publish` makes a record's items visible all at once or not at all.
Rule 3.  `peek` gives items up from nothing; `commit` does, and then their room goes back to the
         producer.
Rule 4.  An item is committed only after everything that came of it has been published (the commit
         rule).
Rule 5.  `pending()` is true if and only if `peek(1)` would give an item.
Rule 6.  The end is a flag with the number of the run, read behind the last item: raising it again
         changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Generic, NamedTuple, Protocol

from typing_extensions import TypeVar

from conveyor.items.sealing import Bundle, Sealed

__all__ = [
    "UNBOUNDED",
    "AnyOutlet",
    "Elsewhere",
    "Inlet",
    "Note",
    "SingleItemInlet",
    "Outlet",
    "Tag",
    "UNPAIRED_AT_ONCE",
    "Words",
    "ZipInlet",
    "bring_to",
    "ends_of",
    "tuples_of",
    "words_of_zip",
]

Blob = TypeVar("Blob")

UNBOUNDED: Final = 1 << 40  # items: a capacity, a limit or a size of slices that never binds
UNPAIRED_AT_ONCE: Final = 1024


class Tag(NamedTuple):
    """What every record says of the work it came of, so that another worker can go on from there.

    run: of the pipeline; ordinal: of this worker's records; input: which of its inputs was read
    (one past the last: `finish`); upto: that input's position once this record is out; extra:
    outputs of the item there that are already out; lanes: a bit for each outlet that the record
    goes to.
    """

    run: int
    ordinal: int
    input: int
    upto: int
    extra: int
    lanes: int


class Elsewhere(NamedTuple, Generic[Blob]):
    """A part of a record that goes to other lanes than the one at hand.

    lanes: a bit for each of these; items: how many there are; blob: the items.
    """

    lanes: int
    items: int
    blob: Blob


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
        """Up to `n` items from the front, not given up: a slice, as `items.slices` defines it.

        It is not empty if `pending()`.
        """
        ...

    def look(self, n: int) -> list[object]:
        """As many items from the front, of whatever kinds, which need be no slice."""
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

    def carrying(self, blob: Blob, others: Sequence[Elsewhere[Blob]]) -> Blob:
        """The slice as it goes into this channel if others of the same record go elsewhere: it is
        published first, and takes along what a successor needs to publish those."""
        ...

    def carried(self) -> Sequence[Elsewhere[Blob]]:
        """What the last record published takes along."""
        ...

    def close(self, run: int) -> None: ...


class AnyOutlet(Protocol):
    """What is asked of an outlet where only its position matters."""

    @property
    def tail(self) -> int: ...


class Words(Protocol):
    """Unsigned numbers side by side, each of which is stored whole or not at all."""

    def __len__(self) -> int: ...
    def __getitem__(self, at: int, /) -> int: ...
    def __setitem__(self, at: int, value: int, /) -> None: ...


class Note:
    """A few numbers that outlive the worker that stored them, kept where its channels are.

    `store` is done as a whole or not at all: there are two slots, and behind the one that is
    written comes one more store, of how many notes there were.  `words` are all zero at first.
    """

    __slots__ = ("size", "words")

    def __init__(self, words: Words) -> None:
        self.words = words
        self.size = (len(words) - 1) // 2

    @staticmethod
    def words_for(values: int) -> int:
        return 1 + 2 * values

    def store(self, values: Sequence[int]) -> None:
        """Takes the place of the older note."""
        words = self.words
        number = words[0] + 1
        for place, value in enumerate(values, 1 + number % 2 * self.size):
            words[place] = value
        words[0] = number  # the one store that counts

    @property
    def number(self) -> int:
        """How often something was stored."""
        return self.words[0]

    def newest(self) -> list[int]:
        """What was stored last; zeros if nothing was."""
        return self._slot(self.words[0])

    def older(self) -> list[int]:
        """What was stored before that; the next `store` overwrites it."""
        return self._slot(self.words[0] + 1)

    def _slot(self, number: int) -> list[int]:
        first = 1 + number % 2 * self.size
        return [self.words[place] for place in range(first, first + self.size)]


class SingleItemInlet:
    """An inlet whose items are taken one by one up to a position."""

    __slots__ = ("commit", "ended", "inlet", "look", "pending", "position", "start", "until")

    def __init__(self, inlet: Inlet, until: int) -> None:
        self.inlet = inlet
        self.until = until
        self.start = inlet.start
        self.pending = inlet.pending
        self.ended = inlet.ended
        self.look = inlet.look
        self.position = inlet.position
        self.commit = inlet.commit

    @property
    def head(self) -> int:
        return self.inlet.head

    @property
    def is_behind(self) -> bool:
        """Is the position still to come?"""
        return self.inlet.head < self.until

    def peek(self, n: int) -> list[object]:
        return self.inlet.peek(1 if self.is_behind else n)


class ZipInlet:
    """Several inlets read as one that gives tuples, one item of each; it ends when one of them
    does.

    What is left over in the others is then taken and counted, so that no producer waits for room
    for ever.  A position counts the tuples of this run.  What is committed is stored first, with
    where that leaves each inlet: a worker that finds the inlets behind that brings them there.
    """

    __slots__ = ("inlets", "left_over", "note", "run", "seen", "tuples")

    def __init__(self, inlets: list[Inlet], note: Note | None = None) -> None:
        self.inlets = inlets
        self.note = note if note is not None else Note([0] * words_of_zip(len(inlets)))
        self.run = 0
        self.tuples = 0  # given in this run
        self.left_over: int = 0
        self.seen = 0  # of the last `peek`, not yet committed

    @property
    def head(self) -> int:
        return self.tuples

    def start(self, run: int) -> None:
        for inlet in self.inlets:
            inlet.start(run)
        self.run = run
        self.seen = self.tuples = self.left_over = 0
        of_run, tuples, left_over, *positions = self.note.newest()
        if of_run == run:
            self.tuples, self.left_over = tuples, left_over
            bring_to(self.inlets, positions[: len(self.inlets)])

    def standing(self, run: int) -> int:
        """How many tuples it has given in a run that it has not been started for."""
        of_run, tuples, *_ = self.note.newest()
        return tuples if of_run == run else 0

    def pending(self) -> bool:
        return all(inlet.pending() for inlet in self.inlets)

    def ended(self) -> bool:
        if not any(ends_of(self.inlets)):
            return False
        for index, inlet in enumerate(self.inlets):
            while inlet.pending():
                unpaired = len(inlet.peek(UNPAIRED_AT_ONCE))
                self.left_over += unpaired
                positions = [each.head for each in self.inlets]
                positions[index] = inlet.position(unpaired)
                self.keep(positions)
        return all(ends_of(self.inlets))

    def keep(self, positions: Sequence[int]) -> None:
        """Commits up to these positions: all of them, even if this worker dies on the way."""
        self.note.store((self.run, self.tuples, self.left_over, *positions))
        bring_to(self.inlets, positions)

    def peek(self, n: int) -> list[object]:
        columns = [inlet.peek(n) for inlet in self.inlets]
        self.seen = min(map(len, columns))
        return tuples_of(columns)

    def look(self, n: int) -> list[object]:
        return self.peek(n)

    def position(self, n: int) -> int:
        return self.head + n

    def commit(self, upto: int) -> None:
        while self.tuples < upto:
            if not self.seen:  # recovery commits what another worker had read
                self.peek(upto - self.tuples)
            n = min(upto - self.tuples, self.seen)
            self.seen -= n
            self.tuples += n
            self.keep(self.behind(n))

    def behind(self, n: int) -> list[int]:
        """Where each inlet stands behind the next `n` tuples."""
        return [inlet.position(n) for inlet in self.inlets]


def ends_of(inlets: Sequence[Inlet]) -> list[bool]:
    """Which of these inlets have ended.

    All are asked, whatever the first say: a zip takes out what finds no partner there, and another
    inlet may wait for that.
    """
    return [inlet.ended() for inlet in inlets]


def tuples_of(columns: Sequence[list[object]]) -> list[object]:
    """Pairs the items of several slices, none of which is empty."""
    rows = zip(*columns, strict=False)
    if any(isinstance(column[0], Sealed) for column in columns):
        return [Bundle(row) for row in rows]
    return list(rows)


def bring_to(inlets: Sequence[Inlet], positions: Sequence[int]) -> None:
    """Commits each inlet up to its position, but those that stand there already or behind it."""
    for inlet, position in zip(inlets, positions, strict=True):
        if inlet.head < position:
            inlet.commit(position)


def words_of_zip(inlets: int) -> int:
    """How many words the note of a zip takes: the run, its tuples, what was left over, the position
    of each inlet, and where that lies that is set aside at a barrier: place, size, checksum."""
    return Note.words_for(3 + inlets + 3)
