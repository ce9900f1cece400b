"""Many schedules of a pipeline, and the first that fails, made as small as can be.

Knows: how a search goes on and ends.  Must never know: how a scheduler decides, the clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Final, Generic, NamedTuple, TypeAlias

from typing_extensions import TypeVar

from conveyor.codec import short_repr
from conveyor.errors import ScheduleMismatch
from conveyor.remote_errors import add_note
from conveyor.sim.faults import Faults
from conveyor.sim.likeness import Outcome
from conveyor.sim.port import Life
from conveyor.sim.schedule import NEXT, Schedule
from conveyor.sim.schedulers.deviations import Deviations
from conveyor.sim.schedulers.exhaustive import Exhaustive, Redundant
from conveyor.sim.schedulers.replay import Follow, Replay
from conveyor.sim.schedulers.scheduler import Default, Scheduler
from conveyor.sim.shrink import Shrunk, shrunk
from conveyor.sim.simulation import Attempt, Simulation, Simulator, followed
from conveyor.sim.suspicion import suspicion
from conveyor.sim.verdict import tells_failure
from conveyor.sim.words import in_words

__all__ = ["Exploration", "Failed", "Found", "Search", "explore", "stores_of", "with_fewer"]

Out = TypeVar("Out", default=object)

Check: TypeAlias = Callable[[Simulation[object]], object]
Strategy: TypeAlias = Callable[[], Scheduler]  # one for each fault plan
Lives: TypeAlias = Callable[[], Sequence[Life]]

FEWER: Final = 200  # schedules that are tried for a failure with fewer decisions
OPTION: Final = itemgetter(2)  # of a decision
REPEATED: Final = 20  # one schedule of so many is run again and compared


class Failed(AssertionError):
    """A check that returned False."""


class Found(NamedTuple):
    """A schedule that fails: as small as it could be made, and how it was found.  It has failed once more when it was replayed,
    or else `repeats` is false.

    error: what the check or the run raised; number: of the schedule in the search, from 1; decisions: how many it had that were
    not the default; runs: how many it took to make them fewer; words: the decisions that are left.
    """

    error: BaseException
    schedule: str
    number: int
    decisions: int
    runs: int
    words: str
    repeats: bool = True

    def __str__(self) -> str:
        what = f"{type(self.error).__name__}: {self.error}"
        return f"{what}\nschedule {self.number}, {self.story()}\n{self.how_to_replay(f'pl.replay(items, {self.schedule!r})')}"

    def how_to_replay(self, call: str) -> str:
        """What to do to see it again, if that is of use."""
        if self.repeats:
            return f"replay: {call}"
        return (
            f"{call} did not fail when it was tried: a job or the check depends on more than its "
            "items, such as what an earlier run left behind; if not, this is a fault of Conveyor's: "
            "please report it"
        )

    def story(self) -> str:
        """How small it has become, and what is left."""
        fewer = len(Schedule.parse(self.schedule))
        if not fewer:
            return "default everywhere: no certain order is needed for this"
        shrunk = f"shrunk from {several(self.decisions, 'decision')} to {fewer} in {several(self.runs, 'run')}"
        return f"{shrunk}\ndefault everywhere except: {self.words}"


class Exploration(Generic[Out]):
    """What came of a search.

    schedules: how many were run; classes: how many different ones; outputs: every sequence of outputs that came out, as tuples
    (of reprs, where items cannot be hashed); two are one if nothing but the order of a set or an address tells them apart, so
    1 and True are two; complete: was every class seen; unseen: an estimate of how many classes were not
    (Chao, 1984), exact where their number is known; failure: the first that was found, or None; lanes: for how many lanes
    of each fork that adapts all this holds: a real run opens as many as it needs, up to the cores that there are.
    """

    def __init__(self, count: Callable[[], int | None] = lambda: None) -> None:
        self.schedules = 0
        self.exhausted = False
        self.outputs: set[tuple[Out, ...]] = set()
        self.failure: Found | None = None
        self.lanes: dict[str, int] = {}
        self._count = count  # asked only when it matters: it takes longer than some searches
        self._seen: Counter[tuple[object, ...]] = Counter()

    @property
    def classes(self) -> int:
        return len(self._seen)

    @cached_property
    def total(self) -> int | None:
        """How many classes there are, if that can be worked out."""
        return self._count()

    @property
    def complete(self) -> bool:
        return self.exhausted or self.classes == self.total

    @property
    def unseen(self) -> int:
        if self.complete:
            return 0
        if self.total is not None:
            return max(0, self.total - self.classes)
        counts = Counter(self._seen.values())
        once, twice = counts[1], counts[2]
        return -(-once * (once - 1) // (2 * (twice + 1)))

    def raise_failure(self) -> None:
        """Raises what failed, if anything did, with the schedule that does it again."""
        if self.failure is not None:
            add_note(self.failure.error, str(self.failure))
            raise self.failure.error

    def __repr__(self) -> str:
        ends = "complete" if self.complete else f"about {self.unseen} unseen"
        lanes = "".join(f", for {several(lanes, 'lane')} of {fork!r}" for fork, lanes in self.lanes.items())
        failed = "" if self.failure is None else f", failure={self.failure.schedule!r}"
        found = f"{self.classes} classes, {len(self.outputs)} outputs, {ends}"
        return f"<Exploration of {self.schedules} schedules: {found}{lanes}{failed}>"


class Search:
    """One exploration under way."""

    def __init__(
        self, simulator: Simulator, check: Check | None, most: int, expired: Callable[[], bool], total: Callable[[], int | None]
    ) -> None:
        self.simulator = simulator
        self.check = check
        self.most = most
        self.expired = expired
        self.found: Exploration[object] = Exploration(total)

    def is_over(self) -> bool:
        return self.found.failure is not None or self.found.schedules >= self.most or self.expired()

    def go(self, scheduler: Scheduler, lives: Lives) -> tuple[bool, bool]:
        """Every schedule that `scheduler` has, until the search is over: had it no more, and did a worker die in any?"""
        died = False
        while not self.is_over():
            if not scheduler.begin():
                return True, died
            died = self.step(scheduler, lives) or died
        return False, died

    def step(self, scheduler: Scheduler, lives: Lives) -> bool:
        """The schedule that `scheduler` has begun: did a worker die in it?"""
        try:
            attempt = self.attempt(scheduler, lives)
        except Redundant:
            return False
        if not attempt.lives or attempt.deaths:  # else nobody came to where they should have died: it is as if nobody should
            self.look_at(attempt)
        return bool(attempt.deaths)

    def attempt(self, scheduler: Scheduler, lives: Lives) -> Attempt:
        """One schedule; who may die in it is asked when the pipeline is there."""
        return self.simulator.attempt(scheduler, lives())

    def follow(self, schedule: Schedule) -> Attempt:
        """A certain schedule, as far as it fits."""
        return followed(schedule, lambda said: self.attempt(Follow(said), lambda: self.simulator.lives_in(said)))

    def rerun(self, schedule: Schedule) -> tuple[Schedule, BaseException | None]:
        attempt = self.follow(schedule)
        return attempt.schedule(), self.judge(attempt)

    def rerun_twice(self, schedule: Schedule) -> tuple[Schedule, BaseException | None]:
        """The same, where what is wrong is that two runs of one schedule differ."""
        attempt = self.follow(schedule)
        return attempt.schedule(), suspicion(self.simulator, attempt)

    def look_at(self, attempt: Attempt) -> None:
        """Counts a schedule in, and checks it."""
        found = self.found
        found.schedules += 1
        seen, this = found._seen, class_of(attempt)  # pyright: ignore[reportPrivateUsage]  # this is who fills it
        seen[this] = seen.get(this, 0) + 1
        if attempt.error is None:
            found.outputs.add(Outcome(attempt.outputs))
        error = self.judge(attempt)
        if error is None and found.schedules % REPEATED == 1:
            error = suspicion(self.simulator, attempt)
        if error is not None:
            self.fails(attempt, error)

    def judge(self, attempt: Attempt) -> BaseException | None:
        """What is wrong with a schedule, if anything is."""
        if attempt.error is not None:
            return attempt.error
        if self.check is None:
            return None
        try:
            verdict = self.check(Simulation(attempt, self.simulator))
        except BaseException as error:  # whatever the check raises is what it found
            if not tells_failure(error):
                raise
            return error
        return Failed(f"the check returned False for {short_repr(attempt.outputs)}") if verdict is False else None

    def fails(self, attempt: Attempt, error: BaseException) -> None:
        """Makes the failure as small as can be, and makes sure that what is left fails again."""
        schedule = attempt.schedule()
        doubt = suspicion(self.simulator, attempt)
        smaller = shrunk(schedule, self.rerun if doubt is None else self.rerun_twice)
        error = smaller.error or doubt or error
        words = in_words(smaller.schedule, self.simulator.plan.topology)
        found = Found(error, str(smaller.schedule), self.found.schedules, len(schedule), smaller.runs, words)
        self.found.failure = found if doubt is not None else self.sure_of(found, smaller)

    def sure_of(self, found: Found, smaller: Shrunk) -> Found:
        """The smallest schedule on the way that fails once more when exactly that is run, as it is when it is pasted."""
        for schedule in (smaller.schedule, *smaller.larger):
            if (error := self.once_more(schedule)) is not None:
                words = in_words(schedule, self.simulator.plan.topology)
                return found._replace(error=error, schedule=str(schedule), words=words)
        return found._replace(repeats=False)

    def once_more(self, schedule: Schedule) -> BaseException | None:
        """What is wrong when exactly this is replayed, if anything is."""
        replay = Replay(schedule)
        try:
            attempt = self.attempt(replay, lambda: self.simulator.lives_in(schedule))
            replay.check_deaths(attempt.deaths)
        except ScheduleMismatch:
            return None
        return self.judge(attempt)


def with_fewer(search: Search) -> None:
    """Another failure in the place of the one that was found, if one of the first schedules has fewer decisions and fails."""
    failure = search.found.failure
    if failure is None:
        return
    scheduler = Deviations(len(Schedule.parse(failure.schedule)) - 1)
    for run in range(1, FEWER + 1):
        if not scheduler.begin():
            return
        attempt = search.attempt(scheduler, tuple)
        if search.judge(attempt) is not None and (error := search.once_more(schedule := attempt.schedule())) is not None:
            words = in_words(schedule, search.simulator.plan.topology)
            search.found.failure = failure._replace(error=error, schedule=str(schedule), runs=failure.runs + run, words=words)
            return


def explore(search: Search, strategy: Strategy, faults: Faults | None) -> Exploration[object]:
    """Runs schedules until one fails, there are no more, or it has been enough."""
    scheduler = strategy()
    found = search.found
    if isinstance(scheduler, Exhaustive):
        exhausted, _ = search.go(scheduler, tuple)
        for worker in faults.checked(search.simulator.plan.workers) if faults is not None else ():
            exhausted = deaths_of(search, worker, strategy) and exhausted
        found.exhausted = exhausted and found.failure is None
        if found.exhausted and found.total is not None:
            assert found.classes == found.total, (
                f"{found.classes} classes were found, and there are {found.total}: "
                "an error of the simulator, or a job that depends on more than its item"
            )
    elif faults is None:
        search.go(scheduler, tuple)
    else:
        in_turn(search, strategy, stores_of(search.simulator, faults))
    return found


def deaths_of(search: Search, worker: str, strategy: Strategy) -> bool:
    """Every plan in which a worker dies: before its first store, its second, and so on, until it never comes so far."""
    store = 0
    while not search.is_over():
        exhausted, died = search.go(strategy(), dies(search, worker, store))
        if not exhausted:
            return False
        if not died:
            return True
        store += 1
    return False


def in_turn(search: Search, strategy: Strategy, stores: Sequence[tuple[str, int]]) -> None:
    """A schedule without a death, one of each plan, and so on: a search that has no end would never come to the next plan."""
    turns = [(strategy(), lives) for lives in (tuple, *(dies(search, worker, store) for worker, store in stores))]
    while turns:
        for turn in list(turns):
            if search.is_over():
                return
            if turn[0].begin():
                search.step(*turn)
            else:
                turns.remove(turn)


def dies(search: Search, worker: str, store: int) -> Lives:
    return lambda: [search.simulator.life(worker, before=store)]


def stores_of(simulator: Simulator, faults: Faults) -> list[tuple[str, int]]:
    """The stores before which a worker may die, as many as there are by default: first all first ones, and so on."""
    counters = [simulator.life(worker) for worker in faults.checked(simulator.plan.workers)]
    simulator.attempt(Default(), counters)
    return sorted(((life.worker, store) for life in counters for store in range(life.stores)), key=lambda found: found[1])


def several(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def class_of(attempt: Attempt) -> tuple[object, ...]:
    """What tells one class of schedules from another: what was decided at each point."""
    if not attempt.turned:
        return (*map(OPTION, attempt.log), *attempt.deaths)
    points: dict[str, list[int]] = {}
    for point, _, option, _ in attempt.log:
        if point != NEXT:
            points.setdefault(point, []).append(option)
    return (*sorted((point, tuple(options)) for point, options in points.items()), *attempt.deaths)
