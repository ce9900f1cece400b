"""A search through fault plans: without a death, and with each one that was asked for.

Deaths are planned in a loop around the schedules: one worker dies before one of its stores, in each
of the plans.  A search for every class exhausts one plan after the other, until a plan names a
store that no schedule comes to.  Any other search takes one schedule of each plan in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from conveyor.sim.faults import Faults
from conveyor.sim.schedulers.exhaustive import Exhaustive
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.search.exploration import CrashPlans, Search
from conveyor.sim.search.findings import Exploration

__all__ = ["explore"]

MakeScheduler: TypeAlias = Callable[[], Scheduler]  # called for each fault plan


def explore(
    search: Search, make_scheduler: MakeScheduler, faults: Faults | None
) -> Exploration[object]:
    """Runs schedules until one fails, there are no more, or it has been enough."""
    scheduler = make_scheduler()
    found = search.found
    if isinstance(scheduler, Exhaustive):
        exhausted, _ = search.go(scheduler, tuple)
        found._done = 0.0 if exhausted else scheduler.done()  # pyright: ignore[reportPrivateUsage]  # it is filled here
        for worker in (
            faults.checked(search.simulator.pipeline.workers) if faults is not None else ()
        ):
            exhausted = deaths_of(search, worker, make_scheduler) and exhausted
        search.repeat()
        found.exhausted = exhausted and found.failure is None
        if found.exhausted and found.total is not None:
            assert found.classes == found.total, (
                f"{found.classes} classes were found, and there are {found.total}: "
                "an error of the simulator, or a job that depends on more than its item"
            )
    elif faults is None:
        search.go(scheduler, tuple)
    else:
        in_turn(search, make_scheduler, search.stores(faults))
    search.repeat()
    return found


def deaths_of(search: Search, worker: str, make_scheduler: MakeScheduler) -> bool:
    """Explores every plan in which a worker dies: before its first store, its second, and so on,
    until no schedule comes so far.

    Gives whether all of them were exhausted.
    """
    store = 0
    while not search.is_over():
        exhausted, died = search.go(make_scheduler(), dies(search, worker, store))
        if not exhausted:
            return False
        if not died:
            return True
        store += 1
    return False


def in_turn(
    search: Search, make_scheduler: MakeScheduler, stores: Sequence[tuple[str, int]]
) -> None:
    """A schedule without a death, one of each plan, and so on: a search that has no end would never
    come to the next plan."""
    turns = [
        (make_scheduler(), crash_plans)
        for crash_plans in (tuple, *(dies(search, worker, store) for worker, store in stores))
    ]
    while turns:
        for turn in list(turns):
            if search.is_over():
                return
            if turn[0].begin():
                search.step(*turn)
            else:
                turns.remove(turn)


def dies(search: Search, worker: str, store: int) -> CrashPlans:
    return lambda: [search.simulator.crash_plan(worker, before=store)]
