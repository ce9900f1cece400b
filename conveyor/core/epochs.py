"""How an epoch of a run becomes durable, and where a run goes on that died.

Knows: the order of the steps.  Must never know: what a disk is, how a sink keeps what it is given.

An epoch is what came out between two barriers.  Once the last node has passed the barrier behind
it, all nodes have kept what they know at that barrier.

Rule 1.  The sink prepares an epoch before its manifest is written, and commits it afterwards.  So
         there is one moment at which it comes to count: that at which the manifest is there.
Rule 2.  A sink that keeps results and the number of their epoch in one transaction prepares
         nothing.  If it died before it committed, the run goes on from the manifest before: so that
         one is kept until the sink has committed.
Rule 3.  A sink that was prepared for an epoch whose manifest is there commits it, be it again; what
         it has of later epochs is thrown away when it is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from conveyor.core.set_aside import ZipState
from conveyor.errors import CheckpointMismatch
from conveyor.graph.route import Select
from conveyor.graph.topology import Kind, NodeSpec
from conveyor.report import DeadLetter

__all__ = [
    "EpochSink",
    "Epochs",
    "Manifest",
    "Manifests",
    "NodeState",
    "OwnManifests",
    "letters_before",
]

ITEMS_IN: Final = 0  # where these are among the counts of a node
ITEMS_OUT: Final = 1


class NodeState(NamedTuple):
    """What one node knew at a barrier: its counts, how far it had read each input, the state of its
    processor, packed, if that has one, the moment: in seconds for which the run was under way, in
    all of its lives, as moments in the state are; and what each of its zips knew, by its name."""

    counts: tuple[int, ...]
    positions: tuple[int, ...]
    state: bytes | None = None
    clock: float = 0.0
    zips: Mapping[str, ZipState] = {}


class Manifest(NamedTuple):
    """Where a run stands behind an epoch: where the source goes on, and what each node knew.

    `kept` is what else is to be known of it: the world writes it and reads it.
    """

    epoch: int
    position: object
    nodes: Mapping[int, NodeState]
    is_finished: bool = False
    kept: Mapping[str, object] = {}


def letters_before(
    letters: Iterable[DeadLetter], specs: Sequence[NodeSpec], counts: Mapping[int, Sequence[int]]
) -> tuple[DeadLetter, ...]:
    """Those of items that were given up before their stage or fork came to a barrier, where each
    node had these counts."""
    came: dict[str, int] = {}
    for spec in specs:
        if spec.kind not in (Kind.SOURCE, Kind.SINK) and spec.index in counts:
            came[spec.name] = counts[spec.index][ITEMS_IN]
        if isinstance(spec.route, Select) and spec.owner in counts:
            came[spec.route.name] = counts[spec.owner][ITEMS_OUT]
    return tuple(it for it in letters if it.stage not in came or it.ordinal < came[it.stage])


class EpochSink(Protocol):
    """What is asked of a sink, but for its results."""

    def open(self, epoch: int, /) -> int | None: ...
    def prepare(self, epoch: int, /) -> None: ...
    def commit(self, epoch: int, /) -> None: ...


class Manifests(Protocol):
    """Where manifests are kept."""

    def newest(self) -> Sequence[Manifest]:
        """Those that are there as a whole, the newest first."""
        ...

    def write(self, manifest: Manifest) -> None:
        """Keeps it: as a whole, or not at all."""
        ...

    def forget(self, before: int) -> None:
        """Those of earlier epochs than this are not needed any more."""
        ...


class OwnManifests(Manifests, Protocol):
    """Manifests that are one program's at a time."""

    @property
    def release(self) -> Callable[[], object]:
        """Lets another program have them."""
        ...


class Epochs:
    """The epochs of one run; `epoch` is the one under way."""

    def __init__(self, manifests: Manifests, sink: EpochSink) -> None:
        self.manifests = manifests
        self.sink = sink
        self.epoch = 0

    def resume(self) -> Manifest | None:
        """Opens the sink, and gives where to go on; None: at the beginning.

        Raises `CheckpointMismatch` if what the sink holds does not fit.
        """
        manifests = self.manifests.newest()
        newest = manifests[0] if manifests else None
        last = -1 if newest is None else newest.epoch
        held = self.sink.open(last + 1)
        self.epoch = last + 1
        if held is None:
            if newest is not None:
                self.sink.commit(last)
            return newest
        if held == last:
            return newest
        before = manifests[1] if len(manifests) > 1 else None
        if newest is None or held != last - 1 or held != (-1 if before is None else before.epoch):
            raise CheckpointMismatch(
                f"the sink holds epoch {held}, and the checkpoint ends with epoch {last}: they are "
                "not of the same run; give both anew, or begin again with fresh=True"
            )
        self.epoch = last
        self.sink.open(last)
        return before

    def complete(self, manifest: Manifest) -> None:
        """Makes the epoch under way durable; all that was written to the sink belongs to it."""
        epoch = self.epoch
        assert manifest.epoch == epoch
        self.sink.prepare(epoch)
        self.manifests.write(manifest)
        self.sink.commit(epoch)
        self.manifests.forget(epoch)
        self.epoch = epoch + 1
