"""How much waits before each worker, while all of them are at work.

Knows: rings that are read and written meanwhile.  Must never know: what is made of the figures.
"""

from __future__ import annotations

from typing import Final

from conveyor.errors import RunError
from conveyor.graph.topology import channels_of
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.shm.ring import RingState

__all__ = ["queued_before", "waiting_in"]

ATTEMPTS: Final = 3


def queued_before(shared: Shared) -> dict[int, int]:
    """How many items wait before each worker, by its node, and before the sink."""
    return {
        spec.index: sum(waiting_in(shared, channel) for channel in channels_of(spec.inputs))
        for spec in shared.topology.nodes[1:]
        if spec.within is None
    }


def waiting_in(shared: Shared, channel: int) -> int:
    """How many items are in a channel whose two ends are at work: none, if they are too quick to be
    read."""
    for _ in range(ATTEMPTS):
        try:
            return max(0, RingState(shared.rings[channel]).queued)
        except RunError:  # a record was written over while it was read
            continue
    return 0
