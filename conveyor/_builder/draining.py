"""A pipeline between a source and a sink.

Knows: a run that hands its results on, and what comes before and after it.  Must never know: any
store, or how an engine runs anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any, Generic, overload

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from conveyor._builder.running import Running
from conveyor.core.lifecycle import Call
from conveyor.signatures import Undeclared

if TYPE_CHECKING:
    from conveyor._builder.checkpoint import Checkpoint
    from conveyor._builder.engine import Placement
    from conveyor._builder.kept import KeptRun
    from conveyor._builder.running import HowToRun
    from conveyor.core.engine import Engine
    from conveyor.progress import Progress
    from conveyor.report import Report, RunResult
    from conveyor.signatures import A1, A2, AddAStageFirst, JoinTheOpenLanesFirst, Left
    from conveyor.transfer.contract import Sink, Source
    from conveyor.transfer.drain import Take

__all__ = ["Draining"]

In = TypeVar("In", default=Undeclared)
Row = TypeVarTuple("Row", default=Unpack[tuple[Any, ...]])  # the open lanes, from left to right
Out = TypeVar("Out")


class Draining(Running[In, *Row], Generic[In, *Row]):
    """What runs the rows from a source into a sink."""

    @overload
    def drain(
        self: Draining[In, Out],
        source: Source[In, Any] | Iterable[In],
        *,
        into: Sink[Out],
        checkpoint: Checkpoint | None = None,
        **options: Unpack[HowToRun],
    ) -> Report: ...
    @overload
    def drain(
        self: Draining[Undeclared, *tuple[()]],
        source: Source[Any, Any] | Iterable[Any],
        *,
        into: Sink[Any],
        checkpoint: Checkpoint | None = None,
        **options: Unpack[HowToRun],
    ) -> Report: ...
    @overload
    def drain(
        self: Draining[In, *tuple[()]], source: AddAStageFirst, *, into: Sink[Any]
    ) -> Report: ...
    @overload
    def drain(
        self: Draining[In, A1, A2, *Left], source: JoinTheOpenLanesFirst, *, into: Sink[Any]
    ) -> Report: ...
    def drain(
        self,
        source: Any,
        *,
        into: Sink[Any],
        placement: Placement | None = None,
        record: str | PathLike[str] | None = None,
        progress: bool | Callable[[Progress], object] = False,
        monitor: str | None = None,
        engine: Engine | None = None,
        trace: str | PathLike[str] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Report:
        """Runs to the end of `source` as `run` does, with its options, and hands all results to the
        sink `into`; keeps none, and gives the report.

        `source` is a `Source` or any iterable.  The sink has everything once this returns.  Raises
        what `run` raises, or what source or sink raised; the sink is then told to abort.

        With `checkpoint` the run is kept there, and goes on from there when it is called again; a
        run that has finished gives the report that was kept.  Raises `CheckpointMismatch` for the
        checkpoint of another run, `TopologyError` for a stage or an engine that cannot be kept.

        >>> from tempfile import TemporaryDirectory
        >>> from conveyor import Pipeline, Processor
        >>> from conveyor.io import Lines
        >>> with TemporaryDirectory() as folder:
        ...     out = Lines(f"{folder}/out.txt")
        ...     report = Pipeline[str]().add(Processor(str.upper)).drain(["a", "b"], into=out)
        ...     print(report.stages["upper"].items_out, list(out))
        2 ['A', 'B']
        """
        from conveyor.transfer.drain import check_ends, drained

        check_ends(source, into)
        where, wanted = self._asked_for(
            "drain()", engine, placement, record, progress, monitor, trace
        )
        self._session.check(Call.START)
        self._warn("drain()", source)
        kept = self._kept(source, into, checkpoint, where, record)

        def run(items: Iterable[Any], take: Take) -> RunResult[object]:
            options = wanted._replace(take=take, keeping=kept)
            return self._session.run(self._compiled_for, where, items, options)

        try:
            return drained(source, into, run).report if kept is None else kept.drained(run)
        finally:
            del source, into  # an error that is kept keeps this frame

    def _kept(
        self,
        source: Any,
        sink: Sink[Any],
        checkpoint: Checkpoint | None,
        where: Engine | None,
        record: object,
    ) -> KeptRun | None:
        """The run as it is kept in a checkpoint, if it is; refused where it could not go on."""
        if checkpoint is None:
            return None
        from conveyor._builder.engine import manifests_in
        from conveyor._builder.kept import KeptRun, check_checkpoint, described, undoable

        check_checkpoint("drain", checkpoint)
        engine = where or self._session.deployed_on or self._session.engine
        topology = self._compiled_for(engine)
        run = described("drain", topology, source, sink.identity(), record, engine)
        undo = undoable(sink) if checkpoint.fresh else None
        manifests = manifests_in(checkpoint, run)
        if undo is not None:
            undo.discard()
        return KeptRun(source, sink, manifests, checkpoint.every_s)
