"""A run that is kept in a checkpoint: killed as a whole, it goes on, and its sink shows nothing of
that."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from conveyor import (
    Batch,
    Checkpoint,
    Filter,
    FlatMap,
    Join,
    Pipeline,
    Processor,
    ReplicatingFork,
    SplittingFork,
    Zip,
)
from conveyor.core import set_aside
from conveyor.core.epochs import Epochs, Manifest
from conveyor.errors import CheckpointMismatch, RunError, TopologyError
from conveyor.io import Lines
from conveyor.runtime.parent import manifests
from conveyor.runtime.parent.keeper import Keeper
from conveyor.runtime.parent.manifests import Directory
from conveyor.runtime.step import timer
from conveyor.runtime.worker import workplace

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]

NUMBERS = """
import os, signal, sys
from conveyor import Checkpoint, Pipeline, Processor
from conveyor.io import Lines

class Numbers(Processor[str, str]):
    n = 0

    def process(self, item):
        self.n += 1
        if item == sys.argv[1]:
            os.killpg(0, signal.SIGKILL)
        return f"{item} {self.n}"

    def snapshot(self):
        return self.n

    def restore(self, n):
        self.n = n

Pipeline[str]().add(Numbers(name="numbers")).drain(
    Lines("in.txt"), into=Lines("out.txt"), checkpoint=Checkpoint("state", every_s=0.001)
)
"""


def run_until_killed_at(item: str, folder: Path) -> int:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", NUMBERS, item]
    return subprocess.run(
        command, cwd=folder, env=env, start_new_session=True, timeout=60, check=False
    ).returncode


def test_a_run_whose_every_process_was_killed_goes_on(tmp_path: Path) -> None:
    items = [str(n) for n in range(60)]
    (tmp_path / "in.txt").write_text("\n".join(items) + "\n")
    for item in ("20", "50"):
        assert run_until_killed_at(item, tmp_path) == -signal.SIGKILL
    assert run_until_killed_at("none", tmp_path) == 0
    said = (tmp_path / "out.txt").read_text().splitlines()
    assert said == [f"{item} {n}" for n, item in enumerate(items, 1)]


def double(item: str) -> str:
    return item * 2


def kept(folder: Path, **options: Any) -> Checkpoint:
    return Checkpoint(folder / "state", every_s=0.001, **options)


def test_a_run_that_has_finished_gives_the_report_that_was_kept(tmp_path: Path) -> None:
    pipeline = Pipeline[str]().add(Processor(double))
    out = Lines(tmp_path / "out")
    first = pipeline.drain(["a", "b"], into=out, checkpoint=kept(tmp_path))
    assert pipeline.drain(["a", "b"], into=out, checkpoint=kept(tmp_path)) == first
    assert list(out) == ["aa", "bb"]


def test_the_checkpoint_of_another_run_is_refused_with_the_difference(tmp_path: Path) -> None:
    out = Lines(tmp_path / "out")
    Pipeline[str]().add(Processor(double)).drain(["a"], into=out, checkpoint=kept(tmp_path))
    with pytest.raises(CheckpointMismatch, match=r"stages is .*'other.*, and was .*'double"):
        Pipeline[str]().add(Processor(double, name="other")).drain(
            ["a"], into=out, checkpoint=kept(tmp_path)
        )


def test_an_iterator_cannot_be_asked_again(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="is an iterator, which cannot be asked again"):
        Pipeline[str]().add(Processor(double)).drain(
            iter(["a"]), into=Lines(tmp_path / "out"), checkpoint=kept(tmp_path)
        )


def test_a_directory_is_no_checkpoint_and_no_name_no_directory(tmp_path: Path) -> None:
    pl = Pipeline[str]().add(Processor(double))
    directory: Any = tmp_path / "state"
    with pytest.raises(TypeError, match=r"drain\(checkpoint=...\) takes a Checkpoint, such as"):
        pl.drain(["a"], into=Lines(tmp_path / "out"), checkpoint=directory)
    with pytest.raises(TypeError, match=r"stream\(checkpoint=...\) takes a Checkpoint, such as"):
        pl.stream(["a"], checkpoint=directory)
    with pytest.raises(ValueError, match=r"the working directory is '\.'"):
        Checkpoint("")
    assert not directory.exists()


def test_fresh_begins_again(tmp_path: Path) -> None:
    out = Lines(tmp_path / "out")
    Pipeline[str]().add(Processor(double)).drain(["a"], into=out, checkpoint=kept(tmp_path))
    Pipeline[str]().add(Processor(double, name="other")).drain(
        ["b"], into=out, checkpoint=kept(tmp_path, fresh=True)
    )
    assert list(out) == ["bb"]


class CannotUndo:
    """A sink without discard()."""

    def open(self, epoch: int, /) -> None: ...
    def write(self, items: object, /) -> None: ...
    def prepare(self, epoch: int, /) -> None: ...
    def commit(self, epoch: int, /) -> None: ...
    def abort(self) -> None: ...
    def identity(self) -> str:
        return "none"


def test_what_a_sink_cannot_take_back_stays_and_so_does_the_checkpoint(tmp_path: Path) -> None:
    pipeline, sink = Pipeline[str]().add(Processor(double)), CannotUndo()
    first = pipeline.drain(["a"], into=sink, checkpoint=kept(tmp_path))
    with pytest.raises(TypeError, match="CannotUndo cannot take back what it was given"):
        pipeline.drain(["a"], into=sink, checkpoint=kept(tmp_path, fresh=True))
    assert pipeline.drain(["a"], into=sink, checkpoint=kept(tmp_path)) == first


class Forgetful(Processor[str, int]):
    """How many items came, which dies with it."""

    def setup(self) -> None:
        self.n = 0

    def process(self, item: str) -> int:
        self.n += 1
        return self.n


def test_what_cannot_be_kept_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("before\n")
    pl: Any = Pipeline[str]().add(Forgetful())
    with pytest.raises(TopologyError, match="a state that a checkpoint cannot save"):
        pl.drain(["a"], into=Lines(out), checkpoint=kept(tmp_path, fresh=True))
    assert out.read_text() == "before\n"
    assert not (tmp_path / "state").exists()


HANDS = 12
CALLED: dict[int, asyncio.Event] = {}  # of the worker


async def meets(item: int) -> int:
    """Is done once as many items are in hand as may be: those of its dozen."""
    for number in (item, *range(item // HANDS * HANDS, (item // HANDS + 1) * HANDS)):
        CALLED.setdefault(number, asyncio.Event())
    CALLED[item].set()
    await asyncio.sleep(0.001)
    for number in range(item // HANDS * HANDS, (item // HANDS + 1) * HANDS):
        await asyncio.wait_for(CALLED[number].wait(), 60)
    return item


@pytest.mark.parametrize("ordered", [True, False])
def test_no_hand_waits_at_a_barrier_for_the_slowest(ordered: bool, tmp_path: Path) -> None:
    """Barriers fall between items that wait for one another, and take longer than they may."""
    out: Lines = Lines(tmp_path / "out")
    report = (
        Pipeline[int]()
        .add(Processor(meets, concurrency=HANDS, ordered=ordered))
        .add(Processor(str))
        .drain(range(4 * HANDS), into=out, checkpoint=kept(tmp_path))
    )
    assert sorted(map(int, out)) == [*range(4 * HANDS)]
    assert report.stages["meets"].items_in == 4 * HANDS


class UntilKept:
    """Items until some are kept; in the next life none, and then a while in which nothing comes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen = threading.Event()

    def open(self, position: int | None, /) -> Iterator[tuple[int, int]]:
        if position is not None:
            if not self.seen.wait(60):
                raise TimeoutError("nothing has come due")
            return
        for n in count(1):
            if [*self.folder.glob("*.json")]:
                raise InterruptedError
            sleep(0.001)
            yield n, n

    def identity(self) -> str:
        return "until kept"


def set_clock(patch: pytest.MonkeyPatch, stands_at: int) -> None:
    """The machine's clock shows this many seconds, and goes on no more."""
    patch.setattr(workplace, "monotonic_ns", lambda: stands_at * 10**9)
    patch.setattr(timer, "monotonic", lambda: float(stands_at))


def test_what_is_held_for_a_time_comes_due_on_a_machine_with_another_clock(
    tmp_path: Path,
) -> None:
    source = UntilKept(tmp_path)
    pl = Pipeline[int](start_method="fork").add(Batch(10**6, within_s=0.5))
    with pytest.MonkeyPatch.context() as patch:
        set_clock(patch, stands_at=10**9)
        with pytest.raises(InterruptedError):
            list(pl.stream(source, checkpoint=Checkpoint(tmp_path, every_s=0.001)))
    with pl.stream(source, checkpoint=Checkpoint(tmp_path)) as stream:
        first = next(stream)
        source.seen.set()
        assert [first, *stream] == [[*range(1, len(first) + 1)]]


class StopsOnce:
    """Numbers until those are kept whose copies wait for partners, and in the next life some
    more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last = 0

    def open(self, position: int | None, /) -> Iterator[tuple[int, int]]:
        for n in range(position or 0, self.last + 30 if position else 1 << 40):
            kept = None if position else manifests.told(self.folder)
            if kept is not None and int(kept.position) > 10:
                raise InterruptedError
            self.last = n
            yield n, n + 1

    def identity(self) -> str:
        return "stops once"


def twice_at_first(number: int) -> list[int]:
    """Two of each of the first ten: so ten of its lane wait for ever."""
    return [number, -number] if number < 10 else [number]


def same(number: int) -> int:
    return number


def test_what_waits_in_a_zip_at_the_sink_is_kept(tmp_path: Path) -> None:
    source = StopsOnce(tmp_path)
    lanes: Any = Pipeline[int](start_method="fork").add(ReplicatingFork(2))
    pl = lanes.add(FlatMap(twice_at_first), Processor(same)).add(Zip(2))
    with pytest.raises(InterruptedError):
        list(pl.stream(source, checkpoint=Checkpoint(tmp_path, every_s=0.001)))
    with pl.stream(source, checkpoint=Checkpoint(tmp_path)) as stream:
        found = [*stream]
    firsts = [each for number in range(len(found)) for each in twice_at_first(number)]
    assert found == [*zip(firsts, range(source.last + 1), strict=False)]
    assert stream.report.stages["zip"].left_over == 10
    told = manifests.told(tmp_path)
    assert told is not None
    assert {name for name, *_ in told.workers} <= {"twice_at_first", "same"}


class Endless:
    """All numbers."""

    def __iter__(self) -> Iterator[int]:
        return count()


def none_of_them(number: int) -> bool:
    return False


def as_text(pair: tuple[int, int]) -> str:
    return str(pair)


@pytest.mark.parametrize("in_a_worker", [True, False])
def test_lanes_that_drift_apart_for_ever_end_a_run_and_do_not_fill_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_a_worker: bool
) -> None:
    monkeypatch.setattr(set_aside, "MOST_BYTES", 100_000)
    lanes: Any = Pipeline[int](start_method="fork").add(ReplicatingFork(2))
    pl = lanes.add(Filter(none_of_them), Processor(same)).add(Zip(2))
    pl = pl.add(Processor(as_text)) if in_a_worker else pl
    checkpoint = Checkpoint(tmp_path / "states", every_s=0.05)
    with pytest.raises(RunError, match=r"lanes.* 0, [\d,]+ items wait .*Deadlock"):
        pl.drain(Endless(), into=Lines(tmp_path / "out.txt"), checkpoint=checkpoint)


def no_sevens(number: int) -> int:
    if number % 7 == 0:
        raise ValueError(number)
    return number


def test_a_stage_may_have_the_name_of_the_sink(tmp_path: Path) -> None:
    """Whose zip notes what it knows at barriers, too."""
    source = StopsOnce(tmp_path)
    lanes: Any = Pipeline[int](start_method="fork").add(ReplicatingFork(2))
    given_up = Processor(no_sevens, on_error="dead_letter", name="sink")
    pl = lanes.add(given_up, Processor(same)).add(Zip(2))
    with pytest.raises(InterruptedError):
        list(pl.stream(source, checkpoint=Checkpoint(tmp_path, every_s=0.001)))
    told = manifests.told(tmp_path)
    assert told is not None
    assert {name for name, *_ in told.workers} == {"sink", "same"}
    with pl.stream(source, checkpoint=Checkpoint(tmp_path)) as stream:
        list(stream)
    found = [letter.ordinal for letter in stream.dead_letters]
    assert found == [*range(0, source.last + 1, 7)]


def evens(number: int) -> bool:
    if number % 2:
        raise ValueError(number)
    return number % 4 == 0


@pytest.mark.parametrize("behind_a_stage", [True, False])
def test_what_a_fork_gives_up_comes_once_and_is_counted_on(
    behind_a_stage: bool, tmp_path: Path
) -> None:
    source = StopsOnce(tmp_path)
    pl: Any = Pipeline[int](start_method="fork")
    if behind_a_stage:
        pl = pl.add(Processor(same, name="before"))
    pl = pl.add(SplittingFork(evens, on_error="dead_letter"))
    pl = pl.add(Processor(same), Processor(same)).add(Join(2, ordered=True))
    with pytest.raises(InterruptedError):
        list(pl.stream(source, checkpoint=Checkpoint(tmp_path, every_s=0.001)))
    with pl.stream(source, checkpoint=Checkpoint(tmp_path)) as stream:
        list(stream)
    numbers = range(source.last + 1)
    assert [letter.ordinal for letter in stream.dead_letters] == [*numbers[1::2]]
    assert [letter.item for letter in stream.dead_letters] == [*numbers[1::2]]
    before = stream.report.stages["before" if behind_a_stage else "source"]
    assert (before.items_in, before.fork_failed) == (len(numbers), len(numbers) // 2)


class Elsewhere:
    """An engine that keeps nothing."""

    def lanes(self) -> int:
        return 1

    def begun_by(self, start: object) -> Elsewhere:
        return self

    def open(self, topology: object, paces: object) -> Any:
        raise AssertionError


def test_an_engine_that_keeps_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="or run on this machine, without engine="):
        Pipeline[str]().add(Processor(double)).drain(
            ["a"], into=Lines(tmp_path / "out"), engine=Elsewhere(), checkpoint=kept(tmp_path)
        )


def test_a_run_that_is_kept_is_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="leave out record="):
        Pipeline[str]().add(Processor(double)).drain(
            ["a"], into=Lines(tmp_path / "out"), record="r.cvd", checkpoint=kept(tmp_path)
        )


class Ten:
    """A source that notes when it is closed."""

    closed = False

    def open(self, position: int | None, /) -> Iterator[tuple[str, int]]:
        try:
            for n in range(position or 0, 10):
                yield str(n), n + 1
        finally:
            self.closed = True

    def identity(self) -> str:
        return "ten"


def fail_at_five(item: str) -> str:
    if item == "5":
        raise ValueError(item)
    return item


def test_a_source_is_closed_when_the_run_fails(tmp_path: Path) -> None:
    source = Ten()
    with pytest.raises(ValueError, match="5"):
        Pipeline[str]().add(Processor(fail_at_five)).drain(
            source, into=Lines(tmp_path / "out"), checkpoint=kept(tmp_path)
        )
    assert source.closed


class Noting:
    """A sink that notes what is asked of it, and in which thread."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.written: list[str] = []

    def note(self, what: str) -> None:
        self.calls.append((what, threading.get_ident()))

    def open(self, epoch: int, /) -> None:
        self.note("open")

    def write(self, items: Sequence[str], /) -> None:
        self.note("write")
        self.written += items

    def prepare(self, epoch: int, /) -> None:
        self.note("prepare")

    def commit(self, epoch: int, /) -> None:
        self.note("commit")

    def abort(self) -> None:
        self.note("abort")

    def identity(self) -> str:
        return "noting"


def test_an_epoch_is_made_durable_beside_the_run_and_nothing_is_written_meanwhile(
    tmp_path: Path,
) -> None:
    sink, items = Noting(), [str(n) for n in range(300)]
    Pipeline[str]().add(Processor(double)).drain(items, into=sink, checkpoint=kept(tmp_path))
    assert sink.written == [double(item) for item in items]
    names = [what for what, _ in sink.calls]
    prepared = [n for n, what in enumerate(names) if what == "prepare"]
    assert len(prepared) > 1
    assert all(names[n + 1] == "commit" for n in prepared)
    *beside, last = [sink.calls[n][1] for n in prepared]
    assert last == threading.get_ident()
    assert last not in beside


class Full(Noting):
    """A sink whose store has no room."""

    def prepare(self, epoch: int, /) -> None:
        self.note("prepare")
        raise OSError("no room")


def test_an_epoch_that_cannot_be_made_durable_ends_the_run(tmp_path: Path) -> None:
    sink = Full()
    with pytest.raises(OSError, match="no room"):
        Pipeline[str]().add(Processor(double)).drain(
            [str(n) for n in range(300)], into=sink, checkpoint=kept(tmp_path)
        )
    assert [what for what, _ in sink.calls][-2:] != ["prepare", "commit"]
    assert sink.calls[-1][0] == "abort"
    assert not [*(tmp_path / "state").iterdir()]


def test_a_disk_that_is_full_ends_the_run_with_its_name_and_nothing_is_left_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    sink = Noting()
    (tmp_path / "state").mkdir()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*state/epoch-0.bin'"):
        Pipeline[str]().add(Processor(double)).drain(
            [str(n) for n in range(300)], into=sink, checkpoint=kept(tmp_path)
        )
    assert sink.calls[-1][0] == "abort"
    assert not [*(tmp_path / "state").iterdir()]


@pytest.mark.parametrize(
    ("name", "words"), [("epoch-0.json", "is no manifest"), ("epoch-0.bin", "is damaged")]
)
def test_a_damaged_directory_is_refused(name: str, words: str, tmp_path: Path) -> None:
    found = Directory(tmp_path, {})
    found.write(Manifest(0, "first", {}))
    damaged = tmp_path / name
    damaged.write_bytes(damaged.read_bytes()[:9])
    with pytest.raises(CheckpointMismatch, match=words):
        found.newest()


def test_what_goes_with_a_manifest_may_be_missing(tmp_path: Path) -> None:
    found = Directory(tmp_path, {})
    found.write(Manifest(0, "first", {}))
    (tmp_path / "epoch-0.bin").unlink()
    with pytest.raises(CheckpointMismatch, match="is damaged"):
        found.newest()


def test_what_is_told_of_a_run_that_goes_on_meanwhile_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Directory(tmp_path, {"workers": [], "stages": [], "source": "", "sink": ""})
    found.write(Manifest(0, "first", {}))
    read, goes_on = manifests.said_in, iter([1])

    def read_meanwhile(place: Path) -> Any:
        said = read(place)
        for epoch in goes_on:
            found.write(Manifest(epoch, "second", {}))
            found.forget(epoch)
        return said

    monkeypatch.setattr(manifests, "said_in", read_meanwhile)
    told = manifests.told(tmp_path)
    assert told is not None
    assert (told.epoch, told.is_whole) == (1, True)


class Interrupted(Noting):
    """A sink that interrupts the program while it prepares an epoch beside the run."""

    def __init__(self) -> None:
        super().__init__()
        self.preparing, self.waits = threading.Event(), threading.Event()
        self.came, self.aborted = threading.Event(), threading.Event()

    def prepare(self, epoch: int, /) -> None:
        self.note("prepare")
        self.preparing.set()
        assert self.waits.wait(60)
        while not self.came.wait(0.1):  # one that comes just before the wait does not end it
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        self.aborted.wait(0.5)
        self.note("prepared")

    def abort(self) -> None:
        super().abort()
        self.aborted.set()

    def interrupt(self, *_: object) -> None:
        if not self.came.is_set():
            self.came.set()
            raise KeyboardInterrupt


class One:
    """An item; there are no more once an epoch is prepared."""

    def __init__(self, sink: Interrupted) -> None:
        self.sink = sink

    def __iter__(self) -> Iterator[str]:
        yield "a"
        assert self.sink.preparing.wait(60)


def test_a_sink_is_not_aborted_before_the_epoch_is_whole_that_is_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Interrupted()
    finish = Keeper.finish

    def finishes(keeper: Keeper, letters: Any) -> None:
        sink.waits.set()
        finish(keeper, letters)

    monkeypatch.setattr(Keeper, "finish", finishes)
    before = signal.signal(signal.SIGINT, sink.interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            Pipeline[str]().add(Processor(double)).drain(
                One(sink), into=sink, checkpoint=kept(tmp_path)
            )
    finally:
        signal.signal(signal.SIGINT, before)
    assert [what for what, _ in sink.calls][-3:] == ["prepared", "commit", "abort"]


class InOneTransaction(Noting):
    """A sink whose store lost the epoch that it was last told to commit."""

    held = -1

    def open(self, epoch: int, /) -> int:  # type: ignore[override]  # this one can tell
        return self.held


def test_an_epoch_that_a_sink_lost_is_written_again_beside_its_manifest(tmp_path: Path) -> None:
    found = Directory(tmp_path, {"workers": ["a"]})
    epochs = Epochs(found, InOneTransaction())
    assert epochs.resume() is None
    epochs.complete(Manifest(0, "first", {}))

    again = Epochs(found, InOneTransaction())
    assert again.resume() is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.rename", refuse)  # all dies before the new manifest is there
        with pytest.raises(InterruptedError):
            again.complete(Manifest(0, "second", {}))
    assert [each.position for each in found.newest()] == ["first"]
    again.complete(Manifest(0, "second", {}))
    assert [each.position for each in found.newest()] == ["second"]


def refuse(*arguments: object) -> None:
    raise InterruptedError
