"""What the frames of a recording hold, written and read.

All of it is plain data with a name for each field, but for what comes by the thousand: decisions
and the prints of items, which are numbers in as few bytes as they take.

Rule 1.  Of each decision point the decisions follow one another, run-length encoded: of a join the
         lane each item was read from, of a fork the lane each item went to.  A run of equal
         decisions is one number, in a byte while it is short.
Rule 2.  What a worker had decided and not committed when it died is void; a frame says how much
         stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Final

from conveyor.core.crashes import WorkerDeath
from conveyor.items.fingerprint import Stretches
from conveyor.recording.crash_points import Crash, CrashPoint, Timeout
from conveyor.recording.decision_points import Point
from conveyor.recording.frames import first_line, frame, numbers_in, varint

__all__ = ["End", "RunLengths"]

PROGRESS: Final = Struct("<QII")
NOT_LAST: Final = bytes(range(0x80, 0x100))  # of the bytes of a number

HEAD: Final = b"H"
PIPELINE: Final = b"P"
INPUT: Final = b"I"
PROGRESSED: Final = b"N"
DECIDED: Final = b"D"
VOID: Final = b"V"
CRASHED: Final = b"K"
RAN_OUT: Final = b"O"
TAKEN_BACK: Final = b"B"
SAVED: Final = b"S"
ENDED: Final = b"T"


def data_frame(kind: bytes, data: object) -> bytes:
    return frame(kind, json.dumps(data, separators=(",", ":")).encode())


# ----------------------------------------------------------------------------------------------
# the head: which pipelines this can be of


def head(
    points: Sequence[Point], adaptive_lanes: int, lanes_of: Mapping[str, int] | None = None
) -> bytes:
    """Gives the beginning of a file."""
    told: dict[str, object] = {"adaptive_lanes": adaptive_lanes}
    told["points"] = [each._asdict() for each in points]
    told |= {"lanes_of": dict(lanes_of)} if lanes_of else {}
    return first_line() + data_frame(HEAD, told)


def head_of(payload: bytes) -> tuple[tuple[Point, ...], int, Mapping[str, int]]:
    """Reads the decision points, how many lanes an adapting fork has at most, and how many some
    have, by their names."""
    told = json.loads(payload)
    points = tuple(
        Point(each["name"], each["kind"], each["lanes"], tuple(each["before"]))
        for each in told["points"]
    )
    return points, told["adaptive_lanes"], told.get("lanes_of", {})


# ----------------------------------------------------------------------------------------------
# the items


def progressed(told: Stretches, prints: bytes) -> bytes:
    """Says how many items came in so far; `prints` are those of the sample since the last time."""
    lengths = b"".join(map(varint, told.lengths))
    return frame(PROGRESSED, PROGRESS.pack(told.upto, told.sum, len(lengths)) + lengths + prints)


def progress_of(payload: bytes) -> tuple[Stretches, bytes]:
    count, total, size = PROGRESS.unpack_from(payload)
    lengths = payload[PROGRESS.size : PROGRESS.size + size]
    return Stretches(count, tuple(numbers_in(lengths)), total), payload[PROGRESS.size + size :]


# ----------------------------------------------------------------------------------------------
# the decisions


class RunLengths:
    """The decisions of one point as they come in, run-length encoded."""

    __slots__ = ("codes", "count", "lane", "lanes")

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.lane = self.count = 0
        self.codes = bytearray()

    def add(self, lane: int, count: int) -> None:
        """Notes that each of the next `count` items took this lane."""
        if lane == self.lane:
            self.count += count
        else:
            self.close()
            self.lane, self.count = lane, count

    def close(self) -> None:
        if self.count:
            self.codes += varint((self.count - 1) * self.lanes + self.lane)
            self.count = 0

    def take(self) -> bytes:
        """Gives the codes of what came in since this was called last."""
        self.close()
        taken, self.codes = bytes(self.codes), bytearray()
        return taken


def decided(runs: Sequence[RunLengths]) -> bytes:
    """Gives a frame with what came in at each point; no frame if nothing did."""
    payload = bytearray()
    for point, each in enumerate(runs):
        if codes := each.take():
            payload += varint(point) + varint(len(codes.translate(None, NOT_LAST))) + codes
    return frame(DECIDED, bytes(payload)) if payload else b""


def decisions_of(payload: bytes, widths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Reads runs of equal decisions, as (point, lane, how many items); `widths` are the lanes of
    each point."""
    numbers = numbers_in(payload)
    for point in numbers:
        for _ in range(next(numbers)):
            count, lane = divmod(next(numbers), widths[point])
            yield point, lane, count + 1


def void(stands: Iterable[tuple[int, int]]) -> bytes:
    """Says of points, by number, how many of their decisions stand."""
    return data_frame(VOID, [{"point": point, "stands": count} for point, count in stands])


def stands_of(payload: bytes) -> list[tuple[int, int]]:
    return [(each["point"], each["stands"]) for each in json.loads(payload)]


def saved(worker: str, behind: Sequence[int]) -> bytes:
    """Says that a worker with several items in hand saved its state, as no other was there, each
    time behind so many items of the run."""
    return data_frame(SAVED, {"worker": worker, "behind": behind})


def saved_of(payload: bytes) -> tuple[str, list[int]]:
    told = json.loads(payload)
    return told["worker"], told["behind"]


# ----------------------------------------------------------------------------------------------
# what befell workers


def crashed(crash: Crash) -> bytes:
    """Says that a worker died, where, and what it had in hand."""
    told = {"worker": crash.worker, **crash.point._asdict(), "hand": data_of_death(crash.hand)}
    return data_frame(CRASHED, told)


def crash_of(payload: bytes) -> Crash:
    told = json.loads(payload)
    point = CrashPoint(told["item"], told["step"], told["given"])
    return Crash(told["worker"], point, death_of(told["hand"]))


def data_of_death(death: WorkerDeath | None) -> dict[str, object] | None:
    if death is None:
        return None
    return {
        "input": death.input,
        "first": death.first,
        "end": death.end,
        "at": death.at,
        "running": death.running,
        "timed_out": death.timed_out,
        "how": death.how,
    }


def death_of(told: Mapping[str, Any] | None) -> WorkerDeath | None:
    if told is None:
        return None
    return WorkerDeath(
        input=told["input"],
        first=told["first"],
        end=told["end"],
        at=told["at"],
        running=told["running"],
        timed_out=told["timed_out"],
        how=told["how"],
    )


def ran_out(timeout: Timeout) -> bytes:
    """Says that the time of an item ran out."""
    return data_frame(RAN_OUT, timeout._asdict())


def timeout_of(payload: bytes) -> Timeout:
    return Timeout(**json.loads(payload))


def taken_back(timeouts: Iterable[Timeout]) -> bytes:
    """Says that a worker died which alone knew that the time of these items had run out."""
    return data_frame(TAKEN_BACK, [each._asdict() for each in timeouts])


def timeouts_of(payload: bytes) -> list[Timeout]:
    return [Timeout(**each) for each in json.loads(payload)]


# ----------------------------------------------------------------------------------------------
# the end


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended.

    `how` is "done", "failed" or "stopped"; `stage` and `error`, its type and its text, tell of a
    failure.  `results` were given out, with the checksum `outputs`.  `letters` has the stage, the
    ordinal, the attempts and the type of the exception of each dead letter, and `lanes` how many of
    each adapting fork were open.
    """

    how: str
    stage: str = ""
    error: tuple[str, str] = ("", "")
    results: int = 0
    outputs: int = 0
    letters: tuple[tuple[str, int, int, str], ...] = ()
    lanes: Mapping[str, int] = field(default_factory=dict[str, int])

    def packed(self) -> bytes:
        """Gives the frame that says so."""
        told = {
            "how": self.how,
            "stage": self.stage,
            "error": {"type": self.error[0], "text": self.error[1]},
            "results": self.results,
            "outputs": self.outputs,
            "letters": [
                {"stage": stage, "ordinal": ordinal, "attempts": attempts, "error": error}
                for stage, ordinal, attempts, error in self.letters
            ],
            "lanes": dict(self.lanes),
        }
        return data_frame(ENDED, told)

    @classmethod
    def read(cls, payload: bytes) -> End:
        """Reads the payload of such a frame."""
        told = json.loads(payload)
        return cls(
            how=told["how"],
            stage=told["stage"],
            error=(told["error"]["type"], told["error"]["text"]),
            results=told["results"],
            outputs=told["outputs"],
            letters=tuple(
                (each["stage"], each["ordinal"], each["attempts"], each["error"])
                for each in told["letters"]
            ),
            lanes=told["lanes"],
        )
