"""A recording as it is read from its file.

Knows: the frames and what they hold.  Must never know: how they were written, or how a run is made
to follow them.
"""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from conveyor.errors import ScheduleMismatch
from conveyor.graph.topology import Topology
from conveyor.items.fingerprint import Digest
from conveyor.items.main_module import Definitions
from conveyor.recording.crash_points import Crash, Timeout
from conveyor.recording.decision_points import Point, described, points_of
from conveyor.recording.format import (
    CRASHED,
    DECIDED,
    ENDED,
    HEAD,
    INPUT,
    PIPELINE,
    PROGRESSED,
    RAN_OUT,
    SAVED,
    TAKEN_BACK,
    VOID,
    End,
    crash_of,
    decisions_of,
    head_of,
    progress_of,
    saved_of,
    stands_of,
    timeout_of,
    timeouts_of,
)
from conveyor.recording.frames import frames_in
from conveyor.recording.kept_pipeline import KeptPipeline

__all__ = ["Recording"]


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file says of a run.

    `end` is None if the file was cut off, `pipeline` if the pipeline was too large to be kept.
    `input` has the items, pickled in parts; it is None if they were too many to be kept.  `saves`
    tells of workers with several items in hand that saved their state as no other was there: behind
    how many of the run, in order.
    """

    name: str
    points: tuple[Point, ...]
    adaptive_lanes: int
    decisions: Mapping[str, array[int]]
    crashes: tuple[Crash, ...] = ()
    timeouts: tuple[Timeout, ...] = ()
    saves: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    given: Digest = field(default_factory=Digest)
    end: End | None = None
    pipeline: bytes | None = None
    input: tuple[bytes, ...] | None = None
    lanes_of: Mapping[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def read(cls, data: bytes, name: str) -> Recording:
        """Reads the content of a file of this name, as far as it is whole.

        Raises `ScheduleMismatch` if it is no recording, or one in another format.
        """
        frames = frames_in(data, name)
        kind, payload = next(frames, (b"", b""))
        if kind != HEAD:
            raise ScheduleMismatch(f"{name} was cut off before it said which pipeline it is of")
        points, adaptive_lanes, lanes_of = head_of(payload)
        whole = cls(name, points, adaptive_lanes, {}, lanes_of=lanes_of)
        return Reader(whole).read(frames)

    def check(self, topology: Topology) -> None:
        """Raises `ScheduleMismatch` if it is of a pipeline that decides something else."""
        mine, theirs = [
            {point.name: point for point in points} for points in (self.points, points_of(topology))
        ]
        for name in [*mine, *(name for name in theirs if name not in mine)]:
            if mine.get(name) != theirs.get(name):
                raise ScheduleMismatch(
                    f"{self.name} is of another pipeline: it was recorded with "
                    f"{described(name, mine)}; here there is {described(name, theirs)}"
                )

    def check_items(self, items: Sequence[object]) -> None:
        """Raises `ScheduleMismatch` if it is of a run on other items.

        There may be more that never went in, unless the run came to the end of them.
        """
        count = self.given.count
        other = self.given.first_difference(items)
        if other is not None:
            which = (
                f"number {other[0]}"
                if len(other) == 1
                else f"one of the numbers {other[0]} to {other[-1]}"
            )
            raise ScheduleMismatch(
                f"{self.name} is of a run on other items: of {count} items, {which} was another one"
            )
        if len(items) < count or (self.is_whole and len(items) > count):
            raise ScheduleMismatch(
                f"{self.name} is of a run on {count} items; here there are {len(items)}"
            )

    @property
    def is_whole(self) -> bool:
        """Did the run come to the end of its items?"""
        return self.end is not None and self.end.how == "done"

    @property
    def has_timers(self) -> bool:
        """Did the time of an item run out?"""
        return bool(self.timeouts)

    @property
    def items(self) -> tuple[object, ...] | None:
        """The items that went in, if all were kept; raises what unpickling them raises."""
        if self.input is None:
            return None
        items = [item for part in self.input for item in pickle.loads(part)]
        return tuple(items) if len(items) == self.given.count else None

    def definitions(self) -> Definitions | None:
        """The definitions of the program's script that was recorded, if its pipeline was kept."""
        return KeptPipeline.read(self.pipeline).definitions if self.pipeline is not None else None

    def topology(self) -> Topology | None:
        """The pipeline itself, if it was kept; raises what unpickling its stages raises."""
        return KeptPipeline.read(self.pipeline).topology() if self.pipeline is not None else None


class Reader:
    """Puts a recording together, frame by frame."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.widths = [point.lanes for point in recording.points]
        self.lanes = [array("H") for _ in recording.points]
        self.crashes: list[Crash] = []
        self.timeouts: list[Timeout] = []
        self.saves: dict[str, list[int]] = {}
        self.input: list[bytes] | None = []
        self.given = Digest()
        self.end: End | None = None
        self.pipeline: bytes | None = None

    def read(self, frames: Iterator[tuple[bytes, bytes]]) -> Recording:
        for kind, payload in frames:
            self.take(kind, payload)
        decisions = {
            point.name: lanes
            for point, lanes in zip(self.recording.points, self.lanes, strict=True)
        }
        return replace(
            self.recording,
            decisions=decisions,
            crashes=tuple(self.crashes),
            timeouts=tuple(self.timeouts),
            saves=self.saves,
            given=self.given,
            end=self.end,
            pipeline=self.pipeline,
            input=tuple(self.input) if self.input is not None else None,
        )

    def take(self, kind: bytes, payload: bytes) -> None:
        """Takes in a frame; one of an unknown kind is left out, as a later version may add some."""
        if kind == DECIDED:
            for point, lane, count in decisions_of(payload, self.widths):
                self.lanes[point].extend([lane] * count)
        elif kind == VOID:
            for point, stands in stands_of(payload):
                del self.lanes[point][stands:]
        elif kind == CRASHED:
            self.crashes.append(crash_of(payload))
        elif kind == RAN_OUT:
            self.timeouts.append(timeout_of(payload))
        elif kind == TAKEN_BACK:
            for timeout in timeouts_of(payload):
                self.timeouts.remove(timeout)
        elif kind == SAVED:
            worker, behind = saved_of(payload)
            self.saves.setdefault(worker, []).extend(behind)
        elif kind == PROGRESSED:
            told, prints = progress_of(payload)
            self.given.sample.count = told.upto
            self.given.sample.prints += prints
            self.given.told.append(told)
        elif kind == INPUT:
            self.keep_input(payload)
        elif kind == PIPELINE:
            self.pipeline = payload
        elif kind == ENDED:
            self.end = End.read(payload)

    def keep_input(self, payload: bytes) -> None:
        """Keeps the next items, pickled; none at all once a frame says that they are too many."""
        if not payload:
            self.input = None
        elif self.input is not None:
            self.input.append(payload)
