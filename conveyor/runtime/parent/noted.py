"""What nodes note at a barrier, in the memory of the machine that they are on.

Knows: where they note it.  Must never know: when a barrier goes out, what is done with the notes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, NamedTuple

from conveyor.core.channel import Note
from conveyor.core.epochs import NodeState
from conveyor.errors import RunError
from conveyor.graph.topology import Kind
from conveyor.report import COUNTS
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.shm.layout import FIRST_RUN, KEPT
from conveyor.runtime.shm.state_store import APART

__all__ = ["Noted", "begin_from", "noted_at"]

BEFORE_IT: Final = FIRST_RUN + (1 << 32)  # no run of these workers has this number


class Noted(NamedTuple):
    """What one node noted at a barrier; `state` reads the state of its processor, packed, which
    nobody writes over before the next barrier."""

    counts: tuple[int, ...]
    positions: tuple[int, ...]
    state: Callable[[], bytes | None]
    clock: float

    def whole(self) -> NodeState:
        return NodeState(self.counts, self.positions, self.state(), self.clock)


def begin_from(known: Mapping[int, NodeState], shared: Shared) -> None:
    """Before any worker starts: barriers will come, and each of these nodes has what it knew."""
    shared.control.keep(True)
    for node, (counts, positions, state, clock) in known.items():
        spec = shared.topology.nodes[node]
        if spec.kind in (Kind.SOURCE, Kind.SINK):
            continue
        kept_of(shared, node).store((0, 0, 0, 0, *counts, round(clock * 1e9), *positions))
        shared.blocks[node].counts.store((FIRST_RUN, 0, 0, *counts))
        if state is not None:
            shared.memory.write_at(shared.layout.state_base(node), state)
            lies = 0, len(state), zlib.crc32(state)
            saved = Note(shared.layout.state(shared.memory, node))
            saved.store((BEFORE_IT, 0, 0, 0, *lies, *[0] * len(spec.inputs)))


def noted_at(number: int, shared: Shared, nodes: Iterable[int]) -> dict[int, Noted]:
    """What these nodes noted at a barrier that all have passed; one without a worker noted
    nothing."""
    found: dict[int, Noted] = {}
    for node in nodes:
        barrier, place, size, checksum, *rest = kept_of(shared, node).newest()
        if barrier == number:
            counts, positions = tuple(rest[:COUNTS]), tuple(rest[KEPT - 4 :])
            state = partial(state_at, shared, node, place, size, checksum)
            found[node] = Noted(counts, positions, state, rest[COUNTS] / 1e9)
    return found


def state_at(shared: Shared, node: int, place: int, size: int, checksum: int) -> bytes | None:
    """The state of a processor that lies there; None if it has none, or has saved none yet."""
    if not size:
        return None
    state = shared.memory.read_at(shared.layout.state_base(node) + place * APART, size)
    if zlib.crc32(state) != checksum:
        raise RunError(
            f"the state of stage {shared.topology.nodes[node].name!r} is damaged in shared memory"
        )
    return state


def kept_of(shared: Shared, node: int) -> Note:
    return Note(shared.layout.kept_at(shared.memory, node))
