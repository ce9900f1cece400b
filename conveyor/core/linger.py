"""How long outputs may gather before they are given out.

Knows: that somebody can tell when it has been long enough.  Must never know: a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from conveyor.core.channel import UNBOUNDED

__all__ = ["FAR", "Linger", "Looks", "chunks"]

# Whether it is time is looked at with 1, 2, 4, ... outputs, and then with each so many more.
FAR: Final = 16


class Linger(Protocol):
    """Tells when outputs that gather are to leave, though there may be more to come.

    Else what takes seconds to make ten thousand results would keep all of them, and who waits for
    the first of an endless row would wait for ever.
    """

    def begin(self) -> None:
        """Nothing has gathered: from now on."""

    def is_over(self) -> bool: ...


class Looks:
    """When outputs that gather are looked at: as soon as there are `next` of them, of which there
    are none for a `linger` of None."""

    __slots__ = ("linger", "next")

    def __init__(self, linger: Linger | None) -> None:
        self.linger = linger
        self.next = UNBOUNDED

    def begin(self, outputs: int = 0) -> None:
        """Begins to wait, with so many outputs."""
        if self.linger is not None:
            self.linger.begin()
            self.next = outputs + 1

    def are_late(self, outputs: int, far: int = FAR) -> bool:
        """Have so many outputs lain for so long that they are to leave?  If not, they are looked at
        again when there are twice as many, or `far` more."""
        if outputs < self.next or self.linger is None:
            return False
        if self.linger.is_over():
            return True
        self.next = outputs + min(outputs, far)
        return False


def chunks(results: Iterable[object], limit: int, linger: Linger | None) -> Iterator[list[object]]:
    """Gives results in lists of at most `limit`, and of those that came before `linger` was over.

    >>> list(chunks("abcde", 2, None))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    looks = Looks(linger)
    out: list[object] = []
    looks.begin()
    for result in results:
        out.append(result)
        if len(out) >= limit or looks.are_late(len(out)):
            yield out
            out = []
            looks.begin()
    if out:
        yield out
