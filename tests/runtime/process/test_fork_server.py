"""The fork server may be killed, stopped or made useless at any time: another takes its place, and
nobody notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

from conveyor import Pipe, Processor
from conveyor.errors import WorkerCrashed
from conveyor.runtime.process import start as processes
from conveyor.runtime.process.start import server
from tests.helpers import environment, eventually, is_alive, pipeline
from tests.jobs import double, increment

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


def three() -> Any:
    return (
        pipeline("forkserver")
        .add(Processor(double))
        .add(Pipe(3))
        .add(Processor(increment))
        .add(Pipe(3))
        .add(Processor(str))
    )


RESULTS = [str(2 * item + 1) for item in range(20)]


@pytest.mark.parametrize("at", range(4))
def test_it_may_be_killed_before_any_start(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    three().run(range(20))  # now there is one
    ask, asked = server.fork, 0

    def kill_and_ask(way: Any) -> None:
        nonlocal asked
        if asked == at:
            os.kill(server.pid, signal.SIGKILL)
        asked += 1
        ask(way)
        if asked == at + 2:  # and once more, while it may be forking
            os.kill(server.pid, signal.SIGKILL)

    monkeypatch.setattr(server, "fork", kill_and_ask)
    assert three().run(range(20)) == RESULTS


def test_one_that_cannot_start_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    server.has_failed()
    monkeypatch.setattr(
        processes, "preload", lambda: NotImplemented
    )  # a program that does not even begin
    with pytest.raises(WorkerCrashed, match=r"'double' by forkserver: .*the fork server ended"):
        three().run(range(20))
    monkeypatch.undo()
    assert three().run(range(20)) == RESULTS


def test_its_children_go_on_without_it_and_the_end_of_each_is_noticed() -> None:
    with three() as pl:
        assert pl.run(range(20)) == RESULTS
        os.kill(server.pid, signal.SIGKILL)
        assert pl.run(range(20)) == RESULTS
        first, *_ = (stage.pid for stage in pl.run(range(20)).report.stages.values())
        os.kill(first, signal.SIGKILL)
        assert pl.run(range(20)) == RESULTS


def test_one_that_is_not_needed_any_more_ends() -> None:
    three().run(range(20))
    before = psutil.Process(server.pid)
    server.has_failed()  # as when the rights of the program have changed

    assert three().run(range(20)) == RESULTS
    assert server.pid != before.pid
    eventually(lambda: not is_alive(before.pid))


def test_it_ends_with_the_program_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom conveyor import Pipeline, Processor\n"
        "from conveyor.runtime.process.start import server\n"
        "print(Pipeline().add(Processor(len)).run(['a']), server.pid, flush=True)\ntime.sleep(100)"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment("forkserver"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    pid = int(program.stdout.readline().split()[1])
    assert is_alive(pid)
    program.kill()
    program.communicate()

    eventually(lambda: not is_alive(pid))


def test_many_threads_may_start_at_once() -> None:
    server.has_failed()
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append(three().run(range(20)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [RESULTS] * 4


def time_is_up(_number: int, _frame: object) -> NoReturn:
    raise TimeoutError("the program's own")


def test_an_interrupt_does_not_wait_for_a_server_that_does_not_answer() -> None:
    three().run(range(20))
    os.kill(server.pid, signal.SIGSTOP)
    stopped = server.pid
    before = signal.signal(signal.SIGALRM, time_is_up)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(TimeoutError, match="the program's own"):
            three().run(range(20))
    finally:
        signal.signal(signal.SIGALRM, before)
        os.kill(stopped, signal.SIGCONT)
    assert three().run(range(20)) == RESULTS
