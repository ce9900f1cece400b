"""What nodes note at a barrier, in the memory of the machine that they are on.

Knows: where they note it.  Must never know: when a barrier goes out, what is done with the notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from conveyor.core.channel import Note
from conveyor.core.epochs import NodeState
from conveyor.core.log_places import Lies
from conveyor.core.set_aside import ZipState, begin_zip
from conveyor.graph.topology import Kind, NodeSpec, zips_of
from conveyor.report import COUNTS, Tally
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.shm.endpoints import places_of_zip
from conveyor.runtime.shm.layout import FIRST_RUN, KEPT, WORDS_OF_ZIP
from conveyor.runtime.shm.state_store import places_of_state

__all__ = ["Noted", "begin_from", "note_end", "noted_at"]

BEFORE_IT: Final = FIRST_RUN + (1 << 32)  # no run of these workers has this number


class Noted(NamedTuple):
    """What one node noted at a barrier; `state` reads the state of its processor, packed, which
    nobody writes over before the next barrier, and `zips` what its zips knew."""

    counts: tuple[int, ...]
    positions: tuple[int, ...]
    state: Callable[[], bytes | None]
    clock: float
    zips: Callable[[], Mapping[str, ZipState]]

    def whole(self) -> NodeState:
        return NodeState(self.counts, self.positions, self.state(), self.clock, self.zips())

    @classmethod
    def of(cls, known: NodeState) -> Noted:
        """The same of what was read elsewhere."""
        counts, positions, state, clock, zips = known
        return cls(counts, positions, lambda: state, clock, lambda: zips)


def begin_from(known: Mapping[int, NodeState], shared: Shared) -> None:
    """Before any worker starts: barriers will come, and each of these nodes has what it knew."""
    shared.control.keep(True)
    memory, layout = shared.memory, shared.layout
    for node, (counts, positions, state, clock, zips) in known.items():
        spec = shared.topology.nodes[node]
        for name, zipped in zips.items():
            note, places = Note(layout.zip(memory, name)), places_of_zip(layout, memory, spec, name)
            begin_zip(note, dict(zips_of(spec.inputs))[name], places, FIRST_RUN, zipped)
        if spec.kind in (Kind.SOURCE, Kind.SINK):
            continue
        kept_of(shared, node).store((0, 0, 0, 0, *counts, round(clock * 1e9), *positions))
        shared.blocks[node].counts.store((FIRST_RUN, 0, 0, *counts))
        if state is not None:
            lies = places_of_state(spec.name, memory, layout.state_base(node)).begin(state)
            saved = Note(layout.state(memory, node))
            saved.store((BEFORE_IT, 0, 0, 0, *lies, *[0] * len(spec.inputs)))


def note_end(
    number: int, shared: Shared, spec: NodeSpec, tally: Tally, zips: Sequence[int] = ()
) -> None:
    """Notes what the source or the sink knows, which are stepped in this process."""
    unknown = [0] * (1 + (len(spec.inputs) or 1))  # its clock, and its positions
    kept_of(shared, spec.index).store((number, 0, 0, 0, *tally.counts(), *unknown, *zips))


def noted_at(number: int, shared: Shared, nodes: Iterable[int]) -> dict[int, Noted]:
    """What these nodes noted at a barrier that all have passed; one without a worker noted
    nothing."""
    found: dict[int, Noted] = {}
    for node in nodes:
        barrier, place, size, checksum, *rest = kept_of(shared, node).newest()
        if barrier == number:
            counts, behind = tuple(rest[:COUNTS]), rest[KEPT - 4 :]
            spec = shared.topology.nodes[node]
            inputs = len(spec.inputs) or 1
            state = partial(state_at, shared, spec, Lies(place, size, checksum))
            zips = partial(zips_at, shared, spec, behind[inputs:])
            positions, clock = tuple(behind[:inputs]), rest[COUNTS] / 1e9
            found[node] = Noted(counts, positions, state, clock, zips)
    return found


def state_at(shared: Shared, spec: NodeSpec, lies: Lies) -> bytes | None:
    """The state of a processor that lies there; None if it has none, or has saved none yet."""
    if not lies.size:
        return None
    base = shared.layout.state_base(spec.index)
    return places_of_state(spec.name, shared.memory, base).read(lies)


def zips_at(shared: Shared, spec: NodeSpec, words: Sequence[int]) -> dict[str, ZipState]:
    """What the zips of a node knew that noted these words."""
    found: dict[str, ZipState] = {}
    for number, (name, _) in enumerate(zips_of(spec.inputs)):
        first = number * WORDS_OF_ZIP
        tuples, left_over, *where = words[first : first + WORDS_OF_ZIP]
        lies, places = Lies(*where), places_of_zip(shared.layout, shared.memory, spec, name)
        found[name] = ZipState(tuples, left_over, places.read(lies) if lies.size else None)
    return found


def kept_of(shared: Shared, node: int) -> Note:
    return Note(shared.layout.kept_at(shared.memory, node))
