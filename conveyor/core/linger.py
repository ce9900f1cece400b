"""How long outputs may gather before they are given out.

Knows: that somebody can tell when it has been long enough.  Must never know: a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from conveyor.core.channel import UNBOUNDED

__all__ = ["FAR", "Linger", "chunks", "first_look"]

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


def first_look(linger: Linger | None, outputs: int = 0) -> int:
    """Begins to wait, with so many outputs: from how many on `linger` is to be asked."""
    if linger is None:
        return UNBOUNDED
    linger.begin()
    return outputs + 1


def chunks(results: Iterable[object], limit: int, linger: Linger | None) -> Iterator[list[object]]:
    """Gives results in lists of at most `limit`, and of those that came before `linger` was over.

    >>> list(chunks("abcde", 2, None))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    out: list[object] = []
    look = first_look(linger)
    for result in results:
        out.append(result)
        is_late = len(out) >= look and linger is not None and linger.is_over()
        if len(out) >= limit or is_late:
            yield out
            out, look = [], first_look(linger)
        elif len(out) >= look:
            look += min(look, FAR)
    if out:
        yield out
