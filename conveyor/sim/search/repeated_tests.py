"""A test that is run again and again, each time under another schedule.

Knows: a body that asks for one simulation each time it is run.  Must never know: which framework
the test is written for.

It is an exploration in which a schedule is run from inside of what checks it: so a test may build
its pipeline anew each time, put things in order before it, and look at what it likes afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from conveyor.errors import ConveyorError, LifecycleError
from conveyor.graph.topology import Topology
from conveyor.sim.faults import Faults
from conveyor.sim.interruption import look_for_handlers
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.schedule import Schedule
from conveyor.sim.schedulers.exhaustive import Redundant
from conveyor.sim.schedulers.replay import ReplaySchedule
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.search.api import made
from conveyor.sim.search.exploration import CrashPlans, Search, left_by_another
from conveyor.sim.search.fault_plans import explore
from conveyor.sim.search.findings import Exploration
from conveyor.sim.search.nondeterminism import find_nondeterminism
from conveyor.sim.search.options import Strategy, check_bounds
from conveyor.sim.search.simulation import Attempt, Simulation, Simulator
from conveyor.sim.search.verdict import tells_failure

__all__ = ["RepeatedTest", "replay_test", "explore_test"]

Body: TypeAlias = Callable[[], object]


class NoSimulator(Simulator):
    """Stands where a simulator will be once the body has been run."""

    def __init__(self) -> None:
        """Nothing is there yet."""


class RepeatedTest(Search):
    """Runs a body; what it raises is a failure, or ends everything (`verdict`)."""

    def __init__(
        self, body: Body, most: int = 1, expired: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__(NoSimulator(), None, most, expired, lambda: None)
        look_for_handlers()
        self.body = body
        self.scheduler: Scheduler | None = None
        self.crash_plans: CrashPlans = tuple
        self.made: Attempt | None = None
        self.error: BaseException | None = None
        self.fault: BaseException | None = None  # that is not the pipeline's
        self.interruption: BaseException | None = None  # that came from outside into the simulation
        self.timers = False  # is it decided whether the time of an item runs out?

    def begin(self, scheduler: Scheduler, crash_plans: CrashPlans) -> None:
        self.scheduler, self.crash_plans = scheduler, crash_plans
        self.made = self.error = self.fault = self.interruption = None

    def attempt(self, scheduler: Scheduler, crash_plans: CrashPlans) -> Attempt:
        """The body once."""
        self.begin(scheduler, crash_plans)
        try:
            self.body()
        except BaseException as error:
            if error is self.interruption or not tells_failure(error):
                raise
            self.error = error
        finally:
            self.scheduler = None
        if self.fault is not None:
            raise self.fault
        if self.made is None and self.error is not None and self.passed is not None:
            self.fault = left_by_another(self.passed.schedule(), self.error)
            raise self.fault
        if self.made is None:
            raise self.error or LifecycleError(
                "the test never called simulate(pl, items), so there is nothing to explore"
            )
        return self.made

    def simulate(self, topology: Topology, items: Iterable[object]) -> Simulation[object]:
        """Called by the body: runs the pipeline under the schedule under way; raises what ends the
        run early."""
        try:
            return self.simulation(topology, items)
        except (ConveyorError, Redundant) as error:
            if self.made is None or error is not self.made.error:
                self.fault = error
            raise
        except BaseException as error:
            if self.made is None:  # a job's would have been told as what ended the run
                self.interruption = error
            raise

    def simulation(self, topology: Topology, items: Iterable[object]) -> Simulation[object]:
        if self.scheduler is None:
            raise LifecycleError(
                "simulate() is called outside of the test: call it in the test's own body"
            )
        if self.made is not None:
            raise LifecycleError(
                "simulate() is called a second time in one run of the test: a schedule belongs to "
                "one pipeline. Write a test for each, or parametrize it; "
                "pl.simulate(items, seed=0) gives a schedule that stays the same"
            )
        self.simulator = Simulator(PreparedPipeline(topology, timers=self.timers), items)
        self.made = self.simulator.attempt(self.scheduler, self.crash_plans())
        if self.made.error is not None:
            raise self.made.error
        return Simulation(self.made, self.simulator)

    @property
    def is_watched(self) -> bool:
        return not self.simulator.pipeline.has_no_effects

    def judge(self, attempt: Attempt) -> BaseException | None:
        return self.error


def explore_test(
    repeated: RepeatedTest,
    known: Sequence[Schedule],
    *,
    strategy: Strategy | Scheduler,
    seed: int,
    faults: Faults | None,
) -> Exploration[object]:
    """First the schedules that are `known` to have failed, then the default, then as `pl.explore`
    does."""
    check_bounds(repeated.most, faults, "explore()")
    repeated.timers = faults is not None and faults.timeouts
    for schedule in (*known, Schedule()):
        if not repeated.is_over():
            repeated.look_at(repeated.follow(schedule))
    if repeated.is_over():
        repeated.repeat()
        return repeated.found
    pipeline = repeated.simulator.pipeline
    return explore(repeated, lambda: made(strategy, pipeline, seed), faults)


def replay_test(repeated: RepeatedTest, schedule: Schedule) -> None:
    """The body under one schedule; raises what it raises, and `ScheduleMismatch` if the schedule
    does not fit.

    If it raises nothing the schedule is run once more as it is in a search, to find jobs that
    depend on more than their item.
    """
    repeated.timers = schedule.has_timers
    replay = ReplaySchedule(schedule)
    attempt = repeated.attempt(replay, lambda: repeated.simulator.crash_plans_in(schedule))
    replay.check_deaths(attempt.deaths)
    error = repeated.error or find_nondeterminism(repeated.simulator, attempt)
    if error is not None:
        raise error
