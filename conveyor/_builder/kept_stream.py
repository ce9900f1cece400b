"""A run that is kept in a checkpoint, and whose results the program takes and acknowledges.

Knows: which results came, were taken and acknowledged, and what a manifest says of them.  Must
never know: how an engine runs anything, or how a manifest is written.

Rule 1.  A manifest has what came before its barrier and was not acknowledged, as it was when it
         came; the next life begins with that.  So nothing depends on where a barrier falls between
         two results, and no result is made twice.
Rule 2.  What was acknowledged behind the barrier of the newest manifest is durable with a later
         one.  When the program leaves, the run goes on for that as far as the next barrier.
"""

from __future__ import annotations

import pickle
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from conveyor._builder.engine import manifests_in
from conveyor._builder.kept import KeptRun, check_checkpoint, described
from conveyor.core.epochs import Manifest, OwnManifests
from conveyor.items.sealed import PROTOCOL
from conveyor.transfer.contract import Source
from conveyor.transfer.drain import lazily

if TYPE_CHECKING:
    from conveyor._builder.checkpoint import Checkpoint
    from conveyor.core.engine import Engine
    from conveyor.graph.topology import Topology

__all__ = ["KeptStream", "kept_stream"]

THE_PROGRAM: Final = "the program, which acknowledges"


class Taker:
    """The program as a sink: it keeps what it has taken by itself."""

    def open(self, epoch: int, /) -> None: ...
    def write(self, items: Sequence[object], /) -> None: ...
    def prepare(self, epoch: int, /) -> None: ...
    def commit(self, epoch: int, /) -> None: ...
    def abort(self) -> None: ...
    def identity(self) -> str:
        return THE_PROGRAM


class Slice(NamedTuple):
    """Results that came at once, pickled: what the program does to them later does not show."""

    begin: int
    end: int
    data: bytes


class KeptStream(KeptRun):
    """One life of such a run; results are counted from its beginning."""

    def __init__(
        self, source: Source[Any, Any] | Iterable[Any], manifests: OwnManifests, every_s: float
    ) -> None:
        super().__init__(source, Taker(), manifests, every_s)
        self.lock = threading.RLock()  # a signal handler may acknowledge, too
        self.slices: deque[Slice] = deque()  # with what is not acknowledged
        self.came = self.given = self.acknowledged = 0
        self.newest = self.manifest  # that is durable
        self.earlier: list[object] = [] if self.manifest is None else left_in(self.manifest)
        self.take(self.earlier)
        self.kept_to = self.at_barrier = self.came  # results before that manifest, and the barrier
        self.kept_acknowledged = 0  # as that manifest says
        self.is_over = False

    def elsewhere(self, engine: Engine) -> Engine | None:
        """What this goes on in the place of an engine if there is nothing to run any more."""
        if self.manifest is None or not self.manifest.is_finished:
            return None
        from conveyor._builder.finished import Finished

        return Finished(engine, self, self.manifest.kept)

    def items(self) -> Iterable[Any]:
        """The items of this life."""
        rest = self.rest()
        return lazily(rest, self.begins_at, self.noted) if isinstance(rest, Source) else rest

    def take(self, results: Sequence[Any], /) -> None:
        """Results have come, which the program has not seen yet."""
        if results:
            data = pickle.dumps([*results], PROTOCOL)
            with self.lock:
                begin, self.came = self.came, self.came + len(results)
                self.slices.append(Slice(begin, self.came, data))

    def gave(self, results: Sequence[object], /) -> None:
        self.given += len(results)

    def mark(self) -> None:
        self.at_barrier = self.came

    def acknowledge(self, count: int) -> None:
        with self.lock:
            self.acknowledged = max(count, self.acknowledged)
            while self.slices and self.slices[0].end <= self.acknowledged:
                self.slices.popleft()
            if self.is_over and self.lacks():
                self.write_again()

    def over(self) -> None:
        with self.lock:
            self.is_over = True
        self.release()

    def lacks(self) -> bool:
        return self.acknowledged > self.kept_acknowledged

    def write_again(self) -> bool:
        with self.lock:  # another thread may do so, too, once the run is over
            newest = self.newest
            if newest is None or self.acknowledged > self.kept_to:
                return False
            self.write_up_to(newest._replace(epoch=self.epochs.epoch), self.kept_to)
            return True

    def write(self, manifest: Manifest) -> None:
        self.write_up_to(manifest, self.came if manifest.is_finished else self.at_barrier)

    def write_up_to(self, manifest: Manifest, upto: int) -> None:
        """Makes a manifest durable, with those of the first `upto` results that are not
        acknowledged."""
        with self.lock:
            acknowledged = min(self.acknowledged, upto)
            left = [each for each in self.slices if acknowledged < each.end <= upto]
        done = acknowledged - left[0].begin if left else 0
        results = {"done": done, "results": [each.data for each in left]}
        manifest = manifest._replace(kept={**manifest.kept, **results})
        super().write(manifest)
        self.newest, self.kept_to, self.kept_acknowledged = manifest, upto, acknowledged


def left_in(manifest: Manifest) -> list[object]:
    """The results of earlier lives that were not acknowledged."""
    slices: Any = manifest.kept["results"]
    done: Any = manifest.kept["done"]
    results: list[object] = [result for data in slices for result in pickle.loads(data)]
    return results[done:]


def kept_stream(
    call: str,
    topology: Topology,
    source: object,
    checkpoint: Checkpoint,
    record: object,
    engine: Engine,
) -> KeptStream:
    """A stream that goes on from the newest manifest of a checkpoint.

    Raises `TypeError` or `TopologyError` for what cannot be kept, `CheckpointMismatch` for the
    checkpoint of another run.
    """
    check_checkpoint(call, checkpoint)
    run = described(call, topology, source, THE_PROGRAM, record, engine)
    items: Any = source
    return KeptStream(items, manifests_in(checkpoint, run), checkpoint.every_s)
