"""Many schedules of a pipeline, and the first that fails, made as small as can be.

Knows: how a search goes on and ends.  Must never know: how a scheduler decides, the clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Final, Generic, NamedTuple, TypeAlias

from typing_extensions import TypeVar

from conveyor.codec import short_repr
from conveyor.sim.faults import Faults
from conveyor.sim.port import Life
from conveyor.sim.schedule import Schedule
from conveyor.sim.schedulers.exhaustive import Exhaustive, Redundant
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.shrink import shrunk
from conveyor.sim.simulation import Attempt, Simulation, Simulator
from conveyor.sim.suspicion import suspicion

__all__ = ["Exploration", "Failed", "Found", "explore"]

Out = TypeVar("Out", default=object)

Check: TypeAlias = Callable[[Simulation[object]], object]
Strategy: TypeAlias = Callable[[], Scheduler]  # one for each fault plan

REPEATED: Final = 20  # one schedule of so many is run again and compared


class Failed(AssertionError):
    """A check that returned False."""


class Found(NamedTuple):
    """A schedule that fails: as small as it could be made, and how it was found.

    error: what the check or the run raised; number: of the schedule in the search, from 1; decisions: how many it had that were
    not the default; runs: how many it took to make them fewer.
    """

    error: BaseException
    schedule: str
    number: int
    decisions: int
    runs: int

    def __str__(self) -> str:
        fewer = Schedule.parse(self.schedule)
        lines = [
            f"{type(self.error).__name__}: {self.error}",
            f"schedule {self.number}, shrunk from {self.decisions} decisions to {len(fewer)} in {self.runs} runs",
            f"default everywhere except: {described(fewer)}",
            f"replay: pl.replay(items, {self.schedule!r})",
        ]
        return "\n".join(lines)


class Exploration(Generic[Out]):
    """What came of a search.

    schedules: how many were run; classes: how many different ones; outputs: every sequence of outputs that came out, as tuples
    (of reprs, where items cannot be hashed); complete: was every class seen; unseen: an estimate of how many classes were not
    (Chao, 1984), exact where their number is known; failure: the first that was found, or None.
    """

    def __init__(self, count: Callable[[], int | None] = lambda: None) -> None:
        self.schedules = 0
        self.exhausted = False
        self.outputs: set[tuple[Out, ...]] = set()
        self.failure: Found | None = None
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
            self.failure.error.add_note(str(self.failure))
            raise self.failure.error

    def __repr__(self) -> str:
        ends = "complete" if self.complete else f"about {self.unseen} unseen"
        failed = "" if self.failure is None else f", failure={self.failure.schedule!r}"
        return (
            f"<Exploration of {self.schedules} schedules: {self.classes} classes, {len(self.outputs)} outputs, {ends}{failed}>"
        )


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

    def go(self, scheduler: Scheduler, lives: Callable[[], Sequence[Life]]) -> tuple[bool, bool]:
        """Every schedule that `scheduler` has, until the search is over: had it no more, and did a worker die in any?"""
        died = False
        while not self.is_over():
            if not scheduler.begin():
                return True, died
            try:
                attempt = self.simulator.attempt(scheduler, lives())
            except Redundant:
                continue
            if attempt.lives and not attempt.deaths:
                continue  # nobody came to where they should have died: it is as if nobody should
            died = died or bool(attempt.deaths)
            self.look_at(attempt)
        return False, died

    def look_at(self, attempt: Attempt) -> None:
        """Counts a schedule in, and checks it."""
        found = self.found
        found.schedules += 1
        found._seen[class_of(attempt)] += 1  # pyright: ignore[reportPrivateUsage]  # this is who fills it
        if attempt.error is None:
            found.outputs.add(hashable(attempt.outputs))
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
        except Exception as error:  # whatever the check raises is what it found
            return error
        return Failed(f"the check returned False for {short_repr(attempt.outputs)}") if verdict is False else None

    def fails(self, attempt: Attempt, error: BaseException) -> None:
        """Makes the failure as small as can be."""
        schedule = attempt.schedule()
        decisions, runs = len(schedule), 0
        doubt = suspicion(self.simulator, attempt)
        if doubt is None:
            smaller = shrunk(self.simulator, schedule, self.judge)
            schedule, error, runs = smaller.schedule, smaller.error or error, smaller.runs
        else:
            error = doubt
        self.found.failure = Found(error, str(schedule), self.found.schedules, decisions, runs)


def explore(
    simulator: Simulator,
    check: Check | None,
    strategy: Strategy,
    *,
    most: int,
    expired: Callable[[], bool],
    faults: Faults | None,
    total: Callable[[], int | None],
) -> Exploration[object]:
    """Runs schedules until one fails, there are no more, or it has been enough."""
    search = Search(simulator, check, most, expired, total if faults is None else lambda: None)
    scheduler = strategy()
    exhausted, _ = search.go(scheduler, tuple)
    for worker in faults.checked(simulator.plan.workers) if faults is not None else ():
        exhausted = deaths_of(search, worker, strategy) and exhausted
    found = search.found
    found.exhausted = isinstance(scheduler, Exhaustive) and exhausted and found.failure is None
    if found.exhausted and found.total is not None:
        assert found.classes == found.total, (
            f"{found.classes} classes were found, and there are {found.total}: "
            "an error of the simulator, or a job that depends on more than its item"
        )
    return found


def deaths_of(search: Search, worker: str, strategy: Strategy) -> bool:
    """Every plan in which a worker dies: before its first store, its second, and so on, until it never comes so far."""
    store = 0
    while not search.is_over():
        exhausted, died = search.go(strategy(), lambda: [search.simulator.life(worker, before=store)])  # noqa: B023  # used before it changes
        if not exhausted:
            return False
        if not died:
            return True
        store += 1
    return False


def class_of(attempt: Attempt) -> tuple[object, ...]:
    """What tells one class of schedules from another: what was decided at each point."""
    if not attempt.turned:
        return (*[option for _, _, option, _ in attempt.log], *attempt.deaths)
    points: dict[str, list[int]] = {}
    for point, _, option, _ in attempt.log:
        points.setdefault(point, []).append(option)
    return (*sorted((point, tuple(options)) for point, options in points.items()), *attempt.deaths)


def hashable(outputs: list[object]) -> tuple[object, ...]:
    """The outputs as a member of a set."""
    try:
        hash(found := tuple(outputs))
    except TypeError:
        return tuple(map(repr, outputs))
    return found


def described(schedule: Schedule) -> str:
    """The decisions of a schedule in words."""
    return "; ".join(_words(schedule)) or "nothing"


def _words(schedule: Schedule) -> Iterator[str]:
    for (point, ordinal), option in schedule.choices.items():
        yield f"{point!r} #{ordinal} takes {option}"
    for death in schedule.deaths:
        when = "at the end of its run" if death.item is None else f"with item {death.item} {death.step}"
        later = f", and comes back {death.wait} decisions later" if death.wait else ""
        yield f"worker {death.worker!r} dies {when}{later}"
