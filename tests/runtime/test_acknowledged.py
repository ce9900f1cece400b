"""A stream that is kept in a checkpoint: what the program has acknowledged never comes again, and
what it has not does."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from conveyor import BalancingFork, Checkpoint, Join, Pipeline, Processor, Stream
from conveyor.core.epochs import Epochs, Manifest
from conveyor.errors import CheckpointMismatch, LifecycleError, TopologyError
from conveyor.io import Lines
from tests.jobs import KeptNumber
from tests.processes import living_children
from tests.runtime.test_checkpoints import Elsewhere, Forgetful

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]


def numbered() -> Pipeline[int, tuple[int, int]]:
    return Pipeline[int]().add(KeptNumber(name="numbered"))


def kept(folder: Path, **options: Any) -> Checkpoint:
    return Checkpoint(folder / "state", every_s=0.005, **options)


@pytest.mark.parametrize(("done", "besides"), [(1, 0), (7, 3), (16, 1), (17, 40)])
def test_a_stream_that_is_left_goes_on_behind_what_was_acknowledged(
    done: int, besides: int, tmp_path: Path
) -> None:
    items, got = range(40), list[tuple[int, int]]()
    for _ in items:
        with numbered().stream(items, checkpoint=kept(tmp_path)) as stream:
            got += islice(stream, done)
            stream.acknowledge()
            again = list(islice(stream, besides))
        assert again == [(n, n + 1) for n in items][len(got) : len(got) + besides]
        if len(got) == len(items):
            break
        if done == 1 and len(got) == 3:
            done = 30
    assert got == [(n, n + 1) for n in items]


def test_lanes_that_race_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    pipeline = Pipeline[int]().add(BalancingFork(3)).add(*[Processor(negated)] * 3).add(Join(3))
    got = Counter[int]()
    for _ in range(3):
        with pipeline.stream(range(100), checkpoint=kept(tmp_path)) as stream:
            got.update(islice(stream, 37))
            stream.acknowledge()
            list(islice(stream, 5))
    assert got == Counter(-n for n in range(100))


def negated(item: int) -> int:
    return -item


LIVES = """
import os, signal, sys
from pathlib import Path
from conveyor import Checkpoint, Pipeline
from tests.runtime.test_acknowledged import numbered

closes = int(sys.argv[1])
checkpoint = Checkpoint("state", every_s=0.001)

def say(results):
    with open("said.txt", "a") as file:
        for item, n in results:
            print(item, n, file=file)

with numbered().stream(range(10**9), checkpoint=checkpoint) as stream:
    for _ in range(closes):
        say([next(stream)])
        stream.acknowledge()
with open("said.txt", "a") as file:
    print("durable", file=file)
stream = numbered().stream(range(10**9), checkpoint=checkpoint)
before = set(Path("state").glob("*.json"))
while set(Path("state").glob("*.json")) <= before:
    say([next(stream)])
    stream.acknowledge()
for _ in range(5):
    say([next(stream)])
os.killpg(0, signal.SIGKILL)
"""


def test_a_program_that_was_killed_as_a_whole_goes_on(tmp_path: Path) -> None:
    for closes in (3, 20):
        with (tmp_path / "said.txt").open("a") as file:
            file.write("life\n")
        command = [sys.executable, "-c", LIVES, str(closes)]
        status = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
            timeout=100,
            check=False,
        ).returncode
        assert status == -signal.SIGKILL
    lives = (tmp_path / "said.txt").read_text().split("life\n")[1:]
    end, durable = 0, 0
    for life in lives:
        closed, killed = life.split("durable\n")
        first, *_ = numbers = results_of(closed)
        assert durable <= first <= end
        assert numbers == [*range(first, first + len(numbers))]
        durable = end = first + len(numbers)
        first, *_ = numbers = results_of(killed)
        assert first == durable
        assert numbers == [*range(first, first + len(numbers))]
        durable, end = durable + 1, first + len(numbers)  # at the least: one checkpoint was whole


def results_of(lines: str) -> list[int]:
    found = [tuple(map(int, line.split())) for line in lines.splitlines()]
    assert all(n == item + 1 for item, n in found)
    return [item for item, _ in found]


def test_a_stream_that_has_finished_gives_nothing_and_says_so(tmp_path: Path) -> None:
    with numbered().stream(range(3), checkpoint=kept(tmp_path)) as stream:
        for _ in stream:
            stream.acknowledge()
    with numbered().stream(range(3), checkpoint=kept(tmp_path)) as again:
        assert list(again) == []
    assert "the run in this checkpoint had finished" in again.report.notes[-1]
    assert again.report.stages == stream.report.stages
    with numbered().stream(range(2), checkpoint=kept(tmp_path, fresh=True)) as fresh:
        assert list(fresh) == [(0, 1), (1, 2)]


def test_what_was_taken_to_the_end_and_not_acknowledged_comes_again(tmp_path: Path) -> None:
    for done in (2, 1):
        with numbered().stream(range(5), checkpoint=kept(tmp_path)) as stream:
            list(islice(stream, done))
            stream.acknowledge()
            list(stream)
    stream = numbered().stream(range(5), checkpoint=kept(tmp_path))
    assert list(stream) == [(3, 4), (4, 5)]
    stream.acknowledge()  # behind the end it is durable at once
    assert list(numbered().stream(range(5), checkpoint=kept(tmp_path))) == []


def test_what_two_threads_acknowledge_behind_the_end_is_made_durable_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(numbered().stream(range(5), checkpoint=kept(tmp_path)))
    stream = numbered().stream(range(5), checkpoint=kept(tmp_path))
    other, is_durable = threading.Thread(target=stream.acknowledge), threading.Event()
    complete = Epochs.complete

    def acknowledged_meanwhile(epochs: Epochs, manifest: Manifest) -> None:
        if other.ident is None:
            other.start()
            is_durable.wait(0.1)
        complete(epochs, manifest)
        is_durable.set()

    monkeypatch.setattr(Epochs, "complete", acknowledged_meanwhile)
    next(stream)
    stream.acknowledge()
    list(stream)
    other.join()
    assert list(numbered().stream(range(5), checkpoint=kept(tmp_path))) == []


def test_a_result_comes_again_as_it_was(tmp_path: Path) -> None:
    pipeline = Pipeline[int]().add(Processor(in_a_list))
    with pipeline.stream(range(3), checkpoint=kept(tmp_path)) as stream:
        next(stream)
        stream.acknowledge()
        next(stream).append("changed")
    assert list(pipeline.stream(range(3), checkpoint=kept(tmp_path))) == [[1], [2]]


def in_a_list(item: int) -> list[Any]:
    return [item]


def test_another_thread_may_acknowledge(tmp_path: Path) -> None:
    with numbered().stream(range(9), checkpoint=kept(tmp_path)) as stream:
        list(islice(stream, 4))
        thread = threading.Thread(target=stream.acknowledge)
        thread.start()
        thread.join()
    assert next(numbered().stream(range(9), checkpoint=kept(tmp_path))) == (4, 5)


def test_without_a_checkpoint_nothing_can_be_acknowledged() -> None:
    async def acknowledged() -> None:
        async with numbered().astream([1]) as stream:
            stream.acknowledge()

    with numbered().stream([1]) as stream, pytest.raises(LifecycleError, match="checkpoint="):
        stream.acknowledge()
    with pytest.raises(LifecycleError, match="checkpoint="):
        asyncio.run(acknowledged())


class Ten:
    """A source that notes when it is closed, and may fail."""

    def __init__(self, fails_at: int = 10) -> None:
        self.fails_at = fails_at
        self.is_closed = False

    def open(self, position: int | None, /) -> Iterator[tuple[int, int]]:
        try:
            for n in range(position or 0, 10):
                if n == self.fails_at:
                    raise OSError("unplugged")
                yield n, n + 1
        finally:
            self.is_closed = True

    def identity(self) -> str:
        return "ten"


def test_a_source_is_closed_and_goes_on_where_its_position_was(tmp_path: Path) -> None:
    source = Ten()
    with numbered().stream(source, checkpoint=kept(tmp_path)) as stream:
        list(islice(stream, 4))
        stream.acknowledge()
    assert source.is_closed
    assert list(numbered().stream(Ten(), checkpoint=kept(tmp_path))) == [
        (n, n + 1) for n in range(4, 10)
    ]


class OpensAtOnce(Ten):
    """Such a source that is open before its first item is asked for."""

    opened = 0

    def open(self, position: int | None, /) -> Iterator[tuple[int, int]]:
        self.opened += 1
        return super().open(position)


def test_the_source_of_a_run_that_has_finished_is_not_opened(tmp_path: Path) -> None:
    source = OpensAtOnce()
    for _ in range(2):
        with numbered().stream(source, checkpoint=kept(tmp_path)) as stream:
            list(stream)
    assert source.opened == 1


def test_a_source_without_a_checkpoint_is_read_from_its_beginning() -> None:
    source = Ten()
    assert list(numbered().stream(source)) == [(n, n + 1) for n in range(10)]
    assert source.is_closed


def test_an_error_keeps_what_was_acknowledged_before_the_newest_barrier(tmp_path: Path) -> None:
    items = range(200)
    got = list[tuple[int, int]]()
    pipeline = numbered().add(Processor(fails_at_150, name="picky"))
    with pytest.raises(ValueError, match="150"):
        take_all(pipeline.stream(items, checkpoint=kept(tmp_path)), got)
    mended = numbered().add(Processor(in_peace, name="picky"))
    rest = list(mended.stream(items, checkpoint=kept(tmp_path)))
    begun = rest[0][0]
    assert begun <= len(got)
    assert got[:begun] + rest == [(n, n + 1) for n in items]


def take_all(stream: Stream[tuple[int, int]], into: list[tuple[int, int]]) -> None:
    with stream:
        for result in stream:
            into.append(result)
            stream.acknowledge()


def fails_at_150(item: tuple[int, int]) -> tuple[int, int]:
    if item[0] == 150:
        raise ValueError(item)
    return item


def in_peace(item: tuple[int, int]) -> tuple[int, int]:
    return item


def test_an_error_of_the_source_keeps_it_too(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="unplugged"):
        take_all(numbered().stream(Ten(fails_at=6), checkpoint=kept(tmp_path)), [])
    first, *_ = rest = list(numbered().stream(Ten(), checkpoint=kept(tmp_path)))
    assert first[0] <= 6
    assert rest == [(n, n + 1) for n in range(first[0], 10)]


def test_a_stream_that_is_left_raises_the_error_of_a_source_that_came_before_it_was_durable(
    tmp_path: Path,
) -> None:
    others = {*threading.enumerate()}
    stream = numbered().stream(Ten(fails_at=3), checkpoint=Checkpoint(tmp_path))
    for source in {*threading.enumerate()} - others:
        source.join(60)  # all that it has given is on its way
    next(stream)
    stream.acknowledge()
    with pytest.raises(OSError, match="unplugged"):
        stream.close()


PICKLES: list[Callable[[], object]] = []  # what is called then, in this process alone


class Odd:
    """An item that says when it is pickled."""

    def __reduce__(self) -> Any:
        for each in PICKLES:
            each()
        return Odd, ()


def no_odd_ones(item: object) -> object:
    if isinstance(item, Odd):
        raise ValueError
    return item


def test_a_stream_may_be_collected_where_it_is_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = list[Stream[object]]()
    saving, taken, collected = threading.Event(), threading.Event(), threading.Event()

    def collect() -> None:
        if threading.current_thread().name == "conveyor checkpoint" and not saving.is_set():
            saving.set()
            assert taken.wait(60)
            streams.clear()
            collected.set()

    monkeypatch.setattr("tests.runtime.test_acknowledged.PICKLES", [collect])
    jobs = Processor(no_odd_ones, on_error="dead_letter")
    items = [Odd() if n % 2 else n for n in range(10**4)]
    streams.append(Pipeline[object]().add(jobs).stream(items, checkpoint=kept(tmp_path)))
    while not saving.is_set():
        next(streams[0])
    taken.set()
    assert collected.wait(60)
    assert not living_children()


def test_what_cannot_be_made_durable_is_raised_where_the_stream_is_left(tmp_path: Path) -> None:
    stream = numbered().stream(range(9), checkpoint=kept(tmp_path))
    next(stream)
    stream.acknowledge()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.rename", no_room)
        with pytest.raises(OSError, match="no room"):
            stream.close()
    assert next(numbered().stream(range(9), checkpoint=kept(tmp_path))) == (0, 1)


def no_room(*arguments: object) -> None:
    raise OSError("no room")


def test_tasks_acknowledge_too_and_not_what_none_of_them_has_got(tmp_path: Path) -> None:
    async def take(count: int) -> list[tuple[int, int]]:
        async with numbered().astream(range(12), checkpoint=kept(tmp_path)) as stream:
            got = [await anext(stream) for _ in range(count)]
            stream.acknowledge()
        return got

    async def wait_for_one() -> None:
        async with numbered().astream(range(12), checkpoint=kept(tmp_path)) as stream:
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            kept_run: Any = vars(stream)["_acknowledging"]
            while not kept_run.given:  # the thread has it, and this task lets no other one go on
                pass
            stream.acknowledge()
            waiting.cancel()
            await asyncio.wait([waiting])

    asyncio.run(wait_for_one())
    assert asyncio.run(take(5)) + asyncio.run(take(7)) == [(n, n + 1) for n in range(12)]


def test_the_checkpoint_of_a_drain_is_refused(tmp_path: Path) -> None:
    pipeline = Pipeline[int]().add(Processor(str))
    pipeline.drain([1], into=Lines(tmp_path / "out"), checkpoint=kept(tmp_path))
    with pytest.raises(CheckpointMismatch, match="the program, which acknowledges"):
        pipeline.stream([1], checkpoint=kept(tmp_path))


async def asynchronous() -> AsyncIterator[int]:
    yield 1


REFUSED: dict[str, tuple[Any, Any, dict[str, Any], type[Exception], str]] = {
    "a state that nothing saves": (
        lambda: Pipeline[str]().add(Forgetful()),
        *(["a"], {}, TopologyError, "a state that a checkpoint cannot save"),
    ),
    "an iterator": (numbered, iter([1]), {}, TypeError, r"stream\(checkpoint=.* is an iterator"),
    "a set": (numbered, {1}, {}, TypeError, r"stream\(checkpoint=.* another order in each process"),
    "an async iterable": (numbered, asynchronous(), {}, TypeError, "async_generator"),
    "a recording": (numbered, [1], {"record": "r.cvd"}, TypeError, "leave out record="),
    "another engine": (numbered, [1], {"engine": Elsewhere()}, TopologyError, "without engine="),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_kept_is_refused_before_anything_is_touched(
    what: str, tmp_path: Path
) -> None:
    make, items, options, error, words = REFUSED[what]
    for call in ("stream", "astream"):
        expected = words.replace("stream", call)
        with pytest.raises(error, match=expected):
            getattr(make(), call)(items, checkpoint=kept(tmp_path, fresh=True), **options)
    assert not (tmp_path / "state").exists()
