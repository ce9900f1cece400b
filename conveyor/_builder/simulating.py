"""A pipeline in the simulator: simulated, explored, replayed, counted.

Knows: which call of the simulator is for which.  Must never know: processes, how the simulator
works.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from os import PathLike
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypedDict, overload

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from conveyor._builder.drafting import Drafting
from conveyor.errors import ScheduleMismatch
from conveyor.signatures import Undeclared

if TYPE_CHECKING:
    from conveyor.graph.topology import Topology
    from conveyor.recording.reader import Recording
    from conveyor.signatures import A1, A2, AddAStageFirst, JoinTheOpenLanesFirst, Left
    from conveyor.sim.faults import Faults
    from conveyor.sim.schedule import Schedule
    from conveyor.sim.schedulers.scheduler import Scheduler
    from conveyor.sim.search.findings import Exploration
    from conveyor.sim.search.options import Strategy
    from conveyor.sim.search.simulation import Simulation

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
        progress: bool | Callable[[Exploration[Any]], object]


__all__ = ["Said", "Simulating"]

In = TypeVar("In", default=Undeclared)
Row = TypeVarTuple("Row", default=Unpack[tuple[Any, ...]])  # the open lanes, from left to right
Out = TypeVar("Out")

SAID_EVERY_S: Final = 5.0
TOLD_EVERY_S: Final = 0.5

Said: TypeAlias = "str | PathLike[str]"  # a schedule as text, or the file of a recording


class Simulating(Drafting[In, *Row], Generic[In, *Row]):
    """What runs the rows in the simulator."""

    @overload
    def simulate(
        self: Simulating[In, Out],
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
        self: Simulating[Undeclared, *tuple[()]],
        items: Iterable[Any],
        **options: Unpack[HowToSimulate],
    ) -> Simulation[Any]: ...
    @overload
    def simulate(
        self: Simulating[In, *tuple[()]], items: AddAStageFirst, **options: Unpack[HowToSimulate]
    ) -> Simulation[Any]: ...
    @overload
    def simulate(
        self: Simulating[In, A1, A2, *Left],
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
        self: Simulating[In, Out],
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
        progress: bool | Callable[[Exploration[Out]], object] = False,
    ) -> Exploration[Out]: ...
    @overload
    def explore(
        self: Simulating[Undeclared, *tuple[()]],
        items: Iterable[Any],
        check: Callable[[Simulation[Any]], object] | None = None,
        **options: Unpack[HowToExplore],
    ) -> Exploration[Any]: ...
    @overload
    def explore(
        self: Simulating[In, *tuple[()]],
        items: AddAStageFirst,
        check: Callable[[Simulation[Any]], object] | None = None,
        **options: Unpack[HowToExplore],
    ) -> Exploration[Any]: ...
    @overload
    def explore(
        self: Simulating[In, A1, A2, *Left],
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
        progress: bool | Callable[[Exploration[Any]], object] = False,
    ) -> object:
        """Runs schedules in the simulator until `check` raises or returns False, or a run raises.

        `strategy` chooses them: "exhaustive" each class once, the others at random or by few
        deviations; `schedules` and `seconds` are the most there are.  `faults`: workers die, in
        each of these schedules.  `start`: a schedule or a recording that comes first.  `lanes`: of
        a `BalancingFork()`, by default 2; the answer holds for so many.  The failure, `.failure`,
        is made smaller (200 runs), with the text that replays it.  Every twentieth schedule is run
        again, to find jobs that depend on more than their item (`NotDeterministic`).  `progress`: a
        function that is told twice a second; True: a line on standard error every five seconds.

        Raises `TopologyError` if lanes are open, `TypeError` or `ValueError` for wrong options.

        >>> from conveyor import Join, Pipe, Pipeline, ReplicatingFork
        >>> pl = Pipeline[str]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2))
        >>> found = pl.explore("ab", strategy="exhaustive")
        >>> found.complete, found.classes, sorted(map("".join, found.outputs))
        (True, 6, ['aabb', 'abab'])
        """
        from conveyor.sim.search.api import explored
        from conveyor.sim.search.options import SearchOptions

        said = None if start is None else schedule_of(start, "explore(): start")
        width = self._lanes("explore()", lanes, said)
        options = SearchOptions(
            strategy=strategy,
            schedules=schedules,
            expired=expiring(seconds),
            seed=seed,
            faults=faults,
            copy=copy,
            start=said,
            lanes=self._told(width),
            told=search_progress(progress),
        )
        return explored(self._simulated("explore()", width, said), items, check, options)

    @overload
    def replay(
        self: Simulating[In, Out], items: Iterable[In], schedule: Said, *, lanes: int | None = None
    ) -> Simulation[Out, In]: ...
    @overload
    def replay(
        self: Simulating[Undeclared, *tuple[()]],
        items: Iterable[Any],
        schedule: str | PathLike[str],
        *,
        lanes: int | None = None,
    ) -> Simulation[Any]: ...
    @overload
    def replay(
        self: Simulating[In, *tuple[()]],
        items: AddAStageFirst,
        schedule: Said,
        *,
        lanes: int | None = None,
    ) -> Simulation[Any]: ...
    @overload
    def replay(
        self: Simulating[In, A1, A2, *Left],
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
        return replayed(self._simulated("replay()", width, said), items, said, self._told(width))

    @overload
    def count(
        self: Simulating[In, Out], items: Iterable[In], *, lanes: int | None = None
    ) -> int | None: ...
    @overload
    def count(
        self: Simulating[Undeclared, *tuple[()]], items: Iterable[Any], *, lanes: int | None = None
    ) -> int | None: ...
    @overload
    def count(
        self: Simulating[In, *tuple[()]], items: AddAStageFirst, *, lanes: int | None = None
    ) -> int | None: ...
    @overload
    def count(
        self: Simulating[In, A1, A2, *Left],
        items: JoinTheOpenLanesFirst,
        *,
        lanes: int | None = None,
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

    def _simulated(
        self, call: str, lanes: int | None = None, said: Schedule | Recording | None = None
    ) -> Topology:
        from conveyor.graph.compiler import compile_topology
        from conveyor.graph.route import LANES_BY_DEFAULT
        from conveyor.recording.reader import Recording

        self._draft.check_complete(call)
        lanes_of = said.lanes_of if isinstance(said, Recording) else None
        return compile_topology(self._draft, lanes or LANES_BY_DEFAULT, lanes_of)

    def _lanes(self, call: str, lanes: int | None, said: Schedule | Recording | None = None) -> int:
        """How many lanes a fork that adapts has in the simulator: as asked for, as a schedule or
        recording says, or 2."""
        from conveyor.graph.route import LANES_BY_DEFAULT
        from conveyor.recording.reader import Recording
        from conveyor.stages import checked_count

        if lanes is not None:
            checked_count(call, "lanes", lanes)
        told = None
        if said is not None:
            told = said.adaptive_lanes if isinstance(said, Recording) else said.lanes
        if told is not None and lanes not in (None, told):
            raise ScheduleMismatch(
                f"{call}: it is to be with lanes={lanes}, and what is to be done again had {told}"
            )
        return lanes or told or LANES_BY_DEFAULT

    def _told(self, lanes: int) -> int | None:
        """What a schedule has to say of that: nothing as by default, or where no fork adapts
        without a bound of its own."""
        from conveyor.graph.route import LANES_BY_DEFAULT
        from conveyor.stages import BalancingFork, PartitioningFork

        stages = [place.stage for place in self._draft.places]
        adapts = any(
            isinstance(each, BalancingFork) and each.n is None and each.max_lanes is None
            for each in stages
        ) or any(isinstance(each, PartitioningFork) and each.n is None for each in stages)
        return lanes if adapts and lanes != LANES_BY_DEFAULT else None


def schedule_of(said: Said, what: str) -> Schedule | Recording:
    """The schedule that a text says, or that a file has recorded; raises `ScheduleMismatch` if
    there is neither."""
    from pathlib import Path

    from conveyor.recording.reader import Recording
    from conveyor.sim.schedule import VERSION, Schedule
    from conveyor.sim.search.options import check_type

    check_type(str | PathLike, said, what)
    if isinstance(said, str) and said.startswith(VERSION):
        return Schedule.parse(said)
    try:
        data = Path(said).read_bytes()
    except OSError as error:
        raise ScheduleMismatch(
            f"{str(said)[:80]!r} is no schedule: it must begin with {VERSION!r}, or name the file "
            f"of a recording, which cannot be read: {error.strerror}"
        ) from None
    return Recording.read(data, str(said))


def expiring(seconds: float | None) -> Callable[[], bool]:
    """What says whether so many seconds of a search are over."""
    from conveyor.sim.search.options import check_seconds

    check_seconds(seconds, "explore()")
    deadline = None if seconds is None else monotonic() + seconds
    return lambda: deadline is not None and monotonic() > deadline


def search_progress(
    progress: bool | Callable[[Exploration[Any]], object],
) -> Callable[[Exploration[Any]], object] | None:
    """What is called behind each schedule so that the caller is told now and then; raises
    `TypeError` for a `progress` that is neither a truth value nor can be called."""
    if progress is False:
        return None
    if progress is not True and not callable(progress):
        raise TypeError(f"progress is True, False or a function, not {progress!r}")
    tell, every_s = (say_found, SAID_EVERY_S) if progress is True else (progress, TOLD_EVERY_S)
    due = monotonic() + every_s

    def look(found: Exploration[Any]) -> None:
        nonlocal due
        if monotonic() >= due:
            tell(found)
            due = monotonic() + every_s

    return look


def say_found(found: Exploration[Any]) -> None:
    said = f"conveyor: {found.schedules:,} schedules so far, {found.classes:,} different ones"
    print(said, file=sys.stderr, flush=True)
