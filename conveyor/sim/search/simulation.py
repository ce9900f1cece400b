"""One schedule of a pipeline, from its items to its outputs.

Knows: how a run in memory becomes a result or an error.  Must never know: which schedules are worth
running.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, Generic, Never

from typing_extensions import TypeVar

from conveyor.core.failures import delivered, raised_by
from conveyor.errors import Deadlock
from conveyor.items.current_item import CURRENT
from conveyor.items.remote_errors import add_note
from conveyor.report import DeadLetter, Report
from conveyor.reporting.build import Figures, ordered_letters, report_of
from conveyor.reporting.trace import Trace
from conveyor.reporting.trace_html import picture
from conveyor.sim.determinism.inspection import Inspection
from conveyor.sim.determinism.likeness import plain_repr
from conveyor.sim.interruption import look_for_handlers
from conveyor.sim.job_logs import locating_records
from conveyor.sim.prepare.intake import as_given, taken_in
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.schedule import (
    CUT,
    LEFT,
    MACHINE,
    NEVER,
    NEXT,
    RESTART,
    Death,
    Decision,
    Key,
    Schedule,
)
from conveyor.sim.schedulers.replay import FollowSchedule, ReplayLog
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.search.capacity import sufficient_capacities
from conveyor.sim.search.tracer import Tracer
from conveyor.sim.world.faulty_channel import CrashPlan
from conveyor.sim.world.machine import BlackoutPlan
from conveyor.sim.world.world import World

__all__ = ["Attempt", "Simulation", "Simulator"]

Out = TypeVar("Out", default=object)
In_co = TypeVar("In_co", covariant=True, default=object)

SIMULATED: Final = ("simulated: time is virtual, so no seconds are measured",)


class Attempt:
    """What came of one schedule: outputs, or an error; and all that was decided."""

    __slots__ = (
        "deaths",
        "error",
        "is_unreached",
        "lanes",
        "letters",
        "crash_plans",
        "log",
        "outputs",
        "said",
        "tallies",
        "times",
        "turned",
        "zips",
    )

    def __init__(self, world: World, error: BaseException | None) -> None:
        self.outputs = list(world.outputs)
        self.times = tuple(world.times) if world.is_clocked else (0.0,) * len(self.outputs)
        self.error = error
        self.log: Sequence[Decision] = world.log
        self.said = world.scheduler.said
        self.turned = world.turned
        self.lanes = world.pipeline.lanes
        self.letters = world.dead_letters
        self.tallies = [loop.tally for loop in world.loops]
        self.zips = [loop.ends.zips for loop in world.loops] if world.composite else []
        self.crash_plans: list[CrashPlan] = []
        self.deaths: list[Death] = []
        self.is_unreached = False
        plans = [*world.crash_plans.values()]
        for crash_plan in plans if world.machine is None else [*plans, world.machine.plan]:
            self.crash_plans.append(crash_plan.renewed())
            self.deaths += crash_plan.deaths
            self.is_unreached = self.is_unreached or crash_plan.is_unreached

    def schedule(self) -> Schedule:
        """What has to be said to get the same again, unless a crash plan `is_unreached`.

        A run that was given a schedule has that one, which may say more than it must: which lane a
        join read by default, say, for the joins took their turns otherwise in the run it is of.
        """
        deaths = tuple(self.deaths_with_waits()) if self.deaths else ()
        if self.said is not None and by_worker(self.said.deaths) == by_worker(deaths):
            return self.said
        dead = frozenset(death.worker for death in deaths)
        # Where workers die it is said which join read first.
        defaults_too = self.turned and dead <= {MACHINE}
        choices = {
            Key(point, ordinal): option
            for point, ordinal, option, default in self.log
            if (option != default or defaults_too) and not is_of_the_living(point, dead)
        }
        return Schedule(choices, deaths, self.lanes)

    def deaths_with_waits(self) -> Iterator[Death]:
        """The deaths, and how often it was said of each that another comes later."""
        later = {
            (point, ordinal)
            for point, ordinal, option, _ in self.log
            if option and point.startswith(RESTART)
        }
        asked: dict[str, int] = {}
        for death in self.deaths:
            point = RESTART + death.worker
            first = ordinal = asked.get(point, 0)
            while (point, ordinal) in later:
                ordinal += 1
            asked[point] = ordinal + 1
            yield death if death.wait == NEVER else death._replace(wait=ordinal - first)


def by_worker(deaths: Iterable[Death]) -> list[Death]:
    """In which order those of several workers are said makes no difference."""
    return sorted(deaths, key=lambda death: death.worker)


def is_of_the_living(point: str, dead: frozenset[str]) -> bool:
    """Is this decided only because a worker might have died, or said with its death?"""
    if point == NEXT:
        return not dead
    return point.startswith(RESTART) or (
        point.endswith(CUT) and point.removesuffix(CUT) not in dead
    )


def followed(schedule: Schedule, run: Callable[[Schedule], Attempt]) -> Attempt:
    """`run` of a schedule as far as it fits: a worker that never comes to where it should die is
    one that need not die at all, and whose slices are as those of any other."""
    while (attempt := run(schedule)).is_unreached:
        schedule = attempt.schedule()
    return attempt


class Simulator:
    """A pipeline and the items that go through it; runs any number of schedules.

    `watched`: something looks at what jobs do besides, so each schedule calls every job.
    """

    searches_capacities = True  # is it tried how much room cures a deadlock?

    def __init__(
        self,
        pipeline: PreparedPipeline,
        items: Iterable[object],
        *,
        checked: bool = True,
        watched: bool = False,
    ) -> None:
        look_for_handlers()
        self.pipeline = pipeline
        self.items = taken_in(items, copies=pipeline.copies)
        self.world = World(
            pipeline, self.items, inspection=Inspection(perturbed=False) if checked else None
        )
        if watched and not pipeline.has_no_effects:
            self.world.goes_back = False
        # It takes nothing over from other schedules
        self.second = World(pipeline, self.items, inspection=Inspection(perturbed=True))

    def __deepcopy__(self, memo: dict[int, object]) -> Simulator:
        """Gives itself: all results of one pipeline and its items share it."""
        return self

    def __reduce__(self) -> Never:
        raise TypeError(
            "a Simulation cannot be pickled, as it holds its pipeline; pickle list(simulation) and"
            " simulation.schedule, from which pl.replay(items, schedule) gives it again"
        )

    def attempt(self, scheduler: Scheduler, crash_plans: Sequence[CrashPlan] = ()) -> Attempt:
        """One schedule, decided by `scheduler`."""
        return self.finished(self.world, scheduler, crash_plans)

    def finished(
        self, world: World, scheduler: Scheduler, crash_plans: Sequence[CrashPlan] = ()
    ) -> Attempt:
        try:
            with locating_records():
                world.run(scheduler, {crash_plan.worker: crash_plan for crash_plan in crash_plans})
        finally:
            CURRENT.outside()  # a job that failed has left it behind
        return self.outcome(world)

    def outcome(self, world: World) -> Attempt:
        """What came of a run, once no node can go on."""
        error: BaseException | None = None
        failure = world.failure()
        if failure is not None:
            error = raised_by(
                failure, self.pipeline.topology.nodes[failure.node].name, "simulated worker"
            )
        elif world.active:
            error = self.deadlock(world)
        left = world.scheduler.results
        if left is not None:
            world.note(Decision(LEFT, 0, left, -1))
        world.scheduler.end(world.log)
        if world.inspection is not None and world.inspection.error is not None:
            error = world.inspection.error
        attempt = Attempt(world, error)
        # What would have come later never came
        if left is not None and len(attempt.outputs) >= left:
            attempt.error = None
            del attempt.outputs[left:]
            attempt.times = attempt.times[:left]
        return attempt

    def deadlock(self, world: World) -> Deadlock:
        circle = world.waiting.circle()
        assert circle is not None, "nodes that can never go on wait in a circle"
        cured = (
            sufficient_capacities(self.pipeline, self.items, circle.full, Attempt(world, None).log)
            if self.searches_capacities
            else ()
        )
        return Deadlock("\n".join([circle.describe(world.waiting.states()), *map(str, cured)]))

    def repeat(self, attempt: Attempt) -> Attempt:
        """Runs the same schedule once more, with every job called again."""
        self.second.snapshots.clear()
        return self.finished(self.second, ReplayLog(attempt.log), self.crash_plans_of(attempt))

    def changed_globals(self) -> dict[str, str]:
        """Which globals were changed by a job when a schedule was last repeated, and by the job of
        which stage."""
        assert self.second.inspection is not None
        return self.second.inspection.changes

    def crash_plans_of(self, attempt: Attempt) -> list[CrashPlan]:
        return [crash_plan.renewed() for crash_plan in attempt.crash_plans]

    def traced(self, attempt: Attempt, *, perturbed: bool = False) -> tuple[Attempt, Trace]:
        """Runs the same schedule once more, and tells what happens in it, step by step."""
        tracer = Tracer()
        world = World(
            self.pipeline, self.items, tracer, Inspection(perturbed=True) if perturbed else None
        )
        once_more = self.finished(world, ReplayLog(attempt.log), self.crash_plans_of(attempt))
        return once_more, tracer.trace()

    def follow(self, schedule: Schedule) -> Attempt:
        """A certain schedule, as far as it fits."""
        return followed(
            schedule,
            lambda schedule: self.attempt(FollowSchedule(schedule), self.crash_plans_in(schedule)),
        )

    def crash_plan(
        self, worker: str, at: Sequence[Death] = (), before: int | None = None
    ) -> CrashPlan:
        """A plan by which a worker dies, or everything: at these places, or before a store."""
        if worker == MACHINE:
            return BlackoutPlan(before=before, at=at)
        return CrashPlan(worker, self.inputs_of(worker), at=at, before=before)

    def inputs_of(self, worker: str) -> int:
        return next(
            len(spec.inputs) for spec in self.pipeline.topology.nodes if spec.name == worker
        )

    def crash_plans_in(self, schedule: Schedule) -> list[CrashPlan]:
        """The plans of the workers that die in a schedule, and of those whose slices it cuts
        because they might; a worker that is not there is left out."""
        deaths: dict[str, list[Death]] = {
            point.removesuffix(CUT): [] for point, _ in schedule.choices if point.endswith(CUT)
        }
        for death in schedule.deaths:
            deaths.setdefault(death.worker, []).append(death)
        return [
            self.crash_plan(worker, death)
            for worker, death in deaths.items()
            if worker in self.pipeline.workers or worker == MACHINE
        ]

    def simulation(self, attempt: Attempt, seed: int | None) -> Simulation[object]:
        """The attempt as the caller gets it; raises what ended it early, with the schedule that
        does it again."""
        if attempt.error is not None:
            add_note(attempt.error, f"replay it: pl.replay(items, {str(attempt.schedule())!r})")
            raise attempt.error
        return Simulation(attempt, self, seed)

    def report(self, attempt: Attempt) -> Report:
        tallies = {
            node.spec.index: tally
            for node, tally in zip(self.pipeline.nodes, attempt.tallies, strict=True)
        }
        zips = {
            name: (zipped.tuples, zipped.left_over)
            for each in attempt.zips
            for name, zipped in each.items()
        }
        restarts = Counter(death.worker for death in attempt.deaths)

        def figures(node: int) -> Figures:
            return Figures(
                tallies[node], restarts=restarts[self.pipeline.topology.nodes[node].name]
            )

        return report_of(self.pipeline.topology, figures, zips.__getitem__, 0.0, SIMULATED)


class Simulation(list[Out], Generic[Out, In_co]):
    """The outputs of one simulated run, in order, and everything about it.

    >>> from conveyor import Join, Pipe, Pipeline, ReplicatingFork
    >>> pl = Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2))
    >>> simulation = pl.simulate([1, 2], seed=3)
    >>> pl.replay([1, 2], simulation.schedule) == simulation
    True
    """

    def __init__(self, attempt: Attempt, simulator: Simulator, seed: int | None = None) -> None:
        super().__init__(attempt.outputs)  # type: ignore[arg-type]  # what the last stage gives is Out
        self._attempt = attempt
        self._simulator = simulator
        self.seed = seed

    if TYPE_CHECKING:
        # A list's own, which checkers take to be of lists of the same class only.
        def __eq__(self, other: object, /) -> bool: ...

    @property
    def items(self) -> list[In_co]:
        """The items that went in, as they were when they were taken from the source."""
        return as_given(self._simulator.items)  # type: ignore[return-value]  # what went in is In

    @property
    def schedule(self) -> str:
        """What was decided otherwise than by default, as `pl.replay` takes it."""
        return str(self._attempt.schedule())

    @property
    def times(self) -> tuple[float, ...]:
        """When each output came out, in seconds of virtual time since the run began.

        Jobs take no time, and items are there from the beginning: time passes only where a stage
        waits for it.
        """
        return self._attempt.times

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Every decision in the order in which it was taken."""
        return tuple(self._attempt.log)

    @cached_property
    def trace(self) -> Trace:
        """What happened, step by step; the schedule is run once more for it."""
        return self._simulator.traced(self._attempt)[1]

    def picture(self) -> str:
        """The trace as a page of HTML that needs nothing else:
        `Path("run.html").write_text(simulation.picture())`."""
        outputs = f"[{', '.join(map(plain_repr, self))}]"
        facts = {"outputs": outputs, "schedule": self.schedule}
        return picture(self.trace, self._simulator.pipeline.topology, facts)

    @cached_property
    def report(self) -> Report:
        """What became of the items of each stage."""
        return self._simulator.report(self._attempt)

    @cached_property
    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """The items that were given up, ordered by stage, then ordinal."""
        return ordered_letters(
            self._simulator.pipeline.topology, map(delivered, self._attempt.letters)
        )
