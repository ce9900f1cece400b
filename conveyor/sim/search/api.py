"""What a pipeline asks of the simulator: one schedule, many, a certain one, or how many there are.

Knows: which scheduler is meant by which word.  Must never know: how schedules are run, the clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from conveyor.errors import ScheduleMismatch, TopologyError
from conveyor.graph.keeping import check_can_be_kept
from conveyor.graph.route import adaptive_forks
from conveyor.graph.topology import Topology
from conveyor.items.short_repr import short_repr
from conveyor.recording.reader import Recording
from conveyor.sim.counting.count import count_classes
from conveyor.sim.faults import Faults
from conveyor.sim.interruption import look_for_handlers
from conveyor.sim.job_logs import locating_records
from conveyor.sim.prepare.intake import taken_in
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.rng import Chance
from conveyor.sim.schedule import MACHINE, Schedule
from conveyor.sim.schedulers.deviations import Deviations
from conveyor.sim.schedulers.exhaustive import Exhaustive
from conveyor.sim.schedulers.pct import Priorities
from conveyor.sim.schedulers.portfolio import Portfolio
from conveyor.sim.schedulers.random import RandomWalk
from conveyor.sim.schedulers.replay import ReplaySchedule
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.schedulers.urw import UniformWalk
from conveyor.sim.search.exploration import Check, Search, stores_of, with_fewer
from conveyor.sim.search.fault_plans import explore
from conveyor.sim.search.findings import Exploration
from conveyor.sim.search.from_recording import follow, followed
from conveyor.sim.search.options import STRATEGIES, SearchOptions, Strategy, check_type
from conveyor.sim.search.simulation import Simulation, Simulator
from conveyor.sim.world.faulty_channel import CrashPlan

__all__ = ["count", "explored", "made", "replayed", "simulated"]

PCT_DEPTH = 3


def simulated(
    topology: Topology,
    items: Iterable[object],
    seed: int,
    scheduler: Scheduler | None,
    faults: Faults | None,
    copy: bool = True,
    lanes: int | None = None,
) -> Simulation[object]:
    """One schedule; with faults, one death in it, drawn from the seed."""
    check_type(Scheduler | None, scheduler, "simulate(): scheduler")
    check_type(Faults | None, faults, "simulate(): faults")
    check_type(bool, copy, "simulate(): copy")
    simulator = Simulator(prepared(topology, faults, copy, lanes=lanes), items)
    chosen = RandomWalk(seed) if scheduler is None else scheduler
    if not chosen.begin():
        raise TopologyError(
            f"simulate(): {type(chosen).__name__} has no schedule left; make a new one"
        )
    crash_plans = [] if faults is None else one_death(simulator, faults, seed)
    attempt = simulator.attempt(chosen, crash_plans)
    if attempt.is_unreached:
        attempt = simulator.follow(attempt.schedule())
    return simulator.simulation(attempt, seed)


def prepared(
    topology: Topology,
    faults: Faults | None,
    copy: bool,
    start: Schedule | Recording | None = None,
    *,
    lanes: int | None = None,
) -> PreparedPipeline:
    if faults is not None and faults.machine:
        check_can_be_kept(topology)
    timers = (faults is not None and faults.timeouts) or (start is not None and start.has_timers)
    return PreparedPipeline(topology, timers=timers, copies=copy, lanes=lanes)


def one_death(simulator: Simulator, faults: Faults, seed: int) -> list[CrashPlan]:
    """A plan by which a worker dies before one of the stores that it makes by default; none if
    there are no stores."""
    stores = stores_of(simulator, faults)
    if not stores:
        return []
    worker, store = stores[Chance(seed).below(len(stores))]
    return [simulator.crash_plan(worker, before=store)]


def replayed(
    topology: Topology,
    items: Iterable[object],
    said: Schedule | Recording,
    lanes: int | None = None,
) -> Simulation[object]:
    """A certain schedule, or what a real run decided."""
    if isinstance(said, Recording):
        simulator, attempt = followed(topology, items, said, lanes)
        return simulator.simulation(attempt, None)
    coming = items if said.comes_in is None else islice(items, said.comes_in)
    simulator = Simulator(PreparedPipeline(topology, timers=said.has_timers, lanes=lanes), coming)
    workers = simulator.pipeline.workers
    for death in said.deaths:
        if death.worker not in (*workers, MACHINE):
            raise ScheduleMismatch(
                f"{death}: there is no worker {death.worker!r}; "
                f"the workers are {', '.join(workers) or 'none'}"
            )
    replay = ReplaySchedule(said)
    replay.begin()
    attempt = simulator.attempt(replay, simulator.crash_plans_in(said))
    replay.check_deaths(attempt.deaths)
    return simulator.simulation(attempt, None)


def explored(
    topology: Topology, items: Iterable[object], check: Check | None, options: SearchOptions
) -> Exploration[object]:
    """Runs many schedules, that of `options.start` before all others."""
    options.check("explore()")
    if check is not None and not callable(check):
        raise TypeError(
            f"explore(): check must be a function that takes a simulation, not {short_repr(check)}"
        )
    faults, start, strategy = options.faults, options.start, options.strategy
    pipeline = prepared(topology, faults, options.copy, start, lanes=options.lanes)
    simulator = Simulator(pipeline, items, checked=False, watched=check is not None)

    def total() -> int | None:
        return count_classes(pipeline, simulator.items)

    search = Search(
        simulator,
        check,
        options.schedules,
        options.expired,
        total if faults is None and start is None else lambda: None,
    )
    search.found.lanes = lanes_of(topology)
    search.told = options.told
    if isinstance(start, Recording):
        search.look_at(follow(simulator, start))
    elif start is not None:
        search.look_at(search.follow(start))
    with locating_records():  # once for all schedules
        with_fewer(search)
        return explore(search, lambda: made(strategy, pipeline, options.seed), faults)


def lanes_of(topology: Topology) -> dict[str, int]:
    """How many lanes each fork has that adapts."""
    return {
        fork.name: len(fork.lanes) for spec in topology.nodes for fork in adaptive_forks(spec.route)
    }


def made(strategy: Strategy | Scheduler, pipeline: PreparedPipeline, seed: int) -> Scheduler:
    """The scheduler that a word names; a scheduler itself, if it is one."""
    if isinstance(strategy, Scheduler):
        return strategy
    match strategy:
        case "portfolio":
            return Portfolio(seed)
        case "random":
            return RandomWalk(seed)
        case "urw":
            return UniformWalk(seed)
        case "pct":
            return Priorities(PCT_DEPTH, seed)
        case "deviations":
            return Deviations()
        case "exhaustive":
            return Exhaustive(several=pipeline.deciding > 1)
    raise TopologyError(
        f"explore(): strategy is {strategy!r}; "
        f"it must be a Scheduler or one of {', '.join(STRATEGIES)}"
    )


def count(topology: Topology, items: Iterable[object]) -> int | None:
    """How many classes of schedules there are, if that can be worked out."""
    look_for_handlers()
    pipeline = PreparedPipeline(topology)
    return count_classes(pipeline, taken_in(items))
