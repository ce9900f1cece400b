"""Processes that are forked or started once a pipeline has run, as those of servers and pools, run
pipelines of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path

import pytest

import conveyor
from conveyor import Processor
from conveyor.errors import NotPicklable
from tests.helpers import (
    HANGS_S,
    PROVE,
    SCRIPTS,
    START_METHODS,
    environment,
    eventually,
    living_children,
    new_or_forked,
    pipeline,
    run_script,
    under_each_start_method,
)


@pytest.mark.parametrize(
    ("of_the_children", "start_method"),
    [("fork", method) for method in START_METHODS]
    + [("spawn", "forkserver")]
    + [("forkserver", "forkserver")] * PROVE,
)
def test_a_child_of_any_kind_runs_pipelines_of_its_own(
    of_the_children: str, start_method: str
) -> None:
    lines = run_script(SCRIPTS / "forks.py", start_method, of_the_children)

    assert [line.partition(" ")[2] for line in lines] == ["[4, 8]"] * 8, lines
    eventually(lambda: not living_children())


USER = """
import os, sys
from conveyor import Pipeline, Processor
def users(): return Pipeline().add(Processor(lambda _: os.getuid())).run([None])
with Pipeline().add(Processor(lambda _: os.getuid())) as pl:
    print(pl.run([None]), users())
    os.setgid(65534)
    os.setuid(65534)
    print(pl.run([None]), users())  # those that were there before are who they were
"""


def is_for_all(path: Path) -> bool:
    """May any user read it?"""
    return all(
        each.stat().st_mode & 0o005 == 0o005
        for each in [path, *path.parents]
        if each.is_dir() or each == path
    )


def interpreters() -> list[Path]:
    found = [
        Path(sys.executable).resolve(),
        Path(f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"),
    ]
    return [
        each
        for each in found
        if each.exists()
        and is_for_all(each.resolve())
        and is_for_all(Path(conveyor.__file__).parent)
    ]


@pytest.mark.skipif(
    os.getuid() != 0 or not interpreters(),
    reason="only root becomes another user, who must find Python",
)
@under_each_start_method
def test_a_program_that_becomes_another_user_goes_on(start_method: str) -> None:
    libraries = os.pathsep.join([path for path in sys.path if path.endswith("site-packages")])
    variables = environment(start_method)
    variables["PYTHONPATH"] = os.pathsep.join([variables["PYTHONPATH"], libraries])
    done = subprocess.run(
        [interpreters()[0], "-c", USER],
        env=variables,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        cwd="/",
        check=False,
    )
    assert done.stdout.splitlines() == ["[0] [0]", "[0] [65534]"], done.stderr


REAPING = """
import os, signal, sys
from conveyor import Pipeline, Processor, context
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
signal.signal(signal.SIGCHLD, {handler})
def job(item):
    if item == 5 and context().attempt == 1: os.kill(os.getpid(), signal.SIGKILL)
    return item
for _ in range(2):
    result = Pipeline().add(Processor(job)).run(range(10))
    print(result == list(range(10)), result.report.stages["job"].restarts)
"""


@under_each_start_method
@pytest.mark.parametrize("handler", ["signal.SIG_IGN", "reap"])
def test_a_program_that_waits_for_all_its_children_or_for_none_takes_no_end_from_us(
    handler: str, start_method: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REAPING.format(handler=handler)],
        env=environment(start_method),
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert (done.stdout.splitlines(), done.stderr) == (["True 1"] * 2, "")


TERMINAL = """
import os, subprocess, sys
from conveyor import Pipeline, Processor
def job(_):
    program = subprocess.Popen(["sleep", "100"])
    os.write(int(sys.argv[1]), b"%d\\n" % program.pid)
    return program.wait()
try:
    Pipeline().add(Processor(job)).run([1])
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("start_method", ["fork"])
def test_an_interrupt_of_the_whole_group_ends_the_programs_of_jobs_too(start_method: str) -> None:
    """Under `fork`, so that a descriptor by which the program is told of reaches the job; what is
    tried is the same for all."""
    read, write = os.pipe()
    script = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, str(write)],
        env=environment(start_method),
        stdout=subprocess.PIPE,
        pass_fds=[write],
        start_new_session=True,
        text=True,
    )
    pid = int(os.read(read, 100))
    os.killpg(script.pid, signal.SIGINT)

    assert script.communicate(timeout=HANGS_S)[0] == "interrupted\n"
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    os.close(read)
    os.close(write)


SHARED = ("Lock", "Event", "Queue", "Barrier")


@under_each_start_method
@pytest.mark.parametrize("what", SHARED)
def test_what_multiprocessing_shares_is_refused_with_what_to_take_instead(
    what: str, start_method: str
) -> None:
    shared = getattr(multiprocessing, what)(*[2] * (what == "Barrier"))
    with pytest.raises(
        NotPicklable,
        match=r"reach only processes that it starts itself; those of a multiprocessing.Manager",
    ):
        pipeline(start_method).add(Processor(lambda item: (item, shared))).run([1])


@new_or_forked
def test_what_a_manager_shares_can_be_used_in_jobs(start_method: str) -> None:
    with multiprocessing.Manager() as manager:
        counts, lock = manager.dict({"items": 0}), manager.Lock()

        def count(item: int) -> int:
            with lock:
                counts["items"] += 1
            return item

        pipeline(start_method).add(Processor(count)).run(range(5))
        assert dict(counts) == {"items": 5}


@under_each_start_method
def test_shared_memory_that_a_job_makes_is_there_when_its_worker_is_gone(start_method: str) -> None:
    def make(item: int) -> str:
        memory = shared_memory.SharedMemory(create=True, size=10)
        memory.buf[:1] = bytes([item])  # type: ignore[index]  # it is open
        memory.close()
        return str(memory.name)

    if start_method == "fork":
        # Else the worker has one of its own, as in any process that is forked.
        resource_tracker.ensure_running()
    (name,) = pipeline(start_method).add(Processor(make)).run([7])
    memory = shared_memory.SharedMemory(name)
    assert bytes(memory.buf)[0] == 7  # type: ignore[arg-type]  # it is open
    memory.close()
    memory.unlink()
