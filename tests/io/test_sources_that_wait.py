"""A source that waits for what has not come is left at once when its run ends, in any thread."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from conveyor import Processor
from conveyor.errors import RunStopped
from conveyor.io import Directory, Follow, Kafka, Lines, RedisStream, SqlTable, sleep
from conveyor.runtime.parent.interrupt import Interruptible
from conveyor.runtime.parent.keeper import Saving
from tests.helpers import PATIENCE_S, eventually, pipeline
from tests.io.services import service

pytestmark = [pytest.mark.processes, pytest.mark.timeout(100)]

HOUR = 3600.0


@pytest.fixture(autouse=True)
def no_thread_goes_on_waiting() -> Iterator[None]:
    threads = threading.active_count()
    yield
    eventually(lambda: threading.active_count() <= threads)


def followed(folder: Path) -> Follow:
    Path(folder, "a.log").write_text("one\n")
    return Follow(folder / "a.log", poll_s=HOUR)


def not_there(folder: Path) -> Follow:
    return Follow(folder / "b.log", poll_s=HOUR)


def directory(folder: Path) -> Directory:
    Path(folder, "one").touch()
    return Directory(folder, poll_s=HOUR)


def redis(folder: Path) -> RedisStream:
    pytest.importorskip("redis", reason="redis is not installed")
    return RedisStream(service("redis"), f"test-{os.getpid()}-none")


def redis_group(folder: Path) -> RedisStream:
    pytest.importorskip("redis", reason="redis is not installed")
    name = f"test-{os.getpid()}-group"
    return RedisStream(service("redis"), name, group="all", consumer="one")


def kafka(folder: Path) -> Kafka:
    pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed")
    from tests.io.topics import created

    servers = service("kafka").removeprefix("kafka://").removesuffix("/")
    return Kafka(servers, created(servers, f"test-{os.getpid()}-{folder.name}"))


class HeldDatabase:
    """A table of SQLite, while another program holds the database."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "a.db"

    def __iter__(self) -> Iterator[Any]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield from SqlTable(f"sqlite:///{self.path}", "t", "n")


class OfAUser:
    """A source that somebody has written, as an iterable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __iter__(self) -> Iterator[str]:
        yield "one"
        while True:
            sleep(HOUR)


class Around:
    """Takes its items from a run of another pipeline."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __iter__(self) -> Iterator[Any]:
        yield from pipeline().add(Processor(repr)).stream(followed(self.folder))


SOURCES: dict[str, Callable[[Path], Any]] = {
    "lines of a file": followed,
    "a file that is not there": not_there,
    "files of a directory": directory,
    "a stream of Redis": redis,
    "a group of Redis": redis_group,
    "a topic of Kafka": kafka,
    "a table that is held": HeldDatabase,
    "one of a user": OfAUser,
    "another pipeline": Around,
}
FOUR = ["lines of a file", "a topic of Kafka", "a table that is held", "another pipeline"]


class Begun:
    """Items of a source, and whether they are waited for by now."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.has_begun = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        self.has_begun.set()
        yield from self.source


@pytest.fixture(params=SOURCES)
def items(request: pytest.FixtureRequest, tmp_path: Path) -> Begun:
    return Begun(SOURCES[request.param](tmp_path))


def test_a_run_in_a_thread_is_stopped_while_its_source_waits(items: Begun) -> None:
    pl = pipeline().add(Processor(repr))

    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(pl.run, items)
        items.has_begun.wait(PATIENCE_S)
        pl.stop()

        with pytest.raises(RunStopped):
            run.result(PATIENCE_S)


@pytest.mark.parametrize("items", FOUR, indirect=True)
def test_a_stream_that_another_thread_closes_leaves_no_thread_that_waits(items: Begun) -> None:
    stream = pipeline().add(Processor(repr)).stream(items)

    with ThreadPoolExecutor(1) as threads:
        read = threads.submit(list, stream)
        items.has_begun.wait(PATIENCE_S)
        stream.close()

        with pytest.raises(RunStopped):
            read.result(PATIENCE_S)


@pytest.mark.parametrize("items", FOUR, indirect=True)
def test_a_task_that_is_cancelled_leaves_no_thread_that_waits(items: Begun) -> None:
    async def program() -> None:
        run = asyncio.create_task(pipeline().add(Processor(repr)).arun(items))
        await asyncio.to_thread(items.has_begun.wait, PATIENCE_S)
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run

    asyncio.run(program())


def raises(item: object) -> object:
    raise ZeroDivisionError(item)


def test_what_fails_in_a_thread_while_the_source_waits_is_told_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(pipeline().add(Processor(raises)).run, followed(tmp_path))

        with pytest.raises(ZeroDivisionError):
            run.result(PATIENCE_S)


def test_a_drain_in_a_thread_ends_with_its_with_block(tmp_path: Path) -> None:
    source, out = Begun(followed(tmp_path)), tmp_path / "out.txt"

    with ThreadPoolExecutor(1) as threads:
        with pipeline().add(Processor(str.upper)) as pl:
            run = threads.submit(pl.drain, source, into=Lines(out))
            source.has_begun.wait(PATIENCE_S)
        with pytest.raises(RunStopped):
            run.result(PATIENCE_S)
    assert not out.exists()


def test_what_makes_an_epoch_durable_is_not_called_out_of_its_sleep() -> None:
    def error_of_one_that_is_saved_while_the_run_ends() -> BaseException | None:
        with Interruptible() as block:
            block.inside = True
            block.interrupt()
            saving = Saving(lambda: sleep(0), lambda: None)
            saving.over.wait(PATIENCE_S)
        return saving.error

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(error_of_one_that_is_saved_while_the_run_ends).result() is None


def test_a_sleep_outside_of_a_run_is_one() -> None:
    sleep(0)
    with pytest.raises(ValueError, match="seconds"):
        sleep(-1)
