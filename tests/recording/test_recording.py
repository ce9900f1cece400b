"""A real run is written down as it goes, and the file is believed as far as it goes."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from array import array
from collections.abc import Callable
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor import BalancingFork, Filter, Join, Pipe, Processor, ReplicatingFork, Zip
from conveyor.__main__ import main
from conveyor.core.crashes import WorkerDeath
from conveyor.errors import Deadlock, ScheduleMismatch
from conveyor.items.fingerprint import Digest, Fingerprint, print_of
from conveyor.items.sealing import seal
from conveyor.items.stage_pickling import pack_stage
from conveyor.recording import format as recording
from conveyor.recording.crash_points import Crash, CrashPoint, Timeout
from conveyor.recording.decision_points import Point, points_of
from conveyor.recording.format import End, RunLengths
from conveyor.recording.frames import frame
from conveyor.recording.kept_pipeline import pack_pipeline
from conveyor.recording.reader import Recording
from conveyor.runtime.parent import gauged_digest
from conveyor.runtime.parent.gauged_digest import AHEAD_NS, SHARE, GaugedDigest
from conveyor.sim.search import simulation
from tests.conformance.jobs import Numbered, refusing, slow
from tests.helpers import HANGS_S, ROOT, pipeline
from tests.jobs import double, increment, is_even

POINTS = (Point("merge", "join", 3, ("pool",)), Point("pool", "balance", 2, ()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.cvd"


def pool(*lanes: Any, behind: Any = ()) -> Any:
    built = (
        pipeline()
        .add(BalancingFork(2, name="pool"))
        .add(*(lanes or (Processor(increment), Processor(double))))
    )
    built = built.add(Join(2, name="merge"))
    return built.add(behind) if behind else built


# ----------------------------------------------------------------------------------------- the file


class Written:
    """A file, and beside it what must be read from it."""

    def __init__(self) -> None:
        self.runs = [RunLengths(point.lanes) for point in POINTS]
        self.file = recording.head(POINTS, 2)
        self.expected: list[list[int]] = [[] for _ in POINTS]
        self.at_frame = [(len(self.file), [list[int]() for _ in POINTS])]

    def note(self, point: int, lane: int, items: int) -> None:
        self.runs[point].add(lane, items)
        self.expected[point] += [lane] * items

    def flush(self, stands: int | None = None) -> None:
        """A frame; what of the first point stands is said in another."""
        self.file += recording.decided(self.runs)
        if stands is not None:
            stands = min(stands, len(self.expected[0]))
            self.at_frame.append((len(self.file), [list(each) for each in self.expected]))
            self.file += recording.void([(0, stands)])
            del self.expected[0][stands:]
        self.at_frame.append((len(self.file), [list(each) for each in self.expected]))


NOTES = st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(1, 400))
# A note; a frame, and how much of the first point stands behind it
Step: TypeAlias = tuple[int, int, int] | int | None
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(NOTES, st.none(), st.integers(0, 500)), max_size=30
)


@given(STEPS, st.data())
def test_a_file_that_is_cut_off_holds_up_to_its_last_whole_frame(
    steps: list[Step], data: st.DataObject
) -> None:
    written = Written()
    for step in steps:
        if isinstance(step, tuple):
            written.note(*step)
        else:
            written.flush(step)
    written.flush()

    cut = data.draw(st.integers(written.at_frame[0][0], len(written.file)))
    read = Recording.read(written.file[:cut], "run.cvd")

    frames = [decisions for end, decisions in written.at_frame if end <= cut]
    assert [list(read.decisions[point.name]) for point in POINTS] == frames[-1]
    assert read.points == POINTS
    assert read.end is None


@given(STEPS, st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_frame_is_told_or_taken_for_one_that_was_cut_off(
    steps: list[Step], place: int, flip: int
) -> None:
    written = Written()
    for step in steps:
        written.note(*step) if isinstance(step, tuple) else written.flush()
    written.flush()
    first = written.at_frame[0][0]
    if len(written.file) > first:
        damaged = bytearray(written.file)
        damaged[first + place % (len(damaged) - first)] ^= flip

        said = ""
        try:
            read = Recording.read(bytes(damaged), "run.cvd")
        except ScheduleMismatch as told:
            said = str(told)
        else:  # its length was changed, to more than there is
            found = [list(read.decisions[point.name]) for point in POINTS]
            assert found in [decisions for _, decisions in written.at_frame[:-1]]
        assert not said or "run.cvd is damaged: its frame" in said


@given(st.integers(1, 64), st.integers(0, 1))
def test_a_short_run_takes_a_byte(items: int, lane: int) -> None:
    runs = RunLengths(2)
    runs.add(lane, items)
    assert len(runs.take()) == 1


def test_deaths_and_the_end_are_read_as_they_were_written() -> None:
    death = WorkerDeath(0, 3, 9, 5, True, False, "was killed by SIGKILL")
    crashes = [
        Crash("double", CrashPoint(3, "emitted", 4), death),
        Crash("double", CrashPoint(None, "closed1", 9), None),
    ]
    timeouts = [Timeout("double", 0, 7)]
    end = End(
        "failed",
        "double",
        ("builtins.ValueError", "no"),
        7,
        12,
        (("double", 4, 2, "ValueError"),),
        {"pool": 2},
    )

    told = b"".join(
        [*map(recording.crashed, crashes), *map(recording.ran_out, timeouts), end.packed()]
    )
    read = Recording.read(recording.head(POINTS, 4) + told, "run.cvd")

    assert list(read.crashes) == crashes
    assert list(read.timeouts) == timeouts
    assert read.end == end
    assert read.adaptive_lanes == 4


def test_an_input_that_once_was_too_large_is_not_kept_in_part() -> None:
    parts = [pickle.dumps([1, 2]), b"", pickle.dumps([3])]
    read = Recording.read(
        recording.head(POINTS, 2) + b"".join(frame(recording.INPUT, each) for each in parts),
        "x",
    )
    assert read.items is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no recording"),
        (b"PNG", "no recording"),
        (b"cvd2 conveyor 0.1.0\n", "was cut off"),
        (b"cvd2", "was cut off"),
    ],
)
def test_what_is_no_recording_is_refused(path: Path, data: bytes, says: str) -> None:
    path.write_bytes(data)
    with pytest.raises(ScheduleMismatch, match=says):
        pool().replay(range(3), path)


def test_a_name_that_is_neither_schedule_nor_file_is_refused() -> None:
    with pytest.raises(
        ScheduleMismatch,
        match="'cv2:x' is no schedule: it must begin with 'cv1:', or name the file",
    ):
        pool().replay(range(3), "cv2:x")


# ---------------------------------------------------------------------------------------- the items

ATOMS = st.one_of(
    st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.booleans(), st.none()
)
ITEMS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.frozensets(ATOMS),
        st.dictionaries(ATOMS, inner),
        st.tuples(inner, inner),
    ),
)


def turned(item: object) -> object:
    """An equal item, whose sets and dicts were filled in another order."""
    if isinstance(item, frozenset):
        return frozenset(reversed(list(cast("frozenset[object]", item))))
    if isinstance(item, dict):
        return {
            key: turned(value)
            for key, value in reversed(list(cast("dict[object, object]", item).items()))
        }
    if isinstance(item, list):
        return [turned(each) for each in cast("list[object]", item)]
    return tuple(map(turned, cast("tuple[object, ...]", item))) if isinstance(item, tuple) else item


@given(ITEMS)
def test_equal_items_have_the_same_print_in_whatever_order_they_are_kept(item: object) -> None:
    assert print_of(item) == print_of(turned(item))


class Color(Enum):
    RED = 1
    GREEN = 2


class Plain:
    def __init__(self, number: int) -> None:
        self.number = number


class Slotted:
    __slots__ = ("never_set", "number")

    def __init__(self, number: int) -> None:
        self.number = number


def deep(number: int) -> list[object]:
    item: list[object] = [number]
    for _ in range(30):
        item = [item]
    return item


MAKERS: list[Callable[[int], object]] = [
    Plain,
    Slotted,
    lambda number: Color(number + 1),
    ValueError,
    lambda number: bytearray([number]),
    lambda number: array("d", [number]),
    lambda number: {(number,)},
]


@pytest.mark.parametrize("make", MAKERS)
def test_what_an_object_holds_makes_its_print(make: Callable[[int], object]) -> None:
    assert print_of(make(0)) == print_of(make(0)) != print_of(make(1))


def test_of_an_object_that_holds_nothing_and_of_what_lies_too_deep_the_class_is_looked_at() -> None:
    assert print_of(object()) == print_of(object())
    assert print_of(deep(1)) == print_of(deep(2))


def test_a_print_is_the_same_in_every_process() -> None:
    code = (
        "from conveyor.items.fingerprint import print_of; print(print_of([{'a', 'b', 'c'},"
        " ValueError('x'), slice(1, 2)]))"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
        ).stdout
        for seed in "123"
    }
    assert len(prints) == 1


@given(st.integers(1, 5000), st.lists(st.integers(1, 2000), max_size=5), st.data())
def test_a_fingerprint_does_not_depend_on_slices_and_names_the_first_item_it_saw_differ(
    size: int, cuts: list[int], data: st.DataObject
) -> None:
    items = list(range(size))
    whole, sliced, other = Fingerprint(), Fingerprint(), Fingerprint()
    whole.add(items)
    for first, end in zip([0, *sorted(cuts)], [*sorted(cuts), size], strict=True):
        sliced.add(items[first:end]) if first < end else None
    if max([0, *cuts]) <= size:
        assert (whole.count, whole.sum, whole.prints) == (sliced.count, sliced.sum, sliced.prints)

    changed = data.draw(st.integers(0, min(size, 256) - 1))
    other.add([*items[:changed], -1, *items[changed + 1 :]])
    assert whole.first_difference(other) == changed
    assert whole.sum != other.sum


SLICES = st.lists(
    st.tuples(st.integers(1, 400), st.booleans(), st.booleans()), min_size=1, max_size=8
)


@given(
    SLICES, st.lists(st.one_of(ATOMS, st.tuples(ATOMS, ATOMS)), min_size=1, max_size=5), st.data()
)
def test_a_digest_finds_each_item_that_was_looked_at(
    slices: list[tuple[int, bool, bool]], some: list[object], data: st.DataObject
) -> None:
    """However it was cut, and whether an item came as it is or sealed."""
    digest = Digest()
    items: list[object] = []
    looked: list[int] = []
    for size, look, is_sealed in slices:
        part = [some[at % len(some)] for at in range(size)]
        digest.add([seal(item) for item in part] if is_sealed else part, look)
        looked += (
            range(len(items), len(items) + size)
            if look
            else range(len(items), min(len(items) + size, 256))
        )
        items += part
        if data.draw(st.booleans()):
            digest.tell()
    digest.tell()

    assert digest.first_difference(items) is None
    assert digest.first_difference(items[:-1]) is None
    assert digest.first_difference([*items, 1]) is None
    if looked:
        place = data.draw(st.sampled_from(looked))
        among = digest.first_difference([*items[:place], "another", *items[place + 1 :]])
        assert among is not None
        assert place in among


@pytest.mark.parametrize(
    ("cost", "pause", "least", "most"),
    [(1_000, 1_000_000, 1, 1), (1_000_000, 10_000_000, 0.02, 0.2)],
)
def test_as_many_items_are_looked_at_as_there_is_time_for(
    cost: int, pause: int, least: float, most: float
) -> None:
    """To look takes `cost`, and then nothing is to be done for a while."""
    now = 0

    def clock() -> int:
        nonlocal now
        now += cost
        return now

    gauged = GaugedDigest(clock)
    for _ in range(1000):
        gauged.take([0] * 256)
        now += pause
    told, _ = gauged.news()
    assert told.upto == sum(told.lengths) == 256_000
    assert least <= sum(told.lengths[1::2]) / told.upto <= most
    assert gauged.spent * SHARE <= now + AHEAD_NS + SHARE * cost


def test_one_item_among_many_that_is_another_is_found(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauged_digest, "SHARE", 0)
    pool().run(range(600), record=path)
    other = [*range(600)]
    other[555] = -1
    with pytest.raises(ScheduleMismatch) as found:
        pool().replay(other, path)
    # How many items one checksum is of depends on how the run went.
    among = re.search(
        r"of 600 items, one of the numbers (\d+) to (\d+) was another one", str(found.value)
    )
    assert among is not None
    assert int(among[1]) <= 555 <= int(among[2])


def test_the_input_is_kept_as_it_was_when_it_came_in(path: Path) -> None:
    """Large buffers lie in memory that is used again once their item is through."""
    items = [
        bytearray([number]) * 40_000 if number == 0 else bytearray([number]) * 10
        for number in range(50)
    ]
    pool(Processor(len), Processor(len)).run((bytearray(item) for item in items), record=path)
    assert list(Recording.read(path.read_bytes(), "run.cvd").items or ()) == items


# ------------------------------------------------------------------------------------------- replay


def test_a_recorded_run_is_done_again(path: Path) -> None:
    result = pool().run(range(200), record=path)
    assert pool().replay(range(200), path) == result
    assert pool().replay(range(200), str(path)) == result


def test_a_recording_is_small(path: Path) -> None:
    """About a byte a decision; 40,000 were taken at the join and at the fork together."""
    pool(Processor(double), Processor(double)).run(range(20_000), record=path)
    read = Recording.read(path.read_bytes(), "run.cvd")
    assert sum(map(len, read.decisions.values())) == 40_000
    # The pipeline, and the input or its prints, are in there, too
    assert path.stat().st_size < 40_000 + 70_000


def test_a_recording_survives_a_stage_that_decides_nothing(path: Path) -> None:
    result = pool().run(range(50), record=path)
    longer = pool(behind=Processor(increment))
    assert longer.replay(range(50), path) == [item + 1 for item in result]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (
            lambda: (
                pipeline().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2, name="merge"))
            ),
            "no 'pool'",
        ),
        (
            lambda: (
                pipeline()
                .add(BalancingFork(3, name="pool"))
                .add(Pipe(), Pipe(), Pipe())
                .add(Join(3, name="merge"))
            ),
            r"recorded with the join 'merge' of 2 lanes, behind pool; here there is the join"
            r" 'merge' of 3 lanes|"
            r"recorded with the balance 'pool' of 2 lanes; here there is the balance 'pool' of 3"
            r" lanes",
        ),
        (
            lambda: (
                pool()
                .add(BalancingFork(2, name="more"))
                .add(Pipe(), Pipe())
                .add(Join(2, name="last"))
            ),
            "no 'more'",
        ),
    ],
)
def test_a_recording_of_another_pipeline_is_refused_with_the_difference(
    path: Path, other: Any, says: str
) -> None:
    pool().run(range(5), record=path)
    with pytest.raises(ScheduleMismatch, match=says):
        other().replay(range(5), path)


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ([0, 1, 7, 3, 4], "of 5 items, number 2 was another one"),
        ([0, 1, 2], "on 5 items; here there are 3"),
        (range(9), "on 5 items; here there are 9"),
    ],
)
def test_a_recording_of_other_items_is_refused_with_the_difference(
    path: Path, items: Any, says: str
) -> None:
    pool().run(range(5), record=path)
    with pytest.raises(ScheduleMismatch, match=says):
        pool().replay(items, path)


def test_where_a_run_parts_from_its_recording_the_stage_and_ordinal_are_named(path: Path) -> None:
    """The jobs give less than they did: at some item the recorded lane has nothing."""
    pool(Processor(double), Processor(double)).run(range(40), record=path)
    with pytest.raises(
        ScheduleMismatch,
        match=r"'merge' #\d+: .*run\.cvd has [01], and (possible is|the run came to no more)",
    ):
        pool(Filter(is_even), Filter(is_even)).replay(range(40), path)


def test_a_failure_is_done_again(path: Path) -> None:
    failing = pool(Processor(refusing), Processor(refusing))
    with pytest.raises(ValueError, match="is refused") as real:
        failing.run(range(100), record=path)
    with pytest.raises(ValueError, match="is refused") as replayed:
        failing.replay(range(100), path)
    assert str(replayed.value) == str(real.value)
    assert pool(Processor(slow), Processor(slow)).replay(range(100), path), (
        "and it is gone once the job is mended"
    )


def test_a_stream_that_is_left_early_is_done_again_as_far_as_it_came(path: Path) -> None:
    with pool().stream(count(), record=path) as stream:
        taken = [next(stream) for _ in range(25)]
    assert pool().replay(count(), path) == taken


SCRIPT = """
import os, sys
from array import array
from collections.abc import Callable
from enum import Enum
from itertools import count
from tests.recording.test_recording import pool
results = []
with pool().stream(count(), record=sys.argv[1]) as stream:
    for result in stream:
        results.append(result)
        if os.path.getsize(sys.argv[1]) > 20_000:
            print(results, flush=True)
            os._exit(1)
"""


def test_a_crash_of_the_parent_leaves_a_recording_of_what_had_come(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, path], cwd=ROOT, capture_output=True, timeout=HANGS_S
    )
    assert done.returncode == 1, done.stderr
    results = json.loads(done.stdout)

    read = Recording.read(path.read_bytes(), "run.cvd")
    assert read.end is None
    known = min(len(results), len(read.decisions["merge"]))
    assert known > 0
    assert pool().replay(count(), path)[:known] == results[:known]


def test_the_smallest_schedule_that_still_fails_is_found_from_a_recording(path: Path) -> None:
    numbered = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Processor(slow), Processor(increment))
        .add(Join(2, name="merge"))
        .add(Numbered())
    )
    result = numbered.run(range(30), record=path)
    orders = [item for _, item in result[:-1]]
    assert orders == [item for _, item in numbered.replay(range(30), path)[:-1]]

    def check(simulation: Any) -> bool:
        return [item for _, item in simulation[:-1]][:2] != orders[:2]

    found = numbered.explore(range(30), check, start=path)
    assert found.failure is not None
    assert found.failure.number == 1
    assert not check(numbered.replay(range(30), found.failure.schedule))
    assert found.failure.decisions >= found.failure.schedule.count("=")
    assert found.failure.schedule.count("=") <= 2


# ------------------------------------------------------------------------------------------ conform


def test_conform_accepts_what_was_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        pool().run(range(20), record=tmp_path / f"{number}.cvd")
    assert main(["conform", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "3/3 accepted\n"


def test_conform_names_the_first_that_is_not_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool().run(range(20), record=tmp_path / "0.cvd")
    pool().run(range(20), record=tmp_path / "1.cvd")
    whole = (tmp_path / "1.cvd").read_bytes()
    read = Recording.read(whole, "1.cvd")
    assert read.end is not None
    (tmp_path / "1.cvd").write_bytes(
        whole + End("done", results=20, outputs=read.end.outputs + 1).packed()
    )

    assert main(["conform", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "1.cvd: the run gave 20 outputs, and its replay 20 that are not the same" in out
    assert "1 accepted before it" in out


def test_conform_says_that_a_pipeline_was_not_kept(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_bytes(
        recording.head(POINTS, 2) + frame(b"?", b"of a later version") + End("done").packed()
    )
    assert main(["conform", str(path)]) == 1
    assert "did not keep its pipeline" in capsys.readouterr().out


def test_conform_needs_something_to_look_at(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", str(path)]) == 2
    assert "there is no such directory" in capsys.readouterr().err


def test_conform_accepts_failures_dead_letters_and_what_was_left_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    letters = Processor(refusing, on_error="dead_letter")
    result = pool(letters, letters).run(range(60), record=tmp_path / "letters.cvd")
    assert result.dead_letters
    with pytest.raises(ValueError, match="is refused"):
        pool(Processor(refusing), Processor(refusing)).run(
            range(60), record=tmp_path / "failed.cvd"
        )
    with pool().stream(count(), record=tmp_path / "left.cvd") as stream:
        next(stream)
    assert main(["conform", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "3/3 accepted\n"


def circle() -> Any:
    return pipeline().add(ReplicatingFork(2)).add(Filter(is_large), Pipe(4)).add(Zip(2))


def is_large(item: int) -> bool:
    return item > 100


def test_conform_accepts_pipes_that_waited_for_one_another(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Deadlock, match="is full: 4 of 4 items") as real:
        circle().run(range(50), record=path)
    with pytest.raises(Deadlock) as replayed:
        circle().replay(range(50), path)
    assert str(replayed.value).startswith(str(real.value))

    # With more room jobs would be given what never was in the run.
    monkeypatch.setattr(simulation, "sufficient_capacities", None)
    assert main(["conform", str(path)]) == 0


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (
            "c9 (a -> b) is full: 4 of 4 items",
            r"in the run the pipes \['c9'\] were full, and in its replay \['c1'\]",
        ),
        ("c1 (a -> b) is full by bytes: it holds 1 of 4 items", ""),
    ],
)
def test_conform_accepts_no_other_deadlock(
    path: Path, capsys: pytest.CaptureFixture[str], said: str, says: str
) -> None:
    with pytest.raises(Deadlock):
        circle().run(range(50), record=path)
    path.write_bytes(
        path.read_bytes() + End("failed", error=("conveyor.errors.Deadlock", said)).packed()
    )
    assert main(["conform", str(path)]) == bool(says)
    assert re.search(says, capsys.readouterr().out)


def test_conform_does_not_accept_a_deadlock_that_has_gone(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Deadlock):
        circle().run(range(50), record=path)
    data = path.read_bytes()
    roomier = pipeline().add(ReplicatingFork(2)).add(Filter(is_large), Pipe(9)).add(Zip(2))
    stages = {
        node.index: pack_stage(node.stage, node.name)
        for node in roomier.topology.nodes
        if node.stage is not None
    }
    path.write_bytes(
        data + frame(recording.PIPELINE, pack_pipeline(roomier.topology, stages, {}, None))
    )
    assert main(["conform", str(path)]) == 1
    assert "the run got stuck before its item" in capsys.readouterr().out


def test_conform_says_that_a_large_input_was_not_kept(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool(Processor(double), Processor(double)).run(range(100_000), record=path)
    assert main(["conform", str(path)]) == 1
    assert "did not keep its input" in capsys.readouterr().out


def test_the_points_of_a_pipeline_tell_what_comes_before_each() -> None:
    built = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(BalancingFork(2, name="pool"), Pipe())
        .add(Pipe(), Pipe(), Pipe())
    )
    built = built.add(Join(2, name="inner"), Pipe()).add(Join(2, name="outer"))
    assert points_of(built.topology) == (
        Point("pool", "balance", 2, ()),
        Point("outer", "join", 3, ("pool",)),
    )
