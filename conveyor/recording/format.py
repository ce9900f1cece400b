"""A recording: what the world decided in a real run, as a file that is valid up to wherever it
ends.

Knows: frames, and what is in them.  Must never know: who writes them, how a run is made to follow
them.

Rule 1.  The file begins with its format, `cvd1` and a line end; behind that are frames: a letter,
         the length and the checksum of what follows.  They are only ever added, so a file that was
         cut off holds up to its last whole frame.
Rule 2.  A decision point is told by its name, kind, lanes, and the decision points before it;
         stages that decide nothing are not told of, so one may be put in.
Rule 3.  Of each point its decisions follow one another, run-length encoded: of a join which lane
         each item was read from, of a fork which lane each item went to.  A whole run is one
         number, in a byte while it is short.
Rule 4.  What a worker had decided and not committed when it died is void; a frame says how much
         stands.
"""

from __future__ import annotations

import json
import pickle
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from struct import Struct
from typing import Final, NamedTuple, assert_never
from zlib import crc32

from conveyor.core.crashes import WorkerDeath
from conveyor.errors import ScheduleMismatch
from conveyor.graph.route import Balance, Leaf, Replicate, Route, way_to
from conveyor.graph.topology import Topology, channels_of
from conveyor.items.fingerprint import Digest, Stretches
from conveyor.items.main_module import Definitions, pack_main
from conveyor.items.stage_pickling import unpack_stage
from conveyor.items.unpickling import complete
from conveyor.recording.crash_points import Fallen, Place, Timeout

__all__ = ["End", "Point", "Recording", "Runs", "frame", "pack_topology", "points_of"]

MAGIC: Final = b"cvd1\n"
FRAME: Final = Struct("<cII")
PROGRESS: Final = Struct("<QII")

HEAD, PIPELINE, INPUT, PROGRESSED, DECIDED, VOID, FELL, RAN_OUT, ENDED = (
    b"H",
    b"P",
    b"I",
    b"N",
    b"D",
    b"V",
    b"K",
    b"O",
    b"T",
)


class Point(NamedTuple):
    """A decision point.  `before`: the names of those from which something can come to it,
    sorted."""

    name: str
    kind: str
    lanes: int
    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended: `how` is "done", "failed" or "stopped".

    `stage` and `error` (its type, its text) tell of a failure; `results` were given out, with the
    checksum `outputs`; `letters`: stage, ordinal and attempts of each dead letter, and what raised;
    `lanes`: how many of each adapting fork were opened.
    """

    how: str
    stage: str = ""
    error: tuple[str, str] = ("", "")
    results: int = 0
    outputs: int = 0
    letters: tuple[tuple[str, int, int, str], ...] = ()
    lanes: Mapping[str, int] = field(default_factory=dict[str, int])

    def packed(self) -> bytes:
        letters = [list(letter) for letter in self.letters]
        told = (
            self.how,
            self.stage,
            self.error,
            self.results,
            self.outputs,
            letters,
            dict(self.lanes),
        )
        return frame(ENDED, json.dumps(told).encode())

    @classmethod
    def read(cls, payload: bytes) -> End:
        how, stage, (kind, text), results, outputs, letters, lanes = json.loads(payload)
        return cls(
            how,
            stage,
            (kind, text),
            results,
            outputs,
            tuple((s, o, a, e) for s, o, a, e in letters),
            lanes,
        )


class Runs:
    """The decisions of one point as they come in, encoded."""

    __slots__ = ("codes", "count", "lane", "lanes")

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.lane = self.count = 0
        self.codes = bytearray()

    def add(self, lane: int, count: int) -> None:
        """The next `count` items: `lane`."""
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
        """What came in since it was taken the last time."""
        self.close()
        taken, self.codes = bytes(self.codes), bytearray()
        return taken


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file says; `end` is None if it was cut off."""

    name: str
    points: tuple[Point, ...]
    adaptive_lanes: int
    decisions: Mapping[str, array[int]]
    fallen: tuple[Fallen, ...] = ()
    timeouts: tuple[Timeout, ...] = ()
    given: Digest = field(default_factory=Digest)
    end: End | None = None
    pipeline: bytes | None = None
    input: tuple[bytes, ...] | None = (
        None  # the items, pickled, as far as they were few enough to be kept
    )

    @classmethod
    def read(cls, data: bytes, name: str) -> Recording:
        """The recording in a file of this name; raises `ScheduleMismatch` if there is none."""
        if not data.startswith(MAGIC):
            what = (
                "of another version of Conveyor" if data.startswith(MAGIC[:3]) else "no recording"
            )
            raise ScheduleMismatch(
                f"{name} is {what}: it must begin with {MAGIC!r}, and begins with {data[:8]!r}"
            )
        frames = frames_in(data)
        kind, payload = next(frames, (b"", b""))
        if kind != HEAD:
            raise ScheduleMismatch(f"{name} was cut off before it said which pipeline it is of")
        adaptive_lanes, points = json.loads(payload)
        recording = cls(
            name, tuple(Point(n, k, w, tuple(b)) for n, k, w, b in points), adaptive_lanes, {}
        )
        return Reader(recording).read(frames)

    def check(self, topology: Topology) -> None:
        """Raises `ScheduleMismatch` if it is of a pipeline that decides something else."""
        mine, theirs = [
            {point.name: point for point in points} for points in (self.points, points_of(topology))
        ]
        for name in [*mine, *(name for name in theirs if name not in mine)]:
            if mine.get(name) != theirs.get(name):
                raise ScheduleMismatch(
                    f"{self.name} is of another pipeline: it was recorded with {told(name, mine)}; "
                    f"here there is {told(name, theirs)}"
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
        """What the program defined that was recorded, if its pipeline was kept."""
        return pickle.loads(self.pipeline)[2] if self.pipeline is not None else None

    def topology(self) -> Topology | None:
        """The pipeline itself, if it was kept; raises what unpickling it raises."""
        if self.pipeline is None:
            return None
        bare: Topology
        bare, stages, _ = pickle.loads(self.pipeline)
        nodes = [
            replace(n, stage=unpack_stage(stages[n.index]) if n.index in stages else None)
            for n in bare.nodes
        ]
        complete()
        return replace(bare, nodes=tuple(nodes))


class Reader:
    """Puts a recording together, frame by frame."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.lanes = [array("H") for _ in recording.points]
        self.fallen: list[Fallen] = []
        self.timeouts: list[Timeout] = []
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
            fallen=tuple(self.fallen),
            timeouts=tuple(self.timeouts),
            given=self.given,
            end=self.end,
            pipeline=self.pipeline,
            input=tuple(self.input) if self.input is not None else None,
        )

    def take(self, kind: bytes, payload: bytes) -> None:
        if kind == DECIDED:
            self.decided(numbers_in(payload))
        elif kind == VOID:
            for point, stands in json.loads(payload):
                del self.lanes[point][stands:]
        elif kind == FELL:
            worker, place, hand = json.loads(payload)
            self.fallen.append(
                Fallen(
                    worker,
                    Place(*place),
                    WorkerDeath(*hand[: len(WorkerDeath._fields)]) if hand is not None else None,
                )
            )
        elif kind == RAN_OUT:
            self.timeouts.append(Timeout(*json.loads(payload)))
        elif kind == PROGRESSED:
            count, total, size = PROGRESS.unpack_from(payload)
            lengths = payload[PROGRESS.size : PROGRESS.size + size]
            self.given.sample.count = count
            self.given.sample.prints += payload[PROGRESS.size + size :]
            self.given.told.append(Stretches(count, tuple(numbers_in(lengths)), total))
        elif kind == INPUT:
            if not payload:
                self.input = None
            elif self.input is not None:
                self.input.append(payload)
        elif kind == PIPELINE:
            self.pipeline = payload
        elif kind == ENDED:
            self.end = End.read(payload)

    def decided(self, numbers: Iterator[int]) -> None:
        for point in numbers:
            lanes, width = self.lanes[point], self.recording.points[point].lanes
            for _ in range(next(numbers)):
                count, lane = divmod(next(numbers), width)
                lanes.extend([lane] * (count + 1))


def frame(kind: bytes, payload: bytes) -> bytes:
    """A frame as it stands in the file."""
    return FRAME.pack(kind, len(payload), crc32(payload, crc32(kind))) + payload


def frames_in(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The whole frames from the first on."""
    at = len(MAGIC)
    while at + FRAME.size <= len(data):
        kind, length, checksum = FRAME.unpack_from(data, at)
        payload = data[at + FRAME.size : at + FRAME.size + length]
        if len(payload) < length or crc32(payload, crc32(kind)) != checksum:
            return
        yield kind, payload
        at += FRAME.size + length


def head(points: Sequence[Point], adaptive_lanes: int) -> bytes:
    """The beginning of a file."""
    return MAGIC + frame(HEAD, json.dumps([adaptive_lanes, points]).encode())


def decided(runs: Sequence[Runs]) -> bytes:
    """A frame with what came in at each point; empty if nothing did."""
    payload = bytearray()
    for point, each in enumerate(runs):
        if codes := each.take():
            payload += varint(point) + varint(sum(code < 0x80 for code in codes)) + codes
    return frame(DECIDED, bytes(payload)) if payload else b""


def void(stands: Iterable[tuple[int, int]]) -> bytes:
    """So many decisions of each of these points stand."""
    return frame(VOID, json.dumps(list(stands)).encode())


def fell(fallen: Fallen) -> bytes:
    hand = list(fallen.hand) if fallen.hand is not None else None
    return frame(FELL, json.dumps([fallen.worker, fallen.place, hand]).encode())


def ran_out(timeout: Timeout) -> bytes:
    return frame(RAN_OUT, json.dumps(timeout).encode())


def progressed(told: Stretches, prints: bytes) -> bytes:
    """So many items were taken in; `prints` of the sample since the last time."""
    lengths = b"".join(map(varint, told.lengths))
    return frame(PROGRESSED, PROGRESS.pack(told.upto, told.sum, len(lengths)) + lengths + prints)


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the last byte is below 128."""
    if value < 0x80:
        return bytes((value,))
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def numbers_in(payload: bytes) -> Iterator[int]:
    """
    >>> [*numbers_in(varint(5) + varint(300))]
    [5, 300]
    """
    value = shift = 0
    for byte in payload:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0


def points_of(topology: Topology) -> tuple[Point, ...]:
    """The decision points of a pipeline: its first-come joins and its balancing forks, by node."""
    return _Points(topology).all()


class _Points:
    """Finds which decision points there are, and which are before which."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.before: dict[int, frozenset[str]] = {}  # of each node: the points before its own

    def all(self) -> tuple[Point, ...]:
        found: list[Point] = []
        for spec in self.topology.nodes:
            before = self.before_node(spec.index)
            if len(spec.inputs) > 1:
                found.append(
                    Point(spec.merge_name, "join", len(spec.inputs), tuple(sorted(before)))
                )
                before |= {spec.merge_name}
            if spec.route is not None:
                found += self.in_route(spec.route, before)
        return tuple(found)

    def in_route(self, route: Route, before: frozenset[str]) -> Iterator[Point]:
        match route:
            case Leaf():
                return
            case Replicate():
                pass
            case Balance():
                yield Point(route.name, "balance", len(route.lanes), tuple(sorted(before)))
                before |= {route.name}
            case _:
                assert_never(route)
        for lane in route.lanes:
            yield from self.in_route(lane, before)

    def before_node(self, node: int) -> frozenset[str]:
        if node not in self.before:
            found: frozenset[str] = frozenset()
            for channel in channels_of(self.topology.nodes[node].inputs):
                found |= self.before_channel(channel)
            self.before[node] = found
        return self.before[node]

    def before_channel(self, channel: int) -> frozenset[str]:
        spec = self.topology.nodes[self.topology.channels[channel].producer]
        own = {spec.merge_name} if len(spec.inputs) > 1 else set[str]()
        way = way_to(channel, spec.route) or () if spec.route is not None else ()
        on_the_way = [fork.name for fork in way if isinstance(fork, Balance)]
        return self.before_node(spec.index) | own | {*on_the_way}


def told(name: str, points: Mapping[str, Point]) -> str:
    point = points.get(name)
    if point is None:
        return f"no {name!r}"
    behind = f", behind {', '.join(point.before)}" if point.before else ""
    return f"the {point.kind} {name!r} of {point.lanes} lanes{behind}"


def pack_topology(
    topology: Topology, stages: Mapping[int, bytes], main: Definitions | None
) -> bytes:
    """A pipeline as a recording keeps it, with its stages as they travel, by node, and what the
    program's script defines."""
    bare = replace(topology, nodes=tuple(replace(spec, stage=None) for spec in topology.nodes))
    return pickle.dumps((bare, dict(stages), pack_main() if main is None else main))
