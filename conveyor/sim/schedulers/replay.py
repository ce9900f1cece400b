"""Schedulers that decide what was decided before: what a schedule says, what another simulated run
decided, or what a real run did.

They read a schedule, a list of decisions or a recording.  They must never know where it came from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from conveyor.errors import ScheduleMismatch
from conveyor.graph.topology import STEP
from conveyor.recording.crash_points import Timeout
from conveyor.recording.decision_points import TIMER
from conveyor.recording.reader import Recording
from conveyor.sim.schedule import (
    IN,
    LANES,
    LEFT,
    NEXT,
    RESTART,
    SAVES,
    Death,
    Decision,
    Key,
    Schedule,
)
from conveyor.sim.schedulers.scheduler import Once, Scheduler, possible

__all__ = ["ReplayLog", "FollowSchedule", "ReplayRecording", "ReplaySchedule"]


class FollowSchedule(Once):
    """Takes what a schedule says where that is possible, and the default elsewhere.

    A schedule that is being shrunk need not fit any more.
    """

    waits = True

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self.wanted: dict[tuple[str, int], int] = dict(schedule.choices.items())
        asked: dict[str, int] = {}
        for death in schedule.deaths:
            point = RESTART + death.worker
            first = asked.get(point, 0)
            wait = max(0, death.wait)
            self.wanted |= {(point, ordinal): 1 for ordinal in range(first, first + wait)}
            asked[point] = first + wait + 1
        self.comes_in = schedule.comes_in
        self.results = self.wanted.get((LEFT, 0))
        self.saves = saves_in(self.wanted)

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        wanted = self.wanted.get((point, ordinal))
        return wanted if wanted is not None and wanted in options else options[0]

    def next(self, ordinal: int, joins: int) -> int | None:
        wanted = self.wanted.get((NEXT, ordinal))
        return wanted if wanted is not None and wanted < joins else None

    def wants(self, point: str, ordinal: int) -> int | None:
        return self.wanted.get((point, ordinal))


class ReplaySchedule(FollowSchedule):
    """Takes exactly what a schedule says; raises `ScheduleMismatch` where that is impossible."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(schedule)
        self.said = schedule

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        wanted = self.wanted.get((point, ordinal))
        return (
            options[0]
            if wanted is None
            else possible(point, ordinal, options, wanted, "the schedule wants")
        )

    def next(self, ordinal: int, joins: int) -> int | None:
        wanted = self.wanted.get((NEXT, ordinal))
        return (
            None
            if wanted is None
            else possible(NEXT, ordinal, range(joins), wanted, "the schedule wants")
        )

    def end(self, decisions: Sequence[Decision]) -> None:
        reached = {Key(point, ordinal) for point, ordinal, _, _ in decisions}
        for key, wanted in self.schedule.choices.items():
            if key not in reached:
                there = sum(point == key.point for point, _ in reached)
                had = (
                    f"the run came to {there} decisions there"
                    if there
                    else "the run has no such decision point"
                )
                raise ScheduleMismatch(
                    f"{key.point!r} #{key.ordinal}: the schedule wants {wanted}, and {had}"
                )

    def check_deaths(self, died: Sequence[Death]) -> None:
        """Called behind the run with the deaths in it: all that the schedule names must be."""
        left = Counter(death.place for death in died)
        for death in self.schedule.deaths:
            left[death.place] -= 1
            if left[death.place] < 0:
                raise ScheduleMismatch(
                    f"{death}: the worker {death.worker!r} never came to where the schedule has it "
                    "die"
                )


class ReplayLog(Scheduler):
    """Takes the decisions of an earlier run in their order; the default where the run comes to
    other decision points now."""

    asks_always = True

    def __init__(self, log: Sequence[Decision]) -> None:
        said = {decision.point: decision.option for decision in log if decision.point in (IN, LEFT)}
        self.comes_in, self.results = said.get(IN), said.get(LEFT)
        self.saves = saves_in((point, ordinal) for point, ordinal, _, _ in log)
        self.log = [each for each in log if each.point not in said and not is_save(each.point)]
        self.at = 0

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        then = self.log[self.at] if self.at < len(self.log) else None
        self.at += 1
        return (
            then.option
            if then is not None and then.point == point and then.option in options
            else options[0]
        )

    def wants(self, point: str, ordinal: int) -> int | None:
        then = self.log[self.at] if self.at < len(self.log) else None
        is_this = then is not None and (then.point, then.ordinal) == (point, ordinal)
        return then.option if then is not None and is_this else None

    def turn(self, points: Sequence[str], options: Sequence[Sequence[int]]) -> int:
        point = self.log[self.at].point if self.at < len(self.log) else ""
        return points.index(point) if point in points else 0

    def next(self, ordinal: int, joins: int) -> int | None:
        then = self.log[self.at] if self.at < len(self.log) else None
        if then is None or then.point != NEXT:
            return None
        self.at += 1
        return then.option if then.option < joins else None


class ReplayRecording(Once):
    """Takes exactly what was recorded of a real run.

    Behind that, if the run did not come to its end, it takes the defaults.
    """

    waits = True
    asks_always = True

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self.recording = recording
        self.lanes = {point.name: recording.decisions[point.name] for point in recording.points}
        self.opened = dict(recording.end.lanes) if recording.end is not None else {}
        if recording.end is not None and recording.end.how == "stopped":
            self.results = recording.end.results
        self.saves = recording.saves
        self.timeouts = Counter(recording.timeouts)  # that are still to come
        # How many decisions of a point were taken by workers that died, and are void.
        self.voided: dict[str, int] = {}

    def wants(self, point: str, ordinal: int) -> int | None:
        lanes = self.lanes.get(point)
        at = ordinal - self.voided.get(point, 0)
        return lanes[at] if lanes is not None and at < len(lanes) else None

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        if point.endswith(LANES):
            wanted = self.opened.get(point.removesuffix(LANES))
        elif point in self.lanes:
            wanted = self.wants(point, ordinal)
            if wanted is None and point.endswith(TIMER):
                wanted = 0  # the end is told before anything else comes due
            if wanted is None and self.recording.is_whole:
                raise ScheduleMismatch(
                    f"{point!r} #{ordinal}: {self.recording.name} has "
                    f"{len(self.lanes[point])} decisions there, and the run goes on; "
                    f"possible is {', '.join(map(str, options))}"
                )
        else:
            wanted = None
        return (
            options[0]
            if wanted is None
            else possible(point, ordinal, options, wanted, f"{self.recording.name} has")
        )

    def stop(self, workers: Sequence[str]) -> int | None:
        end = self.recording.end
        return workers.index(end.stage) if end is not None and end.stage in workers else None

    def timer(self, worker: str, place: tuple[int | None, int]) -> int:
        source, position = place
        if source is None:
            position -= self.voided.get(worker + STEP, 0)
        timeout = Timeout(worker, source, position)
        if not self.timeouts[timeout]:
            return 0
        self.timeouts[timeout] -= 1
        return 1

    def void(self, point: str, decided: int, stands: int) -> None:
        self.voided[point] = decided - stands

    def check_end(self, counts: Mapping[str, int]) -> None:
        """Called behind the run with how much was decided at each point: nothing that was recorded
        may be left."""
        if not self.recording.is_whole:
            return
        for timeout in self.timeouts.elements():
            raise ScheduleMismatch(
                f"{timeout.worker!r}: in {self.recording.name} the time of {timeout} runs out, and "
                "the run never gave it that item so often"
            )
        for point, lanes in self.lanes.items():
            came = counts.get(point, 0) - self.voided.get(point, 0)
            if came < len(lanes):
                raise ScheduleMismatch(
                    f"{point!r} #{came}: {self.recording.name} has {lanes[came]}, "
                    "and the run came to no more decisions there"
                )


def saves_in(keys: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    """Behind how many items each worker saves its state though others are there."""
    found: dict[str, list[int]] = {}
    for point, items in sorted(keys):
        if is_save(point):
            found.setdefault(point.removesuffix(SAVES), []).append(items)
    return found


def is_save(point: str) -> bool:
    return point.endswith(SAVES)
