"""What a scheduler is: it takes the decisions that in a real run the world takes.

It knows options.  It must never know what a pipeline does with what is decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from conveyor.errors import ScheduleMismatch
from conveyor.sim.schedule import Decision, Schedule

__all__ = ["Default", "Once", "Scheduler", "possible"]


class Scheduler:
    """Decides for one schedule after the other.  Write `pick`, and where there is more to know, the
    others.

    >>> class LastLane(Scheduler):
    ...     def pick(self, point, ordinal, options):
    ...         return options[-1]
    >>> from conveyor import Join, Pipe, Pipeline, ReplicatingFork
    >>> pl = Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2))
    >>> pl.simulate([1, 2], scheduler=LastLane()).schedule
    'cv1:join.0=1;join.1=1'
    """

    asks_always = False  # is `pick` to be asked where there is one option, too?
    waits = False  # does `wants` ever say anything?
    # Does a schedule begin as the one before did, so that the world need not run that part again?
    shares = False
    at = 0  # then: how many decisions it has taken
    comes_in: int | None = None  # so many items come in, if not all
    said: Schedule | None = None  # what is decided, where that is known as a whole
    results: int | None = None  # after so many the run is left, if it is left early
    # By its name, behind how many items a worker saves its state though others are there, in order
    saves: Mapping[str, Sequence[int]] = MappingProxyType({})

    def begin(self) -> bool:
        """Called before each schedule: is there another?"""
        return True

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        """One of `options`, of which the first is the default: lanes of the join or fork that
        `point` names, in most cases."""
        raise NotImplementedError

    def wants(self, point: str, ordinal: int) -> int | None:
        """The option that this decision has to wait for; None if any will do."""
        return None

    def turn(self, points: Sequence[str], options: Sequence[Sequence[int]]) -> int:
        """Which of several joins reads next, by its place in `points`; `options` has the lanes of
        each."""
        return 0

    def next(self, ordinal: int, joins: int) -> int | None:
        """Which of several joins reads next where workers die, by its place, if that is said for
        this time; None: ask `turn`."""
        return None

    def stop(self, workers: Sequence[str]) -> int | None:
        """Which of several failures, in workers of these names, ends the run; None: ask `pick`."""
        return None

    def timer(self, worker: str, place: tuple[int | None, int]) -> int | None:
        """Does the time of an item run out: that at a position of an input, both counted from 0, or
        that which goes on as one of the worker's steps?  None: ask `pick`."""
        return None

    def void(self, point: str, decided: int, stands: int) -> None:
        """A worker died: of all that it had decided at a point, this much stands; the rest is asked
        for again."""

    def shared(self) -> int:
        """How many decisions the schedule that begins has in common with the one before."""
        return 0

    def go_on(self, at: int) -> None:
        """The first `at` decisions are taken; the next is to be asked for."""
        self.at = at

    def end(self, decisions: Sequence[Decision]) -> None:
        """Called behind each schedule, with what was decided."""


class Once(Scheduler):
    """Has one schedule."""

    def __init__(self) -> None:
        self.is_over = False

    def begin(self) -> bool:
        was_over, self.is_over = self.is_over, True
        return not was_over


def possible(point: str, ordinal: int, options: Sequence[int], wanted: int, says: str) -> int:
    """The option that is `wanted`; raises `ScheduleMismatch` if it is impossible.

    `says` begins the message: "the schedule wants", say.
    """
    if wanted not in options:
        raise ScheduleMismatch(
            f"{point!r} #{ordinal}: {says} {wanted}, and possible is "
            f"{', '.join(map(str, options))}; it belongs to another pipeline, other items, or "
            "another version of a job"
        )
    return wanted


class Default(Scheduler):
    """Takes every default."""

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        return options[0]
