"""A run from a source into a sink that is kept in a checkpoint.

Knows: the order of the calls to source, sink and manifests.  Must never know: how an engine runs
anything, or how a manifest is written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any, Final

from conveyor._builder.checkpoint import Checkpoint
from conveyor.core.channel import UNBOUNDED
from conveyor.core.engine import Engine, KeepsCheckpoints
from conveyor.core.epochs import Epochs, Manifest, NodeState, OwnManifests
from conveyor.core.keeping import Windows, ends
from conveyor.errors import TopologyError
from conveyor.graph.keeping import check_can_be_kept
from conveyor.graph.topology import Topology
from conveyor.report import DeadLetter, Report, RunResult
from conveyor.transfer.contract import Forgetful, Sink, Source, Undoable
from conveyor.transfer.drain import NO_ABORT, Take, beside, opened

__all__ = ["KeptRun", "check_checkpoint", "described", "undoable"]

FIRST_WINDOW: Final = 16  # items; it doubles with each barrier that comes through in time


class KeptRun:
    """One life of such a run, or several: each goes on from the newest manifest, and writes more of
    them."""

    in_memory = False

    def __init__(
        self,
        source: Source[Any, Any] | Iterable[Any],
        sink: Sink[Any],
        manifests: OwnManifests,
        every_s: float,
    ) -> None:
        self.source = source
        self.sink = sink
        self.every_s = every_s
        self.goes_on: Callable[[BaseException], bool] = ends
        self.source_open = ExitStack()  # its end closes the source
        self.epochs = Epochs(manifests, sink)
        self.release = manifests.release
        try:
            self.go_back()
        except BaseException:
            self.release()
            raise

    def go_back(self) -> None:
        """A life begins: behind the newest epoch."""
        self.manifest = self.epochs.resume()
        # Behind each item that was given in this life, from the one with the number `first` on.
        self.positions: deque[Any] = deque()
        self.first = 0
        self.last: Any = self.begins_at  # the position behind the items before that
        self.ended_at: Any = None
        self.held: list[Sequence[Any]] | None = None  # results that may not be written yet
        self.durable: Any = None  # the position behind the newest epoch that is

    @property
    def windows(self) -> Windows:
        """What is on its way takes about a quarter of the time after which the run is kept."""
        return Windows(FIRST_WINDOW, 1, UNBOUNDED, self.every_s / 8, self.every_s / 8)

    @property
    def stands_at(self) -> str:
        if self.manifest is None:
            return "from its beginning, as no epoch was durable yet"
        return f"behind epoch {self.manifest.epoch} of its checkpoint"

    @property
    def begins_at(self) -> Any:
        return None if self.manifest is None else self.manifest.position

    def rest(self) -> Source[Any, Any] | Iterable[Any]:
        """What the items of this life are taken from; a source is opened where it begins."""
        source, begin = self.source, self.begins_at
        if isinstance(source, Source):
            return source
        if isinstance(source, list | tuple | range):
            return source[begin:] if begin else source
        return islice(iter(source), begin, None)

    def opened(self) -> Iterable[Any]:
        """The items of this life, of a source that is open until `source_open` ends."""
        return self.source_open.enter_context(opened(self.rest(), self.begins_at, self.noted))

    def begin_again(self) -> Iterable[Any]:
        """Goes on as another program would that finds the checkpoint: what the sink has of the
        epoch under way is given up, and the source is opened again."""
        self.source_open.close()
        self.sink.abort()
        self.go_back()
        return self.opened()

    def noted(self, found: Iterator[tuple[Any, Any]]) -> Iterator[Any]:
        for item, position in found:
            self.positions.append(position)
            yield item

    def position(self, items: int) -> Any:
        """Where the source goes on behind so many items of this life."""
        if not isinstance(self.source, Source):
            return (self.begins_at or 0) + items
        while self.first < items:
            self.last = self.positions.popleft()
            self.first += 1
        return self.last

    def note(
        self, items: int, nodes: Mapping[int, NodeState], letters: Sequence[DeadLetter]
    ) -> None:
        """Does nothing: it goes on from what is durable."""

    def complete(
        self,
        items: int,
        nodes: Mapping[int, NodeState],
        letters: Sequence[DeadLetter],
        is_finished: bool,
    ) -> None:
        position = self.position(items)
        if is_finished:
            self.ended_at = position
            return
        kept = {"letters": tuple(letters)}
        self.write(Manifest(self.epochs.epoch, position, nodes, False, kept))
        self.durable = position

    def finish(self, report: Report, letters: Sequence[DeadLetter]) -> None:
        """All results are where they belong, and `complete` was told so: makes that durable."""
        kept = {"letters": tuple(letters), "report": report}
        self.write(Manifest(self.epochs.epoch, self.ended_at, {}, True, kept))
        self.forget(self.ended_at)

    def write(self, manifest: Manifest) -> None:
        self.epochs.complete(manifest)

    def mark(self) -> None:
        """Does nothing: all that has come out is with the sink."""

    def hold(self) -> None:
        self.held = []

    def go_on(self) -> None:
        held, self.held = self.held or [], None
        for results in held:
            self.sink.write(results)
        self.forget(self.durable)

    def take(self, results: Sequence[Any], /) -> None:
        """Results are written, or kept back while an epoch is made durable."""
        if self.held is None:
            self.sink.write(results)
        else:
            self.held.append([*results])

    def forget(self, position: Any) -> None:
        if isinstance(self.source, Forgetful) and position is not None:
            self.source.forget(position)

    def drained(self, run: Callable[[Iterable[Any], Take], RunResult[object]]) -> Report:
        """Runs to the end; gives the report, or the one that was kept if that was done before."""
        try:
            return self.report_of(run)
        finally:
            self.release()

    def report_of(self, run: Callable[[Iterable[Any], Take], RunResult[object]]) -> Report:
        if self.manifest is not None and self.manifest.is_finished:
            report = self.manifest.kept["report"]
            assert isinstance(report, Report)
            return report
        try:
            with self.source_open:
                report = run(self.opened(), self.take).report
            self.finish(report, ())
        except BaseException as error:
            beside(error, self.sink.abort, NO_ABORT)
            raise
        return report


def described(
    call: str, topology: Topology, source: object, sink: str, record: object, engine: Engine
) -> dict[str, object]:
    """Names what is run, so that a checkpoint of another run is refused.

    Raises `TypeError` or `TopologyError` for what cannot be kept.
    """
    if record is not None:
        raise TypeError(
            f"{call}(checkpoint=...): a run that is kept cannot be recorded, as it may begin in "
            "the middle; leave out record="
        )
    check_engine(engine)
    check_can_be_kept(topology)
    return {
        "stages": [f"{each.name} ({each.kind})" for each in topology.stages],
        "workers": [each.name for each in topology.nodes],
        "source": check_can_be_asked_again(call, source),
        "sink": sink,
    }


def check_checkpoint(call: str, checkpoint: object) -> None:
    """Raises `TypeError` for what is no checkpoint, such as the name of its directory."""
    if not isinstance(checkpoint, Checkpoint):
        raise TypeError(
            f"{call}(checkpoint=...) takes a Checkpoint, such as Checkpoint('state/'), not "
            f"{checkpoint!r}"
        )


def check_can_be_asked_again(call: str, source: object) -> str:
    """Names what is read.

    Raises `TypeError` for an iterator, which is used up when a run dies, and for a set, whose order
    goes with the process.
    """
    if isinstance(source, Source):
        return source.identity()
    kind = type(source).__name__
    if isinstance(source, Iterator):
        raise TypeError(
            f"{call}(checkpoint=...): {kind} is an iterator, which cannot be asked "
            "again for the items of a run that died; give a sequence, an iterable that makes a new "
            "iterator each time, or a Source"
        )
    if isinstance(source, set | frozenset):
        raise TypeError(
            f"{call}(checkpoint=...): a {kind} may have another order in each process, so it "
            "cannot be asked for the items behind those that are done; give a list, such as "
            "sorted(items)"
        )
    if not isinstance(source, Iterable):
        raise TypeError(
            f"{call}(checkpoint=...) takes a Source or an iterable of items, not {kind}, which "
            "cannot be asked again for the items of a run that died"
        )
    return f"items of a {kind}"


def undoable(sink: object) -> Undoable:
    """The sink, if it can begin again; raises `TypeError` for one that cannot."""
    if not isinstance(sink, Undoable):
        raise TypeError(
            f"Checkpoint(fresh=True): a {type(sink).__name__} cannot take back what it was given: "
            "it has no discard(). Empty its store and the directory of the checkpoint yourself"
        )
    return sink


def check_engine(engine: object) -> None:
    """Raises `TopologyError` for an engine whose runs cannot be kept."""
    if not isinstance(engine, KeepsCheckpoints):
        raise TopologyError(
            f"engine {engine!r} cannot keep a run in a checkpoint yet: leave out checkpoint=, or "
            "run on this machine, without engine="
        )
