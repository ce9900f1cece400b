"""The outer process: runs one scenario in a session of its own, kills its workers, and counts who
is left.

Only processes of the session that was started here are ever killed, by their number.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Protocol, TypeAlias

from tests.chaos.board import FILE, Board
from tests.chaos.pipelines import PIPELINES
from tests.chaos.scenario import VERDICT, Spec, Verdict, judge
from tests.processes import ROOT, holds_within, is_alive, members

__all__ = ["Outcome", "end_session", "forked", "left_of", "outcome", "workers"]

GRACE_S: Final = 20.0  # more than the scenario was given: then it hangs
RECOVERY_S: Final = 2.0  # after which a stage is taken to have nothing to do
OFTEN_S: Final = (0.003, 0.01, 0.03, 0.1)  # between two kills, on average
LONGEST_BURST_S: Final = 2.0  # in which nothing need get on
PATIENCE_S: Final = 1.0  # for who has to be gone
HOSTS_S: Final = 10.0  # the same with hosts, for which multiprocessing has a helper of its own


@dataclass
class Outcome:
    """What became of a scenario, seen from outside."""

    spec: Spec
    verdict: Verdict = field(default_factory=Verdict)
    kills: int = 0
    hangs: int = 0
    orphans: int = 0
    recoveries_ms: list[float] = field(default_factory=list[float])
    stderr: str = ""

    @property
    def is_clean(self) -> bool:
        verdict = self.verdict
        wrong = (
            verdict.lost
            + verdict.repeated
            + verdict.disorder
            + verdict.miscounted
            + verdict.children
            + verdict.descriptors
        )
        return not (wrong or self.hangs or self.orphans or verdict.error)


class Process(Protocol):
    """What is used of the process that a scenario runs in."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...


Start: TypeAlias = Callable[[Spec, Path], Process]  # with the directory that the verdict goes to


def in_an_interpreter(spec: Spec, directory: Path) -> Process:
    """Starts a scenario in an interpreter of its own."""
    with (directory / "stderr").open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.scenario", json.dumps(asdict(spec)), directory],
            cwd=ROOT,
            env={**os.environ, FILE: str(directory / "board")},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )


class Forked:
    """A child by `os.fork`, as `subprocess` has one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        holds_within(lambda: self.poll() is not None, GRACE_S if timeout is None else timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or GRACE_S)
        return self.returncode


def forked(spec: Spec, directory: Path) -> Process:
    """Starts a scenario in a fork of this process, which has imported all that it needs: in less
    than half the time.  Not where other threads are at work, or where something looks for what an
    interpreter imports."""
    assert (spec.method, spec.hosts) == ("fork", 0)
    pid = os.fork()
    if pid:
        return Forked(pid)
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        os.dup2(os.open(directory / "stderr", os.O_WRONLY | os.O_CREAT), 2)
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # not what a test tool put there
        os.environ[FILE] = str(directory / "board")
        judge(spec, directory)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def outcome(spec: Spec, start: Start = in_an_interpreter) -> Outcome:
    """Runs a scenario to its end, or until its time is over."""
    result = Outcome(spec)
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        directory = Path(name)
        board = Board.create(directory / "board")
        process = start(spec, directory)
        deadline = time.monotonic() + spec.seconds + GRACE_S
        if spec.step is None and spec.kills and not spec.loses_hosts:
            (Restless if spec.restless else Killer)(
                spec, process, board, result.recoveries_ms
            ).work(deadline)
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            result.hangs = 1
        else:
            patience = HOSTS_S if spec.hosts else PATIENCE_S
            result.orphans = len(left_of(process.pid, patience))
        end_session(process.pid)
        process.wait()
        result.kills = board.kills
        result.stderr = (directory / "stderr").read_text(errors="replace")[-2000:]
        if (directory / VERDICT).exists():
            result.verdict = Verdict(**json.loads((directory / VERDICT).read_text()))
        elif not result.hangs:
            result.verdict = Verdict(
                error=f"no verdict, exit code {process.returncode}: {result.stderr}"
            )
    return result


class Killer:
    """Kills the workers of one scenario at random times, often several, now and then while another
    recovers."""

    def __init__(
        self, spec: Spec, process: Process, board: Board, recoveries_ms: list[float]
    ) -> None:
        self.spec = spec
        self.process = process
        self.board = board
        self.recoveries_ms = recoveries_ms
        self.random = Random(spec.seed)
        self.slots = range(len(PIPELINES[spec.pipeline].slots))
        self.at_once = False

    def work(self, deadline: float) -> None:
        while (
            self.board.kills < self.spec.kills
            and self.process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(self.random.expovariate(1 / 0.004))  # the moment is drawn, to try many
            if not self.board.pulled:
                continue
            there = list(workers(self.process.pid))
            last = {slot: self.board.last(slot) for slot in self.slots}
            if not self.at_once and self.new(there, last.values()):
                continue
            chance = self.random.random()
            many = len(there) if chance < 0.03 else 2 if chance < 0.15 else 1
            victims = self.random.sample(there, min(many, len(there)))
            killed = time.monotonic_ns()
            for victim in victims:
                self.kill(victim)
            # Now and then a worker is killed while it starts; were it always, its stage would be
            # given up, and rightly so.
            self.at_once = not self.at_once and self.random.random() < 0.15
            if not self.at_once:
                self.await_recovery(
                    {slot: pid for slot, (pid, _, _) in last.items() if pid in victims}, killed
                )

    def new(self, there: list[int], last: Iterable[tuple[int, int, int]]) -> bool:
        """Is there a worker that may not have committed anything yet?  (A relay never says what it
        does.)"""
        settled = {pid for pid, _, runs in last if runs > 1}
        return (
            len([pid for pid in there if pid not in settled]) > PIPELINES[self.spec.pipeline].relays
        )

    def kill(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            if self.random.random() < 0.1:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.002)  # it stands still meanwhile, and is killed while it does
            os.kill(pid, signal.SIGKILL)
            self.board.kills += 1

    def await_recovery(self, slots: dict[int, int], killed: int) -> None:
        """Until another worker is at work in each of these slots, or has nothing to do there."""

        def is_over() -> bool:
            for slot, dead in list(slots.items()):
                pid, at, _ = self.board.last(slot)
                if pid != dead and at > killed:
                    self.recoveries_ms.append((at - killed) / 1e6)
                    del slots[slot]
            return not slots or self.process.poll() is not None

        holds_within(is_over, RECOVERY_S, look_every_s=0.0005)


class Restless(Killer):
    """Kills workers whatever they are about, in bursts: between these the run must get on."""

    def work(self, deadline: float) -> None:
        # The fork server that is being started could be taken for a worker.
        self.await_progress(deadline)
        while self.goes_on(deadline):
            often = self.random.choice(OFTEN_S)
            burst = time.monotonic() + self.random.uniform(0.1, LONGEST_BURST_S)
            while self.goes_on(min(deadline, burst)):
                time.sleep(self.random.expovariate(1 / often))  # the moment is drawn, to try many
                there = list(workers(self.process.pid))
                chance = self.random.random()
                many = len(there) if chance < 0.05 else 2 if chance < 0.15 else 1
                for victim in self.random.sample(there, min(many, len(there))):
                    self.kill(victim)
            self.await_progress(deadline)

    def goes_on(self, deadline: float) -> bool:
        return (
            self.board.kills < self.spec.kills
            and self.process.poll() is None
            and time.monotonic() < deadline
        )

    def await_progress(self, deadline: float) -> None:
        pulled = self.board.pulled
        holds_within(
            lambda: self.board.pulled != pulled or not self.goes_on(deadline),
            deadline - time.monotonic(),
            look_every_s=0.002,
        )


def workers(pid: int) -> Iterator[int]:
    """The workers of a scenario, also on hosts: not multiprocessing's helpers, but what the fork
    server has forked."""
    for child in children(pid):
        command = command_of(child)
        if "conveyor.runtime.process.forkserver" in command:
            yield from children(child)
        elif "multiprocessing.forkserver" in command:  # the hosts
            for host in children(child):
                yield from workers(host)
        elif "resource_tracker" not in command:
            yield child


def children(pid: int) -> list[int]:
    """The processes started by any thread of a process that are still alive."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return [child for child in found if is_alive(child)]


def command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


def left_of(session: int, patience_s: float = PATIENCE_S) -> list[int]:
    """Who is still there when everybody should have gone."""
    holds_within(lambda: not members(session), patience_s, look_every_s=0.002)
    return members(session)


def end_session(session: int) -> None:
    for pid in members(session):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
