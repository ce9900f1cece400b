"""What jobs log reaches the program's handlers, with its place; and what the engine says."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import os
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conveyor import BalancingFork, Filter, Join, Pipeline, Processor, SplittingFork, Stream
from conveyor.runtime.parent.job_records import arrived
from conveyor.runtime.shm.log_buffer import MOST_IN_ENTRY
from conveyor.runtime.worker.job_logs import SentRecord, packed
from tests.jobs import double
from tests.logs import LOG, Talks, dies_once_at_two, kept, told, where

METHODS = ("fork", "forkserver", "spawn")
ENGINE = "conveyor"


@pytest.mark.parametrize("method", METHODS)
def test_records_arrive_in_order_with_their_place(method: str) -> None:
    pl = Pipeline[int](start_method=method).add(Talks())  # type: ignore[arg-type]  # one of three
    with kept() as log:
        result = pl.run(range(3))

    assert log.texts() == ["setup", "at 0", "at 1", "at 2", "finish", "teardown"]
    places = [("Talks", None), *[("Talks", n) for n in range(3)], ("Talks", None), ("Talks", None)]
    assert [where(record) for record in log.of()] == places
    assert {record.__dict__["worker"] for record in log.of()} == {result.report.stages["Talks"].pid}


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_a_handler_of_the_program_writes_a_record_once(method: str, tmp_path: Path) -> None:
    file = logging.FileHandler(tmp_path / "log")
    own = logging.getLogger("tests.jobs_that_log")
    own.addHandler(file)
    own.propagate = False  # so that a handler of the root logger would not get it
    try:
        with kept():
            pl = Pipeline[int](start_method=method)  # type: ignore[arg-type]  # one of two
            pl.add(Processor(told)).run(range(3))
    finally:
        own.propagate = True
        own.removeHandler(file)
        file.close()
    assert (tmp_path / "log").read_text() == "told 0\ntold 1\ntold 2\n"


def in_two_loggers(item: int) -> int:
    for name in ("tests.loud", "tests.quiet", "tests.loud.child"):
        logging.getLogger(name).info("%s %d", name, item)
    return item


def test_the_levels_of_the_program_hold_in_the_workers_and_may_change_between_runs() -> None:
    loud, quiet = logging.getLogger("tests.loud"), logging.getLogger("tests.quiet")
    loud.setLevel(logging.INFO)
    try:
        with kept(logging.WARNING) as log, Pipeline[int]().add(Processor(in_two_loggers)) as pl:
            pl.run([1])
            assert not log.of("tests.quiet")
            assert log.texts("tests.loud") + log.texts("tests.loud.child") == [
                "tests.loud 1",
                "tests.loud.child 1",
            ]
            quiet.setLevel(logging.DEBUG)
            loud.setLevel(logging.ERROR)
            pl.run([2])
            assert log.texts("tests.quiet") == ["tests.quiet 2"]
            logging.disable(logging.INFO)
            pl.run([3])
            logging.disable(logging.NOTSET)
            quiet.disabled = True
            pl.run([4])
            quiet.disabled = False
            pl.run([5])
            assert log.texts("tests.quiet") == ["tests.quiet 2", "tests.quiet 5"]
            assert log.texts("tests.loud") == ["tests.loud 1"]
    finally:
        logging.disable(logging.NOTSET)
        quiet.disabled = False
        loud.setLevel(logging.NOTSET)
        quiet.setLevel(logging.NOTSET)


def logs_what_is_hard_to_send(item: int) -> int:
    LOG.info("made by %s", type(lambda: item).__name__)
    LOG.info("a lock: %s", threading.Lock(), extra={"lock": threading.Lock(), "number": item})
    LOG.info("a list: %s", [item], extra={"item": "of the user's own"})
    try:
        raise ValueError(threading.Lock())
    except ValueError:
        LOG.exception("locked")
    try:
        raise KeyError(item)
    except KeyError:
        LOG.exception("key")
    LOG.info("x" * 10 * MOST_IN_ENTRY)
    return item


def test_what_does_not_pickle_arrives_as_text_and_what_does_as_it_is() -> None:
    with kept() as log:
        Pipeline[int]().add(Processor(logs_what_is_hard_to_send)).run([7])
    made, lock, listed, locked, key, huge = log.of()

    assert made.getMessage() == "made by function"
    assert lock.getMessage().startswith("a lock: <unlocked _thread.lock")
    assert lock.args is None
    assert lock.__dict__["number"] == 7
    assert "lock" in lock.__dict__["lock"]
    assert listed.args == ([7],)
    assert listed.__dict__["item"] == "of the user's own"
    assert locked.exc_info is None
    assert "ValueError: <unlocked _thread.lock" in (locked.exc_text or "")
    assert key.exc_info is not None
    assert repr(key.exc_info[1]) == "KeyError(7)"
    assert "raise KeyError(item)" in logging.Formatter().format(key)
    assert 1000 < len(huge.getMessage()) < MOST_IN_ENTRY
    assert huge.getMessage().startswith("xxx")


def test_what_cannot_be_unpickled_arrives_as_text() -> None:
    record = logging.makeLogRecord({"msg": "%s", "args": ([1],), "levelno": logging.INFO})
    sent = SentRecord(*pickle.loads(packed(record)))
    assert arrived(sent).args == ([1],)
    broken = sent._replace(pickled=b"\x80\x05cno_such_module\nname\n.")
    assert arrived(broken).getMessage() == "[1]"


def test_a_killed_worker_has_handed_over_all_that_it_logged_before() -> None:
    with kept() as log:
        result = Pipeline[int]().add(Processor(dies_once_at_two)).run(range(4))

    assert result == [0, 1, 2, 3]
    texts = log.texts()
    assert texts[:3] == ["before 0", "before 1", "before 2"]
    assert texts[-2:] == ["before 2", "before 3"]
    assert len({record.__dict__["worker"] for record in log.of()}) == 2
    dead = next(record for record in log.of(ENGINE) if record.levelno == logging.WARNING)
    assert "was killed by SIGKILL" in dead.getMessage()
    assert (dead.__dict__["stage"], dead.__dict__["item"]) == ("dies_once_at_two", None)
    order = [*log.records].index
    assert order(log.of()[2]) < order(dead) < order(log.of()[-1])


MANY = 5000
LINE = "x" * 1000


def floods(path: str) -> str:
    for number in range(MANY):
        LOG.info("%d %s", number, LINE)
    Path(path).touch()
    return path


class Stuck(logging.Handler):
    """Takes its first record only when there is a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def emit(self, record: logging.LogRecord) -> None:
        while record.name == LOG.name and not self.path.exists():
            time.sleep(0.001)


def test_a_job_that_logs_without_end_fills_no_memory_and_what_is_dropped_is_counted(
    tmp_path: Path,
) -> None:
    stuck = Stuck(tmp_path / "flooded")
    with kept() as log:
        logging.root.addHandler(stuck)
        try:
            result = Pipeline[str]().add(Processor(floods)).run([str(stuck.path)])
        finally:
            logging.root.removeHandler(stuck)
    came = len(log.of())
    assert came < MANY
    numbers = [record.args[0] for record in log.of() if isinstance(record.args, tuple)]
    assert numbers == [*range(came)]  # the oldest are kept
    (said,) = [record for record in log.of(ENGINE) if "dropped" in str(record.msg)]
    assert said.args == ("floods", MANY - came)
    assert f"stage 'floods': {MANY - came:,} log records were dropped" in result.report.notes


def forks_and_logs(item: int) -> int:
    if (pid := os.fork()) == 0:
        LOG.info("in the child")
        os._exit(0)
    os.waitpid(pid, 0)
    LOG.info("in the worker")
    return item


def test_a_process_that_a_job_forks_does_not_write_into_the_records_of_its_worker() -> None:
    with kept() as log:
        Pipeline[int]().add(Processor(forks_and_logs)).run([1, 2])
    assert log.texts() == ["in the worker"] * 2


def sets_up_logging() -> None:
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {}})


def test_an_initializer_that_configures_logging_takes_nothing_from_the_program() -> None:
    with kept() as log:
        Pipeline[int](initializer=sets_up_logging).add(Talks()).run([1])
    assert log.texts() == ["setup", "at 1", "finish", "teardown"]


class Raises(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("a handler with a fault")


def test_a_handler_that_raises_is_told_of_and_ends_no_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = Raises()
    LOG.addHandler(handler)
    try:
        with kept():
            assert Pipeline[int]().add(Processor(told)).run([1]) == [1]
    finally:
        LOG.removeHandler(handler)
    assert "a handler with a fault" in capsys.readouterr().err


def logs_from_a_thread(item: int) -> int:
    thread = threading.Thread(target=LOG.info, args=("beside",))
    thread.start()
    thread.join()
    return item


def test_another_thread_of_a_worker_has_a_stage_and_no_item() -> None:
    with kept() as log:
        Pipeline[int]().add(Processor(logs_from_a_thread)).run([1])
    assert [where(record) for record in log.of()] == [("logs_from_a_thread", None)]


def is_even(item: int) -> bool:
    LOG.info("asked %d", item)
    return item % 2 == 0


def test_records_of_a_fork_and_of_stages_that_share_a_worker_name_theirs() -> None:
    pl = (
        Pipeline[int]()
        .add(Processor(told, name="first"))
        .add(Processor(told, name="second"))
        .add(SplittingFork(is_even, name="even"))
        .add(Filter(is_even, name="left"), Filter(is_even, name="right"))
        .add(Join(2))
    )
    with kept() as log:
        pl.run([4, 5])
    places = {where(record) for record in log.of()}
    assert {("first", 0), ("first", 1), ("second", 0), ("second", 1)} <= places
    assert {("left", 0), ("right", 0), ("even", None)} <= places


def run(pl: Pipeline[int, int]) -> list[int]:
    return pl.run(range(3))


def stream(pl: Pipeline[int, int]) -> list[int]:
    with pl.stream(range(3)) as stream:
        assert isinstance(stream, Stream)
        return list(stream)


def arun(pl: Pipeline[int, int]) -> list[int]:
    return asyncio.run(pl.arun(range(3)))


@pytest.mark.parametrize("way", [run, stream, arun])
def test_the_engine_says_what_it_does_and_nothing_for_each_item(
    way: Callable[[Pipeline[int, int]], list[int]],
) -> None:
    with kept() as log:
        assert way(Pipeline[int]().add(Processor(double))) == [0, 2, 4]
    started, begins, done = log.of(ENGINE)
    assert "stage 'double': worker" in started.getMessage()
    assert begins.getMessage() == "run 1 begins: 1 workers"
    assert done.getMessage().startswith("run 1 is done")


def test_the_engine_says_how_a_run_failed_and_which_lanes_it_opened() -> None:
    with kept() as log, pytest.raises(ZeroDivisionError):
        Pipeline[int]().add(Processor(lambda n: 1 // n)).run([0])
    assert log.texts(ENGINE)[-1].startswith("run 1 has failed: ZeroDivisionError")

    pl = Pipeline[int]().add(BalancingFork(max_lanes=2)).add(Processor(busy)).add(Join())
    with kept() as log, pl.stream(iter(int, 1)) as results:
        for _ in results:
            if any("opens lanes" in text for text in log.texts(ENGINE)):
                break


def busy(item: int) -> int:
    return item + 0 * sum(range(20_000))


def test_a_program_without_logging_hears_nothing_of_the_engine(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert Pipeline[int]().add(Processor(dies_once_at_two)).run(range(3)) == [0, 1, 2]
    assert capfd.readouterr().err == ""
