"""What a search has found: how much it has seen, and the schedule that fails.

Knows: how that is told.  Must never know: how a search goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cached_property
from typing import Generic, NamedTuple

from typing_extensions import TypeVar

from conveyor.errors import NotDeterministic
from conveyor.sim.schedule import Schedule
from conveyor.sim.search.describe import several

__all__ = ["Exploration", "Found"]

Out = TypeVar("Out", default=object)


class Found(NamedTuple):
    """A schedule that fails: as small as it could be made, and how it was found.  It has failed
    once more when it was replayed, or else `repeats` is false.

    error: what the check or the run raised; number: of the schedule in the search, from 1;
    decisions: how many it had that were not the default; runs: how many it took to make them fewer;
    words: the decisions that are left.
    """

    error: BaseException
    schedule: str
    number: int
    decisions: int
    runs: int
    words: str
    repeats: bool = True

    @property
    def is_left_behind(self) -> bool:
        """Does it fail because of what earlier schedules left, rather than under this one?"""
        return isinstance(self.error, NotDeterministic) and not self.repeats

    def __str__(self) -> str:
        what = f"{type(self.error).__name__}: {self.error}\nschedule {self.number}"
        if self.is_left_behind:
            return what
        if isinstance(self.error, NotDeterministic):  # one run does not show it
            call = f"pl.explore(items, start={self.schedule!r}, schedules=1)"
            return f"{what}, {self.story()}\nagain: {call}"
        return (
            f"{what}, {self.story()}\n{self.how_to_replay(f'pl.replay(items, {self.schedule!r})')}"
        )

    def how_to_replay(self, call: str) -> str:
        """What to do to see it again, if that is of use."""
        if self.repeats:
            return f"replay: {call}"
        return (
            f"{call} did not fail when it was tried: a job or the check depends on more than its "
            "items, such as what an earlier run left behind; if not, this is a fault of "
            "Conveyor's: please report it"
        )

    def story(self) -> str:
        """How small it has become, and what is left."""
        fewer = len(Schedule.parse(self.schedule))
        if not fewer:
            return "default everywhere: no certain order is needed for this"
        runs = several(self.runs, "run")
        shrunk = f"shrunk from {several(self.decisions, 'decision')} to {fewer} in {runs}"
        return f"{shrunk}\ndefault everywhere except: {self.words}"


def not_known() -> None:
    """How many classes there are, where nothing can work it out."""


class Exploration(Generic[Out]):
    """What came of a search.

    schedules: how many were run; classes: how many different ones; outputs: every sequence of
    outputs that came out, as tuples (of reprs, where items cannot be hashed); two are one if
    nothing but the order of a set or an address tells them apart, so 1 and True are two; complete:
    was every class seen; unseen: an estimate of how many classes were not (Chao, 1984), exact where
    their number is known; failure: the first that was found, or None; lanes: for how many lanes of
    each fork that adapts all this holds: a real run opens as many as it needs, up to the cores that
    there are.
    """

    def __init__(self, count: Callable[[], int | None] = not_known) -> None:
        self.schedules = 0
        self.exhausted = False
        self.outputs: set[tuple[Out, ...]] = set()
        self.failure: Found | None = None
        self.lanes: dict[str, int] = {}
        self._done = 0.0  # how much of a search for every class is, if it was one
        self._count = count  # asked only when it matters: it takes longer than some searches
        self._seen: Counter[tuple[object, ...]] = Counter()

    def __getstate__(self) -> dict[str, object]:
        """All of it, with the number of classes, where that can be worked out; what works it out
        stays with the pipeline."""
        return {**self.__dict__, "total": self.total, "_count": not_known}

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
        if self._done:
            return max(1, round(self.classes / self._done) - self.classes)
        counts = Counter(self._seen.values())
        once, twice = counts[1], counts[2]
        return -(-once * (once - 1) // (2 * (twice + 1)))

    def __repr__(self) -> str:
        ends = "complete" if self.complete else f"about {self.unseen} unseen"
        lanes = "".join(
            f", for {several(lanes, 'lane')} of {fork!r}" for fork, lanes in self.lanes.items()
        )
        failed = "" if self.failure is None else f", failure={self.failure.schedule!r}"
        found = f"{self.classes} classes, {len(self.outputs)} outputs, {ends}"
        return f"<Exploration of {self.schedules} schedules: {found}{lanes}{failed}>"
