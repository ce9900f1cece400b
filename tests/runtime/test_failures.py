"""Whatever goes wrong in a run, it ends in all the results or in one clear error, and leaves
nothing behind."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from conveyor import Filter, FlatMap, Join, Pipe, Pipeline, Processor, ReplicatingFork
from conveyor.errors import ConveyorError, JobExited, NotPicklable, PoisonItem, WorkerCrashed
from tests.helpers import (
    HANGS_S,
    PATIENCE_S,
    descriptors,
    eventually,
    is_alive,
    living_children,
    members,
    pipeline,
    start_script,
    told,
    under_each_start_method,
)
from tests.jobs import (
    BadFinish,
    BadSetup,
    CannotBeLoaded,
    Obedient,
    Refused,
    Shy,
    double,
    increment,
    obey,
    obey_in_full,
    obeys,
)

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

# A worker that dies on the same item again and again may be blamed on the worker or on the item.
CRASHED = (WorkerCrashed, PoisonItem)


def careful(start_method: str = "fork") -> Any:
    """A pipeline whose one stage obeys every order, named so that nothing else has its name."""
    return pipeline(start_method).add(Processor(obey, name="careful"))


def failure(expected: Any, run: Callable[[], object]) -> Any:
    """The error in which a run ends, which must be prompt."""
    began = time.monotonic()
    with pytest.raises(expected) as failed:
        run()
    assert time.monotonic() - began < PATIENCE_S
    return failed.value


def exclaim(answer: object) -> str:
    return f"{answer}!"


def for_ever(order: str) -> Iterator[str]:
    return itertools.repeat(order)


def notes(error: BaseException) -> str:
    return "\n".join(getattr(error, "__notes__", []))


# -------------------------------------------------------------------------------- a job that raises


@under_each_start_method
def test_an_exception_of_a_job_arrives_as_what_it_was(start_method: str) -> None:
    error = failure(Refused, lambda: careful(start_method).run(["a", "raise", "b"]))

    assert type(error) is Refused
    assert error.args == ("raise", error.reason)
    assert error.reason != os.getpid()


def test_an_exception_of_a_job_gains_a_note_of_stage_worker_ordinal_and_item() -> None:
    error = failure(Refused, lambda: careful().run([*["a"] * 500, "raise"]))

    assert "careful" in notes(error)
    assert str(error.reason) in notes(error)
    assert "500" in notes(error).replace(str(error.reason), "")
    assert repr("raise") in notes(error)


def test_the_note_shows_a_long_item_in_short() -> None:
    def refuse(item: list[int]) -> None:
        raise Refused("too long", len(item))

    error = failure(Refused, lambda: pipeline().add(Processor(refuse)).run([list(range(100_000))]))

    assert "[0, 1, 2" in notes(error)
    assert len(notes(error)) < 10_000


def test_an_item_that_cannot_be_shown_does_not_hide_the_error() -> None:
    def refuse(_item: object) -> None:
        raise Refused("shy", 0)

    assert "refuse" in notes(
        failure(Refused, lambda: pipeline().add(Processor(refuse)).run([Shy()]))
    )


def test_an_exception_of_a_job_carries_the_workers_traceback() -> None:
    text = told(failure(Refused, lambda: careful().run(["raise"])))

    assert "jobs.py" in text
    assert "raise Refused(order, os.getpid())" in text


@pytest.mark.parametrize(("kind", "job"), [(FlatMap, obey_in_full), (Filter, obeys)])
def test_every_kind_of_job_may_raise(kind: Any, job: Any) -> None:
    error = failure(
        Refused, lambda: pipeline().add(kind(job, name="careful")).run(["a", "raise", "b"])
    )

    assert "careful" in notes(error)


@pytest.mark.parametrize("stage", [BadSetup, BadFinish])
def test_an_exception_in_setup_or_finish_ends_the_run_and_names_the_stage(stage: Any) -> None:
    error = failure(Refused, lambda: pipeline().add(stage(name="careful")).run(["a", "b"]))

    assert "careful" in told(error)


@pytest.mark.parametrize(
    "order", ["raise what cannot be pickled", "raise what cannot be unpickled"]
)
def test_an_exception_that_cannot_travel_arrives_with_its_type_text_and_traceback(
    order: str,
) -> None:
    error = failure(Exception, lambda: careful().run(["a", order]))

    text = told(error)
    assert "Unsendable" in text or "OneWay" in text
    assert "kept a lock" in text or "lost: half of it" in text
    assert "careful" in text
    assert "jobs.py" in text


@pytest.mark.parametrize(
    ("order", "cause"), [("exit", SystemExit), ("interrupt", KeyboardInterrupt)]
)
def test_a_job_that_exits_or_is_interrupted_is_an_error_of_the_run(
    order: str, cause: type[BaseException]
) -> None:
    error = failure(JobExited, lambda: careful().run(["a", order, "b"]))

    assert type(error.__cause__) is cause
    assert error.__cause__.args == ((3,) if cause is SystemExit else ("in the job",))
    assert "careful" in str(error) + notes(error)


# ----------------------------------------------------------------------------- promptly, everywhere


def test_a_failure_ends_a_run_of_infinite_input() -> None:
    orders = itertools.chain(["a"] * 10, ["raise"], itertools.repeat("b"))

    failure(Refused, lambda: careful().run(orders))


def test_a_failure_ends_the_stages_before_and_behind_it() -> None:
    pl = (
        pipeline()
        .add(FlatMap(for_ever))
        .add(Pipe(1))
        .add(Processor(obey))
        .add(Pipe(1))
        .add(Processor(exclaim))
    )
    pl.add(ReplicatingFork(2)).add(Pipe(1), Pipe(1)).add(Join(2))

    failure(Refused, lambda: pl.run(["raise"]))


def test_a_failure_does_not_wait_for_a_job_in_another_lane() -> None:
    def wait(_order: str) -> None:
        threading.Event().wait(600)

    pl = pipeline().add(ReplicatingFork(2)).add(Processor(wait), Processor(obey)).add(Join(2))

    failure(Refused, lambda: pl.run(["raise"]))


def test_a_failure_of_a_stream_comes_after_the_results_before_it_or_instead_of_them() -> None:
    results: list[object] = []

    def collect() -> None:
        with careful().stream([*map(str, range(50)), "raise", "never"]) as stream:
            results.extend(stream)

    failure(Refused, collect)

    assert results == [str(n) for n in range(len(results))]


# --------------------------------------------------------------------------- what cannot be pickled


@pytest.mark.parametrize("order", ["return a lambda", "return a lock"])
def test_a_result_that_cannot_be_pickled_is_an_error_that_names_the_stage(order: str) -> None:
    error = failure(NotPicklable, lambda: careful().run(["a", order, "b"]))

    assert "careful" in told(error)


@pytest.mark.parametrize("item", [lambda: None, threading.Lock()], ids=["lambda", "lock"])
def test_an_item_that_cannot_be_pickled_is_an_error(item: Any) -> None:
    failure(NotPicklable, lambda: pipeline().add(Processor(str)).run([1, 2, item, 3]))


def test_an_item_that_cannot_be_unpickled_is_an_error_of_the_stage_that_takes_it() -> None:
    pl = pipeline().add(Processor(str, name="careful"))

    error = failure((ConveyorError, ValueError), lambda: pl.run([1, CannotBeLoaded(), 3]))

    assert "careful" in told(error)
    assert "not a number" in told(error)


@under_each_start_method
def test_a_function_that_cannot_be_pickled_is_an_error_that_names_the_stage(
    start_method: str,
) -> None:
    lock = threading.Lock()

    def locked(item: int) -> int:
        with lock:
            return item

    error = failure(
        NotPicklable, lambda: pipeline(start_method).add(Processor(locked, name="careful")).run([1])
    )

    assert "careful" in told(error)


# --------------------------------------------------------------------------------- workers that die


@under_each_start_method
@pytest.mark.parametrize(("order", "how"), [("leave", r"\b7\b"), ("die", r"SIGKILL|signal 9\b")])
def test_a_job_that_kills_its_worker_is_an_error_that_names_the_stage_and_how_that_died(
    order: str, how: str, start_method: str
) -> None:
    error = failure(CRASHED, lambda: careful(start_method).run(["a", order, "b"]))

    assert "careful" in str(error)
    assert re.search(how, str(error))


@pytest.mark.parametrize("order", ["leave", "die"])
def test_a_stateful_worker_that_dies_takes_its_state_and_so_the_run_with_it(order: str) -> None:
    pl = pipeline().add(Obedient(name="careful"))

    error = failure(CRASHED, lambda: pl.run(["a", order, "b"]))

    assert "careful" in str(error)


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_a_worker_that_is_killed_is_replaced_or_an_error_that_names_the_stage(
    start_method: str,
) -> None:
    def numbered(number: int) -> tuple[int, int]:
        return number, os.getpid()

    pl = pipeline(start_method).add(Pipe(4)).add(Processor(numbered, name="careful")).add(Pipe(4))
    numbers: list[int] = []
    pids: list[int] = []
    error: object = "careful was replaced"
    with pl.stream(itertools.count()) as stream, suppress(StopIteration):
        try:
            while len(set(pids)) < 2:
                number, pid = next(stream)
                if not pids:
                    os.kill(pid, signal.SIGKILL)
                numbers.append(number)
                pids.append(pid)
        except WorkerCrashed as crash:
            error = crash

    assert numbers == list(range(len(numbers)))
    assert "careful" in str(error)


def test_a_worker_that_is_killed_between_two_runs_does_not_hang_the_next() -> None:
    with pipeline().add(Processor(lambda _: os.getpid(), name="careful")) as pl:
        (victim,) = pl.run([1])
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: not is_alive(victim))
        with suppress(WorkerCrashed):
            pl.run([1])
        (successor,) = pl.run([1])

    assert successor != victim


# --------------------------------------------------------------------------------------- the source


def failing_source() -> Iterator[str]:
    yield "a"
    yield "b"
    raise Refused("the source", 1)


@pytest.mark.parametrize("at", ["the source", "a job"])
def test_what_ends_a_stream_was_not_raised_while_something_of_the_library_was_handled(
    at: str,
) -> None:
    def source() -> Iterator[int]:
        yield 1
        yield from [0] if at == "a job" else [1 // 0]

    with pytest.raises(ZeroDivisionError) as caught:
        list(Pipeline[int]().add(Processor(lambda n: 1 // n)).stream(source()))

    assert "During handling of" not in told(caught.value)


def test_an_exception_in_the_source_arrives_as_what_it_was() -> None:
    error = failure(Refused, lambda: careful().run(failing_source()))

    assert error.args == ("the source", 1)
    assert "careful" not in notes(error)


# ------------------------------------------------------------------ nothing is left, and on it goes

SOURCES: dict[str, Callable[[], Any]] = {
    "an exception": lambda: ["a", "b", "raise", "c"],
    "an exception that cannot be pickled": lambda: ["a", "b", "raise what cannot be pickled", "c"],
    "an exception that cannot be unpickled": lambda: [
        "a",
        "b",
        "raise what cannot be unpickled",
        "c",
    ],
    "an exit": lambda: ["a", "b", "exit", "c"],
    "an interrupt": lambda: ["a", "b", "interrupt", "c"],
    "a worker that left": lambda: ["a", "b", "leave", "c"],
    "a worker that was killed": lambda: ["a", "b", "die", "c"],
    "a result that cannot be pickled": lambda: ["a", "b", "return a lambda", "c"],
    "an item that cannot be pickled": lambda: ["a", "b", lambda: None, "c"],
    "an item that cannot be unpickled": lambda: ["a", "b", CannotBeLoaded(), "c"],
    "an exception in the source": failing_source,
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_pipeline_runs_again_after(source: str) -> None:
    pl = careful().add(Processor(exclaim))

    failure(Exception, lambda: pl.run(SOURCES[source]()))

    assert pl.run(["x", "y"]) == ["X!", "Y!"]


@pytest.mark.parametrize("source", SOURCES)
def test_an_open_pipeline_runs_again_and_shows_nothing_of(source: str) -> None:
    with careful().add(Processor(exclaim)) as pl:
        assert pl.run(["x"]) == ["X!"]
        failure(Exception, lambda: pl.run(SOURCES[source]()))
        assert pl.run(["x", "y"]) == ["X!", "Y!"]
        assert list(pl.stream(["z"])) == ["Z!"]


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
@pytest.mark.parametrize("source", SOURCES)
def test_no_process_and_no_descriptor_is_left_by(source: str, start_method: str) -> None:
    pl = careful(start_method)
    failure(Exception, lambda: pl.run(SOURCES[source]()))  # the first starts what serves all
    before = descriptors()

    failure(Exception, lambda: pl.run(SOURCES[source]()))

    eventually(lambda: not living_children())
    assert descriptors() == before


@under_each_start_method
def test_no_process_and_no_descriptor_is_left_by_a_run_that_succeeds(start_method: str) -> None:
    pl = (
        pipeline(start_method)
        .add(ReplicatingFork(2))
        .add(Processor(double), Processor(increment))
        .add(Join(2))
    )
    assert sorted(pl.run([1, 10])) == [2, 2, 11, 20]
    before = descriptors()

    assert sorted(pl.run([1, 10])) == [2, 2, 11, 20]

    eventually(lambda: not living_children())
    assert descriptors() == before


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_no_process_and_no_descriptor_and_no_thread_is_left_by_a_stream_that_is_left_early(
    start_method: str,
) -> None:
    def begin_and_leave() -> None:
        with pipeline(start_method).add(Processor(double)).stream(itertools.count()) as stream:
            assert next(stream) == 0

    begin_and_leave()
    before = descriptors(), threading.active_count()

    begin_and_leave()

    eventually(lambda: not living_children())
    assert (descriptors(), threading.active_count()) == before


def test_an_exception_inside_with_closes_the_pipeline() -> None:
    def fail_inside() -> None:
        with pipeline().add(Processor(double)) as pl:
            pl.run([1])
            raise Refused("in the body", 1)

    failure(Refused, fail_inside)
    eventually(lambda: not living_children())


def test_the_report_of_what_went_before_still_adds_up_after_a_failure() -> None:
    with careful() as pl:
        failure(Refused, lambda: pl.run(["a", "b", "raise", "c"]))
        stage = pl.run(["x"] * 5).report.stages["careful"]

    assert (stage.items_in, stage.passed, stage.failed) == (5, 5, 0)


# ------------------------------------------------------------------------ the parent is interrupted


@contextmanager
def waiting_script(
    start_method: str, *arguments: str
) -> Generator[tuple[subprocess.Popen[str], list[int]]]:
    """A script in a session of its own, whose workers have begun a job that does not end; and their
    process ids."""
    script = start_script("waits.py", start_method, *arguments)
    assert script.stdout is not None
    try:
        begun = [script.stdout.readline() for _ in range(2)]
        assert all(begun), script.communicate()[1]
        yield script, [int(line) for line in begun]
    finally:
        for pid in members(script.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        script.communicate()


@under_each_start_method
@pytest.mark.parametrize("aim", ["the group", "the parent"])
def test_ctrl_c_ends_a_run_with_one_keyboard_interrupt(aim: str, start_method: str) -> None:
    with waiting_script(start_method) as (script, workers):
        send = os.killpg if aim == "the group" else os.kill
        send(script.pid, signal.SIGINT)
        _, stderr = script.communicate(timeout=HANGS_S)

        assert script.returncode == -signal.SIGINT
        assert sum(line.startswith("KeyboardInterrupt") for line in stderr.splitlines()) == 1, (
            stderr
        )
        assert "Process " not in stderr  # multiprocessing's word before a worker's own traceback
        eventually(lambda: not members(script.pid))
        assert not any(map(is_alive, workers))


@under_each_start_method
@pytest.mark.parametrize("job", ["waiting", "busy"])
def test_workers_die_with_their_parent(job: str, start_method: str) -> None:
    with waiting_script(start_method, job) as (script, workers):
        os.kill(script.pid, signal.SIGKILL)
        script.wait()

        eventually(lambda: not any(map(is_alive, workers)))
        eventually(lambda: not members(script.pid))


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_ctrl_c_ends_workers_that_hold_the_interpreter(start_method: str) -> None:
    with waiting_script(start_method, "busy") as (script, _):
        os.killpg(script.pid, signal.SIGINT)
        script.communicate(timeout=HANGS_S)

        assert script.returncode == -signal.SIGINT
        eventually(lambda: not members(script.pid))
