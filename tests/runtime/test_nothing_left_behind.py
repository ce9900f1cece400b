"""However a program ends or is short of something: one error, no process, no descriptor, no thread
is left."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from conveyor import Pipe, Processor
from conveyor.runtime.process.start import server
from tests.helpers import (
    HANGS_S,
    PROVE,
    ROOT,
    SCRIPTS,
    START_METHODS,
    descriptors,
    environment,
    eventually,
    is_alive,
    living_children,
    members,
    pipeline,
    run_script,
    start_script,
)
from tests.jobs import double

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

MOST_LINES = 20


def begun(script: str, start_method: str, *arguments: str) -> subprocess.Popen[str]:
    """A script in a session of its own that has printed its first line."""
    process = start_script(script, start_method, *arguments)
    assert process.stdout is not None
    process.stdout.readline()
    return process


# --------------------------------------------------------------------------------- the program ends


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("delay_s", [0.1, 0.3, 0.6, 1.2])
def test_ctrl_c_while_workers_start_is_one_interrupt(delay_s: float, start_method: str) -> None:
    script = begun("starts.py", start_method)
    time.sleep(delay_s)  # somewhere in the middle of starting; where, does not matter
    os.killpg(script.pid, signal.SIGINT)
    _, stderr = script.communicate(timeout=HANGS_S)

    assert script.returncode == -signal.SIGINT
    assert stderr.count("Traceback") == 1, stderr
    assert sum(line.startswith("KeyboardInterrupt") for line in stderr.splitlines()) == 1, stderr
    eventually(lambda: not members(script.pid))


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_program_ends_everybody_and_says_little(
    end: signal.Signals, start_method: str
) -> None:
    script = begun("waits.py", start_method)
    os.kill(script.pid, end)
    _, stderr = script.communicate(timeout=HANGS_S)

    assert script.returncode == -end
    assert len(stderr.splitlines()) <= MOST_LINES, stderr
    eventually(lambda: not members(script.pid))


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize(
    ("worker", "when"),
    [(1, "before"), (3, "after"), *([(1, "after"), (3, "before")] if PROVE else [])],
)
def test_a_parent_that_ends_while_its_workers_start_leaves_nobody(
    worker: int, when: str, end: signal.Signals, start_method: str
) -> None:
    script = begun("starts.py", start_method, when, str(worker), end.name)
    _, stderr = script.communicate(timeout=HANGS_S)

    assert script.returncode == -end
    assert len(stderr.splitlines()) <= MOST_LINES, stderr
    eventually(lambda: not members(script.pid))


def test_an_interrupt_shows_the_frames_of_the_program_and_none_of_ours() -> None:
    script = begun("waits.py", "fork")
    os.kill(script.pid, signal.SIGINT)
    _, stderr = script.communicate(timeout=HANGS_S)

    assert "waits.py" in stderr
    assert str(ROOT / "conveyor" / "runtime" / "step") not in stderr
    assert stderr.count("/conveyor/") <= 2  # the calls that lead to where it is raised again


# --------------------------------------------------------------------------------- a stream is left


def leave_by_break(pl: Any) -> None:
    for item in pl.stream(count()):
        if item == 6:
            break


def leave_by_an_exception_of_the_consumer(pl: Any) -> None:
    def take() -> None:
        with pl.stream(count()) as stream:
            assert all(12 // (6 - item) for item in stream)

    with pytest.raises(ZeroDivisionError):
        take()


def leave_by_an_exception_of_the_source(pl: Any) -> None:
    def source() -> Iterator[int]:
        yield from range(3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(pl.stream(source()))


def leave_by_forgetting(pl: Any) -> None:
    stream = pl.stream(count())
    assert next(stream) == 0
    del stream
    gc.collect()


def leave_with(pl: Any) -> None:
    def run() -> None:
        with pl:
            assert 1 // pl.run([0])[0]

    with pytest.raises(ZeroDivisionError):
        run()


WAYS = [
    leave_by_break,
    leave_by_an_exception_of_the_consumer,
    leave_by_an_exception_of_the_source,
    leave_by_forgetting,
    leave_with,
]


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
@pytest.mark.parametrize("leave", WAYS)
def test_nothing_is_left_of_a_stream_that_is_left(leave: Any, start_method: str) -> None:
    def run() -> None:
        leave(pipeline(start_method).add(Processor(double)).add(Pipe(4)))
        gc.collect()
        eventually(lambda: not living_children())

    run()  # the first starts what serves all
    before = descriptors(), threading.active_count()
    run()

    eventually(lambda: (descriptors(), threading.active_count()) == before)


# ----------------------------------------------------------------------------- the fork server ends


def slowly(item: int) -> int:
    threading.Event().wait(0.001)
    return item


def spin(item: int) -> int:
    while True:
        pass


def kill_the_fork_server() -> None:
    os.kill(server.pid, signal.SIGKILL)


def test_workers_outlive_the_fork_server() -> None:
    with pipeline("forkserver").add(Processor(slowly)).stream(range(1000)) as stream:
        first = [next(stream) for _ in range(5)]
        kill_the_fork_server()
        assert [*first, *stream] == list(range(1000))
    assert pipeline("forkserver").add(Processor(double)).run([1]) == [2]


def test_a_busy_worker_without_its_fork_server_is_ended_all_the_same() -> None:
    stream = pipeline("forkserver").add(Processor(spin)).stream(range(10))
    eventually(lambda: stream.report.stages["spin"].pid)
    pid = stream.report.stages["spin"].pid
    kill_the_fork_server()
    stream.close()

    eventually(lambda: not is_alive(pid))


# ---------------------------------------------------------------------------------- short of things

LIMITED = """
import os, resource, sys
# A limit is not to stop an import.
import psutil, conveyor.graph.compiler, conveyor.items.pickling
import conveyor.runtime.parent.deployment, conveyor.runtime.parent.tracebacks
from conveyor import Pipe, Pipeline, Processor
def same(item): return item
def large(item): return bytes(item)
pl = Pipeline(start_method=sys.argv[1])
for _ in range(4): pl.add(Processor(same)).add(Pipe(10))
used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
{limit}
try:
    print(pl.run(range(3)))
except Exception as error:
    print(type(error).__module__, type(error).__name__, error)
"""

LIMITS = {
    "descriptors": (
        "resource.setrlimit(resource.RLIMIT_NOFILE, (14, 14))",
        "conveyor.errors TooFewDescriptors",
    ),
    "address space": (
        "resource.setrlimit(resource.RLIMIT_AS, (used + 1000000,) * 2)",
        "conveyor.errors SharedMemoryFull",
    ),
    "size of a file": (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100000,) * 2)",
        "conveyor.errors SharedMemoryFull",
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="limits are different elsewhere")
@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("what", LIMITS)
def test_a_limit_is_one_error(what: str, start_method: str, tmp_path: Path) -> None:
    limit, said = LIMITS[what]
    file = tmp_path / "limited.py"
    file.write_text(LIMITED.format(limit=limit))
    done = subprocess.run(
        [sys.executable, file, start_method],
        env=environment(start_method),
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )

    assert said in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) <= MOST_LINES, done.stderr


@pytest.mark.parametrize("start_method", START_METHODS)
def test_however_few_descriptors_there_are_the_error_says_what_is_short_and_nothing_is_left_open(
    start_method: str,
) -> None:
    lines = run_script(SCRIPTS / "descriptors.py", start_method, "0", "48", "4")

    outcomes = [line.partition(" ")[2] for line in lines]
    refused = [outcome for outcome in outcomes if outcome.startswith("too few: ")]
    assert len(outcomes) == 12
    assert outcomes == [
        *refused,
        *["[1, 2]; left open: 0"] * (12 - len(refused)),
    ]  # from some limit on there are enough
    assert 1 < len(refused) < 12
    for outcome in refused:
        assert "file descriptors" in outcome
        assert "ulimit -n" in outcome
        assert outcome.endswith("; left open: 0")


# In a mount namespace of its own, so that the disk is gone with the script.
ON_A_SMALL_DISK = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]


def small_disk(tmp_path: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command where `tmp_path` is a memory disk of 16 MB."""
    mounted = f"mount -t tmpfs -o size=16m tmpfs '{tmp_path}' && {command}"
    return subprocess.run(
        [*ON_A_SMALL_DISK, mounted],
        env=environment("fork"),
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a disk by Linux's own means")
@pytest.mark.parametrize("what", ["channels", "items"])
def test_a_memory_disk_that_is_full_is_one_error(what: str, tmp_path: Path) -> None:
    if small_disk(tmp_path, "true").returncode:
        pytest.skip("this system lets nobody mount a disk")
    script = SCRIPTS / "full_disk.py"
    done = small_disk(tmp_path, f"exec '{sys.executable}' '{script}' '{tmp_path}' {what}")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("SharedMemoryFull"), done.stdout + done.stderr
    assert "of shared memory cannot be had" in done.stdout
    assert done.stdout.endswith("then [1000]; left on the disk: []\n")
    assert len(done.stderr.splitlines()) <= MOST_LINES, done.stderr
