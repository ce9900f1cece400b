"""A process that is forked while a pipeline is open: it may end its copy, and nothing else; its
parent goes on unharmed."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import pytest

from conveyor import Pipe, Processor
from conveyor.errors import LifecycleError
from tests.helpers import (
    HANGS_S,
    SCRIPTS,
    descriptors,
    environment,
    new_or_forked,
    pipeline,
    under_each_start_method,
)
from tests.jobs import double

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

CHILD_S = 90


def fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are threads is the point
        return os.fork()


def in_child(use: Callable[[], object]) -> Any:
    """What a use gives, or the name of what it raises, in a process that is forked for it, and
    killed if it hangs."""
    reader, writer = os.pipe()
    pid = fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(CHILD_S)
        try:
            told = use()
        except BaseException as error:
            told = type(error).__name__
        os.write(writer, pickle.dumps(told))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        told = answer.read()
    assert os.waitpid(pid, 0)[1] == 0, "the child hung, or crashed"
    return pickle.loads(told)


# ----------------------------------------------------------------------------------- open pipelines

USES: dict[str, Callable[[Any], object]] = {
    "run": lambda pl: pl.run([2]),
    "stream": lambda pl: list(pl.stream([2])),
    "add": lambda pl: pl.add(Pipe()),
    "open": lambda pl: pl.open(),
    "with": lambda pl: pl.__enter__(),
}


@under_each_start_method
def test_every_use_of_an_open_pipeline_is_refused_to_a_child(start_method: str) -> None:
    with pipeline(start_method).add(Processor(double)) as pl:
        assert pl.run([1]) == [2]
        for use in USES.values():
            assert in_child(lambda use=use: use(pl)) == "LifecycleError"  # type: ignore[misc]  # a default binds it
        assert pl.run([3, 4]) == [6, 8]


def test_so_is_the_use_of_one_whose_workers_have_not_been_started_yet() -> None:
    with pipeline().add(Processor(double)) as pl:
        assert in_child(lambda: pl.run([1])) == "LifecycleError"
        assert pl.run([1]) == [2]


def test_the_refusal_names_the_owner_and_what_to_do() -> None:
    with pipeline().add(Processor(double)) as pl:

        def refusal() -> str:
            with pytest.raises(LifecycleError) as refused:
                pl.run([1])
            return str(refused.value)

        told = in_child(refusal)
        assert str(os.getpid()) in told
        assert "close() it here and open it again" in told


def test_what_needs_no_workers_works_in_a_child_as_ever() -> None:
    with pipeline().add(Processor(double)) as pl:
        pl.run([1])
        assert in_child(lambda: list(pl.simulate([1, 2]))) == [2, 4]
        assert in_child(lambda: len(pl.topology.nodes)) == len(pl.topology.nodes)
        assert in_child(pl.stop) is None
        assert pl.run([2]) == [4]


ENDS: dict[str, Callable[[Any], object]] = {
    "close": lambda pl: pl.close(),
    "exit": lambda pl: pl.__exit__(None, None, None),
    "collect": lambda pl: gc.collect(),
    "leave": lambda pl: None,
}


@new_or_forked
@pytest.mark.parametrize("end", ENDS)
def test_a_child_that_ends_its_copy_ends_nothing_of_its_parent(end: str, start_method: str) -> None:
    pl = pipeline(start_method).add(Processor(lambda _: os.getpid())).open()
    worker = pl.run([0])

    in_child(lambda: ENDS[end](pl))

    assert pl.run([0]) == worker  # the same process
    pl.close()


def test_a_child_that_closed_its_copy_opens_the_pipeline_for_itself() -> None:
    pl = pipeline().add(Processor(double)).open()
    pl.run([1])

    def use() -> list[int]:
        pl.close()
        pl.open()
        found = [*pl.run([10]), *pl.stream([20, 30])]
        pl.close()
        return found

    assert in_child(use) == [20, 40, 60]
    assert pl.run([3]) == [6]
    pl.close()


@pytest.mark.skipif(sys.platform != "linux", reason="counts what is shared by Linux's own names")
def test_a_child_that_closed_its_copy_keeps_no_descriptor_of_it() -> None:
    def shared() -> int:
        return sum(
            number for name, number in descriptors().items() if "memfd" in name or "pidfd" in name
        )

    before = shared()
    pl = pipeline().add(Processor(double)).open()
    pl.run([1])
    assert shared() > before

    def close() -> int:
        pl.close()
        return shared()

    assert in_child(close) == before
    assert pl.run([3]) == [6]
    pl.close()


def test_a_closed_pipeline_runs_in_a_child() -> None:
    pl = pipeline().add(Processor(double))
    pl.run([1])

    assert in_child(lambda: list(pl.run([2, 3]))) == [4, 6]


# ------------------------------------------------------------------------------------------ streams


@new_or_forked
def test_a_child_cannot_take_from_a_stream_and_its_parent_gets_all(start_method: str) -> None:
    with pipeline(start_method).add(Processor(double)).stream(count()) as stream:
        got: list[object] = list(islice(stream, 500))
        for _ in range(3):
            assert in_child(lambda: next(stream)) == "LifecycleError"
            assert in_child(stream.close) is None
            assert in_child(lambda: stream.__exit__(None, None, None)) is None
            got += islice(stream, 500)

    assert got == [2 * number for number in range(2000)]


def test_a_child_that_closed_its_stream_is_not_told_that_it_was_complete() -> None:
    with pipeline().add(Processor(double)).stream(count()) as stream:
        next(stream)

        def use() -> object:
            stream.close()
            return next(stream)

        assert in_child(use) == "LifecycleError"


def test_a_stream_that_has_ended_is_over_in_a_child_too() -> None:
    stream = pipeline().add(Processor(double)).stream([1])

    assert list(stream) == [2]
    assert in_child(lambda: list(stream)) == []


def test_a_child_of_the_source_cannot_go_on_with_the_run_of_its_parent() -> None:
    """The child comes out of the source as its parent does, in the middle of the run."""
    reader, writer = os.pipe()

    def source() -> Iterator[int]:
        yield 1
        children.append(fork())
        if children == [0]:
            signal.alarm(CHILD_S)
        yield 2

    me = os.getpid()
    children: list[int] = []
    try:
        result: object = pipeline().add(Processor(double)).run(source())
    except BaseException as error:
        result = error
    if os.getpid() != me:
        os.write(writer, type(result).__name__.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"LifecycleError"
    os.waitpid(children[0], 0)
    assert result == [2, 4]


@new_or_forked
def test_children_leave_in_the_ordinary_way_while_a_stream_is_open(start_method: str) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPTS / "children_leave.py", "20"],
        env=environment(start_method),
        capture_output=True,
        text=True,
        timeout=HANGS_S,
    )

    assert (done.returncode, done.stdout) == (0, "left well: 20, results right: True\n"), (
        done.stderr
    )
    assert not done.stderr
