"""Many schedules of a pipeline, and the first that fails, made smaller.

This file knows how a search goes on and ends.  It must never know how a scheduler decides, or the
clock.

Which deaths a search goes through is in `fault_plans`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias

from typing_extensions import TypeVar

from conveyor.errors import ConveyorError, NotDeterministic, ScheduleMismatch
from conveyor.items.short_repr import short_repr
from conveyor.sim.determinism.likeness import Outputs
from conveyor.sim.faults import Faults
from conveyor.sim.schedule import NEXT, Schedule
from conveyor.sim.schedulers.deviations import Deviations
from conveyor.sim.schedulers.exhaustive import Redundant
from conveyor.sim.schedulers.replay import FollowSchedule, ReplaySchedule
from conveyor.sim.schedulers.scheduler import Default, Scheduler
from conveyor.sim.search.describe import describe
from conveyor.sim.search.findings import Exploration, Found
from conveyor.sim.search.nondeterminism import find_nondeterminism
from conveyor.sim.search.shrink import shrunk
from conveyor.sim.search.simulation import Attempt, Simulation, Simulator, followed
from conveyor.sim.search.verdict import denies, tells_failure
from conveyor.sim.world.faulty_channel import CrashPlan

__all__ = [
    "Check",
    "CrashPlans",
    "Failed",
    "Search",
    "left_by_another",
    "stores_of",
    "with_fewer",
]

Out = TypeVar("Out", default=object)

Check: TypeAlias = Callable[[Simulation[object]], object]
CrashPlans: TypeAlias = Callable[[], Sequence[CrashPlan]]

FEWER: Final = 200  # schedules that are tried for a failure with fewer decisions
OPTION: Final = itemgetter(2)  # of a decision
SOME: Final = 32  # schedules before it is asked whether there are no others
REPEATED: Final = 20  # one schedule of so many is run again and compared
MOST_REPEATED: Final = 64  # of which as many wait for the end of the search


class Failed(AssertionError):
    """A check that returned False."""


class Search:
    """One exploration under way."""

    def __init__(
        self,
        simulator: Simulator,
        check: Check | None,
        most: int,
        expired: Callable[[], bool],
        total: Callable[[], int | None],
    ) -> None:
        self.simulator = simulator
        self.check = check
        self.most = most
        self.expired = expired
        self.found: Exploration[object] = Exploration(total)
        self.told: Callable[[Exploration[Any]], object] | None = None  # behind each schedule
        self.passed: Attempt | None = None  # the first that did
        self.later: list[tuple[int, Attempt, Simulator]] = []  # to be repeated, with their numbers
        self.stride = REPEATED

    def is_over(self) -> bool:
        found = self.found
        return (
            found.failure is not None
            or found.schedules >= self.most
            or self.expired()
            or self.is_complete()
        )

    def is_complete(self) -> bool:
        """Has every class been seen?  Asked now and then, where nothing is new, and to count them
        has no effects."""
        seen = self.found.schedules
        if seen < SOME or seen & (seen - 1) or not self.simulator.pipeline.has_no_effects:
            return False
        return min(self.found._seen.values()) > 1 and self.found.complete  # pyright: ignore[reportPrivateUsage]  # as below

    def go(self, scheduler: Scheduler, crash_plans: CrashPlans) -> tuple[bool, bool]:
        """Every schedule that `scheduler` has, until the search is over: had it no more, and did a
        worker die in any?"""
        died = False
        while not self.is_over():
            if not scheduler.begin():
                return True, died
            died = self.step(scheduler, crash_plans) or died
        return False, died

    def step(self, scheduler: Scheduler, crash_plans: CrashPlans) -> bool:
        """The schedule that `scheduler` has begun: did a worker die in it?"""
        try:
            attempt = self.attempt(scheduler, crash_plans)
        except Redundant:
            return False
        # A run in which the planned crash was never reached equals a run without it: it is not
        # counted twice.
        if not attempt.crash_plans or attempt.deaths:
            self.look_at(attempt)
        if self.told is not None:
            self.told(self.found)
        return bool(attempt.deaths)

    def attempt(self, scheduler: Scheduler, crash_plans: CrashPlans) -> Attempt:
        """Runs one schedule; `crash_plans` is called when the pipeline is there."""
        return self.simulator.attempt(scheduler, crash_plans())

    def follow(self, schedule: Schedule) -> Attempt:
        """A certain schedule, as far as it fits."""
        return followed(
            schedule,
            lambda said: self.attempt(
                FollowSchedule(said), lambda: self.simulator.crash_plans_in(said)
            ),
        )

    def rerun(self, schedule: Schedule) -> tuple[Schedule, BaseException | None]:
        attempt = self.follow(schedule)
        return attempt.schedule(), self.judge(attempt)

    def rerun_twice(self, schedule: Schedule) -> tuple[Schedule, BaseException | None]:
        """The same, where what is wrong is that two runs of one schedule differ."""
        attempt = self.follow(schedule)
        return attempt.schedule(), find_nondeterminism(self.simulator, attempt)

    def look_at(self, attempt: Attempt) -> None:
        """Counts a schedule in, and checks it."""
        found = self.found
        found.schedules += 1
        seen, this = found._seen, class_of(attempt)  # pyright: ignore[reportPrivateUsage]  # it is filled here
        seen[this] = seen.get(this, 0) + 1
        if attempt.error is None:
            found.outputs.add(Outputs(attempt.outputs))
        error = self.judge(attempt)
        if error is not None:
            self.fails(attempt, error)
            return
        self.passed = self.passed or attempt
        if found.schedules % self.stride == 1:
            self.later.append((found.schedules, attempt, self.simulator))
            if not self.is_watched:
                self.repeat()
            elif len(self.later) == MOST_REPEATED:
                del self.later[1::2]
                self.stride *= 2

    def repeat(self) -> None:
        """Runs schedules once more, every job beside its perturbed copy; no check sees the effects
        of these runs any more."""
        while self.later and self.found.failure is None:
            number, attempt, simulator = self.later.pop(0)
            error = find_nondeterminism(simulator, attempt)
            if error is not None:
                self.fails(attempt, error, number, error)
            elif self.expired():
                return

    @property
    def is_watched(self) -> bool:
        """Is something called behind each run that may look at what else jobs have done?"""
        return self.check is not None and not self.simulator.pipeline.has_no_effects

    def stores(self, faults: Faults) -> list[tuple[str, int]]:
        """The stores before which a worker may die."""

        def run(crash_plans: Sequence[CrashPlan]) -> None:
            # As behind any run: the verdict of this one comes in its turn
            self.judge(self.attempt(Default(), lambda: crash_plans))

        return stores_of(self.simulator, faults, run)

    def judge(self, attempt: Attempt) -> BaseException | None:
        """What is wrong with a schedule, if anything is."""
        if attempt.error is not None:
            return attempt.error
        if self.check is None:
            return None
        try:
            is_wrong = denies(self.check(Simulation(attempt, self.simulator)))
        except BaseException as error:  # whatever the check raises is what it found
            if not tells_failure(error):
                raise
            return error
        return (
            Failed(f"the check returned False for {short_repr(attempt.outputs)}")
            if is_wrong
            else None
        )

    def fails(
        self,
        attempt: Attempt,
        error: BaseException,
        number: int | None = None,
        difference: ConveyorError | None = None,
    ) -> None:
        """Finds out whose failure it is, makes it smaller, and makes sure that what is left fails
        again."""
        simulator, schedule = self.simulator, attempt.schedule()
        words = describe(schedule, simulator.pipeline.topology)
        found = Found(error, str(schedule), number or self.found.schedules, len(schedule), 0, words)
        if difference is None and not self.is_watched:
            difference = find_nondeterminism(simulator, attempt)
        if difference is None:
            left = self.left_behind(attempt, error)
            found = (
                self.reduced(found, schedule)
                if left is None
                else found._replace(error=left, repeats=False)
            )
            if self.is_watched:  # now nothing looks any more at what jobs have done besides
                difference = find_nondeterminism(simulator, attempt)
        if difference is not None:
            smaller = shrunk(schedule, self.rerun_twice, self.expired)
            found = self.shown(
                found._replace(error=smaller.error or difference, runs=smaller.runs, repeats=True),
                smaller.schedule,
            )
        self.found.failure = found

    def reduced(self, found: Found, schedule: Schedule) -> Found:
        """The smallest schedule on the way that fails once more when exactly that is run, as it is
        when it is pasted."""
        smaller = shrunk(schedule, self.rerun, self.expired)
        found = found._replace(error=smaller.error or found.error, runs=smaller.runs)
        for each in (smaller.schedule, *smaller.larger):
            if (error := self.once_more(each)) is not None:
                return self.shown(found._replace(error=error), each)
        return self.shown(found._replace(repeats=False), smaller.schedule)

    def shown(self, found: Found, schedule: Schedule) -> Found:
        return found._replace(
            schedule=str(schedule), words=describe(schedule, self.simulator.pipeline.topology)
        )

    def once_more(self, schedule: Schedule) -> BaseException | None:
        """What is wrong when exactly this is replayed, if anything is."""
        replay = ReplaySchedule(schedule)
        try:
            attempt = self.attempt(replay, lambda: self.simulator.crash_plans_in(schedule))
            replay.check_deaths(attempt.deaths)
        except ScheduleMismatch:
            return None
        return self.judge(attempt)

    def left_behind(self, attempt: Attempt, error: BaseException) -> NotDeterministic | None:
        """Does a failure depend on earlier runs?  Then the same schedule passed before, or one that
        passed fails now."""
        if self.passed is None:
            return None
        again: BaseException | None = error
        schedule, seen = attempt.schedule(), self.found._seen  # pyright: ignore[reportPrivateUsage]  # as above
        if seen[class_of(attempt)] == 1:
            schedule = self.passed.schedule()
            _, again = self.rerun(schedule)
        if again is None:
            return None
        return left_by_another(schedule, again)


def left_by_another(schedule: Schedule, error: BaseException) -> NotDeterministic:
    """What is told of an error under a schedule that passed before."""
    first = str(error).partition("\n")[0]
    left = NotDeterministic(
        "the same schedule passed before: the test depends on what an earlier schedule left, such "
        "as a file, a list of a fixture or a global; make that anew for each schedule. "
        f"Under {str(schedule)!r} it fails now: {type(error).__name__}: {first}"
    )
    left.__cause__ = error
    return left


def with_fewer(search: Search) -> None:
    """Another failure in the place of the one that was found, if one of the first schedules has
    fewer decisions and fails."""
    failure = search.found.failure
    if failure is None or not failure.repeats:
        return
    scheduler = Deviations(len(Schedule.parse(failure.schedule)) - 1)
    for run in range(1, FEWER + 1):
        if search.expired() or not scheduler.begin():
            return
        attempt = search.attempt(scheduler, tuple)
        if (
            search.judge(attempt) is not None
            and (error := search.once_more(schedule := attempt.schedule())) is not None
        ):
            words = describe(schedule, search.simulator.pipeline.topology)
            search.found.failure = failure._replace(
                error=error, schedule=str(schedule), runs=failure.runs + run, words=words
            )
            return


def stores_of(
    simulator: Simulator, faults: Faults, run: Callable[[Sequence[CrashPlan]], object] | None = None
) -> list[tuple[str, int]]:
    """The stores before which a worker may die, as many as there are by default: first all first
    ones, and so on.

    `run` runs the default with these crash plans.
    """
    counters = [
        simulator.crash_plan(worker) for worker in faults.checked(simulator.pipeline.workers)
    ]
    if run is None:
        simulator.attempt(Default(), counters)
    else:
        run(counters)
    return sorted(
        (
            (crash_plan.worker, store)
            for crash_plan in counters
            for store in range(crash_plan.stores)
        ),
        key=lambda found: found[1],
    )


def class_of(attempt: Attempt) -> tuple[object, ...]:
    """What tells one class of schedules from another: what was decided at each point."""
    if not attempt.turned:
        return (*map(OPTION, attempt.log), *attempt.deaths)
    points: dict[str, list[int]] = {}
    for point, _, option, _ in attempt.log:
        if point != NEXT:
            points.setdefault(point, []).append(option)
    return (*sorted((point, tuple(options)) for point, options in points.items()), *attempt.deaths)
