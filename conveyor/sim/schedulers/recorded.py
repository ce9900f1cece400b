"""What a real run decided, decision for decision.

Knows: a recording.  Must never know: files, how the run went in other respects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from conveyor.errors import ScheduleMismatch
from conveyor.recording.crash_points import Timeout
from conveyor.recording.format import Recording
from conveyor.sim.schedule import LANES
from conveyor.sim.schedulers.scheduler import Once, possible

__all__ = ["Recorded"]


class Recorded(Once):
    """Takes exactly what was recorded; behind that, if the run did not come to its end, the
    defaults."""

    waits = True
    asks_always = True

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self.recording = recording
        self.lanes = {point.name: recording.decisions[point.name] for point in recording.points}
        self.opened = dict(recording.end.lanes) if recording.end is not None else {}
        if recording.end is not None and recording.end.how == "stopped":
            self.results = recording.end.results
        self.timeouts = Counter(recording.timeouts)  # that are still to come
        self.again: dict[
            str, int
        ] = {}  # how many decisions of a point were taken by workers that died, and are void

    def wants(self, point: str, ordinal: int) -> int | None:
        lanes = self.lanes.get(point)
        at = ordinal - self.again.get(point, 0)
        return lanes[at] if lanes is not None and at < len(lanes) else None

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        if point.endswith(LANES):
            wanted = self.opened.get(point.removesuffix(LANES))
        elif point in self.lanes:
            wanted = self.wants(point, ordinal)
            if wanted is None and self.recording.is_whole:
                raise ScheduleMismatch(
                    f"{point!r} #{ordinal}: {self.recording.name} has {len(self.lanes[point])} decisions there, and the run "
                    f"goes on; possible is {', '.join(map(str, options))}"
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

    def timer(self, worker: str, place: tuple[int, int]) -> int:
        timeout = Timeout(worker, *place)
        if not self.timeouts[timeout]:
            return 0
        self.timeouts[timeout] -= 1
        return 1

    def void(self, point: str, decided: int, stands: int) -> None:
        self.again[point] = decided - stands

    def check_end(self, counts: Mapping[str, int]) -> None:
        """Called behind the run with how much was decided at each point: nothing that was recorded
        may be left."""
        if not self.recording.is_whole:
            return
        for worker, source, position in self.timeouts.elements():
            raise ScheduleMismatch(
                f"{worker!r}: in {self.recording.name} the time of its item {position} of input {source} runs out, and the run "
                "never gave it that item so often"
            )
        for point, lanes in self.lanes.items():
            came = counts.get(point, 0) - self.again.get(point, 0)
            if came < len(lanes):
                raise ScheduleMismatch(
                    f"{point!r} #{came}: {self.recording.name} has {lanes[came]}, and the run came to no more decisions there"
                )
