"""However much goes in, and however slowly it is taken out: what is on the way stays small."""

from collections.abc import Iterator
from itertools import count
from time import sleep

import psutil
import pytest

from conveyor import FlatMap, Pipe, Pipeline, Processor
from conveyor.runtime.process.start import START_METHODS, StartMethod
from tests.jobs import same

MEGABYTE = 1 << 20
ALLOWED = 20 * MEGABYTE


def kilobyte(number: int) -> bytes:
    return number.to_bytes(4, "little") * 256


def resident() -> dict[int, int]:
    """The memory of this process and of all its workers, by pid, but for what they share: that has
    a bound of its own."""
    own = psutil.Process()
    return {process.pid: private(process) for process in [own, *own.children(recursive=True)]}


def private(process: psutil.Process) -> int:
    info = process.memory_info()
    return info.rss - int(getattr(info, "shared", 0))


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_million_items_taken_one_by_one_leave_the_memory_of_every_process_flat(
    start_method: StartMethod,
) -> None:
    early: dict[int, int] = {}
    late: dict[int, int] = {}
    pipeline: Pipeline[int, object] = (
        Pipeline[int](start_method=start_method).add(Processor(same)).add(Processor(same))
    )
    with pipeline.stream(range(1_000_000)) as stream:
        for number, result in enumerate(stream):
            assert result == number
            if number == 100_000:
                early = resident()
            if number == 900_000:
                late = resident()

    grown = {pid: (late[pid] - early[pid]) / MEGABYTE for pid in early if pid in late}
    assert len(grown) >= 3
    assert max(grown.values()) * MEGABYTE < ALLOWED, grown


def test_items_of_a_kilobyte_that_nobody_takes_stop_the_source() -> None:
    pulled = 0

    def source() -> Iterator[int]:
        nonlocal pulled
        for number in range(10_000_000):
            pulled = number + 1
            yield number

    with Pipeline[int]().add(Processor(kilobyte)).add(Processor(same)).stream(source()) as stream:
        assert next(stream) == kilobyte(0)
        before = resident()
        for _ in range(1000):
            next(stream)
        grown = sum(resident().values()) - sum(before.values())

    assert grown < ALLOWED
    assert pulled < 200_000


def slowly(number: int) -> Iterator[int]:
    for each in count(number):
        yield each
        sleep(0.02)


class Slow(Processor[int, int]):
    """Gives what it has to say when the run ends, one by one."""

    def process(self, item: int, /) -> None: ...

    def finish(self) -> Iterator[int]:
        return slowly(7)


@pytest.mark.parametrize("stage", [FlatMap(slowly), Slow()], ids=["an item", "the end"])
def test_the_first_results_come_while_the_others_are_still_made(
    stage: FlatMap[int, int] | Slow,
) -> None:
    with Pipeline[int]().add(stage).stream([7]) as stream:
        assert [next(stream) for _ in range(3)] == [7, 8, 9]


@pytest.mark.parametrize("capacity", [1, 3])
def test_no_more_is_pulled_than_the_pipes_and_the_stages_hold(capacity: int) -> None:
    pulled = 0

    def source() -> Iterator[int]:
        nonlocal pulled
        for number in range(2000):
            pulled = number + 1
            yield number

    pipeline = (
        Pipeline[int]()
        .add(Pipe(capacity))
        .add(Processor(same))
        .add(Pipe(capacity))
        .add(Processor(same))
        .add(Pipe(capacity))
    )
    with pipeline.stream(source()) as stream:
        ahead = [pulled - delivered for delivered, _ in enumerate(stream, 1)]

    assert max(ahead) <= 3 * capacity + 2
