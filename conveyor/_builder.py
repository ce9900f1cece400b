"""A pipeline at work: rows of stages are taken one after the other, and run in one of the two
worlds.

Knows: both worlds, and which call is for which.  Must never know: what goes on in either, or which
rows a checker accepts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from os import PathLike
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypedDict, overload

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from conveyor._lifecycle import Call
from conveyor.errors import ImplicitPipeWarning, ScheduleMismatch, TopologyError
from conveyor.signatures import Undeclared

# A world is imported when it is first run in; and what builds, when a pipeline is first built: a
# worker that imports the module of its job imports this with it, and never builds any.
if TYPE_CHECKING:
    from conveyor.graph.topology import Topology
    from conveyor.recording.reader import Recording
    from conveyor.report import RunResult
    from conveyor.runtime.parent.runner import Runner
    from conveyor.runtime.parent.stream import Stream
    from conveyor.runtime.placement import Placement
    from conveyor.runtime.process.start import StartMethod
    from conveyor.signatures import A1, A2, AddAStageFirst, JoinTheOpenLanesFirst, Left
    from conveyor.sim.faults import Faults
    from conveyor.sim.schedule import Schedule
    from conveyor.sim.schedulers.scheduler import Scheduler
    from conveyor.sim.search.api import Strategy
    from conveyor.sim.search.exploration import Exploration
    from conveyor.sim.search.simulation import Simulation

    class HowToRun(TypedDict, total=False):
        """The options of `run` and `stream`, as they stand there."""

        placement: Placement | None
        record: str | PathLike[str] | None

    class HowToSimulate(TypedDict, total=False):
        """The options of `simulate`, as they stand there."""

        seed: int
        scheduler: Scheduler | None
        faults: Faults | None
        copy: bool
        lanes: int | None

    class HowToExplore(TypedDict, total=False):
        """The options of `explore`, as they stand there."""

        strategy: Strategy | Scheduler
        schedules: int
        seconds: float | None
        seed: int
        faults: Faults | None
        start: Said | None
        copy: bool
        lanes: int | None


__all__ = ["Builder"]

In = TypeVar("In", default=Undeclared)
Row = TypeVarTuple("Row", default=Unpack[tuple[Any, ...]])  # the open lanes, from left to right
Out = TypeVar("Out")

Said: TypeAlias = "str | PathLike[str]"  # a schedule as text, or the file of a recording


def schedule_of(said: Said, what: str) -> Schedule | Recording:
    """The schedule that a text says, or that a file has recorded; raises `ScheduleMismatch` if
    there is neither."""
    from pathlib import Path

    from conveyor.recording.reader import Recording
    from conveyor.sim.schedule import VERSION, Schedule
    from conveyor.sim.search.api import must_be

    must_be(str | PathLike, said, what)
    if isinstance(said, str) and said.startswith(VERSION):
        return Schedule.parse(said)
    try:
        data = Path(said).read_bytes()
    except OSError as error:
        raise ScheduleMismatch(
            f"{str(said)[:80]!r} is no schedule: it must begin with {VERSION!r}, or name the file of a recording, which "
            f"cannot be read: {error.strerror}"
        ) from None
    return Recording.read(data, str(said))


class Builder(Generic[In, *Row]):
    """What a `Pipeline` does; how its lanes' types follow from its stages is said there."""

    def __init__(self, *, strict: bool = False, start_method: StartMethod | None = None) -> None:
        from conveyor.graph.draft import Draft
        from conveyor.runtime.parent.session import Session

        self._draft = Draft(strict=strict)
        self._start_method = start_method
        self._session = Session()

    def _add(self, stages: tuple[Any, ...]) -> Self:
        from conveyor.graph.draft import implicit_pipes
        from conveyor.typecheck.stage_types import declared_input

        self._session.check(Call.ADD)
        if any(isinstance(stage, Builder) for stage in stages):
            raise TopologyError(
                f"row {self._draft.rows + 1}: a pipeline is not a stage; to use the same stages several times write a "
                "function that adds them: def cleaned(pl): return pl.add(...).add(...)"
            )
        before = (
            self._draft if self._draft.rows else self._draft.declare(declared_input(self, Builder))
        )
        after = before.add(stages)
        if before.strict:
            for sentence in implicit_pipes(before, after):
                warnings.warn(sentence, ImplicitPipeWarning, stacklevel=3)
        self._draft = after
        return self

    def __repr__(self) -> str:
        return f"Pipeline({self._draft})"

    @property
    def topology(self) -> Topology:
        """The frozen graph of what `run` executes.  Raises `TopologyError` if the pipeline is not
        complete."""
        from conveyor.graph.compiler import compile_topology
        from conveyor.runtime.placement import usable_physical_cores

        self._draft.check_complete("topology")
        return compile_topology(self._draft, usable_physical_cores())

    @overload
    def run(
        self: Builder[In, Out],
        items: Iterable[In],
        *,
        placement: Placement | None = None,
        record: str | PathLike[str] | None = None,
    ) -> RunResult[Out]: ...
    @overload
    def run(
        self: Builder[Undeclared, *tuple[()]], items: Iterable[Any], **options: Unpack[HowToRun]
    ) -> RunResult[Any]: ...
    @overload
    def run(self: Builder[In, *tuple[()]], items: AddAStageFirst) -> RunResult[Any]: ...
    @overload
    def run(self: Builder[In, A1, A2, *Left], items: JoinTheOpenLanesFirst) -> RunResult[Any]: ...
    def run(
        self,
        items: Any,
        *,
        placement: Placement | None = None,
        record: str | PathLike[str] | None = None,
    ) -> object:
        """Runs to the end of `items`, each processor in a process of its own, and gives all
        outputs.

        Raises what a job or `items` raised, or a `RunError`; all workers are then gone.
        `LifecycleError` if another run is under way or the pipeline was opened before this process
        was forked, `TopologyError` if lanes are open.
        """
        self._draft.check_complete("run()")
        from conveyor.runtime.parent.exit_status import let_go

        try:
            return self._session.run(self._start, placement, items, record)
        except BaseException as error:
            let_go(error)
            raise
        finally:
            del items  # an error that is kept keeps this frame

    @overload
    def stream(
        self: Builder[In, Out],
        items: Iterable[In],
        *,
        placement: Placement | None = None,
        record: str | PathLike[str] | None = None,
    ) -> Stream[Out]: ...
    @overload
    def stream(
        self: Builder[Undeclared, *tuple[()]], items: Iterable[Any], **options: Unpack[HowToRun]
    ) -> Stream[Any]: ...
    @overload
    def stream(self: Builder[In, *tuple[()]], items: AddAStageFirst) -> Stream[Any]: ...
    @overload
    def stream(self: Builder[In, A1, A2, *Left], items: JoinTheOpenLanesFirst) -> Stream[Any]: ...
    def stream(
        self,
        items: Any,
        *,
        placement: Placement | None = None,
        record: str | PathLike[str] | None = None,
    ) -> object:
        """Runs lazily: an iterator over the outputs, which takes items only as fast as outputs are
        taken.

        `items` are iterated in a thread of their own, in a copy of the caller's context.  Raises as
        `run` does, from the iterator; close it, or use it as a context manager, to end early.
        """
        self._draft.check_complete("stream()")
        try:
            return self._session.begin_stream(self._start, placement, items, record)
        finally:
            del items

    @overload
    def simulate(
        self: Builder[In, Out],
        items: Iterable[In],
        *,
        seed: int = 0,
        scheduler: Scheduler | None = None,
        faults: Faults | None = None,
        copy: bool = True,
        lanes: int | None = None,
    ) -> Simulation[Out, In]: ...
    @overload
    def simulate(
        self: Builder[Undeclared, *tuple[()]],
        items: Iterable[Any],
        **options: Unpack[HowToSimulate],
    ) -> Simulation[Any]: ...
    @overload
    def simulate(
        self: Builder[In, *tuple[()]], items: AddAStageFirst, **options: Unpack[HowToSimulate]
    ) -> Simulation[Any]: ...
    @overload
    def simulate(
        self: Builder[In, A1, A2, *Left],
        items: JoinTheOpenLanesFirst,
        **options: Unpack[HowToSimulate],
    ) -> Simulation[Any]: ...
    def simulate(
        self,
        items: Any,
        *,
        seed: int = 0,
        scheduler: Scheduler | None = None,
        faults: Faults | None = None,
        copy: bool = True,
        lanes: int | None = None,
    ) -> object:
        """Runs one schedule in the simulator: in this thread, with no process and no clock; the
        same for a seed everywhere.

        `scheduler` decides instead of the seed; with `faults` one worker dies, where the seed
        says.  Every item that would cross a pickle between two processes crosses one here, but with
        `copy=False`, which is quicker.  `lanes` is how many lanes a `BalancingFork()` has, by
        default 2.

        Raises what a job raised, or a `RunError`, each with a note of the schedule that replays it;
        `StageTypeError` for an item that clearly is not what a stage takes; `TopologyError` if
        lanes are open.

        >>> from conveyor import Join, Pipe, Pipeline, ReplicatingFork
        >>> pl = Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2))
        >>> pl.simulate([1, 2], seed=1) == pl.simulate([1, 2], seed=1)
        True
        """
        from conveyor.sim.search.api import simulated

        width = self._lanes("simulate()", lanes)
        return simulated(
            self._simulated("simulate()", width),
            items,
            seed,
            scheduler,
            faults,
            copy,
            self._told(width),
        )

    @overload
    def explore(
        self: Builder[In, Out],
        items: Iterable[In],
        check: Callable[[Simulation[Out, In]], object] | None = None,
        *,
        strategy: Strategy | Scheduler = "portfolio",
        schedules: int = 1000,
        seconds: float | None = None,
        seed: int = 0,
        faults: Faults | None = None,
        start: Said | None = None,
        copy: bool = True,
        lanes: int | None = None,
    ) -> Exploration[Out]: ...
    @overload
    def explore(
        self: Builder[Undeclared, *tuple[()]],
        items: Iterable[Any],
        check: Callable[[Simulation[Any]], object] | None = None,
        **options: Unpack[HowToExplore],
    ) -> Exploration[Any]: ...
    @overload
    def explore(
        self: Builder[In, *tuple[()]],
        items: AddAStageFirst,
        check: Callable[[Simulation[Any]], object] | None = None,
        **options: Unpack[HowToExplore],
    ) -> Exploration[Any]: ...
    @overload
    def explore(
        self: Builder[In, A1, A2, *Left],
        items: JoinTheOpenLanesFirst,
        check: Callable[[Simulation[Any]], object] | None = None,
        **options: Unpack[HowToExplore],
    ) -> Exploration[Any]: ...
    def explore(
        self,
        items: Any,
        check: Any = None,
        *,
        strategy: Strategy | Scheduler = "portfolio",
        schedules: int = 1000,
        seconds: float | None = None,
        seed: int = 0,
        faults: Faults | None = None,
        start: Said | None = None,
        copy: bool = True,
        lanes: int | None = None,
    ) -> object:
        """Runs many schedules in the simulator, until one fails: `check` raises or returns False,
        or the run itself raises.

        `strategy` chooses them: "exhaustive" each class once, the others at random or by few
        deviations; `schedules` and `seconds` are the most there are.  `faults`: workers die, in
        each of these schedules.  `start`: a schedule or a recording that comes first.  `lanes`: of
        a `BalancingFork()`, by default 2; the answer holds for so many.  The failure, `.failure`,
        is made as small as can be, with the text that replays it.  Every twentieth schedule is run
        again, to find jobs that depend on more than their item (`NotDeterministic`).

        Raises `TopologyError` if lanes are open, `TypeError` or `ValueError` for options that
        cannot be.

        >>> from conveyor import Join, Pipe, Pipeline, ReplicatingFork
        >>> pl = Pipeline[str]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2))
        >>> found = pl.explore("ab", strategy="exhaustive")
        >>> found.complete, found.classes, sorted(map("".join, found.outputs))
        (True, 6, ['aabb', 'abab'])
        """
        from conveyor.sim.search.api import explored

        deadline = None if seconds is None else monotonic() + seconds
        said = None if start is None else schedule_of(start, "explore(): start")
        width = self._lanes("explore()", lanes, said)
        return explored(
            self._simulated("explore()", width),
            items,
            check,
            strategy=strategy,
            schedules=schedules,
            expired=lambda: deadline is not None and monotonic() > deadline,
            seed=seed,
            faults=faults,
            start=said,
            copy=copy,
            lanes=self._told(width),
        )

    @overload
    def replay(
        self: Builder[In, Out], items: Iterable[In], schedule: Said, *, lanes: int | None = None
    ) -> Simulation[Out, In]: ...
    @overload
    def replay(
        self: Builder[Undeclared, *tuple[()]],
        items: Iterable[Any],
        schedule: str | PathLike[str],
        *,
        lanes: int | None = None,
    ) -> Simulation[Any]: ...
    @overload
    def replay(
        self: Builder[In, *tuple[()]],
        items: AddAStageFirst,
        schedule: Said,
        *,
        lanes: int | None = None,
    ) -> Simulation[Any]: ...
    @overload
    def replay(
        self: Builder[In, A1, A2, *Left],
        items: JoinTheOpenLanesFirst,
        schedule: str | PathLike[str],
        *,
        lanes: int | None = None,
    ) -> Simulation[Any]: ...
    def replay(self, items: Any, schedule: Said, *, lanes: int | None = None) -> object:
        """Runs exactly what a schedule says, or what a recorded run did.

        Raises as `simulate` does, and `ScheduleMismatch` where it does not fit: which decision,
        what was wanted, what was possible.

        >>> from conveyor import Join, Pipe, Pipeline, ReplicatingFork
        >>> pl = Pipeline[str]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2))
        >>> pl.replay("ab", "cv1:join.1=1")
        ['a', 'a', 'b', 'b']
        """
        from conveyor.sim.search.api import replayed

        said = schedule_of(schedule, "replay(): schedule")
        width = self._lanes("replay()", lanes, said)
        return replayed(self._simulated("replay()", width), items, said, self._told(width))

    @overload
    def count(
        self: Builder[In, Out], items: Iterable[In], *, lanes: int | None = None
    ) -> int | None: ...
    @overload
    def count(
        self: Builder[Undeclared, *tuple[()]], items: Iterable[Any], *, lanes: int | None = None
    ) -> int | None: ...
    @overload
    def count(
        self: Builder[In, *tuple[()]], items: AddAStageFirst, *, lanes: int | None = None
    ) -> int | None: ...
    @overload
    def count(
        self: Builder[In, A1, A2, *Left], items: JoinTheOpenLanesFirst, *, lanes: int | None = None
    ) -> int | None: ...
    def count(self, items: Any, *, lanes: int | None = None) -> int | None:
        """How many classes of schedules there are, worked out without running any; None where no
        way to do that is known.

        >>> from conveyor import Join, Pipe, Pipeline, ReplicatingFork
        >>> Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2)).count(range(4))
        70
        """
        from conveyor.sim.search.api import count

        return count(self._simulated("count()", self._lanes("count()", lanes)), items)

    def _simulated(self, call: str, lanes: int | None = None) -> Topology:
        from conveyor.graph.compiler import compile_topology
        from conveyor.sim.schedule import LANES_BY_DEFAULT

        self._draft.check_complete(call)
        return compile_topology(self._draft, lanes or LANES_BY_DEFAULT)

    def _lanes(self, call: str, lanes: int | None, said: Schedule | Recording | None = None) -> int:
        """How many lanes a fork that adapts has in the simulator: as asked for, as a schedule or
        recording says, or 2."""
        from conveyor.recording.reader import Recording
        from conveyor.sim.schedule import LANES_BY_DEFAULT
        from conveyor.stages import checked_count

        if lanes is not None:
            checked_count(call, "lanes", lanes)
        told = (
            said.adaptive_lanes
            if isinstance(said, Recording)
            else None
            if said is None
            else said.lanes
        )
        if told is not None and lanes not in (None, told):
            raise ScheduleMismatch(
                f"{call}: it is to be with lanes={lanes}, and what is to be done again had {told}"
            )
        return lanes or told or LANES_BY_DEFAULT

    def _told(self, lanes: int) -> int | None:
        """What a schedule has to say of that: nothing as by default, or where no fork adapts
        without a bound of its own."""
        from conveyor.sim.schedule import LANES_BY_DEFAULT
        from conveyor.stages import BalancingFork

        stages = [place.stage for place in self._draft.places]
        adapts = any(
            isinstance(each, BalancingFork) and each.n is None and each.max_lanes is None
            for each in stages
        )
        return lanes if adapts and lanes != LANES_BY_DEFAULT else None

    def open(self) -> Self:
        """From now on the workers, which the first run starts, are kept for the next; until
        `close`.

        An open pipeline belongs to this process: in one that is forked from it any use but `close`
        is a `LifecycleError`.
        """
        self._draft.check_complete("open()")
        self._session.call(Call.OPEN)
        return self

    def close(self) -> None:
        """Ends the workers of an opened pipeline, and a stream that is open.

        `LifecycleError` if it is not open, or if another thread is in `run`: `stop()` ends that
        first.
        """
        self._session.close()

    def stop(self) -> None:
        """Ends the run or stream under way, which then raises `RunStopped`; does nothing if there
        is none.

        May be called from any thread, and from a signal handler; it does not wait.  The pipeline
        can be run again, inside `with` and after `open` with new workers.

        >>> from itertools import count
        >>> from conveyor import Pipeline, Processor
        >>> pl = Pipeline[int]().add(Processor(abs))
        >>> stream = pl.stream(count())
        >>> pl.stop()
        >>> next(stream)
        Traceback (most recent call last):
        conveyor.errors.RunStopped: the run was ended by stop()
        """
        self._session.stop()

    def __getstate__(self) -> dict[str, Any]:
        """A copy, made by `copy` or by pickle, has the same stages; it is not open, and runs
        nothing."""
        return {name: value for name, value in self.__dict__.items() if name != "_session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from conveyor.runtime.parent.session import Session

        self.__dict__.update(state)
        self._session = Session()

    def _enter(self) -> Self:
        self._session.call(Call.ENTER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.exit()

    def _start(self, placement: Placement) -> Runner:
        """Starts the workers."""
        from conveyor.runtime.parent.runner import Runner
        from conveyor.runtime.process.start import checked_start_method

        return Runner(self.topology, checked_start_method(self._start_method), placement)
