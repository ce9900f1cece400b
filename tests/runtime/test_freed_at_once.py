"""What a run had is given back when it is over, without the cyclic collector, and also while its
error is kept."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from conveyor import BalancingFork, Join, Pipe, Processor, ReplicatingFork, Zip
from tests.helpers import eventually, living_children, pipeline
from tests.jobs import double

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux", reason="counts what is shared by Linux's own lists"
    ),
]


@pytest.fixture(autouse=True)
def without_the_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    eventually(lambda: not living_children())


def shared() -> tuple[int, int, int]:
    """Descriptors of shared memory, mappings of it, and all descriptors."""
    fds = [_target(fd) for fd in os.listdir("/proc/self/fd")]
    maps = len(re.findall("memfd:conveyor", Path("/proc/self/maps").read_text()))
    return sum("memfd:conveyor" in fd for fd in fds), maps, len(fds)


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""


def divide(item: int) -> int:
    return 12 // (item - 3)


def endless() -> Iterator[int]:
    yield from count()


def broken() -> Iterator[int]:
    yield 1
    raise ZeroDivisionError


def inside_with(pl: Any) -> None:
    with pl:
        pl.run(range(3))
        pl.run(endless())


async def beside(pl: Any, items: Any) -> list[Any]:
    async with pl.astream(items) as stream:
        return [result async for result in stream]


RUNS: dict[str, Callable[[Any], object]] = {
    "of a chain": lambda pl: pl.add(Processor(double)).run(range(9)),
    "of an iterator": lambda pl: pl.add(Processor(double)).run(iter(range(9))),
    "of balanced lanes": lambda pl: (
        pl.add(BalancingFork(2)).add(Pipe(), Processor(double)).add(Join(2)).run(range(99))
    ),
    "of adapting lanes": lambda pl: (
        pl.add(BalancingFork()).add(Processor(double)).add(Join()).run(range(99))
    ),
    "of ordered lanes": lambda pl: (
        pl.add(BalancingFork(2))
        .add(Pipe(), Processor(double))
        .add(Join(2, ordered=True))
        .run(range(99))
    ),
    "of a zip": lambda pl: (
        pl.add(ReplicatingFork(2)).add(Pipe(), Processor(double)).add(Zip(2)).run(range(99))
    ),
    "whose job fails": lambda pl: pl.add(Processor(divide)).run(endless()),
    "whose source fails": lambda pl: pl.add(Processor(double)).run(broken()),
    "that fails inside with": lambda pl: inside_with(pl.add(Processor(divide))),
    "streamed": lambda pl: list(pl.add(Processor(double)).stream(range(9))),
    "streamed, whose job fails": lambda pl: list(pl.add(Processor(divide)).stream(endless())),
    "streamed, whose source fails": lambda pl: list(pl.add(Processor(double)).stream(broken())),
    "awaited": lambda pl: asyncio.run(pl.add(Processor(double)).arun(range(9))),
    "awaited, whose job fails": lambda pl: asyncio.run(pl.add(Processor(divide)).arun(endless())),
    "awaited, whose source fails": lambda pl: asyncio.run(pl.add(Processor(double)).arun(broken())),
    "streamed beside a loop": lambda pl: asyncio.run(beside(pl.add(Processor(double)), range(9))),
    "streamed beside a loop, whose job fails": lambda pl: asyncio.run(
        beside(pl.add(Processor(divide)), endless())
    ),
    "streamed and left": lambda pl: next(pl.add(Processor(double)).stream(endless())),
}


@pytest.mark.parametrize("run", RUNS)
def test_nothing_shared_is_left_of_a_run(run: str) -> None:
    kept: list[object] = []  # what it gives or raises may be kept

    def once() -> None:
        try:
            kept.append(RUNS[run](pipeline()))
        except ZeroDivisionError as error:
            kept.append(error)

    once()  # the first imports, and opens what serves all
    before = shared()
    once()
    once()

    assert shared() == before


@pytest.mark.parametrize("how", ["run", "stream"])
def test_the_source_of_a_run_that_failed_is_closed_as_a_loop_closes_it(how: str) -> None:
    closed: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield from count()
        finally:
            closed.append(how)

    pl = pipeline().add(Processor(divide))
    with pytest.raises(ZeroDivisionError):
        list(pl.run(source()) if how == "run" else pl.stream(source()))

    assert closed == [how]


def test_a_stream_that_has_ended_keeps_its_report_and_nothing_else() -> None:
    before = shared()[:2]
    stream = pipeline().add(Processor(double)).stream([1, 2, 3])
    assert shared()[:2] > before
    assert list(stream) == [2, 4, 6]

    assert shared()[:2] == before
    assert stream.report.stages["double"].items_out == 3
    assert stream.dead_letters == ()


def test_a_source_that_belongs_to_its_thread_is_for_run_and_a_stream_says_so() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript("create table numbers (n); insert into numbers values (1), (2)")
        pl = pipeline().add(Processor(sum))

        assert pl.run(database.execute("select n from numbers")) == [1, 2]
        with pytest.raises(sqlite3.ProgrammingError) as refused:
            list(pl.stream(database.execute("select n from numbers")))
        assert "run() iterates its source in the thread that calls it" in "".join(
            refused.value.__notes__
        )
