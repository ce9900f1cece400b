"""What a `Pipeline` asks of the engine that it runs on, whichever that is.

Knows: the calls, and which thread makes them.  Must never know: processes, machines, memory.

`Pipeline.run` and `Pipeline.stream` come down to four calls: `Engine.open` starts the workers of a
topology and gives a `Deployment`; that has `run`, `stream` and `close`.  Every call but
`StopToken.wake` and `StopToken.at_fork` comes from one thread at a time.  What an engine cannot do
it says in `open`, by a `TopologyError`, before anything has started.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from conveyor.core.keeping import Acknowledging, Keeping
from conveyor.drawing.figure import Figure
from conveyor.errors import ConveyorError
from conveyor.graph.pace import Paces
from conveyor.graph.topology import Topology
from conveyor.monitor.snapshot import Snapshot
from conveyor.progress import Tell
from conveyor.report import DeadLetter, Report, RunResult

__all__ = [
    "AcknowledgedRun",
    "ChoosesLanes",
    "Deployment",
    "Engine",
    "Give",
    "KeepsCheckpoints",
    "Monitor",
    "RunOptions",
    "StopToken",
    "StreamedRun",
    "WorkerStart",
]


class WorkerStart(Protocol):
    """How the workers of a pipeline begin, as the program has chosen it: the start method of their
    processes (None: the engine's own), what is called first in each of them, and the modules that
    are imported once for all."""

    @property
    def method(self) -> str | None: ...
    @property
    def initializer(self) -> Callable[[], object] | None: ...
    @property
    def preload(self) -> tuple[str, ...]: ...


class Monitor(Protocol):
    """Shows one run to those who look.  It waits for none of them; `show` may be called in any
    thread."""

    @property
    def url(self) -> str:
        """Where it is seen, once it is open."""
        ...

    @property
    def is_watched(self) -> bool:
        """Is it worth while to show anything now?"""
        ...

    def open(self) -> None:
        """Lets others look.  Raises `OSError` if that cannot be."""
        ...

    def draw(self, figure: Figure, channels: int) -> None:
        """Says which graph it is that runs; its last arrows are the channels."""
        ...

    def show(self, snapshot: Snapshot) -> None:
        """Shows how the run goes now."""
        ...

    def close(self) -> None:
        """Is gone, a moment after the last look.  Does nothing the second time."""
        ...


class Give(Protocol):
    """Is told of results as they are handed to the program."""

    def __call__(self, results: Sequence[object], /) -> None: ...


class RunOptions(NamedTuple):
    """What a caller may want of one run: `record` is the path of the file that it is recorded in;
    `progress` is told how far it has come, twice a second and at its end, in the calling thread
    unless `in_any_thread`; `take` is given the results of `run` slice by slice, in one thread at a
    time, and the `RunResult` has none then; `monitor` is open, and shown the run as often as
    `progress` is told; `trace` is the path of the file in which the run is traced."""

    record: str | None = None
    progress: Tell | None = None
    in_any_thread: bool = False
    take: Give | None = None
    monitor: Monitor | None = None
    trace: str | None = None
    keeping: Keeping | None = None
    acknowledging: Acknowledging | None = None  # the same as `keeping`, of a stream


class StopToken(Protocol):
    """The wish that one run may end before its time, as the run sees it.

    A deployment sets `wake` to what ends the sleep of the thread that runs, and `at_fork` to what
    a process must forget that is forked meanwhile; both are called from any thread, or from a
    signal handler.
    """

    error: ConveyorError | None
    wake: Callable[[], None]
    at_fork: Callable[[], None]

    @property
    def busy(self) -> bool:
        """Is a thread inside the run, or may one be in a moment?"""
        ...

    def check(self) -> None:
        """Raises `error` if the run is to end."""
        ...

    def is_ours(self) -> bool:
        """Did this process begin the run, and not one that this process was forked from?"""
        ...

    def release(self, error: BaseException) -> None:
        """The run has ended with `error`, though the thread that runs is still inside its source:
        lets others go on that wait for the end."""
        ...


class StreamedRun(Protocol):
    """A run whose results are asked for one by one."""

    @property
    def give(self) -> Give | None:
        """What is to be called with results as they are handed out; None: nothing."""
        ...

    @property
    def source_error(self) -> BaseException | None:
        """What the iterable of items raised; it is raised again behind the last result."""
        ...

    def advance(self) -> bool:
        """Puts at least one result where they were asked for, or waits; True: the run is over.

        Raises the failure of a job, or a `RunError`.
        """
        ...

    def report(self) -> Report:
        """How the run goes, or went."""
        ...

    def letters(self) -> tuple[DeadLetter, ...]:
        """The items that were given up so far, ordered by stage, then by ordinal."""
        ...

    def end(self, failed: bool, error: BaseException | None) -> Report:
        """Ends the run, and with `failed` the workers; gives the last report.

        `error` is what the reader is told, None if it took all results or closed the stream.
        """
        ...


@runtime_checkable
class AcknowledgedRun(Protocol):
    """What a `StreamedRun` is, too, that can be kept in a checkpoint."""

    @property
    def acknowledging(self) -> Acknowledging | None:
        """What is told of results that the program acknowledges; None: this one is not kept."""
        ...

    def leave(self) -> None:
        """Comes before `end` where the program ends by itself a run that it acknowledges: makes
        durable what it has, for which the run goes on as far as a barrier.  Raises as `advance`."""
        ...


class Deployment(Protocol):
    """A pipeline that is open on an engine: its workers, kept from run to run."""

    def run(
        self, items: Iterable[object], stop: StopToken, options: RunOptions
    ) -> RunResult[object]:
        """All outputs of one run to the end of `items`, which are iterated in the calling thread.

        Raises what ended the run early; the workers are then gone.
        """
        ...

    def stream(
        self,
        items: Iterable[object],
        stop: StopToken,
        options: RunOptions,
        results: deque[object],
    ) -> StreamedRun:
        """Begins a run that appends to `results`, and goes on only while those are empty."""
        ...

    def paces(self) -> Paces:
        """What its runs have told of the stages, for the next deployment of the same pipeline."""
        ...

    def is_outdated(self) -> bool:
        """Would workers started now behave otherwise, since the program has changed its code?"""
        ...

    def is_busy(self) -> bool:
        """Is a thread inside `run`, or inside `next()` of a stream?"""
        ...

    def close(self) -> None:
        """Ends the workers and gives back what they had.  Does nothing the second time.

        In a process that was forked it frees this process's copies, and ends nothing.  Raises what
        a job's `teardown` raised.
        """
        ...


class Engine(Protocol):
    """A place where pipelines run: this machine, or others.

    Engines that are equal (`==`) place the workers of a pipeline alike: what one has opened serves
    for the other, too.
    """

    def lanes(self) -> int:
        """How many lanes a fork that adapts is worth at the most: the physical cores; 1 at
        least."""
        ...

    def begun_by(self, start: WorkerStart) -> Engine:
        """The same engine for a pipeline whose workers begin like that.

        Raises `TopologyError` for what this engine cannot do, such as a start method.
        """
        ...

    def open(self, topology: Topology, paces: Paces) -> Deployment:
        """Starts the workers of a pipeline; `paces` is what earlier deployments of it have told.

        Raises `TopologyError` for what this engine cannot do, such as a core or a start method
        that it does not have, and a `RunError` if a worker cannot be started.  Nothing is left
        running then.
        """
        ...


@runtime_checkable
class ChoosesLanes(Protocol):
    """An engine for which a program can say on how many lanes a stage is to be."""

    def lanes_of(self, stage: str) -> int | None:
        """How many lanes the fork that adapts around this stage has; None: as many as `lanes`."""
        ...


@runtime_checkable
class KeepsCheckpoints(Protocol):
    """An engine whose runs can be kept in a checkpoint."""

    def open_kept(self, topology: Topology, paces: Paces, keeping: Keeping | None) -> Deployment:
        """Opens as `open` does, for one run, which goes on where `keeping` says."""
        ...
