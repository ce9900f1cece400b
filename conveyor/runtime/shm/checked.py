"""Rings for machines that do not keep the order of stores: what is read is checked, and read again
until it is whole.

This file knows checksums, and how long a store may be on its way.  It must never know what is in a
record.

Rule 1.  On x86 none of this is used: a record that is visible there is whole, and a checksum of its
         payload would only cost time.
Rule 2.  Elsewhere the checksum of a payload stands behind it, so that all lanes of a record share
         it.  The consumer verifies it, the header's checksum and the numbers of the items, and
         reads again for 10 ms before it calls a record damaged.
Rule 3.  What has no checksum (the ends of a run, room that is given back, buffers beside a record)
         has two fences around it.

This has been tried with stores that were delayed on purpose, and never on such a processor.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import Final, TypeVar
from zlib import crc32

from conveyor.core.channel import Elsewhere, Tag
from conveyor.errors import RunError
from conveyor.runtime.shm.allocator import Allocator
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.inlet import RingInlet
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.outlet import RingOutlet
from conveyor.runtime.shm.record import Blob
from conveyor.runtime.shm.ring import Ring

__all__ = [
    "ORDERED",
    "CheckedInlet",
    "CheckedOutlet",
    "CheckedRing",
    "inlet_of",
    "outlet_of",
    "ring_of",
]

KEEP_ORDER: Final = ("x86_64", "amd64", "i386", "i686")
# Set for the whole program, a machine that keeps the order is treated as if it did not, to try
# that.
SWITCH: Final = "CONVEYOR_CHECK_RECORDS"
ORDERED = os.uname().machine.lower() in KEEP_ORDER and not os.environ.get(SWITCH)

PATIENCE_NS: Final = 10_000_000
CHECKSUM: Final = 4  # bytes

T = TypeVar("T")


def ring_of(memory: Memory, offset: int, capacity: int, reserve: int = 0) -> Ring:
    """Makes the ring of a channel as this machine needs it."""
    return (Ring if ORDERED else CheckedRing)(memory, offset, capacity, reserve)


def outlet_of(ring: Ring, wake: Callable[[], None], allocator: Allocator) -> RingOutlet:
    return (
        CheckedOutlet(ring, wake, allocator)
        if isinstance(ring, CheckedRing)
        else RingOutlet(ring, wake, allocator)
    )


def inlet_of(ring: Ring, wake: Callable[[], None]) -> RingInlet:
    return CheckedInlet(ring, wake) if isinstance(ring, CheckedRing) else RingInlet(ring, wake)


def barrier() -> None:
    """A fence into which no load or store moves from either side.

    A load or store may move into one fence, but not past its middle: between the end of one fence
    and the beginning of the next nothing moves.
    """
    fence()
    fence()


def checksum(data: bytes | memoryview) -> bytes:
    return crc32(data).to_bytes(CHECKSUM, "little")


def again(read: Callable[[], T], is_whole: Callable[[T], bool]) -> T:
    """Calls `read` until what it gives is whole, and gives that.

    After 10 ms it gives whatever it is, or raises the `RunError` that `read` raises.
    """
    deadline = 0
    while True:
        late = deadline and monotonic_ns() > deadline
        try:
            found = read()
            if late or is_whole(found):
                return found
        except RunError:
            if late:
                raise
        deadline = deadline or monotonic_ns() + PATIENCE_NS
        barrier()


class CheckedRing(Ring):
    """A ring whose payloads have their checksums behind them."""

    __slots__ = ()

    def next_record(self, at: int, item: int) -> tuple[int, int, int, int, int, int] | None:
        read = super().next_record
        # One that ends before `item` was read long ago; or it was left behind by a worker that
        # died, and then it stays there.
        return again(
            lambda: read(at, item), lambda found: found is None or found[3] + found[4] > item
        )

    def last_record(self) -> int:
        return again(super().last_record, lambda _: True)

    def payload(self, at: int, size: int, form: int) -> memoryview:
        read = super().payload

        def checked() -> memoryview:
            try:
                found = read(at, size, form)
            except (ValueError, OSError) as error:  # it is said to lie where nothing is
                raise RunError(
                    f"a record in a channel is damaged: its payload cannot be found ({error})"
                ) from error
            data, wanted = found[:-CHECKSUM], bytes(found[-CHECKSUM:])
            if checksum(data) != wanted:
                raise RunError(
                    f"the payload of a record in a channel is damaged, {at} bytes from its "
                    "beginning; it was not used"
                )
            return data

        return again(checked, lambda _: True)


class CheckedOutlet(RingOutlet):
    """The producer's end."""

    __slots__ = ()

    def pack(self, items: list[object]) -> Blob:
        return _with_checksum(super().pack(items))

    def last_blob(self) -> tuple[int, Blob]:
        count, blob = super().last_blob()
        return count, _with_checksum(blob)

    def carrying(self, blob: Blob, others: Sequence[Elsewhere[Blob]]) -> Blob:
        bare = [each._replace(blob=_without_checksum(each.blob)) for each in others]
        return _with_checksum(super().carrying(_without_checksum(blob), bare))

    def carried(self) -> Sequence[Elsewhere[Blob]]:
        return [each._replace(blob=_with_checksum(each.blob)) for each in super().carried()]

    def publish(self, n: int, blob: Blob, tag: Tag) -> None:
        barrier()
        super().publish(n, blob, tag)

    def close(self, run: int) -> None:
        barrier()
        super().close(run)


class CheckedInlet(RingInlet):
    """The consumer's end."""

    __slots__ = ()

    def ended(self) -> bool:
        if not self.ring.has_ended(self.run):
            return False
        barrier()
        return not self.pending()

    def commit(self, upto: int) -> None:
        barrier()
        super().commit(upto)


def _with_checksum(blob: Blob) -> Blob:
    blob.data += checksum(blob.data)
    return blob


def _without_checksum(blob: Blob) -> Blob:
    return Blob(blob.form, blob.data[:-CHECKSUM], blob.kept)
