"""How much of the input of a run that is recorded is looked at.

Knows: the clock.  Must never know: how an item is looked at, files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Final

from conveyor.items.fingerprint import Digest, Stretches

__all__ = ["GaugedDigest"]

SHARE: Final = 200  # of the time, what one part may go into looking at items
# That much of the time is granted at once, so that short runs are looked at as a whole.
AHEAD_NS: Final = 100_000_000
FEW: Final = 256  # items, about which that is decided


class GaugedDigest:
    """The digest of the input: of all items, as long as to look at them takes no more than half a
    hundredth of the time."""

    def __init__(self, clock: Callable[[], int] = perf_counter_ns) -> None:
        self.digest = Digest()
        self.clock = clock
        self.began = clock() - AHEAD_NS
        self.spent = 0
        self.decides_at = 0  # how many items
        self.looks = True
        self.told = 0

    def take(self, items: Sequence[object]) -> None:
        digest = self.digest
        if self.looks:
            started = self.clock()
            digest.add(items, True)
            self.spent += self.clock() - started
        else:
            digest.add(items, False)
        if digest.count >= self.decides_at:
            self.decides_at = digest.count + FEW
            self.looks = self.spent * SHARE <= self.clock() - self.began

    def news(self) -> tuple[Stretches, bytes]:
        """What was looked at since the last time, and the prints of the sample."""
        prints = bytes(self.digest.sample.prints[self.told :])
        self.told += len(prints)
        return self.digest.tell(), prints
